/* A connection to another node for what is large, beside that for messages: what travels here makes nobody wait there.
 *
 * Unlike the others it is used both ways: the node that dialled asks, the other one answers. Both sides say hello as on the
 * other kind (PEER_HELLO, with `bulk`), and are checked in the same way. There is at most one in each direction between two
 * nodes; a newer one that is accepted replaces the older. It is not dialled again by itself. */

#ifndef HOLDFAST_RPC_PEER_PEER_BULK_H
#define HOLDFAST_RPC_PEER_PEER_BULK_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/wire/frame.h"
#include "rpc/peer/peer_links.h"

/* Bytes that may wait on one connection, in one direction. */
#define PEER_BULK_QUEUE_MAX (4u * 1024u * 1024u)

/* Begins to dial the node, unless there is a connection that we dialled, or one is being made. When it is ready, when it ends,
 * and when it could not be made, bulk_changed() of the options of the links says so. bulk_received() must be there.
 * ERR_NOT_FOUND: no such member. ERR_INVALID: its address is none. ERR_CLOSED: the links are being closed. ERR_NOMEM,
 * ERR_SYSTEM. After an error bulk_changed() is not called. */
int peer_bulk_dial(struct peer_links *links, uint64_t node) NODISCARD;

/* Sends a question on the connection that we dialled (`asking`), or an answer on the one that the node dialled. Takes ownership.
 * False: it was dropped, since there is none that is ready or more than PEER_BULK_QUEUE_MAX bytes would wait on it. */
bool peer_bulk_send(struct peer_links *links, uint64_t node, bool asking, struct frame_out *frame);

/* Ends the connection that we dialled, if there is one, once what was taken for it is out; nothing more is heard from it, and
 * bulk_changed() is not called for it. */
void peer_bulk_hang_up(struct peer_links *links, uint64_t node);

#endif
