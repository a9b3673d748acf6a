/* Fit for how long, asked when, and how long it led. */

#include "node/core/preference.h"

#include "proto/base/check.h"

static uint64_t doubled(uint64_t pause_ms)
{
    uint64_t twice = pause_ms * 2;
    return twice < PREFERENCE_PAUSE_MS_MAX ? twice : PREFERENCE_PAUSE_MS_MAX;
}

void preference_leads(struct preference *preference, uint64_t node, bool preferred, uint64_t now_ms)
{
    if (preference->led_by == node) {
        return;
    }
    if (preference->led_by != 0) {
        bool soon = now_ms - preference->led_since_ms < PREFERENCE_PAUSE_MS_MAX;
        bool first = preference->pause_ms == 0 || !soon;
        preference->pause_ms = first ? PREFERENCE_PAUSE_MS : doubled(preference->pause_ms);
        preference->not_before_ms = now_ms + preference->pause_ms;
    }
    preference->led_by = preferred ? node : 0;
    preference->led_since_ms = now_ms;
}

/* Since when a candidate was fit as of the last look; UINT64_MAX: it was not. */
static uint64_t fit_since(const struct preference *preference, uint64_t node)
{
    for (unsigned i = 0; i < preference->len; i++) {
        if (preference->candidates[i].node == node && preference->candidates[i].fit) {
            return preference->candidates[i].fit_since_ms;
        }
    }
    return UINT64_MAX;
}

uint64_t preference_look(struct preference *preference, const struct preference_candidate *candidates, unsigned len,
                         uint64_t now_ms)
{
    struct preference_candidate seen[MEMBERS_MAX];
    uint64_t best = 0;
    CHECK(len <= MEMBERS_MAX);
    if (now_ms - preference->looked_ms >= PREFERENCE_GAP_MS) {
        preference->len = 0;
    }
    preference->looked_ms = now_ms;
    for (unsigned i = 0; i < len; i++) {
        uint64_t since_ms = fit_since(preference, candidates[i].node);
        seen[i] = candidates[i];
        seen[i].fit_since_ms = since_ms < now_ms ? since_ms : now_ms;
        if (best == 0 && seen[i].fit && now_ms - seen[i].fit_since_ms >= PREFERENCE_FIT_MS) {
            best = seen[i].node;
        }
    }
    for (unsigned i = 0; i < len; i++) {
        preference->candidates[i] = seen[i];
    }
    preference->len = len;
    if (best == 0 || now_ms < preference->not_before_ms) {
        return 0;
    }
    preference->not_before_ms = now_ms + PREFERENCE_PAUSE_MS;
    return best;
}
