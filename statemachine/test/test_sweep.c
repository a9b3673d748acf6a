/* Messages that are dropped bit by bit: on a machine that is left alone, and on one that is checkpointed or restarted all the time. */

#include "statemachine/queue/sweep.h"

#include <criterion/criterion.h>
#include <string.h>

#include "fixture.h"
#include "statemachine/message/body.h"
#include "statemachine/queue/group.h"
#include "statemachine/state.h"

static struct queue *queue_of(struct fixture *f, const char *name)
{
    return queue_by_name(f->machine, VIRTUAL_HOST_ROOT, name);
}

static void declare(struct fixture *f, const char *name, bool groups)
{
    struct queue_options options;
    struct queue *queue;
    queue_options_init(&options);
    options.groups = groups;
    options.max_priority = groups ? 3 : 0;
    cr_assert_eq(
        queue_new(f->machine, f->machine->next_queue++, VIRTUAL_HOST_ROOT, name, strlen(name), &options, &queue), 0);
    queue_changed(f->machine, queue);
}

/* Every second one to both queues, with one body. */
static void push(struct fixture *f, unsigned count)
{
    static const char *const names[] = {"a", "b"};
    for (unsigned i = 0; i < count; i++) {
        struct slice content;
        uint64_t position;
        unsigned uses = 1 + i % 2;
        cr_assert_eq(slice_copy("body", 4, &content), 0);
        struct message message = {
            .blob = content.blob, .data = content.data, .hash = XXH3_64bits("body", 4), .group = i % 7, .body_len = 4};
        cr_assert_eq(uses > 1 ? body_share(f->machine, &message, uses) : 0, 0);
        for (unsigned use = 0; use < uses; use++) {
            message_ref(&message);
            cr_assert_eq(queue_push(f->machine, queue_of(f, names[use]), &message, i % 4, &position), 0);
        }
        message_unref(&message);
    }
}

static size_t rows(struct fixture *f, enum row_kind kind)
{
    struct row_key key = row_key_plain(kind);
    struct row_key end = row_key_after(&key);
    struct table_row found;
    size_t len = 0;
    while (table_seek(f->machine, &key, &end, &found) == 0) {
        key = row_key_next(&found.key);
        table_row_done(&found);
        len++;
    }
    return len;
}

static int count_row(void *arg, struct slice key, struct slice value)
{
    (void)key;
    (void)value;
    ++*(size_t *)arg;
    return 0;
}

/* After a checkpoint. */
static size_t message_rows(struct fixture *f)
{
    struct row_key key = row_key_plain(ROW_MESSAGE);
    struct row_key end = row_key_after(&key);
    size_t len = 0;
    cr_assert_eq(
        f->machine->store->ops->scan(f->machine->store, row_key_slice(&key), row_key_slice(&end), count_row, &len), 0);
    return len;
}

static struct delivery take(struct fixture *f, const char *name)
{
    struct taken taken;
    unsigned budget = 1u << 20;
    bool found;
    cr_assert_eq(queue_take(f->machine, queue_of(f, name), &budget, &taken, &found), 0);
    cr_assert(found);
    return (struct delivery){.position = taken.position, .count = taken.count, .group = taken.group};
}

enum care { ALONE, CHECKPOINTED, RESTARTED };

static void take_care(struct fixture *f, enum care care, unsigned step)
{
    if (care == CHECKPOINTED && step % 2 == 1) {
        fixture_checkpoint(f);
    } else if (care == RESTARTED) { /* The deliveries of no consumer are the test's own. */
        uint64_t unsettled[] = {queue_of(f, "a")->unsettled,
                                queue_of(f, "b") != NULL ? queue_of(f, "b")->unsettled : 0};
        fixture_reopen(f);
        queue_of(f, "a")->unsettled = unsettled[0];
        if (queue_of(f, "b") != NULL) {
            queue_of(f, "b")->unsettled = unsettled[1];
        }
    }
}

#define STEPS 64u

struct history {
    uint64_t digests[STEPS];
    unsigned len;
};

static void note(struct fixture *f, struct history *history)
{
    cr_assert_lt(history->len, STEPS);
    history->digests[history->len++] = fixture_digest(f);
}

/* Sweeps until there is nothing left to do. */
static void sweep_out(struct fixture *f, enum care care, struct history *history)
{
    for (unsigned step = 0; machine_due_ms(f->machine) == 0; step++) {
        fixture_tick(f, f->time_ms);
        note(f, history);
        take_care(f, care, step);
    }
    note(f, history);
}

/* Of a queue of groups: some are parked, some have come back, some are held and are still there afterwards. */
static void purge_and_delete(enum care care, struct history *history)
{
    struct fixture f;
    struct delivery held[20];
    memset(history, 0, sizeof *history);
    fixture_init(&f);
    f.machine->version = 2;
    declare(&f, "a", true);
    declare(&f, "b", false);
    push(&f, 900);
    take_care(&f, care, 1);
    push(&f, 600);
    for (unsigned i = 0; i < ARRAY_LEN(held); i++) {
        held[i] = take(&f, i < 10 ? "a" : "b");
    }
    for (unsigned i = 0; i < 10; i += 2) {
        cr_assert_eq(queue_return(f.machine, queue_of(&f, "a"), &held[i], RETURN_RELEASED, UINT64_MAX), 0);
    }
    cr_assert_gt(queue_of(&f, "a")->parked, 10u);
    take_care(&f, care, 1);
    for (uint64_t i = 100; i < 180;
         i += 1 + i / 140) { /* Their rows may be in the store still: they are not dropped twice. */
        cr_assert_eq(queue_drop_ready(f.machine, queue_of(&f, "a"), lane_start(0) + i), 0);
    }
    cr_assert_eq(queue_purge(f.machine, queue_of(&f, "a")), 0);
    cr_assert(queue_ready(queue_of(&f, "a")) == 0 && queue_of(&f, "a")->unsettled == 5);
    cr_assert_eq(rows(&f, ROW_BODY), 750u);
    note(&f, history);
    push(&f, 70);
    sweep_out(&f, care, history);
    cr_assert_eq(queue_ready(queue_of(&f, "a")), 70u);
    cr_assert_eq(rows(&f, ROW_BODY), 750u + 35u);
    cr_assert_eq(queue_delete(f.machine, queue_of(&f, "b")), 0);
    cr_assert_null(queue_of(&f, "b"));
    declare(&f, "b", false);
    sweep_out(&f, care, history);
    fixture_checkpoint(&f);
    cr_assert_eq(rows(&f, ROW_BODY) <= 35 + 5 + 10, true, "%zu", rows(&f, ROW_BODY));
    cr_assert(rows(&f, ROW_SWEEP) == 0 && f.machine->doomed == NULL);
    for (unsigned i = 1; i < 10; i += 2) {
        cr_assert_eq(queue_settle(f.machine, queue_of(&f, "a"), &held[i]), 0);
    }
    for (unsigned i = 0; i < 70; i++) {
        struct delivery delivery = take(&f, "a");
        cr_assert_eq(queue_settle(f.machine, queue_of(&f, "a"), &delivery), 0);
    }
    cr_assert(rows(&f, ROW_PARKED) == 0 && rows(&f, ROW_PARKED_AT) == 0 && rows(&f, ROW_GROUP) == 0);
    note(&f, history);
    fixture_checkpoint(&f);
    cr_assert_eq(message_rows(&f), 0u);
    fixture_done(&f);
}

Test(sweep, drops_the_same_in_the_same_entries_whatever_is_stored)
{
    static struct history alone;
    static struct history other;
    purge_and_delete(ALONE, &alone);
    for (unsigned care = CHECKPOINTED; care <= RESTARTED; care++) {
        purge_and_delete((enum care)care, &other);
        cr_assert_eq(other.len, alone.len);
        for (unsigned i = 0; i < alone.len; i++) {
            cr_assert_eq(other.digests[i], alone.digests[i], "care %u step %u", care, i);
        }
    }
}

Test(sweep, an_entry_drops_no_more_than_its_share)
{
    struct fixture f;
    fixture_init(&f);
    f.machine->version = 2;
    declare(&f, "a", false);
    declare(&f, "b", false);
    push(&f, 2000);
    fixture_checkpoint(&f);
    cr_assert_eq(queue_delete(f.machine, queue_of(&f, "a")), 0);
    cr_assert_eq(queue_delete(f.machine, queue_of(&f, "b")), 0);
    cr_assert_eq(rows(&f, ROW_BODY), 1000u);
    for (unsigned step = 1; step <= 8; step++) {
        cr_assert_eq(machine_due_ms(f.machine), 0u);
        fixture_tick(&f, f.time_ms);
    }
    cr_assert_eq(f.machine->sweeps, 1u, "2000 in eight entries");
    while (machine_due_ms(f.machine) == 0) {
        size_t before = rows(&f, ROW_BODY);
        fixture_tick(&f, f.time_ms);
        cr_assert_leq(before - rows(&f, ROW_BODY), SWEEP_PER_ENTRY_MAX);
    }
    cr_assert(rows(&f, ROW_BODY) == 0 && rows(&f, ROW_BODY_USES) == 0 && f.machine->doomed == NULL);
    fixture_checkpoint(&f);
    cr_assert_eq(message_rows(&f), 0u);
    fixture_done(&f);
}

/* What consumers hold of a deleted queue has shared bodies, too. */
Test(sweep, drops_what_was_held_when_the_queue_was_deleted)
{
    struct fixture f;
    struct client client;
    fixture_init(&f);
    f.machine->version = 2;
    client_attach(&f, &client, 1, false);
    declare(&f, "a", false);
    declare(&f, "b", false);
    push(&f, 20);
    fixture_checkpoint(&f);
    cr_assert_eq(client_subscribe(&f, &client, "b", 1, 6).error, 0u);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 6u);
    cr_assert_eq(client_delete(&f, &client, "b", false).error, 0u);
    cr_assert_eq(rows(&f, ROW_BODY), 10u);
    cr_assert_eq(client_delete(&f, &client, "a", false).error, 0u);
    cr_assert(rows(&f, ROW_BODY) == 0 && rows(&f, ROW_BODY_USES) == 0 && rows(&f, ROW_RETURNED_FAR) == 0);
    cr_assert_neq(machine_due_ms(f.machine), 0u);
    fixture_done(&f);
}

/* Timers of messages that were purged, or whose queue was deleted, go off for nothing, whether they are dropped yet or not. */
Test(sweep, timers_of_what_was_purged_do_nothing)
{
    struct fixture f;
    fixture_init(&f);
    f.machine->version = 2;
    declare(&f, "a", true);
    declare(&f, "b", false);
    push(&f, 1200);
    for (uint64_t position = 1; position <= 5; position++) {
        struct timer timer = {
            .at_ms = f.time_ms + 1, .kind = TIMER_MESSAGE_EXPIRES, .a = queue_of(&f, "a")->id, .b = position};
        cr_assert_eq(timer_set(f.machine, &timer), 0);
        timer.b += lane_start(3);
        cr_assert_eq(timer_set(f.machine, &timer), 0);
        timer.a = queue_of(&f, "b")->id;
        timer.b = position;
        cr_assert_eq(timer_set(f.machine, &timer), 0);
    }
    struct delivery first = take(&f, "a");
    cr_assert_eq(queue_return(f.machine, queue_of(&f, "a"), &first, RETURN_RELEASED, UINT64_MAX), 0);
    cr_assert_eq(queue_purge(f.machine, queue_of(&f, "a")), 0);
    cr_assert_eq(queue_delete(f.machine, queue_of(&f, "b")), 0);
    fixture_tick(&f, f.time_ms + 1);
    cr_assert_eq(queue_of(&f, "a")->counters.expired, 0u);
    cr_assert_eq(queue_ready(queue_of(&f, "a")), 0u);
    cr_assert_eq(machine_due_ms(f.machine), 0u);
    while (machine_due_ms(f.machine) == 0) {
        fixture_tick(&f, f.time_ms);
    }
    cr_assert_eq(rows(&f, ROW_TIMER), 0u);
    cr_assert_eq(rows(&f, ROW_BODY), 0u);
    fixture_done(&f);
}
