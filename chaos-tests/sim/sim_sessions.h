/* Sessions: none ends before its lease is over, counted from when its client was last served, and none is given
 * anything while it is attached nowhere.
 *
 * What counts is real time. That a client is served is not taken from its node's word: the connection lives, the node
 * hears a leader that hears a majority, and it has applied everything that was in that leader's log at some moment:
 * if it still serves the client then, nothing had detached the session by that moment. */

#ifndef HOLDFAST_CHAOS_SIM_SESSIONS_H
#define HOLDFAST_CHAOS_SIM_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sim_limits.h"

struct sim_client;
struct sim_node;
struct sim_world;

struct sim_session {
    uint64_t id;
    unsigned client;
    uint64_t life; /* Of the client. */
    uint64_t lease_us;
    uint64_t served_us;  /* The session was attached at this time or later. */
    uint64_t attachment; /* As the machine had it at last. */
    bool closing;        /* Its client has asked for its end. */
    bool gone;
};

/* A process of a node, as the machine has it. */
struct sim_presence {
    uint64_t run;
    uint64_t good_since_us; /* Since when nothing has been wrong with it; 0: something is. */
    uint64_t good_leader;
};

/* A queue, as the machine had it at last. */
struct sim_session_queue {
    bool attached; /* A session of a client that consumes from it was attached. */
    uint64_t delivered;
};

struct sim_sessions {
    struct sim_session *items; /* In order of attachment. */
    size_t len;
    size_t cap;
    size_t first_live; /* All before it are gone. */
    struct sim_presence present[SIM_NODES_MAX];
    struct sim_session_queue queues[SIM_QUEUES_MAX];
    uint64_t look_us;
    uint64_t commit_index; /* The leader's, and since when it has waited there with more in its log. */
    uint64_t commit_us;
};

void sim_sessions_done(struct sim_sessions *sessions);
/* A client has been attached; it asked for that at `asked_us`. */
void sim_sessions_attached(struct sim_client *client, uint64_t session, uint64_t asked_us);
/* Its client asks for the end of its session: what it holds may go to others from now on. */
void sim_sessions_closing(struct sim_client *client);
/* A node has applied what nobody had applied before. */
void sim_sessions_applied(struct sim_node *node);
/* Now and then: who is served? */
void sim_sessions_look(struct sim_world *world);
/* Whether the session is known to be over. */
bool sim_sessions_gone(const struct sim_world *world, uint64_t session);
/* Sessions that are not over. */
size_t sim_sessions_live(const struct sim_world *world);

#endif
