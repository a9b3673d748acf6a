/* What happened in a run, counted: so that a quiet simulator is noticed. */

#ifndef HOLDFAST_CHAOS_SIM_STATS_H
#define HOLDFAST_CHAOS_SIM_STATS_H

#include <stddef.h>
#include <stdint.h>

/* X(name, text) */
#define SIM_STAT_LIST(X)                                                                                               \
    X(OPS, "client operations")                                                                                        \
    X(MESSAGES, "messages published")                                                                                  \
    X(CONFIRMED, "messages confirmed")                                                                                 \
    X(DELIVERED, "deliveries")                                                                                         \
    X(REDELIVERED, "deliveries of a message that had been delivered")                                                  \
    X(ACCEPTED, "messages accepted, confirmed")                                                                        \
    X(UNKNOWN, "commands with unknown outcome")                                                                        \
    X(REPEATED, "messages found to be repeats")                                                                        \
    X(STALE, "settlements found to be stale")                                                                          \
    X(EXPIRED, "sessions lost")                                                                                        \
    X(ATTACHED, "attachments")                                                                                         \
    X(LEADERS, "leader changes")                                                                                       \
    X(CRASHES, "crashes")                                                                                              \
    X(DIRTY_CRASHES, "crashes that lost unsynced bytes")                                                               \
    X(TORN, "sectors torn in crashes")                                                                                 \
    X(RESTARTS, "restarts")                                                                                            \
    X(REPLAYED, "entries replayed after restarts")                                                                     \
    X(CHECKPOINTS, "checkpoints")                                                                                      \
    X(ENTRIES_DROPPED, "log entries dropped behind checkpoints")                                                       \
    X(PAUSES, "pauses of a node")                                                                                      \
    X(SLOW_DISKS, "periods of a slow disk")                                                                            \
    X(PARTITIONS, "partitions")                                                                                        \
    X(LEADERS_CUT_OFF, "leaders cut off")                                                                              \
    X(TRANSFERS, "leadership handed over")                                                                             \
    X(PEER_FRAMES, "frames between nodes")                                                                             \
    X(PEER_LOST, "frames between nodes lost")                                                                          \
    X(PEER_REPEATED, "frames between nodes repeated")                                                                  \
    X(PEER_REORDERED, "frames between nodes out of order")                                                             \
    X(PEER_BREAKS, "connections between nodes broken")                                                                 \
    X(CLIENT_BREAKS, "connections of clients broken")                                                                  \
    X(CLIENTS_CUT_OFF, "clients cut off for long")                                                                     \
    X(CLIENT_CRASHES, "clients started anew")                                                                          \
    X(CONGESTIONS, "connections congested")                                                                            \
    X(CLOCK_JUMPS, "jumps of a wall clock")                                                                            \
    X(DIGESTS, "digests of the whole state compared")                                                                  \
    X(RUNNING_DIGESTS, "running digests compared")                                                                     \
    X(GUARD_1, "guard 1 acted")                                                                                        \
    X(GUARD_2, "guard 2 acted")                                                                                        \
    X(GUARD_3, "guard 3 acted")                                                                                        \
    X(GUARD_4, "guard 4 acted")                                                                                        \
    X(GUARD_5, "guard 5 acted")                                                                                        \
    X(GUARD_6, "guard 6 acted")                                                                                        \
    X(GUARD_7, "guard 7 acted")                                                                                        \
    X(GUARD_8, "guard 8 acted")                                                                                        \
    X(GUARD_9, "guard 9 acted")                                                                                        \
    X(GUARD_10, "guard 10 acted")                                                                                      \
    X(EVENTS, "events")                                                                                                \
    X(VIRTUAL_MS, "virtual milliseconds")

enum sim_stat {
#define X(name, text) SIM_STAT_##name,
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
void sim_stats_table_print(const struct sim_stats_table *table);
void sim_stats_table_done(struct sim_stats_table *table);

#endif
