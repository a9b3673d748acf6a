/* Steps, repeated until they are done or nothing moves any more. */

#include "cluster_steps.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Between two attempts. */
#define PAUSE_US 200000u

/* How long one attempt may take: a little more than the cluster gives itself, and long enough for an answer. */
#define ATTEMPT_MS 15000u
#define ATTEMPT_MS_MIN 3000u

/* The first ones are short: whoever waits for another change is told so soon. */
#define ATTEMPT_FIRST_MS 2000u

/* When it is said again that one waits. */
#define SAY_FIRST_MS 1000u
#define SAY_NEXT_MS 5000u

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

int steps_open(const struct cli *cli, const char *command, struct steps *ret_steps)
{
    *ret_steps = (struct steps){
        .command = command,
        .cli = cli,
        .patience_ms = cli->timeout_given ? cli->timeout_ms : STEPS_TIMEOUT_MS,
    };
    return cli_open_query(cli, &ret_steps->hf);
}

void steps_close(struct steps *steps)
{
    (void)hf_close(steps->hf, 0);
}

int steps_look(struct steps *steps, struct view *ret_view)
{
    char text[VIEW_DETAIL_LEN];
    int err = view_take(steps->hf, steps->cli->servers, steps->patience_ms, ret_view);
    if (err == 0 && ret_view->leader == 0) {
        view_leaderless(ret_view, text, sizeof text);
        fprintf(stderr, "holdfast: %s: %s; waiting\n", steps->command, text);
    }
    if (err != 0) {
        return cli_fail(steps->command, err, hf_error_detail(steps->hf));
    }
    view_turn_to_leader(ret_view, steps->cli, &steps->hf);
    return 0;
}

int steps_check_peer(const struct steps *steps, const struct view *view, uint64_t node, const char *address)
{
    const struct view_member *member = view_client(view, address);
    if (member == NULL) {
        return 0;
    }
    char text[400];
    snprintf(text, sizeof text,
             "node %llu: clients reach node %llu at %s: --peer is where other nodes reach the new one (`peer` in its "
             "configuration)",
             (unsigned long long)node, (unsigned long long)member->id, member->client_address);
    return cli_fail(steps->command, ERR_REFUSED, text);
}

void steps_warn_of_votes(struct steps *steps, unsigned had)
{
    struct view view;
    if (view_take(steps->hf, steps->cli->servers, steps->patience_ms, &view) != 0) {
        return; /* What was asked for is done all the same. */
    }
    unsigned voters = view_voters(&view);
    if (view.takes_part && voters < had) {
        fprintf(stderr,
                "holdfast: %s: warning: %u nodes vote, and %u did before: something else has taken a vote away "
                "meanwhile (holdfast cluster status)\n",
                steps->command, voters, had);
    }
    if (voters == 2) {
        fprintf(stderr,
                "holdfast: %s: warning: two voters are left, and both are needed: when either fails, nothing is "
                "confirmed any more; give another node a vote (holdfast cluster promote)\n",
                steps->command);
    }
}

int steps_fail(const struct steps *steps, uint64_t node, int err)
{
    char text[sizeof steps->detail + 32];
    snprintf(text, sizeof text, "node %llu: %s", (unsigned long long)node,
             steps->detail[0] != '\0' ? steps->detail : err_text(err));
    return cli_fail(steps->command, err, text);
}

/* What may pass, or is not known: to ask again is safe. */
static bool may_pass(int err)
{
    return err == ERR_BUSY || err == ERR_UNAVAILABLE || err == ERR_TIMEOUT || err == ERR_OUTCOME_UNKNOWN ||
           err == ERR_NOT_LEADER;
}

/* How far a node is that is to vote, in words behind what there is. Notes when it gets on. */
static void progress(struct steps *steps, uint64_t node, char text[400])
{
    struct view view;
    char detail[sizeof steps->copy];
    size_t len = strlen(text);
    if (view_take(steps->hf, steps->cli->servers, STEPS_LOOK_MS, &view) != 0 || len >= 200) {
        return;
    }
    const struct view_member *member = view_find(&view, node);
    if (member == NULL || !view_is_leaders(&view)) {
        return;
    }
    uint64_t behind = view.log_last > member->match_index ? view.log_last - member->match_index : 0;
    view_detail(&view, node, detail, sizeof detail);
    if (detail[0] == '\0') {
        snprintf(detail, sizeof detail, "%s", member->detail);
    }
    snprintf(text + len, 400 - len, " (%s, %llu entries behind%s%s)", member->connected ? "connected" : "not connected",
             (unsigned long long)behind, detail[0] != '\0' ? "; " : "", detail);
    if (behind < steps->behind || strcmp(detail, steps->copy) != 0) {
        steps->moved_ms = now_ms();
    }
    steps->behind = behind < steps->behind ? behind : steps->behind;
    snprintf(steps->copy, sizeof steps->copy, "%s", detail);
}

/* Says what is waited for, when that is new or has not been said for a while. */
static void say(struct steps *steps, enum client_change change, uint64_t node)
{
    uint64_t now = now_ms();
    if (now < steps->look_ms) {
        return;
    }
    steps->look_ms = now + SAY_FIRST_MS;
    char text[400];
    snprintf(text, sizeof text, "%s", steps->detail);
    if (change == CLIENT_PROMOTE_MEMBER) {
        progress(steps, node, text);
    }
    if (strcmp(text, steps->said) == 0 && now - steps->said_ms < SAY_NEXT_MS) {
        return;
    }
    steps->said_ms = now;
    snprintf(steps->said, sizeof steps->said, "%s", text);
    fprintf(stderr, "holdfast: %s: node %llu: %s; waiting\n", steps->command, (unsigned long long)node, text);
}

/* For how long the cluster may take over one attempt. */
static uint64_t attempt_ms(const struct steps *steps)
{
    uint64_t passed_ms = now_ms() - steps->moved_ms;
    uint64_t left_ms = passed_ms < steps->patience_ms ? steps->patience_ms - passed_ms : 0;
    if (steps->said[0] == '\0') {
        return ATTEMPT_FIRST_MS;
    }
    left_ms = left_ms > ATTEMPT_MS_MIN ? left_ms : ATTEMPT_MS_MIN;
    return left_ms < ATTEMPT_MS ? left_ms : ATTEMPT_MS;
}

/* Why it is not done. A leader that does not answer is mostly busy with what came before. */
static void note_why(struct steps *steps, int err)
{
    snprintf(steps->detail, sizeof steps->detail, "%s%s", hf_error_detail(steps->hf),
             err == ERR_OUTCOME_UNKNOWN
                 ? "; a leader that does not answer may wait for another change, such as a promotion "
                   "of a node that is not there"
                 : "");
}

int steps_change(struct steps *steps, enum client_change change, uint64_t node, const char *address)
{
    steps->moved_ms = now_ms();
    steps->look_ms = steps->moved_ms + SAY_FIRST_MS;
    steps->behind = UINT64_MAX;
    steps->copy[0] = steps->said[0] = '\0';
    for (;;) {
        int err = hf_change_member(steps->hf, change, node, address, attempt_ms(steps));
        if (err == 0) {
            return 0;
        }
        note_why(steps, err);
        if (!may_pass(err) || now_ms() - steps->moved_ms >= steps->patience_ms) {
            return err;
        }
        say(steps, change, node);
        usleep(PAUSE_US);
    }
}
