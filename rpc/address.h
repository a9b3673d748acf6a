/* "host:port" as people write it. */

#ifndef HOLDFAST_RPC_ADDRESS_H
#define HOLDFAST_RPC_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/base/limits.h"

struct address {
    char host[ADDRESS_LEN_MAX + 1]; /* A name, an IPv4 address, or an IPv6 address without its brackets. */
    char port[6];                   /* Decimal, 0 to 65535. */
    uint16_t port_number;
};

/* Splits "host:port" or "[v6]:port". ERR_INVALID: anything else. */
int address_parse(const char *text, struct address *ret_address) NODISCARD;

/* Whether "address:port" or "[v6]:port", of numbers and as a socket's address is written, is one of this host's to itself:
 * 127.0.0.0/8, ::1, or the first within IPv6. */
bool address_is_loopback(const char *text);

#endif
