/* Ordered groups, against a plain list: of one group at most one is out, and what is delivered is the first of its group. */

#include <criterion/criterion.h>
#include <string.h>

#include "fixture.h"
#include "statemachine/state.h"

#define LISTED_MAX 2048u

enum place { READY, OUT };

struct listed {
    uint64_t position;
    uint64_t group;
    uint32_t count;
    enum place place;
};

struct world {
    struct fixture fixture;
    struct listed listed[LISTED_MAX];
    size_t len;
    uint64_t seed;
};

static struct machine *machine_of(struct world *world)
{
    world->fixture.machine->version = 2;
    return world->fixture.machine;
}

static struct queue *queue_of(struct world *world)
{
    return queue_by_name(machine_of(world), VIRTUAL_HOST_ROOT, "q");
}

static uint32_t roll(struct world *world, uint32_t below)
{
    world->seed = world->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(world->seed >> 33) % below;
}

static void world_init(struct world *world, uint64_t seed, uint8_t max_priority)
{
    memset(world, 0, sizeof *world);
    world->seed = seed;
    fixture_init(&world->fixture);
    struct queue_options options;
    struct queue *queue;
    queue_options_init(&options);
    options.max_priority = max_priority;
    options.groups = true;
    struct machine *machine = machine_of(world);
    cr_assert_eq(queue_new(machine, machine->next_queue++, VIRTUAL_HOST_ROOT, "q", 1, &options, &queue), 0);
    queue_changed(machine, queue);
}

static void push(struct world *world)
{
    uint64_t group = roll(world, 5);
    uint64_t position;
    struct message message = {.data = (const uint8_t *)"body", .group = group, .body_len = 4};
    message.hash = XXH3_64bits("body", 4);
    cr_assert_eq(queue_push(machine_of(world), queue_of(world), &message, roll(world, 4), &position), 0);
    size_t at = world->len++;
    cr_assert_lt(at, LISTED_MAX);
    for (; at > 0 && world->listed[at - 1].position > position; at--) {
        world->listed[at] = world->listed[at - 1];
    }
    world->listed[at] = (struct listed){.position = position, .group = group};
}

static bool group_is_out(const struct world *world, uint64_t group)
{
    for (size_t i = 0; group != 0 && i < world->len; i++) {
        if (world->listed[i].group == group && world->listed[i].place == OUT) {
            return true;
        }
    }
    return false;
}

/* The first that may be delivered: none of its group is out. */
static size_t next(const struct world *world)
{
    size_t at = 0;
    while (at < world->len && (world->listed[at].place == OUT || group_is_out(world, world->listed[at].group))) {
        at++;
    }
    return at;
}

static void take(struct world *world)
{
    unsigned budget = 100000;
    struct taken taken;
    bool found;
    size_t at = next(world);
    cr_assert_eq(queue_take(machine_of(world), queue_of(world), &budget, &taken, &found), 0);
    cr_assert_eq(found, at < world->len);
    if (found) {
        cr_assert_eq(taken.position, world->listed[at].position);
        cr_assert_eq(taken.group, world->listed[at].group);
        cr_assert_eq(taken.count, world->listed[at].count);
        world->listed[at].place = OUT;
    }
}

static void listed_remove(struct world *world, size_t at)
{
    memmove(&world->listed[at], &world->listed[at + 1], (world->len - at - 1) * sizeof world->listed[0]);
    world->len--;
}

/* One that is out, if there is one, is settled or goes back. */
static void end(struct world *world, size_t from)
{
    size_t at = from;
    while (at < world->len && world->listed[at].place != OUT) {
        at++;
    }
    if (at == world->len) {
        return;
    }
    struct listed *listed = &world->listed[at];
    struct delivery delivery = {.position = listed->position, .count = listed->count, .group = listed->group};
    if (roll(world, 3) > 0) {
        cr_assert_eq(queue_settle(machine_of(world), queue_of(world), &delivery), 0);
        listed_remove(world, at);
        return;
    }
    cr_assert_eq(queue_return(machine_of(world), queue_of(world), &delivery, RETURN_RELEASED, UINT64_MAX), 0);
    listed->count++;
    listed->place = READY;
}

/* Expired, or redriven: one that is ready, parked or not. */
static void drop(struct world *world)
{
    size_t at = world->len > 0 ? roll(world, (uint32_t)world->len) : 0;
    if (at < world->len && world->listed[at].place == READY) {
        cr_assert_eq(queue_drop_ready(machine_of(world), queue_of(world), world->listed[at].position), 0);
        listed_remove(world, at);
    }
}

static void check(struct world *world)
{
    uint64_t ready = 0;
    for (size_t i = 0; i < world->len; i++) {
        ready += world->listed[i].place == READY;
    }
    cr_assert_eq(queue_ready(queue_of(world)), ready);
    cr_assert_eq(queue_of(world)->unsettled, world->len - ready);
}

static void reopen(struct world *world)
{
    while (queue_of(world)->unsettled > 0) {
        end(world, 0);
    }
    uint64_t digest = fixture_digest(&world->fixture);
    fixture_checkpoint(&world->fixture);
    cr_assert_eq(fixture_digest(&world->fixture), digest);
    if (MACHINE_VERSION_MAX >= 2) {
        fixture_crash(&world->fixture);
        cr_assert_eq(fixture_digest(&world->fixture), digest);
    }
}

static void purge(struct world *world)
{
    cr_assert_eq(queue_purge(machine_of(world), queue_of(world)), 0);
    for (size_t at = world->len; at > 0; at--) {
        if (world->listed[at - 1].place == READY) {
            listed_remove(world, at - 1);
        }
    }
}

static void step(struct world *world)
{
    uint32_t kind = roll(world, 200);
    if (kind < 80) {
        push(world);
    } else if (kind < 130) {
        take(world);
    } else if (kind < 170) {
        end(world, world->len > 0 ? roll(world, (uint32_t)world->len) : 0);
    } else if (kind < 185) {
        drop(world);
    } else if (kind < 197) {
        check(world);
    } else if (kind < 199) {
        reopen(world);
    } else {
        purge(world);
    }
}

/* When all is delivered and settled, no group is active and none is parked. */
static void drain(struct world *world)
{
    while (world->len > 0) {
        take(world);
        end(world, 0);
    }
    struct row_key key = row_key_one(ROW_GROUP, queue_of(world)->id);
    struct row_key behind = row_key_after(&key);
    struct table_row found;
    cr_assert_eq(table_seek(machine_of(world), &key, &behind, &found), ERR_NOT_FOUND);
    cr_assert_eq(queue_of(world)->parked, 0u);
    cr_assert_eq(queue_of(world)->parked_bytes, 0u);
}

static void run(uint64_t seed, uint8_t max_priority)
{
    static struct world world;
    world_init(&world, seed, max_priority);
    for (unsigned i = 0; i < 2000; i++) {
        step(&world);
    }
    drain(&world);
    fixture_done(&world.fixture);
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
    static struct world world;
    world_init(&world, 1, 0);
    uint64_t position;
    struct message message = {.data = (const uint8_t *)"body", .group = 9, .body_len = 4};
    for (unsigned i = 0; i < 100; i++) {
        cr_assert_eq(queue_push(machine_of(&world), queue_of(&world), &message, 0, &position), 0);
    }
    struct taken taken;
    unsigned budget = 80;
    bool found;
    cr_assert_eq(queue_take(machine_of(&world), queue_of(&world), &budget, &taken, &found), 0);
    cr_assert(found && budget == 80);
    cr_assert_eq(queue_take(machine_of(&world), queue_of(&world), &budget, &taken, &found), 0);
    cr_assert(!found && budget == 0);
    uint64_t parked = queue_of(&world)->parked;
    cr_assert(parked == 10 && queue_has_next(queue_of(&world)));
    budget = 100000;
    cr_assert_eq(queue_take(machine_of(&world), queue_of(&world), &budget, &taken, &found), 0);
    cr_assert(!found && queue_of(&world)->parked == 99 && !queue_has_next(queue_of(&world)));
    fixture_done(&world.fixture);
}

/* What is parked goes in its turn, before younger ones that are ready, and after those of lower priorities. */
Test(group, the_oldest_that_is_dropped_may_be_parked)
{
    static const uint64_t groups[] = {9, 9, 0, 9, 8};
    static struct world world;
    for (uint8_t max_priority = 0; max_priority < 2; max_priority++) {
        world_init(&world, 1, max_priority);
        uint64_t positions[ARRAY_LEN(groups)];
        for (unsigned i = 0; i < ARRAY_LEN(groups); i++) {
            struct message message = {.data = (const uint8_t *)"body", .group = groups[i], .body_len = 4};
            cr_assert_eq(queue_push(machine_of(&world), queue_of(&world), &message, max_priority, &positions[i]), 0);
        }
        struct taken taken;
        struct message message;
        unsigned budget = 100;
        uint64_t position;
        bool found;
        for (unsigned i = 0; i < 3; i++) { /* The first, the third, the last. */
            cr_assert_eq(queue_take(machine_of(&world), queue_of(&world), &budget, &taken, &found), 0);
        }
        cr_assert(found && taken.position == positions[4] && queue_of(&world)->parked == 2);
        uint64_t low = 0;
        struct message last = {.data = (const uint8_t *)"body", .group = 7, .body_len = 4};
        cr_assert_eq(queue_push(machine_of(&world), queue_of(&world), &last, 0, &low), 0);
        uint64_t expected[] = {positions[1], positions[3], low};
        if (max_priority > 0) {
            memcpy(expected, (uint64_t[]){low, positions[1], positions[3]}, sizeof expected);
        }
        for (unsigned i = 0; i < ARRAY_LEN(expected); i++) {
            cr_assert_eq(queue_drop_oldest(machine_of(&world), queue_of(&world), &message, &position), 0);
            cr_assert_eq(position, expected[i]);
            message_unref(&message);
        }
        cr_assert_eq(queue_drop_oldest(machine_of(&world), queue_of(&world), &message, &position), ERR_NOT_FOUND);
        fixture_done(&world.fixture);
    }
}
