/* A shard's life and its turn: gather, propose, drive consensus, apply, carry out effects, checkpoint. */

#include "node/core/shard.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/core/shard_private.h"
#include "proto/base/check.h"

/* Rounds of one turn: what a round makes possible is done at once, but the loop must come round as well. */
#define ROUNDS_MAX 8u

/* How long handing over may take before it is tried again. */
#define TRANSFER_RETRY_MS 1000u

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
    shard->returning = options->wants_vote;
    shard->kept_vote = shard_votes(shard);
    shard->opened_ms = options->clock->monotonic_ms(options->clock);
    shard_open_scrub(shard);
    err = shard_open_rebuild(shard);
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
    scrub_close(&shard->scrub);
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
    if (shard->damaged) {
        return 0;
    }
    if (frame->type == FRAME_PEER_GATEWAY) {
        return gateway_core_receive(&shard->gateway, from, frame);
    }
    gateway_core_heard(&shard->gateway, from);
    return driver_receive(shard->driver, from, frame);
}

int shard_receive_bulk(struct shard *shard, uint64_t from, bool asking, const struct frame *frame)
{
    return shard->damaged ? 0 : rebuild_receive(&shard->rebuild, from, asking, frame);
}

void shard_bulk_connected(struct shard *shard, uint64_t node)
{
    rebuild_connected(&shard->rebuild, node);
}

/* Possibly in the middle of a turn: the host hears of it when that is over. */
static void shard_give_up(struct shard *shard, const char *what, bool ordered)
{
    if (shard->damaged && (ordered || !shard->ordered)) {
        return;
    }
    if (shard->options.damaged == NULL) {
        shard->options.fatal(shard->options.arg, ERR_CORRUPT, what);
    }
    shard->damaged = true;
    shard->ordered = ordered;
    (void)snprintf(shard->damage, sizeof shard->damage, "%s", what);
    if (shard->options.wake != NULL) {
        shard->options.wake(shard->options.arg);
    }
}

void shard_damaged(struct shard *shard, const char *what)
{
    shard_give_up(shard, what, false);
}

void shard_ordered(struct shard *shard, const char *what)
{
    shard_give_up(shard, what, true);
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

static const struct driver_status_member *find_member(const struct driver_status *status, uint64_t node)
{
    for (unsigned i = 0; i < status->members_len; i++) {
        if (status->members[i].id == node) {
            return &status->members[i];
        }
    }
    return NULL;
}

/* Who is no member any more is forgotten; the host sees to its links. */
static void shard_tell_members(struct shard *shard)
{
    if (!shard->members_changed) {
        return;
    }
    shard->members_changed = false;
    struct driver_status status;
    driver_status(shard->driver, &status);
    for (unsigned i = shard->peers.len; i > 0; i--) {
        uint64_t node = shard->peers.items[i - 1].node;
        if (node != shard->options.node && find_member(&status, node) == NULL) {
            peers_forget(&shard->peers, node);
        }
    }
    gateway_digests_members_changed(&shard->gateway);
    if (shard->options.members_changed != NULL) {
        shard->options.members_changed(shard->options.arg);
    }
}

bool shard_votes(const struct shard *shard)
{
    struct driver_status status;
    driver_status(shard->driver, &status);
    const struct driver_status_member *own = find_member(&status, shard->options.node);
    return own != NULL && own->voter;
}

/* It votes again when the CHANGE that says so is applied, not before.
 *
 * One that comes back with what it had, because an order was withdrawn, may have been taken out of the votes and not have heard of it
 * yet; or the leader is about to do it, which remembers for a while that it was asked for a copy. When that time is over, and an entry
 * of the present leader's own term is applied, behind which there is nothing of former leaders, that is past. */
static bool shard_votes_again(struct shard *shard)
{
    struct driver_status status;
    driver_status(shard->driver, &status);
    const struct driver_status_member *own = find_member(&status, shard->options.node);
    bool voter = own != NULL && own->voter;
    shard->kept_vote = shard->kept_vote && voter;
    if (!voter || status.change_index != 0 || status.applied_index < status.members_index) {
        return false;
    }
    uint64_t now_ms = shard->options.clock->monotonic_ms(shard->options.clock);
    bool settled = status.leader != 0 && status.applied_term == status.term;
    return !shard->kept_vote || (settled && now_ms >= shard->opened_ms + MEMBERS_WISH_MS);
}

/* What the host must hear when the turn is over. */
static void shard_tell(struct shard *shard)
{
    shard_tell_members(shard);
    if (shard->returning && shard_votes_again(shard)) {
        shard->returning = false;
        if (shard->options.voting != NULL) {
            shard->options.voting(shard->options.arg);
        }
    }
    if (shard->removed) {
        shard->removed = false;
        if (shard->options.removed != NULL) {
            shard->options.removed(shard->options.arg);
        }
    }
}

static void shard_turn(struct shard *shard)
{
    struct gateway_core *gateway = &shard->gateway;
    CHECK(!gateway->in_turn);
    gateway->in_turn = true;
    gateway->reads_ms = 0;
    for (unsigned round = 0; round < ROUNDS_MAX && !shard->damaged; round++) {
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
    scrub_step(&shard->scrub);
    gateway->in_turn = false;
}

void shard_step(struct shard *shard)
{
    if (!shard->damaged) {
        shard_turn(shard);
    }
    if (!shard->damaged) {
        shard_tell(shard);
    }
    if (shard->damage[0] != '\0') {
        char what[sizeof shard->damage];
        (void)snprintf(what, sizeof what, "%s", shard->damage);
        shard->damage[0] = '\0';
        shard->options.damaged(shard->options.arg, what, shard->ordered);
    }
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t shard_deadline_ms(const struct shard *shard)
{
    if (shard->damaged) {
        return shard->damage[0] != '\0' ? 0 : UINT64_MAX;
    }
    uint64_t deadline_ms = earlier(driver_deadline_ms(shard->driver), checkpointer_deadline_ms(&shard->checkpointer));
    deadline_ms = earlier(deadline_ms, gateway_core_deadline_ms(&shard->gateway));
    deadline_ms = earlier(deadline_ms, rebuild_deadline_ms(&shard->rebuild));
    deadline_ms = earlier(deadline_ms, scrub_deadline_ms(&shard->scrub));
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
    scrub_stop(&shard->scrub);
    gateway_core_stop(&shard->gateway);
}

bool shard_stopped(const struct shard *shard)
{
    return shard->stopping && (!shard->gateway.leading || shard->alone) && gateway_core_finished(&shard->gateway) &&
           driver_idle(shard->driver) && checkpointer_idle(&shard->checkpointer) && rebuild_idle(&shard->rebuild) &&
           scrub_idle(&shard->scrub) && time_keeper_idle(&shard->gateway.keeper);
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
