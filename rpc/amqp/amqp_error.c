/* Errors as RabbitMQ gives them: Channel.Close and Connection.Close. */

#include "rpc/amqp/amqp_error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "rpc/amqp/amqp_session_private.h"

const char *amqp_code_name(enum amqp_code code)
{
    switch (code) {
#define X(name, code)                                                                                                  \
    case AMQP_##name: return #name;
        AMQP_CODES(X)
#undef X
    }
    return "";
}

/* What a short string holds; what is cut ends in dots, as RabbitMQ's. */
#define WORDS_LEN_MAX 255u
#define DOTS "..."

/* "NAME - words", at most WORDS_LEN_MAX bytes, whole characters. */
static void words_fill(char words[WORDS_LEN_MAX + 1], enum amqp_code code, const char *format, va_list args)
{
    char text[512];
    int begun = snprintf(text, sizeof text, "%s - ", amqp_code_name(code));
    (void)vsnprintf(text + begun, sizeof text - (size_t)begun, format, args);
    size_t len = strlen(text);
    if (len > WORDS_LEN_MAX) {
        len = WORDS_LEN_MAX - strlen(DOTS);
        while (len > 0 && ((unsigned char)text[len] & 0xc0u) == 0x80u) {
            len--;
        }
        memcpy(text + len, DOTS, sizeof DOTS);
        len += strlen(DOTS);
    }
    memcpy(words, text, len + 1);
}

void amqp_channel_error(struct amqp_channel *channel, enum amqp_code code, uint32_t id, const char *format, ...)
{
    struct amqp_session *session = channel->session;
    if (!amqp_channel_is_open(channel)) {
        return;
    }
    char words[WORDS_LEN_MAX + 1];
    va_list args;
    va_start(args, format);
    words_fill(words, code, format, args);
    va_end(args);
    journal_info(session->journal, "amqp", "%s: channel %u closed: %s", session->peer_name, channel->number, words);
    channel->closing = true;
    union amqp_method close = {.channel_close = {.id = AMQP_channel_close,
                                                 .reply_code = (uint16_t)code,
                                                 .reply_text = amqp_text(words),
                                                 .class_id = (uint16_t)(id >> 16),
                                                 .method_id = (uint16_t)id}};
    amqp_confirms_send(session); /* What was confirmed before is said before. */
    amqp_send(session, channel->number, &close);
    amqp_channel_close(channel, false);
}

void amqp_connection_error(struct amqp_session *session, enum amqp_code code, uint32_t id, const char *format, ...)
{
    char words[WORDS_LEN_MAX + 1];
    va_list args;
    va_start(args, format);
    words_fill(words, code, format, args);
    va_end(args);
    if (session->state == AMQP_CLOSING || session->state == AMQP_OVER || session->state == AMQP_LEAVING) {
        return;
    }
    journal_info(session->journal, "amqp", "%s: closed: %s", session->peer_name, words);
    bool known = session->state >= AMQP_TUNING && session->state <= AMQP_OPEN;
    session->state = AMQP_CLOSING;
    if (!known) {
        amqp_session_over(session); /* Who has not shown who it is, is told nothing. */
        return;
    }
    union amqp_method close = {.connection_close = {.id = AMQP_connection_close,
                                                    .reply_code = (uint16_t)code,
                                                    .reply_text = amqp_text(words),
                                                    .class_id = (uint16_t)(id >> 16),
                                                    .method_id = (uint16_t)id}};
    amqp_send(session, 0, &close);
    if (session->state == AMQP_CLOSING) {
        session->host.closing(session->host.arg);
    }
}

void amqp_session_fail(struct amqp_session *session, int err)
{
    if (session->state == AMQP_LEAVING) {
        session->failed = true;
    } else if (session->state == AMQP_CLOSING) {
        amqp_session_over(session);
    } else if (err == ERR_NOMEM || err == ERR_LIMIT || err == ERR_TOO_BIG) {
        amqp_connection_error(session, AMQP_RESOURCE_ERROR, 0, "%s", err_text(err));
    } else {
        amqp_connection_error(session, AMQP_INTERNAL_ERROR, 0, "%s", err_text(err));
    }
}

static enum amqp_code code_of(uint32_t error)
{
    switch (-(int)error) {
    case ERR_NOT_FOUND: return AMQP_NOT_FOUND;
    case ERR_EXISTS:
    case ERR_INVALID:
    case ERR_TOO_BIG:
    case ERR_STALE:
    case ERR_FENCED:
    case ERR_GAP:
    case ERR_NAME:
    case ERR_UTF8: return AMQP_PRECONDITION_FAILED;
    case ERR_EXCLUSIVE: return AMQP_RESOURCE_LOCKED;
    case ERR_REFUSED: return AMQP_ACCESS_REFUSED;
    case ERR_LIMIT:
    case ERR_FULL:
    case ERR_NO_SPACE: return AMQP_RESOURCE_ERROR;
    default: return AMQP_INTERNAL_ERROR;
    }
}

void amqp_reply_error(struct amqp_channel *channel, uint32_t id, const struct gateway_reply *reply)
{
    const char *words =
        reply->detail != NULL && reply->detail[0] != '\0' ? reply->detail : err_text(-(int)reply->error);
    enum amqp_code code = code_of(reply->error);
    if (code == AMQP_RESOURCE_ERROR || code == AMQP_INTERNAL_ERROR) {
        amqp_connection_error(channel->session, code, id, "%s", words); /* These are errors of connections. */
    } else {
        amqp_channel_error(channel, code, id, "%s", words);
    }
}
