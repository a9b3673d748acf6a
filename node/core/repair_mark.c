/* The file `repair`. */

#include "node/core/repair_mark.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "node/core/small_file.h"
#include "proto/base/bytes.h"
#include "proto/base/check.h"

/* The file, little-endian:
 *
 *   offset  size  what
 *        0     4  magic "HFR1"
 *        4     1  1: needed; 2: returning
 *        5     1  bits. 1: it had a vote; 2: needed, because an operator wants it;
 *                4: of the vote the leader has told
 *        6     2  length of the reason
 *        8   256  the reason, then zeroes
 *      264     8  XXH3-64 of everything before */
#define MARK_LEN 272u
#define MARK_REASON_AT 8u
#define MARK_SUM_AT 264u
#define MARK_NAME "repair"
#define MARK_VOTER 1u
#define MARK_ORDERED 2u
#define MARK_TOLD 4u
static const uint8_t mark_magic[4] = {'H', 'F', 'R', '1'};

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

void repair_reason(char out[REPAIR_REASON_LEN_MAX + 1], const char *text)
{
    (void)snprintf(out, REPAIR_REASON_LEN_MAX + 1, "%s", text);
    size_t len = strlen(out);
    while (len > 0 && ((unsigned char)out[len - 1] & 0xc0) == 0x80 && !bytes_are_utf8(out, len)) {
        out[--len] = '\0'; /* It was cut within a character. */
    }
    if (len > 0 && (unsigned char)out[len - 1] >= 0xc0) {
        out[--len] = '\0';
    }
    bool utf8 = bytes_are_utf8(out, len);
    for (size_t i = 0; i < len; i++) {
        bool bad = is_control(out[i]) || (!utf8 && (unsigned char)out[i] >= 0x80);
        out[i] = bad ? '?' : out[i];
    }
}

static int mark_decode(const uint8_t *bytes, size_t len, struct repair_mark *ret_mark)
{
    if (len != MARK_LEN || memcmp(bytes, mark_magic, sizeof mark_magic) != 0 ||
        get_u64(bytes + MARK_SUM_AT) != XXH3_64bits(bytes, MARK_SUM_AT)) {
        return ERR_CORRUPT;
    }
    size_t reason_len = get_u16(bytes + 6);
    if ((bytes[4] != REPAIR_NEEDED && bytes[4] != REPAIR_RETURNING) ||
        bytes[5] > (MARK_VOTER | MARK_ORDERED | MARK_TOLD) || reason_len > REPAIR_REASON_LEN_MAX) {
        return ERR_CORRUPT;
    }
    char reason[REPAIR_REASON_LEN_MAX + 1] = {0};
    struct repair_mark mark = {.state = bytes[4],
                               .voter = (bytes[5] & MARK_VOTER) != 0,
                               .told = (bytes[5] & MARK_TOLD) != 0,
                               .ordered = (bytes[5] & MARK_ORDERED) != 0};
    memcpy(reason, bytes + MARK_REASON_AT, reason_len);
    repair_reason(mark.reason, reason);
    *ret_mark = mark;
    return 0;
}

int repair_mark_read(struct disk *disk, const char *dir, struct repair_mark *ret_mark)
{
    uint8_t bytes[MARK_LEN + 1];
    size_t len = 0;
    struct repair_mark mark = {.state = REPAIR_NONE};
    int err = small_file_read(disk, dir, MARK_NAME, bytes, sizeof bytes, &len);
    if (err == 0) {
        err = mark_decode(bytes, len, &mark);
    }
    if (err == ERR_CORRUPT) {
        mark = (struct repair_mark){.state = REPAIR_NEEDED, .voter = true, .told = true, .damaged = true};
        (void)snprintf(mark.reason, sizeof mark.reason, "%s/" MARK_NAME ", which says what is wrong here, is damaged",
                       dir);
    }
    if (err == 0 || err == ERR_NOT_FOUND || err == ERR_CORRUPT) {
        *ret_mark = mark;
        return 0;
    }
    return err;
}

int repair_mark_write(struct disk *disk, const char *dir, const struct repair_mark *mark)
{
    uint8_t bytes[MARK_LEN] = {0};
    char reason[REPAIR_REASON_LEN_MAX + 1];
    if (mark->state == REPAIR_NONE) {
        return repair_mark_clear(disk, dir);
    }
    repair_reason(reason, mark->reason);
    size_t reason_len = strlen(reason);
    memcpy(bytes, mark_magic, sizeof mark_magic);
    bytes[4] = (uint8_t)mark->state;
    bytes[5] =
        (uint8_t)((mark->voter ? MARK_VOTER : 0) | (mark->ordered ? MARK_ORDERED : 0) | (mark->told ? MARK_TOLD : 0));
    put_u16(bytes + 6, (uint16_t)reason_len);
    memcpy(bytes + MARK_REASON_AT, reason, reason_len);
    put_u64(bytes + MARK_SUM_AT, XXH3_64bits(bytes, MARK_SUM_AT));
    return small_file_replace(disk, dir, MARK_NAME, bytes, sizeof bytes);
}

int repair_mark_reserve(struct disk *disk, const char *dir)
{
    return small_file_reserve(disk, dir, MARK_NAME, MARK_LEN);
}

int repair_mark_clear(struct disk *disk, const char *dir)
{
    return small_file_remove(disk, dir, MARK_NAME);
}
