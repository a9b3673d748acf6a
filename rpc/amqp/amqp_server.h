/* The listener of AMQP 0-9-1: accepts clients, up to a limit, and keeps their connections. */

#ifndef HOLDFAST_RPC_AMQP_AMQP_SERVER_H
#define HOLDFAST_RPC_AMQP_AMQP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "rpc/server_options.h"

struct amqp_server;

struct amqp_server_options {
    struct server_options server; /* A client is known when it has sent Connection.Open. */
    uint64_t content_max;         /* Bytes of messages that are being received, together; 0: 64 MiB. */
    bool guest_from_anywhere;     /* User "guest" may come from other hosts as well. */
    uint64_t close_timeout_ms;    /* From our Connection.Close to the client's answer; 0: 5000. */
};

/* ERR_INVALID, ERR_SYSTEM, ERR_NOMEM; `detail` gets one line on error. */
int amqp_server_start(const struct amqp_server_options *options, struct amqp_server **ret_server, char *detail,
                      size_t detail_len) NODISCARD;

uint16_t amqp_server_port(const struct amqp_server *server);
unsigned amqp_server_connections(const struct amqp_server *server);

/* The end of a turn of the loop, before the gateway's own: what frames have gathered is given to the gateway, answers go out. */
void amqp_server_turn(struct amqp_server *server);
/* Whether there is something to do in a turn: callbacks of the gateway may have left something since the last. */
bool amqp_server_is_due(const struct amqp_server *server);

/* Takes no more connections: the node is going to stop, and clients are to look for another one. */
void amqp_server_stop(struct amqp_server *server);

/* Stops listening, says Connection.Close to all clients, detaches their sessions from the gateway before it returns, and closes.
 * `closed` (may be NULL) is called when nothing is left, after at most two seconds or so; the server is freed then. */
void amqp_server_close(struct amqp_server *server, void (*closed)(void *arg), void *arg);

#endif
