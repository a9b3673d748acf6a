/* What ties a shard to the world, in the order in which it is opened, and back. */

#include "node/node_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/check.h"

/* How long a stopping node tries to hand over its leadership; clients then get up to two seconds to hear about it. */
#define STOP_MS 2500u

/* Two timers, before_poll and after_poll. */
#define NODE_HANDLES 4u

void node_fatal(struct node *node, int err, const char *what)
{
    journal_error(node->journal, "fatal", "%s (%s): this process ends", what, err_text(err));
    bool damage = err == ERR_CORRUPT || err == ERR_CHECKSUM;
    if (damage && node_note_damage(node, what, false) && node->restart != NULL) {
        node->restart(node->arg);
    }
    _exit(NODE_EXIT_FATAL);
}

static void node_due(uv_timer_t *timer);

void node_wake(struct node *node)
{
    if (node->handles == NODE_HANDLES && !node->closing) {
        node->due_ms = 0;
        CHECK(uv_timer_start(&node->due, node_due, 0, 0) == 0);
    }
}

/* The end of a turn. */

static bool node_is_up(const struct node *node)
{
    return (node->shard != NULL || node->patient != NULL) && !node->closing;
}

static bool node_has_stopped(const struct node *node)
{
    return node->shard != NULL ? shard_stopped(node->shard) : patient_idle(node->patient);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t node_deadline_ms(const struct node *node)
{
    if (node_clients_are_due(node)) {
        return 0;
    }
    return node->shard != NULL
               ? earlier(shard_deadline_ms(node->shard), node_members_deadline_ms(node))
               : earlier(patient_deadline_ms(node->patient), patient_gateway_deadline_ms(&node->patient_gateway));
}

/* Whether each of the others has accepted this node, in the time of this process. */
static bool node_is_accepted(const struct node *node)
{
    const struct config *config = node->config;
    for (unsigned i = 0; i < config->members_len; i++) {
        if (config->members[i].id != config->node && !node->accepted[i]) {
            return false;
        }
    }
    return true;
}

/* Noted before anything is begun, so that no start that follows waits again for all. */
static void node_found(struct node *node)
{
    char detail[512];
    if (data_dir_set_part(node->data_dir, DATA_DIR_PART_FOUNDED, detail, sizeof detail) != 0) {
        node_fatal(node, ERR_IO, detail);
    }
    journal_info(node->journal, "node", "all nodes of the cluster have met: it begins");
    node->founded = true;
}

/* Closed, it is opened again by its owner, as what it is by then. */
static bool node_begins_anew(const struct node *node)
{
    return node->founded || node->copy[0] != '\0' || node->damaged || node->withdrawn;
}

static void node_turn(struct node *node)
{
    if (!node_is_up(node)) {
        return;
    }
    if (node->shard != NULL) {
        node_clients_turn(node);
        shard_step(node->shard);
        node_members_step(node);
        node_peers_step(node);
    } else {
        patient_step(node->patient);
        patient_gateway_turn(&node->patient_gateway);
    }
    peer_links_flush(node->peers);
    if (node->founding && !node->founded && node_is_accepted(node)) {
        node_found(node);
    }
    if (node_begins_anew(node) || (node->stopping && node_has_stopped(node))) {
        node_close(node);
    }
}

static void node_after_poll(uv_check_t *check)
{
    node_turn(container_of(check, struct node, after_poll));
}

static void node_due(uv_timer_t *timer)
{
    /* Waking the loop is all: its turn ends with node_turn(). */
    struct node *node = container_of(timer, struct node, due);
    node->due_ms = UINT64_MAX;
}

/* Before the loop sleeps: it must wake for the shard's deadline. */
static void node_before_poll(uv_prepare_t *prepare)
{
    struct node *node = container_of(prepare, struct node, before_poll);
    if (!node_is_up(node)) {
        return;
    }
    uint64_t due_ms = node_deadline_ms(node);
    if (due_ms == node->due_ms) {
        return;
    }
    node->due_ms = due_ms;
    if (due_ms == UINT64_MAX) {
        (void)uv_timer_stop(&node->due);
        return;
    }
    uint64_t now_ms = node->clock.base.monotonic_ms(&node->clock.base);
    uv_update_time(node->loop);
    CHECK(uv_timer_start(&node->due, node_due, due_ms > now_ms ? due_ms - now_ms : 0, 0) == 0);
}

/* The way down: clients, peers, threads, files, directory; then the loop's handles. */

static void node_free(struct node *node)
{
    void (*stopped)(void *arg, bool again) = node->stopped;
    void *arg = node->arg;
    bool again = node_begins_anew(node) && !node->stopping;
    free(node);
    if (stopped != NULL) {
        stopped(arg, again);
    }
}

static void node_handle_closed(uv_handle_t *handle)
{
    struct node *node = handle->data;
    if (--node->handles == 0) {
        node_free(node);
    }
}

/* The thread that writes would be waited for, on the loop and so without an end, when the disk does not answer it. */
static void node_leave_stalled_disk(struct node *node)
{
    struct driver_status status;
    if (node->shard == NULL) {
        return;
    }
    driver_status(shard_driver(node->shard), &status);
    if (status.disk_wait_ms >= node->config->disk_stall_ms) {
        node_fatal(node, ERR_TIMEOUT, "stopping, and the disk does not answer");
    }
}

static void node_close_files(struct node *node)
{
    node_leave_stalled_disk(node);
    /* The threads end before what they work on is closed. */
    posix_disk_close(node->disk);
    shard_close(node->shard);
    node->shard = NULL;
    node_patient_close(node);
    node_shard_switch_state(node);
    node_patient_withdraw(node);
    data_dir_close(node->data_dir);
    uv_close((uv_handle_t *)&node->due, node_handle_closed);
    uv_close((uv_handle_t *)&node->patience, node_handle_closed);
    uv_close((uv_handle_t *)&node->before_poll, node_handle_closed);
    uv_close((uv_handle_t *)&node->after_poll, node_handle_closed);
}

static void node_peers_closed(void *arg)
{
    struct node *node = arg;
    node->peers = NULL;
    node_close_files(node);
}

void node_clients_closed(struct node *node)
{
    if (node->peers == NULL) {
        node_close_files(node);
        return;
    }
    peer_links_close(node->peers, node_peers_closed, node);
}

void node_close(struct node *node)
{
    if (node->closing) {
        return;
    }
    node->closing = true;
    node_clients_close(node);
}

static void node_out_of_patience(uv_timer_t *timer)
{
    struct node *node = container_of(timer, struct node, patience);
    journal_warning(node->journal, "node", "not everything could be handed over in time; stopping all the same");
    node_close(node);
}

void node_stop(struct node *node)
{
    if (node->stopping) {
        return;
    }
    node->stopping = true;
    journal_info(node->journal, "node", "stopping");
    node_clients_stop(node);
    if (node->shard != NULL) {
        shard_stop(node->shard);
    }
    CHECK(uv_timer_start(&node->patience, node_out_of_patience, STOP_MS, 0) == 0);
    (void)uv_timer_start(&node->due, node_due, 0, 0);
}

/* The way up. */

static void node_init_handles(struct node *node)
{
    CHECK(uv_timer_init(node->loop, &node->due) == 0 && uv_timer_init(node->loop, &node->patience) == 0 &&
          uv_prepare_init(node->loop, &node->before_poll) == 0 && uv_check_init(node->loop, &node->after_poll) == 0);
    node->due.data = node;
    node->patience.data = node;
    node->before_poll.data = node;
    node->after_poll.data = node;
    node->handles = NODE_HANDLES;
    node->due_ms = UINT64_MAX;
}

static int node_open_data(struct node *node, char *detail, size_t detail_len)
{
    const struct config *config = node->config;
    char recovered[DATA_DIR_LINE_LEN_MAX];
    int err = data_dir_open(config->data_dir, config->cluster, config->node, &node->clock.base, &node->data_dir, detail,
                            detail_len);
    if (err != 0) {
        return err;
    }
    if (data_dir_recovered(node->data_dir, recovered, sizeof recovered)) {
        journal_warning(node->journal, "node", "%s", recovered);
    }
    if (data_dir_recoveries_damaged(node->data_dir, recovered, sizeof recovered)) {
        journal_warning(node->journal, "node", "%s", recovered);
    }
    struct posix_disk_options options = {.loop = node->loop, .journal = node->journal, .root = config->data_dir};
    err = posix_disk_open(&options, &node->disk);
    if (err != 0) {
        (void)snprintf(detail, detail_len, "%s: %s", config->data_dir, err_text(err));
    }
    return err;
}

static void look_for_anything(void *arg, const char *name)
{
    bool *empty = arg;
    *empty = *empty && repair_is_aside(name);
}

static int node_look_for_state(struct node *node, bool *ret_empty, char *detail, size_t detail_len)
{
    struct disk *disk = posix_disk_base(node->disk);
    *ret_empty = true;
    int err = disk->ops->make_dir(disk, SHARD_DIR);
    if (err == 0) {
        err = disk->ops->list(disk, SHARD_DIR, look_for_anything, ret_empty);
    }
    if (err != 0) {
        (void)snprintf(detail, detail_len, "%s/" SHARD_DIR ": %s", node->config->data_dir, err_text(err));
    }
    return err;
}

/* A node that took part had a log, with its term and vote. One that began anew without them, or went on with older ones, would vote
 * twice, and two of three would make an empty cluster beside what the third has. */
static bool node_has_lost(const struct node *node, bool empty, char *what, size_t what_len)
{
    if (empty && data_dir_part(node->data_dir) == DATA_DIR_PART_TAKEN) {
        (void)snprintf(what, what_len,
                       SHARD_DIR " is empty, though this node has taken part: log, term and state are lost");
        return true;
    }
    return !empty && data_dir_shard_is_old(node->data_dir, what, what_len);
}

/* It is noted that nobody counts on what is here; only then what is here is this directory's again. */
static int node_check_shard(struct node *node, bool empty, char *detail, size_t detail_len)
{
    char what[256];
    int err = node_has_lost(node, empty, what, sizeof what) ? node_note_loss(node, what, detail, detail_len) : 0;
    if (err == ERR_CORRUPT && !empty) {
        size_t len = strlen(detail);
        (void)snprintf(detail + len, detail_len - len,
                       ": put back the whole data directory, or remove %s/starts to go on with what is here",
                       node->config->data_dir);
    }
    if (err == 0 && data_dir_shard_is_old(node->data_dir, what, sizeof what)) {
        err = data_dir_shard_adopt(node->data_dir, &node->clock.base, detail, detail_len);
    }
    return err;
}

/* The files of the shard are there before it is noted that they must be, and that is noted before anything is promised. */
static int node_open_shard(struct node *node, char *detail, size_t detail_len)
{
    int err = node_shard_open(node, detail, detail_len);
    if (err != 0 && node->shard == NULL) {
        return node_start_failed(node, err, detail, detail_len);
    }
    return err == 0 ? data_dir_set_part(node->data_dir, DATA_DIR_PART_TAKEN, detail, detail_len) : err;
}

/* What this start has to do is found out first; if what is there turns out to be damaged, that is to have it repaired.
 *
 * A cluster begins when each of its nodes has met all the others, once: when two of three have lost their directories, the third,
 * or its absence, keeps them from making an empty cluster of their own, since it knows them as who they were. */
static int node_open_state(struct node *node, char *detail, size_t detail_len)
{
    struct disk *disk = posix_disk_base(node->disk);
    bool empty;
    int err = node_look_for_state(node, &empty, detail, detail_len);
    enum data_dir_part part = data_dir_part(node->data_dir);
    if (err == 0) {
        err = node_check_shard(node, empty, detail, detail_len);
    }
    node->founding =
        empty && part == DATA_DIR_PART_NONE && !node->config->join && !node_is_accepted(node); /* One alone is. */
    if (err == 0) {
        err = repair_begin(disk, SHARD_DIR, node->config->join, &node->state, &node->mark, &node->plan, detail,
                           detail_len);
    }
    if (err == 0 && !node->plan.patient && !node->founding) {
        err = node_open_shard(node, detail, detail_len);
    }
    return err == 0 && node->shard == NULL ? node_patient_open(node, detail, detail_len) : err;
}

int node_start(const struct node_options *options, struct node **ret_node, char *detail, size_t detail_len)
{
    struct node *node = calloc(1, sizeof *node);
    if (node == NULL) {
        (void)snprintf(detail, detail_len, "%s", err_text(ERR_NOMEM));
        return ERR_NOMEM;
    }
    node->loop = options->loop;
    node->config = options->config;
    node->journal = options->journal;
    system_clock_init(&node->clock);
    node_init_handles(node);
    int err = node_open_data(node, detail, detail_len);
    if (err == 0) {
        err = node_members_load(node, detail, detail_len);
    }
    if (err == 0) {
        err = node_members_check(node, detail, detail_len);
    }
    if (err == 0) {
        err = node_open_state(node, detail, detail_len);
    }
    if (err == 0) {
        err = node_peers_listen(node, detail, detail_len);
    }
    if (err == 0) {
        err = node_clients_listen(node, detail, detail_len);
    }
    if (err != 0) {
        node_close(node); /* Nobody is told: `stopped` is not set yet. */
        return err;
    }
    node->arg = options->arg;
    node->stopped = options->stopped;
    node->restart = options->restart;
    CHECK(uv_prepare_start(&node->before_poll, node_before_poll) == 0);
    CHECK(uv_check_start(&node->after_poll, node_after_poll) == 0);
    node_clients_say(node);
    journal_info(node->journal, "node", "ready: clients at %s (port %u), nodes at %s (port %u), data in %s",
                 node->config->listen_client, (unsigned)node_client_port(node), node->config->listen_peer,
                 (unsigned)node_peer_port(node), node->config->data_dir);
    *ret_node = node;
    return 0;
}

uint16_t node_peer_port(const struct node *node)
{
    return peer_links_port(node->peers);
}
