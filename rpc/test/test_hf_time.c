/* The blocking library and time: it returns when it said it would, and a program may be away for a while. */

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "hf_node.h"

/* What "at once" means on a busy machine; far below what a mistake costs, which are the pauses between pings. */
#define PROMPT_MS 1000u

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

static struct hf *client_with_message(struct hf_node *node, struct hf_message *ret_message)
{
    struct hf *hf = hf_node_client(node);
    uint64_t consumer;
    cr_assert_eq(hf_subscribe(hf, "q", 10, 5000, &consumer), 0);
    cr_assert_eq(hf_next(hf, 5000, ret_message), 0);
    return hf;
}

Test(hf_time, next_without_time_does_not_wait)
{
    struct hf_node node;
    hf_node_start(&node);
    struct hf_message message;
    struct hf *hf = client_with_message(&node, &message);
    uint64_t before = now_ms();
    cr_assert_eq(hf_next(hf, 0, &message), ERR_TIMEOUT);
    cr_assert_lt(now_ms() - before, PROMPT_MS);
    cr_assert_eq(hf_close(hf, 20000), 0);
    hf_node_stop(&node);
}

/* From here on the node says nothing, and a settlement with much time has no answer. */
static void settle_unanswered(struct hf_node *node, struct hf *hf, const struct hf_message *message)
{
    node->mute = true;
    cr_assert_eq(hf_accept(hf, message), 0);
    cr_assert_eq(hf_settle(hf, 60000), 0);
}

Test(hf_time, a_flush_returns_in_its_time_though_earlier_settlements_have_more)
{
    struct hf_node node;
    hf_node_start(&node);
    struct hf_message message;
    struct hf *hf = client_with_message(&node, &message);
    settle_unanswered(&node, hf, &message);
    uint64_t before = now_ms();
    cr_assert_eq(hf_flush(hf, 100), ERR_OUTCOME_UNKNOWN);
    cr_assert_geq(now_ms() - before, 100);
    cr_assert_lt(now_ms() - before, PROMPT_MS);
    node.mute = false; /* Nothing is forgotten: the answer is still waited for. */
    cr_assert_eq(hf_declare(hf, "q", 20000), 0);
    cr_assert_eq(hf_flush(hf, 20000), 0);
    cr_assert_eq(hf_close(hf, 20000), 0);
    hf_node_stop(&node);
}

Test(hf_time, a_close_returns_in_its_time)
{
    struct hf_node node;
    hf_node_start(&node);
    struct hf_message message;
    struct hf *hf = client_with_message(&node, &message);
    settle_unanswered(&node, hf, &message);
    uint64_t before = now_ms();
    cr_assert_eq(hf_close(hf, 200), ERR_OUTCOME_UNKNOWN);
    cr_assert_lt(now_ms() - before, PROMPT_MS);
    hf_node_stop(&node);
}

Test(hf_time, a_submit_waits_for_room_no_longer_than_it_may)
{
    struct hf_node node;
    hf_node_start(&node);
    struct hf *hf = hf_node_client(&node);
    cr_assert_eq(hf_declare(hf, "q", 20000), 0);
    node.mute = true;
    struct hf_body body = {"hello", 5};
    int err = 0;
    uint64_t before = 0;
    unsigned submitted = 0;
    while (err == 0) {
        before = now_ms();
        err = hf_submit(hf, "q", NULL, 0, &body, 1,
                        submitted < 256 * 5 ? 0 : 100); /* Those that fit in may take for ever. */
        submitted += err == 0;
        cr_assert_lt(submitted, 10000);
    }
    cr_assert_eq(err, ERR_BUSY);
    cr_assert_lt(now_ms() - before, PROMPT_MS);
    cr_assert_eq(hf_close(hf, 0), 0);
    hf_node_stop(&node);
}

/* Who sees "refused" may take it for granted that nothing was enqueued: "unknown" is not hidden behind it. */
Test(hf_time, what_is_unknown_is_told_before_what_is_refused)
{
    struct hf_node node;
    hf_node_start(&node);
    struct hf *hf = hf_node_client(&node);
    struct hf_body body = {"hello", 5};
    struct hf_submitted submitted;
    node.full = true;
    cr_assert_eq(hf_submit(hf, "q", NULL, 0, &body, 1, 20000), 0);
    cr_assert_eq(hf_declare(hf, "q", 20000), ERR_NO_SPACE); /* So both refusals have come. */
    node.mute = true;
    cr_assert_eq(hf_submit(hf, "q", NULL, 0, &body, 1, 100), 0);
    cr_assert_eq(hf_wait(hf, 0, &submitted), ERR_OUTCOME_UNKNOWN);
    cr_assert_eq(submitted.enqueued, 0);
    cr_assert_eq(hf_wait(hf, 0, NULL), 0);
    cr_assert_eq(hf_close(hf, 0), 0);
    hf_node_stop(&node);
}

/* A worker that takes long: what has arrived meanwhile counts as heard, before the node is called silent. */
Test(hf_time, a_program_that_was_away_stays_connected)
{
    struct hf_node node;
    hf_node_start(&node);
    struct hf_options options = {.servers = node.address, .silence_timeout_ms = 200};
    struct hf *hf;
    cr_assert_eq(hf_open(&options, &hf), 0);
    uint64_t consumer;
    struct hf_message message;
    cr_assert_eq(hf_subscribe(hf, "q", 10, 5000, &consumer), 0);
    cr_assert_eq(hf_next(hf, 5000, &message), 0);
    cr_assert_eq(hf_accept(hf, &message), 0);
    cr_assert_eq(hf_next(hf, 0, &message), ERR_TIMEOUT); /* The settlement leaves; its answer is not waited for. */
    usleep(500000);                                      /* The work. */
    cr_assert_eq(hf_flush(hf, 20000), 0);
    cr_assert_eq(hf_close(hf, 20000), 0);
    hf_node_stop(&node);
    cr_assert_eq(node.fake.attaches, 1, "attached %u times", node.fake.attaches);
}

/* A node that goes away while the program is elsewhere: the program is not killed by SIGPIPE. */
Test(hf_time, a_broken_connection_is_no_signal)
{
    struct hf_node node;
    hf_node_start(&node);
    struct hf *hf = hf_node_client(&node);
    cr_assert_eq(hf_declare(hf, "q", 20000), 0);
    hf_node_stop(&node);
    signal(SIGPIPE, SIG_DFL);
    static char body[4 << 20];
    struct hf_body bodies[] = {{body, sizeof body}};
    for (unsigned i = 0; i < 8; i++) {
        cr_assert_eq(hf_submit(hf, "q", NULL, 0, bodies, 1, 300), 0);
    }
    int err = hf_wait(hf, 0, NULL);
    cr_assert(err == ERR_OUTCOME_UNKNOWN || err == ERR_UNAVAILABLE, "%s", err_text(err));
    cr_assert_eq(hf_close(hf, 0), 0);
}

/* Works on its message for longer than the node waits, and says now and then that it is there. */
Test(hf_time, a_program_that_polls_may_work_for_long)
{
    struct hf_node node;
    hf_node_start_strict(&node, 2500); /* With a subscription, the client pings after 2 s. */
    struct hf_message message;
    struct hf *hf = client_with_message(&node, &message);
    for (uint64_t end = now_ms() + 3200; now_ms() < end;) {
        usleep(100000);
        cr_assert_eq(hf_poll(hf), 0);
    }
    cr_assert_arr_eq(message.body.data, "delivered", 9); /* It still lives. */
    cr_assert_eq(hf_accept(hf, &message), 0);
    cr_assert_eq(hf_declare(hf, "end the subscription", 20000), 0);
    cr_assert_eq(hf_poll(hf), ERR_NOT_FOUND);
    cr_assert_eq(hf_next(hf, 0, &message), ERR_NOT_FOUND);
    (void)hf_close(hf, 20000);
    hf_node_stop(&node);
    cr_assert_eq(node.fake.attaches, 1, "attached %u times", node.fake.attaches);
}
