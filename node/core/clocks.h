/* Clocks: the wall clocks of the nodes, compared.
 *
 * Each node tells the others its wall clock every second. Kept is that clock less our monotonic clock, which does not change
 * as long as the other's wall clock runs evenly; a message that was late makes it smaller, never larger, so the largest of the
 * last few counts (the idea of NTP's clock filter, RFC 5905 §10). So neither a pause of this process nor a jump of its own wall
 * clock is taken for something that others did.
 *
 * Who is right is for the majority to say: the clock in the middle of those that are known, ours among them, when they are
 * more than half of all members'. When there are two in the middle, the one that is nearer to ours counts: a node is not
 * called wrong because of a tie. Nothing depends on wall clocks for safety; log time leans towards the leader's
 * (log_time.h), goes on by those of a majority after a time that nobody counted (time_mark.h), and leases and expiry follow log
 * time. */

#ifndef HOLDFAST_NODE_CORE_CLOCKS_H
#define HOLDFAST_NODE_CORE_CLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/core/zone.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"

/* Between two words about it, and after how long a node's last word is forgotten. */
#define CLOCKS_TELL_MS 1000u
#define CLOCKS_FRESH_MS 10000u

/* A clock must be off for so long before it is said to be: one message that waited for this process is no proof. */
#define CLOCKS_PATIENCE_MS 3000u

#define CLOCKS_SAMPLES 4u
#define CLOCKS_NODES_MAX (2 * MEMBERS_MAX)
#define CLOCKS_TEXT_LEN 128u

/* Wall clocks from here on are nonsense: some hundred thousand years from now. */
#define CLOCKS_WALL_MS_MAX (UINT64_C(1) << 53)

struct clocks_sample {
    int64_t base_ms; /* The node's wall clock less our monotonic one, at receipt. */
    uint64_t heard_ms;
};

struct clocks_node {
    uint64_t id;
    uint64_t heard_ms;
    struct clocks_sample samples[CLOCKS_SAMPLES];
    unsigned samples_len;
    unsigned samples_next;
    char zone[ZONE_LEN_MAX + 1]; /* Kept when its clock is forgotten, as the next. */
    bool preferred;
};

struct clocks {
    unsigned limit_ms; /* How far off is far; 0: clocks are not compared. */
    struct clocks_node nodes[CLOCKS_NODES_MAX];
    unsigned len;
    bool begun;
    uint64_t wall_ms; /* Ours when we last looked, */
    uint64_t now_ms;  /* and the monotonic clock. */
    bool known;       /* Whether a majority's clocks are known. */
    int64_t off_ms;   /* How far ours is ahead of the one in the middle. */
    int64_t apart_ms; /* How far apart those known are, when no majority of all agrees; 0: one does. */
    bool far;
    uint64_t far_since_ms; /* Since when `far` should be what it is not; 0: it is right. */
};

/* All times are of this node's clocks, in milliseconds; `now_ms` is the monotonic one. */

void clocks_init(struct clocks *clocks, unsigned limit_ms);

/* The node says what its wall clock shows, in which zone it is ("": not said), and whether it is preferred. ERR_INVALID: no
 * such time, or no such name; nothing is kept. */
int clocks_heard(struct clocks *clocks, uint64_t node, uint64_t wall_ms, const char *zone, bool preferred,
                 uint64_t now_ms) NODISCARD;

/* Compares, with that many members in all. Returns by how much our wall clock has leapt since the last call, if by more than
 * the limit; 0 otherwise. */
int64_t clocks_look(struct clocks *clocks, unsigned members, uint64_t wall_ms, uint64_t now_ms);

/* As of the last look: whether a majority's clocks are known, how far ours is ahead of it (negative: behind; 0 when not
 * known), and whether that is too far, and has been for a while. */
bool clocks_known(const struct clocks *clocks);
int64_t clocks_off_ms(const struct clocks *clocks);
bool clocks_far(const struct clocks *clocks);
/* And whether it still is: one that has been set right counts as far for a while. */
bool clocks_far_now(const struct clocks *clocks);

/* Whether another node's clock is known now, and not too far from the one in the middle. True when they are not compared. */
bool clocks_right(const struct clocks *clocks, uint64_t node);

enum clocks_agreement {
    CLOCKS_UNKNOWN, /* Those that are not known will tell. */
    CLOCKS_DIFFER,  /* Whatever they show; or clocks are not compared. */
    CLOCKS_AGREE,
};

/* Whether the wall clocks of a majority of the given nodes and this one agree: are within the limit of one another. If so, what the
 * earliest and the latest of them shows now; ours is not always among them. This node alone agrees with itself. Unlike the above this
 * is as of now, and without patience. At most CLOCKS_NODES_MAX others. */
enum clocks_agreement clocks_agree(const struct clocks *clocks, const uint64_t *others, unsigned others_len,
                                   uint64_t wall_ms, uint64_t now_ms, uint64_t *ret_earliest_ms,
                                   uint64_t *ret_latest_ms) NODISCARD;

/* "the wall clock is 31.2 s ahead of the majority's"; "" while it is not far. */
void clocks_text(const struct clocks *clocks, char ret_text[CLOCKS_TEXT_LEN]);

/* A time as people say it: "31.2 s", "1.5 h". */
void clocks_span_text(int64_t span_ms, char ret_text[CLOCKS_TEXT_LEN]);

/* What a node has said of itself; "" and false when nothing. */
const char *clocks_zone(const struct clocks *clocks, uint64_t node);
bool clocks_preferred(const struct clocks *clocks, uint64_t node);

#endif
