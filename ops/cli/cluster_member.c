/* holdfast cluster add, promote, demote, remove, repair: one change of the members each. */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "cluster_steps.h"
#include "commands.h"

#define WAITS                                                                                                          \
    "\n"                                                                                                               \
    "What must pass first is waited for, and said on standard error. Gives up when nothing has moved for --timeout "   \
    "seconds\n"                                                                                                        \
    "(60): exit code 1, if it is not done for certain, else 3. To run it again is safe: what is so already is done.\n"

static const char help_add[] =
    "Usage: holdfast cluster add NODE --peer HOST:PORT\n"
    "\n"
    "Makes NODE a member, which other nodes reach at HOST:PORT. It follows and serves clients, and does not vote: see\n"
    "holdfast cluster promote. Start it with `join: true` in its configuration and an empty data directory, before or\n"
    "after: it fetches a copy of the state.\n" WAITS "\n"
    "Example: holdfast cluster add 4 --peer 10.0.0.4:7471\n";

static const char help_promote[] =
    "Usage: holdfast cluster promote NODE\n"
    "\n"
    "Makes NODE, a member, a voter: it counts for majorities, and can lead. Waits until it has caught up with the "
    "leader,\n"
    "for as long as it gets on, and until it has stored that it votes.\n" WAITS "\n"
    "Example: holdfast cluster promote 4\n";

static const char help_demote[] =
    "Usage: holdfast cluster demote NODE\n"
    "\n"
    "NODE votes no more: it follows, and serves clients. Works also when it is down. If it leads, it hands over first. "
    "The\n"
    "others must be a majority of the voters that are left, and at least two: of two neither may fail any more, and a\n"
    "warning says so.\n" WAITS "\n"
    "Example: holdfast cluster demote 2\n";

static const char help_remove[] =
    "Usage: holdfast cluster remove NODE\n"
    "\n"
    "NODE is no member any more. Works also when it is down, or gone for good. If it leads, it hands over first. The "
    "others\n"
    "must be a majority of the voters that are left, and at least two.\n" WAITS "\n"
    "Example: holdfast cluster remove 2\n";

static const char help_repair[] =
    "Usage: holdfast cluster repair NODE\n"
    "\n"
    "NODE puts its data aside, fetches a copy of the leader's, and begins anew with that; if it voted, it votes again\n"
    "when it has caught up. For a node whose data is doubted although it runs. Returns when it has been asked for:\n"
    "holdfast cluster status shows how far it is. Refused when its data is needed: the other voters must be a "
    "majority,\n"
    "and be there. When for half a minute nobody can lead without it all the same, it comes back with the data that\n"
    "it had. A node that cannot be reached is given up after 10 seconds (or --timeout, when that is less): exit\n"
    "code 3; give the order again when it can.\n"
    "\n"
    "Example: holdfast cluster repair 3\n";

/* One that does not run cannot be asked: that is not waited for. */
#define REPAIR_TIMEOUT_MS 10000u

struct member_command {
    const char *name;
    const char *help;
    enum client_change change;
    const char *done; /* What is so afterwards, */
    const char *was;  /* and if it was so before. */
};

static const struct member_command commands[] = {
    {"cluster add", help_add, CLIENT_ADD_MEMBER, "is a member: it follows, and does not vote", "is a member already"},
    {"cluster promote", help_promote, CLIENT_PROMOTE_MEMBER, "votes", "votes already"},
    {"cluster demote", help_demote, CLIENT_DEMOTE_MEMBER, "is a member, and votes no more",
     "is a member that does not vote already"},
    {"cluster remove", help_remove, CLIENT_REMOVE_MEMBER, "is no member any more", "is no member"},
    {"cluster repair", help_repair, CLIENT_REPAIR_MEMBER,
     "has been told to fetch a copy of the state: cluster status shows how far it is", ""},
};

/* Whether it is so before anything is done, as far as that can be seen: a node that takes no part does not see it. */
static bool is_so(const struct view *view, enum client_change change, uint64_t node, const char *address)
{
    const struct view_member *member = view_find(view, node);
    if (!view->takes_part) {
        return false;
    }
    switch (change) {
    case CLIENT_ADD_MEMBER: return member != NULL && strcmp(member->peer_address, address) == 0;
    case CLIENT_PROMOTE_MEMBER: return member != NULL && member->voter;
    case CLIENT_DEMOTE_MEMBER: return member != NULL && !member->voter;
    case CLIENT_REMOVE_MEMBER: return member == NULL;
    default: return false;
    }
}

/* Whether the nodes that answer reach it. */
static bool is_reached(struct steps *steps, uint64_t node)
{
    struct view view;
    const struct view_member *member =
        view_take(steps->hf, steps->cli->servers, STEPS_LOOK_MS, &view) == 0 ? view_find(&view, node) : NULL;
    return member != NULL && member->connected;
}

/* The time may be over while one more node is asked about it, or before: for one that is not there that is the same. */
static const char *repair_fault(struct steps *steps, uint64_t node, int err)
{
    if (err == ERR_UNAVAILABLE || (err == ERR_OUTCOME_UNKNOWN && !is_reached(steps, node))) {
        return "it cannot be asked: it does not run, or no node that answers reaches it; run this again when it does";
    }
    return err == ERR_OUTCOME_UNKNOWN ? "nobody knows whether it has been told: run this again, unless cluster status "
                                        "shows that it fetches a copy"
                                      : hf_error_detail(steps->hf);
}

static int repair_run(struct steps *steps, const struct member_command *command, uint64_t node)
{
    struct view view;
    steps->patience_ms = steps->patience_ms < REPAIR_TIMEOUT_MS ? steps->patience_ms : REPAIR_TIMEOUT_MS;
    int err = view_take(steps->hf, steps->cli->servers, steps->patience_ms, &view);
    if (err == 0 && view.founding) {
        view_leaderless(&view, steps->detail, sizeof steps->detail);
        return steps_fail(steps, node, ERR_UNAVAILABLE);
    }
    if (err == 0) {
        view_turn_to_leader(&view, steps->cli, &steps->hf);
        err = hf_change_member(steps->hf, command->change, node, NULL, steps->patience_ms);
    }
    if (err != 0) {
        snprintf(steps->detail, sizeof steps->detail, "%s", repair_fault(steps, node, err));
        return steps_fail(steps, node, err);
    }
    printf("node %llu %s\n", (unsigned long long)node, command->done);
    return EXIT_DONE;
}

/* A voter that its leader does not reach would be waited for, until it has stored once more that it votes. Who leads is certain
 * enough where a majority of the voters is connected to it. */
static bool votes_unreached(const struct view *view, uint64_t node)
{
    const struct view_member *member = view_find(view, node);
    return member != NULL && member->voter && !member->connected && node != view->node && view_has_majority(view);
}

static int member_run(struct steps *steps, const struct member_command *command, uint64_t node, const char *address)
{
    struct view before;
    int exit_code = steps_look(steps, &before);
    if (exit_code == 0 && command->change == CLIENT_ADD_MEMBER) {
        exit_code = steps_check_peer(steps, &before, node, address);
    }
    if (exit_code != 0) {
        return exit_code;
    }
    bool was = is_so(&before, command->change, node, address);
    if (command->change == CLIENT_PROMOTE_MEMBER && votes_unreached(&before, node)) {
        printf("node %llu %s; the leader does not reach it\n", (unsigned long long)node, command->was);
        return EXIT_DONE;
    }
    /* Also when it is so: what was seen may be about to change. */
    int err = steps_change(steps, command->change, node, address);
    if (err == ERR_NOT_FOUND && command->change == CLIENT_REMOVE_MEMBER) {
        err = 0;
    }
    if (err != 0) {
        return steps_fail(steps, node, err);
    }
    printf("node %llu %s\n", (unsigned long long)node, was ? command->was : command->done);
    if (!was && (command->change == CLIENT_DEMOTE_MEMBER || command->change == CLIENT_REMOVE_MEMBER)) {
        steps_warn_of_votes(steps, 0);
    }
    return EXIT_DONE;
}

enum { OPTION_PEER = 1 };

int cmd_cluster_member(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"peer", required_argument, NULL, OPTION_PEER}, CLI_OPTIONS};
    const struct member_command *command = NULL;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].name + strlen("cluster "), argv[0]) == 0) {
            command = &commands[i];
        }
    }
    if (command == NULL) {
        return cli_usage("no such command", help_add);
    }
    const char *address = "";
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == OPTION_PEER) {
            address = optarg;
            continue;
        }
        int result = cli_option(cli, option, command->help);
        if (result != 0) {
            return cli_option_exit(result);
        }
    }
    uint64_t node;
    if (argc - optind != 1) {
        return cli_usage("which node? One number", command->help);
    }
    if (cli_number("NODE", argv[optind], 1, UINT64_MAX, &node) != 0) {
        return EXIT_USAGE;
    }
    if ((command->change == CLIENT_ADD_MEMBER) != (address[0] != '\0')) {
        return cli_usage(command->change == CLIENT_ADD_MEMBER ? "cluster add needs --peer HOST:PORT"
                                                              : "--peer is for cluster add and cluster replace",
                         command->help);
    }
    struct steps steps;
    int exit_code = steps_open(cli, command->name, &steps);
    if (exit_code == 0) {
        exit_code = command->change == CLIENT_REPAIR_MEMBER ? repair_run(&steps, command, node)
                                                            : member_run(&steps, command, node, address);
        steps_close(&steps);
    }
    return exit_code;
}
