/* Where log time goes on when a leadership begins, and the marks by which that is known (time_mark.h). */

#include "node/core/gateway.h"
#include "proto/base/check.h"
#include "proto/base/fault.h"

/* Log time that lags by less is caught up by leaning towards the wall clock (log_time.h). */
#define LEAP_MS_MIN 2000u

/* So long a new leader waits for the others' clocks. They are told at once when a connection begins. */
#define CLOCKS_WAIT_MS 1000u

void gateway_time_init(struct gateway_core *core)
{
    if (core->options.dir != NULL) {
        time_keeper_open(&core->keeper, core->options.disk, core->journal, core->options.dir, &core->mark);
    }
}

uint64_t gateway_log_time_ms(const struct gateway_core *core)
{
    struct log_time time = core->time;
    return log_time_stamp(&time, gateway_now_ms(core), core->clock->wall_ms(core->clock));
}

uint64_t gateway_log_time_known_ms(const struct gateway_core *core)
{
    uint64_t last_ms = machine_time_ms(core->machine);
    if (core->serving) {
        return gateway_log_time_ms(core);
    }
    return last_ms == 0 ? 0 : last_ms + (gateway_now_ms(core) - core->applied_ms);
}

/* What the voters' wall clocks say. core->status is up to date. */
static enum clocks_agreement time_agreement(const struct gateway_core *core, uint64_t *ret_earliest_ms,
                                            uint64_t *ret_latest_ms)
{
    uint64_t others[MEMBERS_MAX];
    unsigned len = 0;
    if (fault_fires(FAULT_SKIP_CLOCKS_AGREE)) {
        *ret_earliest_ms = *ret_latest_ms = core->clock->wall_ms(core->clock);
        return CLOCKS_AGREE;
    }
    for (unsigned i = 0; i < core->status.members_len && len < MEMBERS_MAX; i++) {
        const struct driver_status_member *member = &core->status.members[i];
        if (member->voter && member->id != core->node) {
            others[len++] = member->id;
        }
    }
    return clocks_agree(&core->clocks, others, len, core->clock->wall_ms(core->clock), gateway_now_ms(core),
                        ret_earliest_ms, ret_latest_ms);
}

/* ---- A leadership begins ---- */

/* By how much log time would have gone on further than is known, if the wall clocks show this. */
static uint64_t time_lag_ms(const struct gateway_core *core, uint64_t known_ms, uint64_t wall_ms)
{
    uint64_t now_ms = time_mark_now(&core->mark, core->term, core->entry_term, machine_time_ms(core->machine), wall_ms);
    bool lags = now_ms > known_ms + LEAP_MS_MIN && !fault_fires(FAULT_SKIP_TIME_LEAP);
    return lags ? now_ms - known_ms : 0;
}

/* Whether the clocks of others, which are not known yet, may say that log time lags. Without a mark theirs come with them. */
static bool time_waits(struct gateway_core *core, uint64_t known_ms)
{
    uint64_t now_ms = gateway_now_ms(core);
    bool marked = core->mark.term != 0 && core->mark.term >= core->entry_term;
    if (marked && time_lag_ms(core, known_ms, core->clock->wall_ms(core->clock)) == 0) {
        return false;
    }
    core->time_wait_ms = core->time_wait_ms != 0 ? core->time_wait_ms : now_ms + CLOCKS_WAIT_MS;
    return now_ms < core->time_wait_ms;
}

/* What is not known to have passed is caught up slowly. */
static void time_warn(const struct gateway_core *core, enum clocks_agreement agreement, uint64_t known_ms)
{
    uint64_t lag_ms = time_lag_ms(core, known_ms, core->clock->wall_ms(core->clock));
    if (lag_ms != 0) {
        char text[CLOCKS_TEXT_LEN];
        clocks_span_text((int64_t)lag_ms, text);
        journal_warning(core->journal, "clock",
                        "log time seems to lag by %s, and catches up slowly: the wall clocks of a majority %s", text,
                        agreement == CLOCKS_DIFFER ? "differ" : "are not known");
    }
}

bool gateway_time_begin(struct gateway_core *core)
{
    uint64_t known_ms = gateway_log_time_known_ms(core);
    uint64_t earliest_ms;
    uint64_t latest_ms;
    enum clocks_agreement agreement = time_agreement(core, &earliest_ms, &latest_ms);
    CHECK(!core->serving);
    if (known_ms != 0 && agreement == CLOCKS_UNKNOWN && time_waits(core, known_ms)) {
        return false;
    }
    uint64_t lag_ms = known_ms != 0 && agreement == CLOCKS_AGREE ? time_lag_ms(core, known_ms, earliest_ms) : 0;
    if (lag_ms != 0) {
        char text[CLOCKS_TEXT_LEN];
        clocks_span_text((int64_t)lag_ms, text);
        journal_warning(core->journal, "clock", "log time goes on %s later: nobody was there to count it", text);
    } else if (known_ms != 0 && agreement != CLOCKS_AGREE) {
        time_warn(core, agreement, known_ms);
    }
    log_time_start(&core->time, known_ms + lag_ms, gateway_now_ms(core), core->clock->wall_ms(core->clock));
    return true;
}

uint64_t gateway_time_deadline_ms(const struct gateway_core *core)
{
    bool waits = core->leading && !core->serving && core->time_wait_ms > gateway_now_ms(core);
    return waits ? core->time_wait_ms : UINT64_MAX;
}

/* ---- Marks ---- */

/* As leader. */
static void time_mark_make(struct gateway_core *core)
{
    uint64_t earliest_ms;
    uint64_t latest_ms;
    if (time_agreement(core, &earliest_ms, &latest_ms) == CLOCKS_AGREE) {
        core->mark = (struct time_mark){.term = core->term, .log_ms = gateway_log_time_ms(core), .wall_ms = latest_ms};
    }
}

void gateway_time_turn(struct gateway_core *core, uint64_t now_ms)
{
    if (core->serving) {
        time_mark_make(core);
    }
    time_keeper_take(&core->keeper, &core->mark, machine_time_ms(core->machine), core->pressure.disk_low, now_ms);
}

int gateway_time_take(struct gateway_core *core, uint64_t from, const struct time_mark *mark)
{
    if (mark->term == 0) {
        return 0;
    }
    if (!time_mark_valid(mark)) {
        return ERR_BROKEN;
    }
    /* What the leader says of its own time counts, whatever others have said. */
    bool leaders = !core->leading && from == core->leader && mark->term == core->term;
    if (!core->serving && (leaders || time_mark_newer(mark, &core->mark))) {
        core->mark = *mark;
    }
    return 0;
}
