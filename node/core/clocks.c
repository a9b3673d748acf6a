/* A table of samples, and the middle of them. */

#include "node/core/clocks.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"

/* It is far no longer below this part of the limit. */
#define NEAR_PART(limit) ((limit) / 4 * 3)

void clocks_init(struct clocks *clocks, unsigned limit_ms)
{
    *clocks = (struct clocks){.limit_ms = limit_ms};
}

static const struct clocks_node *clocks_find(const struct clocks *clocks, uint64_t id)
{
    for (unsigned i = 0; i < clocks->len; i++) {
        if (clocks->nodes[i].id == id) {
            return &clocks->nodes[i];
        }
    }
    return NULL;
}

/* The record of a node; in a full table it takes the place of the one that has been silent for longest. */
static struct clocks_node *clocks_get(struct clocks *clocks, uint64_t id)
{
    struct clocks_node *oldest = &clocks->nodes[0];
    for (unsigned i = 0; i < clocks->len; i++) {
        struct clocks_node *node = &clocks->nodes[i];
        if (node->id == id) {
            return node;
        }
        oldest = node->heard_ms < oldest->heard_ms ? node : oldest;
    }
    struct clocks_node *made = clocks->len < CLOCKS_NODES_MAX ? &clocks->nodes[clocks->len++] : oldest;
    *made = (struct clocks_node){.id = id};
    return made;
}

int clocks_heard(struct clocks *clocks, uint64_t id, uint64_t wall_ms, const char *zone, bool preferred,
                 uint64_t now_ms)
{
    if (wall_ms >= CLOCKS_WALL_MS_MAX || (zone[0] != '\0' && !zone_name_valid(zone))) {
        return ERR_INVALID;
    }
    struct clocks_node *node = clocks_get(clocks, id);
    node->samples[node->samples_next] =
        (struct clocks_sample){.base_ms = (int64_t)wall_ms - (int64_t)now_ms, .heard_ms = now_ms};
    node->samples_next = (node->samples_next + 1) % CLOCKS_SAMPLES;
    node->samples_len += node->samples_len < CLOCKS_SAMPLES;
    node->heard_ms = now_ms;
    node->preferred = preferred;
    (void)snprintf(node->zone, sizeof node->zone, "%s", zone);
    return 0;
}

/* How far the node's clock is ahead of ours, which shows `wall_ms`. */
static bool node_ahead(const struct clocks_node *node, uint64_t wall_ms, uint64_t now_ms, int64_t *ret_ahead_ms)
{
    bool any = false;
    int64_t base_ms = 0;
    for (unsigned i = 0; i < node->samples_len; i++) {
        const struct clocks_sample *sample = &node->samples[i];
        if (now_ms < sample->heard_ms + CLOCKS_FRESH_MS && (!any || sample->base_ms > base_ms)) {
            any = true;
            base_ms = sample->base_ms;
        }
    }
    if (any) {
        *ret_ahead_ms = base_ms + (int64_t)now_ms - (int64_t)wall_ms;
    }
    return any;
}

/* At the last look. */
static bool clocks_ahead(const struct clocks *clocks, const struct clocks_node *node, int64_t *ret_ahead_ms)
{
    return node_ahead(node, clocks->wall_ms, clocks->now_ms, ret_ahead_ms);
}

static void sort(int64_t *values, unsigned len)
{
    for (unsigned i = 1; i < len; i++) {
        int64_t value = values[i];
        unsigned at = i;
        for (; at > 0 && values[at - 1] > value; at--) {
            values[at] = values[at - 1];
        }
        values[at] = value;
    }
}

static int64_t distance(int64_t ms)
{
    return ms < 0 ? -ms : ms;
}

/* Of sorted clocks: the earliest and the latest that belong to some majority whose clocks are within the limit of one another. */
static bool agreeing(const int64_t *ahead, unsigned len, unsigned majority, int64_t limit_ms, int64_t *ret_early_ms,
                     int64_t *ret_late_ms)
{
    bool any = false;
    for (unsigned first = 0; first + majority <= len; first++) {
        unsigned last = first;
        while (last + 1 < len && ahead[last + 1] - ahead[first] <= limit_ms) {
            last++;
        }
        if (last - first + 1 >= majority) {
            *ret_early_ms = any ? *ret_early_ms : ahead[first];
            *ret_late_ms = ahead[last];
            any = true;
        }
    }
    return any;
}

/* The clock in the middle, as ahead of ours. */
static void clocks_compare(struct clocks *clocks, unsigned members)
{
    int64_t ahead[CLOCKS_NODES_MAX + 1] = {0}; /* The first is ours. */
    unsigned len = 1;
    for (unsigned i = 0; i < clocks->len; i++) {
        len += clocks_ahead(clocks, &clocks->nodes[i], &ahead[len]);
    }
    clocks->known = len > members / 2;
    clocks->off_ms = 0;
    clocks->apart_ms = 0;
    if (clocks->known) {
        int64_t early_ms;
        int64_t late_ms;
        sort(ahead, len);
        if (!agreeing(ahead, len, members / 2 + 1, clocks->limit_ms, &early_ms, &late_ms)) {
            clocks->apart_ms = ahead[len - 1] - ahead[0];
        }
        int64_t low = ahead[(len - 1) / 2];
        int64_t high = ahead[len / 2];
        clocks->off_ms = distance(low) < distance(high) ? -low : -high;
    }
}

/* It has to stay so for a while, either way. */
static void clocks_judge(struct clocks *clocks)
{
    int64_t limit_ms = clocks->far ? NEAR_PART(clocks->limit_ms) : clocks->limit_ms;
    bool far = clocks->known && distance(clocks->off_ms) > limit_ms;
    if (far == clocks->far) {
        clocks->far_since_ms = 0;
    } else if (clocks->far_since_ms == 0) {
        clocks->far_since_ms = clocks->now_ms + 1; /* Not 0. */
    } else if (clocks->now_ms + 1 >= clocks->far_since_ms + CLOCKS_PATIENCE_MS) {
        clocks->far = far;
        clocks->far_since_ms = 0;
    }
}

int64_t clocks_look(struct clocks *clocks, unsigned members, uint64_t wall_ms, uint64_t now_ms)
{
    wall_ms = wall_ms < CLOCKS_WALL_MS_MAX ? wall_ms : CLOCKS_WALL_MS_MAX;
    int64_t leap_ms = ((int64_t)wall_ms - (int64_t)clocks->wall_ms) - ((int64_t)now_ms - (int64_t)clocks->now_ms);
    bool leapt = clocks->begun && clocks->limit_ms != 0 && distance(leap_ms) > clocks->limit_ms;
    clocks->begun = true;
    clocks->wall_ms = wall_ms;
    clocks->now_ms = now_ms;
    if (clocks->limit_ms != 0) {
        clocks_compare(clocks, members);
        clocks_judge(clocks);
    }
    return leapt ? leap_ms : 0;
}

bool clocks_known(const struct clocks *clocks)
{
    return clocks->known;
}

int64_t clocks_off_ms(const struct clocks *clocks)
{
    return clocks->off_ms;
}

bool clocks_far(const struct clocks *clocks)
{
    return clocks->far;
}

bool clocks_far_now(const struct clocks *clocks)
{
    return clocks->far && distance(clocks->off_ms) > NEAR_PART(clocks->limit_ms);
}

bool clocks_right(const struct clocks *clocks, uint64_t id)
{
    const struct clocks_node *node = clocks_find(clocks, id);
    int64_t ahead_ms;
    if (clocks->limit_ms == 0) {
        return true;
    }
    return node != NULL && clocks_ahead(clocks, node, &ahead_ms) &&
           distance(ahead_ms + clocks->off_ms) <= clocks->limit_ms;
}

/* How many clocks are within the limit of one another, at most. */
static unsigned agreeing_most(const int64_t *ahead, unsigned len, int64_t limit_ms)
{
    unsigned most = 0;
    for (unsigned first = 0; first < len; first++) {
        unsigned count = 1;
        while (first + count < len && ahead[first + count] - ahead[first] <= limit_ms) {
            count++;
        }
        most = count > most ? count : most;
    }
    return most;
}

enum clocks_agreement clocks_agree(const struct clocks *clocks, const uint64_t *others, unsigned others_len,
                                   uint64_t wall_ms, uint64_t now_ms, uint64_t *ret_earliest_ms,
                                   uint64_t *ret_latest_ms)
{
    int64_t ahead[CLOCKS_NODES_MAX + 1] = {0}; /* The first is ours. */
    unsigned len = 1;
    unsigned majority = (others_len + 1) / 2 + 1;
    int64_t early_ms = 0;
    int64_t late_ms = 0;
    CHECK(others_len <= CLOCKS_NODES_MAX);
    if (wall_ms >= CLOCKS_WALL_MS_MAX || (clocks->limit_ms == 0 && others_len > 0)) {
        return CLOCKS_DIFFER;
    }
    for (unsigned i = 0; i < others_len; i++) {
        const struct clocks_node *node = clocks_find(clocks, others[i]);
        len += node != NULL && node_ahead(node, wall_ms, now_ms, &ahead[len]);
    }
    sort(ahead, len);
    if (!agreeing(ahead, len, majority, clocks->limit_ms, &early_ms, &late_ms)) {
        unsigned unknown = others_len + 1 - len;
        return agreeing_most(ahead, len, clocks->limit_ms) + unknown >= majority ? CLOCKS_UNKNOWN : CLOCKS_DIFFER;
    }
    *ret_earliest_ms = (uint64_t)((int64_t)wall_ms + early_ms);
    *ret_latest_ms = (uint64_t)((int64_t)wall_ms + late_ms);
    return CLOCKS_AGREE;
}

void clocks_span_text(int64_t span_ms, char ret_text[CLOCKS_TEXT_LEN])
{
    static const struct {
        double ms;
        const char *name;
    } units[] = {{86400e3, "days"}, {3600e3, "h"}, {60e3, "min"}, {1e3, "s"}};
    double span = (double)distance(span_ms);
    size_t i = 0;
    while (i + 1 < ARRAY_LEN(units) && span < 2 * units[i].ms) {
        i++;
    }
    (void)snprintf(ret_text, CLOCKS_TEXT_LEN, "%.1f %s", span / units[i].ms, units[i].name);
}

void clocks_text(const struct clocks *clocks, char ret_text[CLOCKS_TEXT_LEN])
{
    char span[CLOCKS_TEXT_LEN];
    ret_text[0] = '\0';
    if (clocks->far && !clocks_far_now(clocks)) {
        (void)snprintf(ret_text, CLOCKS_TEXT_LEN, "the wall clock was far from the majority's until a moment ago");
    } else if (clocks->far) {
        clocks_span_text(clocks->off_ms, span);
        (void)snprintf(ret_text, CLOCKS_TEXT_LEN, "the wall clock is %.32s %s the majority's", span,
                       clocks->off_ms > 0 ? "ahead of" : "behind");
    } else if (clocks->apart_ms != 0) {
        clocks_span_text(clocks->apart_ms, span);
        (void)snprintf(ret_text, CLOCKS_TEXT_LEN, "the wall clocks that are known are %.32s apart: no majority agrees",
                       span);
    }
}

const char *clocks_zone(const struct clocks *clocks, uint64_t id)
{
    const struct clocks_node *node = clocks_find(clocks, id);
    return node == NULL ? "" : node->zone;
}

bool clocks_preferred(const struct clocks *clocks, uint64_t id)
{
    const struct clocks_node *node = clocks_find(clocks, id);
    return node != NULL && node->preferred;
}
