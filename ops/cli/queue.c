/* holdfast queue list|purge|delete, and where to find declare, change and show. */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "shown.h"

static const char help[] =
    "Usage: holdfast queue declare QUEUE | change QUEUE | list | show QUEUE | purge QUEUE | delete QUEUE [--if-empty] "
    "[--if-unused]\n"
    "\n"
    "  declare   makes a queue, or finds it there with the same options: see holdfast queue declare --help\n"
    "  change    changes those options that are given: see holdfast queue change --help\n"
    "  list      name, ready messages, unsettled deliveries and consumers of every queue\n"
    "  show      all that is known of one queue, and its rates: see holdfast queue show --help\n"
    "  purge     drops the messages that are ready; those that are out with consumers stay\n"
    "  delete    deletes a queue and its messages; with --if-empty only if it holds none, with --if-unused only if it "
    "has no consumers\n"
    "\n"
    "Example: holdfast queue declare jobs\n";

static int delete (struct hf *hf, const struct cli *cli, const char *queue, bool if_empty, bool if_unused)
{
    uint64_t dropped = 0;
    int err = hf_delete_if(hf, queue, if_empty, if_unused, cli->timeout_ms, &dropped);
    if (err != 0) {
        return cli_fail(queue, err, hf_error_detail(hf));
    }
    fprintf(stderr, "%llu messages dropped\n", (unsigned long long)dropped);
    return EXIT_DONE;
}

static int purge(struct hf *hf, const struct cli *cli, const char *queue)
{
    uint64_t dropped = 0;
    int err = hf_purge(hf, queue, cli->timeout_ms, &dropped);
    if (err != 0) {
        return cli_fail(queue, err, hf_error_detail(hf));
    }
    fprintf(stderr, "%llu messages dropped\n", (unsigned long long)dropped);
    return EXIT_DONE;
}

static void header_print(void)
{
    printf("%-40s %12s %12s %9s\n", "QUEUE", "READY", "UNSETTLED", "CONSUMERS");
}

static void queue_print(void *arg, const struct client_queue *queue)
{
    bool *headed = arg;
    if (!*headed) {
        header_print();
        *headed = true;
    }
    struct shown name;
    printf("%-40s %12llu %12llu %9u\n", shown(queue->name, &name), (unsigned long long)queue->ready,
           (unsigned long long)queue->unsettled, queue->consumers);
}

static int list(struct hf *hf, const struct cli *cli)
{
    bool headed = false;
    int err = hf_queues(hf, cli->timeout_ms, queue_print, &headed);
    if (err != 0) {
        return cli_fail("queue list", err, hf_error_detail(hf));
    }
    if (!headed) {
        header_print();
    }
    return EXIT_DONE;
}

/* Those with options of their own. */
static bool elsewhere(struct cli *cli, int argc, char **argv, int *ret_exit_code)
{
    optind = 0; /* glibc: begin anew. */
    if (strcmp(argv[0], "declare") == 0 || strcmp(argv[0], "change") == 0) {
        *ret_exit_code = cmd_queue_declare(cli, argc, argv);
        return true;
    }
    if (strcmp(argv[0], "show") == 0) {
        *ret_exit_code = cmd_queue_show(cli, argc, argv);
        return true;
    }
    return false;
}

int cmd_queue(struct cli *cli, int argc, char **argv)
{
    int exit_code;
    if (argc > 1 && elsewhere(cli, argc - 1, argv + 1, &exit_code)) {
        return exit_code;
    }
    static const struct option options[] = {
        {"if-empty", no_argument, NULL, 1}, {"if-unused", no_argument, NULL, 2}, CLI_OPTIONS};
    bool if_empty = false;
    bool if_unused = false;
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        int result = 0;
        if (option == 1) {
            if_empty = true;
        } else if (option == 2) {
            if_unused = true;
        } else if ((result = cli_option(cli, option, help)) != 0) {
            return cli_option_exit(result);
        }
    }
    int first = optind;
    if (first < argc && elsewhere(cli, argc - first, argv + first, &exit_code)) {
        return exit_code;
    }
    optind = first;
    const char *what = optind < argc ? argv[optind] : "";
    bool lists = strcmp(what, "list") == 0;
    bool takes_queue = strcmp(what, "purge") == 0 || strcmp(what, "delete") == 0;
    if (!takes_queue && !lists) {
        return cli_usage("queue: declare, change, list, show, purge or delete?", help);
    }
    if (argc - optind != (takes_queue ? 2 : 1) || ((if_empty || if_unused) && strcmp(what, "delete") != 0)) {
        return cli_usage("queue: wrong arguments", help);
    }
    struct hf *hf;
    exit_code = lists ? cli_open_query(cli, &hf) : cli_open(cli, 0, &hf);
    if (exit_code != 0) {
        return exit_code;
    }
    if (lists) {
        exit_code = list(hf, cli);
    } else if (strcmp(what, "purge") == 0) {
        exit_code = purge(hf, cli, argv[optind + 1]);
    } else {
        exit_code = delete (hf, cli, argv[optind + 1], if_empty, if_unused);
    }
    (void)hf_close(
        hf, lists || exit_code == EXIT_UNSURE ? 0 : 1000); /* It holds nothing: its lease would end it as well. */
    return exit_code;
}
