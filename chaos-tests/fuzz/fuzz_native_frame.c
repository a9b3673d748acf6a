/* Fuzzes the framing and every decoder of the native protocol. The first byte is the size of the pieces. */

#include "fuzz_input.h"
#include "proto/base/limits.h"
#include "proto/wire/command.pb-c.h"
#include "proto/wire/strings.h"
#include "rpc/native/native_frame.h"
#include "rpc/native/native_limit.h"

static const ProtobufCMessageDescriptor *const descriptors[] = {
    &holdfast__hello__descriptor,   &holdfast__attach__descriptor,          &holdfast__query__descriptor,
    &holdfast__ping__descriptor,    &holdfast__welcome__descriptor,         &holdfast__attached__descriptor,
    &holdfast__replies__descriptor, &holdfast__query_result__descriptor,    &holdfast__goodbye__descriptor,
    &holdfast__command__descriptor, &holdfast__consumers_ended__descriptor, &holdfast__notices__descriptor,
};

/* What the scanner takes, protobuf-c must take as well, and read the same. */
static void check_command(const struct frame *frame, struct arena *arena)
{
    struct native_command command;
    if (native_frame_decode_command(frame, &command) != 0) {
        return;
    }
    ProtobufCMessage *base;
    CHECK(native_frame_decode(frame, &holdfast__command_frame__descriptor, arena, &base) == 0);
    const Holdfast__CommandFrame *message = (const void *)base;
    CHECK(message->number == command.number && message->answered == command.answered);
    CHECK(message->command.len == command.command.len);
    CHECK(command.command.len == 0 || memcmp(message->command.data, command.command.data, command.command.len) == 0);
}

static void check_bodies(const Holdfast__Publish *publish, uint64_t longest)
{
    for (size_t i = 0; i < publish->n_body_len; i++) {
        CHECK(publish->body_len[i] <= longest);
    }
}

/* No body that the machine would see is missed by who enforces the limit. */
static void check_limit(struct slice encoded, struct arena *arena)
{
    uint64_t longest = native_limit_longest(encoded);
    if (!message_strings_are_whole(&holdfast__command__descriptor, encoded.data, encoded.len)) {
        return;
    }
    const Holdfast__Command *command = holdfast__command__unpack(&arena->protobuf, encoded.len, encoded.data);
    if (command != NULL && command->kind_case == HOLDFAST__COMMAND__KIND_PUBLISH) {
        check_bodies(command->publish, longest);
    }
    for (size_t i = 0;
         command != NULL && command->kind_case == HOLDFAST__COMMAND__KIND_TRANSACT && i < command->transact->n_publish;
         i++) {
        check_bodies(command->transact->publish[i], longest);
    }
}

static void take(void *arg, struct frame *frame)
{
    struct arena *arena = arg;
    arena_reset(arena);
    check_command(frame, arena);
    arena_reset(arena);
    check_limit(frame->header, arena);
    arena_reset(arena);
    struct native_command command;
    if (native_frame_decode_command(frame, &command) == 0) {
        check_limit(command.command, arena);
    }
    ProtobufCMessage *base;
    for (size_t i = 0; i < ARRAY_LEN(descriptors); i++) {
        arena_reset(arena);
        /* Whoever decodes what may be nested looks first how deep. */
        if (message_strings_are_whole(descriptors[i], frame->header.data, frame->header.len) &&
            native_frame_decode(frame, descriptors[i], arena, &base) == 0) {
            CHECK(base->descriptor == descriptors[i]);
        }
    }
    arena_reset(arena);
    if (native_frame_decode(frame, &holdfast__deliveries__descriptor, arena, &base) == 0) {
        const Holdfast__Deliveries *deliveries = (const void *)base;
        if (native_frame_check_deliveries(deliveries, frame->body) == 0) {
            size_t offset = 0;
            for (size_t i = 0; i < deliveries->n_deliveries; i++) {
                const Holdfast__Delivery *delivery = deliveries->deliveries[i];
                size_t content_len = (size_t)delivery->trail_len + delivery->head_len + delivery->body_len;
                (void)slice_part(frame->body, offset, content_len);
                offset += content_len;
            }
        }
    }
    slice_unref(&frame->header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < 1) {
        return 0;
    }
    struct arena arena;
    arena_init(&arena, 4 * MIB);
    fuzz_frames(&framing_native, data + 1, len - 1, (size_t)data[0] + 1, FRAME_HEADER_LEN_MAX + FRAME_BODY_LEN_MAX,
                take, &arena);
    arena_done(&arena);
    return 0;
}
