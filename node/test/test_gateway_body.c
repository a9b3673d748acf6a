/* A body that is damaged in the node's memory is not delivered. */

#include <criterion/criterion.h>

#include "node/core/gateway.h"
#include "one_node.h"

static struct one_node node;
static struct client one;
static unsigned fatals;
static uint8_t *byte; /* Of the body, in memory. */

/* A process ends here, and begins anew from its log: that has the body whole. */
static void on_fatal(void *arg, int err, const char *what)
{
    (void)arg;
    (void)what;
    cr_assert_eq(err, ERR_CHECKSUM);
    cr_assert_eq(one.deliveries, 1u, "nothing is delivered from the damaged one on");
    fatals++;
    *byte ^= 1;
}

Test(gateway_body, damage_in_memory_ends_the_process_before_the_body_is_delivered)
{
    one_node_start(&node, NULL);
    client_init(&one, &node.home, 1);
    client_ready(&one);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(client_publish(&one, "q", "text"), 0);
    }
    one_node_settle(&node);
    struct slice body;
    cr_assert_eq(machine_body(shard_machine(node.shard), 1, 2, &body), 0);
    byte = (uint8_t *)(uintptr_t)body.data;
    slice_unref(&body);
    *byte ^= 1;
    gateway_core_of(node.gateway)->options.fatal = on_fatal;
    cr_assert_eq(client_subscribe(&one, "q", 1, 10), 0);
    one_node_settle(&node);
    cr_assert_eq(fatals, 1u);
    cr_assert_eq(one.deliveries, 3u);
    cr_assert_str_eq(one.delivery[1].body, "text");
    client_done(&one);
    one_node_stop(&node);
}
