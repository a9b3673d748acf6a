/* One driver on a simulated disk, with the test playing its peers: frames are crafted by hand and what it sends is kept. */

#ifndef HOLDFAST_CONSENSUS_TEST_FIXTURE_H
#define HOLDFAST_CONSENSUS_TEST_FIXTURE_H

#include <raft.h>
#include <stdbool.h>
#include <stdint.h>

#include "consensus/driver_internal.h"

#define FIXTURE_SENT_MAX 256
#define FIXTURE_APPLIED_MAX 256

struct sim_disk;

struct fixture_sent {
    uint64_t node;
    enum message_kind kind;
    uint64_t term;
    uint64_t round;
    struct raft_message raft; /* For AppendEntries: n_entries is set, entries is NULL. */
};

struct fixture {
    struct clock clock;
    struct journal journal;
    unsigned errors; /* Said to the journal. */
    uint64_t now_ms;
    struct sim_disk *disk;
    struct driver_member members[5];
    unsigned members_len;
    struct driver *driver;
    struct fixture_sent sent[FIXTURE_SENT_MAX];
    unsigned sent_len;
    uint64_t applied[FIXTURE_APPLIED_MAX]; /* Indexes. */
    unsigned applied_len;
    uint64_t apply_ms;      /* How long it takes to apply an entry. */
    uint64_t applied_start; /* As if a checkpoint there had been made; with `position`. */
    struct slice position;
    enum driver_role role;
    uint64_t leader;
    uint64_t read_round; /* The last round that was answered, its index, and how many were. */
    uint64_t read_index;
    unsigned reads;
    unsigned members_changed; /* How often it was said that they have; and that we are removed. */
    unsigned removed;
    unsigned forgot; /* How often it was said of a node, and what. */
    uint64_t forgot_node;
    uint64_t forgot_had;
    uint64_t forgot_has;
};

/* Opens node 1 of `members` on an empty disk. */
void fixture_init(struct fixture *fixture, unsigned members);
/* The same, and the disk has not done yet what it was asked to. */
void fixture_init_unwritten(struct fixture *fixture, unsigned members);
/* Closes the driver and opens it again on the same disk; `crash` loses everything that was not synced. */
void fixture_reopen(struct fixture *fixture, bool crash);
void fixture_done(struct fixture *fixture);

/* Completes everything that the disk was asked to do. */
void fixture_disk(struct fixture *fixture);
/* Completes the oldest write alone; false when there is none. */
bool fixture_disk_one(struct fixture *fixture);
/* Forgets what was sent. */
void fixture_forget(struct fixture *fixture);
/* The last message of the type to the node, or NULL. */
const struct raft_message *fixture_last(const struct fixture *fixture, uint64_t node, enum raft_message_type type);

/* An entry with a small payload. Types: 'c' command, 'b' barrier; a CHANGE is made with fixture_change(). */
struct log_entry fixture_entry(uint64_t term, const char *text);
struct log_entry fixture_change(uint64_t term, const uint64_t *voters, unsigned voters_len, uint64_t standby);

/* Of a checkpoint there: what a driver keeps with it, with the members of the entry `members_index`. */
struct slice fixture_position(uint64_t index, uint64_t term, uint64_t members_index, const uint64_t *voters,
                              unsigned voters_len, uint64_t standby);

/* A peer says so; the result is driver_receive()'s. The entries' references are dropped. */
int fixture_append(struct fixture *fixture, uint64_t from, uint64_t term, uint64_t prev_index, uint64_t prev_term,
                   uint64_t commit, struct log_entry *entries, unsigned entries_len);
int fixture_say(struct fixture *fixture, uint64_t from, const struct raft_message *message);
int fixture_result(struct fixture *fixture, uint64_t from, uint64_t term, uint64_t rejected, uint64_t last_index);

/* The last message of that kind to the node, or NULL; and a peer says so. */
const struct fixture_sent *fixture_last_read(const struct fixture *fixture, uint64_t node, enum message_kind kind);
int fixture_say_read(struct fixture *fixture, uint64_t from, enum message_kind kind, uint64_t term, uint64_t round);

/* Lets time pass until the driver is due, and gives it its turn. */
void fixture_until_due(struct fixture *fixture);

/* The same for the engine's timeout. */
void fixture_time_out(struct fixture *fixture);

/* Makes node 1 the leader, with node 2's votes and acknowledgement of whatever it sends; its disk is completed. */
void fixture_lead(struct fixture *fixture);

/* The leader proposes; gives the index. */
uint64_t fixture_submit(struct fixture *fixture, const char *text);
/* All other members have stored everything; and the driver has its turn. */
void fixture_acknowledge(struct fixture *fixture);
struct driver_status fixture_status(const struct fixture *fixture);

#endif
