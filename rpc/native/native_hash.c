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

/* Whether what belongs to one publish matches; moves *offset behind it. What cannot be told matches, and ends the search. */
static bool publish_matches(struct slice publish, struct slice bodies, size_t *offset, bool *ret_end)
{
    struct slice lens;
    struct slice hashes;
    struct slice heads = {0};
    *ret_end = true;
    if (!only_part(publish, SCAN_PUBLISH_BODY_LEN, &lens) || !only_part(publish, SCAN_PUBLISH_BODY_HASH, &hashes)) {
        return true;
    }
    bool headed = only_part(publish, SCAN_PUBLISH_HEAD_LEN, &heads);
    uint64_t len;
    uint64_t head_len = 0;
    for (size_t at = 0; at + 8 <= hashes.len && native_scan_varint(&lens, &len); at += 8) {
        if (headed && !native_scan_varint(&heads, &head_len)) {
            return true;
        }
        if (len > bodies.len - *offset || head_len > bodies.len - *offset - len) {
            return true;
        }
        len += head_len;
        const uint8_t *content = bodies.len > 0 ? bodies.data + *offset : bodies.data;
        if (XXH3_64bits(content, (size_t)len) != get_u64(hashes.data + at)) {
            return false;
        }
        *offset += (size_t)len;
    }
    *ret_end = false;
    return true;
}

static bool transaction_matches(struct slice transact, struct slice bodies)
{
    struct native_field field;
    size_t offset = 0;
    bool end = false;
    while (!end && transact.len > 0 && native_scan_field(&transact, &field)) {
        if (field.number == SCAN_TRANSACT_PUBLISH && field.wire == SCAN_LEN &&
            !publish_matches(field.part, bodies, &offset, &end)) {
            return false;
        }
    }
    return true;
}

bool native_hash_matches(struct slice command, struct slice bodies)
{
    struct slice part;
    size_t offset = 0;
    bool end;
    if (bodies.len > 0 && only_part(command, SCAN_COMMAND_TRANSACT, &part)) {
        return transaction_matches(part, bodies);
    }
    return !only_part(command, SCAN_COMMAND_PUBLISH, &part) || publish_matches(part, bodies, &offset, &end);
}
