/* Requests for our vote, where the engine would heed the membership too much, or too little.
 *
 * Thesis §4.1: a server must process requests "without consulting its current configuration", since whoever asks may have a
 * newer one, or an older. The engine refuses when it believes to have no vote. Then a node that has not heard of its own
 * promotion yet can be the one that is missing in every majority, with the leader gone that knew better. So it votes as well
 * as it can: the vote is written down as any other, once a term and only for a log that is as good as ours, and it is the
 * candidate who knows whether it counts.
 *
 * §4.2.3: a server that is removed must not disturb the others. It hears no heartbeats any more and stands. That it might win
 * it asks first, and is refused while there is a leader; but when its leader's connection ends it says that it has permission
 * to disturb (driver_election.c). From somebody who has no vote, as far as we know, that is not taken: if we are the ones who
 * do not know, our own election timeout helps. */

#include <raft.h>

#include "consensus/driver_internal.h"

/* Nodes that were started as a cluster of their own, with us among the members, have the same first entry by number and term,
 * and another membership in it. Whoever has been added to ours holds the entry that says so. */
static bool is_stranger(const struct driver *driver, uint64_t from, const struct raft_request_vote *vote)
{
    return configuration_find(&driver->raft.configuration, from) == NULL && vote->last_log_index <= 1;
}

static struct raft_server *standby(struct driver *driver)
{
    struct raft_configuration *members = &driver->raft.configuration;
    for (unsigned i = 0; i < members->n; i++) {
        if (members->servers[i].id == driver->raft.id && members->servers[i].role != RAFT_VOTER) {
            return &members->servers[i];
        }
    }
    return NULL;
}

int driver_ballot(struct driver *driver, uint64_t from)
{
    struct raft_message *message = &driver->message.raft;
    struct raft_request_vote *vote = &message->request_vote;
    if (is_stranger(driver, from, vote)) {
        return 0;
    }
    if (!configuration_votes(&driver->raft.configuration, from)) {
        vote->disrupt_leader = false;
    }
    struct raft_event event = {.type = RAFT_RECEIVE};
    event.receive.message = message;
    /* Lent for this event alone, in which the engine looks at nothing else of it; a vote changes no membership. */
    struct raft_server *self = standby(driver);
    int role = self != NULL ? self->role : 0;
    if (self != NULL) {
        self->role = RAFT_VOTER;
    }
    int rv = driver_event(driver, &event, NULL, false);
    if (self != NULL) {
        self->role = role;
    }
    return rv;
}
