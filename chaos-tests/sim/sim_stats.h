/* What happened in a run, counted: so that a quiet simulator is noticed. */

#ifndef HOLDFAST_CHAOS_SIM_STATS_H
#define HOLDFAST_CHAOS_SIM_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(name, text, required): a required count that is 0 over many runs means that something is not tested any more. Guard 6
 * would act if the last but one voter were removed, and guard 10 if the engine installed a snapshot: neither happens here. */
/* clang-format off */
#define SIM_STAT_LIST(X) \
    X(OPS, "client operations", 1) \
    X(MESSAGES, "messages published", 1) \
    X(CONFIRMED, "messages confirmed", 1) \
    X(DELIVERED, "deliveries", 1) \
    X(REDELIVERED, "deliveries of a message that had been delivered", 1) \
    X(ACCEPTED, "messages accepted, confirmed", 1) \
    X(UNKNOWN, "commands with unknown outcome", 1) \
    X(REPEATED, "messages found to be repeats", 1) \
    X(STALE, "settlements found to be stale", 1) \
    X(PURGES, "purges", 1) \
    X(PURGED, "messages purged", 1) \
    X(READS, "reads of a queue answered", 1) \
    X(READS_BEHIND, "reads answered by a node that does not lead", 1) \
    X(READS_FAILED, "reads without an answer", 1) \
    X(BROWSES, "looks into a queue answered", 1) \
    X(BROWSED, "messages seen there", 1) \
    X(ATTACHED, "attachments", 1) \
    X(RESUMED, "sessions resumed", 1) \
    X(RESUMED_ELSEWHERE, "sessions resumed on another node", 1) \
    X(RESUMED_DEAD, "sessions resumed on another node because theirs was gone", 1) \
    X(TOLD_ISOLATED, "clients sent elsewhere by a node without a leader", 1) \
    X(TOLD_DISK, "clients sent elsewhere by a node whose disk does not take the log", 1) \
    X(TOLD_LOST, "clients sent elsewhere by a node that was taken for lost", 1) \
    X(TOLD_STUCK, "clients sent elsewhere by a node that gets no answers", 1) \
    X(LOST, "sessions found to be lost by their clients", 1) \
    X(EXPIRED, "sessions expired", 1) \
    X(EXPIRED_DEAD, "sessions of clients gone for good expired", 1) \
    X(UNATTENDED, "moments at which the last consumer of a queue was attached nowhere", 1) \
    X(NODES_LOST, "nodes taken for lost", 1) \
    X(NODES_REPLACED, "processes replaced by a later one of their node", 1) \
    X(FORWARDED, "commands forwarded to the leader", 1) \
    X(RESENT, "commands forwarded again", 1) \
    X(ACROSS, "commands answered without an error across a change of leader", 1) \
    X(LEADERS, "leader changes", 1) \
    X(CRASHES, "crashes", 1) \
    X(DIRTY_CRASHES, "crashes that lost unsynced bytes", 1) \
    X(TORN, "sectors torn in crashes", 1) \
    X(RESTARTS, "restarts", 1) \
    X(REPLAYED, "entries replayed after restarts", 1) \
    X(CHECKPOINTS, "checkpoints", 1) \
    X(ENTRIES_DROPPED, "log entries dropped behind checkpoints", 1) \
    X(PAUSES, "pauses of a node", 1) \
    X(SLOW_DISKS, "periods of a slow disk", 1) \
    X(STALLS, "stalls of a disk", 1) \
    X(STALLS_LEADER, "stalls of a leader's disk", 1) \
    X(FILLS, "disks filled", 1) \
    X(FILLS_ALL, "all disks filled", 1) \
    X(DISK_REFUSED, "writes for which a disk had no space, asked for all the same", 0) \
    X(LOG_SHORT, "logs that wanted more of a full disk", 1) \
    X(LOG_FULL, "logs that could take no more entries", 1) \
    X(CHECKPOINTS_REFUSED, "checkpoints for which there was no space", 1) \
    X(ALL_SHORT, "moments at which no node had disk for more log", 1) \
    X(HANDED_OVER_FULL, "leaders that wanted to hand over because of a full disk", 1) \
    X(HANDED_OVER_STALL, "leaders that wanted to hand over because of a disk that does not answer", 1) \
    X(MEMORY_SHORT, "nodes short of memory", 1) \
    X(NO_SPACE, "publishes refused for want of space", 1) \
    X(NO_SPACE_LATER, "messages refused once and confirmed later", 1) \
    X(PARTITIONS, "partitions", 1) \
    X(LEADERS_CUT_OFF, "leaders cut off", 1) \
    X(MUTED, "nodes that heard but were not heard for long", 1) \
    X(TRANSFERS, "leaders asked to hand over", 1) \
    X(TRANSFERS_ELSEWHERE, "nodes that do not lead asked to have leadership handed over", 1) \
    X(PEER_FRAMES, "frames between nodes", 1) \
    X(PEER_LOST, "frames between nodes lost", 1) \
    X(PEER_REFUSED, "frames between nodes not taken: no connection", 1) \
    X(PEER_REPEATED, "frames of consensus repeated", 1) \
    X(PEER_REORDERED, "frames of consensus out of order", 1) \
    X(PEER_BREAKS, "connections between nodes broken", 1) \
    X(PEER_ENDS, "connections between nodes that ended", 1) \
    X(BEHIND, "nodes further behind than their leader's log", 1) \
    X(REBUILT, "nodes whose state was replaced by a copy", 1) \
    X(REBUILDS_CRASHED, "crashes of a node while it fetched a copy", 1) \
    X(SWITCHES_CRASHED, "crashes around the moment at which a copy takes the state's place", 1) \
    X(BULK_FRAMES, "frames about copies", 1) \
    X(BULK_ENDS, "connections for copies that ended", 1) \
    X(BULK_FLIPPED, "parts of copies with a changed bit", 1) \
    X(CLIENT_BREAKS, "connections of clients broken", 1) \
    X(CLIENTS_CUT_OFF, "clients cut off for long", 1) \
    X(CLIENT_CRASHES, "clients started anew", 1) \
    X(CLOSED, "sessions closed by their clients", 1) \
    X(CLIENTS_DEAD, "clients gone for good", 1) \
    X(HALF_OPEN, "clients gone, and their node not told for long", 1) \
    X(CONGESTIONS, "connections congested", 1) \
    X(RELENTED, "moments at which a node was so far behind that everything was mended", 1) \
    X(CLOCK_JUMPS, "jumps of a wall clock", 1) \
    X(CLOCK_YEARS, "of these by a year", 1) \
    X(CLOCK_DRIFTS, "clocks up to a twentieth too fast or too slow", 1) \
    X(NIGHTS, "long times in which no node was up", 1) \
    X(TIME_LEAPS, "leaders that began with a leap of log time", 1) \
    X(HANDED_OVER_CLOCK, "leaders that wanted to hand over because of their wall clock", 1) \
    X(DAMAGED_WORLDS, "runs in which the data of some nodes were damaged", 1) \
    X(FLIPS_LOG, "bits changed in segments of a log", 1) \
    X(FLIPS_SURE, "of these under circumstances in which they must be noticed", 1) \
    X(SYNCS_FAILED, "syncs that failed, and what was to be synced is lost with the power", 1) \
    X(FLIPS_WATERMARK, "bits changed in a watermark", 1) \
    X(FLIPS_META, "bits changed in term and vote", 1) \
    X(FLIPS_CURRENT, "bits changed in the name of the state's directory", 1) \
    X(FLIPS_COPY, "bits changed in copies on disk", 1) \
    X(FLIPS_ROWS, "bits changed in rows of a store", 1) \
    X(UNREADABLE, "sectors that cannot be read", 1) \
    X(WRITES_LOST, "writes acknowledged and lost", 1) \
    X(WRITES_LOST_LATER, "writes acknowledged and lost in the next crash", 1) \
    X(WRITES_ELSEWHERE, "writes that landed elsewhere", 1) \
    X(OLD_FILE, "files as they were earlier", 1) \
    X(OLD_ROWS, "stores as they were earlier", 1) \
    X(OLD_ALL, "whole directories as they were earlier", 1) \
    X(DIVERGED, "nodes that computed something else than the others", 1) \
    X(DAMAGE_FOUND, "nodes that found their data damaged when they started", 1) \
    X(DAMAGE_FOUND_RUNNING, "nodes that found their data damaged while they ran", 1) \
    X(DAMAGE_FATAL, "nodes that ended themselves because of what they read", 1) \
    X(FORGETFUL, "nodes that had forgotten what they promised, and could not know", 1) \
    X(NODES_GONE, "nodes gone for good: removed, wiped, or with a broken disk", 1) \
    X(PATIENTS, "starts as a patient", 1) \
    X(PATIENTS_CRASHED, "crashes of patients", 1) \
    X(PATIENTS_FETCHED, "copies fetched by patients", 1) \
    X(WITHDRAWN, "orders to begin anew withdrawn because nobody led", 0) \
    X(COPIES_REFUSED, "copies found to be damaged before they counted", 1) \
    X(COPIES_UNUSABLE, "copies that turned out to be damaged when they were to count", 0) \
    X(DISCARDED, "logs begun anew after a copy", 1) \
    X(HEALED, "nodes that voted again after a repair", 1) \
    X(MEMBERSHIP_WORLDS, "runs in which the membership changed", 1) \
    X(MEMBERS_STARTED, "new nodes", 1) \
    X(MEMBERS_ADDED, "members added", 1) \
    X(MEMBERS_PROMOTED, "members promoted by an operator", 1) \
    X(MEMBERS_DEMOTED, "members demoted by an operator", 1) \
    X(VOTES_GIVEN_BACK, "votes given back by an operator, since a repair had lost them", 0) \
    X(MEMBERS_REMOVED, "members removed", 1) \
    X(MEMBERS_WIPED, "members whose directory was lost, to be replaced", 1) \
    X(REPAIRS_ASKED, "repairs asked for by an operator", 1) \
    X(REPAIRS_DONE, "of these done", 1) \
    X(MEMBERS_REFUSED, "changes of the membership refused, or without an answer", 1) \
    X(DIGESTS, "digests of the whole state compared", 1) \
    X(RUNNING_DIGESTS, "running digests compared", 1) \
    X(GUARD_1, "guard 1 acted", 1) \
    X(GUARD_2, "guard 2 acted", 1) \
    X(GUARD_3, "guard 3 acted", 1) \
    X(GUARD_4, "guard 4 acted", 1) \
    X(GUARD_5, "guard 5 acted", 1) \
    X(GUARD_6, "guard 6 acted", 0) \
    X(GUARD_7, "guard 7 acted", 1) \
    X(GUARD_8, "guard 8 acted", 1) \
    X(GUARD_9, "guard 9 acted", 1) \
    X(GUARD_10, "guard 10 acted", 0) \
    X(MIXED_WORLDS, "runs that began with nodes of an old build", 1) \
    X(UPGRADES, "nodes upgraded", 1) \
    X(UPGRADES_LEADER, "of these while they led", 1) \
    X(ROLLED_BACK, "nodes that became of the old build again", 1) \
    X(REBUILT_MIXED, "states replaced by a copy while there were nodes of both builds", 1) \
    X(RAISED, "machines raised to a newer version of the rules", 1) \
    X(FEATURE_WORLDS, "runs with exchanges and queues with options", 1) \
    X(LITTLE_WORLDS, "of these with entries that do little of what may take several", 1) \
    X(F_BEHIND, "entries that left something to the next one", 1) \
    X(F_LATE_DEAD, "dead letters that came with a later entry", 1) \
    X(F_LATE_ENDED, "deliveries that went back after the entry in which their holder ended", 1) \
    X(F_LATE_DUE, "messages that were due, and came with a later entry", 1) \
    X(F_LATE_RESOLVED, "prepared messages that were committed, and came with a later entry", 1) \
    X(F_NOT_COUNTED, "deliveries that went back without being counted", 1) \
    X(F_DRAINED, "consumers that were given nothing more, and settled what they held", 1) \
    X(F_COMMANDS, "commands of actors", 1) \
    X(F_MOVED, "actors that went on at another node", 1) \
    X(F_RESENT, "publishes sent again in another session", 1) \
    X(F_MESSAGES, "messages sent by actors", 1) \
    X(F_TAKEN, "messages taken by entries", 1) \
    X(F_ARRIVED, "messages that came into queues", 1) \
    X(F_DELIVERED, "deliveries to actors", 1) \
    X(F_ACCEPTED, "messages settled by their holders", 1) \
    X(F_STALE, "settlements of actors found to be stale", 1) \
    X(F_REPEATED, "sequences found to be repeats", 1) \
    X(F_OPENED, "producers' names taken from others", 1) \
    X(F_FENCED, "publishes fenced off", 1) \
    X(F_FULL, "publishes refused by full queues", 1) \
    X(F_IDS_SEEN, "messages kept out because of their ids", 1) \
    X(F_DELAYED, "messages delayed", 1) \
    X(F_DUE, "delayed messages that came", 1) \
    X(F_PREPARED, "messages prepared", 1) \
    X(F_COMMITTED, "prepared messages committed", 1) \
    X(F_ROLLED_BACK, "prepared messages rolled back", 1) \
    X(F_DEADLINE, "prepared messages committed at their deadline", 1) \
    X(F_TRANSACT, "transactions", 1) \
    X(F_TRANSACT_REFUSED, "transactions refused", 1) \
    X(F_EXPIRED, "messages expired and dropped", 1) \
    X(F_DROPPED, "messages dropped by a limit", 1) \
    X(F_DEAD_REJECTED, "dead letters: rejected", 1) \
    X(F_DEAD_EXPIRED, "dead letters: expired", 1) \
    X(F_DEAD_MAXLEN, "dead letters: the queue was full", 1) \
    X(F_DEAD_LIMIT, "dead letters: delivered too often", 1) \
    X(F_RELEASED, "deliveries released by actors", 1) \
    X(F_WAITED, "messages that waited to be delivered again", 1) \
    X(F_LOCK_ENDED, "deliveries whose lock ended", 1) \
    X(F_EXTENDED, "locks extended", 1) \
    X(F_FETCHED, "messages fetched", 1) \
    X(F_FETCHED_MORE, "messages fetched by a consumer that was there", 1) \
    X(F_ORDER_KEPT, "publishes in order kept out behind one that failed", 1) \
    X(F_SETTLED_GIVEN, "messages settled as they were delivered", 1) \
    X(F_PRIORITIES, "deliveries of a priority below the highest", 1) \
    X(F_PARKED, "messages of a group that waited for another", 1) \
    X(F_ACTIVE, "changes of a single active consumer", 1) \
    X(R_QUEUES, "queues made by rovers", 1) \
    X(R_DELIVERED, "deliveries to rovers", 1) \
    X(R_CHANGED, "changes of a queue", 1) \
    X(R_PAUSED, "moments at which a paused queue kept messages back", 1) \
    X(R_DROPPED, "messages dropped by a limit on bytes", 1) \
    X(R_LIMIT, "commands refused by a limit of a virtual host", 1) \
    X(R_EXCLUSIVE, "deliveries of exclusive queues", 1) \
    X(R_EXCLUSIVE_REFUSED, "commands refused by exclusive queues and consumers", 1) \
    X(R_ALONE, "exclusive consumers", 1) \
    X(R_RANKED, "deliveries to a consumer of a higher rank than one that waited", 1) \
    X(R_ALL_STALE, "settlements of all or nothing refused", 1) \
    X(R_UNROUTED, "mandatory messages that reached no queue", 1) \
    X(R_EACH_REFUSED, "publishes of which some messages were refused", 1) \
    X(R_REDRIVEN, "dead letters moved back", 1) \
    X(R_REPLAYED, "settled messages replayed", 1) \
    X(R_ASKED, "questions about prepared messages", 1) \
    X(R_EXCHANGES_CHANGED, "changes of an exchange", 1) \
    X(R_EXCHANGES_KEPT, "protected exchanges that were to be deleted", 1) \
    X(R_LIMITS_SET, "limits of a virtual host or a user set anew", 1) \
    X(R_LIMITED_LESS, "moments at which there was more than a limit set since", 1) \
    X(R_HOSTS, "virtual hosts made and deleted", 1) \
    X(EVENTS, "events", 1) \
    X(VIRTUAL_MS, "virtual milliseconds", 1)
/* clang-format on */

enum sim_stat {
#define X(name, text, required) SIM_STAT_##name,
    SIM_STAT_LIST(X)
#undef X
        SIM_STAT_COUNT
};

struct sim_stats {
    uint64_t counts[SIM_STAT_COUNT];
};

/* All runs' counts, kept for medians. */
struct sim_stats_table {
    struct sim_stats *runs;
    size_t len;
    size_t cap;
};

void sim_stats_table_add(struct sim_stats_table *table, const struct sim_stats *stats);
/* Prints minimum, median, maximum and sum of each count. */
void sim_stats_table_print(const struct sim_stats_table *table, uint64_t took_us);
/* Prints the sums, one a line, for ops/sim to add up: "coverage REQUIRED SUM TEXT". `took_us`: of real time. */
void sim_stats_table_coverage(const struct sim_stats_table *table, uint64_t took_us);
/* How many of the required counts are 0 over all runs; names them. */
unsigned sim_stats_table_missing(const struct sim_stats_table *table);
void sim_stats_table_done(struct sim_stats_table *table);

#endif
