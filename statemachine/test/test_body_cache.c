/* Reading ahead of who reads a queue in order. */

#include "statemachine/message/body_cache.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "statemachine/state.h"

#define LONG_LEN (BODY_CACHE_BODY_LEN_MAX + 1000u)

static struct fixture f;
static struct queue *queue;
static unsigned reads;
static const struct store_ops *real;
static struct store_ops counting;

static int counting_get(struct store *store, const void *key, size_t key_len, struct slice *ret_value)
{
    reads++;
    return real->get(store, key, key_len, ret_value);
}

static int counting_scan(struct store *store, struct slice first, struct slice end,
                         int (*each)(void *arg, struct slice key, struct slice value), void *arg)
{
    reads++;
    return real->scan(store, first, end, each, arg);
}

static void count_reads(void)
{
    real = f.machine->store->ops;
    counting = *real;
    counting.get = counting_get;
    counting.scan = counting_scan;
    f.machine->store->ops = &counting;
    reads = 0;
}

static void push(uint32_t nth, uint32_t len)
{
    uint64_t position;
    struct blob *blob = blob_new(len);
    cr_assert_not_null(blob);
    memset(blob->data, 'x', len);
    (void)snprintf((char *)blob->data, len, "%u", nth);
    struct message message = {.blob = blob, .data = blob->data, .hash = XXH3_64bits(blob->data, len), .body_len = len};
    cr_assert_eq(queue_push(f.machine, queue, &message, 0, &position), 0);
}

/* Of so many messages, all in the store; every third is long when `some_long`. */
static void start(uint32_t count, bool some_long)
{
    struct queue_options options;
    fixture_init(&f);
    f.machine->version = 2;
    queue_options_init(&options);
    cr_assert_eq(queue_new(f.machine, f.machine->next_queue++, VIRTUAL_HOST_ROOT, "q", 1, &options, &queue), 0);
    for (uint32_t i = 1; i <= count; i++) {
        push(i, some_long && i % 3 == 0 ? LONG_LEN : 20);
    }
    fixture_checkpoint(&f);
    count_reads();
}

static void stop(void)
{
    f.machine->store->ops = real;
    fixture_done(&f);
}

static void check(uint64_t position, uint32_t len)
{
    struct message message;
    cr_assert_eq(state_message(f.machine, queue, position, &message), 0);
    cr_assert_eq(message.body_len, len);
    cr_assert_eq((uint64_t)strtoul((const char *)message.data, NULL, 10), position);
    message_unref(&message);
}

Test(body_cache, a_queue_that_is_read_in_order_is_read_ahead)
{
    start(1000, false);
    for (uint64_t position = 1; position <= 1000; position++) {
        check(position, 20);
    }
    cr_assert_lt(reads, 20u, "%u", reads);
    for (uint64_t position = 900; position <= 1000; position++) {
        check(position, 20);
    }
    cr_assert_lt(reads, 20u, "and kept");
    stop();
}

Test(body_cache, heads_are_read_ahead_too)
{
    start(1000, false);
    for (uint64_t position = 1; position <= 1000; position++) {
        struct message_head head;
        cr_assert_eq(state_message_head(f.machine, queue, position, &head), 0);
        cr_assert_eq(head.bytes_before, (position - 1) * 20);
        check(position, 20);
    }
    cr_assert_lt(reads, 20u, "%u", reads);
    stop();
}

Test(body_cache, who_jumps_is_not_read_ahead_of)
{
    start(1000, false);
    for (uint64_t position = 1; position <= 1000; position += 7) {
        check(position, 20);
    }
    cr_assert_eq(reads, 143u);
    stop();
}

Test(body_cache, long_ones_are_read_once_each_when_it_is_their_turn)
{
    start(60, true);
    for (uint64_t position = 1; position <= 60; position++) {
        check(position, position % 3 == 0 ? LONG_LEN : 20);
    }
    cr_assert_lt(reads, 60u, "%u", reads);
    stop();
}

/* What was read ahead is not found any more when it is gone. */
Test(body_cache, what_is_settled_is_not_found_again)
{
    start(100, false);
    struct message message;
    struct message_head head;
    for (uint64_t position = 1; position <= 20; position++) {
        check(position, 20);
    }
    cr_assert_not_null(body_cache_peek(&f.machine->bodies, queue->id, 21));
    cr_assert_eq(queue_drop_ready(f.machine, queue, 21), 0);
    cr_assert_eq(state_message(f.machine, queue, 21, &message), ERR_NOT_FOUND);
    fixture_checkpoint(&f);
    cr_assert_eq(state_message(f.machine, queue, 21, &message), ERR_NOT_FOUND);
    cr_assert_eq(state_message_head(f.machine, queue, 21, &head), ERR_NOT_FOUND);
    check(22, 20);
    stop();
}

Test(body_cache, it_reads_as_far_as_the_store_goes)
{
    start(10, false);
    push(11, 20);
    for (uint64_t position = 1; position <= 11; position++) {
        check(position, 20);
    }
    struct message message;
    cr_assert_eq(state_message(f.machine, queue, 12, &message), ERR_NOT_FOUND);
    stop();
}

Test(body_cache, each_time_that_it_was_right_it_reads_more)
{
    static struct body_cache cache;
    cr_assert_eq(body_cache_ahead(&cache, 1, 5), 1u);
    cr_assert_eq(body_cache_ahead(&cache, 1, 6), 4u);
    cr_assert_eq(body_cache_ahead(&cache, 1, 10), 16u);
    cr_assert_eq(body_cache_ahead(&cache, 2, 26), 1u, "another queue");
    body_cache_reached(&cache, 1, 20);
    cr_assert_eq(body_cache_ahead(&cache, 1, 20), 64u);
    cr_assert_eq(body_cache_ahead(&cache, 1, 84), 256u);
    cr_assert_eq(body_cache_ahead(&cache, 1, 340), 256u);
    cr_assert_eq(body_cache_ahead(&cache, 1, 5), 1u);
}
