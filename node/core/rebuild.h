/* A shard's part in rebuilds: it gives a copy of its state to a node that is behind (rebuild_source.h), and fetches one when
 * it is behind itself (rebuild_sink.h). */

#ifndef HOLDFAST_NODE_CORE_REBUILD_H
#define HOLDFAST_NODE_CORE_REBUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/driver.h"
#include "node/core/checkpointer.h"
#include "node/core/rebuild_admission.h"
#include "node/core/rebuild_sink.h"
#include "node/core/rebuild_source.h"
#include "node/core/shard.h"
#include "rpc/gateway.h"

/* What a shard has that admits patients (rebuild_source.h); all borrowed. */
struct rebuild_admission {
    void *arg;
    int (*admits)(void *arg, const struct rebuild_asks *asks, struct rebuild_says *ret_says);
    void (*address)(void *arg, uint64_t node, char address[ADDRESS_LEN_MAX + 1]); /* May be NULL. */
    /* A copy that was given was found damaged: the state should be looked at (scrub.h). May be NULL. */
    void (*suspected)(void *arg, const char *what);
    bool (*gives)(void *arg, uint64_t index, bool patient);
    struct gateway *gateway; /* Whose reads make sure that this node leads. */
    struct checkpointer *checkpointer;
};

struct rebuild {
    struct rebuild_source *source; /* NULL, as the other: there are no connections for it. */
    struct rebuild_sink *sink;
    struct driver *driver;
    const struct shard_options *options;
    struct rebuild_admission admission;
    struct gateway_read read; /* While `reading`: whether we lead. */
    bool reading;
    bool replaced; /* The shard is to be closed and opened anew. */
    bool needless; /* The copy that is here is not needed any more. */
    uint64_t
        look_ms; /* When what an earlier process left of a copy goes, if none is wanted by then; UINT64_MAX: it has been
                       * looked after. */
    uint64_t lacks_ms; /* When to look whether the copy that is being fetched is needed still. */
    char text[120];
    char alarm[REBUILD_SINK_ROOM_LEN + 32];
};

/* Zero-initialised. Without options->bulk_send it does nothing. ERR_NOMEM, ERR_IO, ERR_NO_SPACE. */
int rebuild_open(struct rebuild *rebuild, const struct shard_options *options, struct driver *driver) NODISCARD;
/* Patients get copies from now on: without it they are refused. */
void rebuild_admit_with(struct rebuild *rebuild, const struct rebuild_admission *admission);
/* Nothing is under way on another thread any more. */
void rebuild_close(struct rebuild *rebuild);

/* The leader no longer has what this node needs. */
void rebuild_behind(struct rebuild *rebuild, uint64_t leader);
/* As shard_receive_bulk(). */
int rebuild_receive(struct rebuild *rebuild, uint64_t from, bool asking, const struct frame *frame) NODISCARD;
void rebuild_lost(struct rebuild *rebuild, uint64_t node);
/* The connection for our questions to the node is there. A step is due. */
void rebuild_connected(struct rebuild *rebuild, uint64_t node);

/* In every turn, and at the deadline. */
void rebuild_step(struct rebuild *rebuild);
uint64_t rebuild_deadline_ms(const struct rebuild *rebuild);
/* Whether this node fetches a copy. */
bool rebuild_running(const struct rebuild *rebuild);
/* The same for people, with how far it has come; NULL when it does not. Valid until the next call. */
const char *rebuild_text(struct rebuild *rebuild);
/* That there is no room for it, as an alarm; "": there is, or none is fetched. Valid until the next call. */
const char *rebuild_alarm(struct rebuild *rebuild);
/* Nothing is under way on another thread. */
bool rebuild_idle(const struct rebuild *rebuild);

#endif
