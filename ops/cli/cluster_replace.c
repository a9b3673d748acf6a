/* holdfast cluster replace OLD NEW --peer HOST:PORT: a new node takes the place of an old one, in steps that can be repeated. */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "cluster_steps.h"
#include "commands.h"

static const char help[] =
    "Usage: holdfast cluster replace OLD NEW --peer HOST:PORT\n"
    "\n"
    "Node NEW, which other nodes reach at HOST:PORT, takes the place of node OLD: NEW is added, waited for until it "
    "has "
    "caught\n"
    "up, and made a voter; then OLD is removed, also when it is down or gone for good. Start NEW with `join: true` in "
    "its\n"
    "configuration and an empty data directory, before or meanwhile.\n"
    "\n"
    "Each step waits for as long as something moves, says on standard error what for, and gives up when nothing has "
    "moved for\n"
    "--timeout seconds (60): exit code 1 or 3. Run the same command again after any interruption: what is done already "
    "is not\n"
    "done twice.\n"
    "\n"
    "Example: holdfast cluster replace 2 4 --peer 10.0.0.4:7471\n";

struct replacement {
    uint64_t old;
    uint64_t new;
    const char *address;
};

static int step(struct steps *steps, enum client_change change, uint64_t node, const char *address, const char *doing)
{
    fprintf(stderr, "holdfast: %s: node %llu %s\n", steps->command, (unsigned long long)node, doing);
    return steps_change(steps, change, node, address);
}

/* Both gone, or the old one under the new one's number: not what somebody means who began this before. */
static const char *fault_of(const struct view *view, const struct replacement *replacement)
{
    bool old = view_find(view, replacement->old) != NULL;
    bool new = view_find(view, replacement->new) != NULL;
    return !old && !new ? "neither of the nodes is a member: which one is to be replaced?" : NULL;
}

static int replace_run(struct steps *steps, const struct replacement *replacement)
{
    struct view view;
    int exit_code = steps_look(steps, &view);
    if (exit_code != 0) {
        return exit_code;
    }
    const char *fault = fault_of(&view, replacement);
    if (fault != NULL) {
        return cli_fail(steps->command, ERR_NOT_FOUND, fault);
    }
    const struct view_member *known = view_find(&view, replacement->new);
    bool voted = known != NULL && known->voter;
    bool had_old = view_find(&view, replacement->old) != NULL;
    uint64_t node = replacement->new;
    int err =
        step(steps, CLIENT_ADD_MEMBER, node, replacement->address, known != NULL ? "is a member already" : "is added");
    if (err == 0) {
        err = step(steps, CLIENT_PROMOTE_MEMBER, node, NULL, voted ? "votes already" : "is to catch up, and to vote");
    }
    if (err == 0) {
        node = replacement->old;
        err = step(steps, CLIENT_REMOVE_MEMBER, node, NULL, had_old ? "is removed" : "is no member");
        err = err == ERR_NOT_FOUND ? 0 : err; /* It was, before an interruption. */
    }
    if (err != 0) {
        return steps_fail(steps, node, err);
    }
    printf("node %llu has taken the place of node %llu\n", (unsigned long long)replacement->new,
           (unsigned long long)replacement->old);
    steps_warn_of_two(steps);
    return EXIT_DONE;
}

enum { OPTION_PEER = 1 };

int cmd_cluster_replace(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"peer", required_argument, NULL, OPTION_PEER}, CLI_OPTIONS};
    struct replacement replacement = {.address = ""};
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == OPTION_PEER) {
            replacement.address = optarg;
            continue;
        }
        int result = cli_option(cli, option, help);
        if (result != 0) {
            return cli_option_exit(result);
        }
    }
    if (argc - optind != 2) {
        return cli_usage("cluster replace takes the numbers of the old and of the new node", help);
    }
    if (cli_number("OLD", argv[optind], 1, UINT64_MAX, &replacement.old) != 0 ||
        cli_number("NEW", argv[optind + 1], 1, UINT64_MAX, &replacement.new) != 0) {
        return EXIT_USAGE;
    }
    if (replacement.old == replacement.new) {
        return cli_usage("a node cannot take its own place: see cluster repair", help);
    }
    if (replacement.address[0] == '\0') {
        return cli_usage("cluster replace needs --peer HOST:PORT", help);
    }
    struct steps steps;
    int exit_code = steps_open(cli, "cluster replace", &steps);
    if (exit_code == 0) {
        exit_code = replace_run(&steps, &replacement);
        steps_close(&steps);
    }
    return exit_code;
}
