/* Preference: when a leader hands over to a node that its operator would have lead.
 *
 * That node must have been fit for a while: one that comes and goes is no leader. It is not asked more often than once a
 * minute. When it loses leadership soon after it got it, nobody gives it back for a while, and for twice as long each time,
 * up to ten minutes: each change of leadership costs the clients a moment. Every node watches who leads, so that all of them
 * know this, whoever leads next. */

#ifndef HOLDFAST_NODE_CORE_PREFERENCE_H
#define HOLDFAST_NODE_CORE_PREFERENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/limits.h"

#define PREFERENCE_FIT_MS 10000u
#define PREFERENCE_PAUSE_MS 60000u
#define PREFERENCE_PAUSE_MS_MAX 600000u

/* Who has not looked for so long has not been leading meanwhile, or was stopped: nothing is known of the time between. */
#define PREFERENCE_GAP_MS 5000u

struct preference_candidate {
    uint64_t node;
    bool fit;              /* Connected, voting, caught up, with room, its clock right. */
    uint64_t fit_since_ms; /* The module's own: since when. */
};

/* Zero-initialise. */
struct preference {
    struct preference_candidate candidates[MEMBERS_MAX];
    unsigned len;
    uint64_t looked_ms;
    uint64_t led_by; /* The preferred node that led last and has not lost leadership since; 0: none. */
    uint64_t led_since_ms;
    uint64_t pause_ms; /* The last one; 0: none yet. */
    uint64_t not_before_ms;
};

/* As any node, whenever it knows of a leader (`node` not 0): who it is, and whether it is preferred. */
void preference_leads(struct preference *preference, uint64_t node, bool preferred, uint64_t now_ms);

/* As a leader that is not preferred, every second or so: how the preferred nodes are, at most MEMBERS_MAX. Returns the one to
 * hand over to now; 0: none. It counts as asked. */
uint64_t preference_look(struct preference *preference, const struct preference_candidate *candidates, unsigned len,
                         uint64_t now_ms);

#endif
