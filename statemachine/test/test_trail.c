/* Trails of dead letters. */

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "proto/wire/message.pb-c.h"
#include "statemachine/message/trail.h"

static struct slice text(const char *text)
{
    return (struct slice){.data = (const uint8_t *)text, .len = strlen(text)};
}

/* A trail as it goes on from queue to queue: encoded each time. */
struct walk {
    struct slice encoded;
};

static void walk_die(struct walk *walk, const char *queue, enum death_reason reason, const char *key, uint64_t time_ms)
{
    struct trail trail;
    struct slice keys[] = {text(key)};
    struct death death = {.queue = text(queue), .reason = reason, .exchange = text("x"), .keys = keys, .keys_len = 1};
    struct bytes scratch = {0};
    struct slice encoded;
    death.time_ms = time_ms;
    death.position = time_ms + 1;
    cr_assert_eq(trail_read(walk->encoded.data, walk->encoded.len, &trail), 0);
    cr_assert_eq(trail_add(&trail, &death, &scratch), 0);
    cr_assert_eq(trail_write(&trail, &encoded), 0);
    bytes_done(&scratch);
    slice_unref(&walk->encoded);
    walk->encoded = encoded;
}

static Holdfast__Trail *walk_decoded(const struct walk *walk)
{
    Holdfast__Trail *trail = holdfast__trail__unpack(NULL, walk->encoded.len, walk->encoded.data);
    cr_assert_not_null(trail);
    return trail;
}

static bool walk_closes_circle(const struct walk *walk, const char *queue)
{
    struct trail trail;
    cr_assert_eq(trail_read(walk->encoded.data, walk->encoded.len, &trail), 0);
    return trail_closes_circle(&trail, text(queue));
}

Test(trail, tells_of_each_death_the_last_one_first)
{
    struct walk walk = {0};
    walk_die(&walk, "a", DEATH_REJECTED, "k1", 10);
    walk_die(&walk, "b", DEATH_EXPIRED, "k2", 20);
    Holdfast__Trail *trail = walk_decoded(&walk);
    cr_assert_eq(trail->n_death, 2u);
    cr_assert_str_eq(trail->death[0]->queue, "b");
    cr_assert_eq(trail->death[0]->reason, HOLDFAST__DEATH__REASON__EXPIRED);
    cr_assert_eq(trail->death[0]->count, 1u);
    cr_assert_eq(trail->death[0]->time_ms, 20u);
    cr_assert_eq(trail->death[0]->position, 21u);
    cr_assert_eq(trail->death[0]->n_routing_key, 1u);
    cr_assert_str_eq(trail->death[0]->routing_key[0], "k2");
    cr_assert_str_eq(trail->death[0]->exchange, "x");
    cr_assert_str_eq(trail->death[1]->queue, "a");
    cr_assert_eq(trail->death[1]->reason, HOLDFAST__DEATH__REASON__REJECTED);
    cr_assert_str_eq(trail->first_queue, "a");
    cr_assert_str_eq(trail->first_reason, "rejected");
    cr_assert_str_eq(trail->first_exchange, "x");
    holdfast__trail__free_unpacked(trail, NULL);
    slice_unref(&walk.encoded);
}

Test(trail, counts_what_happens_again_and_moves_it_to_the_front)
{
    struct walk walk = {0};
    walk_die(&walk, "a", DEATH_REJECTED, "k", 1);
    walk_die(&walk, "b", DEATH_REJECTED, "k", 2);
    walk_die(&walk, "a", DEATH_EXPIRED, "k", 3);
    walk_die(&walk, "a", DEATH_REJECTED, "other", 4);
    Holdfast__Trail *trail = walk_decoded(&walk);
    cr_assert_eq(trail->n_death, 3u);
    cr_assert_str_eq(trail->death[0]->queue, "a");
    cr_assert_eq(trail->death[0]->reason, HOLDFAST__DEATH__REASON__REJECTED);
    cr_assert_eq(trail->death[0]->count, 2u);
    cr_assert_eq(trail->death[0]->time_ms, 4u);
    cr_assert_str_eq(trail->death[0]->routing_key[0], "other");
    cr_assert_eq(trail->death[1]->reason, HOLDFAST__DEATH__REASON__EXPIRED);
    cr_assert_eq(trail->death[1]->count, 1u);
    cr_assert_str_eq(trail->death[2]->queue, "b");
    cr_assert_str_eq(trail->first_queue, "a");
    holdfast__trail__free_unpacked(trail, NULL);
    slice_unref(&walk.encoded);
}

Test(trail, forgets_the_oldest_when_there_are_too_many)
{
    struct walk walk = {0};
    for (unsigned i = 0; i <= TRAIL_DEATHS_MAX; i++) {
        char queue[] = {'q', (char)('0' + i), 0};
        walk_die(&walk, queue, DEATH_MAXLEN, "k", i);
    }
    Holdfast__Trail *trail = walk_decoded(&walk);
    cr_assert_eq(trail->n_death, TRAIL_DEATHS_MAX);
    cr_assert_eq(trail->death[0]->time_ms, TRAIL_DEATHS_MAX);
    cr_assert_eq(trail->death[TRAIL_DEATHS_MAX - 1]->time_ms, 1u);
    cr_assert_str_eq(trail->first_queue, "q0");
    holdfast__trail__free_unpacked(trail, NULL);
    slice_unref(&walk.encoded);
}

Test(trail, forgets_the_oldest_when_they_are_too_long)
{
    struct walk walk = {0};
    char *key = malloc(30001);
    memset(key, 'k', 30000);
    key[30000] = 0;
    walk_die(&walk, "a", DEATH_MAXLEN, key, 1);
    walk_die(&walk, "b", DEATH_MAXLEN, key, 2);
    walk_die(&walk, "c", DEATH_MAXLEN, key, 3);
    Holdfast__Trail *trail = walk_decoded(&walk);
    cr_assert_eq(trail->n_death, 2u);
    cr_assert_str_eq(trail->death[0]->queue, "c");
    holdfast__trail__free_unpacked(trail, NULL);
    slice_unref(&walk.encoded);
    free(key);
}

Test(trail, one_death_is_never_too_long)
{
    struct walk walk = {0};
    char *key = malloc(TRAIL_DEATHS_LEN_MAX + 1);
    memset(key, 'k', TRAIL_DEATHS_LEN_MAX);
    key[TRAIL_DEATHS_LEN_MAX] = 0;
    walk_die(&walk, "a", DEATH_MAXLEN, "k", 1);
    walk_die(&walk, "b", DEATH_MAXLEN, key, 1);
    Holdfast__Trail *trail = walk_decoded(&walk);
    cr_assert_eq(trail->n_death, 1u);
    cr_assert_str_eq(trail->death[0]->queue, "b");
    holdfast__trail__free_unpacked(trail, NULL);
    slice_unref(&walk.encoded);
    free(key);
}

Test(trail, a_circle_is_closed_unless_there_was_a_rejection)
{
    struct walk walk = {0};
    cr_assert(!walk_closes_circle(&walk, "a"));
    walk_die(&walk, "a", DEATH_EXPIRED, "k", 1);
    cr_assert(walk_closes_circle(&walk, "a"));
    cr_assert(!walk_closes_circle(&walk, "b"));
    walk_die(&walk, "b", DEATH_DELIVERY_LIMIT, "k", 2);
    cr_assert(walk_closes_circle(&walk, "a"));
    walk_die(&walk, "c", DEATH_REJECTED, "k", 3);
    cr_assert(!walk_closes_circle(&walk, "a"));
    cr_assert(!walk_closes_circle(&walk, "c"));
    walk_die(&walk, "a", DEATH_MAXLEN, "k", 4);
    cr_assert(walk_closes_circle(&walk, "a"));
    cr_assert(!walk_closes_circle(&walk, "b"));
    slice_unref(&walk.encoded);
}

Test(trail, address_and_flags_come_back)
{
    struct trail trail = {.has_address = true, .own_keys = true, .no_ttl = true, .first_enqueued_ms = 300};
    struct slice encoded;
    trail.exchange = text("e");
    trail.routing_key = text("r");
    cr_assert_eq(trail_write(&trail, &encoded), 0);
    Holdfast__Trail *decoded = holdfast__trail__unpack(NULL, encoded.len, encoded.data);
    cr_assert(decoded->has_address && decoded->own_keys && decoded->no_ttl);
    cr_assert_str_eq(decoded->exchange, "e");
    cr_assert_str_eq(decoded->routing_key, "r");
    cr_assert_eq(decoded->first_enqueued_ms, 300u);
    struct trail again;
    cr_assert_eq(trail_read(encoded.data, encoded.len, &again), 0);
    cr_assert(again.has_address && again.own_keys && again.no_ttl);
    cr_assert_eq(again.first_enqueued_ms, 300u);
    cr_assert_eq(again.exchange.len, 1u);
    cr_assert_eq(again.routing_key.data[0], 'r');
    holdfast__trail__free_unpacked(decoded, NULL);
    slice_unref(&encoded);
}

Test(trail, what_is_cut_short_is_damaged)
{
    struct walk walk = {0};
    struct trail trail;
    walk_die(&walk, "a", DEATH_REJECTED, "k1", 10);
    cr_assert_eq(trail_read(walk.encoded.data, walk.encoded.len - 1, &trail), ERR_CORRUPT);
    slice_unref(&walk.encoded);
}
