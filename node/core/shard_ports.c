/* What the parts of a shard ask of each other, and of the host. */

#include <stdio.h>

#include "node/core/shard_private.h"

#define CHECKPOINT_LEN_DEFAULT (64 * MIB)

#define ELECTION_TIMEOUT_MS_DEFAULT 300u
#define PRESENCE_ELECTIONS 5u
#define DISK_STALL_MS_DEFAULT 2000u

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

/* What this node is at, besides serving; NULL: nothing. */
static const char *shard_at_work_text(void *arg)
{
    struct shard *shard = arg;
    const char *text = rebuild_text(&shard->rebuild);
    if (text != NULL || (text = scrub_text(&shard->scrub)) == NULL) {
        return text;
    }
    (void)snprintf(shard->at_work, sizeof shard->at_work, "reads again what it has stored: %s", text);
    return shard->at_work;
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

static bool shard_needs_room(void *arg)
{
    const struct shard *shard = arg;
    return shard->gateway.pressure.disk_low;
}

static void shard_nudge(void *arg)
{
    struct shard *shard = arg;
    gateway_core_tick(&shard->gateway);
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
        char what[320];
        char said[200] = "";
        machine_explain(shard->machine, said, sizeof said);
        (void)snprintf(what, sizeof what, "the entry at index %llu cannot be applied: %s", (unsigned long long)index,
                       err == ERR_VERSION ? "it needs a newer version of this program"
                       : said[0] != '\0'  ? said
                                          : err_text(err));
        shard_fatal(shard, err, what);
        return err;
    }
    if (shard->options.applied != NULL) {
        shard->options.applied(shard->options.arg, index, payload, &effects);
    }
    gateway_core_applied(&shard->gateway, index, term, &effects);
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

static void shard_members_changed(void *arg)
{
    struct shard *shard = arg;
    shard->members_changed = true;
    shard_wake(shard);
}

static void shard_removed(void *arg)
{
    struct shard *shard = arg;
    shard->removed = true;
    shard_wake(shard);
}

static void shard_forgot(void *arg, uint64_t node, uint64_t had, uint64_t has)
{
    struct shard *shard = arg;
    gateway_core_forgot(&shard->gateway, node, had, has);
}

static void shard_damaged_by(void *arg, const char *what)
{
    shard_damaged(arg, what);
}

static void shard_repair(void *arg, const char *reason, bool ordered)
{
    if (ordered) {
        shard_ordered(arg, reason);
    } else {
        shard_damaged(arg, reason);
    }
}

static const char *shard_alarm(void *arg)
{
    struct shard *shard = arg;
    const char *own = shard->options.alarm == NULL ? "" : shard->options.alarm;
    const char *room = rebuild_alarm(&shard->rebuild);
    (void)snprintf(shard->alarm, sizeof shard->alarm, "%s%s%s", own, own[0] != '\0' && room[0] != '\0' ? "; " : "",
                   room);
    return shard->alarm;
}

static bool shard_wants_vote(void *arg)
{
    const struct shard *shard = arg;
    return shard->returning;
}

static int shard_admits(void *arg, const struct rebuild_asks *asks, struct rebuild_says *ret_says)
{
    struct shard *shard = arg;
    return gateway_core_admits(&shard->gateway, asks, ret_says);
}

static void shard_address(void *arg, uint64_t node, char address[ADDRESS_LEN_MAX + 1])
{
    const struct shard *shard = arg;
    struct driver_status status;
    driver_status(shard->driver, &status);
    for (unsigned i = 0; i < status.members_len; i++) {
        if (status.members[i].id == node) {
            (void)snprintf(address, ADDRESS_LEN_MAX + 1, "%s", status.members[i].address);
        }
    }
}

static bool shard_gives(void *arg, uint64_t index, bool patient)
{
    struct shard *shard = arg;
    return gateway_digests_give(&shard->gateway, index, patient);
}

/* A checkpoint, a rebuild and the scrub share the disk's other thread. */
static bool shard_disk_is_busy(void *arg)
{
    const struct shard *shard = arg;
    return !checkpointer_idle(&shard->checkpointer) || !rebuild_idle(&shard->rebuild);
}

static void shard_behind(void *arg, uint64_t leader)
{
    struct shard *shard = arg;
    rebuild_behind(&shard->rebuild, leader);
}

int shard_open_driver(struct shard *shard, uint64_t applied_index, struct slice checkpoint, char *detail,
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
                 .members_changed = shard_members_changed,
                 .removed = shard_removed,
                 .forgot = shard_forgot,
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
        .discard = options->discard,
    };
    int err = options->fresh ? driver_rejoin(&driver_options, detail, detail_len) : 0;
    return err == 0 ? driver_open(&driver_options, &shard->driver, detail, detail_len) : err;
}

void shard_connect(struct shard *shard)
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
        .nudge = shard_nudge,
        .needs_room = shard_needs_room,
        .fatal = shard_fatal,
        .idle_ms = UINT64_MAX,
        .checkpoint_len = options->checkpoint_len != 0 ? options->checkpoint_len : CHECKPOINT_LEN_DEFAULT,
    };
}

/* A copy of our state was damaged when it had come: was it ours that is? */
static void shard_suspected(void *arg, const char *what)
{
    struct shard *shard = arg;
    (void)what;
    scrub_start_now(&shard->scrub);
}

int shard_open_rebuild(struct shard *shard)
{
    const struct rebuild_admission admission = {
        .arg = shard,
        .admits = shard_admits,
        .address = shard_address,
        .gives = shard_gives,
        .suspected = shard_suspected,
        .gateway = &shard->gateway.base,
        .checkpointer = &shard->checkpointer,
    };
    int err = rebuild_open(&shard->rebuild, &shard->options, shard->driver);
    if (err == 0) {
        rebuild_admit_with(&shard->rebuild, &admission);
    }
    return err;
}

void shard_open_scrub(struct shard *shard)
{
    const struct shard_options *options = &shard->options;
    const struct scrub_options scrub = {
        .disk = options->disk,
        .clock = options->clock,
        .journal = options->journal,
        .driver = shard->driver,
        .store = options->store,
        .bytes_per_s = options->scrub_rate,
        .interval_ms = options->scrub_interval_ms,
        .arg = shard,
        .wake = shard_wake,
        .busy = shard_disk_is_busy,
        .damaged = shard_damaged_by,
    };
    scrub_open(&shard->scrub, &scrub);
}

static unsigned or_default(unsigned value, unsigned otherwise)
{
    return value != 0 ? value : otherwise;
}

void shard_init_gateway(struct shard *shard)
{
    const struct shard_options *options = &shard->options;
    unsigned election_ms = or_default(options->election_timeout_ms, ELECTION_TIMEOUT_MS_DEFAULT);
    unsigned presence_ms = or_default(options->presence_timeout_ms, PRESENCE_ELECTIONS * election_ms);
    struct gateway_core_options gateway_options = {
        .machine = shard->machine,
        .disk = options->disk,
        .dir = options->dir,
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
        .clock_skew_ms = options->clock_skew_ms,
        .machine_version = or_default(options->machine_version, MACHINE_VERSION_MAX),
        .zone = options->zone,
        .preferred = options->preferred,
        .arg = shard,
        .send = shard_send,
        .memory_used = shard_memory_used,
        .at_work = shard_at_work_text,
        .relax = shard_relax,
        .diverged = shard_damaged_by,
        .repair = shard_repair,
        .alarm = shard_alarm,
        .wants_vote = shard_wants_vote,
        .fatal = shard_fatal,
    };
    gateway_core_init(&shard->gateway, &gateway_options);
}
