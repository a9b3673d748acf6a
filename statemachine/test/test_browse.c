/* Looking at a queue: counters, the oldest message, browsing; and purging it. */

#include <criterion/criterion.h>
#include <string.h>

#include "fixture.h"
#include "proto/base/limits.h"

#define SEEN_MAX 4096u

struct seen {
    struct machine_message items[SEEN_MAX];
    size_t len;
    size_t stop; /* At so many. */
};

static int see(void *arg, const struct machine_message *message)
{
    struct seen *seen = arg;
    seen->items[seen->len++] = *message;
    return seen->len == seen->stop ? 7 : 0;
}

static void browse(struct fixture *f, struct seen *seen, uint64_t position, size_t stop, int expected)
{
    seen->len = 0;
    seen->stop = stop;
    cr_assert_eq(machine_browse(f->machine, 1, position, see, seen), expected);
}

static void setup(struct fixture *f, struct client *a)
{
    fixture_init(f);
    client_attach(f, a, 1, false);
    cr_assert_eq(client_declare(f, a, "q").error, 0);
}

Test(browse, messages_come_in_order_wherever_they_are)
{
    struct fixture f;
    struct client a;
    struct seen seen;
    setup(&f, &a);
    cr_assert_eq(machine_browse(f.machine, 2, 1, see, &seen), ERR_NOT_FOUND);
    browse(&f, &seen, 1, 0, 0);
    cr_assert_eq(seen.len, 0u);
    client_publish(&f, &a, "q", "", 1, 5);
    client_subscribe(&f, &a, "q", 1, 6);
    client_set_credit(&f, &a, 1, 0);
    client_settle(&f, &a, 1, ACCEPT, 2, 2);
    client_settle(&f, &a, 1, RELEASE, 3, 4);
    fixture_checkpoint(&f);
    client_publish(&f, &a, "q", "", 6, 5);
    fixture_checkpoint(&f);
    client_publish(&f, &a, "q", "", 11, 2);
    /* 1 and 5 are out, 2 is gone, 3 and 4 are back, 6 to 10 are in the store, 11 and 12 in memory. */
    const uint64_t positions[] = {1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    for (int round = 0; round < 2; round++) {
        for (uint64_t from = 0; from <= 13; from++) {
            size_t at = 0;
            browse(&f, &seen, from, 0, 0);
            for (size_t i = 0; i < 11; i++) {
                if (positions[i] < from) {
                    continue;
                }
                const struct machine_message *message = &seen.items[at++];
                bool locked = positions[i] == 1 || positions[i] == 5;
                bool back = positions[i] == 3 || positions[i] == 4;
                struct slice body;
                cr_assert_eq(message->position, positions[i]);
                cr_assert_eq(message->locked, locked);
                cr_assert_eq(message->delivery_count, locked || back ? 1u : 0u);
                cr_assert_gt(message->enqueued_ms, 0u);
                cr_assert_eq(machine_body(f.machine, 1, positions[i], &body), 0);
                cr_assert_eq(message->body_len, body.len);
                slice_unref(&body);
            }
            cr_assert_eq(seen.len, at);
        }
        browse(&f, &seen, 2, 3, 7);
        cr_assert_eq(seen.len, 3u);
        browse(&f, &seen, 6, 2, 7);
        cr_assert_eq(seen.len, 2u);
        browse(&f, &seen, UINT64_MAX, 0, 0);
        cr_assert_eq(seen.len, 0u);
        fixture_reopen(&f);
    }
    fixture_done(&f);
}

/* More locked ones than one pass finds, with some that came back in between, held by several. */
Test(browse, many_are_out)
{
    struct fixture f;
    struct client a;
    struct seen seen;
    setup(&f, &a);
    for (uint64_t consumer = 1; consumer <= 3; consumer++) {
        client_subscribe(&f, &a, "q", consumer, 2000);
    }
    client_publish(&f, &a, "q", "", 1, 3000);
    for (uint64_t consumer = 1; consumer <= 3; consumer++) {
        client_set_credit(&f, &a, consumer, 0);
    }
    client_settle(&f, &a, 1, RELEASE, 100, 299);
    client_settle(&f, &a, 2, ACCEPT, 500, 599);
    client_publish(&f, &a, "q", "", 1, 100);
    fixture_reopen(&f);
    browse(&f, &seen, 0, 0, 0);
    cr_assert_eq(seen.len, 3000u);
    uint64_t locked = 0;
    for (size_t i = 0; i < seen.len; i++) {
        cr_assert(i == 0 || seen.items[i].position > seen.items[i - 1].position);
        locked += seen.items[i].locked;
    }
    cr_assert_eq(locked, 2700u);
    cr_assert_eq(fixture_queue(&f, "q").unsettled, 2700u);
    fixture_done(&f);
}

Test(browse, a_message_that_should_be_in_the_store_and_is_not_is_noticed)
{
    struct fixture f;
    struct client a;
    struct seen seen;
    struct store *store;
    uint64_t oldest;
    setup(&f, &a);
    client_publish(&f, &a, "q", "", 1, 3);
    fixture_checkpoint(&f);
    machine_close(f.machine);
    uint8_t keys[3][17];
    for (uint8_t i = 0; i < 3; i++) {
        memset(keys[i], 0, sizeof keys[i]);
        keys[i][0] = 'M';
        keys[i][8] = 1;
        keys[i][16] = i + 1;
    }
    const size_t missing[] = {1, 2, 0};
    const size_t seen_before[] = {1, 1, 0};
    for (size_t i = 0; i < 3; i++) {
        struct store_change change = {.kind = STORE_DELETE, .key = {.data = keys[missing[i]], .len = 17}};
        cr_assert_eq(store_memory_open(f.disk, &store), 0);
        cr_assert_eq(store->ops->write(store, &change, 1), 0);
        store->ops->close(store);
        fixture_open(&f);
        browse(&f, &seen, 1, 0, ERR_CORRUPT);
        cr_assert_eq(seen.len, seen_before[i]);
        machine_close(f.machine);
    }
    fixture_open(&f);
    cr_assert_eq(machine_queue_oldest(f.machine, 1, &oldest), ERR_CORRUPT);
    fixture_done(&f);
}

static void expect_counters(struct fixture *f, uint64_t enqueued, uint64_t delivered, uint64_t settled,
                            uint64_t released)
{
    for (int round = 0; round < 2; round++) {
        struct machine_queue queue;
        cr_assert_eq(machine_queue(f->machine, "q", &queue), 0);
        cr_assert_str_eq(queue.name, "q");
        cr_assert_eq(queue.id, 1u);
        cr_assert_eq(queue.enqueued, enqueued);
        cr_assert_eq(queue.delivered, delivered);
        cr_assert_eq(queue.settled, settled);
        cr_assert_eq(queue.released, released);
        cr_assert_eq(queue.enqueued, queue.ready + queue.unsettled + queue.settled);
        fixture_reopen(f);
    }
}

Test(browse, counters_count_since_the_queue_was_declared)
{
    struct fixture f;
    struct client a, b;
    struct machine_queue queue;
    setup(&f, &a);
    client_attach(&f, &b, 2, false);
    cr_assert_eq(machine_queue(f.machine, "none", &queue), ERR_NOT_FOUND);
    expect_counters(&f, 0, 0, 0, 0);
    client_publish(&f, &a, "q", "", 1, 20);
    expect_counters(&f, 20, 0, 0, 0);
    client_subscribe(&f, &a, "q", 1, 6);
    expect_counters(&f, 20, 6, 0, 0);
    client_set_credit(&f, &a, 1, 0);
    client_settle(&f, &a, 1, ACCEPT, 1, 2);
    client_settle(&f, &a, 1, REJECT, 3, 3);
    client_settle(&f, &a, 1, ACCEPT, 1, 3);
    client_settle(&f, &a, 1, RELEASE, 4, 4);
    expect_counters(&f, 20, 6, 3, 1);
    client_subscribe(&f, &b, "q", 1, 4);
    expect_counters(&f, 20, 10, 3, 1);
    client_close(&f, &b);
    expect_counters(&f, 20, 10, 3, 5);
    cr_assert_eq(client_purge(&f, &a, "q").count, 15u);
    expect_counters(&f, 20, 10, 18, 5);
    client_delete(&f, &a, "q", false);
    client_declare(&f, &a, "q");
    cr_assert_eq(machine_queue(f.machine, "q", &queue), 0);
    cr_assert_eq(queue.id, 2u);
    cr_assert_eq(queue.enqueued + queue.delivered + queue.settled + queue.released, 0u);
    fixture_done(&f);
}

static void expect_oldest(struct fixture *f, uint64_t expected)
{
    for (int round = 0; round < 2; round++) {
        uint64_t oldest = 1;
        cr_assert_eq(machine_queue_oldest(f->machine, 1, &oldest), 0);
        cr_assert_eq(oldest, expected);
        fixture_reopen(f);
    }
}

Test(browse, the_oldest_ready_message)
{
    struct fixture f;
    struct client a;
    uint64_t oldest;
    setup(&f, &a);
    cr_assert_eq(machine_queue_oldest(f.machine, 9, &oldest), ERR_NOT_FOUND);
    expect_oldest(&f, 0);
    f.time_ms = 5000;
    client_publish(&f, &a, "q", "", 1, 1);
    f.time_ms = 6000;
    client_publish(&f, &a, "q", "", 2, 1);
    expect_oldest(&f, 5000);
    client_subscribe(&f, &a, "q", 1, 1);
    expect_oldest(&f, 6000);
    client_set_credit(&f, &a, 1, 0);
    client_settle(&f, &a, 1, RELEASE, 1, 1);
    expect_oldest(&f, 5000);
    client_purge(&f, &a, "q");
    expect_oldest(&f, 0);
    fixture_done(&f);
}

Test(purge, drops_what_is_ready_and_nothing_else)
{
    struct fixture f;
    struct client a, b;
    struct seen seen;
    struct slice body;
    setup(&f, &a);
    client_attach(&f, &b, 2, false);
    cr_assert_eq(client_purge(&f, &a, "none").error, E(NOT_FOUND));
    cr_assert_eq(client_purge(&f, &a, "q").error, 0);
    fixture_checkpoint(&f);
    size_t rows = store_memory_disk_rows(f.disk);
    client_publish(&f, &a, "q", "", 1, 100);
    client_subscribe(&f, &a, "q", 1, 10);
    client_set_credit(&f, &a, 1, 0);
    client_settle(&f, &a, 1, RELEASE, 4, 6);
    fixture_reopen(&f);
    client_publish(&f, &a, "q", "", 101, 50);
    struct effect_reply reply = client_purge(&f, &a, "q");
    cr_assert_eq(reply.error, 0);
    cr_assert_eq(reply.count, 143u);
    cr_assert_eq(machine_overlay_bytes(f.machine), 0u);
    cr_assert_eq(client_purge(&f, &a, "q").count, 0u);
    for (uint64_t position = 1; position <= 150; position++) {
        bool there = position <= 10 && (position < 4 || position > 6);
        int err = machine_body(f.machine, 1, position, &body);
        cr_assert_eq(err, there ? 0 : ERR_NOT_FOUND, "position %llu", (unsigned long long)position);
        if (err == 0) {
            slice_unref(&body);
        }
    }
    browse(&f, &seen, 1, 0, 0);
    cr_assert_eq(seen.len, 7u);
    fixture_reopen(&f);
    cr_assert_eq(store_memory_disk_rows(f.disk), rows + 8, "seven messages and a consumer");
    /* Life goes on: later messages, and those that come back. */
    client_publish(&f, &a, "q", "", 1, 2);
    client_settle(&f, &a, 1, RELEASE, 1, 10);
    client_subscribe(&f, &b, "q", 1, 100);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 9u);
    cr_assert_eq(fixture_delivery(&f, 7)->delivery.position, 151u);
    client_settle(&f, &b, 1, ACCEPT, 1, 9);
    client_unsubscribe(&f, &a, 1);
    client_unsubscribe(&f, &b, 1);
    fixture_reopen(&f);
    cr_assert_eq(store_memory_disk_rows(f.disk), rows);
    fixture_done(&f);
}

/* A purge while the checkpoint that brings the messages to the store is being written, or has failed. */
Test(purge, during_a_checkpoint)
{
    for (int fail = 0; fail < 2; fail++) {
        struct fixture f;
        struct client a;
        struct machine_checkpoint *checkpoint;
        setup(&f, &a);
        fixture_checkpoint(&f);
        size_t rows = store_memory_disk_rows(f.disk);
        client_publish(&f, &a, "q", "", 1, 100);
        client_subscribe(&f, &a, "q", 1, 1);
        for (int round = 0; round < 3; round++) {
            client_publish(&f, &a, "q", "", 1, 10);
            cr_assert_eq(machine_checkpoint(f.machine, (struct slice){0}, &checkpoint), 0);
            client_publish(&f, &a, "q", "", 1, 10);
            cr_assert_eq(client_purge(&f, &a, "q").count, round == 0 ? 119u : 20u);
            uint64_t digest = fixture_digest(&f);
            if (fail == 1) {
                store_memory_disk_fail_write(f.disk, ERR_IO);
            }
            int err = machine_checkpoint_write(checkpoint);
            cr_assert_eq(err, fail == 1 ? ERR_IO : 0);
            machine_checkpoint_done(checkpoint, err);
            cr_assert_eq(fixture_digest(&f), digest);
        }
        fixture_reopen(&f);
        cr_assert_eq(store_memory_disk_rows(f.disk), rows + 2, "one message and its consumer");
        cr_assert_eq(fixture_queue(&f, "q").unsettled, 1u);
        fixture_done(&f);
    }
}
