/* Telling the other members our running digests, and what follows from theirs. */

#include <string.h>

#include "node/core/gateway.h"
#include "proto/base/check.h"

/* How often digests are told and compared. */
#define DIGESTS_TELL_MS 1000u

/* For so long after its start a node waits for others to confirm its state, before it gives it away all the same. */
#define DIGESTS_WITNESS_MS 5000u

_Static_assert(ARRAY_LEN(((struct driver_status *)NULL)->members) <= MEMBERS_MAX, "a place for each member");
_Static_assert(128 * DIGESTS_KEPT <= PEER_HEADER_UNPACKED_MAX, "what is told can be unpacked");

void gateway_digests_init(struct gateway_core *core)
{
    digests_init(&core->digests, core->node, machine_applied_index(core->machine),
                 machine_running_digest(core->machine), gateway_now_ms(core));
    digests_init(&core->states, core->node, 0, 0, 0);
    core->digests_since_ms = gateway_now_ms(core);
}

void gateway_digests_applied(struct gateway_core *core, uint64_t index)
{
    uint64_t before = core->digests.applied_index;
    uint64_t state;
    digests_applied(&core->digests, index, machine_running_digest(core->machine), core->applied_ms);
    if (machine_memory_digest_due(core->machine, before) && machine_memory_digest(core->machine, &state) == 0) {
        digests_note(&core->states, index, state);
    }
}

bool gateway_digests_unsure(const struct gateway_core *core)
{
    return digests_unsure(&core->digests) || digests_unsure(&core->states);
}

const char *gateway_digests_alarm(const struct gateway_core *core)
{
    return core->digests.text[0] != '\0' ? core->digests.text : core->states.text;
}

/* Indexes and digests, as a message has them. */
struct told {
    uint64_t index[DIGESTS_KEPT];
    uint64_t digest[DIGESTS_KEPT];
    size_t len;
};

static void told_take(struct told *told, const struct digests *digests)
{
    struct digest_point points[DIGESTS_KEPT];
    told->len = digests_told(digests, points, DIGESTS_KEPT);
    for (size_t i = 0; i < told->len; i++) {
        told->index[i] = points[i].index;
        told->digest[i] = points[i].running;
    }
}

/* To all members, at each time all that is kept: so a frame that is lost does no harm, nor does a restart on their side. */
static void digests_tell(struct gateway_core *core)
{
    struct told running;
    struct told state;
    told_take(&running, &core->digests);
    told_take(&state, &core->states);
    Holdfast__Digests digests = HOLDFAST__DIGESTS__INIT;
    digests.n_index = digests.n_running = running.len;
    digests.index = running.index;
    digests.running = running.digest;
    digests.n_state_index = digests.n_state = state.len;
    digests.state_index = state.index;
    digests.state = state.digest;
    digests.state_format = MACHINE_MEMORY_DIGEST_FORMAT;
    digests.latest_index = core->digests.applied_index;
    digests.latest = core->digests.applied_running;
    for (unsigned i = 0; i < core->status.members_len && digests.latest_index > 0; i++) {
        Holdfast__PeerGateway message = HOLDFAST__PEER_GATEWAY__INIT;
        message.kind_case = HOLDFAST__PEER_GATEWAY__KIND_DIGESTS;
        message.digests = &digests;
        if (core->status.members[i].id != core->node) {
            (void)gateway_send(core, core->status.members[i].id, &message, (struct slice){0});
        }
    }
}

/* What has changed is said once, and links that must not be served end. */
static void digests_follow(struct gateway_core *core, const struct digests *now, const struct digests *before)
{
    if (now->text[0] != '\0' && strcmp(now->text, before->text) != 0) {
        journal_error(core->journal, "digests", "%s", now->text);
    }
    if (digests_unsure(before) && !gateway_digests_unsure(core)) {
        journal_warning(core->journal, "digests", "a majority has the same state as this node: it serves again");
        core->more = true;
    }
    if (digests_unsure(now) && !digests_unsure(before)) {
        gateway_doom_all(core, now->diverged_at != 0 ? "the state of this node differs from the majority's"
                                                     : "the replicas differ, and it is not known which is right");
    }
    if (now->diverged_at != 0 && !core->diverged && core->options.diverged != NULL) {
        core->diverged = true;
        core->options.diverged(core->options.arg, now->text);
    }
}

/* As of core->status. */
static void digests_members_now(const struct gateway_core *core, struct digests_member members[MEMBERS_MAX])
{
    for (unsigned i = 0; i < core->status.members_len; i++) {
        members[i] = (struct digests_member){.id = core->status.members[i].id, .voter = core->status.members[i].voter};
    }
}

void gateway_digests_members_changed(struct gateway_core *core)
{
    struct digests_member members[MEMBERS_MAX];
    driver_status(core->driver, &core->status);
    digests_members_now(core, members);
    digests_members(&core->digests, members, core->status.members_len);
    digests_members(&core->states, members, core->status.members_len);
}

/* A node that is merely behind may be the one that is missing in a majority: when nobody who could tell is there, and nobody says
 * otherwise, it gets what there is. A patient comes from a majority that can. */
bool gateway_digests_give(struct gateway_core *core, uint64_t index, bool patient)
{
    struct digests_member members[MEMBERS_MAX];
    driver_status(core->driver, &core->status);
    unsigned len = core->status.members_len;
    digests_members_now(core, members);
    if (gateway_digests_unsure(core) || digests_doubted(&core->digests, members, len)) {
        return false;
    }
    return digests_proven(&core->digests, members, len, index) ||
           (!patient && gateway_now_ms(core) >= core->digests_since_ms + DIGESTS_WITNESS_MS);
}

static void digests_compare(struct gateway_core *core, struct digests *digests, uint64_t now_ms)
{
    struct digests before = *digests;
    struct digests_member members[MEMBERS_MAX];
    digests_members_now(core, members);
    digests_judge(digests, members, core->status.members_len, now_ms);
    digests_follow(core, digests, &before);
}

void gateway_digests_turn(struct gateway_core *core)
{
    uint64_t now_ms = gateway_now_ms(core);
    if (now_ms < core->digests_ms) {
        return;
    }
    core->digests_ms = now_ms + DIGESTS_TELL_MS;
    driver_status(core->driver, &core->status);
    digests_note_idle(&core->digests, now_ms);
    digests_tell(core);
    digests_compare(core, &core->digests, now_ms);
    digests_compare(core, &core->states, now_ms);
}

int gateway_digests_take(struct gateway_core *core, uint64_t from, const Holdfast__Digests *digests)
{
    if (digests->n_index != digests->n_running || digests->n_index > DIGESTS_KEPT ||
        digests->n_state_index != digests->n_state || digests->n_state > DIGESTS_KEPT) {
        return ERR_BROKEN;
    }
    for (size_t i = 0; i < digests->n_index; i++) {
        digests_heard(&core->digests, from, digests->index[i], digests->running[i]);
    }
    digests_heard_latest(&core->digests, from, digests->latest_index, digests->latest);
    for (size_t i = 0; i < digests->n_state && digests->state_format == MACHINE_MEMORY_DIGEST_FORMAT; i++) {
        digests_heard(&core->states, from, digests->state_index[i], digests->state[i]);
    }
    return 0;
}
