/* The methods of channel 0: the handshake, closing, and what else concerns a connection as a whole. */

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "rpc/amqp/amqp_session_private.h"

/* The rules of the machine that the commands of this front-end need. */
#define MACHINE_VERSION_NEEDED 2u

/* As RabbitMQ calls them in its words. */
static const char *state_name(enum amqp_state state)
{
    switch (state) {
    case AMQP_NEW:
    case AMQP_STARTING: return "starting";
    case AMQP_TUNING: return "tuning";
    case AMQP_OPENING:
    case AMQP_ATTACHING: return "opening";
    case AMQP_OPEN: return "running";
    default: return "closing";
    }
}

static void unexpected(struct amqp_session *session, uint32_t id)
{
    amqp_connection_error(session, AMQP_CHANNEL_ERROR, id, "unexpected method in connection state %s",
                          state_name(session->state));
}

/* ---- Tune ---- */

static void send_tune(struct amqp_session *session)
{
    union amqp_method tune = {.connection_tune = {.id = AMQP_connection_tune,
                                                  .channel_max = AMQP_CHANNEL_MAX,
                                                  .frame_max = AMQP_FRAME_MAX,
                                                  .heartbeat = AMQP_HEARTBEAT_S}};
    session->state = AMQP_TUNING;
    amqp_send(session, 0, &tune);
}

/* Whether the client's number may be; 0 is no limit of its own. */
static bool negotiate(struct amqp_session *session, const char *field, uint32_t given, uint32_t min, uint32_t max,
                      uint32_t *ret_value)
{
    bool low = given != 0 && given < min;
    if (low || given > max) {
        amqp_connection_error(session, AMQP_NOT_ALLOWED, AMQP_connection_tune,
                              "negotiated %s = %u is %s than the %s allowed value (%u)", field, given,
                              low ? "lower" : "higher", low ? "minimum" : "maximum", low ? min : max);
        return false;
    }
    *ret_value = given != 0 ? given : max;
    return true;
}

static void take_tune_ok(struct amqp_session *session, const struct amqp_connection_tune_ok *method)
{
    uint32_t frame_max;
    uint32_t channel_max;
    if (!negotiate(session, "frame_max", method->frame_max, AMQP_FRAME_MIN, AMQP_FRAME_MAX, &frame_max) ||
        !negotiate(session, "channel_max", method->channel_max, 1, AMQP_CHANNEL_MAX, &channel_max)) {
        return;
    }
    session->frame_max = frame_max;
    session->channel_max = (uint16_t)channel_max;
    session->heartbeat_s = method->heartbeat;
    session->state = AMQP_OPENING;
}

/* ---- Start-Ok ---- */

/* Login is refused; a client that does not expect to be told takes any frame here for nonsense. */
static void refuse_login(struct amqp_session *session, struct amqp_bytes mechanism)
{
    static const char format[] = "ACCESS_REFUSED - Login was refused using authentication mechanism %.*s. For details "
                                 "see the broker logfile.";
    char words[sizeof format + 16];
    if (session->close_on_failed_login) {
        (void)snprintf(words, sizeof words, format, (int)mechanism.len, (const char *)mechanism.data);
        union amqp_method close = {.connection_close = {.id = AMQP_connection_close,
                                                        .reply_code = AMQP_ACCESS_REFUSED,
                                                        .reply_text = amqp_text(words)}};
        amqp_send(session, 0, &close);
    }
    amqp_session_over(session);
}

/* False: the connection is over. */
static bool log_in(struct amqp_session *session, const struct amqp_connection_start_ok *method)
{
    char user[NAME_LEN_MAX + 1];
    int err = amqp_login(session, method->mechanism, method->response, user);
    if (err == 0) {
        session->user = strdup(user);
        err = session->user != NULL ? 0 : ERR_NOMEM;
    }
    switch (err) {
    case 0: return true;
    case ERR_REFUSED: refuse_login(session, method->mechanism); break;
    case ERR_NOT_FOUND:
        amqp_connection_error(session, AMQP_COMMAND_INVALID, method->id, "unknown authentication mechanism '%.*s'",
                              (int)method->mechanism.len, (const char *)method->mechanism.data);
        break;
    case ERR_INVALID:
        amqp_connection_error(session, AMQP_SYNTAX_ERROR, method->id, "the response of mechanism %.*s is malformed",
                              (int)method->mechanism.len, (const char *)method->mechanism.data);
        break;
    default: amqp_session_fail(session, err);
    }
    return false;
}

static void take_start_ok(struct amqp_session *session, const struct amqp_connection_start_ok *method)
{
    int err = amqp_client_note(session, method->client_properties);
    if (err == ERR_NOMEM) {
        amqp_session_fail(session, err);
    } else if (err != 0) {
        amqp_connection_error(session, AMQP_SYNTAX_ERROR, method->id, "the table of client properties is malformed: %s",
                              err_text(err));
    } else if (log_in(session, method)) {
        send_tune(session);
    }
}

/* ---- Open ---- */

/* False: not a name, and the connection is over. */
static bool note_virtual_host(struct amqp_session *session, struct amqp_bytes name)
{
    if (name_check(name.data, name.len) != 0) {
        amqp_connection_error(session, AMQP_NOT_ALLOWED, AMQP_connection_open, "vhost not found: not a name");
        return false;
    }
    session->virtual_host = strndup((const char *)name.data, name.len);
    if (session->virtual_host == NULL) {
        amqp_session_fail(session, ERR_NOMEM);
    }
    return session->virtual_host != NULL;
}

static bool machine_is_new_enough(const struct amqp_session *session)
{
    struct gateway *gateway = session->gateway;
    return gateway->ops->machine_version == NULL || gateway->ops->machine_version(gateway) >= MACHINE_VERSION_NEEDED;
}

static void attach(struct amqp_session *session)
{
    struct gateway_attach request = {
        .virtual_host = session->virtual_host,
        .client = session->client,
        .user = session->user,
        .lease_ms = AMQP_LEASE_MS,
    };
    if (getrandom(request.key, sizeof request.key, 0) != (ssize_t)sizeof request.key) {
        amqp_session_fail(session, ERR_SYSTEM);
        return;
    }
    struct gateway_sink sink = amqp_session_sink(session);
    session->state = AMQP_ATTACHING;
    int err = session->gateway->ops->attach(session->gateway, &request, &sink, &session->link);
    if (err != 0) {
        session->link = NULL;
        amqp_connection_detached(session, err, err_text(err));
    } else if (session->congested) {
        session->gateway->ops->pause(session->link, true);
    }
}

static void take_open(struct amqp_session *session, const struct amqp_connection_open *method)
{
    session->host.established(session->host.arg, session->frame_max, session->heartbeat_s);
    if (session->state != AMQP_OPENING || !note_virtual_host(session, method->virtual_host)) {
        return; /* The host may have sent it away. */
    }
    if (!machine_is_new_enough(session)) {
        amqp_connection_error(session, AMQP_CONNECTION_FORCED, method->id,
                              "this cluster does not speak AMQP yet: not all of its nodes are known to do");
        return;
    }
    attach(session);
}

void amqp_connection_attached(struct amqp_session *session)
{
    journal_debug(session->journal, "amqp", "%s: user %s, virtual host %s, %s", session->peer_name, session->user,
                  session->virtual_host, session->client);
    session->state = AMQP_OPEN;
    union amqp_method ok = {.connection_open_ok = {.id = AMQP_connection_open_ok}};
    amqp_send(session, 0, &ok);
}

/* The attachment was refused. */
static void refuse_open(struct amqp_session *session, int err, const char *detail)
{
    switch (err) {
    case ERR_NOT_FOUND:
        amqp_connection_error(session, AMQP_NOT_ALLOWED, AMQP_connection_open, "vhost %s not found",
                              session->virtual_host);
        break;
    case ERR_LIMIT:
    case ERR_REFUSED:
        amqp_connection_error(session, AMQP_NOT_ALLOWED, AMQP_connection_open,
                              "access to vhost '%s' refused for user '%s': %s", session->virtual_host, session->user,
                              detail);
        break;
    case ERR_NOMEM: amqp_session_fail(session, err); break;
    default:
        amqp_connection_error(session, AMQP_CONNECTION_FORCED, AMQP_connection_open, "this node cannot serve now: %s",
                              detail);
    }
}

void amqp_connection_detached(struct amqp_session *session, int err, const char *detail)
{
    if (session->state == AMQP_ATTACHING) {
        refuse_open(session, err, detail);
    } else if (session->state == AMQP_OPEN && err == ERR_NOMEM) {
        amqp_session_fail(session, err);
    } else if (session->state == AMQP_OPEN) {
        amqp_session_force_close(session, detail);
    }
}

void amqp_session_force_close(struct amqp_session *session, const char *words)
{
    amqp_connection_error(session, AMQP_CONNECTION_FORCED, 0, "broker forced connection closure with reason '%s'",
                          words);
}

/* ---- Close ---- */

static void send_close_ok(struct amqp_session *session)
{
    union amqp_method ok = {.connection_close_ok = {.id = AMQP_connection_close_ok}};
    amqp_confirms_send(session);
    amqp_send(session, 0, &ok);
    amqp_session_over(session);
}

/* The session of the machine is closed, or there is none (any more). */
static void on_session_closed(struct amqp_order *order, const struct gateway_reply *reply)
{
    struct amqp_session *session = order->arg;
    (void)reply;
    if (session->state == AMQP_OPEN) {
        send_close_ok(session);
    }
}

static void close_session(struct amqp_session *session)
{
    Holdfast__CloseSession close = HOLDFAST__CLOSE_SESSION__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_CLOSE_SESSION;
    command.close_session = &close;
    const struct amqp_order order = {
        .id = AMQP_connection_close, .blocks = true, .done = on_session_closed, .arg = session};
    amqp_submit(session, &order, &command, (struct slice){0});
}

/* The client sees Close-Ok when its exclusive queues are gone and what it held is ready again: so the session is closed before,
 * behind all of its commands. */
static void take_close(struct amqp_session *session, const struct amqp_connection_close *method)
{
    if (session->state == AMQP_OPEN && !amqp_publishes_finish(session)) {
        session->again =
            true; /* When what it published is taken: the cluster may have no room for messages just now. */
        return;
    }
    if (method->reply_code != 200 && method->reply_code != 0) {
        journal_info(session->journal, "amqp", "%s: the client closes, with code %u", session->peer_name,
                     method->reply_code);
    }
    if (session->state != AMQP_OPEN) {
        send_close_ok(session);
    } else {
        close_session(session);
    }
}

/* ---- All of them ---- */

/* Those of the handshake; false: another one, or not now. */
static bool take_of_handshake(struct amqp_session *session, const union amqp_method *method)
{
    if (method->id == AMQP_connection_start_ok && session->state == AMQP_STARTING) {
        take_start_ok(session, &method->connection_start_ok);
    } else if (method->id == AMQP_connection_tune_ok && session->state == AMQP_TUNING) {
        take_tune_ok(session, &method->connection_tune_ok);
    } else if (method->id == AMQP_connection_open && session->state == AMQP_OPENING) {
        take_open(session, &method->connection_open);
    } else {
        return false;
    }
    return true;
}

void amqp_connection_take(struct amqp_session *session, const union amqp_method *method)
{
    if (method->id == AMQP_connection_close) {
        take_close(session, &method->connection_close);
    } else if (session->state == AMQP_CLOSING) {
        if (method->id == AMQP_connection_close_ok) {
            amqp_session_over(session);
        }
    } else if (method->id == AMQP_connection_update_secret && session->state == AMQP_OPEN) {
        /* There is no secret that ends. */
        union amqp_method ok = {.connection_update_secret_ok = {.id = AMQP_connection_update_secret_ok}};
        amqp_send(session, 0, &ok);
    } else if (!take_of_handshake(session, method)) {
        unexpected(session, method->id);
    }
}
