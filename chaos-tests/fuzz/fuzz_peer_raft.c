/* Fuzzes Raft messages between nodes: what decodes has entries within its frame, and can be encoded again. */

#include "consensus/message.h"
#include "fuzz_input.h"

struct context {
    struct arena arena;
    struct message message;
};

static void check_append(const struct message *message, const struct frame *frame)
{
    size_t total = 0;
    for (unsigned i = 0; i < message->entries_len; i++) {
        const struct slice payload = message->entries[i].payload;
        CHECK(payload.data >= frame->body.data && payload.data + payload.len <= frame->body.data + frame->body.len);
        total += payload.len;
    }
    CHECK(total == frame->body.len);
    struct frame_out out;
    CHECK(message_encode_append(0, &message->raft.append_entries, message->entries, message->entries_len, &out) == 0);
    frame_out_done(&out);
}

static void check_read(const struct message *message)
{
    struct frame_out out;
    CHECK(message->round != 0 && message->raft.type == 0 && message->entries_len == 0);
    CHECK(message_encode_read(0, message->kind, message->term, message->round, &out) == 0);
    frame_out_done(&out);
}

static void check_other(const struct message *message)
{
    struct frame_out out;
    CHECK(message_encode(0, &message->raft, message->configuration, &out) == 0);
    frame_out_done(&out);
}

static void check_message(const struct message *message, const struct frame *frame)
{
    if (message->kind != MESSAGE_ENGINE) {
        check_read(message);
    } else if (message->raft.type == RAFT_APPEND_ENTRIES) {
        check_append(message, frame);
    } else {
        check_other(message);
    }
}

static void take(void *arg, struct frame *frame)
{
    struct context *context = arg;
    arena_reset(&context->arena);
    if (message_decode(frame, 0, &context->arena, &context->message) == 0) {
        check_message(&context->message, frame);
    }
    slice_unref(&frame->header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct context context;
    arena_init(&context.arena, 1 * MIB);
    fuzz_frames(&framing_native, data, len, 11, 256 * KIB, take, &context);
    arena_done(&context.arena);
    return 0;
}
