/* Outgoing: the commands of this node and of its clients that have no answer yet, in the order in which they came.
 *
 * They are sent to the leader, which may be this node itself, from a cursor on; when another leads, or the connection to
 * the leader was lost, the cursor goes back to the first, and everything is sent again in the same order: the machine
 * carries out each (session, number) once, and remembers what it answered. A command leaves when its answer has been
 * applied here, or with its link. */

#ifndef HOLDFAST_NODE_CORE_OUTGOING_H
#define HOLDFAST_NODE_CORE_OUTGOING_H

#include <stdbool.h>
#include <stdint.h>

/* The ordered set is a macro of this header alone. */
#include <bsd/sys/tree.h>

#include "proto/base/err.h"
#include "proto/base/list.h"
#include "proto/wire/entry.h"

struct outgoing_command {
    struct list_node node;        /* In the order of all. */
    struct list_node of_link;     /* In its link's order. */
    struct entry_command command; /* Holds references to header and bodies. */
    uint64_t tag;                 /* Of a command of the node itself, not 0; 0 for those of sessions. */
    bool sent;                    /* To the leader of now. */
    bool tried;                   /* To any leader: it may be carried out. */
    RB_ENTRY(outgoing_command) by_tag;
};

RB_HEAD(outgoing_by_tag, outgoing_command);

struct outgoing {
    struct list_node list;
    struct list_node *cursor; /* The first that is not sent, or the list's head. */
    struct outgoing_by_tag by_tag;
    uint64_t bytes;
    uint64_t sent_bytes;
    uint32_t len;
    uint32_t sent_len;
};

void outgoing_init(struct outgoing *outgoing);
/* Frees all commands. */
void outgoing_done(struct outgoing *outgoing);

/* A command that is in no list yet; takes its own references. NULL: out of memory. */
struct outgoing_command *outgoing_command_new(const struct entry_command *command);
/* Frees one that is in no list. NULL is allowed. */
void outgoing_command_free(struct outgoing_command *command);

/* Appends it, and owns it from here on. A tag must be unique. */
void outgoing_push(struct outgoing *outgoing, struct outgoing_command *command);
/* Takes it out of every list and frees it. */
void outgoing_drop(struct outgoing *outgoing, struct outgoing_command *command);
/* NULL: there is none of that tag (any more). */
struct outgoing_command *outgoing_find(struct outgoing *outgoing, uint64_t tag);

/* The next to be sent, or NULL; outgoing_sent() moves on to the one behind it. */
struct outgoing_command *outgoing_next(struct outgoing *outgoing);
void outgoing_sent(struct outgoing *outgoing);
/* Everything is to be sent again. */
void outgoing_rewind(struct outgoing *outgoing);

#endif
