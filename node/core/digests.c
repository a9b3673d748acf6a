/* Noting, and judging by the majority of the voters. */

#include "node/core/digests.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"

_Static_assert(DIGESTS_KEPT == 64, "a bit of a word stands for each");

/* ---- What is known ---- */

static void points_add(struct digest_points *points, struct digest_point point)
{
    points->items[points->next] = point;
    points->next = (points->next + 1) % DIGESTS_KEPT;
}

/* NULL when there is none. */
static struct digest_point *points_find(struct digest_points *points, uint64_t index)
{
    for (unsigned i = 0; i < DIGESTS_KEPT; i++) {
        if (points->items[i].index == index) {
            return &points->items[i];
        }
    }
    return NULL;
}

static void own_add(struct digests *digests)
{
    if (digests->applied_index > digests->own_last) {
        points_add(&digests->own,
                   (struct digest_point){.index = digests->applied_index, .running = digests->applied_running});
        digests->own_last = digests->applied_index;
    }
}

static void recent_add(struct digests *digests)
{
    digests->recent[digests->applied_index % DIGESTS_RECENT] =
        (struct digest_point){.index = digests->applied_index, .running = digests->applied_running};
}

void digests_init(struct digests *digests, uint64_t node, uint64_t applied_index, uint64_t running, uint64_t now_ms)
{
    *digests = (struct digests){
        .node = node, .applied_index = applied_index, .applied_running = running, .applied_ms = now_ms};
    if (applied_index > 0) {
        recent_add(digests);
    }
}

static void compare_with(struct digests_node *node, const struct digest_point *ours, uint64_t running)
{
    bool equal = ours->running == running;
    if (equal && ours->index > node->proven_at) {
        node->proven_at = ours->index;
        node->doubted_at = node->doubted_at <= ours->index ? 0 : node->doubted_at;
    }
    if (!equal && ours->index > node->proven_at) {
        node->doubted_at = ours->index;
    }
}

/* Its latest point, if it is one of our last ones. */
static void compare_latest(const struct digests *digests, struct digests_node *node)
{
    const struct digest_point *ours = &digests->recent[node->latest.index % DIGESTS_RECENT];
    if (node->latest.index != 0 && ours->index == node->latest.index) {
        compare_with(node, ours, node->latest.running);
        node->latest.index = 0;
    }
}

void digests_applied(struct digests *digests, uint64_t index, uint64_t running, uint64_t now_ms)
{
    CHECK(index > digests->applied_index);
    bool crosses = index / DIGESTS_EVERY != digests->applied_index / DIGESTS_EVERY;
    digests->applied_index = index;
    digests->applied_running = running;
    digests->applied_ms = now_ms;
    recent_add(digests);
    if (crosses) {
        own_add(digests);
    }
    for (unsigned i = 0; i < digests->others_len; i++) {
        compare_latest(digests, &digests->others[i]);
    }
}

void digests_note(struct digests *digests, uint64_t index, uint64_t running)
{
    digests->applied_index = index;
    digests->applied_running = running;
    own_add(digests);
}

void digests_note_idle(struct digests *digests, uint64_t now_ms)
{
    if (now_ms - digests->applied_ms >= DIGESTS_IDLE_MS) {
        own_add(digests);
    }
}

size_t digests_told(const struct digests *digests, struct digest_point *ret_points, size_t max)
{
    unsigned skip = max < DIGESTS_KEPT ? (unsigned)(DIGESTS_KEPT - max) : 0;
    size_t len = 0;
    for (unsigned i = skip; i < DIGESTS_KEPT; i++) {
        const struct digest_point *point = &digests->own.items[(digests->own.next + i) % DIGESTS_KEPT];
        if (point->index != 0) {
            ret_points[len++] = *point;
        }
    }
    return len;
}

static struct digests_node *other_find(struct digests *digests, uint64_t id)
{
    for (unsigned i = 0; i < digests->others_len; i++) {
        if (digests->others[i].id == id) {
            return &digests->others[i];
        }
    }
    return NULL;
}

/* NULL: not known, or not known any more. */
static const struct digest_point *known_of(struct digests *digests, uint64_t id, uint64_t index)
{
    if (id != digests->node) {
        struct digests_node *node = other_find(digests, id);
        return node == NULL ? NULL : points_find(&node->points, index);
    }
    const struct digest_point *recent = &digests->recent[index % DIGESTS_RECENT];
    return recent->index == index ? recent : points_find(&digests->own, index);
}

/* Its record, made when it is new. NULL: there is no place, or it is ourselves. */
static struct digests_node *other_get(struct digests *digests, uint64_t id)
{
    struct digests_node *node = other_find(digests, id);
    if (node == NULL && id != digests->node && digests->others_len < MEMBERS_MAX) {
        node = &digests->others[digests->others_len++];
        *node = (struct digests_node){.id = id};
    }
    return node;
}

void digests_heard(struct digests *digests, uint64_t id, uint64_t index, uint64_t running)
{
    struct digests_node *node = index == 0 ? NULL : other_get(digests, id);
    if (node == NULL) {
        return;
    }
    const struct digest_point *ours = known_of(digests, digests->node, index);
    if (ours != NULL) {
        compare_with(node, ours, running);
    }
    struct digest_point *known = points_find(&node->points, index);
    if (known != NULL && known->running == running) {
        return;
    }
    if (known != NULL) { /* It has been repaired since. */
        known->running = running;
        node->judged &= ~(UINT64_C(1) << (known - node->points.items));
        return;
    }
    node->judged &= ~(UINT64_C(1) << node->points.next);
    points_add(&node->points, (struct digest_point){.index = index, .running = running});
}

void digests_heard_latest(struct digests *digests, uint64_t id, uint64_t index, uint64_t running)
{
    struct digests_node *node = index == 0 ? NULL : other_get(digests, id);
    if (node != NULL) {
        node->latest = (struct digest_point){.index = index, .running = running};
        compare_latest(digests, node);
    }
}

static bool votes_among(const struct digests_member *members, unsigned members_len, uint64_t id)
{
    for (unsigned i = 0; i < members_len; i++) {
        if (members[i].id == id) {
            return members[i].voter;
        }
    }
    return false;
}

void digests_members(struct digests *digests, const struct digests_member *members, unsigned members_len)
{
    CHECK(members_len <= MEMBERS_MAX);
    for (unsigned i = 0; i < digests->others_len; i++) {
        struct digests_node *node = &digests->others[i];
        if (votes_among(digests->members, digests->members_len, node->id) &&
            !votes_among(members, members_len, node->id)) {
            uint64_t proven_at = node->proven_at; /* That stays true. */
            *node = (struct digests_node){.id = node->id, .proven_at = proven_at};
        }
    }
    memcpy(digests->members, members, members_len * sizeof *members);
    digests->members_len = members_len;
}

bool digests_proven(const struct digests *digests, const struct digests_member *members, unsigned members_len,
                    uint64_t index)
{
    unsigned voters = 0;
    unsigned votes = 0;
    for (unsigned i = 0; i < members_len; i++) {
        uint64_t proven_at = members[i].id == digests->node ? UINT64_MAX : 0;
        for (unsigned at = 0; at < digests->others_len && proven_at == 0; at++) {
            const struct digests_node *node = &digests->others[at];
            bool same = node->id == members[i].id && node->doubted_at == 0;
            proven_at = same ? node->proven_at : 0;
        }
        voters += members[i].voter;
        votes += members[i].voter && proven_at >= index;
    }
    return !digests_unsure(digests) && votes > voters / 2;
}

/* A doubt at an entry up to which a majority is known to have what we have is about the other's state, not about ours. */
bool digests_doubted(const struct digests *digests, const struct digests_member *members, unsigned members_len)
{
    for (unsigned i = 0; i < members_len; i++) {
        for (unsigned at = 0; at < digests->others_len; at++) {
            const struct digests_node *node = &digests->others[at];
            if (members[i].voter && node->id == members[i].id && node->doubted_at != 0 &&
                !digests_proven(digests, members, members_len, node->doubted_at)) {
                return true;
            }
        }
    }
    return false;
}

/* ---- Judging ---- */

struct membership {
    const struct digests_member *items;
    unsigned len;
    unsigned voters;
};

static unsigned votes_for(struct digests *digests, const struct membership *members, uint64_t index, uint64_t running)
{
    unsigned votes = 0;
    for (unsigned i = 0; i < members->len; i++) {
        const struct digest_point *point =
            members->items[i].voter ? known_of(digests, members->items[i].id, index) : NULL;
        votes += point != NULL && point->running == running;
    }
    return votes;
}

/* What more than half of all voters have there; NULL when that is not known. */
static const struct digest_point *majority_at(struct digests *digests, const struct membership *members, uint64_t index)
{
    for (unsigned i = 0; i < members->len; i++) {
        const struct digest_point *point =
            members->items[i].voter ? known_of(digests, members->items[i].id, index) : NULL;
        if (point != NULL && votes_for(digests, members, index, point->running) > members->voters / 2) {
            return point;
        }
    }
    return NULL;
}

/* Where it has agreed later, a difference before says nothing: digests that differ once do so for ever. */
static void judge_other(struct digests_node *node, uint64_t index, bool equal)
{
    if (equal && index > node->equal_at) {
        node->equal_at = index;
        node->differs_at = node->differs_at > index ? node->differs_at : 0;
    } else if (!equal && index > node->equal_at && (node->differs_at == 0 || index < node->differs_at)) {
        node->differs_at = index;
    }
}

static void judge_point(struct digests *digests, const struct membership *members, struct digests_node *node,
                        unsigned at)
{
    const struct digest_point *point = &node->points.items[at];
    const struct digest_point *ours = known_of(digests, digests->node, point->index);
    const struct digest_point *right = ours == NULL ? NULL : majority_at(digests, members, point->index);
    if (right == NULL) {
        return;
    }
    node->judged |= UINT64_C(1) << at;
    if (right->running == ours->running) {
        digests->equal_at = point->index > digests->equal_at ? point->index : digests->equal_at;
        judge_other(node, point->index, point->running == ours->running);
    } else if (point->index > digests->equal_at && (digests->diverged_at == 0 || point->index < digests->diverged_at)) {
        digests->diverged_at = point->index;
    }
}

/* The first entry at which a voter has something else than we, and no majority has told since. 0: there is none. */
static uint64_t first_open(struct digests *digests, const struct membership *members)
{
    uint64_t first = 0;
    for (unsigned i = 0; i < digests->others_len; i++) {
        const struct digests_node *node = &digests->others[i];
        for (unsigned at = 0; at < DIGESTS_KEPT; at++) {
            const struct digest_point *point = &node->points.items[at];
            const struct digest_point *ours = known_of(digests, digests->node, point->index);
            bool open = point->index > digests->equal_at && (node->judged >> at & 1) == 0 && ours != NULL &&
                        ours->running != point->running;
            if (open && node->differs_at == 0 && votes_among(members->items, members->len, node->id) &&
                (first == 0 || point->index < first)) {
                first = point->index;
            }
        }
    }
    return first;
}

static void judge_open(struct digests *digests, const struct membership *members, uint64_t now_ms)
{
    uint64_t first = first_open(digests, members);
    if (first == 0) {
        digests->divided = false;
    } else if (digests->open_at == 0 || digests->open_at <= digests->equal_at) {
        digests->open_ms = now_ms;
    }
    digests->open_at = first;
    digests->divided = digests->divided || (first != 0 && now_ms - digests->open_ms >= DIGESTS_GRACE_MS);
}

static void forget_strangers(struct digests *digests, const struct membership *members)
{
    for (unsigned i = 0; i < digests->others_len;) {
        bool member = false;
        for (unsigned k = 0; k < members->len; k++) {
            member = member || members->items[k].id == digests->others[i].id;
        }
        if (member) {
            i++;
        } else {
            digests->others[i] = digests->others[--digests->others_len];
        }
    }
}

static void say(struct digests *digests)
{
    size_t len = 0;
    digests->text[0] = '\0';
    if (digests->diverged_at != 0) {
        (void)snprintf(digests->text, sizeof digests->text,
                       "the state differs from the majority's at entry %" PRIu64 " (last equal at %" PRIu64 ")",
                       digests->diverged_at, digests->equal_at);
        return;
    }
    if (digests->divided) {
        len = (size_t)snprintf(digests->text, sizeof digests->text,
                               "the replicas that are there differ at entry %" PRIu64 " (last equal at %" PRIu64
                               "), and none of them is a majority: nothing is served until one more tells who is right",
                               digests->open_at, digests->equal_at);
    }
    for (unsigned i = 0; i < digests->others_len && len < sizeof digests->text; i++) {
        const struct digests_node *node = &digests->others[i];
        if (node->differs_at != 0) {
            len += (size_t)snprintf(digests->text + len, sizeof digests->text - len,
                                    "%sthe state of node %" PRIu64 " differs from the majority's since entry %" PRIu64,
                                    len > 0 ? "; " : "", node->id, node->differs_at);
        }
    }
}

void digests_judge(struct digests *digests, const struct digests_member *members, unsigned members_len, uint64_t now_ms)
{
    struct membership membership = {.items = members, .len = members_len};
    for (unsigned i = 0; i < members_len; i++) {
        membership.voters += members[i].voter;
    }
    digests_members(digests, members, members_len);
    forget_strangers(digests, &membership);
    for (unsigned i = 0; i < digests->others_len; i++) {
        struct digests_node *node = &digests->others[i];
        for (unsigned at = 0; at < DIGESTS_KEPT; at++) {
            if (node->points.items[at].index != 0 && (node->judged >> at & 1) == 0) {
                judge_point(digests, &membership, node, at);
            }
        }
    }
    if (digests->diverged_at <= digests->equal_at) {
        digests->diverged_at = 0; /* What was noted there was damaged, not the state. */
    }
    judge_open(digests, &membership, now_ms);
    say(digests);
}
