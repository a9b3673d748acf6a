/* Membership as bytes: the payload of a CHANGE entry, in c-raft's encoding, read with every bound checked.
 *
 * The engine decodes the same bytes without checking them, so whatever comes from a peer or the disk passes through here
 * first.
 *
 *   offset  size  what
 *        0     1  format, 1
 *        1     8  number of servers, little-endian
 *        9        each server: id (8, little-endian), address (ends with a zero byte), role (1)
 *                 zero bytes up to a multiple of 8 */

#ifndef HOLDFAST_CONSENSUS_CONFIGURATION_H
#define HOLDFAST_CONSENSUS_CONFIGURATION_H

#include <raft.h>
#include <stdbool.h>
#include <stddef.h>

#include "proto/base/blob.h"
#include "proto/base/err.h"

/* Decodes into an initialised configuration, which the caller closes (or gives to the engine). ERR_INVALID: malformed, a
 * duplicate, an unknown role, or more than MEMBERS_MAX servers. ERR_NOMEM. */
int configuration_decode(const void *data, size_t len, struct raft_configuration *ret_configuration) NODISCARD;

/* Encodes into a new slice, which the caller owns. ERR_NOMEM. */
int configuration_encode(const struct raft_configuration *configuration, struct slice *ret_bytes) NODISCARD;

/* A deep copy, which the caller closes. ERR_NOMEM. */
int configuration_copy(const struct raft_configuration *source, struct raft_configuration *ret_copy) NODISCARD;

/* The server with the id, or NULL. */
const struct raft_server *configuration_find(const struct raft_configuration *configuration, raft_id id);

unsigned configuration_voters(const struct raft_configuration *configuration);

/* Whether the server with the id is one, and votes. */
bool configuration_votes(const struct raft_configuration *configuration, raft_id id);

/* Whether they have the same servers, with the same addresses and roles, in whatever order. */
bool configuration_equal(const struct raft_configuration *a, const struct raft_configuration *b);

#endif
