/* For tests of a shard alone: one node, and two clients that are not attached. */

#ifndef HOLDFAST_NODE_TEST_SHARD_FIXTURE_H
#define HOLDFAST_NODE_TEST_SHARD_FIXTURE_H

#include "one_node.h"

/* Of the test that runs: each has a process of its own. */
extern struct one_node node;
extern struct client one;
extern struct client two;

void shard_setup(void);
void shard_teardown(void);

/* Publishes "m1", "m2" and so on to the queue "q", and waits. */
void publish_many(struct client *client, unsigned count);
/* The first client is back over a new connection, under the number before the last command. */
void come_back_before_the_last(void);

#endif
