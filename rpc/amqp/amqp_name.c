/* Names in methods: checked, copied; those of queues that a channel need not repeat; those that are made up here. */

#include <string.h>
#include <sys/random.h>

#include "proto/base/check.h"
#include "rpc/amqp/amqp_session_private.h"

/* A copy in the arena, without line breaks, which RabbitMQ leaves out of names. NULL: the session has failed. */
static char *name_copy(struct amqp_session *session, struct amqp_bytes name)
{
    char *copy = arena_alloc(&session->arena, name.len + 1);
    if (copy == NULL) {
        amqp_session_fail(session, ERR_NOMEM);
        return NULL;
    }
    size_t len = 0;
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] != '\r' && name.data[i] != '\n') {
            copy[len++] = (char)name.data[i];
        }
    }
    copy[len] = '\0';
    return copy;
}

char *amqp_name(struct amqp_channel *channel, uint32_t id, const char *what, struct amqp_bytes name)
{
    if (name.len > 0 && memchr(name.data, '\0', name.len) != NULL) {
        amqp_channel_error(channel, AMQP_PRECONDITION_FAILED, id, "a zero byte in the name of the %s", what);
        return NULL;
    }
    char *copy = name_copy(channel->session, name);
    if (copy == NULL || copy[0] == '\0') {
        return copy;
    }
    int err = name_check(copy, strlen(copy));
    if (err != 0) {
        amqp_channel_error(channel, AMQP_PRECONDITION_FAILED, id, "the name of the %s %s", what,
                           err == ERR_UTF8 ? "is not UTF-8" : "has a control character in it");
        return NULL;
    }
    return copy;
}

char *amqp_queue_name(struct amqp_channel *channel, uint32_t id, struct amqp_bytes name)
{
    if (name.len > 0) {
        return amqp_name(channel, id, "queue", name);
    }
    if (channel->last_queue == NULL) {
        amqp_channel_error(channel, AMQP_NOT_FOUND, id, "no previously declared queue");
        return NULL;
    }
    return name_copy(channel->session, amqp_text(channel->last_queue));
}

char *amqp_key(struct amqp_channel *channel, uint32_t id, struct amqp_bytes key)
{
    char *copy = arena_alloc(&channel->session->arena, key.len + 1);
    if (copy == NULL) {
        amqp_session_fail(channel->session, ERR_NOMEM);
        return NULL;
    }
    if (key.len > 0) {
        memcpy(copy, key.data, key.len);
    }
    copy[key.len] = '\0';
    if (strlen(copy) != key.len || !bytes_are_utf8(copy, key.len)) {
        amqp_channel_error(channel, AMQP_PRECONDITION_FAILED, id,
                           "a routing key is not UTF-8, or has a zero byte in it");
        return NULL;
    }
    return copy;
}

bool amqp_arguments(struct amqp_channel *channel, uint32_t id, struct amqp_bytes table,
                    struct amqp_headers *ret_headers)
{
    int err = amqp_table_decode(table, &channel->session->arena, ret_headers);
    if (err == ERR_INVALID) {
        amqp_connection_error(channel->session, AMQP_SYNTAX_ERROR, id, "the table of arguments of '%s' is malformed",
                              amqp_method_name(id));
    } else if (err == ERR_TOO_BIG) {
        amqp_channel_error(channel, AMQP_PRECONDITION_FAILED, id,
                           "arguments are nested more than %u deep, or are more than %u values", AMQP_DEPTH_MAX,
                           AMQP_VALUES_MAX);
    } else if (err != 0) {
        amqp_session_fail(channel->session, err);
    }
    return err == 0;
}

bool amqp_name_is_reserved(const char *name)
{
    return strncmp(name, "amq.", 4) == 0;
}

void amqp_name_generate(const char *prefix, char ret_name[AMQP_NAME_MADE_MAX])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t random[22]; /* Of each six bits: 132 together. */
    size_t at = strlen(prefix);
    CHECK(at + sizeof random < AMQP_NAME_MADE_MAX);
    CHECK(getrandom(random, sizeof random, 0) == (ssize_t)sizeof random);
    memcpy(ret_name, prefix, at);
    for (size_t i = 0; i < sizeof random; i++) {
        ret_name[at++] = digits[random[i] % 64];
    }
    ret_name[at] = '\0';
}
