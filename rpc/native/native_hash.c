/* The hashes of the bodies of a publish. */

#include "rpc/native/native_hash.h"

#include <xxhash.h>

#include "proto/base/bytes.h"
#include "proto/base/err.h"
#include "rpc/native/native_scan.h"

/* Command{refused{error: CHECKSUM}}. */
static const uint8_t refused_command[] = {0x7a, 2, 0x08, (uint8_t)-ERR_CHECKSUM};

_Static_assert(-ERR_CHECKSUM < 0x80, "one byte of varint");

struct slice native_hash_refused(void)
{
    return (struct slice){.data = refused_command, .len = sizeof refused_command};
}

/* The only field of that number, with a length. False: there is none, or more than one, which protobuf would put together. */
static bool only_part(struct slice in, uint64_t number, struct slice *ret_part)
{
    struct native_field field;
    unsigned found = 0;
    while (in.len > 0) {
        if (!native_scan_field(&in, &field)) {
            return false;
        }
        if (field.number == number) {
            found += field.wire == SCAN_LEN ? 1 : 2;
            *ret_part = field.part;
        }
    }
    return found == 1;
}

bool native_hash_matches(struct slice command, struct slice bodies)
{
    struct slice publish;
    struct slice lens;
    struct slice hashes;
    if (!only_part(command, SCAN_COMMAND_PUBLISH, &publish) || !only_part(publish, SCAN_PUBLISH_BODY_LEN, &lens) ||
        !only_part(publish, SCAN_PUBLISH_BODY_HASH, &hashes)) {
        return true;
    }
    size_t offset = 0;
    uint64_t len;
    for (size_t at = 0; at + 8 <= hashes.len && native_scan_varint(&lens, &len); at += 8) {
        if (len > bodies.len - offset) {
            return true;
        }
        const uint8_t *body = bodies.len > 0 ? bodies.data + offset : bodies.data;
        if (XXH3_64bits(body, (size_t)len) != get_u64(hashes.data + at)) {
            return false;
        }
        offset += (size_t)len;
    }
    return true;
}
