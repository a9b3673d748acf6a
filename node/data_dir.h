/* A node's directory: who owns it, and that only one process uses it.
 *
 *   DATA/lock       locked (flock) while a process uses the directory; holds its pid
 *   DATA/identity   text: format, cluster, node, incarnation, checksum; written once
 *   DATA/peers      text: format, the incarnations of the other nodes' directories, checksum; replaced as a whole
 *   DATA/shard-0/   log and term of the first shard; DATA/shard-0/state is the machine's RocksDB
 *
 * An incarnation is a random number made when a directory is first used. A node that comes back with another one has
 * lost what it promised (its term, its vote, its log): it must not take part under its old identity. */

#ifndef HOLDFAST_NODE_DATA_DIR_H
#define HOLDFAST_NODE_DATA_DIR_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/clock.h"
#include "proto/base/err.h"

#define DATA_DIR_VERSION 1u

struct data_dir;

/* Creates the directory (and its parents) when it is missing, locks it, and reads or writes its identity. `detail` gets
 * one line on error.
 * ERR_LOCKED: another process uses it. ERR_FOREIGN: it belongs to another cluster or node. ERR_VERSION: a newer program
 * wrote it. ERR_CORRUPT: identity or peers are damaged, or the identity is missing although there is a log.
 * ERR_INVALID: a name that cannot be stored. ERR_IO, ERR_NO_SPACE, ERR_NOMEM. */
int data_dir_open(const char *path, const char *cluster, uint64_t node, struct clock *clock, struct data_dir **ret_dir,
                  char *detail, size_t detail_len) NODISCARD;

/* Unlocks. NULL is allowed. */
void data_dir_close(struct data_dir *dir);

uint64_t data_dir_incarnation(const struct data_dir *dir);

/* Whether a peer's directory is the one that it has always been; one seen for the first time is remembered, durably,
 * before this returns 0. ERR_FOREIGN: it is another one. ERR_LIMIT: more peers than there can be. ERR_IO, ERR_NO_SPACE:
 * it could not be remembered. */
int data_dir_peer(struct data_dir *dir, uint64_t node, uint64_t incarnation, char *detail, size_t detail_len) NODISCARD;

#endif
