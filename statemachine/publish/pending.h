/* Messages that are kept aside until their time: delayed ones, and dead letters for which an entry had no time any more.
 *
 * Row 'D' id: u64 virtual host, u8 how (enum enqueue_how), u8 flags (1: to a queue, 2: to an exchange that is named, else to the head's), u8
 * length of that name, name, u16 keys, then each: u8 length, key; u32 length of the trail, trail, u32 length of the head, u64 hash and
 * u32 length of the content; content: head and body. */

#ifndef HOLDFAST_STATEMACHINE_PUBLISH_PENDING_H
#define HOLDFAST_STATEMACHINE_PUBLISH_PENDING_H

#include <stdint.h>

#include "statemachine/publish/publish_internal.h"

struct timer;

/* Keeps a message until `due_ms`, to be published then as publish_internal() does. Takes over nothing: it takes references of its
 * own. ERR_NOMEM. */
int pending_add(struct machine *machine, const struct internal *internal, uint64_t due_ms) NODISCARD;

/* Puts the row in machine->row, of which the last fields are those of the message's content, into the table as one that is new.
 * ERR_NOMEM. */
int pending_put(struct machine *machine, const struct message *message) NODISCARD;

/* TIMER_PENDING: the message is published, if its virtual host is there still. ERR_IO, ERR_CORRUPT, ERR_NOMEM. */
int pending_fired(struct machine *machine, const struct timer *timer) NODISCARD;

#endif
