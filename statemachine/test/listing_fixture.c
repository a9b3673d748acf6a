/* A queue, and beside it a plain list of what should be in it. */

#include "listing_fixture.h"

#include <criterion/criterion.h>
#include <string.h>

struct machine *listing_machine(struct listing *listing)
{
    listing->fixture.machine->version = 2;
    return listing->fixture.machine;
}

struct queue *listing_queue(struct listing *listing)
{
    return queue_by_name(listing_machine(listing), VIRTUAL_HOST_ROOT, "q");
}

void listing_init(struct listing *listing, uint64_t seed, struct queue_options *options)
{
    struct queue *queue;
    memset(listing, 0, sizeof *listing);
    listing->seed = seed;
    fixture_init(&listing->fixture);
    struct machine *machine = listing_machine(listing);
    cr_assert_eq(queue_new(machine, machine->next_queue++, VIRTUAL_HOST_ROOT, "q", 1, options, &queue), 0);
    queue_changed(machine, queue);
}

uint32_t listing_roll(struct listing *listing, uint32_t below)
{
    listing->seed = listing->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(listing->seed >> 33) % below;
}

void listing_push(struct listing *listing, const struct message *message, uint32_t priority)
{
    struct queue *queue = listing_queue(listing);
    struct listed listed = {.group = message->group, .len = message_len(message), .body_len = message->body_len};
    cr_assert_eq(queue_push(listing_machine(listing), queue, message, priority, &listed.position), 0);
    unsigned lane = priority < queue->options.max_priority ? queue->options.max_priority - priority : 0;
    cr_assert_eq(lane_of(listed.position), lane);
    size_t at = listing->len++;
    cr_assert_lt(at, LISTED_MAX);
    for (; at > 0 && listing->listed[at - 1].position > listed.position; at--) {
        listing->listed[at] = listing->listed[at - 1];
    }
    listing->listed[at] = listed;
}

void listing_remove(struct listing *listing, size_t at)
{
    memmove(&listing->listed[at], &listing->listed[at + 1], (listing->len - at - 1) * sizeof listing->listed[0]);
    listing->len--;
}

void listing_reopen(struct listing *listing)
{
    uint64_t digest = fixture_digest(&listing->fixture);
    fixture_checkpoint(&listing->fixture);
    cr_assert_eq(fixture_digest(&listing->fixture), digest, "a checkpoint changes nothing");
    fixture_crash(&listing->fixture);
    cr_assert_eq(fixture_digest(&listing->fixture), digest, "nor does a restart");
}
