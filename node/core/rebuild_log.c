/* The driver, as a rebuild sees it. */

#include "node/core/rebuild_log.h"

static void log_stored(void *arg, uint64_t *ret_index, uint64_t *ret_term)
{
    struct driver_status status;
    driver_status(arg, &status);
    *ret_index = status.checkpoint_index;
    *ret_term = status.checkpoint_term;
}

static bool log_hold(void *arg, uint64_t index)
{
    struct driver_status status;
    driver_hold(arg, index);
    driver_status(arg, &status);
    return index == UINT64_MAX || status.log_first <= index + 1;
}

static uint64_t log_held_len(void *arg)
{
    return driver_held_bytes(arg);
}

static uint64_t log_match(void *arg, uint64_t node)
{
    struct driver_status status;
    driver_status(arg, &status);
    for (unsigned i = 0; status.role == DRIVER_LEADER && i < status.members_len; i++) {
        if (status.members[i].id == node) {
            return status.members[i].match_index;
        }
    }
    return 0;
}

struct rebuild_log rebuild_log_of(struct driver *driver)
{
    return (struct rebuild_log){
        .arg = driver, .stored = log_stored, .hold = log_hold, .held_len = log_held_len, .match = log_match};
}
