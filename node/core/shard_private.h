/* A shard's insides: shard.c is its life and its turn, shard_ports.c what its parts ask of each other and of the host. */

#ifndef HOLDFAST_NODE_CORE_SHARD_PRIVATE_H
#define HOLDFAST_NODE_CORE_SHARD_PRIVATE_H

#include "node/core/checkpointer.h"
#include "node/core/gateway.h"
#include "node/core/peers.h"
#include "node/core/rebuild.h"
#include "node/core/scrub.h"
#include "node/core/shard.h"

struct shard {
    struct shard_options options;
    struct machine *machine;
    struct driver *driver;
    struct gateway_core gateway;
    struct checkpointer checkpointer;
    struct rebuild rebuild;
    struct peers peers;
    struct scrub scrub;
    char at_work[120];    /* What operators are told of the scrub. */
    char alarm[512];      /* And what they should know of this node. */
    bool damaged;         /* What is on disk is not to be relied on: nothing is done any more. */
    bool ordered;         /* Only because an operator wants it. */
    char damage[256];     /* What the host is to be told of that at the end of the turn; "": nothing. */
    bool removed;         /* The host is to be told. */
    bool returning;       /* It voted once, was repaired, and is to vote again. */
    bool kept_vote;       /* Returning, and not known to have been taken out of the votes. */
    uint64_t opened_ms;   /* When this shard was. */
    bool members_changed; /* The host has to be told. */
    bool stopping;
    bool alone;           /* Stopping, and there is nobody to hand over to. */
    uint64_t transfer_ms; /* When handing over is to be tried again. */
};

/* shard_ports.c, in the order in which a shard is opened. The driver needs the machine's position; the rest needs the driver. */
void shard_init_gateway(struct shard *shard);
int shard_open_driver(struct shard *shard, uint64_t applied_index, struct slice checkpoint, char *detail,
                      size_t detail_len) NODISCARD;
void shard_connect(struct shard *shard);
int shard_open_rebuild(struct shard *shard) NODISCARD;
void shard_open_scrub(struct shard *shard);

#endif
