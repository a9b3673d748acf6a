/* Ordered groups, against a plain list: of one group at most one is out, and what is delivered is the first of its group. */

#include <criterion/criterion.h>
#include <string.h>

#include "listing_fixture.h"

static void begin(struct listing *listing, uint64_t seed, uint8_t max_priority)
{
    struct queue_options options;
    queue_options_init(&options);
    options.max_priority = max_priority;
    options.groups = true;
    listing_init(listing, seed, &options);
}

static void push(struct listing *listing)
{
    struct message message = {.data = (const uint8_t *)"body", .group = listing_roll(listing, 5), .body_len = 4};
    message.hash = XXH3_64bits("body", 4);
    listing_push(listing, &message, listing_roll(listing, 4));
}

static bool group_is_out(const struct listing *listing, uint64_t group)
{
    for (size_t i = 0; group != 0 && i < listing->len; i++) {
        if (listing->listed[i].group == group && listing->listed[i].out) {
            return true;
        }
    }
    return false;
}

/* The first that may be delivered: none of its group is out. */
static size_t next(const struct listing *listing)
{
    size_t at = 0;
    while (at < listing->len && (listing->listed[at].out || group_is_out(listing, listing->listed[at].group))) {
        at++;
    }
    return at;
}

static void take(struct listing *listing)
{
    unsigned budget = 100000;
    struct taken taken;
    bool found;
    size_t at = next(listing);
    cr_assert_eq(queue_take(listing_machine(listing), listing_queue(listing), &budget, &taken, &found), 0);
    cr_assert_eq(found, at < listing->len);
    if (found) {
        cr_assert_eq(taken.position, listing->listed[at].position);
        cr_assert_eq(taken.group, listing->listed[at].group);
        cr_assert_eq(taken.count, listing->listed[at].count);
        listing->listed[at].out = true;
    }
}

/* One that is out, if there is one, is settled or goes back. */
static void end(struct listing *listing, size_t from)
{
    size_t at = from;
    while (at < listing->len && !listing->listed[at].out) {
        at++;
    }
    if (at == listing->len) {
        return;
    }
    struct listed *listed = &listing->listed[at];
    struct delivery delivery = {.position = listed->position, .count = listed->count, .group = listed->group};
    if (listing_roll(listing, 3) > 0) {
        cr_assert_eq(queue_settle(listing_machine(listing), listing_queue(listing), &delivery), 0);
        listing_remove(listing, at);
        return;
    }
    cr_assert_eq(queue_return(listing_machine(listing), listing_queue(listing), &delivery, RETURN_RELEASED, UINT64_MAX),
                 0);
    listed->count++;
    listed->out = false;
}

/* Expired, or redriven: one that is ready, parked or not. */
static void drop(struct listing *listing)
{
    size_t at = listing->len > 0 ? listing_roll(listing, (uint32_t)listing->len) : 0;
    if (at < listing->len && !listing->listed[at].out) {
        cr_assert_eq(queue_drop_ready(listing_machine(listing), listing_queue(listing), listing->listed[at].position),
                     0);
        listing_remove(listing, at);
    }
}

static void check(struct listing *listing)
{
    uint64_t ready = 0;
    for (size_t i = 0; i < listing->len; i++) {
        ready += !listing->listed[i].out;
    }
    cr_assert_eq(queue_ready(listing_queue(listing)), ready);
    cr_assert_eq(listing_queue(listing)->unsettled, listing->len - ready);
}

/* What is out would not be held any more after a restart. */
static void settle_all(struct listing *listing)
{
    while (listing_queue(listing)->unsettled > 0) {
        end(listing, 0);
    }
}

static void purge(struct listing *listing)
{
    cr_assert_eq(queue_purge(listing_machine(listing), listing_queue(listing)), 0);
    for (size_t at = listing->len; at > 0; at--) {
        if (!listing->listed[at - 1].out) {
            listing_remove(listing, at - 1);
        }
    }
}

static void step(struct listing *listing)
{
    uint32_t kind = listing_roll(listing, 200);
    if (kind < 80) {
        push(listing);
    } else if (kind < 130) {
        take(listing);
    } else if (kind < 170) {
        end(listing, listing->len > 0 ? listing_roll(listing, (uint32_t)listing->len) : 0);
    } else if (kind < 185) {
        drop(listing);
    } else if (kind < 197) {
        check(listing);
    } else if (kind < 199) {
        settle_all(listing);
        listing_reopen(listing);
    } else {
        purge(listing);
    }
}

/* When all is delivered and settled, no group is active and none is parked. */
static void drain(struct listing *listing)
{
    while (listing->len > 0) {
        take(listing);
        end(listing, 0);
    }
    struct row_key key = row_key_one(ROW_GROUP, listing_queue(listing)->id);
    struct row_key behind = row_key_after(&key);
    struct table_row found;
    cr_assert_eq(table_seek(listing_machine(listing), &key, &behind, &found), ERR_NOT_FOUND);
    cr_assert_eq(listing_queue(listing)->parked, 0u);
    cr_assert_eq(listing_queue(listing)->parked_bytes, 0u);
}

static void run(uint64_t seed, uint8_t max_priority)
{
    static struct listing listing;
    begin(&listing, seed, max_priority);
    for (unsigned i = 0; i < 2000; i++) {
        step(&listing);
    }
    drain(&listing);
    fixture_done(&listing.fixture);
}

Test(group, is_delivered_in_order_one_at_a_time)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        run(seed, 0);
    }
}

Test(group, is_in_order_of_positions_with_priorities)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        run(seed, 2);
    }
}

/* A message is parked once, however often others are delivered meanwhile; and parking uses up the budget. */
Test(group, parking_is_bounded)
{
    static struct listing listing;
    begin(&listing, 1, 0);
    uint64_t position;
    struct message message = {.data = (const uint8_t *)"body", .group = 9, .body_len = 4};
    for (unsigned i = 0; i < 100; i++) {
        cr_assert_eq(queue_push(listing_machine(&listing), listing_queue(&listing), &message, 0, &position), 0);
    }
    struct taken taken;
    unsigned budget = 80;
    bool found;
    cr_assert_eq(queue_take(listing_machine(&listing), listing_queue(&listing), &budget, &taken, &found), 0);
    cr_assert(found && budget == 80);
    cr_assert_eq(queue_take(listing_machine(&listing), listing_queue(&listing), &budget, &taken, &found), 0);
    cr_assert(!found && budget == 0);
    uint64_t parked = listing_queue(&listing)->parked;
    cr_assert(parked == 10 && queue_has_next(listing_queue(&listing)));
    budget = 100000;
    cr_assert_eq(queue_take(listing_machine(&listing), listing_queue(&listing), &budget, &taken, &found), 0);
    cr_assert(!found && listing_queue(&listing)->parked == 99 && !queue_has_next(listing_queue(&listing)));
    fixture_done(&listing.fixture);
}

/* What is parked goes in its turn, before younger ones that are ready, and after those of lower priorities. */
Test(group, the_oldest_that_is_dropped_may_be_parked)
{
    static const uint64_t groups[] = {9, 9, 0, 9, 8};
    static struct listing listing;
    for (uint8_t max_priority = 0; max_priority < 2; max_priority++) {
        begin(&listing, 1, max_priority);
        uint64_t positions[ARRAY_LEN(groups)];
        for (unsigned i = 0; i < ARRAY_LEN(groups); i++) {
            struct message message = {.data = (const uint8_t *)"body", .group = groups[i], .body_len = 4};
            cr_assert_eq(
                queue_push(listing_machine(&listing), listing_queue(&listing), &message, max_priority, &positions[i]),
                0);
        }
        struct taken taken;
        struct message message;
        unsigned budget = 100;
        uint64_t position;
        bool found;
        for (unsigned i = 0; i < 3; i++) { /* The first, the third, the last. */
            cr_assert_eq(queue_take(listing_machine(&listing), listing_queue(&listing), &budget, &taken, &found), 0);
        }
        cr_assert(found && taken.position == positions[4] && listing_queue(&listing)->parked == 2);
        uint64_t low = 0;
        struct message last = {.data = (const uint8_t *)"body", .group = 7, .body_len = 4};
        cr_assert_eq(queue_push(listing_machine(&listing), listing_queue(&listing), &last, 0, &low), 0);
        uint64_t expected[] = {positions[1], positions[3], low};
        if (max_priority > 0) {
            memcpy(expected, (uint64_t[]){low, positions[1], positions[3]}, sizeof expected);
        }
        for (unsigned i = 0; i < ARRAY_LEN(expected); i++) {
            cr_assert_eq(queue_drop_oldest(listing_machine(&listing), listing_queue(&listing), &message, &position), 0);
            cr_assert_eq(position, expected[i]);
            message_unref(&message);
        }
        cr_assert_eq(queue_drop_oldest(listing_machine(&listing), listing_queue(&listing), &message, &position),
                     ERR_NOT_FOUND);
        fixture_done(&listing.fixture);
    }
}

/* What it says of its group would never be taken out again. */
Test(group, is_nothing_in_a_queue_without_groups)
{
    static struct listing listing;
    struct queue_options options;
    struct message_head head;
    queue_options_init(&options);
    listing_init(&listing, 1, &options);
    struct message message = {.data = (const uint8_t *)"body", .group = 9, .body_len = 4};
    message.hash = XXH3_64bits("body", 4);
    listing_push(&listing, &message, 0);
    cr_assert_eq(state_message_head(listing_machine(&listing), listing_queue(&listing), 1, &head), 0);
    cr_assert_eq(head.group, 0u);
    fixture_done(&listing.fixture);
}
