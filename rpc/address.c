/* Splitting of addresses. */

#include "rpc/address.h"

#include <stdio.h>
#include <string.h>

static int port_parse(const char *text, uint16_t *ret_port)
{
    size_t len = strlen(text);
    if (len == 0 || len > 5 || strspn(text, "0123456789") != len) {
        return ERR_INVALID;
    }
    uint32_t port = 0;
    for (size_t i = 0; i < len; i++) {
        port = port * 10 + (uint32_t)(text[i] - '0');
    }
    if (port > UINT16_MAX) {
        return ERR_INVALID;
    }
    *ret_port = (uint16_t)port;
    return 0;
}

/* Names and numbers have none of these, and whoever shows or stores an address counts on that. */
static bool has_blanks_or_controls(const char *host, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)host[i] <= 0x20 || host[i] == 0x7f) {
            return true;
        }
    }
    return false;
}

int address_parse(const char *text, struct address *ret_address)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL) {
        return ERR_INVALID;
    }
    const char *host = text;
    size_t host_len = (size_t)(colon - text);
    if (host_len >= 2 && host[0] == '[' && host[host_len - 1] == ']') {
        host++;
        host_len -= 2;
    } else if (memchr(host, ':', host_len) != NULL) {
        return ERR_INVALID; /* IPv6 without brackets: where the port begins would be a guess. */
    }
    if (host_len == 0 || host_len > ADDRESS_LEN_MAX || has_blanks_or_controls(host, host_len)) {
        return ERR_INVALID;
    }
    struct address address;
    int err = port_parse(colon + 1, &address.port_number);
    if (err != 0) {
        return err;
    }
    memcpy(address.host, host, host_len);
    address.host[host_len] = '\0';
    (void)snprintf(address.port, sizeof address.port, "%u", (unsigned)address.port_number);
    *ret_address = address;
    return 0;
}

bool address_is_loopback(const char *text)
{
    static const char *const beginnings[] = {"127.", "[::1]:", "[::ffff:127."};
    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
        if (strncmp(text, beginnings[i], strlen(beginnings[i])) == 0) {
            return true;
        }
    }
    return false;
}
