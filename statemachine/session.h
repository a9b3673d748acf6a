/* A session: a client's presence, its command numbers with the last replies, and its consumers.
 *
 * Row 'S' session: 16 bytes key, u64 attachment, u32 lease_ms, u8 length of the virtual host, virtual host, u8 length
 * of the client's name, client's name, u64 last number, u32 replies, then each, up to the last number: u64 count, u64
 * repeated count, u16 error, u16 detail. */

#ifndef HOLDFAST_STATEMACHINE_SESSION_H
#define HOLDFAST_STATEMACHINE_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/limits.h"
#include "proto/base/list.h"
#include "statemachine/consumer.h"
#include "statemachine/hash.h"
#include "statemachine/reply.h"
#include "statemachine/rows.h"

#define SESSION_KEY_LEN 16u

struct session {
    uint64_t id;
    uint8_t key[SESSION_KEY_LEN];
    uint64_t attachment;
    uint32_t lease_ms;
    char virtual_host[NAME_LEN_MAX + 1];
    char client[NAME_LEN_MAX + 1];
    struct replies replies;     /* replies.last is the number of the last command carried out. */
    struct consumer *consumers; /* By id. */
    struct list_node changed;   /* In machine->changed_sessions. */
    bool stored;                /* A row for it is in the store or in a checkpoint. */
    UT_hash_handle by_id;
    UT_hash_handle by_key;
};

/* Makes a session and enters it into the machine. Ids must rise. ERR_NOMEM. */
int session_new(struct machine *machine, uint64_t id, const uint8_t key[SESSION_KEY_LEN],
                struct session **ret_session) NODISCARD;
/* Ends it: its consumers end, what they hold goes back. ERR_NOMEM. */
int session_free(struct machine *machine, struct session *session) NODISCARD;
/* Frees it without any effect on the state, for closing. */
void session_discard(struct machine *machine, struct session *session);

/* NULL when there is none. */
struct session *session_by_id(struct machine *machine, uint64_t id);
struct session *session_by_key(struct machine *machine, const uint8_t key[SESSION_KEY_LEN]);

void session_changed(struct machine *machine, struct session *session);

int session_row(const struct session *session, struct row *row) NODISCARD;
/* Enters the session of a row. ERR_CORRUPT, ERR_VERSION, ERR_NOMEM. */
int session_load(struct machine *machine, const struct row_key *key, struct slice value) NODISCARD;

#endif
