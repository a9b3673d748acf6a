/* The client's queries: asked again wherever it is connected, until they are answered. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "fake_node.h"
#include "rpc/client/client_query.h"

struct query_seen {
    int calls;
    int err;
    bool more;
    uint64_t term;
    uint64_t sessions;
    char text[16];
    char detail[400];
    struct client_queue queue;
    size_t messages_len;
    struct client_message message;
    char body[16];
};

static void query_cb(void *arg, int err, const char *detail, const struct client_query_result *result)
{
    struct query_seen *seen = arg;
    cr_assert_not_null(detail);
    seen->calls++;
    seen->err = err;
    if (result == NULL) {
        snprintf(seen->text, sizeof seen->text, "%.15s", detail);
        snprintf(seen->detail, sizeof seen->detail, "%s", detail);
        return;
    }
    seen->more = result->more;
    if (result->cluster != NULL) {
        seen->term = result->cluster->term;
        seen->sessions = result->cluster->sessions;
        snprintf(seen->text, sizeof seen->text, "%s", result->cluster->refusing);
    }
    if (result->queues_len == 1) {
        seen->queue = result->queues[0];
        snprintf(seen->text, sizeof seen->text, "%s", result->queues[0].name);
    }
    seen->messages_len = result->messages_len;
    if (result->messages_len > 0) {
        seen->message = result->messages[result->messages_len - 1];
        snprintf(seen->body, sizeof seen->body, "%.*s", (int)seen->message.body.len,
                 (const char *)seen->message.body.data);
    }
}

static void answer_error(struct fake_node *node, uint64_t id, int err)
{
    Holdfast__QueryResult result = HOLDFAST__QUERY_RESULT__INIT;
    result.id = id;
    result.error = (uint32_t)-err;
    fake_node_send(node, FRAME_QUERY_RESULT, &result.base, NULL, 0);
}

static void answer_queue(struct fake_node *node, uint64_t id, size_t times)
{
    Holdfast__QueueInfo info = HOLDFAST__QUEUE_INFO__INIT;
    char name[] = "jobs";
    info.name = name;
    info.enqueued = 10;
    info.delivered = 9;
    info.settled = 8;
    info.released = 1;
    info.oldest_ms = 500;
    info.log_time_ms = 700;
    Holdfast__QueueInfo *list[] = {&info, &info};
    Holdfast__QueryResult result = HOLDFAST__QUERY_RESULT__INIT;
    result.id = id;
    result.n_queues = times;
    result.queues = list;
    fake_node_send(node, FRAME_QUERY_RESULT, &result.base, NULL, 0);
}

Test(client_ask, queries_are_asked_again_and_need_no_session_when_that_is_all)
{
    struct fake_node node;
    struct query_seen seen = {0};
    fake_node_init(&node, 1, 0, true);
    cr_assert_eq(client_core_query_cluster(node.core, 0, query_cb, &seen), 0);
    fake_node_connect(&node, NULL);
    fake_node_welcome(&node, 1, 2, "elsewhere:1"); /* Not followed. */
    fake_node_expect_frame(&node, FRAME_QUERY);
    client_core_disconnected(node.core, ERR_CLOSED);
    fake_node_connect(&node, NULL);
    fake_node_welcome(&node, 1, 0, "");
    uint64_t id = fake_node_expect_frame(&node, FRAME_QUERY)->id;
    Holdfast__ClusterInfo cluster = HOLDFAST__CLUSTER_INFO__INIT;
    char refusing[] = "node 2: disk";
    cluster.term = 12;
    cluster.refusing = refusing;
    cluster.sessions = 5;
    Holdfast__QueryResult result = HOLDFAST__QUERY_RESULT__INIT;
    result.id = id;
    result.cluster = &cluster;
    fake_node_send(&node, FRAME_QUERY_RESULT, &result.base, NULL, 0);
    cr_assert_eq(seen.calls, 1);
    cr_assert_eq(seen.err, 0);
    cr_assert_eq(seen.term, 12);
    cr_assert_eq(seen.sessions, 5);
    cr_assert_str_eq(seen.text, "node 2: disk");
    fake_node_done(&node);
}

Test(client_ask, what_one_node_cannot_answer_is_asked_of_the_next)
{
    struct fake_node node;
    struct query_seen seen = {0};
    fake_node_init(&node, 2, 0, false);
    cr_assert_eq(client_core_query_queues(node.core, NULL, 0, query_cb, &seen), 0);
    fake_node_attach(&node, "a:1", 0);
    answer_error(&node, fake_node_expect_frame(&node, FRAME_QUERY)->id, ERR_UNAVAILABLE);
    fake_node_expect(&node, FAKE_DISCONNECT);
    cr_assert_eq(seen.calls, 0);
    fake_node_attach(&node, "b:1", 0);
    answer_queue(&node, fake_node_expect_frame(&node, FRAME_QUERY)->id, 1);
    cr_assert_eq(seen.calls, 1);
    cr_assert_str_eq(seen.text, "jobs");
    fake_node_done(&node);
}

Test(client_ask, one_queue_with_its_counters)
{
    struct fake_node node;
    struct query_seen seen = {0}, missing = {0};
    fake_node_init(&node, 1, 0, false);
    fake_node_attach(&node, NULL, 0);
    cr_assert_eq(client_core_query_queue(node.core, "jobs", 0, query_cb, &seen), 0);
    cr_assert_eq(client_core_query_queue(node.core, "none", 0, query_cb, &missing), 0);
    cr_assert_eq(client_core_query_queue(node.core, "", 0, query_cb, &missing), ERR_NAME);
    const struct fake_event *event = fake_node_expect_frame(&node, FRAME_QUERY);
    cr_assert_eq(event->query, (int)HOLDFAST__QUERY__KIND__QUEUE);
    cr_assert_str_eq(event->queue, "jobs");
    answer_queue(&node, event->id, 1);
    cr_assert_eq(seen.queue.enqueued, 10);
    cr_assert_eq(seen.queue.delivered, 9);
    cr_assert_eq(seen.queue.settled, 8);
    cr_assert_eq(seen.queue.released, 1);
    cr_assert_eq(seen.queue.oldest_ms, 500);
    cr_assert_eq(seen.queue.log_time_ms, 700);
    answer_error(&node, fake_node_expect_frame(&node, FRAME_QUERY)->id, ERR_NOT_FOUND);
    cr_assert_eq(missing.calls, 1);
    cr_assert_eq(missing.err, ERR_NOT_FOUND);
    cr_assert_str_eq(missing.text, "no such thing");
    fake_node_expect_nothing(&node);
    fake_node_done(&node);
}

Test(client_ask, an_answer_with_two_queues_to_one_breaks_the_rules)
{
    struct fake_node node;
    struct query_seen seen = {0};
    fake_node_init(&node, 1, 0, false);
    fake_node_attach(&node, NULL, 0);
    cr_assert_eq(client_core_query_queue(node.core, "jobs", 0, query_cb, &seen), 0);
    answer_queue(&node, fake_node_expect_frame(&node, FRAME_QUERY)->id, 2);
    fake_node_expect(&node, FAKE_DISCONNECT);
    cr_assert_eq(seen.calls, 0);
    fake_node_done(&node);
}

/* Answers a browse with "one" and "three", whose lengths and checksums are off by what is given. */
static void answer_browse(struct fake_node *node, uint64_t id, int len_error, uint64_t hash_error)
{
    Holdfast__BrowsedMessage one = HOLDFAST__BROWSED_MESSAGE__INIT;
    Holdfast__BrowsedMessage three = HOLDFAST__BROWSED_MESSAGE__INIT;
    one.position = 7;
    one.body_len = 3;
    one.body_hash = XXH3_64bits("one", 3);
    three.position = 9;
    three.body_len = (uint32_t)(5 + len_error);
    three.body_hash = XXH3_64bits("three", 5) + hash_error;
    three.locked = true;
    three.delivery_count = 2;
    Holdfast__BrowsedMessage *list[] = {&one, &three};
    Holdfast__QueryResult result = HOLDFAST__QUERY_RESULT__INIT;
    result.id = id;
    result.n_messages = 2;
    result.messages = list;
    result.more = true;
    fake_node_send(node, FRAME_QUERY_RESULT, &result.base, "onethree", 8);
}

Test(client_ask, looks_at_messages_where_they_are)
{
    struct fake_node node;
    struct query_seen seen = {0};
    fake_node_init(&node, 1, 0, false);
    fake_node_attach(&node, NULL, 0);
    cr_assert_eq(client_core_query_browse(node.core, "q", 5, 0, 0, query_cb, &seen), ERR_INVALID);
    cr_assert_eq(client_core_query_browse(node.core, "q", 5, 10, 0, query_cb, &seen), 0);
    const struct fake_event *event = fake_node_expect_frame(&node, FRAME_QUERY);
    cr_assert_eq(event->query, (int)HOLDFAST__QUERY__KIND__BROWSE);
    cr_assert_str_eq(event->queue, "q");
    cr_assert_eq(event->position, 5);
    cr_assert_eq(event->max, 10);
    answer_browse(&node, event->id, 0, 0);
    cr_assert_eq(seen.messages_len, 2);
    cr_assert_str_eq(seen.body, "three");
    cr_assert_eq(seen.message.position, 9);
    cr_assert_eq(seen.message.delivery_count, 2);
    cr_assert(seen.message.locked);
    cr_assert(seen.more);
    fake_node_done(&node);
}

Test(client_ask, damaged_messages_are_not_shown)
{
    static const struct {
        int len_error;
        uint64_t hash_error;
    } damages[] = {{1, 0}, {-1, 0}, {0, 1}};
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        struct fake_node node;
        struct query_seen seen = {0};
        fake_node_init(&node, 1, 0, false);
        fake_node_attach(&node, NULL, 0);
        cr_assert_eq(client_core_query_browse(node.core, "q", 0, 10, 0, query_cb, &seen), 0);
        answer_browse(&node, fake_node_expect_frame(&node, FRAME_QUERY)->id, damages[i].len_error,
                      damages[i].hash_error);
        fake_node_expect(&node, FAKE_DISCONNECT);
        cr_assert_eq(seen.calls, 0);
        fake_node_done(&node);
    }
}

Test(client_ask, leadership_is_handed_over_once)
{
    struct fake_node node;
    struct query_seen lost = {0}, refused = {0}, done = {0};
    fake_node_init(&node, 2, 0, false);
    cr_assert_eq(client_core_transfer(node.core, 3, 0, query_cb, &lost), 0);
    fake_node_attach(&node, "a:1", 0);
    const struct fake_event *event = fake_node_expect_frame(&node, FRAME_QUERY);
    cr_assert_eq(event->query, (int)HOLDFAST__QUERY__KIND__TRANSFER);
    cr_assert_eq(event->node, 3);
    client_core_disconnected(node.core, ERR_CLOSED);
    cr_assert_eq(lost.err, ERR_OUTCOME_UNKNOWN);
    fake_node_attach(&node, "b:1", 0);
    fake_node_expect_nothing(&node);
    cr_assert_eq(client_core_transfer(node.core, 0, 0, query_cb, &refused), 0);
    answer_error(&node, fake_node_expect_frame(&node, FRAME_QUERY)->id, ERR_UNAVAILABLE);
    cr_assert_eq(refused.calls, 0, "it was not done: it can be asked of another");
    fake_node_expect(&node, FAKE_DISCONNECT);
    fake_node_attach(&node, NULL, 0);
    answer_error(&node, fake_node_expect_frame(&node, FRAME_QUERY)->id, 0);
    cr_assert_eq(refused.calls, 1);
    cr_assert_eq(refused.err, 0);
    cr_assert_eq(client_core_transfer(node.core, 0, 100, query_cb, &done), 0);
    fake_node_run(&node, 100);
    cr_assert_eq(done.err, ERR_OUTCOME_UNKNOWN);
    fake_node_done(&node);
}

Test(client_ask, a_handover_without_an_answer_may_have_been_done)
{
    struct fake_node node;
    struct query_seen sent = {0};
    struct query_seen unsent = {0};
    fake_node_init(&node, 1, 0, true);
    cr_assert_eq(client_core_transfer(node.core, 2, 500, query_cb, &unsent), 0);
    fake_node_run(&node, 500);
    cr_assert_eq(unsent.err, ERR_UNAVAILABLE); /* Nobody has been asked. */
    fake_node_connect(&node, "a:1");
    fake_node_welcome(&node, 1, 1, "a:1");
    cr_assert_eq(client_core_transfer(node.core, 2, 500, query_cb, &sent), 0);
    fake_node_expect_frame(&node, FRAME_QUERY);
    fake_node_run(&node, 500);
    cr_assert_eq(sent.err, ERR_OUTCOME_UNKNOWN, "%s", err_text(sent.err));
    fake_node_done(&node);
}

Test(client_ask, a_query_without_an_answer_says_what_the_node_knew)
{
    struct fake_node node;
    struct query_seen seen = {0};
    fake_node_init(&node, 1, 0, true);
    fake_node_run(&node, 0);
    fake_node_connect(&node, "a:1");
    fake_node_welcome(&node, 1, 0, "");
    cr_assert_eq(client_core_query_queues(node.core, "", 500, query_cb, &seen), 0);
    fake_node_expect_frame(&node, FRAME_QUERY);
    fake_node_run(&node, 500);
    cr_assert_eq(seen.err, ERR_TIMEOUT);
    cr_assert_not_null(strstr(seen.detail, "a:1 gave no answer in time; it knew no leader"), "%s", seen.detail);
    fake_node_done(&node);
}

Test(client_ask, a_change_of_the_membership_is_asked_for_again_and_its_outcome_may_be_unknown)
{
    struct fake_node node;
    struct query_seen added = {0};
    struct query_seen busy = {0};
    fake_node_init(&node, 2, 0, false);
    cr_assert_eq(client_core_change_member(node.core, CLIENT_ADD_MEMBER, 0, "x:1", 0, query_cb, &added), ERR_INVALID);
    cr_assert_eq(client_core_change_member(node.core, CLIENT_ADD_MEMBER, 4, "x:1", 0, query_cb, &added), 0);
    fake_node_attach(&node, "a:1", 0);
    const struct fake_event *event = fake_node_expect_frame(&node, FRAME_QUERY);
    cr_assert_eq(event->query, (int)HOLDFAST__QUERY__KIND__ADD_MEMBER);
    cr_assert_eq(event->node, 4);
    cr_assert_str_eq(event->queue, "x:1");
    client_core_disconnected(node.core, ERR_CLOSED);
    cr_assert_eq(added.calls, 0, "what is so already is done: it can be asked for again");
    fake_node_attach(&node, "b:1", 0);
    answer_error(&node, fake_node_expect_frame(&node, FRAME_QUERY)->id, 0);
    cr_assert_eq(added.calls, 1);
    cr_assert_eq(added.err, 0);
    cr_assert_eq(client_core_change_member(node.core, CLIENT_DEMOTE_MEMBER, 4, NULL, 0, query_cb, &busy), 0);
    event = fake_node_expect_frame(&node, FRAME_QUERY);
    cr_assert_eq(event->query, (int)HOLDFAST__QUERY__KIND__DEMOTE_MEMBER);
    answer_error(&node, event->id, ERR_BUSY);
    cr_assert_eq(busy.err, ERR_BUSY);
    cr_assert_eq(client_core_change_member(node.core, CLIENT_REMOVE_MEMBER, 4, NULL, 500, query_cb, &busy), 0);
    answer_error(&node, fake_node_expect_frame(&node, FRAME_QUERY)->id, ERR_UNAVAILABLE);
    cr_assert_eq(busy.err, ERR_UNAVAILABLE, "in the node's words, and not asked again by itself");
    fake_node_expect(&node, FAKE_DISCONNECT);
    fake_node_attach(&node, NULL, 0);
    cr_assert_eq(client_core_change_member(node.core, CLIENT_PROMOTE_MEMBER, 4, NULL, 100, query_cb, &busy), 0);
    fake_node_expect_frame(&node, FRAME_QUERY);
    client_core_disconnected(node.core, ERR_CLOSED);
    fake_node_run(&node, 100);
    cr_assert_eq(busy.calls, 3);
    cr_assert_eq(busy.err, ERR_OUTCOME_UNKNOWN, "it was sent once, and may have been done");
    fake_node_done(&node);
}

Test(client_ask, a_repair_is_asked_for_once)
{
    struct fake_node node;
    struct query_seen seen = {0};
    fake_node_init(&node, 2, 0, false);
    cr_assert_eq(client_core_change_member(node.core, CLIENT_REPAIR_MEMBER, 4, NULL, 0, query_cb, &seen), 0);
    fake_node_attach(&node, "a:1", 0);
    cr_assert_eq(fake_node_expect_frame(&node, FRAME_QUERY)->query, (int)HOLDFAST__QUERY__KIND__REPAIR_MEMBER);
    client_core_disconnected(node.core, ERR_CLOSED);
    cr_assert_eq(seen.err, ERR_OUTCOME_UNKNOWN);
    fake_node_done(&node);
}
