/* Asking for changes of the membership, and looking what came of it. */

#include "members_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

struct gateway_core *core_of(struct three_node *node)
{
    return gateway_core_of(node->home.gateway);
}

static void on_done(struct gateway_change *change, int err, const char *detail)
{
    struct asked *asked = container_of(change, struct asked, change);
    cr_assert_not(asked->asking, "from within the call");
    asked->calls++;
    asked->err = err;
    (void)snprintf(asked->detail, sizeof asked->detail, "%s", detail);
}

void ask_change(struct three_node *at, struct asked *asked, enum gateway_change_kind kind, uint64_t node)
{
    *asked = (struct asked){.change = {.kind = kind, .node = node, .done = on_done}, .asking = true};
    if (kind == GATEWAY_ADD) {
        (void)snprintf(asked->change.address, sizeof asked->change.address, "node:%u", (unsigned)node);
    }
    at->home.gateway->ops->change(at->home.gateway, &asked->change);
    asked->asking = false;
}

void expect_answer(const struct asked *asked, int err, const char *part)
{
    cr_assert_eq(asked->calls, 1u, "%u answers", asked->calls);
    cr_assert_eq(asked->err, err, "%s: %s", err_text(asked->err), asked->detail);
    cr_assert_not_null(strstr(asked->detail, part), "%s", asked->detail);
    cr_assert((err == 0) == (asked->detail[0] == '\0'), "%s", asked->detail);
}

/* Asks until it is done: what must be first passes. */
void make_change(struct three *three, struct three_node *at, enum gateway_change_kind kind, uint64_t node)
{
    struct asked asked;
    for (unsigned i = 0; i < 50; i++) {
        ask_change(at, &asked, kind, node);
        three_wait(three, 50);
        if (asked.calls == 1 && asked.err == 0) {
            return;
        }
    }
    cr_assert_fail("not within 2.5 s: %s", asked.detail);
}

int ask_copy(struct three_node *at, uint64_t node, uint64_t *index, uint64_t *leader, char detail[256])
{
    const struct rebuild_asks asks = {.node = node, .reason = "its log is damaged"};
    struct rebuild_says says;
    int err = gateway_core_admits(core_of(at), &asks, &says);
    *index = says.min_index;
    *leader = says.leader;
    (void)snprintf(detail, 256, "%.255s", says.why);
    return err;
}

/* "voter", "learner", or "" for none, as the node has it. */
const char *standing_of(struct three_node *at, uint64_t node)
{
    struct gateway_status status = three_status(at);
    for (unsigned i = 0; i < status.members_len; i++) {
        if (status.members[i].id == node) {
            bool learner = strcmp(status.members[i].role, "learner") == 0;
            cr_assert_eq(learner, !status.members[i].voter);
            return learner ? "learner" : "voter";
        }
    }
    return "";
}

void expect_standing(struct three *three, uint64_t node, const char *what)
{
    for (unsigned i = 0; i < THREE; i++) {
        if (three->nodes[i].shard != NULL && !three->nodes[i].paused) {
            cr_assert_str_eq(standing_of(&three->nodes[i], node), what, "at node %u", i + 1);
        }
    }
}
