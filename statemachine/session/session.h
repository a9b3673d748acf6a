/* A session: a client's presence, its command numbers with the last replies, and its consumers.
 *
 * It is attached at a process of a node that is present, or its lease runs: nothing is between the two.
 *
 * Row 'S' session, ROW_VERSION: 16 bytes key, u64 attachment, u64 highest attempt, u64 node, u64 run and u64 tag of the attachment's
 * origin, u64 expires_ms, u32 lease_ms, u64 number of the last failed publish, u8 length of the virtual host, virtual
 * host, u8 length of the client's name, client's name, u64 last number, u32 replies, then each, up to the last number:
 * u64 count, u64 repeated count, u16 error, u16 detail.
 * ROW_VERSION_NEW: the same, but u32 lease_ms of one that has ended, but for what it has, says why (enum session_end); u64 virtual host instead of its name; behind the client's name u8 length of the user's name,
 * user's name; and behind each reply u16 length of its unrouted bits, these, u16 length of its refused bits, these. */

#ifndef HOLDFAST_STATEMACHINE_SESSION_SESSION_H
#define HOLDFAST_STATEMACHINE_SESSION_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/limits.h"
#include "proto/base/list.h"
#include "statemachine/hash.h"
#include "statemachine/machine.h"
#include "statemachine/reply.h"
#include "statemachine/session/consumer.h"
#include "statemachine/session/lease.h"
#include "statemachine/session/presence.h"
#include "statemachine/store/rows.h"

struct session {
    uint64_t id;
    uint8_t key[SESSION_KEY_LEN];
    uint64_t attachment;
    uint64_t attempt;     /* The highest seen. */
    struct origin origin; /* Of the attachment. */
    uint32_t lease_ms;
    bool stored;                        /* A row for it is in the store or in a checkpoint. */
    bool ending;                        /* It has ended, but for what it has; nobody finds it. */
    bool in_ending;                     /* In machine->ending_sessions. */
    enum session_end end;               /* Why. */
    uint64_t virtual_host_id;           /* VIRTUAL_HOST_ROOT for "/". */
    struct list_node queues;            /* Exclusive ones of its own. */
    char *client;                       /* For people; owned. */
    struct user *user;                  /* Who it is; NULL: nobody in particular. */
    uint64_t failed_publish;            /* Number of the last command that may have been one and failed; 0: none. */
    struct replies replies;             /* replies.last is the number of the last command carried out. */
    struct session_consumers consumers; /* By id. */
    uint32_t consumers_len;
    struct list_node changed;    /* In machine->changed_sessions. */
    struct presence *place;      /* Where it is attached; NULL: nowhere. */
    struct list_node at_place;   /* In place->sessions. */
    uint64_t expires_ms;         /* Log time at which its lease ends; LEASE_NEVER while it is attached. */
    RB_ENTRY(session) by_expiry; /* In machine->leases while its lease runs. */
    UT_hash_handle by_id;
    UT_hash_handle by_key;
};

/* Makes a session and enters it into the machine; it is to be attached. Ids must rise. ERR_NOMEM. */
int session_new(struct machine *machine, uint64_t id, const uint8_t key[SESSION_KEY_LEN],
                struct session **ret_session) NODISCARD;
/* Nobody finds it any more, and it is attached nowhere: it has ended, but for what it has. */
void session_ends(struct machine *machine, struct session *session, enum session_end end);
/* Goes on ending it, as far as one entry may: its consumers end and what they hold goes back, its exclusive queues are deleted; then it is
 * freed, with its effect. *ret_gone: it was. ERR_NOMEM, ERR_IO, ERR_CORRUPT. */
int session_go(struct machine *machine, struct session *session, bool *ret_gone) NODISCARD;
/* At the end of an entry: goes on with those that have ended, lowest ids first. */
int sessions_go(struct machine *machine) NODISCARD;
/* Frees it without any effect on the state, for closing. */
void session_discard(struct machine *machine, struct session *session);

/* Sets what a client says of itself. ERR_NOMEM. */
int session_set_client(struct session *session, const char *client) NODISCARD;
/* Which virtual host it is in: before it has anything there. */
void session_set_virtual_host(struct machine *machine, struct session *session, uint64_t virtual_host);
/* Who it is; "" for nobody in particular. ERR_NOMEM. */
int session_set_user(struct machine *machine, struct session *session, const char *user) NODISCARD;

/* Attaches it, wherever it was before: its consumers are given deliveries (again). */
void session_attach(struct machine *machine, struct session *session, struct presence *place);
/* Detaches it, if it is attached: its lease starts, its consumers keep what they hold and are given nothing new. */
void session_detach(struct machine *machine, struct session *session);

/* NULL when there is none. */
struct session *session_by_id(struct machine *machine, uint64_t id);
/* Also one that has ended, but for what it has. */
struct session *session_by_id_ending_too(struct machine *machine, uint64_t id);
/* Whether it has, or its virtual host has been deleted. */
bool session_is_ending(const struct machine *machine, const struct session *session);
struct session *session_by_key(struct machine *machine, const uint8_t key[SESSION_KEY_LEN]);

void session_changed(struct machine *machine, struct session *session);

/* For session_end.c: out of sight, and out of the machine. */
void session_withdraw(struct machine *machine, struct session *session);
void session_remove(struct machine *machine, struct session *session);

/* In the format of the machine's version. ERR_NOMEM. */
int session_row(const struct machine *machine, const struct session *session, struct row *row) NODISCARD;
/* Enters the session of a row. ERR_CORRUPT, ERR_VERSION, ERR_NOMEM. */
int session_load(struct machine *machine, const struct row_key *key, struct slice value) NODISCARD;

#endif
