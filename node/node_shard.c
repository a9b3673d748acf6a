/* A node's shard: opened on its state, and what it asks for. */

#include <stdio.h>

#include "node/node_private.h"
#include "node/system_memory.h"
#include "proto/base/check.h"
#include "rpc/peer/peer_bulk.h"
#include "statemachine/store/store_rocksdb.h"

/* Some hundred small batches, or a few large ones. */
#define LOG_FILL_LEN (512 * KIB)

#define STORE_PATH_LEN_MAX 4096

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

bool node_bulk_send(void *arg, uint64_t to, bool asking, struct frame_out *frame)
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

void node_bulk_hang_up(void *arg, uint64_t to)
{
    struct node *node = arg;
    if (node->peers != NULL) {
        peer_bulk_hang_up(node->peers, to);
    }
}

/* Called from within the shard's turn: it is closed when that is over (node_turn()). */
void node_replaced(void *arg, const char *name)
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

static void node_shard_fatal(void *arg, int err, const char *what)
{
    struct node *node = arg;
    node_fatal(node, err, what);
}

static void node_members_changed(void *arg)
{
    struct node *node = arg;
    node->members_due = true;
    node->members_ms = 0;
}

/* It votes again: nothing is left of the repair. */
static void node_voting(void *arg)
{
    struct node *node = arg;
    int err = repair_mark_clear(posix_disk_base(node->disk), SHARD_DIR);
    if (err != 0) {
        journal_warning(node->journal, "node", "%s/" SHARD_DIR "/repair could not be removed: %s",
                        node->config->data_dir, err_text(err));
        return; /* After the next start it says that it wants to vote, and is told that it does. */
    }
    node->waiting[0] = '\0';
    node_alarm_compose(node);
    journal_info(node->journal, "node", "repaired: this node votes again");
}

/* The directory `name` of the shard, as RocksDB takes it. */
static int store_path(const struct node *node, const char *name, char path[STORE_PATH_LEN_MAX], char *detail,
                      size_t detail_len)
{
    int written = snprintf(path, STORE_PATH_LEN_MAX, "%s/" SHARD_DIR "/%s", node->config->data_dir, name);
    if (written < 0 || (size_t)written >= STORE_PATH_LEN_MAX) {
        (void)snprintf(detail, detail_len, "the path of the data directory is too long");
        return ERR_INVALID;
    }
    return 0;
}

/* On the disk's other thread: uses nothing of the node that changes. */
int node_open_copy(void *arg, const char *name, struct store **ret_store, char *detail, size_t detail_len)
{
    const struct node *node = arg;
    char path[STORE_PATH_LEN_MAX];
    int err = store_path(node, name, path, detail, detail_len);
    struct store_rocksdb_options options = {.path = path, .read_only = true};
    return err == 0 ? store_rocksdb_open(&options, ret_store, detail, detail_len) : err;
}

static int node_open_store(struct node *node, struct store **ret_store, char *detail, size_t detail_len)
{
    char path[STORE_PATH_LEN_MAX];
    int err = store_path(node, node->state.name, path, detail, detail_len);
    if (err != 0) {
        return err;
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
        .clock_skew_ms = config->clock_skew_ms,
        .machine_version = config->machine_version,
        .zone = config_member(config, config->node)->zone,
        .preferred = config_member(config, config->node)->preferred,
        .scrub_rate = config->scrub_rate,
        .scrub_interval_ms = config->scrub_interval_ms,
        .alarm = node->alarm,
        .damaged = node_damaged,
        .members_changed = node_members_changed,
        .removed = node_removed,
        .voting = node_voting,
        .bulk_send = node_bulk_send,
        .bulk_hang_up = node_bulk_hang_up,
        .open_copy = node_open_copy,
        .replaced = node_replaced,
        .memory_used = node_memory_used,
        .relax = node_relax,
        .fatal = node_shard_fatal,
    };
}

/* The log follows the copy now. With `discard` the node has forgotten what it promised: that is noted before it says a word. */
static int node_settle(struct node *node, char *detail, size_t detail_len)
{
    struct disk *disk = posix_disk_base(node->disk);
    const char *data = node->config->data_dir;
    int err = 0;
    if (node->plan.discard) {
        err = data_dir_renew(node->data_dir, &node->clock.base, detail, detail_len);
        if (err != 0) {
            return err;
        }
        err = repair_rejoined(disk, SHARD_DIR, &node->mark);
        if (err != 0) {
            (void)snprintf(detail, detail_len, "%s/" SHARD_DIR "/repair: %s", data, err_text(err));
            return err;
        }
    }
    if (node->state.fresh) {
        err = state_dir_settle(disk, SHARD_DIR, &node->state);
        if (err != 0 && err != ERR_NO_SPACE) { /* What is left to do on a full disk is done at the next start. */
            (void)snprintf(detail, detail_len, "%s/" SHARD_DIR "/current: %s", data, err_text(err));
            return err;
        }
    }
    return 0;
}

int node_shard_open(struct node *node, char *detail, size_t detail_len)
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
    options.fresh = node->plan.rejoin;
    options.discard = node->plan.discard;
    options.wants_vote = node->plan.discard ? node->mark.voter : node->plan.wants_vote;
    if (options.wants_vote) {
        (void)snprintf(node->waiting, sizeof node->waiting,
                       node->plan.discard
                           ? "waits for its vote; it was repaired: %s"
                           : "waits for its vote, if it was taken; it was to be repaired, and was not: %s",
                       node->mark.reason);
        node_alarm_compose(node);
    }
    err = shard_open(&options, &node->shard, detail, detail_len);
    if (err == 0) {
        err = node_settle(node, detail, detail_len);
    }
    if (err != 0) {
        return err;
    }
    for (unsigned i = 0; i < config->members_len; i++) {
        shard_peer_changed(node->shard, config->members[i].id, false, config->members[i].client_address);
    }
    shard_set_client_address(node->shard, config_member(config, config->node)->client_address);
    node_members_changed(node);
    return 0;
}

/* One step: before it the old state counts, after it the copy. */
void node_shard_switch_state(struct node *node)
{
    bool done = false;
    if (node->copy[0] == '\0') {
        return;
    }
    int err = repair_switch(posix_disk_base(node->disk), SHARD_DIR, node->copy, node->plan.patient, &done);
    if (err == ERR_NO_SPACE) {
        /* The node begins anew with what it had, and finds the copy whole. */
        journal_warning(node->journal, "node", "the disk is full: the state stays what it was");
        return;
    }
    if (err != 0) {
        node_fatal(node, err, "the state could not be switched to the copy");
    }
    if (!done) {
        journal_info(node->journal, "node", "the copy is not taken: this node has been found damaged since");
    }
}
