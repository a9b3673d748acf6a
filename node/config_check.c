/* Checks of a configuration that a schema cannot say. */

#include <stdbool.h>
#include <string.h>

#include "node/config_private.h"
#include "node/core/zone.h"
#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "rpc/address.h"

/* Upper bound of ids: far from where arithmetic on them could wrap. */
#define ID_MAX UINT32_MAX

#define wrong_member(loading, member, key, ...)                                                                        \
    config_wrong_at(loading, config_text_member_line((loading)->text, member, key), key, __VA_ARGS__)

static bool is_address(const char *text)
{
    struct address address;
    return address_parse(text, &address) == 0 && address.port_number != 0;
}

static int check_address(const struct config_loading *loading, unsigned line, const char *key, const char *text)
{
    if (!is_address(text)) {
        return config_wrong_at(loading, line, key, "not host:port, with a port from 1 to 65535: '%s'", text);
    }
    return 0;
}

/* Whether one of the members before `i`, or the other address of member `i`, is at the same address. */
static int check_address_unused(const struct config_loading *loading, unsigned i, const char *key, const char *text)
{
    const struct config_file_member *members = loading->file->members;
    for (unsigned j = 0; j < i; j++) {
        if (strcmp(members[j].peer, text) == 0 || strcmp(members[j].client, text) == 0) {
            return wrong_member(loading, i, key, "%s is also an address of member %llu", text,
                                (unsigned long long)members[j].id);
        }
    }
    return 0;
}

/* A key that a member need not have cannot be found by counting: its line is that of the member's id. */
static int check_zone(const struct config_loading *loading, unsigned i)
{
    const char *zone = loading->file->members[i].zone;
    if (zone != NULL && !zone_name_valid(zone)) {
        return config_wrong_at(loading, config_text_member_line(loading->text, i, "id"), "zone",
                               "must be 1 to %u of the letters, digits, '.', '_' and '-': '%s'", ZONE_LEN_MAX, zone);
    }
    return 0;
}

static int check_member(const struct config_loading *loading, unsigned i)
{
    const struct config_file_member *member = &loading->file->members[i];
    if (member->id == 0 || member->id > ID_MAX) {
        return wrong_member(loading, i, "id", "must be from 1 to %u", ID_MAX);
    }
    for (unsigned j = 0; j < i; j++) {
        if (loading->file->members[j].id == member->id) {
            return wrong_member(loading, i, "id", "two members have id %llu", (unsigned long long)member->id);
        }
    }
    int err = check_address(loading, config_text_member_line(loading->text, i, "peer"), "peer", member->peer);
    if (err == 0) {
        err = check_address(loading, config_text_member_line(loading->text, i, "client"), "client", member->client);
    }
    if (err == 0 && strcmp(member->peer, member->client) == 0) {
        return wrong_member(loading, i, "client", "%s is also the address for peers", member->client);
    }
    if (err == 0) {
        err = check_address_unused(loading, i, "peer", member->peer);
    }
    if (err == 0) {
        err = check_address_unused(loading, i, "client", member->client);
    }
    return err == 0 ? check_zone(loading, i) : err;
}

static int check_node(const struct config_loading *loading)
{
    const struct config_file *file = loading->file;
    if (file->join && file->members_count < 2) {
        return config_wrong(loading, "join", "a node that joins needs those that are there among the members");
    }
    for (unsigned i = 0; i < file->members_count; i++) {
        if (file->members[i].id == file->node) {
            return 0;
        }
    }
    return config_wrong(loading, "node", "%llu is not the id of one of the members", (unsigned long long)file->node);
}

bool config_amqp_is_off(const char *listen_amqp)
{
    return listen_amqp == NULL || strcmp(listen_amqp, "off") == 0;
}

static int check_listening(const struct config_loading *loading)
{
    const struct config_file *file = loading->file;
    int err = 0;
    if (file->listen_client != NULL) {
        err = check_address(loading, config_text_line(loading->text, "listen_client"), "listen_client",
                            file->listen_client);
    }
    if (err == 0 && file->listen_peer != NULL) {
        err = check_address(loading, config_text_line(loading->text, "listen_peer"), "listen_peer", file->listen_peer);
    }
    if (err == 0 && !config_amqp_is_off(file->listen_amqp) && !is_address(file->listen_amqp)) {
        err = config_wrong(loading, "listen_amqp", "neither off nor host:port, with a port from 1 to 65535: '%s'",
                           file->listen_amqp);
    }
    return err;
}

int config_check_file(const struct config_loading *loading)
{
    const struct config_file *file = loading->file;
    if (name_check(file->cluster, strlen(file->cluster)) != 0) {
        return config_wrong(loading, "cluster", "must be 1 to %u bytes of UTF-8 without control characters",
                            NAME_LEN_MAX);
    }
    int err = 0;
    for (unsigned i = 0; err == 0 && i < file->members_count; i++) {
        err = check_member(loading, i);
    }
    if (err == 0) {
        err = check_node(loading);
    }
    return err == 0 ? check_listening(loading) : err;
}
