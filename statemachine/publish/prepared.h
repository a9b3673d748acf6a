/* Prepared messages: the first of two phases has been taken, and nobody sees them until their outcome is known. That it is stays known
 * for a day, so that whoever asks late is told.
 *
 * Row 'U' id 0: u64 virtual host, u8 state, u8 1 to commit at the deadline, u64 ask_after_ms, u64 log time of the next question
 * (0: none), u64 deadline (0: none), u64 log time up to which the outcome is remembered (0: there is none), u64 messages, u64 of these
 * published, then, each behind its length in u8: id, group, queue; u64 and u32 of a content that is empty.
 * Row 'U' id number: a message: u32 length of the head, u64 hash and u32 length of the content; content: head and body.
 * Row 'u' virtual host, id: u64 id. */

#ifndef HOLDFAST_STATEMACHINE_PUBLISH_PREPARED_H
#define HOLDFAST_STATEMACHINE_PUBLISH_PREPARED_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/limits.h"
#include "proto/wire/command.pb-c.h"
#include "statemachine/message/message.h"
#include "statemachine/reply.h"

struct machine;
struct timer;

/* How long an outcome is remembered; and how often it is looked whether the virtual host is still there. */
#define PREPARED_REMEMBERED_MS (UINT64_C(24) * 3600 * 1000)
/* So many messages are published at once when a deadline commits them; the rest goes on with the next timers. */
#define PREPARED_AT_ONCE 64u

enum prepared_state { PREPARED_OPEN = 0, PREPARED_COMMITTED = 1, PREPARED_DROPPED = 2 };

/* What was prepared together. */
struct prepared {
    uint64_t id;
    uint64_t virtual_host;
    enum prepared_state state;
    bool commit_at_deadline;
    uint64_t ask_after_ms;
    uint64_t next_ask_ms;
    uint64_t deadline_ms;
    uint64_t until_ms;
    uint64_t count;
    uint64_t done;
    char name[NAME_LEN_MAX + 1];
    char group[NAME_LEN_MAX + 1];
    char queue[NAME_LEN_MAX + 1];
};

/* Refused (EXISTS) when something is prepared under that id, or was not long ago. ERR_IO, ERR_CORRUPT, ERR_NOMEM. */
int prepared_check_new(struct machine *machine, uint64_t virtual_host, const char *name, struct reply *reply) NODISCARD;

/* Keeps the messages of a checked publish aside: begin, add each, end. ERR_NOMEM. */
int prepared_begin(struct machine *machine, uint64_t virtual_host, const Holdfast__Publish *publish,
                   struct prepared *ret_prepared) NODISCARD;
int prepared_add(struct machine *machine, struct prepared *prepared, const struct message *message) NODISCARD;
int prepared_end(struct machine *machine, const struct prepared *prepared) NODISCARD;

/* Its outcome, once: publishes or drops the messages. ERR_IO, ERR_CORRUPT, ERR_NOMEM. */
int prepared_resolve(struct machine *machine, uint64_t virtual_host, const char *name, bool commit,
                     struct reply *reply) NODISCARD;

/* TIMER_PREPARED. ERR_IO, ERR_CORRUPT, ERR_NOMEM. */
int prepared_fired(struct machine *machine, const struct timer *timer) NODISCARD;

/* A virtual host goes: its ids are free; the messages go when it is looked at them next. ERR_NOMEM. */
int prepared_host_gone(struct machine *machine, uint64_t virtual_host) NODISCARD;

#endif
