/* holdfast cluster transfer [NODE]: hands leadership over, and waits until it has happened. */

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "cli.h"
#include "cluster_view.h"
#include "commands.h"

#define COMMAND "cluster transfer"

#define TRANSFER_TIMEOUT_MS 10000u
#define POLL_US 20000u

/* One that is not connected for so long is not waited for. */
#define ABSENT_MS 1000u

static const char help[] =
    "Usage: holdfast cluster transfer [NODE]\n"
    "\n"
    "Hands leadership to NODE, a voter, or without it to the one that is most advanced, and waits "
    "until it leads. Before\n"
    "a node is stopped on purpose, this spares the others an election. Exits with 1 when it cannot "
    "lead, and says why; with\n"
    "3 when nothing has come of it within 10 seconds (or --timeout, when that is less).\n"
    "\n"
    "Example: holdfast cluster transfer 2\n";

struct handover {
    struct hf *hf;
    const struct cli *cli;
    uint64_t node; /* Where leadership is to go; 0: anywhere. */
    uint64_t started_ms;
    uint64_t asked_ms; /* When leadership was asked for. */
    uint64_t timeout_ms;
};

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

static uint64_t passed_ms(const struct handover *handover)
{
    return now_ms() - handover->started_ms;
}

/* At least a moment, in which a node that is there answers. */
static uint64_t left_ms(const struct handover *handover)
{
    uint64_t passed = passed_ms(handover);
    return passed + 1 < handover->timeout_ms ? handover->timeout_ms - passed : 1;
}

/* ---- Why not ---- */

static int say(const struct handover *handover, int err, const char *why)
{
    char text[400];
    snprintf(text, sizeof text, "%s", why);
    if (handover->node != 0) {
        snprintf(text, sizeof text, "node %llu: %s", (unsigned long long)handover->node, why);
    }
    return cli_fail(COMMAND, err, text);
}

static int say_absent(const struct handover *handover)
{
    char text[80];
    snprintf(text, sizeof text, "node %llu does not run, or cannot be reached", (unsigned long long)handover->node);
    return cli_fail(COMMAND, ERR_UNAVAILABLE, text);
}

/* Another one than the leader, that it is connected to. */
static bool has_successor(const struct view *view)
{
    for (size_t i = 0; i < view->members_len; i++) {
        const struct view_member *member = &view->members[i];
        if (member->voter && member->connected && member->id != view->leader) {
            return true;
        }
    }
    return false;
}

/* Why leadership cannot go there, as far as it can be seen; NULL: nothing speaks against it. */
static const char *fault_of(const struct view *view, uint64_t node)
{
    const struct view_member *member = view_find(view, node);
    if (node == 0) {
        return view_is_leaders(view) && !has_successor(view)
                   ? "nobody can take over: the leader is connected to no other voter"
                   : NULL;
    }
    if (member == NULL) {
        return "there is no such member";
    }
    return member->voter ? NULL : "it does not vote, and only a voter can lead (holdfast cluster promote)";
}

/* The time is over, or it cannot happen in that time. */
static int say_over(const struct handover *handover, const struct view *now)
{
    char text[VIEW_DETAIL_LEN + 100];
    char why[VIEW_DETAIL_LEN];
    const char *fault = now->takes_part ? fault_of(now, handover->node) : NULL;
    double seconds = (double)passed_ms(handover) / 1000;
    view_leaderless(now, why, sizeof why);
    if (now->founding) {
        snprintf(text, sizeof text, "%s", why);
    } else if (now->leader == 0) {
        snprintf(text, sizeof text, "no leader is known after %.1f s: %s", seconds, why);
    } else {
        snprintf(text, sizeof text, "node %llu still leads after %.1f s%s%s", (unsigned long long)now->leader, seconds,
                 fault != NULL ? ": " : "", fault != NULL ? fault : "");
    }
    return say(handover, ERR_TIMEOUT, text);
}

/* ---- The handover ---- */

static bool is_done(const struct handover *handover, const struct view *before, const struct view *now)
{
    bool there = handover->node != 0 ? now->leader == handover->node : now->leader != before->leader;
    return there && now->leader != 0 && now->term > before->term;
}

static bool is_reached(const struct view *view, uint64_t node)
{
    const struct view_member *member = view_find(view, node);
    return node == 0 || (member != NULL && member->connected);
}

/* Looks until another leads, as asked. A node that cannot be asked may be about to lead: others are asked instead. */
static int transfer_wait(const struct handover *handover, const struct view *before)
{
    struct view now = *before;
    do {
        int err = view_take(handover->hf, handover->cli->servers, left_ms(handover), &now);
        if (err == 0 && is_done(handover, before, &now)) {
            printf("node %llu leads, in term %llu, after %llu ms\n", (unsigned long long)now.leader,
                   (unsigned long long)now.term, (unsigned long long)(now_ms() - handover->asked_ms));
            return EXIT_DONE;
        }
        if (err == 0 && !is_reached(&now, handover->node) && now_ms() - handover->asked_ms >= ABSENT_MS) {
            return say_absent(handover);
        }
        usleep(POLL_US);
    } while (passed_ms(handover) < handover->timeout_ms);
    return say_over(handover, &now);
}

/* Looks until a leader is known: only then it can be told that another leads. */
static int leader_wait(const struct handover *handover, struct view *ret_view)
{
    do {
        int err = view_take(handover->hf, handover->cli->servers, left_ms(handover), ret_view);
        if (err != 0) {
            return cli_fail(COMMAND, err, hf_error_detail(handover->hf));
        }
        if (ret_view->leader != 0) {
            return 0;
        }
        usleep(POLL_US);
    } while (!ret_view->founding && passed_ms(handover) < handover->timeout_ms);
    return say_over(handover, ret_view);
}

static int transfer_refused(const struct handover *handover, const struct view *before, int err)
{
    struct view now = *before;
    if (err != ERR_NOT_FOUND) {
        return say(handover, err, hf_error_detail(handover->hf));
    }
    bool seen = view_take(handover->hf, handover->cli->servers, left_ms(handover), &now) == 0;
    const char *fault = fault_of(&now, handover->node);
    if (seen && fault == NULL && !is_reached(&now, handover->node)) {
        return say_absent(handover);
    }
    return say(handover, err, fault != NULL ? fault : "nobody who could take over has been heard of lately");
}

static int transfer_run(struct handover *handover)
{
    struct view before;
    int exit_code = leader_wait(handover, &before);
    if (exit_code != 0) {
        return exit_code;
    }
    if (before.leader == handover->node) {
        printf("node %llu leads already, in term %llu\n", (unsigned long long)before.leader,
               (unsigned long long)before.term);
        return EXIT_DONE;
    }
    const char *fault = view_is_leaders(&before) ? fault_of(&before, handover->node) : NULL;
    if (fault != NULL) {
        return say(handover, ERR_REFUSED, fault);
    }
    view_turn_to_leader(&before, handover->cli, &handover->hf);
    handover->asked_ms = now_ms();
    int err = hf_transfer(handover->hf, handover->node, left_ms(handover));
    return err != 0 && err != ERR_OUTCOME_UNKNOWN ? transfer_refused(handover, &before, err)
                                                  : transfer_wait(handover, &before);
}

int cmd_cluster_transfer(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {CLI_OPTIONS};
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        int result = cli_option(cli, option, help);
        if (result != 0) {
            return cli_option_exit(result);
        }
    }
    struct handover handover = {.cli = cli, .started_ms = now_ms(), .timeout_ms = TRANSFER_TIMEOUT_MS};
    if (argc - optind > 1) {
        return cli_usage("cluster transfer takes the id of one node, or none", help);
    }
    if (argc - optind == 1 && cli_number("NODE", argv[optind], 1, UINT64_MAX, &handover.node) != 0) {
        return EXIT_USAGE;
    }
    if (cli->timeout_given && cli->timeout_ms < handover.timeout_ms) {
        handover.timeout_ms = cli->timeout_ms;
    }
    int exit_code = cli_open_query(cli, &handover.hf);
    if (exit_code == 0) {
        exit_code = transfer_run(&handover);
        (void)hf_close(handover.hf, 0);
    }
    return exit_code;
}
