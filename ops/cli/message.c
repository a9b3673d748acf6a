/* holdfast message show: what became of a message. */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "commands.h"

static const char help[] = "Usage: holdfast message show QUEUE POSITION\n"
                           "\n"
                           "Shows what became of a message, step by step: in a queue that keeps the lives of its "
                           "messages (queue declare --keep-life).\n"
                           "Position 0 shows the purges of the queue.\n"
                           "\n"
                           "Example: holdfast message show jobs 17\n";

static void step_print(void *arg, const struct client_step *step)
{
    bool *any = arg;
    char when[40] = "-";
    time_t seconds = (time_t)(step->time_ms / 1000);
    struct tm utc;
    if (gmtime_r(&seconds, &utc) != NULL) {
        size_t len = strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &utc);
        snprintf(when + len, sizeof when - len, ".%03uZ", (unsigned)(step->time_ms % 1000));
    }
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
    puts(step->text);
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
    if (argc - optind != 3 || strcmp(argv[optind], "show") != 0) {
        return cli_usage("message: show, and the name of a queue and a position", help);
    }
    uint64_t position = 0;
    int exit_code = cli_number("POSITION", argv[optind + 2], 0, UINT64_MAX, &position);
    struct hf *hf;
    if (exit_code != 0 || (exit_code = cli_open_query(cli, &hf)) != 0) {
        return exit_code;
    }
    bool any = false;
    int err = hf_life(hf, argv[optind + 1], position, cli->timeout_ms, step_print, &any);
    if (err != 0) {
        exit_code = cli_fail(argv[optind + 1], err, hf_error_detail(hf));
    } else if (!any) {
        fputs("holdfast: nothing is known of that message: the queue does not keep lives, or not for so long\n",
              stderr);
        exit_code = EXIT_REFUSED;
    }
    (void)hf_close(hf, 0);
    return exit_code;
}
