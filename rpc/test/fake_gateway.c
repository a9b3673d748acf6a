/* The fake gateway. */

#include "fake_gateway.h"

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
    fake->numbers[fake->commands++ % FAKE_COMMANDS_MAX] = number;
    fake->last_answered = answered;
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

static int fake_queues(struct gateway *gateway, const char *after, size_t max, const struct gateway_query_sink *sink,
                       bool *ret_more)
{
    struct fake_gateway *fake = fake_of(gateway);
    if (fake->queues_err != 0) {
        return fake->queues_err;
    }
    unsigned sent = 0;
    for (unsigned i = 0; i < fake->queues; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "q%06u", i);
        if (strcmp(name, after) <= 0) {
            continue;
        }
        if (sent == max) {
            *ret_more = true;
            return 0;
        }
        sent++;
        sink->queue(sink->arg, name, i, i + 1, i + 2);
    }
    *ret_more = false;
    return 0;
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
        .version = "9.9",
        .members = {{.id = 1, .peer_address = "a:1", .client_address = "a:2", .role = "follower", .detail = "fine"},
                    {.id = 2, .peer_address = "b:1", .client_address = "b:2", .role = "leader", .connected = true}},
        .members_len = 2,
    };
}

static const struct gateway_ops fake_ops = {
    .leader = fake_leader,
    .attach = fake_attach,
    .submit = fake_submit,
    .pause = fake_pause,
    .detach = fake_detach,
    .queues = fake_queues,
    .status = fake_status,
};

void fake_gateway_init(struct fake_gateway *fake)
{
    *fake = (struct fake_gateway){.base.ops = &fake_ops, .leader = {.node = 1, .address = "here:1"}};
}

void fake_gateway_done(struct fake_gateway *fake)
{
    slice_unref(&fake->last_header);
    slice_unref(&fake->last_bodies);
}

void fake_gateway_detach(struct fake_gateway *fake, int err, const char *detail, const struct gateway_leader *leader)
{
    CHECK(fake->attached);
    fake->attached = false;
    fake->sink.detached(fake->sink.arg, err, detail, leader);
}
