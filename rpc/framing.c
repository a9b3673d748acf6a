/* The framing of our own protocols. */

#include "rpc/framing.h"

static int measure_native(const uint8_t *data, size_t len, struct frame_prefix *ret_prefix, size_t *ret_prefix_len)
{
    int err = len < FRAME_PREFIX_LEN ? 0 : frame_prefix_decode(data, ret_prefix);
    if (err == 0) {
        *ret_prefix_len = len < FRAME_PREFIX_LEN ? 0 : FRAME_PREFIX_LEN;
    }
    return err;
}

const struct framing framing_native = {.measure = measure_native};
