/* holdfast message show|get: what became of a message; a message where it is. */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "duration.h"
#include "shown.h"

static const char help[] =
    "Usage: holdfast message show QUEUE POSITION | get QUEUE POSITION\n"
    "\n"
    "  show   what became of a message, step by step: in a queue that keeps the lives of its messages (queue declare "
    "--keep-life).\n"
    "         Position 0 shows the purges of the queue\n"
    "  get    writes the body of a message that is in the queue, or has left it and is kept (queue declare --keep), to "
    "standard output.\n"
    "         It stays where it is\n"
    "\n"
    "Positions are shown by `holdfast browse`, and by `holdfast consume --json`.\n"
    "\n"
    "Example: holdfast message show jobs 17\n";

static void step_print(void *arg, const struct client_step *step)
{
    bool *any = arg;
    char when[CLI_TIME_LEN];
    cli_time_text(step->time_ms, when);
    if (!*any) {
        printf("%-24s %12s  %-14s %12s %9s  %s\n", "TIME", "ENTRY", "WHAT", "SESSION", "CONSUMER", "");
        *any = true;
    }
    printf("%-24s %12llu  %-14s ", when, (unsigned long long)step->index, step->what);
    if (step->session != 0) {
        printf("%12llu %9llu  ", (unsigned long long)step->session, (unsigned long long)step->consumer);
    } else {
        printf("%12s %9s  ", "-", "-");
    }
    struct shown text;
    puts(shown(step->text, &text));
}

static int show(struct hf *hf, const struct cli *cli, const char *queue, uint64_t position)
{
    bool any = false;
    int err = hf_life(hf, queue, position, cli->timeout_ms, step_print, &any);
    if (err != 0) {
        return cli_fail(queue, err, hf_error_detail(hf));
    }
    if (!any) {
        fputs("holdfast: nothing is known of that message: the queue does not keep lives, or not for so long\n",
              stderr);
        return EXIT_REFUSED;
    }
    return EXIT_DONE;
}

struct wanted {
    uint64_t position;
    bool found;
};

static void body_write(void *arg, const struct client_message *message)
{
    struct wanted *wanted = arg;
    if (message->position == wanted->position) {
        wanted->found = true;
        (void)fwrite(message->body.data, 1, message->body.len, stdout);
    }
}

static int get(struct hf *hf, const struct cli *cli, const char *queue, uint64_t position)
{
    struct wanted wanted = {.position = position};
    bool more;
    int err = hf_browse(hf, queue, position, 1, cli->timeout_ms, body_write, &wanted, &more);
    if (err == 0 && !wanted.found) {
        err = hf_kept(hf, queue, position, 1, cli->timeout_ms, body_write, &wanted, &more);
    }
    if (err != 0) {
        return cli_fail(queue, err, hf_error_detail(hf));
    }
    if (!wanted.found) {
        fprintf(stderr, "holdfast: %s: there is no message at position %llu\n", queue, (unsigned long long)position);
        return EXIT_REFUSED;
    }
    return EXIT_DONE;
}

int cmd_message(struct cli *cli, int argc, char **argv)
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
    bool gets = strcmp(what, "get") == 0;
    if (argc - optind != 3 || (!gets && strcmp(what, "show") != 0)) {
        return cli_usage("message: show or get, and the name of a queue and a position", help);
    }
    uint64_t position = 0;
    int exit_code = cli_number("POSITION", argv[optind + 2], 0, UINT64_MAX, &position);
    struct hf *hf;
    if (exit_code != 0 || (exit_code = cli_open_query(cli, &hf)) != 0) {
        return exit_code;
    }
    exit_code = (gets ? get : show)(hf, cli, argv[optind + 1], position);
    (void)hf_close(hf, 0);
    return exit_code;
}
