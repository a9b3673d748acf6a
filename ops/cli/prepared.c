/* holdfast prepared commit|abort|list: the second of two phases. */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "duration.h"
#include "shown.h"

static const char help[] =
    "Usage: holdfast prepared commit ID | abort ID | list\n"
    "\n"
    "Of a message that was published with --prepare ID, and that nobody has seen so far:\n"
    "\n"
    "  commit   enqueues it\n"
    "  abort    drops it\n"
    "  list     what is prepared, with its deadline, and what was resolved: an id is remembered for a day after that\n"
    "\n"
    "To say it again is no error; to say the other afterwards is refused.\n"
    "\n"
    "Example: holdfast prepared commit payment-17\n";

static void prepared_print(void *arg, const struct client_prepared *prepared)
{
    (void)arg;
    char deadline[CLI_TIME_LEN] = "-";
    if (prepared->deadline_ms != 0) {
        cli_time_text(prepared->deadline_ms, deadline);
    }
    struct shown id;
    struct shown group;
    printf("%-30s %-10s %9llu  %-24s  %-7s  %s\n", shown(prepared->id, &id), prepared->state,
           (unsigned long long)prepared->messages, deadline,
           prepared->deadline_ms == 0     ? "-"
           : prepared->commit_at_deadline ? "commit"
                                          : "abort",
           prepared->group[0] == '\0' ? "-" : shown(prepared->group, &group));
}

static int list(const struct cli *cli)
{
    struct hf *hf;
    int exit_code = cli_open_query(cli, &hf);
    if (exit_code != 0) {
        return exit_code;
    }
    printf("%-30s %-10s %9s  %-24s  %-7s  %s\n", "ID", "STATE", "MESSAGES", "DEADLINE", "THEN", "ASKED");
    int err = hf_prepared(hf, cli->timeout_ms, prepared_print, NULL);
    exit_code = err == 0 ? EXIT_DONE : cli_fail("prepared list", err, hf_error_detail(hf));
    (void)hf_close(hf, 0);
    return exit_code;
}

static int resolve(const struct cli *cli, const char *id, bool commits)
{
    struct hf *hf;
    int exit_code = cli_open(cli, 0, &hf);
    if (exit_code != 0) {
        return exit_code;
    }
    int err = hf_resolve(hf, id, commits, cli->timeout_ms);
    exit_code = err == 0 ? EXIT_DONE : cli_fail(id, err, hf_error_detail(hf));
    (void)hf_close(hf, exit_code == EXIT_UNSURE ? 0 : 1000);
    return exit_code;
}

int cmd_prepared(struct cli *cli, int argc, char **argv)
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
    bool lists = strcmp(what, "list") == 0;
    bool commits = strcmp(what, "commit") == 0;
    if (argc - optind != (lists ? 1 : 2) || (!lists && !commits && strcmp(what, "abort") != 0)) {
        return cli_usage("prepared: commit or abort, and an id; or list", help);
    }
    return lists ? list(cli) : resolve(cli, argv[optind + 1], commits);
}
