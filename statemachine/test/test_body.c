/* Bodies that several messages share: there once, for as long as one of the messages is there. */

#include "statemachine/message/body.h"

#include <criterion/criterion.h>
#include <string.h>

#include "fixture.h"
#include "statemachine/state.h"

static struct fixture f;

static struct queue *queue_of(const char *name)
{
    return queue_by_name(f.machine, VIRTUAL_HOST_ROOT, name);
}

static void declare(const char *name)
{
    struct queue_options options;
    struct queue *queue;
    queue_options_init(&options);
    cr_assert_eq(queue_new(f.machine, f.machine->next_queue++, VIRTUAL_HOST_ROOT, name, 1, &options, &queue), 0);
    queue_changed(f.machine, queue);
}

static void start(void)
{
    fixture_init(&f);
    f.machine->version = 2;
    declare("a");
    declare("b");
    declare("c");
}

static void stop(void)
{
    fixture_done(&f);
}

TestSuite(body, .init = start, .fini = stop);

/* One message to all three queues. */
static void push_to_all(const char *text)
{
    static const char *const names[] = {"a", "b", "c"};
    struct slice content;
    uint64_t position;
    cr_assert_eq(slice_copy(text, strlen(text), &content), 0);
    struct message message = {.blob = content.blob,
                              .data = content.data,
                              .hash = XXH3_64bits(content.data, content.len),
                              .trail = (const uint8_t *)"trail",
                              .trail_len = 5,
                              .head_len = 1,
                              .body_len = (uint32_t)content.len - 1};
    cr_assert_eq(body_share(f.machine, &message, 3), 0);
    for (size_t i = 0; i < 3; i++) {
        message_ref(&message);
        cr_assert_eq(queue_push(f.machine, queue_of(names[i]), &message, 0, &position), 0);
    }
    message_unref(&message);
}

static void restart(void)
{
    uint64_t digest = fixture_digest(&f);
    fixture_checkpoint(&f);
    cr_assert_eq(fixture_digest(&f), digest);
    if (MACHINE_VERSION_MAX >= 2) {
        fixture_crash(&f);
        cr_assert_eq(fixture_digest(&f), digest);
    }
    f.machine->version = 2;
}

static size_t rows(enum row_kind kind)
{
    struct row_key key = row_key_plain(kind);
    struct row_key end = row_key_after(&key);
    struct table_row found;
    size_t len = 0;
    while (table_seek(f.machine, &key, &end, &found) == 0) {
        key = row_key_next(&found.key);
        table_row_done(&found);
        len++;
    }
    return len;
}

static void expect(const char *name, uint64_t position, const char *text)
{
    struct machine_content content;
    cr_assert_eq(machine_content(f.machine, queue_of(name)->id, position, &content), 0);
    cr_assert(content.head.len == 1 && content.body.len == strlen(text) - 1 && content.trail.len == 5);
    cr_assert_eq(memcmp(content.content.data, text, strlen(text)), 0);
    cr_assert_eq(memcmp(content.trail.data, "trail", 5), 0);
    machine_content_done(&content);
}

static void settle(const char *name)
{
    struct queue *queue = queue_of(name);
    struct taken taken;
    unsigned budget = 1;
    bool found;
    cr_assert_eq(queue_take(f.machine, queue, &budget, &taken, &found), 0);
    struct delivery delivery = {.position = taken.position};
    cr_assert_eq(queue_settle(f.machine, queue, &delivery), 0);
}

Test(body, is_there_until_the_last_message_has_gone)
{
    push_to_all("first one");
    push_to_all("second");
    cr_assert(rows(ROW_BODY) == 2 && rows(ROW_BODY_USES) == 2);
    expect("a", 2, "second");
    restart();
    expect("a", 1, "first one");
    expect("c", 2, "second");
    settle("a");
    settle("b");
    restart();
    cr_assert_eq(rows(ROW_BODY), 2u);
    expect("c", 1, "first one");
    settle("c");
    cr_assert(rows(ROW_BODY) == 1 && rows(ROW_BODY_USES) == 1);
    restart();
    cr_assert_eq(rows(ROW_BODY), 1u);
    expect("c", 2, "second");
}

Test(body, goes_with_queues_that_are_purged_or_deleted)
{
    push_to_all("stored");
    restart();
    push_to_all("in memory");
    settle("a");
    cr_assert_eq(queue_drop_ready(f.machine, queue_of("b"), 2), 0);
    cr_assert_eq(queue_purge(f.machine, queue_of("a")), 0);
    cr_assert_eq(queue_delete(f.machine, queue_of("b")), 0);
    fixture_tick(&f, f.time_ms);
    cr_assert_eq(rows(ROW_BODY), 2u);
    restart();
    expect("c", 2, "in memory");
    cr_assert_eq(queue_delete(f.machine, queue_of("c")), 0);
    fixture_tick(&f, f.time_ms);
    cr_assert(rows(ROW_BODY) == 0 && rows(ROW_BODY_USES) == 0);
    restart();
    cr_assert(rows(ROW_BODY) == 0 && rows(ROW_BODY_USES) == 0);
}

/* As many as are looked at in one pass over the store, and more. */
Test(body, of_many_stored_messages_go_with_their_queue)
{
    for (unsigned i = 0; i < 600; i++) {
        push_to_all("many");
    }
    restart();
    cr_assert_eq(queue_delete(f.machine, queue_of("a")), 0);
    cr_assert_eq(queue_purge(f.machine, queue_of("b")), 0);
    cr_assert_eq(rows(ROW_BODY), 600u);
    cr_assert_eq(queue_delete(f.machine, queue_of("c")), 0);
    for (unsigned i = 0; i < 8; i++) {
        cr_assert_eq(machine_due_ms(f.machine), 0u);
        fixture_tick(&f, f.time_ms);
    }
    cr_assert_eq(rows(ROW_BODY), 0u);
    cr_assert_neq(machine_due_ms(f.machine), 0u);
}

/* Settled as it is delivered, the last message of a body can be looked at until the next entry as any other. */
Test(body, of_what_was_accepted_at_once_is_there_until_the_next_entry)
{
    for (unsigned stored = 0; stored < 2; stored++) {
        struct client client;
        Holdfast__Subscribe subscribe = HOLDFAST__SUBSCRIBE__INIT;
        Holdfast__Command command = HOLDFAST__COMMAND__INIT;
        fixture_done(&f);
        start();
        push_to_all("shared by all");
        if (stored > 0) {
            fixture_checkpoint(&f);
        }
        settle("a");
        settle("b");
        client_attach(&f, &client, 1, false);
        subscribe.queue = "c";
        subscribe.consumer = 1;
        subscribe.credit = 1;
        subscribe.fetch = subscribe.auto_accept = true;
        command.kind_case = HOLDFAST__COMMAND__KIND_SUBSCRIBE;
        command.subscribe = &subscribe;
        cr_assert_eq(client_command(&f, &client, &command, NULL, 0).count, 1u);
        cr_assert_eq(rows(ROW_BODY), 0u);
        expect("c", 1, "shared by all");
        fixture_tick(&f, f.time_ms);
        struct machine_content content;
        cr_assert_eq(machine_content(f.machine, queue_of("c")->id, 1, &content), ERR_NOT_FOUND);
    }
}
