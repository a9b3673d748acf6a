/* Those who are served: a listener for each protocol, and bounds that they share. */

#include <stdio.h>
#include <string.h>

#include "node/node_private.h"
#include "proto/base/check.h"

/* Half of the clients' memory is for what they send, half for what they are sent. Where messages come in many frames (AMQP), half of
 * the first is for those that are not complete. */
static void bounds_init(struct node *node)
{
    const struct config *config = node->config;
    uint64_t half = config->client_memory_bytes / 2;
    uint64_t receiving = config->listen_amqp != NULL ? half / 2 : half;
    server_bounds_init(&node->clients, config->connections_max, receiving, half);
}

static struct server_options options_of(struct node *node, struct gateway *gateway, const char *listen_address)
{
    return (struct server_options){
        .loop = node->loop,
        .gateway = gateway,
        .journal = node->journal,
        .bounds = &node->clients,
        .listen_address = listen_address,
    };
}

static int listen_native(struct node *node, char *detail, size_t detail_len)
{
    struct gateway *gateway = node->shard != NULL ? shard_gateway(node->shard) : &node->patient_gateway.base;
    const struct native_server_options options = {.server = options_of(node, gateway, node->config->listen_client)};
    return native_server_start(&options, &node->server, detail, detail_len);
}

/* A patient serves nobody, and has only that to say, to operators; AMQP's clients look for another node when nobody listens. */
static int listen_amqp(struct node *node, char *detail, size_t detail_len)
{
    const struct config *config = node->config;
    if (config->listen_amqp == NULL || node->shard == NULL) {
        return 0;
    }
    const struct amqp_server_options options = {
        .server = options_of(node, shard_gateway(node->shard), config->listen_amqp),
        .content_max = config->client_memory_bytes / 4,
        .guest_from_anywhere = config->amqp_guest_from_anywhere,
    };
    int err = amqp_server_start(&options, &node->amqp, detail, detail_len);
    if (err != 0) {
        size_t len = strlen(detail);
        (void)snprintf(detail + len, detail_len - len,
                       " (for AMQP: listen_amqp in the configuration, or --amqp with --dev)");
    }
    return err;
}

int node_clients_listen(struct node *node, char *detail, size_t detail_len)
{
    bounds_init(node);
    int err = listen_native(node, detail, detail_len);
    return err == 0 ? listen_amqp(node, detail, detail_len) : err;
}

void node_clients_say(const struct node *node)
{
    if (node->amqp != NULL) {
        journal_info(node->journal, "node", "AMQP 0-9-1 at %s (port %u)", node->config->listen_amqp,
                     (unsigned)node_amqp_port(node));
    }
}

void node_clients_turn(struct node *node)
{
    if (node->amqp != NULL) {
        amqp_server_turn(node->amqp);
    }
}

bool node_clients_are_due(const struct node *node)
{
    return node->amqp != NULL && amqp_server_is_due(node->amqp);
}

static void on_native_closed(void *arg)
{
    struct node *node = arg;
    node->server = NULL;
    if (node->amqp == NULL) {
        node_clients_closed(node);
    }
}

static void on_amqp_closed(void *arg)
{
    struct node *node = arg;
    node->amqp = NULL;
    if (node->server == NULL) {
        node_clients_closed(node);
    }
}

/* AMQP's clients go to their next address when nobody listens; what they are told behind a handshake some of them take for the last
 * word. */
void node_clients_stop(struct node *node)
{
    if (node->amqp != NULL) {
        amqp_server_stop(node->amqp);
    }
}

void node_clients_close(struct node *node)
{
    if (node->server == NULL && node->amqp == NULL) {
        node_clients_closed(node);
        return;
    }
    /* Neither is closed before this returns. */
    if (node->amqp != NULL) {
        amqp_server_close(node->amqp, on_amqp_closed, node);
    }
    if (node->server != NULL) {
        native_server_close(node->server, on_native_closed, node);
    }
}

uint16_t node_client_port(const struct node *node)
{
    return native_server_port(node->server);
}

uint16_t node_amqp_port(const struct node *node)
{
    return node->amqp != NULL ? amqp_server_port(node->amqp) : 0;
}
