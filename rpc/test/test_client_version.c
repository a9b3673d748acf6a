/* A client of a cluster that does not know all that the client does; and one that is not let in. */

#include <criterion/criterion.h>
#include <string.h>

#include "fake_node.h"
#include "rpc/native/native_version.h"

static struct fake_node node;

static void setup(void)
{
    fake_node_init(&node, 1, 0, false);
}

static void teardown(void)
{
    fake_node_done(&node);
}

TestSuite(client_version, .init = setup, .fini = teardown);

static int drain(struct fake_reply *reply)
{
    return client_core_drain(node.core, 1, 0, fake_reply_cb, reply);
}

static int open_producer(struct fake_reply *reply)
{
    Holdfast__OpenProducer open = HOLDFAST__OPEN_PRODUCER__INIT;
    open.producer = (char[]){"p"};
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_OPEN_PRODUCER;
    command.open_producer = &open;
    return client_core_command(node.core, &command, true, 0, fake_reply_cb, reply);
}

Test(client_version, what_an_old_node_would_ignore_is_not_sent_to_it)
{
    node.version_one = true;
    struct fake_reply old = {0};
    struct fake_reply newer = {0};
    struct fake_reply as = {0};
    const struct client_subscription how = {.priority = 3};
    cr_assert_eq(client_core_declare(node.core, "q", 0, fake_reply_cb, &old), 0);
    cr_assert_eq(open_producer(&newer), 0, "it is not known yet whom it will meet");
    cr_assert_eq(client_core_subscribe_as(node.core, "q", 1, 5, &how, 0, fake_reply_cb, &as), 0);
    fake_node_attach(&node, NULL, 0);
    cr_assert_eq(newer.calls, 1);
    cr_assert_eq(newer.err, ERR_VERSION);
    cr_assert_str_eq(newer.detail, NATIVE_VERSION_TEXT);
    cr_assert_eq(as.err, ERR_VERSION);
    cr_assert_eq(fake_node_expect_frame(&node, FRAME_COMMAND)->command, (int)HOLDFAST__COMMAND__KIND_DECLARE_QUEUE);
    fake_node_reply(&node, 1, 0);
    cr_assert_eq(old.calls, 1);
    cr_assert_eq(open_producer(&newer), ERR_VERSION);
    cr_assert_eq(client_core_subscribe_as(node.core, "q", 1, 5, &how, 0, fake_reply_cb, &as), ERR_VERSION);
    cr_assert_eq(client_core_subscribe(node.core, "q", 1, 5, 0, fake_reply_cb, &old), 0, "the number is free again");
    fake_node_expect_frame(&node, FRAME_COMMAND);
    fake_node_reply(&node, 2, 0);
    cr_assert_eq(drain(&newer), ERR_VERSION);
    fake_node_expect_nothing(&node);
    cr_assert_eq(newer.calls, 1);
}

Test(client_version, a_newer_node_says_itself_what_it_knows)
{
    struct fake_reply reply = {0};
    cr_assert_eq(open_producer(&reply), 0);
    fake_node_attach(&node, NULL, 0);
    fake_node_expect_frame(&node, FRAME_COMMAND);
    fake_node_reply(&node, 1, ERR_VERSION);
    cr_assert_eq(reply.err, ERR_VERSION);
}

/* ---- Refused sessions ---- */

static void refuse(int err)
{
    fake_node_connect(&node, NULL);
    fake_node_welcome(&node, 1, 1, "");
    fake_node_expect_frame(&node, FRAME_ATTACH);
    fake_node_goodbye(&node, err, "");
    fake_node_expect(&node, FAKE_DISCONNECT);
}

Test(client_version, a_session_that_is_refused_ends_what_waits)
{
    static const int answers[] = {ERR_NOT_FOUND, ERR_LIMIT, ERR_REFUSED, ERR_INVALID, ERR_NAME};
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct fake_reply declared = {0};
        struct fake_reply subscribed = {0};
        cr_assert_eq(client_core_declare(node.core, "q", 0, fake_reply_cb, &declared), 0);
        cr_assert_eq(client_core_subscribe(node.core, "q", 7, 5, 0, fake_reply_cb, &subscribed), 0);
        refuse(answers[i]);
        cr_assert_eq(declared.calls, 1);
        cr_assert_eq(declared.err, answers[i]);
        cr_assert_neq(declared.detail[0], '\0');
        cr_assert_eq(subscribed.err, answers[i]);
        cr_assert_eq(client_core_unanswered(node.core), 0u);
    }
}

Test(client_version, a_node_that_cannot_serve_is_no_refusal)
{
    struct fake_reply reply = {0};
    cr_assert_eq(client_core_declare(node.core, "q", 0, fake_reply_cb, &reply), 0);
    refuse(ERR_UNAVAILABLE);
    cr_assert_eq(reply.calls, 0);
    fake_node_attach(&node, NULL, 0);
    fake_node_expect_frame(&node, FRAME_COMMAND);
    fake_node_reply(&node, 1, 0);
    cr_assert_eq(reply.calls, 1);
    cr_assert_eq(reply.err, 0);
}

Test(client_version, a_session_that_was_there_is_not_given_up_for_a_limit)
{
    struct fake_reply reply = {0};
    fake_node_attach(&node, NULL, 0);
    client_core_disconnected(node.core, ERR_CLOSED);
    cr_assert_eq(client_core_declare(node.core, "q", 0, fake_reply_cb, &reply), 0);
    refuse(ERR_LIMIT);
    cr_assert_eq(reply.calls, 0);
    fake_node_attach(&node, NULL, 0);
    fake_node_expect_frame(&node, FRAME_COMMAND);
}
