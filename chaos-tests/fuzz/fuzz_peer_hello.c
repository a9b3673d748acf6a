/* Fuzzes the first frame between nodes. What decodes must encode and decode to the same. */

#include "fuzz_input.h"
#include "proto/base/limits.h"
#include "rpc/peer/peer_frame.h"

static void take(void *arg, struct frame *frame)
{
    struct arena *arena = arg;
    arena_reset(arena);
    struct peer_hello hello;
    struct frame_out out;
    if (peer_hello_decode(frame, arena, &hello) == 0 && peer_hello_encode(&hello, &out) == 0) {
        struct slice head = slice_of_blob(out.head);
        struct frame again = {.type = FRAME_PEER_HELLO,
                              .header = slice_part(head, FRAME_PREFIX_LEN, head.len - FRAME_PREFIX_LEN)};
        struct peer_hello same;
        CHECK(peer_hello_decode(&again, arena, &same) == 0);
        CHECK(strcmp(same.cluster, hello.cluster) == 0 && strcmp(same.client_address, hello.client_address) == 0);
        CHECK(same.node == hello.node && same.to == hello.to && same.incarnation == hello.incarnation);
        CHECK(same.bulk == hello.bulk);
        CHECK(strlen(hello.cluster) <= NAME_LEN_MAX && strlen(hello.client_address) <= ADDRESS_LEN_MAX);
        frame_out_done(&out);
    }
    slice_unref(&frame->header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct arena arena;
    arena_init(&arena, 64 * KIB);
    fuzz_frames(&framing_native, data, len, 7, 64 * KIB, take, &arena);
    arena_done(&arena);
    return 0;
}
