/* Who a client is: the mechanisms PLAIN (RFC 4616) and AMQPLAIN (the specification's example, as RabbitMQ has it).
 *
 * There is one user, "guest", whose password everybody knows; so it may come from the node's own host only, unless the operator has
 * said otherwise. */

#include <string.h>

#include "rpc/amqp/amqp_session_private.h"

#define GUEST "guest"

static bool bytes_are(struct amqp_bytes bytes, const char *text)
{
    return bytes.len == strlen(text) && memcmp(bytes.data, text, bytes.len) == 0;
}

/* What stands before the next zero byte, or the rest. */
static struct amqp_bytes take_part(struct amqp_bytes *rest)
{
    const uint8_t *end = rest->len > 0 ? memchr(rest->data, 0, rest->len) : NULL;
    struct amqp_bytes part = *rest;
    if (end == NULL) {
        *rest = (struct amqp_bytes){0};
        return part;
    }
    part.len = (size_t)(end - part.data);
    rest->data = end + 1;
    rest->len -= part.len + 1;
    return part;
}

/* [for whom] NUL user NUL password. */
static int take_plain(struct amqp_bytes response, struct amqp_bytes *ret_user, struct amqp_bytes *ret_password)
{
    size_t zeros = 0;
    for (size_t i = 0; i < response.len; i++) {
        zeros += response.data[i] == 0;
    }
    if (zeros != 2) {
        return ERR_INVALID;
    }
    (void)take_part(&response);
    *ret_user = take_part(&response);
    *ret_password = response;
    return 0;
}

static bool take_string(const struct amqp_headers *headers, const char *name, struct amqp_bytes *ret_string)
{
    const Holdfast__Value *value = amqp_headers_find(headers, name);
    if (value == NULL || value->kind_case != HOLDFAST__VALUE__KIND_STRING) {
        return false;
    }
    *ret_string = (struct amqp_bytes){value->string.data, value->string.len};
    return true;
}

/* A table without its length. */
static int take_amqplain(struct arena *arena, struct amqp_bytes response, struct amqp_bytes *ret_user,
                         struct amqp_bytes *ret_password)
{
    struct amqp_headers headers;
    int err = amqp_table_decode(response, arena, &headers);
    if (err != 0) {
        return err == ERR_NOMEM ? err : ERR_INVALID;
    }
    return take_string(&headers, "LOGIN", ret_user) && take_string(&headers, "PASSWORD", ret_password) ? 0
                                                                                                       : ERR_INVALID;
}

int amqp_login(struct amqp_session *session, struct amqp_bytes mechanism, struct amqp_bytes response,
               char ret_user[NAME_LEN_MAX + 1])
{
    struct amqp_bytes user;
    struct amqp_bytes password;
    int err = ERR_NOT_FOUND;
    if (bytes_are(mechanism, "PLAIN")) {
        err = take_plain(response, &user, &password);
    } else if (bytes_are(mechanism, "AMQPLAIN")) {
        err = take_amqplain(&session->arena, response, &user, &password);
    }
    if (err != 0) {
        return err;
    }
    if (!bytes_are(user, GUEST) || !bytes_are(password, GUEST)) {
        journal_warning(session->journal, "amqp", "%s: a login was refused: not a user, or a wrong password",
                        session->peer_name);
        return ERR_REFUSED;
    }
    if (!session->loopback && !session->guest_from_anywhere) {
        journal_warning(session->journal, "amqp",
                        "%s: a login was refused: user '" GUEST "' can only connect via localhost "
                        "(amqp_guest_from_anywhere)",
                        session->peer_name);
        return ERR_REFUSED;
    }
    memcpy(ret_user, GUEST, sizeof GUEST);
    return 0;
}
