/* A connection says before each delivery whether it takes one more. */

#include <criterion/criterion.h>

#include "one_node.h"

#define MESSAGES 40u

Test(gateway_takes, nothing_is_delivered_beyond_what_is_taken_and_the_rest_comes_later)
{
    static struct one_node node;
    static struct client one;
    one_node_start(&node, NULL);
    client_init(&one, &node.home, 1);
    client_ready(&one);
    for (unsigned i = 0; i < MESSAGES; i++) {
        cr_assert_eq(client_publish(&one, "q", "text"), 0);
    }
    one_node_settle(&node);
    one.takes = 5;
    cr_assert_eq(client_subscribe(&one, "q", 1, MESSAGES), 0);
    one_node_settle(&node);
    cr_assert_eq(one.deliveries, 5u);
    one_node_wait(&node, 100);
    cr_assert_eq(one.deliveries, 5u, "until it says that it goes on");
    one.takes = 12;
    one.link->gateway->ops->pause(one.link, false);
    one_node_settle(&node);
    cr_assert_eq(one.deliveries, 12u);
    one.takes = 0;
    one.link->gateway->ops->pause(one.link, false);
    one_node_settle(&node);
    cr_assert_eq(one.deliveries, MESSAGES);
    for (unsigned i = 0; i < MESSAGES; i++) {
        cr_assert_eq(one.delivery[i].number, i + 1, "in order, each once");
    }
    client_done(&one);
    one_node_stop(&node);
}
