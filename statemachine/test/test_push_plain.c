/* Many messages at once, beside the same messages one by one. */

#include <criterion/criterion.h>
#include <string.h>

#include "fixture.h"
#include "statemachine/state.h"

#define COUNT 300u

static struct queue *start(struct fixture *f, uint32_t version, uint8_t max_priority)
{
    struct queue_options options;
    struct queue *queue;
    fixture_init(f);
    f->machine->version = version;
    f->machine->time_ms = 4711;
    queue_options_init(&options);
    options.max_priority = (uint8_t)max_priority;
    cr_assert_eq(queue_new(f->machine, f->machine->next_queue++, VIRTUAL_HOST_ROOT, "q", 1, &options, &queue), 0);
    return queue;
}

/* Messages of 0, 1, 2... bytes; the same ones for whoever asks. */
static struct blob *content(uint32_t lens[COUNT], uint64_t hashes[COUNT])
{
    struct blob *blob = blob_new(COUNT * COUNT / 2);
    size_t at = 0;
    cr_assert_not_null(blob);
    for (uint32_t i = 0; i < COUNT; i++) {
        lens[i] = i;
        memset(blob->data + at, (int)i, i);
        hashes[i] = XXH3_64bits(blob->data + at, i);
        at += i;
    }
    return blob;
}

static void push_all(struct fixture *f, struct queue *queue, bool at_once)
{
    static uint32_t lens[COUNT];
    static uint64_t hashes[COUNT];
    struct blob *blob = content(lens, hashes);
    const uint8_t *data = blob->data;
    if (at_once) {
        struct plain_messages messages = {.blob = blob, .data = data, .lens = lens, .hashes = hashes, .len = COUNT};
        cr_assert_eq(queue_push_plain(f->machine, queue, &messages), 0);
    }
    for (size_t i = 0; i < COUNT && !at_once; i++) {
        uint64_t position;
        struct message message = {
            .blob = blob, .data = data, .hash = hashes[i], .enqueued_ms = f->machine->time_ms, .body_len = lens[i]};
        message_ref(&message);
        cr_assert_eq(queue_push(f->machine, queue, &message, 0, &position), 0);
        data += lens[i];
    }
    cr_assert_eq(blob->refs, COUNT + 1u, "a reference for each");
    blob_unref(blob);
}

static void same_message(struct fixture *f, struct queue *queue, struct fixture *g, struct queue *other,
                         uint64_t position)
{
    struct message a;
    struct message b;
    cr_assert_eq(state_message(f->machine, queue, position, &a), 0);
    cr_assert_eq(state_message(g->machine, other, position, &b), 0);
    cr_assert_eq(a.hash, b.hash);
    cr_assert_eq(a.enqueued_ms, b.enqueued_ms);
    cr_assert_eq(a.bytes_before, b.bytes_before);
    cr_assert_eq(a.body_len, b.body_len);
    cr_assert_eq(a.old, b.old);
    cr_assert_eq(memcmp(a.data, b.data, a.body_len), 0);
    message_unref(&a);
    message_unref(&b);
}

static void beside_each_other(uint32_t version, uint8_t max_priority)
{
    struct fixture f;
    struct fixture g;
    struct queue *queue = start(&f, version, max_priority);
    struct queue *other = start(&g, version, max_priority);
    for (unsigned round = 0; round < 2; round++) {
        push_all(&f, queue, true);
        push_all(&g, other, false);
    }
    cr_assert_eq(queue_ready(queue), 2u * COUNT);
    cr_assert_eq(queue->fresh, other->fresh);
    cr_assert_eq(queue_enqueued(queue), queue_enqueued(other));
    cr_assert(queue->due && other->due);
    cr_assert_eq(f.machine->overlay_bytes, g.machine->overlay_bytes);
    uint64_t first = lane_start(max_priority) + 1;
    for (uint64_t position = first; position < first + 2 * COUNT; position++) {
        same_message(&f, queue, &g, other, position);
    }
    cr_assert_eq(fixture_digest(&f), fixture_digest(&g));
    fixture_reopen(&f);
    cr_assert_eq(fixture_digest(&f), fixture_digest(&g));
    fixture_done(&f);
    fixture_done(&g);
}

Test(push_plain, is_as_one_by_one_under_version_1)
{
    beside_each_other(1, 0);
}

Test(push_plain, is_as_one_by_one)
{
    beside_each_other(2, 0);
}

Test(push_plain, goes_into_the_lane_of_the_lowest_priority)
{
    beside_each_other(2, 9);
}

Test(push_plain, nothing_is_nothing)
{
    struct fixture f;
    struct queue *queue = start(&f, 2, 0);
    cr_assert_eq(queue_push_plain(f.machine, queue, &(struct plain_messages){0}), 0);
    cr_assert_eq(queue_ready(queue), 0u);
    cr_assert_not(queue->due);
    fixture_done(&f);
}
