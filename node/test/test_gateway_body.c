/* A body that is damaged in the node's memory is not delivered. */

#include <criterion/criterion.h>
#include <string.h>

#include "node/core/gateway.h"
#include "one_node.h"

static struct one_node node;
static struct client one;
static unsigned told;
static uint8_t *byte; /* Of the body, in memory. */

/* A node begins anew here, with its peers' state. */
static void on_damage(void *arg, const char *what, bool ordered)
{
    (void)arg;
    cr_assert_not(ordered);
    cr_assert(strstr(what, "the body is damaged in memory") != NULL, "%s", what);
    cr_assert_eq(one.deliveries, told == 0 ? 1u : 3u, "nothing is delivered from the damaged one on");
    told++;
    *byte ^= 1;
}

static bool on_browsed(void *arg, const struct gateway_browsed *message)
{
    (void)arg;
    cr_assert_neq(message->position, 2u);
    return true;
}

Test(gateway_body, damage_in_memory_is_noticed_before_the_body_is_delivered)
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
    gateway_core_of(node.gateway)->options.repair = on_damage;
    cr_assert_eq(client_subscribe(&one, "q", 1, 10), 0);
    one_node_settle(&node);
    cr_assert_eq(told, 1u);
    cr_assert_eq(one.deliveries, 3u);
    cr_assert_str_eq(one.delivery[1].body, "text");
    *byte ^= 1;
    bool more;
    cr_assert_eq(node.gateway->ops->browse(node.gateway, "", "q", 2, false, NULL, on_browsed, &more), ERR_CHECKSUM);
    cr_assert_eq(told, 2u, "a look finds it too");
    client_done(&one);
    one_node_stop(&node);
}
