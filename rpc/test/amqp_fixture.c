/* The fixture of an AMQP session: the client's side of the connection. */

#include "amqp_fixture.h"

#include <stdarg.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/limits.h"

/* ---- The host ---- */

static void host_send(void *arg, struct frame_out *frame)
{
    struct amqp_fixture *f = arg;
    cr_assert_eq(f->closes, 0u, "sent after the close");
    cr_assert_eq(bytes_append(&f->sent, frame->head->data, frame->head->len), 0);
    for (unsigned i = 0; i < frame->parts_len; i++) {
        cr_assert_eq(bytes_append(&f->sent, frame->parts[i].data, frame->parts[i].len), 0);
    }
    frame_out_done(frame);
    *frame = (struct frame_out){0};
}

static bool host_takes(void *arg, size_t len)
{
    (void)len;
    return !((struct amqp_fixture *)arg)->full;
}

static void host_hold(void *arg, bool hold)
{
    struct amqp_fixture *f = arg;
    cr_assert_neq(f->held, hold, "held, or let go, twice");
    f->held = hold;
}

static void host_established(void *arg, uint32_t frame_max, uint16_t heartbeat_s)
{
    struct amqp_fixture *f = arg;
    f->frame_max = frame_max;
    f->heartbeat_s = heartbeat_s;
}

static void host_closing(void *arg)
{
    ((struct amqp_fixture *)arg)->closings++;
}

static void host_close(void *arg)
{
    ((struct amqp_fixture *)arg)->closes++;
}

/* ---- The session ---- */

void amqp_fixture_new(struct amqp_fixture *f, const struct amqp_session_options *options)
{
    *f = (struct amqp_fixture){0};
    fake_gateway_init(&f->fake);
    f->fake.keeps = true;
    list_init(&f->leaving);
    arena_init(&f->arena, 256 * MIB);
    const struct amqp_session_options usual = {.peer_name = "192.0.2.1:5555", .loopback = true};
    const struct amqp_session_host host = {.arg = f,
                                           .send = host_send,
                                           .takes = host_takes,
                                           .hold = host_hold,
                                           .established = host_established,
                                           .closing = host_closing,
                                           .close = host_close};
    int err = amqp_session_new(&f->fake.base, options == NULL ? &usual : options, &host, &f->session);
    cr_assert_eq(err, 0, "%s", err_name(err));
}

void amqp_fixture_open(struct amqp_fixture *f)
{
    amqp_fixture_new(f, NULL);
    amqp_fixture_shake_hands(f, (struct amqp_bytes){0});
    amqp_fixture_channel(f, 1);
}

void amqp_fixture_close(struct amqp_fixture *f)
{
    amqp_session_free(f->session);
    amqp_sessions_free(&f->leaving);
    cr_assert_not(f->fake.attached);
    fake_gateway_done(&f->fake);
    for (unsigned i = 0; i < f->messages_len; i++) {
        blob_unref(f->messages[i]);
    }
    bytes_done(&f->sent);
    arena_done(&f->arena);
}

void amqp_fixture_shake_hands(struct amqp_fixture *f, struct amqp_bytes client_properties)
{
    if (client_properties.data == NULL) {
        struct amqp_bytes can = amqp_fixture_table(f, "consumer_cancel_notify", 't', 1, "connection.blocked", 't', 1,
                                                   "authentication_failure_close", 't', 1, "basic.nack", 't', 1,
                                                   "publisher_confirms", 't', 1, NULL);
        client_properties = amqp_fixture_table(f, "product", 'S', "test", "capabilities", 'F', can, NULL);
    }
    amqp_fixture_give_raw(f, AMQP_FRAME_GREETING, 0, "\1", 1);
    (void)AMQP_TAKE(f, 0, connection_start);
    AMQP_GIVE(f, 0, connection_start_ok, .client_properties = client_properties, .mechanism = amqp_text("PLAIN"),
              .response = {(const uint8_t *)"\0guest\0guest", 12}, .locale = amqp_text("en_US"));
    const struct amqp_connection_tune *tune = AMQP_TAKE(f, 0, connection_tune);
    AMQP_GIVE(f, 0, connection_tune_ok, .channel_max = tune->channel_max, .frame_max = tune->frame_max,
              .heartbeat = tune->heartbeat);
    AMQP_GIVE(f, 0, connection_open, .virtual_host = amqp_text("/"));
    cr_assert(f->fake.attached, "the session was not attached");
    f->fake.sink.attached(f->fake.sink.arg, 42, 0);
    (void)AMQP_TAKE(f, 0, connection_open_ok);
}

void amqp_fixture_channel(struct amqp_fixture *f, uint16_t channel)
{
    AMQP_GIVE(f, channel, channel_open);
    (void)AMQP_TAKE(f, channel, channel_open_ok);
}

void amqp_fixture_leave(struct amqp_fixture *f)
{
    struct amqp_session *session = f->session;
    f->session = NULL;
    amqp_session_leave(session, &f->leaving);
}

/* ---- What the client sends ---- */

void amqp_fixture_give_raw(struct amqp_fixture *f, uint8_t type, uint16_t channel, const void *payload, size_t len)
{
    bool greeting = type == AMQP_FRAME_GREETING;
    struct blob *blob = blob_new(len + !greeting);
    cr_assert_not_null(blob);
    if (len > 0) {
        memcpy(blob->data, payload, len);
    }
    if (!greeting) {
        blob->data[len] = AMQP_FRAME_END;
    }
    struct slice all = slice_of_blob(blob);
    struct frame frame = {
        .type = type, .tag = channel, .header = slice_part(all, 0, 0), .body = slice_part(all, 0, all.len)};
    amqp_session_receive(f->session, &frame);
}

void amqp_fixture_give(struct amqp_fixture *f, uint16_t channel, const union amqp_method *method)
{
    struct bytes payload = {0};
    cr_assert_eq(amqp_method_encode(method, &payload), 0);
    amqp_fixture_give_raw(f, AMQP_FRAME_METHOD, channel, payload.data, payload.len);
    bytes_done(&payload);
}

void amqp_fixture_give_content(struct amqp_fixture *f, uint16_t channel, const Holdfast__MessageHead *head,
                               const void *body, size_t len)
{
    const Holdfast__MessageHead none = HOLDFAST__MESSAGE_HEAD__INIT;
    head = head == NULL ? &none : head;
    struct bytes payload = {0};
    cr_assert_eq(amqp_put_u16(&payload, AMQP_CLASS_BASIC), 0);
    cr_assert_eq(amqp_put_u16(&payload, 0), 0);
    cr_assert_eq(amqp_put_u64(&payload, len), 0);
    cr_assert_eq(amqp_properties_encode(head, head->header, head->n_header, &payload), 0);
    amqp_fixture_give_raw(f, AMQP_FRAME_HEADER, channel, payload.data, payload.len);
    bytes_done(&payload);
    size_t part_max = f->frame_max - AMQP_FRAME_COST;
    for (size_t at = 0; at < len; at += part_max) {
        size_t part = len - at < part_max ? len - at : part_max;
        amqp_fixture_give_raw(f, AMQP_FRAME_BODY, channel, (const uint8_t *)body + at, part);
    }
}

void amqp_fixture_turn(struct amqp_fixture *f)
{
    if (f->session != NULL) {
        amqp_session_turn(f->session);
    }
    if (f->fake.attached && f->fake.sink.flush != NULL) {
        f->fake.sink.flush(f->fake.sink.arg);
    }
}

/* A value of the type that follows in `list`. */
static int put_value(struct bytes *bytes, int type, va_list *list)
{
    switch (type) {
    case 't':
    case 'b':
    case 'B': return amqp_put_u8(bytes, (uint8_t)va_arg(*list, int));
    case 's':
    case 'u': return amqp_put_u16(bytes, (uint16_t)va_arg(*list, int));
    case 'I': return amqp_put_u32(bytes, (uint32_t)va_arg(*list, int));
    case 'i': return amqp_put_u32(bytes, va_arg(*list, unsigned));
    case 'l': return amqp_put_u64(bytes, (uint64_t)va_arg(*list, int64_t));
    case 'L':
    case 'T': return amqp_put_u64(bytes, va_arg(*list, uint64_t));
    case 'd': {
        double number = va_arg(*list, double);
        uint64_t bits;
        memcpy(&bits, &number, sizeof bits);
        return amqp_put_u64(bytes, bits);
    }
    case 'S':
    case 'x': return amqp_put_long_string(bytes, amqp_text(va_arg(*list, const char *)));
    case 'F': return amqp_put_long_string(bytes, va_arg(*list, struct amqp_bytes));
    case 'V': return 0;
    default: cr_assert_fail("no such type: %c", type);
    }
    return ERR_INVALID;
}

struct amqp_bytes amqp_fixture_table(struct amqp_fixture *f, ...)
{
    struct bytes bytes = {0};
    va_list list;
    va_start(list, f);
    for (const char *name = va_arg(list, const char *); name != NULL; name = va_arg(list, const char *)) {
        int type = va_arg(list, int);
        cr_assert_eq(amqp_put_short_string(&bytes, amqp_text(name)), 0);
        cr_assert_eq(amqp_put_u8(&bytes, (uint8_t)type), 0);
        cr_assert_eq(put_value(&bytes, type, &list), 0);
    }
    va_end(list);
    uint8_t *data = arena_alloc(&f->arena, bytes.len + 1);
    cr_assert_not_null(data);
    if (bytes.len > 0) {
        memcpy(data, bytes.data, bytes.len);
    }
    size_t len = bytes.len;
    bytes_done(&bytes);
    return (struct amqp_bytes){data, len};
}
