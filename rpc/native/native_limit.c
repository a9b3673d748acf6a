/* The limit of a message body. */

#include "rpc/native/native_limit.h"

#include <inttypes.h>
#include <stdio.h>

#include "proto/base/check.h"
#include "proto/base/limits.h"
#include "rpc/native/native_scan.h"

/* Command{publish{body_len: [2^32 - 1], body_hash: [0]}}. */
static const uint8_t refused_command[] = {0x32, 17, 0x12, 5, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x1a,
                                          8,    0,  0,    0, 0,    0,    0,    0,    0};

uint64_t native_limit_of(uint64_t limit)
{
    return limit == 0 || limit > BODY_LEN_MAX ? BODY_LEN_MAX : limit;
}

struct slice native_limit_refused(void)
{
    return (struct slice){.data = refused_command, .len = sizeof refused_command};
}

void native_limit_text(uint64_t limit, char out[NATIVE_LIMIT_TEXT_LEN])
{
    (void)snprintf(out, NATIVE_LIMIT_TEXT_LEN,
                   "over the limit: a message body has at most %" PRIu64
                   " bytes, those of one command together at most "
                   "%" PRIu64,
                   native_limit_of(limit), (uint64_t)COMMAND_BODIES_LEN_MAX);
}

static uint64_t longest_of(uint64_t longest, uint64_t len)
{
    len &= UINT32_MAX; /* The field has 32 bits: protobuf lets go of the others. */
    return len > longest ? len : longest;
}

static uint64_t longest_in_publish(struct slice publish, uint64_t longest)
{
    struct native_field field;
    while (native_scan_field(&publish, &field)) {
        if (field.number != SCAN_PUBLISH_BODY_LEN) {
            continue;
        }
        uint64_t len;
        if (field.wire == SCAN_VARINT) {
            longest = longest_of(longest, field.value);
        }
        while (field.wire == SCAN_LEN && native_scan_varint(&field.part, &len)) {
            longest = longest_of(longest, len);
        }
    }
    return longest;
}

static uint64_t longest_in_transaction(struct slice transact, uint64_t longest)
{
    struct native_field field;
    while (native_scan_field(&transact, &field)) {
        if (field.number == SCAN_TRANSACT_PUBLISH && field.wire == SCAN_LEN) {
            longest = longest_in_publish(field.part, longest);
        }
    }
    return longest;
}

uint64_t native_limit_longest(struct slice command)
{
    uint64_t longest = 0;
    struct native_field field;
    while (native_scan_field(&command, &field)) {
        if (field.number == SCAN_COMMAND_PUBLISH && field.wire == SCAN_LEN) {
            longest = longest_in_publish(field.part, longest);
        } else if (field.number == SCAN_COMMAND_TRANSACT && field.wire == SCAN_LEN) {
            longest = longest_in_transaction(field.part, longest);
        }
    }
    return longest;
}

bool native_limit_exceeded(struct slice command, size_t bodies_len, uint64_t limit)
{
    if (bodies_len > COMMAND_BODIES_LEN_MAX) {
        return true;
    }
    /* The machine refuses bodies that are not as long together as announced: none is longer than all. */
    return bodies_len > limit && native_limit_longest(command) > limit;
}
