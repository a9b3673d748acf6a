/* holdfast cluster replace OLD NEW --peer HOST:PORT: a new node takes the place of an old one, in steps that can be repeated. */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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
    "done twice. OLD stays (exit code 1) when fewer nodes would vote than at first, because something else has taken "
    "a\n"
    "vote away meanwhile.\n"
    "\n"
    "Example: holdfast cluster replace 2 4 --peer 10.0.0.4:7471\n";

/* In which a removal is done, nearly always. */
#define TURN_US 250000u

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

/* Both gone: not what somebody means who began this before. A node that takes no part does not know. */
static const char *fault_of(const struct view *view, const struct replacement *replacement)
{
    bool old = view_find(view, replacement->old) != NULL;
    bool new = view_find(view, replacement->new) != NULL;
    return view->takes_part && !old && !new ? "neither of the nodes is a member: which one is to be replaced?" : NULL;
}

static bool is_voter(const struct view *view, uint64_t node)
{
    const struct view_member *member = view_find(view, node);
    return member != NULL && member->voter;
}

/* Two that wait for the same node to vote see it at the same moment: each old node has its turn, so that the second command sees
 * what the first has done. */
static void wait_for_turn(const struct view *before, const struct replacement *replacement)
{
    for (size_t i = 0; i < before->members_len && !is_voter(before, replacement->new); i++) {
        if (before->members[i].voter && before->members[i].id < replacement->old) {
            usleep(TURN_US);
        }
    }
}

/* Before the old node goes: whether as many nodes will vote as did. Another who replaces a node by the same new one takes votes
 * that this command does not give back. When the new node voted already, it cannot be told whether an earlier run of this command
 * gave it the vote, so that this has to go on: then it is said how many are left. 0, or an error with its words in steps->detail. */
static int check_votes(struct steps *steps, const struct replacement *replacement, const struct view *before)
{
    struct view now;
    wait_for_turn(before, replacement);
    bool seen = view_take(steps->hf, steps->cli->servers, steps->patience_ms, &now) == 0 && view_is_leaders(&now);
    if (!seen || !is_voter(&now, replacement->old)) {
        return 0;
    }
    unsigned had = view_voters(before);
    unsigned left = view_voters(&now) - 1;
    if (is_voter(before, replacement->new)) {
        fprintf(stderr,
                "holdfast: %s: warning: node %llu voted before: if not by an earlier run of this command, the cluster "
                "gets smaller; without node %llu %u nodes vote\n",
                steps->command, (unsigned long long)replacement->new, (unsigned long long)replacement->old, left);
        return 0;
    }
    if (left >= had) {
        return 0;
    }
    snprintf(
        steps->detail, sizeof steps->detail,
        "not removed: %u nodes voted when this began, and without it only %u would, since something else has taken a "
        "vote away meanwhile; see cluster status, and run this again if that is meant",
        had, left);
    return ERR_REFUSED;
}

static int remove_old(struct steps *steps, const struct replacement *replacement, const struct view *before)
{
    bool had_old = view_find(before, replacement->old) != NULL;
    int err = check_votes(steps, replacement, before);
    if (err == 0) {
        err = step(steps, CLIENT_REMOVE_MEMBER, replacement->old, NULL, had_old ? "is to be removed" : "is no member");
    }
    return err == ERR_NOT_FOUND ? 0 : err; /* It was removed before an interruption. */
}

static int replace_run(struct steps *steps, const struct replacement *replacement)
{
    struct view before;
    int exit_code = steps_look(steps, &before);
    const char *fault = exit_code == 0 ? fault_of(&before, replacement) : NULL;
    if (fault != NULL) {
        exit_code = cli_fail(steps->command, ERR_NOT_FOUND, fault);
    }
    if (exit_code == 0) {
        exit_code = steps_check_peer(steps, &before, replacement->new, replacement->address);
    }
    if (exit_code != 0) {
        return exit_code;
    }
    const struct view_member *known = view_find(&before, replacement->new);
    bool voted = is_voter(&before, replacement->new);
    uint64_t node = replacement->new;
    int err = step(steps, CLIENT_ADD_MEMBER, node, replacement->address,
                   known != NULL ? "is a member already" : "is to be added");
    if (err == 0) {
        err = step(steps, CLIENT_PROMOTE_MEMBER, node, NULL, voted ? "votes already" : "is to catch up, and to vote");
    }
    if (err == 0) {
        node = replacement->old;
        err = remove_old(steps, replacement, &before);
    }
    if (err != 0) {
        return steps_fail(steps, node, err);
    }
    printf("node %llu has taken the place of node %llu\n", (unsigned long long)replacement->new,
           (unsigned long long)replacement->old);
    steps_warn_of_votes(steps, voted ? 0 : view_voters(&before));
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
