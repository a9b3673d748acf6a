/* Queue.Declare, Delete and Purge: commands, counts, and RabbitMQ's words. */

#include <string.h>

#include "amqp_fixture.h"

#define LOCKED(name)                                                                                                   \
    "cannot obtain exclusive access to locked queue '" name                                                            \
    "' in vhost '/'. It could be originally declared on another connection or the exclusive property value does not "  \
    "match that of the original declaration."

static struct amqp_fixture f;
static char note_durable[] = "AMQP: durable";
static Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
static struct gateway_queue there = {.name = "q", .options = &options};

static void setup(void)
{
    amqp_fixture_open(&f);
    options.note = note_durable;
    f.fake.queue_is = &there;
}

static void teardown(void)
{
    amqp_fixture_close(&f);
}

TestSuite(amqp_queue, .init = setup, .fini = teardown);

/* Of the queue "q", durable. */
#define DECLARE(...) AMQP_GIVE(&f, 1, queue_declare, .queue = amqp_text("q"), .durable = true, __VA_ARGS__)

static const Holdfast__DeclareQueue *expect_declare(void)
{
    return AMQP_COMMAND(&f, DECLARE_QUEUE)->declare_queue;
}

static void expect_otherwise(const char *words)
{
    (void)expect_declare();
    AMQP_REPLY(&f, .error = -ERR_EXISTS, .detail = "the queue is there with other options");
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_queue_declare, words);
    amqp_fixture_channel(&f, 1);
}

static void expect_refused(int err, enum amqp_code code, uint32_t id, const char *words)
{
    AMQP_REPLY(&f, .error = (uint32_t)-err, .detail = "the machine's words");
    amqp_fixture_channel_closes(&f, 1, code, id, words);
    amqp_fixture_channel(&f, 1);
}

Test(amqp_queue, declared_and_counted)
{
    DECLARE();
    const Holdfast__DeclareQueue *declare = expect_declare();
    cr_assert_str_eq(declare->queue, "q");
    cr_assert_not(declare->passive || declare->options->exclusive || declare->options->auto_delete);
    cr_assert_str_eq(declare->options->note, "AMQP: durable");
    AMQP_REPLY(&f, .count = 7, .repeated_count = 3);
    const struct amqp_queue_declare_ok *ok = AMQP_TAKE(&f, 1, queue_declare_ok);
    cr_assert(amqp_fixture_is(ok->queue, "q"));
    cr_assert_eq(ok->message_count, 7u);
    cr_assert_eq(ok->consumer_count, 3u);
}

Test(amqp_queue, more_than_a_count_holds)
{
    DECLARE();
    AMQP_REPLY(&f, .count = (uint64_t)UINT32_MAX + 5);
    cr_assert_eq(AMQP_TAKE(&f, 1, queue_declare_ok)->message_count, UINT32_MAX);
}

Test(amqp_queue, its_note_tells_what_makes_no_difference)
{
    there.name = "elsewhere";
    static const struct {
        bool durable;
        const char *type;
        const char *note;
    } cases[] = {{true, "quorum", "AMQP: durable, quorum"},
                 {false, "quorum", "AMQP: transient, quorum"},
                 {true, "classic", "AMQP: durable"}};
    for (unsigned i = 0; i < 3; i++) {
        AMQP_GIVE(&f, 1, queue_declare, .queue = amqp_text("q"), .durable = cases[i].durable,
                  .arguments = amqp_fixture_table(&f, "x-queue-type", 'S', cases[i].type, NULL));
        cr_assert_str_eq(expect_declare()->options->note, cases[i].note);
        AMQP_REPLY(&f);
        (void)AMQP_TAKE(&f, 1, queue_declare_ok);
    }
}

Test(amqp_queue, both_types_are_one)
{
    options.note = (char[]){"AMQP: durable, quorum"};
    DECLARE(.arguments = amqp_fixture_table(&f, "x-queue-type", 'S', "classic", NULL));
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, queue_declare_ok);
}

Test(amqp_queue, with_everything)
{
    there.name = "elsewhere";
    AMQP_GIVE(&f, 1, queue_declare, .queue = amqp_text("q"), .exclusive = true, .auto_delete = true,
              .arguments = amqp_fixture_table(&f, "x-max-length", 'I', 5, "x-what", 'V', NULL));
    const Holdfast__DeclareQueue *declare = expect_declare();
    cr_assert(declare->options->exclusive && declare->options->auto_delete);
    cr_assert(declare->options->has_max_length && declare->options->max_length == 5);
    cr_assert_str_eq(declare->options->note, "AMQP: transient");
}

Test(amqp_queue, the_server_makes_up_a_name)
{
    AMQP_GIVE(&f, 1, queue_declare, .exclusive = true);
    const char *name = expect_declare()->queue;
    cr_assert_eq(strncmp(name, "amq.gen-", 8), 0, "%s", name);
    cr_assert_eq(strlen(name), 30u);
    AMQP_REPLY(&f);
    cr_assert(amqp_fixture_is(AMQP_TAKE(&f, 1, queue_declare_ok)->queue, name));
    AMQP_GIVE(&f, 1, queue_delete);
    cr_assert_str_eq(AMQP_COMMAND(&f, DELETE_QUEUE)->delete_queue->queue, name);
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, queue_delete_ok);
    AMQP_GIVE(&f, 1, queue_declare, .exclusive = true);
    cr_assert_str_neq(expect_declare()->queue, name);
}

Test(amqp_queue, no_wait_is_not_answered_unless_it_fails)
{
    DECLARE(.no_wait = true);
    AMQP_REPLY(&f);
    AMQP_GIVE(&f, 1, queue_purge, .no_wait = true);
    AMQP_REPLY(&f);
    AMQP_GIVE(&f, 1, queue_delete, .no_wait = true);
    AMQP_REPLY(&f);
    amqp_fixture_nothing(&f);
    (void)expect_declare();
    cr_assert_str_eq(AMQP_COMMAND(&f, PURGE_QUEUE)->purge_queue->queue, "q");
    cr_assert_str_eq(AMQP_COMMAND(&f, DELETE_QUEUE)->delete_queue->queue, "q");
    options.auto_delete = true;
    DECLARE(.no_wait = true);
    expect_otherwise(
        "inequivalent arg 'auto_delete' for queue 'q' in vhost '/': received 'false' but current is 'true'");
}

Test(amqp_queue, the_next_method_waits_for_the_answer)
{
    DECLARE();
    AMQP_GIVE(&f, 1, queue_purge);
    (void)expect_declare();
    amqp_fixture_no_command(&f);
    AMQP_REPLY(&f, .error = -ERR_EXCLUSIVE);
    amqp_fixture_channel_closes(&f, 1, AMQP_RESOURCE_LOCKED, AMQP_queue_declare, LOCKED("q"));
    amqp_fixture_no_command(&f); /* What came behind the one that failed is dropped. */
}

Test(amqp_queue, passive_compares_nothing)
{
    options.auto_delete = true;
    AMQP_GIVE(&f, 1, queue_declare, .queue = amqp_text("q"), .passive = true,
              .arguments = amqp_fixture_table(&f, "x-max-length", 'S', "what", NULL));
    const Holdfast__DeclareQueue *declare = expect_declare();
    cr_assert(declare->passive && declare->options == NULL);
    AMQP_REPLY(&f, .count = 1);
    cr_assert_eq(AMQP_TAKE(&f, 1, queue_declare_ok)->message_count, 1u);
    AMQP_GIVE(&f, 1, queue_declare, .queue = amqp_text("amq.nothing"), .passive = true);
    expect_refused(ERR_NOT_FOUND, AMQP_NOT_FOUND, AMQP_queue_declare, "no queue 'amq.nothing' in vhost '/'");
    AMQP_GIVE(&f, 1, queue_declare, .queue = amqp_text("q"), .passive = true);
    expect_refused(ERR_EXCLUSIVE, AMQP_RESOURCE_LOCKED, AMQP_queue_declare, LOCKED("q"));
    AMQP_GIVE(&f, 1, queue_declare, .passive = true);
    amqp_fixture_channel_closes(&f, 1, AMQP_NOT_FOUND, AMQP_queue_declare, "no queue '' in vhost '/'");
}

Test(amqp_queue, reserved_names)
{
    AMQP_GIVE(&f, 1, queue_declare, .queue = amqp_text("amq.gen-mine"));
    amqp_fixture_channel_closes(&f, 1, AMQP_ACCESS_REFUSED, AMQP_queue_declare,
                                "queue name 'amq.gen-mine' contains reserved prefix 'amq.*'");
    amqp_fixture_no_command(&f);
}

Test(amqp_queue, a_wrong_argument_is_named)
{
    DECLARE(.arguments = amqp_fixture_table(&f, "x-message-ttl", 'I', -1, NULL));
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_queue_declare,
                                "invalid arg 'x-message-ttl' for queue 'q' in vhost '/': {value_negative,-1}");
    amqp_fixture_channel(&f, 1);
    DECLARE(.arguments = amqp_fixture_table(&f, "x-dead-letter-exchange", 'I', 5, NULL));
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_queue_declare,
                                "invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue 'q' in vhost '/'");
    amqp_fixture_no_command(&f);
}

Test(amqp_queue, each_difference_is_named)
{
    options.has_ttl = true;
    options.ttl_ms = 1000;
    DECLARE(.auto_delete = true, .arguments = amqp_fixture_table(&f, "x-message-ttl", 'I', 2000, NULL));
    expect_otherwise(
        "inequivalent arg 'auto_delete' for queue 'q' in vhost '/': received 'true' but current is 'false'");
    DECLARE(.arguments = amqp_fixture_table(&f, "x-message-ttl", 'I', 2000, NULL));
    expect_otherwise(
        "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received '2000' but current is '1000'");
    DECLARE();
    expect_otherwise("inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received none but current is the "
                     "value '1000' of type 'signedint'");
    DECLARE(.arguments = amqp_fixture_table(&f, "x-message-ttl", 'I', 1000, "x-dead-letter-exchange", 'S', "d", NULL));
    expect_otherwise("inequivalent arg 'x-dead-letter-exchange' for queue 'q' in vhost '/': received the value 'd' of "
                     "type 'longstr' but current is none");
}

Test(amqp_queue, exclusive_or_not_is_a_matter_of_locks)
{
    DECLARE(.exclusive = true);
    (void)expect_declare();
    expect_refused(ERR_EXISTS, AMQP_RESOURCE_LOCKED, AMQP_queue_declare, LOCKED("q"));
    options.exclusive = true;
    DECLARE(.auto_delete = true);
    (void)expect_declare();
    expect_refused(ERR_EXISTS, AMQP_RESOURCE_LOCKED, AMQP_queue_declare, LOCKED("q"));
}

/* The machine does not compare it. */
Test(amqp_queue, durable_is_compared_when_it_is_known)
{
    AMQP_GIVE(&f, 1, queue_declare, .queue = amqp_text("q"));
    AMQP_REPLY(&f);
    amqp_fixture_channel_closes(
        &f, 1, AMQP_PRECONDITION_FAILED, AMQP_queue_declare,
        "inequivalent arg 'durable' for queue 'q' in vhost '/': received 'false' but current is 'true'");
    amqp_fixture_channel(&f, 1);
    options.note = (char[]){"AMQP: transient"};
    DECLARE();
    AMQP_REPLY(&f);
    amqp_fixture_channel_closes(
        &f, 1, AMQP_PRECONDITION_FAILED, AMQP_queue_declare,
        "inequivalent arg 'durable' for queue 'q' in vhost '/': received 'true' but current is 'false'");
    amqp_fixture_channel(&f, 1);
    options.note = (char[]){"an operator's"};
    DECLARE();
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, queue_declare_ok);
}

/* As a length that the virtual host gives to queues without one, and what was changed since. */
Test(amqp_queue, what_the_machine_takes_for_the_same_is_the_same)
{
    options.has_max_length = true;
    options.max_length = 1000;
    options.exclusive = true;
    DECLARE();
    AMQP_REPLY(&f);
    (void)AMQP_TAKE(&f, 1, queue_declare_ok);
}

/* Others may have changed or deleted it since. */
Test(amqp_queue, without_a_difference_the_machine_has_the_word)
{
    DECLARE();
    expect_otherwise("the queue is there with other options");
    there.name = "elsewhere";
    DECLARE();
    expect_otherwise("the queue is there with other options");
}

Test(amqp_queue, above_a_limit_the_connection_ends)
{
    DECLARE();
    AMQP_REPLY(&f, .error = -ERR_LIMIT, .detail = "the virtual host has as many queues as it may");
    amqp_fixture_connection_closes(&f, AMQP_RESOURCE_ERROR, AMQP_queue_declare,
                                   "the virtual host has as many queues as it may");
}

Test(amqp_queue, deleted_and_counted)
{
    AMQP_GIVE(&f, 1, queue_delete, .queue = amqp_text("q"), .if_unused = true, .if_empty = true);
    const Holdfast__DeleteQueue *delete = AMQP_COMMAND(&f, DELETE_QUEUE)->delete_queue;
    cr_assert(delete->if_unused && delete->if_none_ready && !delete->if_empty);
    AMQP_REPLY(&f, .count = 11, .repeated_count = 9);
    cr_assert_eq(AMQP_TAKE(&f, 1, queue_delete_ok)->message_count, 9u, "without those that are out");
    AMQP_GIVE(&f, 1, queue_delete, .queue = amqp_text("missing"));
    AMQP_REPLY(&f, .error = -ERR_NOT_FOUND);
    cr_assert_eq(AMQP_TAKE(&f, 1, queue_delete_ok)->message_count, 0u);
    AMQP_GIVE(&f, 1, queue_delete, .queue = amqp_text("q"));
    expect_refused(ERR_EXCLUSIVE, AMQP_RESOURCE_LOCKED, AMQP_queue_delete, LOCKED("q"));
}

Test(amqp_queue, conditions_for_deleting)
{
    there.ready = 1;
    AMQP_GIVE(&f, 1, queue_delete, .queue = amqp_text("q"), .if_empty = true);
    expect_refused(ERR_REFUSED, AMQP_PRECONDITION_FAILED, AMQP_queue_delete, "queue 'q' in vhost '/' not empty");
    AMQP_GIVE(&f, 1, queue_delete, .queue = amqp_text("q"), .if_unused = true);
    expect_refused(ERR_REFUSED, AMQP_PRECONDITION_FAILED, AMQP_queue_delete, "queue 'q' in vhost '/' in use");
    AMQP_GIVE(&f, 1, queue_delete, .queue = amqp_text("q"), .if_unused = true, .if_empty = true);
    expect_refused(ERR_REFUSED, AMQP_PRECONDITION_FAILED, AMQP_queue_delete, "queue 'q' in vhost '/' not empty");
    there.ready = 0;
    AMQP_GIVE(&f, 1, queue_delete, .queue = amqp_text("q"), .if_unused = true, .if_empty = true);
    expect_refused(ERR_REFUSED, AMQP_PRECONDITION_FAILED, AMQP_queue_delete, "queue 'q' in vhost '/' in use");
    options.protected_ = true;
    AMQP_GIVE(&f, 1, queue_delete, .queue = amqp_text("q"), .if_unused = true);
    expect_refused(ERR_REFUSED, AMQP_ACCESS_REFUSED, AMQP_queue_delete, "the machine's words");
}

Test(amqp_queue, purged_and_counted)
{
    AMQP_GIVE(&f, 1, queue_purge, .queue = amqp_text("q"));
    cr_assert_str_eq(AMQP_COMMAND(&f, PURGE_QUEUE)->purge_queue->queue, "q");
    AMQP_REPLY(&f, .count = 4);
    cr_assert_eq(AMQP_TAKE(&f, 1, queue_purge_ok)->message_count, 4u);
    AMQP_GIVE(&f, 1, queue_purge, .queue = amqp_text("q"));
    expect_refused(ERR_NOT_FOUND, AMQP_NOT_FOUND, AMQP_queue_purge, "no queue 'q' in vhost '/'");
    AMQP_GIVE(&f, 1, queue_purge, .queue = amqp_text("q"));
    expect_refused(ERR_EXCLUSIVE, AMQP_RESOURCE_LOCKED, AMQP_queue_purge, LOCKED("q"));
}

Test(amqp_queue, answers_to_a_channel_that_is_closed_are_dropped)
{
    DECLARE();
    AMQP_GIVE(&f, 2, queue_declare, .queue = amqp_text("q")); /* Not open: the connection ends when it is looked at. */
    (void)expect_declare();
    amqp_fixture_leave(&f);
    AMQP_REPLY(&f, .error = -ERR_EXISTS);
    cr_assert_eq(f.read, f.sent.len);
}
