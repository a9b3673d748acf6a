/* The node and its clients. */

#include "shard_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>

struct one_node node;
struct client one;
struct client two;

void shard_setup(void)
{
    one_node_start(&node, NULL);
    client_init(&one, &node.home, 1);
    client_init(&two, &node.home, 2);
}

void shard_teardown(void)
{
    client_done(&one);
    client_done(&two);
    one_node_stop(&node);
}

void publish_many(struct client *client, unsigned count)
{
    for (unsigned i = 1; i <= count; i++) {
        char body[16];
        snprintf(body, sizeof body, "m%u", i);
        cr_assert_eq(client_publish(client, "q", body), 0);
    }
    one_node_settle(&node);
}

void come_back_before_the_last(void)
{
    client_detach(&one);
    cr_assert_eq(client_attach_only(&one, true, 0), 0);
    one_node_settle(&node);
    cr_assert_eq(one.attached, 2u);
    one.number--;
}
