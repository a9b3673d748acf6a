/* The cluster takes no new messages, and takes them again: Connection.Blocked and Unblocked, RabbitMQ's extension. */

#include <string.h>

#include "rpc/amqp/amqp_session_private.h"

/* A short string has at most 255 bytes. */
static struct amqp_bytes short_text(const char *text)
{
    struct amqp_bytes bytes = amqp_text(text);
    if (bytes.len > UINT8_MAX) {
        bytes.len = UINT8_MAX;
        while (!bytes_are_utf8(bytes.data, bytes.len)) {
            bytes.len--;
        }
    }
    return bytes;
}

/* Only who publishes needs to know, and only who says that it understands is told. */
void amqp_session_refusing(struct amqp_session *session, const char *reason)
{
    bool refusing = reason[0] != '\0';
    if (session->state != AMQP_OPEN) {
        return;
    }
    amqp_publishes_refusing(session, refusing);
    if (refusing && !session->told_blocked && session->has_published && session->blocked_notify) {
        union amqp_method blocked = {
            .connection_blocked = {.id = AMQP_connection_blocked, .reason = short_text(reason)}};
        session->told_blocked = true;
        amqp_send(session, 0, &blocked);
    } else if (!refusing && session->told_blocked) {
        union amqp_method unblocked = {.connection_unblocked = {.id = AMQP_connection_unblocked}};
        session->told_blocked = false;
        amqp_send(session, 0, &unblocked);
    }
}
