/* Its parts, in the order in which node.c opens them. */

#include "node_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "proto/base/check.h"

static uint64_t fixture_now(struct clock *base)
{
    struct system_clock *clock = container_of(base, struct system_clock, base);
    struct node *node = container_of(clock, struct node, clock);
    return container_of(node, struct node_fixture, node)->one.clock.now_ms;
}

static int never_received(void *arg, uint64_t from, const struct frame *frame)
{
    (void)arg;
    (void)from;
    (void)frame;
    return ERR_BROKEN;
}

static void never_changed(void *arg, uint64_t id, bool connected, const char *client_address)
{
    (void)arg;
    (void)id;
    (void)connected;
    (void)client_address;
}

static void on_closed(void *arg)
{
    ((struct node_fixture *)arg)->closed = true;
}

static void open_links(struct node_fixture *fixture)
{
    char detail[256] = "";
    const struct peer_links_options options = {
        .loop = &fixture->loop,
        .listen_address = "127.0.0.1:0",
        .node = 1,
        .cluster = "test",
        .incarnation = 1,
        .client_address = "",
        .received = never_received,
        .changed = never_changed,
    };
    cr_assert_eq(peer_links_start(&options, &fixture->node.peers, detail, sizeof detail), 0, "%s", detail);
}

void node_fixture_start(struct node_fixture *fixture)
{
    char detail[256] = "";
    *fixture = (struct node_fixture){0};
    struct node *node = &fixture->node;
    temp_dir_make(&fixture->dir);
    snprintf(fixture->path, sizeof fixture->path, "%s/data", fixture->dir.path);
    for (unsigned i = 0; i < 3; i++) {
        snprintf(fixture->addresses[i], sizeof fixture->addresses[i], "127.0.0.1:%u", i + 1);
        fixture->configured[i] = (struct config_member){
            .id = i + 1, .peer_address = fixture->addresses[i], .client_address = fixture->addresses[i], .zone = ""};
    }
    fixture->config = (struct config){.node = 1,
                                      .cluster = "test",
                                      .data_dir = fixture->path,
                                      .members = fixture->configured,
                                      .members_len = 3,
                                      .election_timeout_ms = 300};
    cr_assert_eq(uv_loop_init(&fixture->loop), 0);
    one_node_start(&fixture->one, NULL);
    node->loop = &fixture->loop;
    node->config = &fixture->config;
    node->shard = fixture->one.shard;
    system_clock_init(&node->clock);
    node->clock.base.monotonic_ms = fixture_now;
    cr_assert_eq(data_dir_open(fixture->path, "test", 1, &node->clock.base, &node->data_dir, detail, sizeof detail), 0,
                 "%s", detail);
    open_links(fixture);
}

void node_fixture_stop(struct node_fixture *fixture)
{
    peer_links_close(fixture->node.peers, on_closed, fixture);
    while (!fixture->closed) {
        (void)uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    data_dir_close(fixture->node.data_dir);
    one_node_stop(&fixture->one);
    (void)uv_run(&fixture->loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&fixture->loop), 0);
    temp_dir_remove(&fixture->dir);
}

void node_fixture_members_wait(struct node_fixture *fixture, uint64_t ms)
{
    fixture->one.clock.now_ms += ms;
    node_members_step(&fixture->node);
}

void node_fixture_change(struct node_fixture *fixture, enum driver_change_kind kind, uint64_t id)
{
    char address[32];
    uint64_t index;
    const char *why = "";
    snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)id);
    const struct driver_change change = {.kind = kind, .node = id, .address = address};
    cr_assert_eq(driver_change(shard_driver(fixture->one.shard), &change, &index, &why), 0, "%s", why);
    one_node_settle(&fixture->one);
    fixture->node.members_due = true;
    fixture->node.members_ms = 0;
}

bool node_fixture_has_link(const struct node_fixture *fixture, uint64_t id)
{
    struct peer_links_stats stats;
    return peer_links_stats(fixture->node.peers, id, &stats) == 0;
}
