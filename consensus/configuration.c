/* Membership as bytes, with bounds checked. */

#include "consensus/configuration.h"

#include <string.h>

#include "proto/base/bytes.h"
#include "proto/base/limits.h"

#define CONFIGURATION_FORMAT 1

/* Adds the server at `*at`, and moves behind it. */
static int server_decode(const uint8_t *data, size_t len, size_t *at, struct raft_configuration *configuration)
{
    if (len - *at < 8) {
        return ERR_INVALID;
    }
    uint64_t id = get_u64(data + *at);
    const char *address = (const char *)data + *at + 8;
    size_t left = len - *at - 8;
    const char *end = memchr(address, 0, left);
    if (end == NULL) {
        return ERR_INVALID;
    }
    size_t address_len = (size_t)(end - address);
    if (address_len > ADDRESS_LEN_MAX || left - address_len - 1 < 1) {
        return ERR_INVALID;
    }
    int role = (uint8_t)address[address_len + 1];
    if (id == 0 || (role != RAFT_VOTER && role != RAFT_STANDBY)) {
        return ERR_INVALID; /* No node makes such a member. The engine only asserts that there is none with id 0. */
    }
    int rv = raft_configuration_add(configuration, id, address, role);
    if (rv != 0) {
        return rv == RAFT_NOMEM ? ERR_NOMEM : ERR_INVALID;
    }
    *at += 8 + address_len + 2;
    return 0;
}

int configuration_decode(const void *data, size_t len, struct raft_configuration *ret_configuration)
{
    const uint8_t *p = data;
    if (len < 9 || p[0] != CONFIGURATION_FORMAT) {
        return ERR_INVALID;
    }
    uint64_t count = get_u64(p + 1);
    if (count == 0 || count > MEMBERS_MAX) {
        return ERR_INVALID;
    }
    struct raft_configuration configuration;
    raft_configuration_init(&configuration);
    size_t at = 9;
    for (uint64_t i = 0; i < count; i++) {
        int err = server_decode(p, len, &at, &configuration);
        if (err != 0) {
            raft_configuration_close(&configuration);
            return err;
        }
    }
    *ret_configuration = configuration;
    return 0;
}

int configuration_encode(const struct raft_configuration *configuration, struct slice *ret_bytes)
{
    struct raft_buffer buffer;
    int rv = raft_configuration_encode(configuration, &buffer);
    if (rv != 0) {
        return ERR_NOMEM;
    }
    int err = slice_copy(buffer.base, buffer.len, ret_bytes);
    raft_free(buffer.base);
    return err;
}

int configuration_copy(const struct raft_configuration *source, struct raft_configuration *ret_copy)
{
    struct raft_configuration copy;
    raft_configuration_init(&copy);
    for (unsigned i = 0; i < source->n; i++) {
        const struct raft_server *server = &source->servers[i];
        if (raft_configuration_add(&copy, server->id, server->address, server->role) != 0) {
            raft_configuration_close(&copy);
            return ERR_NOMEM;
        }
    }
    *ret_copy = copy;
    return 0;
}

const struct raft_server *configuration_find(const struct raft_configuration *configuration, raft_id id)
{
    for (unsigned i = 0; i < configuration->n; i++) {
        if (configuration->servers[i].id == id) {
            return &configuration->servers[i];
        }
    }
    return NULL;
}

unsigned configuration_voters(const struct raft_configuration *configuration)
{
    unsigned voters = 0;
    for (unsigned i = 0; i < configuration->n; i++) {
        voters += configuration->servers[i].role == RAFT_VOTER;
    }
    return voters;
}

bool configuration_votes(const struct raft_configuration *configuration, raft_id id)
{
    const struct raft_server *server = configuration_find(configuration, id);
    return server != NULL && server->role == RAFT_VOTER;
}

bool configuration_equal(const struct raft_configuration *a, const struct raft_configuration *b)
{
    bool equal = a->n == b->n;
    for (unsigned i = 0; i < a->n && equal; i++) {
        const struct raft_server *server = &a->servers[i];
        const struct raft_server *other = configuration_find(b, server->id);
        equal = other != NULL && other->role == server->role && strcmp(other->address, server->address) == 0;
    }
    return equal;
}
