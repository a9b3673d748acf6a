/* A node's directory: who owns it, that only one process uses it, and what must be remembered of the other nodes.
 *
 *   DATA/lock        locked (flock) while a process uses the directory; holds its pid
 *   DATA/identity    text: format, cluster, node, incarnation, checksum; written once
 *   DATA/peers       text: format, the other nodes' directories and starts, the nodes that were given up, checksum
 *   DATA/members     text: format, who was a member and where, when that was last heard of, checksum
 *   DATA/starts      how often a process has begun to use the directory (data_dir_starts.c), and what must be there besides
 *   DATA/removed     text: the node is no member any more, and why; not there before
 *   DATA/recoveries  text: forced recoveries (`holdfast cluster recover`), a line for each; not there before
 *   DATA/shard-0/    log and term of the first shard; DATA/shard-0/state is the machine's RocksDB; DATA/shard-0/last-start says of
 *                    which start all that is, and log/last-start beside it of which one the log is (data_dir_shard.c)
 *
 * The text files are replaced as a whole. An incarnation is a random number made when a directory is first used. A node that
 * comes back with another one has lost what it promised (its term, its vote, its log): it must not take part under its old
 * identity. The same holds for a directory that is an older copy of itself: its starts tell. */

#ifndef HOLDFAST_NODE_DATA_DIR_H
#define HOLDFAST_NODE_DATA_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/clock.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"

#define DATA_DIR_VERSION 1u

/* Other nodes that a directory can remember: replaced ones get new ids, for years. */
#define DATA_DIR_PEERS_MAX 1024u

/* Starts of which a node remembers the random number; what it tells others of them, in bytes. */
#define DATA_DIR_STAMPS_MAX 32u
#define DATA_DIR_HISTORY_LEN_MAX (8u + 8u * DATA_DIR_STAMPS_MAX)

/* A line for people. */
#define DATA_DIR_LINE_LEN_MAX 1024u

struct data_dir;

/* Creates the directory (and its parents) when it is missing, locks it, reads or writes its identity, and counts the start.
 * `detail` gets one line on error.
 * ERR_LOCKED: another process uses it. ERR_FOREIGN: it belongs to another cluster or node. ERR_VERSION: a newer program
 * wrote it. ERR_CORRUPT: a file is damaged, or the identity is missing although there is a log. ERR_REFUSED: the node was removed
 * from its cluster, or a recovery has been begun and not finished. ERR_INVALID: a name that cannot be stored. ERR_IO,
 * ERR_NO_SPACE, ERR_NOMEM. */
int data_dir_open(const char *path, const char *cluster, uint64_t node, struct clock *clock, struct data_dir **ret_dir,
                  char *detail, size_t detail_len) NODISCARD;

/* The same for a look at the directory of a node that is stopped, whoever's it is: nothing is made or written, no start is
 * counted, and an unfinished recovery does not matter. ERR_NOT_FOUND: it is no data directory. */
int data_dir_visit(const char *path, struct data_dir **ret_dir, char *detail, size_t detail_len) NODISCARD;

/* Unlocks. NULL is allowed. */
void data_dir_close(struct data_dir *dir);

const char *data_dir_cluster(const struct data_dir *dir);
uint64_t data_dir_node(const struct data_dir *dir);
uint64_t data_dir_incarnation(const struct data_dir *dir);

/* What this node says to others of its starts, little-endian: how many there were (8), the random number of each of the last
 * ones (8 each), the newest first. Returns the length. A node that counts for nothing at the moment, since its data is to be
 * replaced, says nothing (length 0). */
size_t data_dir_history(const struct data_dir *dir, uint8_t ret_history[DATA_DIR_HISTORY_LEN_MAX]);

/* The node has forgotten all it promised, and need not remember it: its log has begun anew with a copy of the state in which it
 * does not vote (driver_rejoin() with `discard`). From now on its starts are others, also where those of before were known to
 * be more. ERR_IO, ERR_NO_SPACE. */
int data_dir_renew(struct data_dir *dir, struct clock *clock, char *detail, size_t detail_len) NODISCARD;

/* Whether a peer's directory is the one that it has always been, and goes on from the start that we know; `history` is what it
 * says of its starts, as above, or empty. A directory seen for the first time is remembered, durably, before this returns 0; so
 * is a start, but a full disk does not keep it out.
 * ERR_FOREIGN: it is another directory. ERR_STALE: it is an older copy of the one that we know, or a second one. ERR_REFUSED: the
 * node was given up in a recovery. ERR_BROKEN: a malformed history. ERR_LIMIT: more peers than there can be. ERR_IO,
 * ERR_NO_SPACE: it could not be remembered. */
int data_dir_peer(struct data_dir *dir, uint64_t node, uint64_t incarnation, const uint8_t *history, size_t history_len,
                  char *detail, size_t detail_len) NODISCARD;

/* Whether the file `peers` is there: a node alone has none. (One that was written and is missing is damage: the directory cannot be
 * opened.) */
bool data_dir_has_peers(const struct data_dir *dir);

/* Whether the directory of the shard, or of its log, is an older one than this directory, or not its own: what it promised since is
 * lost, and so it is when that cannot be told any more. `detail` gets one line. */
bool data_dir_shard_is_old(const struct data_dir *dir, char *detail, size_t detail_len);
/* That it is so counts no more: it has been noted durably that nobody relies on the shard, or an operator relies on it all the same.
 * Counts a start more, so that copies of it from before are older ones. ERR_IO, ERR_NO_SPACE. */
int data_dir_shard_adopt(struct data_dir *dir, struct clock *clock, char *detail, size_t detail_len) NODISCARD;

/* The nodes are given up, and refused from now on for ever, with what is known of their directories; durably. Those that are so
 * already, and this node, are passed over. ERR_LIMIT, ERR_IO, ERR_NO_SPACE, ERR_NOMEM. */
int data_dir_expel(struct data_dir *dir, const uint64_t *nodes, unsigned nodes_len, char *detail,
                   size_t detail_len) NODISCARD;
bool data_dir_is_expelled(const struct data_dir *dir, uint64_t node);
/* The same for a node that asks to be let in: 0, or ERR_REFUSED with what it is to be told. */
int data_dir_barred(const struct data_dir *dir, uint64_t node, char *detail, size_t detail_len) NODISCARD;

/* The members as last known, so that a node finds the others although its configuration is old. An error leaves the file as it
 * was. ERR_INVALID: an address that is empty, too long, or not one word; more than MEMBERS_MAX; the id 0. */
struct data_dir_member {
    uint64_t id;
    char address[ADDRESS_LEN_MAX + 1]; /* Where other nodes reach it. */
    bool voter;
};
int data_dir_members_write(const struct data_dir *dir, const struct data_dir_member *members, unsigned members_len,
                           char *detail, size_t detail_len) NODISCARD;
/* ERR_NOT_FOUND: never written. ERR_CORRUPT: damaged: what the configuration says must do. ERR_IO, ERR_NOMEM. */
int data_dir_members_read(const struct data_dir *dir, struct data_dir_member ret_members[MEMBERS_MAX],
                          unsigned *ret_members_len, char *detail, size_t detail_len) NODISCARD;

/* The node is no member of its cluster any more: whoever opens the directory is refused with the text, cut to a line, for as
 * long as the file `removed` is there. The first text stays. ERR_IO, ERR_NO_SPACE. */
int data_dir_removed_write(const struct data_dir *dir, const char *text, char *detail, size_t detail_len) NODISCARD;

/* Whether the node takes part in its cluster. */
enum data_dir_part {
    DATA_DIR_PART_NONE,    /* Not yet. */
    DATA_DIR_PART_FOUNDED, /* It may: all nodes of the new cluster know each other. */
    DATA_DIR_PART_TAKEN,   /* It does, and may have promised something: a log that is missing is lost. */
};
/* Damaged is TAKEN, and so is a file that is missing, when the starts know that it was. */
enum data_dir_part data_dir_part(const struct data_dir *dir);
/* Never back. ERR_IO, ERR_NO_SPACE, ERR_NOMEM. */
int data_dir_set_part(struct data_dir *dir, enum data_dir_part part, char *detail, size_t detail_len) NODISCARD;

/* A forced recovery is noted before it begins and after it is done; in between the directory can only be visited. `text` is cut
 * to a line. */
int data_dir_recovery_begin(struct data_dir *dir, const char *text, char *detail, size_t detail_len) NODISCARD;
int data_dir_recovery_end(struct data_dir *dir, const char *text, char *detail, size_t detail_len) NODISCARD;
bool data_dir_recovery_unfinished(const struct data_dir *dir);
/* The text of one that is not finished, or may be not (nothing tells); false when there is none. */
bool data_dir_recovery_begun(const struct data_dir *dir, char *out, size_t out_len);
/* Looks at the disk again, after a write of which nobody knows whether it was done. ERR_IO, ERR_VERSION, ERR_NOMEM. */
int data_dir_recovery_reread(struct data_dir *dir, char *detail, size_t detail_len) NODISCARD;
/* What the last one that is done has done; false when there was none. */
bool data_dir_recovered(const struct data_dir *dir, char *out, size_t out_len);
/* Whether the file `recoveries` is damaged; `out` gets what is wrong with it. A node goes on without. */
bool data_dir_recoveries_damaged(const struct data_dir *dir, char *out, size_t out_len);

#endif
