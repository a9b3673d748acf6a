/* What is ready in a queue, against a plain list: lanes, what comes back, what leaves out of turn, holes, and bytes. */

#include <criterion/criterion.h>
#include <string.h>

#include "fixture.h"
#include "statemachine/state.h"

#define LISTED_MAX 4096u

struct listed {
    uint64_t position;
    uint32_t count;
    uint32_t len;
    bool ready;
};

/* The queue, and what should be in it in order of position. */
struct world {
    struct fixture fixture;
    struct listed listed[LISTED_MAX];
    size_t len;
    uint64_t seed;
    uint8_t priorities;
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
    world->priorities = max_priority;
    fixture_init(&world->fixture);
    struct queue_options options;
    struct queue *queue;
    queue_options_init(&options);
    options.max_priority = max_priority;
    options.has_max_bytes = true;
    options.max_bytes = UINT64_MAX;
    struct machine *machine = machine_of(world);
    cr_assert_eq(queue_new(machine, machine->next_queue++, VIRTUAL_HOST_ROOT, "q", 1, &options, &queue), 0);
    queue_changed(machine, queue);
}

static void push(struct world *world)
{
    uint32_t len = roll(world, 50);
    uint64_t position;
    struct blob *blob = blob_new(50);
    struct message message = {
        .blob = blob, .data = blob->data, .enqueued_ms = 1, .head_len = len / 2, .body_len = len - len / 2};
    memset(blob->data, 7, 50);
    message.hash = XXH3_64bits(blob->data, len);
    uint32_t priority = roll(world, world->priorities + 2u);
    cr_assert_eq(queue_push(machine_of(world), queue_of(world), &message, priority, &position), 0);
    unsigned lane = priority < world->priorities ? world->priorities - priority : 0;
    cr_assert_eq(lane_of(position), lane);
    size_t at = world->len++;
    cr_assert_lt(at, LISTED_MAX);
    for (; at > 0 && world->listed[at - 1].position > position; at--) {
        world->listed[at] = world->listed[at - 1];
    }
    world->listed[at] = (struct listed){.position = position, .len = len, .ready = true};
}

static void listed_remove(struct world *world, size_t at)
{
    memmove(&world->listed[at], &world->listed[at + 1], (world->len - at - 1) * sizeof world->listed[0]);
    world->len--;
}

/* The first ready one from `at` on; the length when there is none. */
static size_t listed_ready(const struct world *world, size_t at)
{
    while (at < world->len && !world->listed[at].ready) {
        at++;
    }
    return at;
}

/* Delivers the first one, which must be the one that the list says, and settles it, or lets it go back. */
static void take(struct world *world)
{
    unsigned budget = 100;
    struct taken taken;
    bool found;
    size_t first = listed_ready(world, 0);
    cr_assert_eq(queue_take(machine_of(world), queue_of(world), &budget, &taken, &found), 0);
    cr_assert_eq(found, first < world->len);
    if (!found) {
        return;
    }
    cr_assert_eq(taken.position, world->listed[first].position);
    cr_assert_eq(taken.count, world->listed[first].count);
    struct delivery delivery = {.position = taken.position, .count = taken.count};
    if (roll(world, 2) == 0) {
        cr_assert_eq(queue_settle(machine_of(world), queue_of(world), &delivery), 0);
        listed_remove(world, first);
        return;
    }
    cr_assert_eq(queue_return(machine_of(world), queue_of(world), &delivery, RETURN_RELEASED, UINT64_MAX), 0);
    world->listed[first].count++;
}

static void take_out_of_turn(struct world *world)
{
    if (world->len == 0) {
        return;
    }
    size_t at = roll(world, (uint32_t)world->len);
    struct listed listed = world->listed[at];
    uint32_t count;
    cr_assert_eq(queue_find_ready(machine_of(world), queue_of(world), listed.position, &count), 0);
    cr_assert_eq(count, listed.count);
    if (roll(world, 2) == 0) {
        cr_assert_eq(queue_drop_ready(machine_of(world), queue_of(world), listed.position), 0);
    } else {
        struct message message;
        cr_assert_eq(queue_take_position(machine_of(world), queue_of(world), listed.position, &message), 0);
        cr_assert_eq(message_len(&message), listed.len);
        cr_assert_eq(XXH3_64bits(message.data, listed.len), message.hash);
        message_unref(&message);
    }
    cr_assert_eq(queue_drop_ready(machine_of(world), queue_of(world), listed.position), ERR_NOT_FOUND);
    listed_remove(world, at);
}

static void drop_oldest(struct world *world)
{
    struct message message;
    uint64_t position;
    int err = queue_drop_oldest(machine_of(world), queue_of(world), &message, &position);
    cr_assert_eq(err, world->len > 0 ? 0 : ERR_NOT_FOUND);
    if (err != 0) {
        return;
    }
    message_unref(&message);
    size_t at = world->len - 1;
    while (at > 0 && lane_of(world->listed[at - 1].position) == lane_of(world->listed[at].position)) {
        at--;
    }
    cr_assert_eq(position, world->listed[at].position);
    listed_remove(world, at);
}

struct browsing {
    const struct world *world;
    size_t at;
};

static int browsed(void *arg, const struct machine_message *message)
{
    struct browsing *browsing = arg;
    const struct listed *listed = &browsing->world->listed[browsing->at++];
    cr_assert_eq(message->position, listed->position);
    cr_assert_eq(message->delivery_count, listed->count);
    cr_assert_eq(message->body_len + message->head_len, listed->len);
    cr_assert_eq(message->state, MESSAGE_READY);
    return 0;
}

static void check(struct world *world)
{
    struct queue *queue = queue_of(world);
    uint64_t bytes = 0;
    for (size_t i = 0; i < world->len; i++) {
        bytes += world->listed[i].len;
    }
    uint64_t said;
    bool within;
    cr_assert_eq(queue_ready(queue), world->len);
    cr_assert_eq(queue_bytes_within(machine_of(world), queue, bytes, &within), 0);
    cr_assert(within);
    cr_assert_eq(queue_bytes_within(machine_of(world), queue, bytes - 1, &within), 0);
    cr_assert_eq(within, bytes == 0);
    cr_assert_eq(queue_bytes(machine_of(world), queue, &said), 0);
    cr_assert_eq(said, bytes);
    struct browsing browsing = {.world = world};
    cr_assert_eq(machine_browse(machine_of(world), queue->id, 0, browsed, &browsing), 0);
    cr_assert_eq(browsing.at, world->len);
}

static void reopen(struct world *world)
{
    uint64_t digest = fixture_digest(&world->fixture);
    fixture_checkpoint(&world->fixture);
    cr_assert_eq(fixture_digest(&world->fixture), digest, "a checkpoint changes nothing");
    if (MACHINE_VERSION_MAX >= 2) {
        fixture_crash(&world->fixture);
        cr_assert_eq(fixture_digest(&world->fixture), digest, "nor does a restart");
    }
}

static void step(struct world *world)
{
    uint32_t kind = roll(world, 100);
    if (kind < 40) {
        push(world);
    } else if (kind < 65) {
        take(world);
    } else if (kind < 85) {
        take_out_of_turn(world);
    } else if (kind < 93) {
        drop_oldest(world);
    } else if (kind < 99) {
        check(world);
    } else if (roll(world, 4) == 0) {
        cr_assert_eq(queue_purge(machine_of(world), queue_of(world)), 0);
        world->len = 0;
    } else {
        reopen(world);
    }
}

static void run(uint64_t seed, uint8_t max_priority)
{
    static struct world world;
    world_init(&world, seed, max_priority);
    for (unsigned i = 0; i < 1500; i++) {
        step(&world);
    }
    check(&world);
    reopen(&world);
    check(&world);
    fixture_done(&world.fixture);
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
