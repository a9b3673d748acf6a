/* Which protocols a node speaks, and what their clients share. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "node_fixture.h"
#include "proto/base/limits.h"

static struct node_fixture fixture;
static struct node *node;
static char listen_client[] = "127.0.0.1:0";
static char listen_amqp[32];
static unsigned closed;

static void setup(void)
{
    node_fixture_start(&fixture);
    node = &fixture.node;
    snprintf(listen_amqp, sizeof listen_amqp, "127.0.0.1:0");
    fixture.config.listen_client = listen_client;
    fixture.config.listen_amqp = listen_amqp;
    fixture.config.connections_max = 7;
    fixture.config.client_memory_bytes = 64 * MIB;
}

static void on_closed(void *arg)
{
    (void)arg;
    closed++;
}

static void teardown(void)
{
    unsigned servers = 0;
    if (node->amqp != NULL) {
        amqp_server_close(node->amqp, on_closed, NULL);
        servers++;
    }
    if (node->server != NULL) {
        native_server_close(node->server, on_closed, NULL);
        servers++;
    }
    while (closed < servers) {
        (void)uv_run(&fixture.loop, UV_RUN_ONCE);
    }
    node_fixture_stop(&fixture);
}

TestSuite(node_clients, .init = setup, .fini = teardown);

static void listen_well(void)
{
    char detail[256] = "";
    cr_assert_eq(node_clients_listen(node, detail, sizeof detail), 0, "%s", detail);
}

Test(node_clients, both_protocols_share_one_limit_and_one_memory)
{
    listen_well();
    cr_assert_neq(node_client_port(node), 0);
    cr_assert_neq(node_amqp_port(node), 0);
    cr_assert_neq(node_amqp_port(node), node_client_port(node));
    cr_assert_eq(node->clients.connections_max, 7u);
    /* A half of what clients send is for messages that come in frames: of half of all. */
    cr_assert_eq(node->clients.receiving.limit, 16 * MIB);
    cr_assert_eq(node->clients.sending.limit, 32 * MIB);
    cr_assert_not(node_clients_are_due(node));
    node_clients_turn(node);
}

Test(node_clients, without_an_address_amqp_is_not_spoken)
{
    fixture.config.listen_amqp = NULL;
    listen_well();
    cr_assert_null(node->amqp);
    cr_assert_eq(node_amqp_port(node), 0);
    cr_assert_eq(node->clients.receiving.limit, 32 * MIB);
    node_clients_turn(node);
    cr_assert_not(node_clients_are_due(node));
}

Test(node_clients, a_node_that_takes_no_part_does_not_listen_for_amqp)
{
    struct shard *shard = node->shard;
    node->shard = NULL;
    listen_well();
    node->shard = shard;
    cr_assert_not_null(node->server);
    cr_assert_null(node->amqp);
}

Test(node_clients, an_address_in_use_is_an_error_that_names_it)
{
    char detail[256] = "";
    listen_well();
    struct amqp_server *first = node->amqp;
    struct native_server *native = node->server;
    snprintf(listen_amqp, sizeof listen_amqp, "127.0.0.1:%u", (unsigned)node_amqp_port(node));
    cr_assert_eq(node_clients_listen(node, detail, sizeof detail), ERR_SYSTEM);
    cr_assert_not_null(strstr(detail, listen_amqp), "%s", detail);
    cr_assert_eq(node->amqp, first);
    native_server_close(native, NULL, NULL);
}

Test(node_clients, a_node_that_is_about_to_stop_does_not_listen_for_amqp)
{
    listen_well();
    uint16_t native = node_client_port(node);
    node_clients_stop(node);
    (void)uv_run(&fixture.loop, UV_RUN_NOWAIT);
    cr_assert_eq(node_amqp_port(node), 0);
    cr_assert_eq(node_client_port(node), native);
}
