/* What is ready in a queue, against a plain list: lanes, what comes back, what leaves out of turn, holes, and bytes. */

#include <criterion/criterion.h>
#include <string.h>

#include "listing_fixture.h"

static void begin(struct listing *listing, uint64_t seed, uint8_t max_priority)
{
    struct queue_options options;
    queue_options_init(&options);
    options.max_priority = max_priority;
    options.has_max_bytes = true;
    options.max_bytes = UINT64_MAX;
    listing_init(listing, seed, &options);
}

static void push(struct listing *listing)
{
    uint32_t len = listing_roll(listing, 50);
    struct blob *blob = blob_new(50);
    struct message message = {
        .blob = blob, .data = blob->data, .enqueued_ms = 1, .head_len = len / 2, .body_len = len - len / 2};
    memset(blob->data, 7, 50);
    message.hash = XXH3_64bits(blob->data, len);
    listing_push(listing, &message, listing_roll(listing, listing_queue(listing)->options.max_priority + 2u));
}

/* Delivers the first one, which must be the one that the list says, and settles it, or lets it go back. */
static void take(struct listing *listing)
{
    unsigned budget = 100;
    struct taken taken;
    bool found;
    cr_assert_eq(queue_take(listing_machine(listing), listing_queue(listing), &budget, &taken, &found), 0);
    cr_assert_eq(found, listing->len > 0);
    if (!found) {
        return;
    }
    cr_assert_eq(taken.position, listing->listed[0].position);
    cr_assert_eq(taken.count, listing->listed[0].count);
    struct delivery delivery = {.position = taken.position, .count = taken.count};
    if (listing_roll(listing, 2) == 0) {
        cr_assert_eq(queue_settle(listing_machine(listing), listing_queue(listing), &delivery), 0);
        listing_remove(listing, 0);
        return;
    }
    cr_assert_eq(queue_return(listing_machine(listing), listing_queue(listing), &delivery, RETURN_RELEASED, UINT64_MAX),
                 0);
    listing->listed[0].count++;
}

static void take_out_of_turn(struct listing *listing)
{
    if (listing->len == 0) {
        return;
    }
    size_t at = listing_roll(listing, (uint32_t)listing->len);
    struct listed listed = listing->listed[at];
    uint32_t count;
    cr_assert_eq(queue_find_ready(listing_machine(listing), listing_queue(listing), listed.position, &count), 0);
    cr_assert_eq(count, listed.count);
    if (listing_roll(listing, 2) == 0) {
        cr_assert_eq(queue_drop_ready(listing_machine(listing), listing_queue(listing), listed.position), 0);
    } else {
        struct message message;
        cr_assert_eq(queue_take_position(listing_machine(listing), listing_queue(listing), listed.position, &message),
                     0);
        cr_assert_eq(message_len(&message), listed.len);
        cr_assert_eq(XXH3_64bits(message.data, listed.len), message.hash);
        message_unref(&message);
    }
    cr_assert_eq(queue_drop_ready(listing_machine(listing), listing_queue(listing), listed.position), ERR_NOT_FOUND);
    listing_remove(listing, at);
}

static void drop_oldest(struct listing *listing)
{
    struct message message;
    uint64_t position;
    int err = queue_drop_oldest(listing_machine(listing), listing_queue(listing), &message, &position);
    cr_assert_eq(err, listing->len > 0 ? 0 : ERR_NOT_FOUND);
    if (err != 0) {
        return;
    }
    message_unref(&message);
    size_t at = listing->len - 1;
    while (at > 0 && lane_of(listing->listed[at - 1].position) == lane_of(listing->listed[at].position)) {
        at--;
    }
    cr_assert_eq(position, listing->listed[at].position);
    listing_remove(listing, at);
}

struct browsing {
    const struct listing *listing;
    size_t at;
};

static int browsed(void *arg, const struct machine_message *message)
{
    struct browsing *browsing = arg;
    const struct listed *listed = &browsing->listing->listed[browsing->at++];
    cr_assert_eq(message->position, listed->position);
    cr_assert_eq(message->delivery_count, listed->count);
    cr_assert_eq(message->body_len + message->head_len, listed->len);
    cr_assert_eq(message->state, MESSAGE_READY);
    return 0;
}

static void check(struct listing *listing)
{
    struct queue *queue = listing_queue(listing);
    uint64_t bytes = 0;
    for (size_t i = 0; i < listing->len; i++) {
        bytes += listing->listed[i].body_len;
    }
    uint64_t said;
    bool within;
    cr_assert_eq(queue_ready(queue), listing->len);
    cr_assert_eq(queue_bytes_within(listing_machine(listing), queue, bytes, &within), 0);
    cr_assert(within);
    cr_assert_eq(queue_bytes_within(listing_machine(listing), queue, bytes - 1, &within), 0);
    cr_assert_eq(within, bytes == 0);
    cr_assert_eq(queue_bytes(listing_machine(listing), queue, &said), 0);
    cr_assert_eq(said, bytes);
    struct browsing browsing = {.listing = listing};
    cr_assert_eq(machine_browse(listing_machine(listing), queue->id, 0, browsed, &browsing), 0);
    cr_assert_eq(browsing.at, listing->len);
}

static void step(struct listing *listing)
{
    uint32_t kind = listing_roll(listing, 100);
    if (kind < 40) {
        push(listing);
    } else if (kind < 65) {
        take(listing);
    } else if (kind < 85) {
        take_out_of_turn(listing);
    } else if (kind < 93) {
        drop_oldest(listing);
    } else if (kind < 99) {
        check(listing);
    } else if (listing_roll(listing, 4) == 0) {
        cr_assert_eq(queue_purge(listing_machine(listing), listing_queue(listing)), 0);
        listing->len = 0;
    } else {
        listing_reopen(listing);
    }
}

static void run(uint64_t seed, uint8_t max_priority)
{
    static struct listing listing;
    begin(&listing, seed, max_priority);
    for (unsigned i = 0; i < 1500; i++) {
        step(&listing);
    }
    check(&listing);
    listing_reopen(&listing);
    check(&listing);
    fixture_done(&listing.fixture);
}

Test(ready, is_as_a_list_says_in_one_lane)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        run(seed, 0);
    }
}

Test(ready, is_as_a_list_says_with_priorities)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        run(seed, seed % 2 == 0 ? 3 : 255);
    }
}
