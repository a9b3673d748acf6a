/* From a change of leadership to the proposal of what has gathered. */

#include "node/core/gateway.h"
#include "proto/base/fault.h"
#include "statemachine/machine_weight.h"

/* After an entry that the driver would not take, though it said that it was ready. */
#define PROPOSE_RETRY_MS 50u

/* What this leader had in hand is over. Our own commands are still among the outgoing; other nodes send theirs again. */
static void gateway_lost(struct gateway_core *core)
{
    batch_done(&core->batch);
    core->tick = false;
}

/* What was sent may be lost: it is sent again, to whoever leads now. */
static void gateway_begin_again(struct gateway_core *core)
{
    if (!fault_fires(FAULT_SKIP_RESEND)) {
        outgoing_rewind(&core->outgoing);
    }
    reads_lost(&core->reads);
    core->roster.due_ms = 0;
    core->retry_ms = 0;
}

void gateway_core_role_changed(struct gateway_core *core, bool leading, uint64_t leader, uint64_t term)
{
    bool same = core->leading == leading && core->leader == leader && core->term == term;
    if (core->leading && (!leading || core->term != term)) {
        gateway_lost(core);
    }
    if (!leading || core->term != term) {
        core->serving = false;
    }
    if (leading && (!core->leading || core->term != term)) {
        roster_begin(&core->roster);
        core->proposed_index = 0;
        core->hand_over_ms = 0;
        core->time_wait_ms = 0;
        core->raising = false;
    }
    if (!same) {
        gateway_begin_again(core);
        gateway_members_role_changed(core);
    }
    if (leader == 0 && core->leader != 0) {
        core->leaderless_since_ms = gateway_now_ms(core);
    }
    core->leading = leading;
    core->leader = leader;
    core->term = term;
    core->more = true;
}

void gateway_core_peer_changed(struct gateway_core *core, uint64_t node, bool connected)
{
    if (connected && node == core->leader && !core->leading) {
        gateway_begin_again(core);
        gateway_members_resend(core);
    }
    if (connected) {
        core->clocks_ms = 0; /* It is told our wall clock at once: as leader it may wait for it. */
    }
}

/* Everything of earlier terms has been applied: log time can go on from it, and it is known who is present. */
static bool gateway_begin(struct gateway_core *core)
{
    driver_status(core->driver, &core->status);
    if (!core->status.term_committed || core->status.applied_index < core->status.commit_index) {
        return false;
    }
    if (!gateway_time_begin(core)) {
        return false;
    }
    core->serving = true;
    core->roster.due_ms = 0; /* Nodes with clients are prompted from here on. */
    core->clocks_ms = 0;     /* And all are told of log time. */
    core->more = true;
    return true;
}

/* How many commands of a cut, from the nth to the one before `end`, are within a weight; adds what they weigh. */
static uint32_t gateway_weigh(const struct gateway_core *core, const struct batch_cut *cut, uint32_t nth, uint32_t end,
                              uint64_t most, uint64_t *weight)
{
    uint32_t count = 0;
    while (nth + count < end) {
        uint64_t more = machine_weigh(core->machine, batch_at(&core->batch, cut, nth + count), most - *weight);
        if (*weight + more > most) {
            break;
        }
        *weight += more;
        count++;
    }
    return count;
}

/* What of a cut makes an entry that does not keep the nodes busy for long; one command at least. */
static struct batch_cut gateway_cut_less(const struct gateway_core *core, const struct batch_cut *cut)
{
    uint64_t weight = 0;
    uint64_t most = cut->others > 0 ? ENTRY_WEIGHT_MAX / 2 : ENTRY_WEIGHT_MAX;
    uint32_t settlements = gateway_weigh(core, cut, 0, cut->settlements, most, &weight);
    settlements += settlements == 0 && cut->settlements > 0; /* Others may be behind it. */
    uint32_t others = gateway_weigh(core, cut, cut->settlements, batch_cut_commands(cut), ENTRY_WEIGHT_MAX, &weight);
    return batch_cut_less(&core->batch, settlements, settlements + others == 0 ? 1 : others);
}

/* What goes into the next entry. Mostly a rough look says that all that fits does. */
static struct batch_cut gateway_cut(const struct gateway_core *core)
{
    struct batch_cut cut = batch_cut(&core->batch);
    uint64_t weight = 0;
    for (uint32_t i = 0; i < batch_cut_commands(&cut) && weight <= ENTRY_WEIGHT_MAX; i++) {
        weight += machine_weigh_roughly(core->machine, batch_at(&core->batch, &cut, i));
    }
    return weight <= ENTRY_WEIGHT_MAX ? cut : gateway_cut_less(core, &cut);
}

/* 0, or why nothing was proposed: ERR_BUSY and the like. With a state that may be wrong commands wait. */
static int gateway_propose_one(struct gateway_core *core)
{
    struct batch_cut cut = gateway_digests_unsure(core) ? (struct batch_cut){.len = ENTRY_HEAD_LEN} : gateway_cut(core);
    uint64_t time_ms = log_time_stamp(&core->time, gateway_now_ms(core), core->clock->wall_ms(core->clock));
    struct slice entry;
    uint64_t index;
    uint64_t term;
    int err = batch_build(&core->batch, &cut, machine_version(core->machine), time_ms, &entry);
    if (err != 0) {
        return err;
    }
    err = driver_submit(core->driver, entry, &index, &term);
    if (err == 0) {
        batch_pop(&core->batch, &cut);
        core->proposed_index = index;
        core->tick = false;
    }
    slice_unref(&entry);
    return err;
}

/* Log time at which an entry is needed that may be empty. With a state that may be wrong only for what was asked for: the copy
 * with which it is mended may wait for one. */
static uint64_t gateway_tick_ms(const struct gateway_core *core)
{
    uint64_t due_ms = gateway_digests_unsure(core) ? UINT64_MAX : machine_due_ms(core->machine);
    return core->tick ? 0 : due_ms;
}

/* When something happens by itself it needs an entry, which needs no command to be in it. One at a time: whether something
 * is still due shows when it has been applied. */
static bool gateway_wants_tick(const struct gateway_core *core)
{
    uint64_t due_ms = gateway_tick_ms(core);
    return due_ms != UINT64_MAX && core->applied_index >= core->proposed_index && gateway_log_time_ms(core) >= due_ms;
}

void gateway_core_tick(struct gateway_core *core)
{
    core->tick = core->leading; /* When it can be proposed: gateway_tick_deadline_ms(). */
}

static bool gateway_may_propose(const struct gateway_core *core)
{
    return gateway_now_ms(core) >= core->propose_ms && driver_ready(core->driver);
}

static bool gateway_has_commands(const struct gateway_core *core)
{
    return core->batch.len > 0 && !gateway_digests_unsure(core);
}

bool gateway_core_propose(struct gateway_core *core)
{
    gateway_route(core);
    if (!core->leading || (!core->serving && !gateway_begin(core))) {
        return false;
    }
    bool proposed = false;
    while (gateway_may_propose(core) && (gateway_has_commands(core) || gateway_wants_tick(core))) {
        if (gateway_propose_one(core) != 0) {
            core->propose_ms = gateway_now_ms(core) + PROPOSE_RETRY_MS;
            break;
        }
        proposed = true;
        if (!core->leading) {
            break; /* Submitting may end a leadership. */
        }
    }
    return proposed;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* When the next tick is due. Log time may run a little slower than ours: then this comes early, and again. */
static uint64_t gateway_tick_deadline_ms(const struct gateway_core *core)
{
    uint64_t due_ms = gateway_tick_ms(core);
    if (!core->serving || due_ms == UINT64_MAX || core->applied_index < core->proposed_index ||
        !gateway_may_propose(core)) {
        return UINT64_MAX;
    }
    uint64_t log_ms = gateway_log_time_ms(core);
    return due_ms <= log_ms ? 0 : gateway_now_ms(core) + (due_ms - log_ms);
}

uint64_t gateway_core_deadline_ms(const struct gateway_core *core)
{
    if (core->more || (core->serving && gateway_has_commands(core) && gateway_may_propose(core))) {
        return 0;
    }
    uint64_t deadline_ms = earlier(gateway_presence_deadline_ms(core), core->resume_ms);
    deadline_ms = earlier(deadline_ms, core->digests_ms);
    deadline_ms = earlier(deadline_ms, gateway_clocks_deadline_ms(core));
    deadline_ms = earlier(deadline_ms, gateway_members_deadline_ms(core));
    deadline_ms = earlier(deadline_ms, gateway_time_deadline_ms(core));
    if (core->serving && gateway_now_ms(core) < core->propose_ms) {
        deadline_ms = earlier(deadline_ms, core->propose_ms);
    }
    if (core->retry_ms != 0) {
        deadline_ms = earlier(deadline_ms, core->retry_ms);
    }
    return earlier(deadline_ms, gateway_tick_deadline_ms(core));
}
