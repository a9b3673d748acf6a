/* The fake gateway. */

#include "fake_gateway_looks.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"

static struct fake_gateway *fake_of(struct gateway *gateway)
{
    return container_of(gateway, struct fake_gateway, base);
}

static int fake_leader(struct gateway *gateway, struct gateway_leader *ret_leader)
{
    struct fake_gateway *fake = fake_of(gateway);
    *ret_leader = fake->leader;
    return fake->leader_err;
}

static int fake_attach(struct gateway *gateway, const struct gateway_attach *attach, const struct gateway_sink *sink,
                       struct gateway_link **ret_link)
{
    struct fake_gateway *fake = fake_of(gateway);
    CHECK(!fake->attached);
    fake->attaches++;
    if (fake->attach_err != 0) {
        return fake->attach_err;
    }
    fake->last_attach = *attach;
    (void)snprintf(fake->last_virtual_host, sizeof fake->last_virtual_host, "%s", attach->virtual_host);
    (void)snprintf(fake->last_user, sizeof fake->last_user, "%s", attach->user);
    (void)snprintf(fake->last_client, sizeof fake->last_client, "%s", attach->client);
    fake->last_seen = attach->consumers_len > 0 ? attach->seen[attach->consumers_len - 1] : 0;
    fake->sink = *sink;
    fake->attached = true;
    fake->link.gateway = gateway;
    *ret_link = &fake->link;
    return 0;
}

static int fake_submit(struct gateway_link *link, uint64_t number, uint64_t answered, struct slice header,
                       struct slice bodies)
{
    struct fake_gateway *fake = fake_of(link->gateway);
    CHECK(fake->attached);
    if (fake->submit_err != 0) {
        return fake->submit_err;
    }
    unsigned at = fake->commands++ % FAKE_COMMANDS_MAX;
    fake->numbers[at] = number;
    fake->last_answered = answered;
    fake->answered[at] = answered;
    if (fake->keeps) {
        slice_unref(&fake->headers[at]);
        slice_unref(&fake->bodies[at]);
        fake->headers[at] = slice_ref(header);
        fake->bodies[at] = slice_ref(bodies);
    }
    slice_unref(&fake->last_header);
    slice_unref(&fake->last_bodies);
    fake->last_header = slice_ref(header);
    fake->last_bodies = slice_ref(bodies);
    return 0;
}

static void fake_pause(struct gateway_link *link, bool paused)
{
    struct fake_gateway *fake = fake_of(link->gateway);
    CHECK(fake->attached);
    fake->pauses++;
    fake->paused = paused;
}

static void fake_detach(struct gateway_link *link)
{
    struct fake_gateway *fake = fake_of(link->gateway);
    CHECK(fake->attached);
    fake->attached = false;
    fake->detaches++;
}

static void fake_read(struct gateway *gateway, struct gateway_read *read)
{
    struct fake_gateway *fake = fake_of(gateway);
    fake->reads++;
    list_push_back(&fake->reading, &read->node);
}

static void fake_read_cancel(struct gateway *gateway, struct gateway_read *read)
{
    (void)gateway;
    list_remove(&read->node);
}

static void fake_queue_fill(unsigned i, char name[16], struct gateway_queue *queue)
{
    (void)snprintf(name, 16, "q%06u", i);
    *queue = (struct gateway_queue){
        .name = name,
        .ready = i,
        .unsettled = i + 1,
        .consumers = i + 2,
        .enqueued = i + 3,
        .delivered = i + 4,
        .settled = i + 5,
        .released = i + 6,
        .oldest_ms = i + 7,
    };
}

static int fake_queues(struct gateway *gateway, const char *virtual_host, const char *after, void *arg,
                       bool (*each)(void *arg, const struct gateway_queue *queue), bool *ret_more)
{
    struct fake_gateway *fake = fake_of(gateway);
    fake->looks += !fake->in_read;
    if (fake->queues_err != 0) {
        return fake->queues_err;
    }
    (void)virtual_host;
    for (unsigned i = 0; i < fake->queues; i++) {
        char name[16];
        struct gateway_queue queue;
        fake_queue_fill(i, name, &queue);
        if (strcmp(name, after) <= 0) {
            continue;
        }
        if (!each(arg, &queue)) {
            *ret_more = true;
            return 0;
        }
    }
    *ret_more = false;
    return 0;
}

/* The number of a queue that there is. */
static int fake_find(const struct fake_gateway *fake, const char *name, unsigned *ret_i)
{
    unsigned i;
    if (sscanf(name, "q%6u", &i) != 1 || i >= fake->queues) {
        return ERR_NOT_FOUND;
    }
    *ret_i = i;
    return 0;
}

static int fake_queue(struct gateway *gateway, const char *virtual_host, const char *name,
                      struct gateway_queue *ret_queue)
{
    static _Thread_local char kept[16];
    struct fake_gateway *fake = fake_of(gateway);
    fake->looks += !fake->in_read;
    (void)virtual_host;
    if (fake->queue_is != NULL) {
        *ret_queue = *fake->queue_is;
        return strcmp(name, fake->queue_is->name) == 0 ? 0 : ERR_NOT_FOUND;
    }
    unsigned i;
    int err = fake_find(fake, name, &i);
    if (err == 0) {
        fake_queue_fill(i, kept, ret_queue);
    }
    return err;
}

static int fake_browse(struct gateway *gateway, const char *virtual_host, const char *name, uint64_t position,
                       bool kept, void *arg, bool (*each)(void *arg, const struct gateway_browsed *message),
                       bool *ret_more)
{
    struct fake_gateway *fake = fake_of(gateway);
    fake->looks += !fake->in_read;
    (void)virtual_host;
    (void)kept;
    unsigned i;
    int err = fake_find(fake, name, &i);
    if (err != 0) {
        return err;
    }
    *ret_more = false;
    for (uint64_t at = position > 0 ? position : 1; at <= fake->messages; at++) {
        struct gateway_browsed message = {
            .position = at, .enqueued_ms = 2, .body_hash = 3, .delivery_count = 4, .locked = true, .body = fake->body};
        if (!each(arg, &message)) {
            *ret_more = at < fake->messages;
            return 0;
        }
    }
    return 0;
}

static int fake_transfer(struct gateway *gateway, uint64_t node)
{
    struct fake_gateway *fake = fake_of(gateway);
    fake->last_transfer = node;
    return fake->transfer_err;
}

static void fake_change(struct gateway *gateway, struct gateway_change *change)
{
    struct fake_gateway *fake = fake_of(gateway);
    fake->changes++;
    list_push_back(&fake->changing, &change->link);
}

static void fake_change_cancel(struct gateway *gateway, struct gateway_change *change)
{
    fake_of(gateway)->cancels++;
    list_remove(&change->link);
}

static int fake_repair(struct gateway *gateway, uint64_t node)
{
    struct fake_gateway *fake = fake_of(gateway);
    fake->last_repair = node;
    return fake->repair_err;
}

static void fake_status(struct gateway *gateway, struct gateway_status *ret_status)
{
    (void)gateway;
    *ret_status = (struct gateway_status){
        .cluster = "test",
        .node = 1,
        .leader = 2,
        .term = 3,
        .commit_index = 4,
        .log_time_ms = 5,
        .version = "9.9",
        .sessions = 6,
        .refusing = "the disks are full",
        .members = {{.id = 1, .peer_address = "a:1", .client_address = "a:2", .role = "learner", .detail = "fine"},
                    {.id = 2,
                     .peer_address = "b:1",
                     .client_address = "b:2",
                     .role = "leader",
                     .connected = true,
                     .voter = true,
                     .preferred = true,
                     .zone = "west"}},
        .members_len = 2,
        .alarms = {"node 1: on fire", "node 2: under water"},
        .alarms_len = 2,
    };
}

static const struct gateway_ops fake_ops = {
    .leader = fake_leader,
    .attach = fake_attach,
    .submit = fake_submit,
    .pause = fake_pause,
    .detach = fake_detach,
    .read = fake_read,
    .read_cancel = fake_read_cancel,
    .queues = fake_queues,
    .queue = fake_queue,
    .browse = fake_browse,
    .exchanges = fake_exchanges,
    .bindings = fake_bindings,
    .virtual_hosts = fake_virtual_hosts,
    .life = fake_life,
    .consumers = fake_consumers,
    .limits = fake_limits,
    .producer = fake_producer,
    .prepared = fake_prepared,
    .transfer = fake_transfer,
    .change = fake_change,
    .change_cancel = fake_change_cancel,
    .repair = fake_repair,
    .status = fake_status,
};

void fake_gateway_init(struct fake_gateway *fake)
{
    *fake = (struct fake_gateway){.base.ops = &fake_ops, .leader = {.node = 1, .address = "here:1"}};
    list_init(&fake->reading);
    list_init(&fake->changing);
}

void fake_gateway_done(struct fake_gateway *fake)
{
    CHECK(list_empty(&fake->reading));
    CHECK(list_empty(&fake->changing));
    slice_unref(&fake->last_header);
    slice_unref(&fake->last_bodies);
    for (unsigned i = 0; i < FAKE_COMMANDS_MAX; i++) {
        slice_unref(&fake->headers[i]);
        slice_unref(&fake->bodies[i]);
    }
}

unsigned fake_gateway_read_done(struct fake_gateway *fake, int err)
{
    /* Those that are asked for from within done() are for the next time. */
    struct list_node due;
    list_init(&due);
    while (!list_empty(&fake->reading)) {
        struct list_node *node = list_first(&fake->reading);
        list_remove(node);
        list_push_back(&due, node);
    }
    unsigned count = 0;
    for (struct list_node *node = list_first(&due); node != NULL; node = list_first(&due)) {
        list_remove(node);
        struct gateway_read *read = container_of(node, struct gateway_read, node);
        fake->in_read = err == 0;
        read->done(read, err);
        fake->in_read = false;
        count++;
    }
    return count;
}

const struct gateway_change *fake_gateway_changing(struct fake_gateway *fake)
{
    struct list_node *node = list_first(&fake->changing);
    return node == NULL ? NULL : container_of(node, struct gateway_change, link);
}

void fake_gateway_change_done(struct fake_gateway *fake, int err, const char *detail)
{
    struct list_node *node = list_first(&fake->changing);
    CHECK(node != NULL);
    struct gateway_change *change = container_of(node, struct gateway_change, link);
    list_remove(node);
    change->done(change, err, detail);
}

void fake_gateway_detach(struct fake_gateway *fake, int err, const char *detail, const struct gateway_leader *leader)
{
    CHECK(fake->attached);
    fake->attached = false;
    fake->sink.detached(fake->sink.arg, err, detail, leader);
}
