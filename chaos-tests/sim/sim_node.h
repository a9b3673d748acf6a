/* A node: a real shard on a simulated disk, clock and network, which can crash, pause and be started again. */

#ifndef HOLDFAST_CHAOS_SIM_NODE_H
#define HOLDFAST_CHAOS_SIM_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/driver.h"
#include "node/core/patient.h"
#include "node/core/shard.h"
#include "node/core/state_dir.h"
#include "proto/base/clock.h"
#include "proto/base/journal.h"
#include "sim_disk.h"
#include "sim_limits.h"
#include "sim_random.h"
#include "store_memory.h"

struct sim_event;
struct sim_world;

/* What a node's data were at some moment, for a disk that goes back to that. */
struct sim_node_memory {
    struct sim_disk *disk; /* NULL: nothing is remembered. */
    struct store_memory_disk *rows;
    uint64_t life; /* Of the node. */
};

struct sim_node {
    struct sim_world *world;
    unsigned index;
    uint64_t id;
    char address[32]; /* For clients. */
    struct clock clock;
    struct journal journal;
    struct sim_random random; /* What the node itself draws. */
    struct sim_random disk_random;
    struct sim_disk *disk;
    struct store_memory_disk *rows;
    struct shard *shard;               /* NULL: down, or */
    struct patient *patient;           /* its data are damaged, and it waits for a copy of another's. */
    char damage[256];                  /* That they are, in words; it is to be closed. */
    char copy[STATE_DIR_NAME_LEN_MAX]; /* The directory of one that is to take the state's place; "": none. */
    bool fresh;                        /* This life began with a copy. */
    uint64_t life;                     /* Counts starts: events of an earlier life are void. */
    bool turn_pending;
    uint64_t timer_us; /* Of the earliest timer event pending; UINT64_MAX: none. */
    uint64_t paused_until_us;
    uint64_t disk_mean_us;  /* How long a write and sync takes. */
    bool stalled;           /* The disk answers nothing, */
    unsigned unanswered;    /* and owes so many answers. */
    uint64_t stalls;        /* Counted, so that each ends by its own event. */
    uint64_t capacity;      /* Of the disk. */
    uint64_t strangers_len; /* Taken by others than the node. */
    uint64_t fills;
    uint64_t disk_free_min; /* Watermark; 0: none. */
    bool memory_short;
    unsigned presence_timeout_ms;
    unsigned isolation_timeout_ms;
    unsigned disk_stall_ms;
    bool struck;           /* Its data may not be what it wrote: see sim_damage.h, */
    unsigned struck_kinds; /* and how, a bit each. */
    bool must_notice;      /* When it starts: nothing hides from it that its data are damaged. */
    bool diverging;        /* The next publish that it applies goes wrong, */
    bool diverged;         /* or has: it serves no clients until it has a state of another's, */
    bool differs;          /* since that shows. */
    bool told_of_vote;     /* While it is repaired: that it is to have it again, */
    bool vote_forgotten;   /* and then that it has none: what it had noted of that is lost. */
    bool sync_fails;       /* The disk has refused to write, or will. */
    bool gone;             /* For good: its data were, or it was removed. */
    bool joins;            /* It is new, in a cluster that is there. */
    bool whole;            /* It has a state, and goes on from that. */
    bool leaving;          /* It is about to be removed, */
    bool removed;          /* and has heard of it. */
    bool damage_ordered;   /* Only because the operator wants it. */
    bool withdrawn;        /* A patient that is to come back with what it has. */
    bool repair_asked;     /* The operator has asked for a repair of it. */
    struct sim_node_memory memory;
    bool log_short; /* As last seen. */
    bool log_full;
    uint64_t disk_free_us; /* When the disk has done what it was given. */
    unsigned completions;  /* Completion events pending. */
    bool crash_when_dirty; /* At the next moment at which there is something to lose. */
    uint64_t down_us;      /* How long it then stays down. */
    int64_t drift_ppm;     /* Of its monotonic clock. */
    int64_t wall_offset_ms;
    struct sim_random clock_random; /* How wrong its clocks may be. */
    unsigned clock_skew_ms;         /* From when on it takes its own for wrong; 0: it does not look. */
    uint64_t checkpoint_len;
    uint64_t segment_len;
    uint64_t fill_len;
    unsigned window;
    uint64_t busy_since_us; /* To notice a node that wakes itself without end. */
    unsigned busy_turns;

    /* What it said before it crashed, to hold it to its word. */
    uint64_t said_term;
    uint64_t said_voted_for;
    uint64_t said_stored;
    uint64_t said_stored_term;
    uint64_t said_commit;      /* In this life. */
    uint64_t checked_applied;  /* Entries up to here have been compared with the others'. */
    uint64_t checkpoint_index; /* As last seen. */
    uint64_t log_first;
    uint64_t checked_match[SIM_NODES_MAX]; /* As leader: what it counts on, by member. */
    unsigned voters;                       /* In its membership, a bit each, as last seen. */
    uint64_t seen_term;
    uint64_t led_term; /* The last term that it was seen leading, */
    uint64_t led_from; /* and the last entry in its log when that began. */
};

/* Draws the node's properties and starts it. `joins`: it is new in a cluster that is there. */
void sim_node_init(struct sim_world *world, unsigned index, bool joins);
void sim_node_done(struct sim_node *node);
/* A frame on a connection for what is large. */
void sim_node_receive_bulk(struct sim_node *node, uint64_t from, bool asking, const struct frame *frame);

/* The connection for what it asks another node has ended, or could not be made; or it is there. */
void sim_node_bulk_changed(struct sim_node *node, uint64_t with, bool connected);

/* Whether its process runs. */
bool sim_node_up(const struct sim_node *node);
void sim_node_start(struct sim_node *node);
/* Loses memory and some of what was not synced; starts again after `down_us`. */
void sim_node_crash(struct sim_node *node, uint64_t down_us);
/* The same, always as when the power fails; or when the process ends, and nothing is lost. */
void sim_node_power_fails(struct sim_node *node, uint64_t down_us);
void sim_node_process_ends(struct sim_node *node, uint64_t down_us);
/* Its disk is of no use any more: it takes part no more. */
void sim_node_lost(struct sim_node *node);
/* It does not know what it has forgotten, and is told so: it has a copy made before it says anything. */
void sim_node_forgot(struct sim_node *node, const char *what);
/* All of its data are older than its last start, which its peers know: they tell it so before it says anything. */
void sim_node_stale(struct sim_node *node);
/* It ended its process in the middle of something, and is started again. */
void sim_node_ended_itself(struct sim_node *node, int err, const char *what);
/* Keeps what is durable now, or drops that. */
void sim_node_remember(struct sim_node *node);
void sim_node_forget_memory(struct sim_node *node);
/* A node that is up takes part in nothing until then. */
void sim_node_pause(struct sim_node *node, uint64_t until_us);

/* The wall clock jumps by so much; sometimes by a year more. */
void sim_node_clock_jumps(struct sim_node *node, int64_t by_ms);

/* The disk, for who fills it. */
struct sim_disk *sim_node_disk(struct sim_node *node);
/* The disk answers again, if it did not. */
void sim_node_unstall(struct sim_node *node);

/* Something came in: a turn of the loop is due. */
void sim_node_wake(struct sim_node *node);
/* A frame from another node. Borrows. */
void sim_node_receive(struct sim_node *node, uint64_t from, const struct frame *frame);
/* Whether events for it have to wait; pushes the event again for then. */
bool sim_node_defer(struct sim_node *node, struct sim_event *event);

#endif
