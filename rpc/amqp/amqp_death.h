/* The headers that tell of a dead letter: RabbitMQ's x-death and x-first-death-*, made of the machine's Trail. */

#ifndef HOLDFAST_RPC_AMQP_AMQP_DEATH_H
#define HOLDFAST_RPC_AMQP_AMQP_DEATH_H

#include <stdbool.h>

#include "proto/base/arena.h"
#include "proto/base/err.h"
#include "proto/wire/message.pb-c.h"

/* As many headers are made, at most. */
#define AMQP_DEATH_HEADERS_MAX 4u

/* Of a trail with at least one death. A history that its publisher has sent with it (who republishes a dead letter with its headers goes on
 * with it, as with RabbitMQ 3) is older than the trail, and follows: what is in both is counted together. What is made lies in the arena, or
 * is borrowed of the two. ERR_NOMEM. */
int amqp_death_headers(const Holdfast__Trail *trail, const Holdfast__MessageHead *head, struct arena *arena,
                       Holdfast__Header *ret_headers[AMQP_DEATH_HEADERS_MAX], size_t *ret_len) NODISCARD;

/* Whether a publisher's header of that name makes way for those. */
bool amqp_death_replaces(const Holdfast__MessageHead *head, const char *name);

#endif
