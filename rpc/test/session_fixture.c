/* The fixture of a native session. */

#include "session_fixture.h"

#include <criterion/criterion.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/limits.h"

static void host_send(void *arg, struct frame_out *frame)
{
    struct session_fixture *f = arg;
    cr_assert_eq(f->closes, 0u, "sent after the close");
    cr_assert_lt(f->sent_len, ARRAY_LEN(f->sent));
    f->sent[f->sent_len++] = *frame;
    *frame = (struct frame_out){0};
}

static bool host_takes(void *arg, size_t len)
{
    struct session_fixture *f = arg;
    f->asked_len = len;
    return !f->full;
}

static void host_hold(void *arg, bool hold)
{
    struct session_fixture *f = arg;
    f->held = hold;
}

static void host_close(void *arg)
{
    struct session_fixture *f = arg;
    f->closes++;
}

void session_fixture_open(struct session_fixture *f)
{
    *f = (struct session_fixture){0};
    fake_gateway_init(&f->fake);
    arena_init(&f->arena, 4 * MIB);
    struct native_session_host host = {
        .arg = f, .send = host_send, .takes = host_takes, .hold = host_hold, .close = host_close};
    cr_assert_eq(native_session_new(&f->fake.base, &host, &f->session), 0);
}

void session_fixture_close(struct session_fixture *f)
{
    native_session_free(f->session);
    cr_assert_not(f->fake.attached);
    for (unsigned i = 0; i < f->sent_len; i++) {
        frame_out_done(&f->sent[i]);
    }
    fake_gateway_done(&f->fake);
    arena_done(&f->arena);
}

void give_raw(struct session_fixture *f, uint8_t type, const void *header, size_t header_len, size_t body_len)
{
    struct blob *blob = blob_new(header_len + body_len);
    cr_assert_not_null(blob);
    memset(blob->data, 'b', header_len + body_len);
    if (header_len > 0) {
        memcpy(blob->data, header, header_len);
    }
    struct slice all = slice_of_blob(blob);
    struct frame frame = {
        .type = type, .header = slice_part(all, 0, header_len), .body = slice_part(all, header_len, body_len)};
    native_session_receive(f->session, &frame);
}

void give(struct session_fixture *f, uint8_t type, const ProtobufCMessage *message)
{
    uint8_t header[4096];
    cr_assert_leq(protobuf_c_message_get_packed_size(message), sizeof header);
    give_raw(f, type, header, protobuf_c_message_pack(message, header), 0);
}

void give_command(struct session_fixture *f, uint64_t number, size_t body_len)
{
    Holdfast__CommandFrame message = HOLDFAST__COMMAND_FRAME__INIT;
    uint8_t command[3] = {9, 8, 7};
    message.number = number;
    message.answered = number - 1;
    message.command = (ProtobufCBinaryData){.len = sizeof command, .data = command};
    uint8_t header[64];
    give_raw(f, FRAME_COMMAND, header, holdfast__command_frame__pack(&message, header), body_len);
}

const void *take(struct session_fixture *f, uint8_t type, const ProtobufCMessageDescriptor *descriptor)
{
    cr_assert_lt(f->read, f->sent_len, "nothing was sent");
    const struct frame_out *out = &f->sent[f->read++];
    struct frame_prefix prefix;
    cr_assert_eq(frame_prefix_decode(out->head->data, &prefix), 0);
    cr_assert_eq(prefix.type, type, "type %u rather than %u", prefix.type, type);
    const void *message = protobuf_c_message_unpack(descriptor, &f->arena.protobuf, prefix.header_len,
                                                    out->head->data + FRAME_PREFIX_LEN);
    cr_assert_not_null(message);
    return message;
}

void give_hello(struct session_fixture *f)
{
    Holdfast__Hello hello = HOLDFAST__HELLO__INIT;
    char name[] = "tester";
    hello.client = name;
    give(f, FRAME_HELLO, &hello.base);
}

void give_attach(struct session_fixture *f)
{
    Holdfast__Attach attach = HOLDFAST__ATTACH__INIT;
    uint8_t key[16] = {1, 2, 3};
    attach.key = (ProtobufCBinaryData){.len = sizeof key, .data = key};
    attach.lease_ms = 5000;
    attach.attempt = 8;
    uint64_t consumers[] = {4, 5}, seen[] = {6, 7};
    attach.consumer = consumers;
    attach.seen = seen;
    attach.n_consumer = attach.n_seen = 2;
    give(f, FRAME_ATTACH, &attach.base);
}

void attach_all(struct session_fixture *f)
{
    give_hello(f);
    (void)take(f, FRAME_WELCOME, &holdfast__welcome__descriptor);
    give_attach(f);
    cr_assert(f->fake.attached);
    f->fake.sink.attached(f->fake.sink.arg, 42, 17);
    const Holdfast__Attached *attached = take(f, FRAME_ATTACHED, &holdfast__attached__descriptor);
    cr_assert_eq(attached->session, 42u);
    cr_assert_eq(attached->last_number, 17u);
}

void expect_goodbye(struct session_fixture *f, int err, const char *part)
{
    const Holdfast__Goodbye *goodbye = take(f, FRAME_GOODBYE, &holdfast__goodbye__descriptor);
    cr_assert_eq(goodbye->error, (uint32_t)-err, "%u: %s", goodbye->error, goodbye->detail);
    cr_assert_not_null(strstr(goodbye->detail, part), "'%s' is not in '%s'", part, goodbye->detail);
    cr_assert_eq(f->closes, 1u);
    cr_assert_eq(f->read, f->sent_len, "something follows the goodbye");
}
