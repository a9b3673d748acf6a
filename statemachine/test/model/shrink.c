/* Histories made short. */

#include "shrink.h"

struct shrinking {
    bool (*shows)(const void *arg, const struct history *history);
    const void *arg;
};

/* Leaves out `len` steps from `at` on, if the difference stays. */
static bool shrink_drop(const struct shrinking *shrinking, struct history *history, size_t at, size_t len)
{
    struct history shorter = {0};
    for (size_t i = 0; i < history->len; i++) {
        if (i < at || i >= at + len) {
            history_add(&shorter, &history->steps[i]);
        }
    }
    if (!shrinking->shows(shrinking->arg, &shorter)) {
        history_done(&shorter);
        return false;
    }
    history_done(history);
    *history = shorter;
    return true;
}

static bool shrink_steps(const struct shrinking *shrinking, struct history *history)
{
    bool any = false;
    for (size_t len = history->len / 2; len > 0; len /= 2) {
        for (size_t at = 0; at + len <= history->len;) {
            if (shrink_drop(shrinking, history, at, len)) {
                any = true;
            } else {
                at += len;
            }
        }
    }
    return any;
}

/* 0 is plainer than anything else, and a small number than a large one. */
static bool shrink_args(const struct shrinking *shrinking, struct history *history)
{
    bool any = false;
    for (size_t i = 0; i < history->len; i++) {
        for (unsigned arg = 0; arg < STEP_ARGS_MAX; arg++) {
            uint32_t *value = &history->steps[i].args[arg];
            uint32_t before = *value;
            for (uint32_t less = 0; less < before; less++) {
                *value = less;
                if (shrinking->shows(shrinking->arg, history)) {
                    any = true;
                    break;
                }
                *value = before;
            }
        }
    }
    return any;
}

void shrink(struct history *history, bool (*shows)(const void *arg, const struct history *history), const void *arg)
{
    struct shrinking shrinking = {.shows = shows, .arg = arg};
    while (shrink_steps(&shrinking, history) || shrink_args(&shrinking, history)) {
    }
}
