/* A shard's part in rebuilds. */

#include "node/core/rebuild.h"

#include <inttypes.h>
#include <stdio.h>

#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "proto/base/limits.h"

/* So much more log than usual is held, in any case, for a node that fetches a copy; for a large one it is more. */
#define HELD_FACTOR 4u

/* How often a node that fetches a copy looks whether it needs it still. */
#define LACKS_MS 1000u

/* A node that has not needed a copy for so long after its start has caught up otherwise. */
#define LEFTOVER_MS 60000u

static void source_send(void *arg, uint64_t node, struct frame_out *frame)
{
    struct rebuild *rebuild = arg;
    (void)rebuild->options->bulk_send(rebuild->options->arg, node, false, frame);
}

static bool sink_send(void *arg, uint64_t node, struct frame_out *frame)
{
    struct rebuild *rebuild = arg;
    return rebuild->options->bulk_send(rebuild->options->arg, node, true, frame);
}

static void sink_hang_up(void *arg, uint64_t node)
{
    struct rebuild *rebuild = arg;
    rebuild->options->bulk_hang_up(rebuild->options->arg, node);
}

static void rebuild_wake(void *arg)
{
    struct rebuild *rebuild = arg;
    if (rebuild->options->wake != NULL) {
        rebuild->options->wake(rebuild->options->arg);
    }
}

static void sink_fatal(void *arg, int err, const char *what)
{
    struct rebuild *rebuild = arg;
    rebuild->options->fatal(rebuild->options->arg, err, what);
}

/* The copy counts for more than our log only as long as our log cannot go on to it: what we have acknowledged since the fetch
 * began may be what makes an entry committed. */
static void sink_ready(void *arg, const char *name, uint64_t index, uint64_t term)
{
    struct rebuild *rebuild = arg;
    if (!driver_lacks(rebuild->driver, index, term) && !fault_fires(FAULT_SKIP_LACKS)) {
        journal_info(rebuild->options->journal, "rebuild", "this node has caught up by itself: the copy is not needed");
        rebuild->needless = true;
        return;
    }
    rebuild->replaced = true;
    rebuild->options->replaced(rebuild->options->arg, name);
}

static int source_admits(void *arg, const struct rebuild_asks *asks, struct rebuild_says *ret_says)
{
    struct rebuild *rebuild = arg;
    const struct rebuild_admission *admission = &rebuild->admission;
    return admission->admits == NULL ? ERR_REFUSED : admission->admits(admission->arg, asks, ret_says);
}

static void source_address(void *arg, uint64_t node, char address[ADDRESS_LEN_MAX + 1])
{
    struct rebuild *rebuild = arg;
    if (rebuild->admission.address != NULL) {
        rebuild->admission.address(rebuild->admission.arg, node, address);
    }
}

static void confirm_done(struct gateway_read *read, int err)
{
    struct rebuild *rebuild = container_of(read, struct rebuild, read);
    rebuild->reading = false;
    if (!rebuild->replaced) {
        rebuild_source_confirmed(rebuild->source, err);
    }
}

static void source_confirm(void *arg)
{
    struct rebuild *rebuild = arg;
    struct gateway *gateway = rebuild->admission.gateway;
    CHECK(!rebuild->reading);
    rebuild->reading = true;
    rebuild->read.done = confirm_done;
    gateway->ops->read(gateway, &rebuild->read);
}

static void source_store_soon(void *arg, uint64_t index)
{
    struct rebuild *rebuild = arg;
    checkpointer_ask(rebuild->admission.checkpointer, index);
}

static bool source_gives(void *arg, uint64_t index, bool patient)
{
    const struct rebuild *rebuild = arg;
    return rebuild->admission.gives == NULL || rebuild->admission.gives(rebuild->admission.arg, index, patient);
}

static void source_suspected(void *arg, const char *what)
{
    struct rebuild *rebuild = arg;
    if (rebuild->admission.suspected != NULL) {
        rebuild->admission.suspected(rebuild->admission.arg, what);
    }
}

static int source_open(struct rebuild *rebuild)
{
    const struct shard_options *options = rebuild->options;
    const struct rebuild_source_options source = {
        .disk = options->disk,
        .store = options->store,
        .log = rebuild_log_of(rebuild->driver),
        .clock = options->clock,
        .journal = options->journal,
        .dir = options->dir,
        .held_len_granted =
            options->retain_len <= UINT64_MAX / HELD_FACTOR ? HELD_FACTOR * options->retain_len : UINT64_MAX,
        .disk_free_min = options->disk_free_min,
        .arg = rebuild,
        .send = source_send,
        .admits = source_admits,
        .address = source_address,
        .gives = source_gives,
        .confirm = source_confirm,
        .store_soon = source_store_soon,
        .suspected = source_suspected,
        .wake = rebuild_wake,
    };
    return rebuild_source_open(&source, &rebuild->source);
}

static int sink_open_copy(void *arg, const char *name, struct store **ret_store, char *detail, size_t detail_len)
{
    struct rebuild *rebuild = arg;
    return rebuild->options->open_copy(rebuild->options->arg, name, ret_store, detail, detail_len);
}

static int sink_open(struct rebuild *rebuild)
{
    const struct shard_options *options = rebuild->options;
    const struct rebuild_sink_options sink = {
        .disk = options->disk,
        .clock = options->clock,
        .journal = options->journal,
        .dir = options->dir,
        .rate = options->rebuild_rate,
        .disk_free_min = options->disk_free_min,
        .arg = rebuild,
        .open_copy = options->open_copy == NULL ? NULL : sink_open_copy,
        .send = sink_send,
        .hang_up = sink_hang_up,
        .ready = sink_ready,
        .wake = rebuild_wake,
        .fatal = sink_fatal,
    };
    return rebuild_sink_open(&sink, &rebuild->sink);
}

int rebuild_open(struct rebuild *rebuild, const struct shard_options *options, struct driver *driver)
{
    *rebuild = (struct rebuild){.options = options, .driver = driver};
    if (options->bulk_send == NULL) {
        return 0;
    }
    rebuild->look_ms = options->clock->monotonic_ms(options->clock) + LEFTOVER_MS;
    int err = source_open(rebuild);
    return err == 0 ? sink_open(rebuild) : err;
}

void rebuild_admit_with(struct rebuild *rebuild, const struct rebuild_admission *admission)
{
    CHECK(admission->admits != NULL && admission->gateway != NULL && admission->checkpointer != NULL);
    rebuild->admission = *admission;
}

void rebuild_close(struct rebuild *rebuild)
{
    if (rebuild->reading) {
        struct gateway *gateway = rebuild->admission.gateway;
        gateway->ops->read_cancel(gateway, &rebuild->read);
    }
    rebuild_sink_close(rebuild->sink);
    rebuild_source_close(rebuild->source);
    *rebuild = (struct rebuild){0};
}

void rebuild_behind(struct rebuild *rebuild, uint64_t leader)
{
    if (rebuild->sink != NULL && !rebuild->replaced) {
        rebuild_sink_want(rebuild->sink, leader);
    }
}

int rebuild_receive(struct rebuild *rebuild, uint64_t from, bool asking, const struct frame *frame)
{
    if (rebuild->sink == NULL || rebuild->replaced) {
        return 0;
    }
    return asking ? rebuild_sink_receive(rebuild->sink, from, frame)
                  : rebuild_source_receive(rebuild->source, from, frame);
}

void rebuild_lost(struct rebuild *rebuild, uint64_t node)
{
    if (rebuild->sink != NULL) {
        rebuild_sink_disconnected(rebuild->sink, node);
    }
}

void rebuild_connected(struct rebuild *rebuild, uint64_t node)
{
    if (rebuild->sink != NULL) {
        rebuild_sink_connected(rebuild->sink, node);
    }
}

/* A leader may yet find what this node lacks, and send it, while the copy is under way: a large one need not be fetched to its
 * end then. */
static void look_whether_it_lacks(struct rebuild *rebuild)
{
    struct rebuild_sink_status status;
    uint64_t now_ms = rebuild->options->clock->monotonic_ms(rebuild->options->clock);
    rebuild_sink_status(rebuild->sink, &status);
    if (!status.running || status.index == 0 || now_ms < rebuild->lacks_ms) {
        return;
    }
    rebuild->lacks_ms = now_ms + LACKS_MS;
    if (!driver_lacks(rebuild->driver, status.index, status.term)) {
        journal_info(rebuild->options->journal, "rebuild",
                     "this node has caught up by itself: the rest of the copy is not needed");
        rebuild_sink_cancel(rebuild->sink);
    }
}

static void look_after_leftovers(struct rebuild *rebuild)
{
    if (rebuild->options->clock->monotonic_ms(rebuild->options->clock) < rebuild->look_ms) {
        return;
    }
    rebuild->look_ms = UINT64_MAX;
    if (!rebuild_running(rebuild)) {
        rebuild_sink_cancel(rebuild->sink);
    }
}

void rebuild_step(struct rebuild *rebuild)
{
    if (rebuild->sink == NULL || rebuild->replaced) {
        return;
    }
    look_after_leftovers(rebuild);
    look_whether_it_lacks(rebuild);
    rebuild_source_step(rebuild->source);
    rebuild_sink_step(rebuild->sink);
    if (rebuild->needless) {
        rebuild->needless = false;
        rebuild_sink_cancel(rebuild->sink);
    }
}

uint64_t rebuild_deadline_ms(const struct rebuild *rebuild)
{
    if (rebuild->sink == NULL || rebuild->replaced) {
        return UINT64_MAX;
    }
    uint64_t source_ms = rebuild_source_deadline_ms(rebuild->source);
    uint64_t sink_ms = rebuild_sink_deadline_ms(rebuild->sink);
    uint64_t first_ms = source_ms < sink_ms ? source_ms : sink_ms;
    return first_ms < rebuild->look_ms ? first_ms : rebuild->look_ms;
}

static struct rebuild_sink_status sink_status(const struct rebuild *rebuild)
{
    struct rebuild_sink_status status = {0};
    if (rebuild->sink != NULL) {
        rebuild_sink_status(rebuild->sink, &status);
    }
    return status;
}

bool rebuild_running(const struct rebuild *rebuild)
{
    return sink_status(rebuild).running;
}

const char *rebuild_alarm(struct rebuild *rebuild)
{
    struct rebuild_sink_status status = sink_status(rebuild);
    if (!status.running || status.room_needed == 0) {
        return "";
    }
    char room[REBUILD_SINK_ROOM_LEN];
    rebuild_sink_room_text(&status, room);
    (void)snprintf(rebuild->alarm, sizeof rebuild->alarm, "is too far behind; %s", room);
    return rebuild->alarm;
}

const char *rebuild_text(struct rebuild *rebuild)
{
    struct rebuild_sink_status status = sink_status(rebuild);
    if (!status.running) {
        return NULL;
    }
    (void)snprintf(rebuild->text, sizeof rebuild->text,
                   "is too far behind: fetches a copy of the state of node %" PRIu64 ", %" PRIu64 " of %" PRIu64
                   " MiB are here",
                   status.source, status.bytes_here / MIB, (status.bytes_total + MIB - 1) / MIB);
    return rebuild->text;
}

bool rebuild_idle(const struct rebuild *rebuild)
{
    return rebuild->sink == NULL || (rebuild_sink_idle(rebuild->sink) && rebuild_source_idle(rebuild->source));
}
