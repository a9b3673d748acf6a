/* Reads: a question to the leader for all that wait, and the moment when this replica has caught up with the answer. */

#include "node/core/gateway.h"
#include "proto/base/fault.h"

/* After which a read is given up, and after which an answer is taken for lost. */
#define READ_TIMEOUT_MS 5000u
#define READ_RETRY_MS 200u

/* What reads may take of a turn: one that is done may be a long look through a queue, and there may be one for each client. */
#define READS_TURN_MS 20u

void gateway_read(struct gateway *gateway, struct gateway_read *read)
{
    struct gateway_core *core = gateway_core_of(gateway);
    reads_add(&core->reads, read, gateway_now_ms(core) + READ_TIMEOUT_MS);
    core->more = true;
}

void gateway_read_cancel(struct gateway *gateway, struct gateway_read *read)
{
    (void)gateway;
    reads_cancel(read);
}

/* As leader: for us and for those who have asked us. */
static void reads_ask_driver(struct gateway_core *core)
{
    uint64_t round;
    bool wanted = !list_empty(&core->reads.waiting);
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        const struct reads_remote *remote = &core->reads.remotes[i];
        wanted = wanted || (remote->id != 0 && remote->round == 0);
    }
    if (!wanted || driver_read(core->driver, &round) != 0) {
        return;
    }
    reads_asked(&core->reads, round, gateway_now_ms(core));
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        struct reads_remote *remote = &core->reads.remotes[i];
        if (remote->id != 0 && remote->round == 0) {
            remote->round = round;
        }
    }
    core->more = true; /* The round begins with the driver's next turn. */
}

/* One question at a time: what comes meanwhile waits for the next. */
static void reads_ask_leader(struct gateway_core *core)
{
    struct reads *reads = &core->reads;
    if (reads->asking && gateway_now_ms(core) >= reads->asked_ms + READ_RETRY_MS) {
        reads_lost(reads);
    }
    if (reads->asking || list_empty(&reads->waiting) || core->leader == 0) {
        return;
    }
    Holdfast__ReadIndex question = HOLDFAST__READ_INDEX__INIT;
    Holdfast__PeerGateway message = HOLDFAST__PEER_GATEWAY__INIT;
    message.kind_case = HOLDFAST__PEER_GATEWAY__KIND_READ_INDEX;
    message.read_index = &question;
    question.id = ++reads->id_last;
    (void)gateway_send(core, core->leader, &message, (struct slice){0}); /* A lost one is asked again. */
    reads_asked(reads, question.id, gateway_now_ms(core));
}

void gateway_core_read_ready(struct gateway_core *core, uint64_t round, uint64_t index)
{
    reads_answered(&core->reads, round, index);
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        struct reads_remote *remote = &core->reads.remotes[i];
        if (remote->id == 0 || remote->round == 0 || remote->round > round) {
            continue;
        }
        Holdfast__ReadIndexResult result = HOLDFAST__READ_INDEX_RESULT__INIT;
        Holdfast__PeerGateway message = HOLDFAST__PEER_GATEWAY__INIT;
        message.kind_case = HOLDFAST__PEER_GATEWAY__KIND_READ_INDEX_RESULT;
        message.read_index_result = &result;
        result.id = remote->id;
        result.index = index;
        (void)gateway_send(core, remote->node, &message, (struct slice){0});
        *remote = (struct reads_remote){0};
    }
    core->more = true;
}

void gateway_reads_turn(struct gateway_core *core)
{
    if (core->leading && core->serving) {
        reads_ask_driver(core);
    } else if (!core->leading) {
        reads_ask_leader(core);
    }
    if (reads_empty(&core->reads)) {
        return;
    }
    driver_status(core->driver, &core->status); /* Entries of consensus' own count as well. */
    uint64_t applied = fault_fires(FAULT_SKIP_READ_APPLY) ? UINT64_MAX : core->status.applied_index;
    struct gateway_read *read = NULL;
    int err;
    uint64_t now_ms = gateway_now_ms(core);
    while (core->reads_ms < READS_TURN_MS && (read = reads_take(&core->reads, applied, now_ms, &err)) != NULL) {
        uint64_t began_ms = now_ms;
        read->done(read, err);
        now_ms = gateway_now_ms(core);
        core->reads_ms += now_ms - began_ms;
    }
    core->more = core->more || core->reads_ms >= READS_TURN_MS; /* The rest in the next turn. */
}
