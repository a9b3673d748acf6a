/* A shard's life and its turn: gather, propose, drive consensus, apply, carry out effects, checkpoint. */

#include "node/core/shard.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/core/checkpointer.h"
#include "node/core/gateway.h"
#include "node/core/peers.h"
#include "node/core/rebuild.h"
#include "proto/base/check.h"

#define CHECKPOINT_LEN_DEFAULT (64 * MIB)

#define ELECTION_TIMEOUT_MS_DEFAULT 300u
#define PRESENCE_ELECTIONS 5u
#define DISK_STALL_MS_DEFAULT 2000u

/* Rounds of one turn: what a round makes possible is done at once, but the loop must come round as well. */
#define ROUNDS_MAX 8u

/* How long handing over may take before it is tried again. */
#define TRANSFER_RETRY_MS 1000u

struct shard {
    struct shard_options options;
    struct machine *machine;
    struct driver *driver;
    struct gateway_core gateway;
    struct checkpointer checkpointer;
    struct rebuild rebuild;
    struct peers peers;
    bool stopping;
    bool alone;           /* Stopping, and there is nobody to hand over to. */
    uint64_t transfer_ms; /* When handing over is to be tried again. */
};

static void shard_fatal(void *arg, int err, const char *what)
{
    struct shard *shard = arg;
    shard->options.fatal(shard->options.arg, err, what);
}

/* Consensus sends again what was dropped. */
static void shard_send_raft(void *arg, uint64_t node, struct frame_out *frame)
{
    struct shard *shard = arg;
    (void)shard->options.send(shard->options.arg, node, frame);
}

static bool shard_send(void *arg, uint64_t node, struct frame_out *frame)
{
    struct shard *shard = arg;
    return shard->options.send(shard->options.arg, node, frame);
}

static const char *shard_rebuilding_text(void *arg)
{
    struct shard *shard = arg;
    return rebuild_text(&shard->rebuild);
}

static uint64_t shard_memory_used(void *arg)
{
    struct shard *shard = arg;
    return shard->options.memory_used == NULL ? 0 : shard->options.memory_used(shard->options.arg);
}

static void shard_wake(void *arg)
{
    struct shard *shard = arg;
    if (shard->options.wake != NULL) {
        shard->options.wake(shard->options.arg);
    }
}

static void shard_relax(void *arg)
{
    struct shard *shard = arg;
    if (shard->options.relax != NULL) {
        shard->options.relax(shard->options.arg);
    }
}

/* An entry that cannot be applied must not be passed over: replicas would differ. */
static int shard_apply(void *arg, uint64_t index, uint64_t term, struct slice payload)
{
    struct shard *shard = arg;
    struct effects effects;
    int err = machine_apply(shard->machine, index, payload, &effects);
    if (err != 0) {
        char what[160];
        (void)snprintf(what, sizeof what, "the entry at index %llu cannot be applied: %s", (unsigned long long)index,
                       err == ERR_VERSION ? "it needs a newer version of this program" : err_text(err));
        shard_fatal(shard, err, what);
        return err;
    }
    (void)term;
    gateway_core_applied(&shard->gateway, index, &effects);
    return 0;
}

static void shard_role_changed(void *arg, enum driver_role role, uint64_t leader, uint64_t term)
{
    struct shard *shard = arg;
    const char *text = role == DRIVER_LEADER ? "leader" : role == DRIVER_CANDIDATE ? "candidate" : "follower";
    journal_info(shard->options.journal, "role", "%s in term %llu; leader: %llu", text, (unsigned long long)term,
                 (unsigned long long)leader);
    gateway_core_role_changed(&shard->gateway, role == DRIVER_LEADER, leader, term);
}

static void shard_read_ready(void *arg, uint64_t round, uint64_t index)
{
    struct shard *shard = arg;
    gateway_core_read_ready(&shard->gateway, round, index);
}

static void shard_behind(void *arg, uint64_t leader)
{
    struct shard *shard = arg;
    rebuild_behind(&shard->rebuild, leader);
}

static int shard_open_driver(struct shard *shard, uint64_t applied_index, struct slice checkpoint, char *detail,
                             size_t detail_len)
{
    const struct shard_options *options = &shard->options;
    struct driver_options driver_options = {
        .id = options->node,
        .members = options->members,
        .members_len = options->members_len,
        .disk = options->disk,
        .clock = options->clock,
        .journal = options->journal,
        .dir = options->dir,
        .host = {.arg = shard,
                 .send = shard_send_raft,
                 .apply = shard_apply,
                 .role_changed = shard_role_changed,
                 .read_ready = shard_read_ready,
                 .behind = shard_behind,
                 .fatal = shard_fatal},
        .election_timeout_ms = options->election_timeout_ms,
        .heartbeat_ms = options->heartbeat_ms,
        .window = options->window,
        .segment_len = options->segment_len,
        .cache_len_max = options->cache_len_max,
        .reserve_len = options->reserve_len,
        .fill_len = options->fill_len,
        .retain_len = options->retain_len,
        .applied_index = applied_index,
        .checkpoint = checkpoint,
    };
    int err = options->fresh ? driver_rejoin(&driver_options, detail, detail_len) : 0;
    return err == 0 ? driver_open(&driver_options, &shard->driver, detail, detail_len) : err;
}

static void shard_connect(struct shard *shard)
{
    const struct shard_options *options = &shard->options;
    gateway_core_set_driver(&shard->gateway, shard->driver);
    shard->checkpointer = (struct checkpointer){
        .disk = options->disk,
        .machine = shard->machine,
        .driver = shard->driver,
        .clock = options->clock,
        .journal = options->journal,
        .arg = shard,
        .wake = shard_wake,
        .relax = shard_relax,
        .fatal = shard_fatal,
        .idle_ms = UINT64_MAX,
        .checkpoint_len = options->checkpoint_len != 0 ? options->checkpoint_len : CHECKPOINT_LEN_DEFAULT,
    };
}

static unsigned or_default(unsigned value, unsigned otherwise)
{
    return value != 0 ? value : otherwise;
}

static void shard_init_gateway(struct shard *shard)
{
    const struct shard_options *options = &shard->options;
    unsigned election_ms = or_default(options->election_timeout_ms, ELECTION_TIMEOUT_MS_DEFAULT);
    unsigned presence_ms = or_default(options->presence_timeout_ms, PRESENCE_ELECTIONS * election_ms);
    struct gateway_core_options gateway_options = {
        .machine = shard->machine,
        .disk = options->disk,
        .clock = options->clock,
        .journal = options->journal,
        .peers = &shard->peers,
        .cluster = options->cluster,
        .version = options->version,
        .node = options->node,
        .body_len_max = options->body_len_max,
        .limits = {.disk_free_min = options->disk_free_min, .memory_max = options->memory_max},
        .presence_timeout_ms = presence_ms,
        .isolation_timeout_ms = or_default(options->isolation_timeout_ms, presence_ms),
        .disk_stall_ms = or_default(options->disk_stall_ms, DISK_STALL_MS_DEFAULT),
        .arg = shard,
        .send = shard_send,
        .memory_used = shard_memory_used,
        .rebuilding = shard_rebuilding_text,
        .relax = shard_relax,
        .fatal = shard_fatal,
    };
    gateway_core_init(&shard->gateway, &gateway_options);
}

int shard_open(const struct shard_options *options, struct shard **ret_shard, char *detail, size_t detail_len)
{
    struct shard *shard = calloc(1, sizeof *shard);
    if (shard == NULL) {
        options->store->ops->close(options->store);
        (void)snprintf(detail, detail_len, "%s", err_text(ERR_NOMEM));
        return ERR_NOMEM;
    }
    shard->options = *options;
    uint64_t applied_index;
    struct slice checkpoint;
    int err = machine_open(options->store, &shard->machine, &applied_index, &checkpoint, detail, detail_len);
    if (err != 0) {
        options->store->ops->close(options->store);
        goto fail_machine;
    }
    shard_init_gateway(shard); /* Before the driver: it may report its role while it opens. */
    err = shard_open_driver(shard, applied_index, checkpoint, detail, detail_len);
    slice_unref(&checkpoint);
    if (err != 0) {
        goto fail_driver;
    }
    shard_connect(shard);
    err = rebuild_open(&shard->rebuild, &shard->options, shard->driver);
    if (err != 0) {
        (void)snprintf(detail, detail_len, "%s: what belongs to rebuilds: %s", options->dir, err_text(err));
        shard_close(shard);
        return err;
    }
    *ret_shard = shard;
    return 0;

fail_driver:
    gateway_core_done(&shard->gateway);
    machine_close(shard->machine);
fail_machine:
    free(shard);
    return err;
}

void shard_close(struct shard *shard)
{
    if (shard == NULL) {
        return;
    }
    checkpointer_done(&shard->checkpointer);
    rebuild_close(&shard->rebuild);
    gateway_core_done(&shard->gateway);
    driver_close(shard->driver);
    machine_close(shard->machine);
    free(shard);
}

struct gateway *shard_gateway(struct shard *shard)
{
    return &shard->gateway.base;
}

int shard_receive(struct shard *shard, uint64_t from, const struct frame *frame)
{
    if (frame->type == FRAME_PEER_GATEWAY) {
        return gateway_core_receive(&shard->gateway, from, frame);
    }
    gateway_core_heard(&shard->gateway, from);
    return driver_receive(shard->driver, from, frame);
}

int shard_receive_bulk(struct shard *shard, uint64_t from, bool asking, const struct frame *frame)
{
    return rebuild_receive(&shard->rebuild, from, asking, frame);
}

void shard_bulk_lost(struct shard *shard, uint64_t node)
{
    rebuild_lost(&shard->rebuild, node);
}

static void shard_hand_over(struct shard *shard)
{
    uint64_t now_ms = shard->options.clock->monotonic_ms(shard->options.clock);
    if (!shard->stopping || !shard->gateway.leading || shard->alone || now_ms < shard->transfer_ms) {
        return;
    }
    shard->transfer_ms = now_ms + TRANSFER_RETRY_MS;
    struct driver_status status;
    driver_status(shard->driver, &status);
    unsigned voters = 0;
    for (unsigned i = 0; i < status.members_len; i++) {
        voters += status.members[i].voter;
    }
    shard->alone = voters < 2;
    if (!shard->alone && driver_transfer(shard->driver, 0) != 0) {
        journal_debug(shard->options.journal, "role", "nobody can take over the leadership now; asking again");
    }
}

void shard_step(struct shard *shard)
{
    struct gateway_core *gateway = &shard->gateway;
    CHECK(!gateway->in_turn);
    gateway->in_turn = true;
    for (unsigned round = 0; round < ROUNDS_MAX; round++) {
        gateway->more = false;
        shard_hand_over(shard);
        (void)gateway_core_propose(gateway);
        driver_step(shard->driver);
        bool proposed = gateway_core_propose(gateway);
        gateway_core_turn(gateway);
        if (!proposed && !gateway->more) {
            break;
        }
    }
    checkpointer_step(&shard->checkpointer);
    rebuild_step(&shard->rebuild);
    gateway->in_turn = false;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t shard_deadline_ms(const struct shard *shard)
{
    uint64_t deadline_ms = earlier(driver_deadline_ms(shard->driver), checkpointer_deadline_ms(&shard->checkpointer));
    deadline_ms = earlier(deadline_ms, gateway_core_deadline_ms(&shard->gateway));
    deadline_ms = earlier(deadline_ms, rebuild_deadline_ms(&shard->rebuild));
    if (shard->stopping && shard->gateway.leading && !shard->alone) {
        deadline_ms = earlier(deadline_ms, shard->transfer_ms);
    }
    return deadline_ms;
}

void shard_peer_changed(struct shard *shard, uint64_t node, bool connected, const char *client_address)
{
    peers_set(&shard->peers, node, connected, client_address);
    gateway_core_peer_changed(&shard->gateway, node, connected);
    if (!connected) {
        driver_peer_lost(shard->driver, node);
    }
}

void shard_set_client_address(struct shard *shard, const char *client_address)
{
    peers_set(&shard->peers, shard->options.node, true, client_address);
}

void shard_stop(struct shard *shard)
{
    shard->stopping = true;
    gateway_core_stop(&shard->gateway);
}

bool shard_stopped(const struct shard *shard)
{
    return shard->stopping && (!shard->gateway.leading || shard->alone) && gateway_core_finished(&shard->gateway) &&
           driver_idle(shard->driver) && checkpointer_idle(&shard->checkpointer) && rebuild_idle(&shard->rebuild);
}

size_t shard_unanswered(const struct shard *shard)
{
    return shard->gateway.outgoing.len + reads_len(&shard->gateway.reads);
}

bool shard_rebuilding(const struct shard *shard)
{
    return rebuild_running(&shard->rebuild);
}

struct driver *shard_driver(struct shard *shard)
{
    return shard->driver;
}

struct machine *shard_machine(struct shard *shard)
{
    return shard->machine;
}
