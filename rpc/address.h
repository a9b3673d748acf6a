/* "host:port" as people write it. */

#ifndef HOLDFAST_RPC_ADDRESS_H
#define HOLDFAST_RPC_ADDRESS_H

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

#endif
