/* A node's insides, shared by its files: node.c is its life, node_shard.c what its shard asks for, node_patient.c how it gets
 * one again when it may not count on what it has, node_peers.c the other nodes, node_members.c who they are, node_clients.c those who are served. */

#ifndef HOLDFAST_NODE_NODE_PRIVATE_H
#define HOLDFAST_NODE_NODE_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "node/config.h"
#include "node/core/patient.h"
#include "node/core/patient_gateway.h"
#include "node/core/repair.h"
#include "node/core/shard.h"
#include "node/core/state_dir.h"
#include "node/data_dir.h"
#include "node/node.h"
#include "node/posix_disk.h"
#include "node/system_clock.h"
#include "rpc/amqp/amqp_server.h"
#include "rpc/native/native_server.h"
#include "rpc/peer/peer_links.h"

#define SHARD_DIR "shard-0"

/* A line about somebody who was refused, with its end. */
#define STRANGER_LEN 256u

struct node {
    uv_loop_t *loop;
    const struct config *config;
    struct journal *journal;
    void *arg;
    void (*stopped)(void *arg, bool again);
    void (*restart)(void *arg);
    struct system_clock clock;
    struct data_dir *data_dir;
    struct posix_disk *disk;
    struct shard *shard;                    /* Or, when there is nothing that this node may count on: */
    struct patient *patient;                /* it fetches a copy of the others' state, */
    struct patient_gateway patient_gateway; /* and says so to whoever asks. */
    struct peers known;                     /* For that: where clients reach the others. */
    struct driver_member known_members[MEMBERS_MAX];
    struct peer_links *peers;
    struct server_bounds clients; /* Of all protocols. */
    struct native_server *server;
    struct amqp_server *amqp; /* NULL: not spoken. */
    uv_timer_t due;           /* The shard's deadline. */
    uv_timer_t patience;      /* The end of handing over. */
    uv_prepare_t before_poll;
    uv_check_t after_poll;
    uint64_t due_ms;
    uint64_t stranger_said_ms;                   /* When a peer's foreign directory was complained of. */
    unsigned handles;                            /* Of the four above that are not closed. */
    struct state_dir state;                      /* Which directory is the state's. */
    struct repair_mark mark;                     /* Whether it counts, */
    struct repair_plan plan;                     /* and what follows from both. */
    struct data_dir_member members[MEMBERS_MAX]; /* As last known. */
    unsigned members_len;
    bool founding;                            /* Its cluster has not begun: it waits until it has met all the others, */
    bool founded;                             /* and now it has: it is to start anew. */
    bool accepted[MEMBERS_MAX];               /* By each of the configured ones, once. */
    bool members_due;                         /* They have changed, or could not be noted. */
    uint64_t members_ms;                      /* When that is tried again. */
    char waiting[REPAIR_REASON_LEN_MAX + 64]; /* That it waits for its vote; "": it does not. */
    char stranger[STRANGER_LEN]; /* Who was refused under the name of another node, for a while; "": nobody. */
    uint64_t stranger_until_ms;
    char alarm[REPAIR_REASON_LEN_MAX + 64 + STRANGER_LEN + 2]; /* Both, for status. */
    struct node_leaving {
        uint64_t id; /* 0: free. */
        uint64_t until_ms;
    } leaving[MEMBERS_MAX]; /* No members any more: what is still to be said to them goes out, then their links end. */
    bool damaged;           /* It is to be started anew, as a patient; */
    bool withdrawn;         /* or with what it had put aside. */
    char copy[STATE_DIR_NAME_LEN_MAX]; /* That of one which is to take its place; "": none. */
    bool stopping;
    bool closing;
};

/* node.c: closes everything; `stopped` follows. Harmless when it has been called before. */
void node_close(struct node *node);
/* The process ends, with a line in the journal; when the data is damaged and the others have it, it begins anew as a patient. */
_Noreturn void node_fatal(struct node *node, int err, const char *what);
/* The loop's turn is to end soon. */
void node_wake(struct node *node);

/* node_clients.c: listens, in all protocols. `detail` gets one line on error. */
int node_clients_listen(struct node *node, char *detail, size_t detail_len) NODISCARD;
/* Notes where, for people. */
void node_clients_say(const struct node *node);
/* What was received is given to the shard: before its step; and after it, whether there is more to do. */
void node_clients_turn(struct node *node);
bool node_clients_are_due(const struct node *node);
/* The node is about to stop: who can be told in no other way finds nobody listening. */
void node_clients_stop(struct node *node);
/* Sends them away; node_clients_closed() in node.c follows, maybe from within. */
void node_clients_close(struct node *node);
void node_clients_closed(struct node *node);

/* node_shard.c: opens the state and the shard on it; one step after which the state is the copy that was fetched. `detail` gets
 * one line on error. */
int node_shard_open(struct node *node, char *detail, size_t detail_len) NODISCARD;
void node_shard_switch_state(struct node *node);
/* What shard and patient ask of the links, and that a copy has been fetched. */
bool node_bulk_send(void *arg, uint64_t to, bool asking, struct frame_out *frame);
void node_bulk_hang_up(void *arg, uint64_t to);
int node_open_copy(void *arg, const char *name, struct store **ret_store, char *detail, size_t detail_len) NODISCARD;
void node_replaced(void *arg, const char *name);

/* node_patient.c: a patient in place of the shard. */
int node_patient_open(struct node *node, char *detail, size_t detail_len) NODISCARD;
void node_patient_close(struct node *node);
/* One step after which the node is none any more, if it is to be so. Everything is closed. */
void node_patient_withdraw(struct node *node);
/* Whether a start that failed in this way can be made as a patient: then 0, and node->plan says so; else the error. */
int node_start_failed(struct node *node, int err, char *detail, size_t detail_len) NODISCARD;
/* This node's data is not to be relied on, or (`ordered`) an operator wants it: it begins anew as a patient. From the loop, not from within the shard's turn. */
void node_damaged(void *arg, const char *what, bool ordered);
/* The same at a start that finds what was promised lost, with what is known of why. ERR_CORRUPT: nobody else has the data. */
int node_note_loss(struct node *node, const char *what, char *detail, size_t detail_len) NODISCARD;
/* Notes, durably, that it is to be one from the next start on. False: nobody else has the data, or it cannot be noted. */
bool node_note_damage(struct node *node, const char *what, bool ordered);

/* node_members.c: who is a member, as last known: at the start from the directory or the configuration, later from the log. */
int node_members_load(struct node *node, char *detail, size_t detail_len) NODISCARD;
/* Whether what is known of the other nodes' directories is there: ERR_CORRUPT. */
int node_members_check(const struct node *node, char *detail, size_t detail_len) NODISCARD;
/* A patient has been told of a member that it did not know: it is dialled from now on. Whether that can be done. */
bool node_members_reach(struct node *node, uint64_t id, const char *address) NODISCARD;
/* As of the shard's log: for the links, for whoever looks, and for the next start. When something is due. */
void node_members_step(struct node *node);
uint64_t node_members_deadline_ms(const struct node *node);
const struct data_dir_member *node_member(const struct node *node, uint64_t id);
/* This node is none any more: it stops for good. */
void node_removed(void *arg);

/* node_peers.c: listens, and begins to dial. `detail` gets one line on error. */
int node_peers_listen(struct node *node, char *detail, size_t detail_len) NODISCARD;
/* Who was refused long ago is not shown any more. */
void node_peers_step(struct node *node);
/* What status shows of this node follows from node->waiting and node->stranger. */
void node_alarm_compose(struct node *node);

#endif
