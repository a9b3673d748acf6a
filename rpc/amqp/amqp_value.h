/* The values of arguments and headers, as those see them who look for something in them. */

#ifndef HOLDFAST_RPC_AMQP_AMQP_VALUE_H
#define HOLDFAST_RPC_AMQP_AMQP_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/arena.h"
#include "proto/wire/message.pb-c.h"

/* As RabbitMQ calls the type of a value: "longstr". */
const char *amqp_value_type(const Holdfast__Value *value);
/* A copy in the arena, with a zero behind it. NULL: no memory. */
char *amqp_value_copy(struct arena *arena, const ProtobufCBinaryData *bytes);
/* Of a string: a copy in the arena. NULL: there is a zero byte in it, or it is longer than NAME_LEN_MAX, or no memory. */
char *amqp_value_text(struct arena *arena, const Holdfast__Value *value);
/* Whether it is an integer of any width; one above INT64_MAX counts as that. */
bool amqp_value_integer(const Holdfast__Value *value, int64_t *ret_integer);

#endif
