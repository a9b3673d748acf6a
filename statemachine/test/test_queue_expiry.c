/* Queues that go by themselves. */

#include <criterion/criterion.h>
#include <string.h>

#include "leaving_fixture.h"
#include "statemachine/queue/queue.h"
#include "statemachine/state.h"

static bool there(struct fixture *f)
{
    return fixture_queue(f, "q").id != 0;
}

static void begin(struct fixture *f, struct client *a)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    publish_fixture_init(f, a);
    options.expires_ms = 100;
    leaving_declare(f, a, "q", &options);
}

Test(queue_expiry, a_queue_goes_when_nobody_has_used_it_for_so_long)
{
    for (int disturb = 0; disturb < 2; disturb++) {
        struct fixture f;
        struct client a;
        begin(&f, &a);
        uint64_t used_ms = machine_time_ms(f.machine);
        leaving_publish(&f, &a, "q", "that is no use", UINT64_MAX);
        leaving_disturb(&f, disturb);
        cr_assert_eq(machine_due_ms(f.machine), used_ms + 100);
        fixture_tick(&f, used_ms + 99);
        cr_assert(there(&f));
        fixture_tick(&f, used_ms + 100);
        cr_assert(!there(&f));
        cr_assert_eq(machine_due_ms(f.machine), UINT64_MAX);
        leaving_disturb(&f, disturb);
        fixture_done(&f);
    }
}

Test(queue_expiry, a_consumer_holds_it_and_its_time_begins_when_it_ends)
{
    struct fixture f;
    struct client a;
    begin(&f, &a);
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, 1).error, 0u);
    fixture_tick(&f, f.time_ms + 1000);
    cr_assert(there(&f));
    leaving_disturb(&f, true);
    cr_assert_eq(client_unsubscribe(&f, &a, 1).error, 0u);
    uint64_t ended_ms = machine_time_ms(f.machine);
    fixture_tick(&f, ended_ms + 99);
    cr_assert(there(&f));
    fixture_tick(&f, ended_ms + 100);
    cr_assert(!there(&f));
    fixture_done(&f);
}

Test(queue_expiry, a_queue_that_is_used_often_has_one_timer)
{
    struct fixture f;
    struct client a;
    begin(&f, &a);
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.expires_ms = 100;
    uint64_t used_ms = 0;
    for (unsigned i = 0; i < 10; i++) {
        leaving_disturb(&f, i % 4 == 3);
        leaving_declare(&f, &a, "q", &options);
        used_ms = machine_time_ms(f.machine);
    }
    struct row_key from = row_key_plain(ROW_TIMER);
    struct row_key end = row_key_after(&from);
    struct table_row row;
    cr_assert_eq(table_seek(f.machine, &from, &end, &row), 0);
    cr_assert_eq(get_be64(row.key.data + 1), used_ms + 100);
    from = row_key_next(&row.key);
    table_row_done(&row);
    cr_assert_eq(table_seek(f.machine, &from, &end, &row), ERR_NOT_FOUND);
    fixture_tick(&f, used_ms + 100);
    cr_assert(!there(&f));
    fixture_done(&f);
}

Test(queue_expiry, an_auto_delete_queue_goes_with_its_last_consumer_in_any_way)
{
    for (int way = 0; way < 3; way++) {
        struct fixture f;
        struct client a;
        struct client b;
        Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
        publish_fixture_init(&f, &a);
        cr_assert_eq(client_attach(&f, &b, 2, false).error, 0u);
        options.auto_delete = true;
        leaving_declare(&f, &a, "q", &options);
        cr_assert_eq(client_subscribe(&f, &a, "q", 1, 1).error, 0u);
        cr_assert_eq(client_subscribe(&f, &b, "q", 1, 1).error, 0u);
        leaving_publish(&f, &b, "q", "body", UINT64_MAX);
        cr_assert_eq(client_unsubscribe(&f, &a, 1).error, 0u);
        cr_assert(there(&f));
        leaving_disturb(&f, true);
        if (way == 0) {
            cr_assert_eq(client_unsubscribe(&f, &b, 1).error, 0u);
        } else if (way == 1) {
            cr_assert_eq(client_close(&f, &b).error, 0u);
        } else {
            cr_assert_eq(node_lost(&f, NODE, RUN).error, 0u);
            cr_assert(there(&f));
            fixture_tick(&f, f.time_ms + 3600000);
        }
        cr_assert(!there(&f));
        fixture_done(&f);
    }
}

Test(queue_expiry, an_exclusive_queue_goes_with_its_session)
{
    struct fixture f;
    struct client a;
    struct client b;
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    publish_fixture_init(&f, &a);
    cr_assert_eq(client_attach(&f, &b, 2, false).error, 0u);
    options.exclusive = true;
    leaving_declare(&f, &a, "q", &options);
    cr_assert_eq(client_subscribe(&f, &b, "q", 1, 1).error, E(EXCLUSIVE));
    leaving_disturb(&f, true);
    cr_assert_eq(client_subscribe(&f, &b, "q", 1, 1).error, E(EXCLUSIVE));
    cr_assert_eq(client_close(&f, &a).error, 0u);
    cr_assert(!there(&f));
    fixture_done(&f);
}

/* When an old reminder goes off together with all that was due since, the queue goes in its turn: after a message in it has expired. */
Test(queue_expiry, an_old_reminder_does_not_end_it_before_its_messages)
{
    struct fixture f;
    struct client a;
    begin(&f, &a);
    Holdfast__QueueOptions options = options_dead("", "dead");
    options.expires_ms = 100;
    leaving_declare(&f, &a, "dead", &(Holdfast__QueueOptions)HOLDFAST__QUEUE_OPTIONS__INIT);
    Holdfast__ChangeQueue change = HOLDFAST__CHANGE_QUEUE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    options.expires_ms = 500; /* The reminder that was set for 100 stays. */
    change.queue = "q";
    change.options = &options;
    command.kind_case = HOLDFAST__COMMAND__KIND_CHANGE_QUEUE;
    command.change_queue = &change;
    cr_assert_eq(client_command(&f, &a, &command, NULL, 0).error, 0u);
    uint64_t used_ms = machine_time_ms(f.machine);
    leaving_publish(&f, &a, "q", "that is no use", 200);
    fixture_tick(&f, used_ms + 700);
    cr_assert(!there(&f));
    cr_assert_eq(fixture_queue(&f, "dead").ready, 1u);
    fixture_done(&f);
}
