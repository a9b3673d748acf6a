/* The promises of the nodes to each other, checked after every turn. */

#include "sim_checker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/check.h"
#include "sim_world.h"

#define CHECKER_TERM_MAX 1000000u

static struct sim_entry *checker_entry(struct sim_checker *checker, uint64_t index)
{
    if (index >= checker->entries_cap) {
        size_t cap = (size_t)index * 2 + 1024;
        checker->entries = realloc(checker->entries, cap * sizeof *checker->entries);
        CHECK(checker->entries != NULL);
        memset(checker->entries + checker->entries_cap, 0, (cap - checker->entries_cap) * sizeof *checker->entries);
        checker->entries_cap = cap;
    }
    return &checker->entries[index];
}

/* An array by term. */
static uint64_t *checker_term(uint64_t **array, size_t *cap, uint64_t term)
{
    if (term >= *cap) {
        size_t more = (size_t)term * 2 + 64;
        *array = realloc(*array, more * sizeof **array);
        CHECK(*array != NULL);
        memset(*array + *cap, 0, (more - *cap) * sizeof **array);
        *cap = more;
    }
    return &(*array)[term];
}

/* State machine safety: nobody applies another entry at an index. */
static void check_entry(struct sim_node *node, uint64_t node_term, uint64_t index, const struct log_entry *found)
{
    struct sim_world *world = node->world;
    struct sim_entry *entry = checker_entry(&world->checker, index);
    uint64_t hash = XXH3_64bits_withSeed(found->payload.data, found->payload.len, (uint64_t)found->type);
    if (entry->term == 0) {
        entry->term = found->term;
        entry->applied_term = node_term;
        entry->hash = hash;
        sim_world_note(world, 2, index, hash);
    } else if (entry->term != found->term || entry->hash != hash) {
        sim_world_violation(world,
                            "node %u applied another entry at index %" PRIu64 ": term %" PRIu64 " instead of %" PRIu64
                            ", hash %" PRIx64 " instead of %" PRIx64,
                            node->index + 1, index, found->term, entry->term, hash, entry->hash);
    }
    if (index > world->checker.applied_max) {
        world->checker.applied_max = index;
    }
}

static void check_applied(struct sim_node *node, const struct driver_status *status)
{
    struct log *log = driver_log(shard_driver(node->shard));
    struct log_entry entries[32];
    uint64_t index = node->checked_applied + 1;
    if (index < status->log_first) {
        index = status->log_first; /* Behind a checkpoint; it was checked in an earlier life. */
    }
    while (index <= status->applied_index) {
        uint64_t left = status->applied_index - index + 1;
        unsigned count = 0;
        char detail[256] = "";
        int err = log_read(log, index, left < 32 ? (unsigned)left : 32, UINT64_C(1) << 30, entries, &count, detail,
                           sizeof detail);
        if (err != 0 && sim_damage_explains(node, err)) {
            break; /* It may still have it in memory; when it needs it from the disk, it will say so. */
        }
        if (err != 0 || count == 0) {
            sim_world_violation(node->world, "node %u cannot read entry %" PRIu64 ": %s %s", node->index + 1, index,
                                err_name(err), detail);
            return;
        }
        for (unsigned i = 0; i < count; i++) {
            check_entry(node, status->term, index + i, &entries[i]);
            slice_unref(&entries[i].payload);
        }
        index += count;
    }
    node->checked_applied = status->applied_index;
}

/* Leader completeness: what was committed in an earlier term is in a new leader's log. An entry may be older than its
 * commitment (Figure 8 of the paper), which is why its own term says nothing here. */
static void check_completeness(struct sim_node *node, const struct driver_status *status)
{
    struct sim_world *world = node->world;
    struct log *log = driver_log(shard_driver(node->shard));
    for (uint64_t index = status->log_first; index <= world->checker.applied_max; index++) {
        uint64_t term = checker_entry(&world->checker, index)->term;
        uint64_t applied_term = checker_entry(&world->checker, index)->applied_term;
        if (term != 0 && applied_term < status->term && log_term(log, index) != term) {
            sim_world_violation(world,
                                "node %u leads term %" PRIu64 " without the applied entry %" PRIu64 " of term %" PRIu64
                                " (has term %" PRIu64 ", last %" PRIu64 ")",
                                node->index + 1, status->term, index, term, log_term(log, index), status->log_last);
            return;
        }
    }
}

/* A term is somebody's who stood for election in it: no mere answer moves a node to one that nobody stood for.
 * (Pre-vote, Raft thesis §9.6: asking changes no terms.) */
static void check_term(struct sim_node *node, const struct driver_status *status)
{
    struct sim_checker *checker = &node->world->checker;
    if (status->term == node->seen_term || status->term <= 1) { /* All begin in term 1. */
        return;
    }
    node->seen_term = status->term;
    if (status->term > CHECKER_TERM_MAX) {
        sim_world_violation(node->world, "term %" PRIu64 ": elections without end", status->term);
        return;
    }
    uint64_t *candidate = checker_term(&checker->candidates, &checker->candidates_cap, status->term);
    if (*candidate == 0 && status->voted_for == node->id) {
        *candidate = node->id;
    } else if (*candidate == 0) {
        sim_world_violation(node->world, "node %u is in term %" PRIu64 ", in which nobody has stood for election",
                            node->index + 1, status->term);
    }
}

void sim_checker_received(struct sim_node *node)
{
    struct driver_status status;
    driver_status(shard_driver(node->shard), &status);
    check_term(node, &status);
}

static void check_leader(struct sim_node *node, const struct driver_status *status)
{
    struct sim_world *world = node->world;
    if (status->role != DRIVER_LEADER) {
        return;
    }
    if (node->led_term == status->term) {
        return;
    }
    node->led_term = status->term;
    node->led_from = status->log_last;
    memset(node->checked_match, 0, sizeof node->checked_match);
    uint64_t *leader = checker_term(&world->checker.leaders, &world->checker.leaders_cap, status->term);
    if (*leader != 0) {
        sim_world_violation(world, "two leaders in term %" PRIu64 ": nodes %" PRIu64 " and %u", status->term, *leader,
                            node->index + 1);
    }
    *leader = node->id;
    sim_world_count(world, SIM_STAT_LEADERS, 1);
    sim_world_note(world, 3, node->id, status->term);
    SIM_TRACE(world, "node %u leads term %" PRIu64 " from entry %" PRIu64 ", commit %" PRIu64, node->index + 1,
              status->term, status->log_last, status->commit_index);
    check_completeness(node, status);
}

/* It is for the nodes to find out. What was to go wrong may have made no difference: then the next is to. */
static void check_diverged(struct sim_node *node, const struct sim_entry *entry, uint64_t digest)
{
    if (node->diverging || !entry->has_running) {
        return;
    }
    if (node->differs) {
        /* A restart from a checkpoint before that, and the log, have made it right again. */
        node->differs = entry->running_digest != digest;
        node->diverged = node->differs;
        return;
    }
    node->differs = entry->running_digest != digest;
    node->diverging = !node->differs;
    if (node->differs) {
        SIM_TRACE(node->world, "node %u has computed something else than the others", node->index + 1);
        sim_world_count(node->world, SIM_STAT_DIVERGED, 1);
    }
}

static void check_running_digest(struct sim_node *node)
{
    struct machine *machine = shard_machine(node->shard);
    uint64_t index = machine_applied_index(machine);
    uint64_t digest = machine_running_digest(machine);
    struct sim_entry *entry = checker_entry(&node->world->checker, index);
    if (node->diverged) {
        check_diverged(node, entry, digest);
        return;
    }
    if (!entry->has_running) {
        entry->has_running = true;
        entry->running_digest = digest;
        return;
    }
    sim_world_count(node->world, SIM_STAT_RUNNING_DIGESTS, 1);
    if (entry->running_digest != digest) {
        sim_world_violation(node->world,
                            "node %u has another state after entry %" PRIu64 ": running digest %" PRIx64
                            " instead of %" PRIx64,
                            node->index + 1, index, digest, entry->running_digest);
    }
}

void sim_checker_digest(struct sim_node *node)
{
    struct machine *machine = shard_machine(node->shard);
    uint64_t index = machine_applied_index(machine);
    uint64_t digest = 0;
    if (node->diverged) {
        return;
    }
    int err = machine_digest(machine, &digest);
    if (err != 0 && sim_damage_explains(node, err)) {
        return;
    }
    if (err != 0) {
        sim_world_violation(node->world, "node %u: digest: %s", node->index + 1, err_name(err));
        return;
    }
    struct sim_entry *entry = checker_entry(&node->world->checker, index);
    sim_world_count(node->world, SIM_STAT_DIGESTS, entry->has_full);
    if (entry->has_full && entry->full_digest != digest) {
        sim_world_violation(node->world,
                            "node %u has another state after entry %" PRIu64 ": digest %" PRIx64 " instead of %" PRIx64,
                            node->index + 1, index, digest, entry->full_digest);
    }
    entry->has_full = true;
    entry->full_digest = digest;
}

static void count_progress(struct sim_node *node, const struct driver_status *status)
{
    struct sim_world *world = node->world;
    if (status->checkpoint_index > node->checkpoint_index) {
        node->checkpoint_index = status->checkpoint_index;
        sim_world_count(world, SIM_STAT_CHECKPOINTS, 1);
        SIM_TRACE(world, "node %u: checkpoint at %" PRIu64, node->index + 1, status->checkpoint_index);
    }
    if (status->log_first > node->log_first) {
        sim_world_count(world, SIM_STAT_ENTRIES_DROPPED,
                        node->log_first == 0 ? 0 : status->log_first - node->log_first);
        node->log_first = status->log_first;
    }
}

static void count_disk(struct sim_node *node, const struct driver_status *status)
{
    sim_world_count(node->world, SIM_STAT_LOG_SHORT, status->log_short && !node->log_short);
    if (status->log_short && !node->log_short) {
        unsigned others = 0;
        for (unsigned i = 0; i < node->world->nodes_len; i++) {
            others += &node->world->nodes[i] != node && node->world->nodes[i].log_short;
        }
        sim_world_count(node->world, SIM_STAT_ALL_SHORT, others == node->world->nodes_len - 1);
    }
    sim_world_count(node->world, SIM_STAT_LOG_FULL, status->log_full && !node->log_full);
    node->log_short = status->log_short;
    node->log_full = status->log_full;
}

/* A leader counts nothing as stored by a follower of its term that is not on that follower's disk. */
static void check_matches(struct sim_node *node, const struct driver_status *status)
{
    struct sim_world *world = node->world;
    for (unsigned i = 0; status->role == DRIVER_LEADER && i < status->members_len; i++) {
        const struct driver_status_member *member = &status->members[i];
        const struct sim_node *other = &world->nodes[member->id - 1];
        struct driver_status theirs;
        if (other == node || other->shard == NULL || (world->options.forgetful && other->struck) ||
            member->match_index <= node->checked_match[member->id - 1]) {
            continue;
        }
        node->checked_match[member->id - 1] = member->match_index;
        driver_status(shard_driver(other->shard), &theirs);
        uint64_t stored = log_stored_index(driver_log(shard_driver(other->shard)));
        if (theirs.term == status->term && member->match_index > stored) {
            sim_world_violation(world,
                                "node %u, leader of term %" PRIu64 ", counts entry %" PRIu64
                                " as stored by node %u, which has stored up to %" PRIu64,
                                node->index + 1, status->term, member->match_index, other->index + 1, stored);
        }
    }
}

/* Whether an entry that a leader has committed is on a node's disk, or was when it crashed. */
static bool node_stores(struct sim_node *node, uint64_t index, uint64_t term)
{
    if (node->shard == NULL) {
        return node->said_stored >= index;
    }
    struct log *log = driver_log(shard_driver(node->shard));
    return log_stored_index(log) >= index && (index < log_first_index(log) || log_term(log, index) == term);
}

/* The voters, a bit for each node. */
static unsigned voters_of(const struct driver_status *status)
{
    unsigned voters = 0;
    for (unsigned i = 0; i < status->members_len; i++) {
        voters |= status->members[i].voter ? 1u << (status->members[i].id - 1) : 0;
    }
    return voters;
}

static bool is_majority(unsigned set, unsigned voters)
{
    return 2 * __builtin_popcount(set & voters) > __builtin_popcount(voters);
}

/* What a leader calls committed is on the disks of a majority of those that vote: now, or until this turn, in which there may
 * have been a change after it. */
static void check_majority(struct sim_node *node, const struct driver_status *status)
{
    struct sim_world *world = node->world;
    uint64_t term = log_term(driver_log(shard_driver(node->shard)), status->commit_index);
    unsigned voters = voters_of(status);
    unsigned stored = 0;
    for (unsigned i = 0; i < world->nodes_len; i++) {
        stored |= node_stores(&world->nodes[i], status->commit_index, term) ? 1u << i : 0;
    }
    if (!is_majority(stored, voters) && (node->voters == 0 || !is_majority(stored, node->voters))) {
        sim_world_violation(world,
                            "node %u, leader of term %" PRIu64 ", has committed entry %" PRIu64
                            ", which is stored by set %x; set %x votes, and before that %x",
                            node->index + 1, status->term, status->commit_index, stored, voters, node->voters);
    }
}

static void check_commit(struct sim_node *node, const struct driver_status *status)
{
    if (status->role == DRIVER_LEADER && status->commit_index > node->said_commit) {
        check_majority(node, status);
    }
    node->voters = voters_of(status);
    if (status->commit_index < node->said_commit) {
        sim_world_violation(node->world, "node %u: the commit index went back from %" PRIu64 " to %" PRIu64,
                            node->index + 1, node->said_commit, status->commit_index);
    }
    node->said_commit = status->commit_index;
}

void sim_checker_turn(struct sim_node *node)
{
    struct driver_status status;
    driver_status(shard_driver(node->shard), &status);
    check_term(node, &status);
    check_commit(node, &status);
    check_leader(node, &status);
    check_matches(node, &status);
    if (status.applied_index > node->checked_applied) {
        check_applied(node, &status);
        check_running_digest(node);
        if (status.applied_index > node->world->checker.sessions_index && !node->diverged) {
            node->world->checker.sessions_index = status.applied_index;
            sim_sessions_applied(node);
        }
    }
    if (status.applied_index < node->checked_applied) {
        sim_world_violation(node->world, "node %u: the applied index went back from %" PRIu64 " to %" PRIu64,
                            node->index + 1, node->checked_applied, status.applied_index);
    }
    count_progress(node, &status);
    count_disk(node, &status);
}

void sim_checker_crash(struct sim_node *node)
{
    struct driver_status status;
    driver_status(shard_driver(node->shard), &status);
    node->said_term = status.term;
    node->said_voted_for = status.voted_for;
    node->said_stored = status.log_stored;
    node->said_stored_term = log_term(driver_log(shard_driver(node->shard)), status.log_stored);
    for (unsigned guard = 1; guard <= 10; guard++) {
        node->world->stats.counts[SIM_STAT_GUARD_1 + (int)guard - 1] += status.guards[guard];
    }
    sim_world_count(node->world, SIM_STAT_REPLAYED, status.replayed);
}

/* What the node has forgotten of what it said before it crashed, in words; false: nothing. */
static bool check_word(struct sim_node *node, const struct driver_status *status, char *text, size_t text_len)
{
    if (status->term < node->said_term ||
        (status->term == node->said_term && node->said_voted_for != 0 && status->voted_for != node->said_voted_for)) {
        snprintf(text, text_len,
                 "its vote: term %" PRIu64 " vote %" PRIu64 " after a restart, before it term %" PRIu64
                 " vote %" PRIu64,
                 status->term, status->voted_for, node->said_term, node->said_voted_for);
        return true;
    }
    uint64_t term = log_term(driver_log(shard_driver(node->shard)), node->said_stored);
    /* A copy takes the place of entries too, of which none that it lacks was committed: see check_completeness(). */
    if (!node->fresh && (status->log_last < node->said_stored ||
                         (node->said_stored >= status->log_first && term != node->said_stored_term))) {
        snprintf(text, text_len,
                 "entries that it called stored: last is %" PRIu64 ", it was %" PRIu64 " (term %" PRIu64
                 ", now %" PRIu64 ")",
                 status->log_last, node->said_stored, node->said_stored_term, term);
        return true;
    }
    return false;
}

/* All that it said it said as one that does not vote any more, and whose acknowledgements count no more. */
void sim_checker_discarded(struct sim_node *node)
{
    node->said_term = 0;
    node->said_voted_for = 0;
    node->said_stored = 0;
    node->said_stored_term = 0;
    node->diverged = false;
    node->diverging = false;
    node->differs = false;
}

void sim_checker_restart(struct sim_node *node)
{
    struct driver_status status;
    char text[256];
    driver_status(shard_driver(node->shard), &status);
    if (check_word(node, &status, text, sizeof text)) {
        if (!sim_damage_forgot(node, text)) {
            sim_world_violation(node->world, "node %u forgot %s", node->index + 1, text);
        }
        if (node->shard == NULL) {
            return;
        }
    }
    node->checked_applied = status.applied_index;
    node->said_commit = status.commit_index;
    node->checkpoint_index = status.checkpoint_index;
    node->log_first = status.log_first;
    node->led_term = 0;
    check_running_digest(node);
}

void sim_checker_end(struct sim_world *world)
{
    for (unsigned i = 0; i < world->nodes_len; i++) {
        if (!world->nodes[i].gone) {
            sim_checker_digest(&world->nodes[i]);
            sim_checker_crash(&world->nodes[i]); /* Its counts. */
        }
        sim_world_count(world, SIM_STAT_DISK_REFUSED, sim_disk_counters(world->nodes[i].disk)->refused);
        sim_world_count(world, SIM_STAT_CHECKPOINTS_REFUSED, store_memory_disk_refused(world->nodes[i].rows));
    }
}

void sim_checker_done(struct sim_checker *checker)
{
    free(checker->entries);
    free(checker->leaders);
    free(checker->candidates);
    *checker = (struct sim_checker){0};
}
