/* A checkpoint that somebody waits for is made soon, also when consensus' own entries are all that is new. */

#include "node/core/checkpointer.h"

#include <criterion/criterion.h>

#include "node/core/gateway.h"
#include "one_node.h"

struct asked {
    struct one_node node;
    struct checkpointer checkpointer;
    unsigned nudges;
    bool needs_room;
};

static struct asked asked;

static void take_nudge(void *arg)
{
    struct asked *self = arg;
    self->nudges++;
}

static bool take_needs_room(void *arg)
{
    return ((struct asked *)arg)->needs_room;
}

static void take_fatal(void *arg, int err, const char *what)
{
    (void)arg;
    cr_assert_fail("fatal: %s: %s", what, err_text(err));
}

static void setup(void)
{
    asked = (struct asked){0};
    one_node_start(&asked.node, NULL);
    asked.checkpointer = (struct checkpointer){
        .disk = asked.node.options.disk,
        .machine = shard_machine(asked.node.shard),
        .driver = shard_driver(asked.node.shard),
        .clock = asked.node.options.clock,
        .arg = &asked,
        .nudge = take_nudge,
        .needs_room = take_needs_room,
        .fatal = take_fatal,
        .checkpoint_len = 64 * MIB,
        .idle_ms = UINT64_MAX,
    };
}

static void teardown(void)
{
    checkpointer_done(&asked.checkpointer);
    one_node_stop(&asked.node);
}

TestSuite(checkpointer, .init = setup, .fini = teardown);

static struct driver_status status_now(void)
{
    struct driver_status status;
    driver_status(shard_driver(asked.node.shard), &status);
    return status;
}

static void turn(void)
{
    checkpointer_step(&asked.checkpointer);
    one_node_settle(&asked.node);
}

Test(checkpointer, makes_one_that_is_asked_for)
{
    turn();
    cr_assert_eq(status_now().checkpoint_index, 0u, "too little has gathered");
    uint64_t applied = status_now().applied_index;
    checkpointer_ask(&asked.checkpointer, applied);
    turn();
    cr_assert_eq(status_now().checkpoint_index, applied);
    cr_assert_eq(asked.nudges, 0u);
    checkpointer_ask(&asked.checkpointer, applied);
    turn();
    checkpointer_step(&asked.checkpointer);
    cr_assert(checkpointer_idle(&asked.checkpointer), "there is one that holds it");
    cr_assert_eq(asked.checkpointer.wanted, 0u);
}

Test(checkpointer, waits_for_the_entry_to_be_applied)
{
    checkpointer_ask(&asked.checkpointer, status_now().applied_index + 1);
    turn();
    cr_assert_eq(status_now().checkpoint_index, 0u);
    cr_assert_eq(checkpointer_deadline_ms(&asked.checkpointer), UINT64_MAX, "and not busily");
    gateway_core_tick(gateway_core_of(asked.node.gateway));
    one_node_settle(&asked.node);
    turn();
    cr_assert_eq(status_now().checkpoint_index, status_now().applied_index);
}

/* The membership has changed, and nobody sends anything: an entry of the machine's is needed, which names one index for both. */
Test(checkpointer, asks_for_an_entry_when_there_is_none)
{
    const struct driver_change change = {.kind = DRIVER_ADD, .node = 2, .address = "node:2"};
    uint64_t index = 0;
    const char *why = "";
    cr_assert_eq(driver_change(shard_driver(asked.node.shard), &change, &index, &why), 0, "%s", why);
    one_node_settle(&asked.node);
    cr_assert_eq(status_now().applied_index, index);
    checkpointer_ask(&asked.checkpointer, index);
    turn();
    cr_assert_eq(status_now().checkpoint_index, 0u);
    cr_assert_eq(asked.nudges, 1u);
    cr_assert_eq(checkpointer_deadline_ms(&asked.checkpointer), UINT64_MAX, "it waits");
    gateway_core_tick(gateway_core_of(asked.node.gateway));
    one_node_settle(&asked.node);
    cr_assert_eq(status_now().applied_index, index + 1, "one empty entry, and no more");
    turn();
    cr_assert_eq(status_now().checkpoint_index, index + 1);
    one_node_wait(&asked.node, 1000);
    cr_assert_eq(status_now().applied_index, index + 1);
}

Test(checkpointer, tries_again_when_there_was_no_space)
{
    sim_disk_fail_next_offload(asked.node.disk, ERR_NO_SPACE);
    checkpointer_ask(&asked.checkpointer, status_now().applied_index);
    turn();
    cr_assert_eq(status_now().checkpoint_index, 0u);
    uint64_t deadline_ms = checkpointer_deadline_ms(&asked.checkpointer);
    cr_assert(deadline_ms > asked.node.clock.now_ms && deadline_ms != UINT64_MAX);
    turn();
    cr_assert_eq(status_now().checkpoint_index, 0u);
    asked.node.clock.now_ms = deadline_ms;
    turn();
    cr_assert_gt(status_now().checkpoint_index, 0u);
}

/* What goes with it, settled messages and log, may be the room that is missing. */
Test(checkpointer, stores_little_when_room_is_short)
{
    turn();
    asked.node.clock.now_ms += 60000;
    turn();
    cr_assert_eq(status_now().checkpoint_index, 0u, "too little has gathered");
    asked.needs_room = true;
    turn();
    uint64_t deadline_ms = checkpointer_deadline_ms(&asked.checkpointer);
    cr_assert(deadline_ms > asked.node.clock.now_ms && deadline_ms != UINT64_MAX);
    asked.node.clock.now_ms = deadline_ms;
    turn();
    cr_assert_gt(status_now().checkpoint_index, 0u);
}
