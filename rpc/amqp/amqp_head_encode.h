/* Encoding the head of a message: what holdfast__message_head__pack() makes, for the price of the fields that are there. */

#ifndef HOLDFAST_RPC_AMQP_AMQP_HEAD_ENCODE_H
#define HOLDFAST_RPC_AMQP_AMQP_HEAD_ENCODE_H

#include "proto/base/bytes.h"
#include "proto/wire/message.pb-c.h"

/* Appends the encoded head. ERR_TOO_BIG: it has more than `len_max` bytes. ERR_NOMEM. Nothing has been appended then. */
int amqp_head_encode(const Holdfast__MessageHead *head, size_t len_max, struct bytes *bytes) NODISCARD;

#endif
