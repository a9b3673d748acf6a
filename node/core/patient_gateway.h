/* The port (rpc/gateway.h) of a node that has no shard, since it is a patient (patient.h): clients are told to go elsewhere, and
 * operators what is wrong. */

#ifndef HOLDFAST_NODE_CORE_PATIENT_GATEWAY_H
#define HOLDFAST_NODE_CORE_PATIENT_GATEWAY_H

#include "consensus/driver.h"
#include "node/core/patient.h"
#include "node/core/peers.h"
#include "proto/base/list.h"
#include "rpc/gateway.h"

/* All borrowed. */
struct patient_gateway_options {
    const char *cluster;
    const char *version;
    uint64_t node;
    const struct driver_member *members; /* As last known, this node perhaps among them. At most MEMBERS_MAX count. */
    unsigned members_len;
    const struct peers *peers; /* Where clients reach them, and which are connected. */
    struct patient *patient;
    void *arg;
    /* Something was asked that is answered in the next turn. May be NULL. */
    void (*wake)(void *arg);
};

struct patient_gateway {
    struct gateway base;
    struct patient_gateway_options options;
    struct list_node reads;
    struct list_node changes;
    char alarm[1000]; /* As status() last gave it out. */
};

void patient_gateway_init(struct patient_gateway *gateway, const struct patient_gateway_options *options);
/* Other members from now on; borrowed. */
void patient_gateway_set_members(struct patient_gateway *gateway, const struct driver_member *members,
                                 unsigned members_len);
/* Nobody is told any more. */
void patient_gateway_done(struct patient_gateway *gateway);

/* Answers what was asked. Call it after every batch of events. */
void patient_gateway_turn(struct patient_gateway *gateway);
/* 0 when something waits for an answer, else UINT64_MAX. */
uint64_t patient_gateway_deadline_ms(const struct patient_gateway *gateway);

#endif
