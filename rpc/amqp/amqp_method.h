/* A method of AMQP 0-9-1: the payload of a method frame, to a struct and back (§4.2.4). Pure; nothing is copied.
 *
 * amqp_methods.h lists them. Each has an id, such as AMQP_queue_declare, and a struct of its arguments, such as struct
 * amqp_queue_declare. */

#ifndef HOLDFAST_RPC_AMQP_AMQP_METHOD_H
#define HOLDFAST_RPC_AMQP_AMQP_METHOD_H

#include <stdbool.h>
#include <stdint.h>

#include "rpc/amqp/amqp_cursor.h"
#include "rpc/amqp/amqp_methods.h"

/* Class and method in one number. */
#define AMQP_ID(class_id, method_id) ((uint32_t)(class_id) << 16 | (uint32_t)(method_id))

enum amqp_id {
#define X(name, class_id, method_id, content) AMQP_##name = AMQP_ID(class_id, method_id),
    AMQP_METHODS(X)
#undef X
};

#define AMQP_CLASS_BASIC 60u

#define AMQP_C_OCTET uint8_t
#define AMQP_C_SHORT uint16_t
#define AMQP_C_LONG uint32_t
#define AMQP_C_LONGLONG uint64_t
#define AMQP_C_BIT bool
#define AMQP_C_SHORTSTR struct amqp_bytes
#define AMQP_C_LONGSTR struct amqp_bytes
#define AMQP_C_TABLE struct amqp_bytes
#define AMQP_MEMBER(unused, type, name) AMQP_C_##type name;

/* Each begins with its id. Strings and tables are borrowed from what was decoded. */
#define X(name, class_id, method_id, content)                                                                          \
    struct amqp_##name {                                                                                               \
        uint32_t id;                                                                                                   \
        AMQP_FIELDS_##name(AMQP_MEMBER, 0)                                                                             \
    };
AMQP_METHODS(X)
#undef X

union amqp_method {
    uint32_t id;
#define X(name, class_id, method_id, content) struct amqp_##name name;
    AMQP_METHODS(X)
#undef X
};

/* ERR_BROKEN: shorter than a class and a method. ERR_NOT_FOUND: no such method; *ret_method has its id. ERR_INVALID: its arguments
 * are cut short, or followed by something; likewise. */
int amqp_method_decode(struct amqp_bytes payload, union amqp_method *ret_method) NODISCARD;

/* Appends class, method and arguments. ERR_TOO_BIG: a short string is longer than 255 bytes. ERR_NOMEM. What was appended before an
 * error stays. */
int amqp_method_encode(const union amqp_method *method, struct bytes *bytes) NODISCARD;

/* Whether a content header and a body follow it. */
bool amqp_method_has_content(uint32_t id);

/* As "queue_declare"; "" for an unknown one. */
const char *amqp_method_name(uint32_t id);

#endif
