/* Declaring and deleting queues, and listing them. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "fixture.h"
#include "statemachine/state.h"

static int no_row(void *arg, struct slice key, struct slice value)
{
    (void)arg;
    (void)value;
    return key.data[0] == 'M' || key.data[0] == 'Q' || key.data[0] == 'R' || key.data[0] == 'C' ? ERR_EXISTS : 0;
}

Test(queue, declare_is_idempotent_and_names_are_checked)
{
    struct fixture f;
    struct client a;
    fixture_init(&f);
    client_attach(&f, &a, 1, false);
    cr_assert_eq(client_declare(&f, &a, "").error, E(NAME));
    cr_assert_eq(client_declare(&f, &a, "a\nb").error, E(NAME));
    cr_assert_neq(client_declare(&f, &a, "\xff\xfe").error, 0u);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0);
    client_publish(&f, &a, "q", "", 1, 2);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0);
    cr_assert_eq(fixture_queue(&f, "q").ready, 2u);
    fixture_done(&f);
}

Test(queue, a_name_with_a_zero_byte_in_it_is_not_the_name_before_it)
{
    struct fixture f;
    struct client a;
    fixture_init(&f);
    client_attach(&f, &a, 1, false);
    Holdfast__DeclareQueue declare = HOLDFAST__DECLARE_QUEUE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_QUEUE;
    command.declare_queue = &declare;
    declare.queue = (char[]){"qxz"};
    struct batch batch;
    batch_start(&batch);
    struct entry_command from = {.session = a.session, .attachment = a.attachment, .number = 1};
    batch_add(&batch, &from, &command, NULL, 0);
    uint8_t *x = memchr(batch.bytes.data, 'x', batch.bytes.len);
    cr_assert_not_null(x);
    *x = 0;
    cr_assert_eq(fixture_apply(&f, batch_finish(&batch, 1, 1)), 0);
    cr_assert_eq(f.effects.len, 1u);
    cr_assert_eq(f.effects.items[0].reply.error, E(INVALID));
    a.number = 1;
    cr_assert_eq(client_publish(&f, &a, "q", "", 1, 1).error, E(NOT_FOUND));
    fixture_done(&f);
}

Test(queue, deleting_drops_messages_and_ends_consumers)
{
    struct fixture f;
    struct client a, b;
    struct slice body;
    fixture_init(&f);
    client_attach(&f, &a, 1, false);
    client_attach(&f, &b, 2, false);
    client_declare(&f, &a, "q");
    client_publish(&f, &a, "q", "", 1, 10);
    client_subscribe(&f, &b, "q", 5, 2);
    client_subscribe(&f, &a, "q", 5, 2);
    client_unsubscribe(&f, &a, 5);
    fixture_reopen(&f);
    client_subscribe(&f, &a, "q", 5, 2);
    client_publish(&f, &a, "q", "", 1, 3);
    cr_assert_eq(client_delete(&f, &a, "none", false).error, E(NOT_FOUND));
    cr_assert_eq(client_delete(&f, &a, "q", true).error, E(REFUSED));
    cr_assert_eq(client_delete(&f, &a, "q", false).count, 13u);
    cr_assert_eq(fixture_count(&f, EFFECT_CONSUMER_ENDED), 2u);
    cr_assert_eq(f.effects.items[0].session, a.session);
    cr_assert_eq(f.effects.items[1].session, b.session);
    cr_assert_eq(f.effects.items[1].consumer_ended.consumer, 5u);
    cr_assert_eq(machine_body(f.machine, 1, 3, &body), ERR_NOT_FOUND);
    cr_assert_eq(client_settle(&f, &b, 5, ACCEPT, 1, 1).error, E(NOT_FOUND));
    client_declare(&f, &a, "q");
    cr_assert_eq(machine_body(f.machine, 2, 1, &body), ERR_NOT_FOUND, "ids are not used again");
    cr_assert_eq(client_delete(&f, &a, "q", true).error, 0);
    fixture_reopen(&f);
    machine_close(f.machine);
    struct store *store;
    cr_assert_eq(store_memory_open(f.disk, &store), 0);
    uint8_t first[] = {0};
    uint8_t end[] = {0xff};
    cr_assert_eq(store->ops->scan(store, (struct slice){.data = first, .len = 1}, (struct slice){.data = end, .len = 1},
                                  no_row, NULL),
                 0, "nothing of the queue is left in the store");
    store->ops->close(store);
    store_memory_disk_free(f.disk);
}

static int name_each(void *arg, const struct machine_queue *queue)
{
    strcat(arg, queue->name);
    return queue->name[0] == 'd';
}

Test(queue, listed_by_name)
{
    struct fixture f;
    struct client a;
    char names[16] = "";
    fixture_init(&f);
    client_attach(&f, &a, 1, false);
    const char *queues[] = {"c", "a", "e", "d", "b"};
    for (size_t i = 0; i < 5; i++) {
        client_declare(&f, &a, queues[i]);
    }
    cr_assert_eq(machine_queues(f.machine, "", name_each, names), 1);
    cr_assert_str_eq(names, "abcd");
    names[0] = 0;
    cr_assert_eq(machine_queues(f.machine, "d", name_each, names), 0);
    cr_assert_str_eq(names, "e");
    names[0] = 0;
    cr_assert_eq(machine_queues(f.machine, "bb", name_each, names), 1);
    cr_assert_str_eq(names, "cd");
    fixture_done(&f);
}

Test(queue, there_are_only_so_many_and_more_since_version_2)
{
    struct fixture f;
    struct client a;
    char name[24];
    fixture_init(&f);
    client_attach(&f, &a, 1, false);
    for (unsigned i = 1; i < QUEUES_MAX_OLD; i++) {
        struct queue_options options;
        struct queue *queue;
        queue_options_init(&options);
        size_t len = (size_t)snprintf(name, sizeof name, "q%u", i);
        cr_assert_eq(queue_new(f.machine, f.machine->next_queue++, VIRTUAL_HOST_ROOT, name, len, &options, &queue), 0);
    }
    cr_assert_eq(client_declare(&f, &a, "the last").error, 0u);
    cr_assert_eq(client_declare(&f, &a, "one more").error, E(LIMIT));
    cr_assert_eq(client_declare(&f, &a, "the last").error, 0u, "is there");
    f.machine->version = 2;
    cr_assert_eq(client_declare(&f, &a, "one more").error, 0u);
    fixture_done(&f);
}
