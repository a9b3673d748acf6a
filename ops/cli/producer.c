/* holdfast producer open|show: the names under which messages are numbered. */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "commands.h"

static const char help[] =
    "Usage: holdfast producer open NAME | show NAME\n"
    "\n"
    "  open   takes the name of a producer, and prints its new epoch and the last number that is in. Whoever publishes "
    "with an older\n"
    "         epoch (publish --epoch) is refused from then on: two processes that take themselves for the same "
    "producer do not mix\n"
    "  show   the same of one that is known, and changes nothing\n"
    "\n"
    "Example: holdfast producer open importer\n";

static void producer_print(void *arg, const struct client_producer *producer)
{
    (void)arg;
    printf("epoch %llu, last number %llu\n", (unsigned long long)producer->epoch,
           (unsigned long long)producer->last_sequence);
}

static int open_one(struct hf *hf, const struct cli *cli, const char *name)
{
    struct client_producer producer = {.name = name};
    int err = hf_open_producer(hf, name, cli->timeout_ms, &producer.epoch, &producer.last_sequence);
    if (err == 0) {
        producer_print(NULL, &producer);
    }
    return err;
}

int cmd_producer(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {CLI_OPTIONS};
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        int result = cli_option(cli, option, help);
        if (result != 0) {
            return cli_option_exit(result);
        }
    }
    const char *what = optind < argc ? argv[optind] : "";
    bool shows = strcmp(what, "show") == 0;
    if (argc - optind != 2 || (!shows && strcmp(what, "open") != 0)) {
        return cli_usage("producer: open or show, and a name", help);
    }
    struct hf *hf;
    int exit_code = shows ? cli_open_query(cli, &hf) : cli_open(cli, 0, &hf);
    if (exit_code != 0) {
        return exit_code;
    }
    const char *name = argv[optind + 1];
    int err = shows ? hf_producer(hf, name, cli->timeout_ms, producer_print, NULL) : open_one(hf, cli, name);
    if (err != 0) {
        exit_code = cli_fail(name, err, shows && err == ERR_NOT_FOUND ? "no such producer" : hf_error_detail(hf));
    }
    (void)hf_close(hf, shows || exit_code == EXIT_UNSURE ? 0 : 1000);
    return exit_code;
}
