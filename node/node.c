/* What ties a shard to the world, in the order in which it is opened, and back. */

#include "node/node.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/core/shard.h"
#include "node/core/state_dir.h"
#include "node/data_dir.h"
#include "node/posix_disk.h"
#include "node/system_clock.h"
#include "node/system_memory.h"
#include "proto/base/check.h"
#include "rpc/native/native_server.h"
#include "rpc/peer/peer_bulk.h"
#include "rpc/peer/peer_links.h"
#include "statemachine/store_rocksdb.h"

#define SHARD_DIR "shard-0"

/* How long a stopping node tries to hand over its leadership; clients then get up to two seconds to hear about it. */
#define STOP_MS 2500u

/* Some hundred small batches, or a few large ones. */
#define LOG_FILL_LEN (512 * KIB)

/* Between two complaints about peers with a directory that is not theirs: each is one connection of a stranger. */
#define STRANGER_PAUSE_MS 1000u

struct node {
    uv_loop_t *loop;
    const struct config *config;
    struct journal *journal;
    void *arg;
    void (*stopped)(void *arg, bool again);
    struct system_clock clock;
    struct data_dir *data_dir;
    struct posix_disk *disk;
    struct shard *shard;
    struct peer_links *peers;
    struct native_server *server;
    uv_timer_t due;      /* The shard's deadline. */
    uv_timer_t patience; /* The end of handing over. */
    uv_prepare_t before_poll;
    uv_check_t after_poll;
    uint64_t due_ms;
    uint64_t stranger_said_ms;         /* When a peer's foreign directory was complained of. */
    unsigned handles;                  /* Of the four above that are not closed. */
    struct state_dir state;            /* Which directory is the state's. */
    char copy[STATE_DIR_NAME_LEN_MAX]; /* That of one which is to take its place; "": none. */
    bool stopping;
    bool closing;
};

/* What the shard asks for. */

static bool node_send(void *arg, uint64_t to, struct frame_out *frame)
{
    struct node *node = arg;
    if (node->peers == NULL) {
        frame_out_done(frame); /* Not connected yet: Raft sends again. */
        return false;
    }
    return peer_links_send(node->peers, to, frame);
}

static bool node_bulk_send(void *arg, uint64_t to, bool asking, struct frame_out *frame)
{
    struct node *node = arg;
    if (node->peers == NULL) {
        frame_out_done(frame);
        return false;
    }
    if (asking && peer_bulk_dial(node->peers, to) != 0) {
        frame_out_done(frame); /* It is asked again. */
        return false;
    }
    return peer_bulk_send(node->peers, to, asking, frame);
}

static void node_bulk_hang_up(void *arg, uint64_t to)
{
    struct node *node = arg;
    if (node->peers != NULL) {
        peer_bulk_hang_up(node->peers, to);
    }
}

static void node_close(struct node *node);

/* Called from within the shard's turn: it is closed when that is over (node_turn()). */
static void node_replaced(void *arg, const char *name)
{
    struct node *node = arg;
    (void)snprintf(node->copy, sizeof node->copy, "%s", name);
    journal_info(node->journal, "node", "a copy of another node's state takes the place of this one's: starting anew");
}

static uint64_t node_memory_used(void *arg)
{
    (void)arg;
    return system_memory_used();
}

static void node_relax(void *arg)
{
    (void)arg;
    system_memory_relax();
}

static void node_fatal(void *arg, int err, const char *what)
{
    struct node *node = arg;
    journal_error(node->journal, "fatal", "%s (%s): this process ends", what, err_text(err));
    _exit(NODE_EXIT_FATAL);
}

/* What the peers' links tell. */

static int node_received(void *arg, uint64_t from, const struct frame *frame)
{
    struct node *node = arg;
    bool known = frame->type == FRAME_PEER_RAFT || frame->type == FRAME_PEER_GATEWAY;
    if (node->closing) {
        return 0; /* What would be stored and answered now is not in the copy that takes the state's place. */
    }
    return known ? shard_receive(node->shard, from, frame) : ERR_BROKEN;
}

static int node_bulk_received(void *arg, uint64_t from, bool asking, const struct frame *frame)
{
    struct node *node = arg;
    return node->closing ? 0 : shard_receive_bulk(node->shard, from, asking, frame);
}

static void node_bulk_changed(void *arg, uint64_t peer, bool connected)
{
    struct node *node = arg;
    if (!connected && !node->closing) {
        shard_bulk_lost(node->shard, peer);
    }
}

static void node_peer_changed(void *arg, uint64_t peer, bool connected, const char *client_address)
{
    struct node *node = arg;
    journal_info(node->journal, "peer", "node %" PRIu64 " is %s", peer, connected ? "connected" : "disconnected");
    shard_peer_changed(node->shard, peer, connected,
                       client_address != NULL && client_address[0] != '\0' ? client_address : NULL);
}

static int node_peer_known(void *arg, uint64_t peer, uint64_t incarnation)
{
    struct node *node = arg;
    char detail[512];
    int err = data_dir_peer(node->data_dir, peer, incarnation, detail, sizeof detail);
    uint64_t now_ms = uv_now(node->loop);
    if (err != 0 && now_ms >= node->stranger_said_ms + STRANGER_PAUSE_MS) {
        node->stranger_said_ms = now_ms;
        journal_error(node->journal, "peer", "%s", detail);
    }
    return err;
}

/* The end of a turn. */

static void node_turn(struct node *node)
{
    if (node->shard == NULL || node->closing) {
        return;
    }
    shard_step(node->shard);
    peer_links_flush(node->peers);
    if (node->copy[0] != '\0' || (node->stopping && shard_stopped(node->shard))) {
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
    if (node->shard == NULL || node->closing) {
        return;
    }
    uint64_t due_ms = shard_deadline_ms(node->shard);
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
    bool again = node->copy[0] != '\0' && !node->stopping;
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

/* One step: before it the old state counts, after it the copy. */
static void node_switch_state(struct node *node)
{
    if (node->copy[0] == '\0') {
        return;
    }
    int err = state_dir_switch(posix_disk_base(node->disk), SHARD_DIR, node->copy);
    if (err == ERR_NO_SPACE) {
        /* The node begins anew with the old state, is behind once more, and finds the copy whole. */
        journal_warning(node->journal, "node", "the disk is full: the state stays what it was");
        return;
    }
    if (err != 0) {
        node_fatal(node, err, "the state could not be switched to the copy");
    }
}

static void node_close_files(struct node *node)
{
    node_leave_stalled_disk(node);
    /* The threads end before what they work on is closed. */
    posix_disk_close(node->disk);
    shard_close(node->shard);
    node->shard = NULL;
    node_switch_state(node);
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

static void node_server_closed(void *arg)
{
    struct node *node = arg;
    node->server = NULL;
    if (node->peers == NULL) {
        node_close_files(node);
        return;
    }
    peer_links_close(node->peers, node_peers_closed, node);
}

static void node_close(struct node *node)
{
    if (node->closing) {
        return;
    }
    node->closing = true;
    if (node->server == NULL) {
        node_server_closed(node);
        return;
    }
    native_server_close(node->server, node_server_closed, node);
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
    shard_stop(node->shard);
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
    node->handles = 4;
    node->due_ms = UINT64_MAX;
}

static int node_open_store(struct node *node, struct store **ret_store, char *detail, size_t detail_len)
{
    struct disk *disk = posix_disk_base(node->disk);
    char path[4096];
    int err = disk->ops->make_dir(disk, SHARD_DIR);
    if (err != 0) {
        (void)snprintf(detail, detail_len, "%s/" SHARD_DIR ": %s", node->config->data_dir, err_text(err));
        return err;
    }
    err = state_dir_read(disk, SHARD_DIR, &node->state, detail, detail_len);
    if (err != 0) {
        return err;
    }
    int written = snprintf(path, sizeof path, "%s/" SHARD_DIR "/%s", node->config->data_dir, node->state.name);
    if (written < 0 || (size_t)written >= sizeof path) {
        (void)snprintf(detail, detail_len, "the path of the data directory is too long");
        return ERR_INVALID;
    }
    struct store_rocksdb_options options = {.path = path, .direct = posix_disk_is_direct(node->disk)};
    return store_rocksdb_open(&options, ret_store, detail, detail_len);
}

/* Half of the machine: the other half is for the page cache, and for what else runs there. */
static uint64_t node_memory_max(const struct node *node)
{
    uint64_t max = node->config->memory_bytes_max;
    return max != 0 ? max : system_memory_total() / 2;
}

static struct shard_options node_shard_options(struct node *node)
{
    const struct config *config = node->config;
    return (struct shard_options){
        .node = config->node,
        .cluster = config->cluster,
        .version = HOLDFAST_VERSION,
        .disk = posix_disk_base(node->disk),
        .clock = &node->clock.base,
        .journal = node->journal,
        .dir = SHARD_DIR,
        .checkpoint_len = config->checkpoint_bytes,
        .retain_len = config->retain_bytes,
        .segment_len = config->segment_bytes,
        .cache_len_max = config->cache_bytes,
        .reserve_len = config->reserve_bytes,
        .fill_len = LOG_FILL_LEN,
        .disk_free_min = config->disk_free_bytes_min,
        .memory_max = node_memory_max(node),
        .body_len_max = config->body_bytes_max,
        .election_timeout_ms = config->election_timeout_ms,
        .heartbeat_ms = config->heartbeat_ms,
        .presence_timeout_ms = config->presence_timeout_ms,
        .isolation_timeout_ms = config->isolation_timeout_ms,
        .disk_stall_ms = config->disk_stall_ms,
        .arg = node,
        .send = node_send,
        .rebuild_rate = config->rebuild_rate,
        .bulk_send = node_bulk_send,
        .bulk_hang_up = node_bulk_hang_up,
        .replaced = node_replaced,
        .memory_used = node_memory_used,
        .relax = node_relax,
        .fatal = node_fatal,
    };
}

static int node_open_shard(struct node *node, char *detail, size_t detail_len)
{
    const struct config *config = node->config;
    struct driver_member members[MEMBERS_MAX];
    struct store *store;
    CHECK(config->members_len <= MEMBERS_MAX);
    for (unsigned i = 0; i < config->members_len; i++) {
        members[i] = (struct driver_member){.id = config->members[i].id, .address = config->members[i].peer_address};
    }
    int err = node_open_store(node, &store, detail, detail_len);
    if (err != 0) {
        return err;
    }
    struct shard_options options = node_shard_options(node);
    options.members = members;
    options.members_len = config->members_len;
    options.store = store;
    options.fresh = node->state.fresh;
    err = shard_open(&options, &node->shard, detail, detail_len);
    if (err != 0) {
        return err;
    }
    if (node->state.fresh) {
        err = state_dir_settle(options.disk, SHARD_DIR, &node->state);
        if (err != 0 && err != ERR_NO_SPACE) { /* What is left to do on a full disk is done at the next start. */
            (void)snprintf(detail, detail_len, "%s/" SHARD_DIR "/current: %s", config->data_dir, err_text(err));
            return err;
        }
    }
    for (unsigned i = 0; i < config->members_len; i++) {
        shard_peer_changed(node->shard, config->members[i].id, false, config->members[i].client_address);
    }
    shard_set_client_address(node->shard, config_member(config, config->node)->client_address);
    return 0;
}

static int node_open_data(struct node *node, char *detail, size_t detail_len)
{
    const struct config *config = node->config;
    int err = data_dir_open(config->data_dir, config->cluster, config->node, &node->clock.base, &node->data_dir, detail,
                            detail_len);
    if (err != 0) {
        return err;
    }
    struct posix_disk_options options = {.loop = node->loop, .journal = node->journal, .root = config->data_dir};
    err = posix_disk_open(&options, &node->disk);
    if (err != 0) {
        (void)snprintf(detail, detail_len, "%s: %s", config->data_dir, err_text(err));
    }
    return err;
}

static int node_listen_peers(struct node *node, char *detail, size_t detail_len)
{
    const struct config *config = node->config;
    struct peer_member members[MEMBERS_MAX];
    for (unsigned i = 0; i < config->members_len; i++) {
        members[i] = (struct peer_member){.id = config->members[i].id, .address = config->members[i].peer_address};
    }
    struct peer_links_options options = {
        .loop = node->loop,
        .journal = node->journal,
        .listen_address = config->listen_peer,
        .node = config->node,
        .cluster = config->cluster,
        .incarnation = data_dir_incarnation(node->data_dir),
        .version = MACHINE_VERSION_MAX,
        .client_address = config_member(config, config->node)->client_address,
        .members = members,
        .members_len = config->members_len,
        .arg = node,
        .received = node_received,
        .bulk_received = node_bulk_received,
        .bulk_changed = node_bulk_changed,
        .changed = node_peer_changed,
        .known = node_peer_known,
    };
    return peer_links_start(&options, &node->peers, detail, detail_len);
}

static int node_listen_clients(struct node *node, char *detail, size_t detail_len)
{
    struct native_server_options options = {
        .loop = node->loop,
        .gateway = shard_gateway(node->shard),
        .journal = node->journal,
        .listen_address = node->config->listen_client,
        .connections_max = node->config->connections_max,
        .memory_max = node->config->client_memory_bytes / 2,
        .send_max = node->config->client_memory_bytes / 2,
    };
    return native_server_start(&options, &node->server, detail, detail_len);
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
        err = node_open_shard(node, detail, detail_len);
    }
    if (err == 0) {
        err = node_listen_peers(node, detail, detail_len);
    }
    if (err == 0) {
        err = node_listen_clients(node, detail, detail_len);
    }
    if (err != 0) {
        node_close(node); /* Nobody is told: `stopped` is not set yet. */
        return err;
    }
    node->arg = options->arg;
    node->stopped = options->stopped;
    CHECK(uv_prepare_start(&node->before_poll, node_before_poll) == 0);
    CHECK(uv_check_start(&node->after_poll, node_after_poll) == 0);
    journal_info(node->journal, "node", "ready: clients at %s (port %u), nodes at %s (port %u), data in %s",
                 node->config->listen_client, (unsigned)node_client_port(node), node->config->listen_peer,
                 (unsigned)node_peer_port(node), node->config->data_dir);
    *ret_node = node;
    return 0;
}

uint16_t node_client_port(const struct node *node)
{
    return native_server_port(node->server);
}

uint16_t node_peer_port(const struct node *node)
{
    return peer_links_port(node->peers);
}
