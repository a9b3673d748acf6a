/* For tests of what ties a node to the world, file by file: a node that is not started, on a real directory and real links, with a
 * shard on the simulator's disk and a clock that a test sets. */

#ifndef HOLDFAST_NODE_TEST_NODE_FIXTURE_H
#define HOLDFAST_NODE_TEST_NODE_FIXTURE_H

#include "node/node_private.h"
#include "one_node.h"
#include "temp_dir.h"

struct node_fixture {
    struct node node; /* Node 1 of the cluster "test". */
    struct config config;
    struct config_member configured[3]; /* Nodes 1 to 3, in the configuration. */
    struct one_node one;                /* Its shard, which is alone at first. */
    struct temp_dir dir;
    char path[96];
    char addresses[3][32];
    uv_loop_t loop;
    bool closed;
};

void node_fixture_start(struct node_fixture *fixture);
void node_fixture_stop(struct node_fixture *fixture);

/* The clock goes on, then a step of node_members.c. */
void node_fixture_members_wait(struct node_fixture *fixture, uint64_t ms);
/* The shard makes the change, and the node hears of it. */
void node_fixture_change(struct node_fixture *fixture, enum driver_change_kind kind, uint64_t id);
/* Whether the node has a link to that one. */
bool node_fixture_has_link(const struct node_fixture *fixture, uint64_t id);

#endif
