/* Keys sort by number; values are believed only whole. */

#include "statemachine/store/rows.h"

#include <criterion/criterion.h>
#include <string.h>

Test(rows, keys_sort_by_number)
{
    uint64_t numbers[] = {0, 1, 255, 256, 65536, UINT64_C(1) << 40, UINT64_MAX};
    for (size_t i = 1; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct row_key before = row_key_pair(ROW_MESSAGE, 3, numbers[i - 1]);
        struct row_key after = row_key_pair(ROW_MESSAGE, 3, numbers[i]);
        cr_assert_lt(memcmp(before.data, after.data, before.len), 0);
    }
}

Test(rows, round_trip_and_damage)
{
    struct row row = {0};
    struct row_reader reader;
    row_begin(&row, row_key_one(ROW_QUEUE, 9));
    row_put_u8(&row, 1);
    row_put_u16(&row, 2);
    row_put_u32(&row, 3);
    row_put_u64(&row, 4);
    row_put_bytes(&row, "five", 4);
    cr_assert_eq(row_seal(&row), 0);
    struct slice value = {.data = row.value.data, .len = row.value.len};
    cr_assert_eq(row_open(&reader, &row.key, value), 0);
    cr_assert_eq(row_get_u8(&reader), 1u);
    cr_assert_eq(row_get_u16(&reader), 2u);
    cr_assert_eq(row_get_u32(&reader), 3u);
    cr_assert_eq(row_get_u64(&reader), 4u);
    cr_assert_eq(row_end(&reader), ERR_CORRUPT, "there is more");
    cr_assert_eq(memcmp(row_get_bytes(&reader, 4), "five", 4), 0);
    cr_assert_eq(row_end(&reader), 0);
    cr_assert_eq(row_get_u32(&reader), 0u);
    cr_assert_eq(row_end(&reader), ERR_CORRUPT, "there is less");
    struct row_key other = row_key_one(ROW_QUEUE, 10);
    cr_assert_eq(row_open(&reader, &other, value), ERR_CORRUPT);
    for (size_t len = 0; len < value.len; len++) {
        cr_assert_eq(row_open(&reader, &row.key, (struct slice){.data = value.data, .len = len}), ERR_CORRUPT);
    }
    for (size_t bit = 0; bit < 8 * value.len; bit++) {
        row.value.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        cr_assert_eq(row_open(&reader, &row.key, value), ERR_CORRUPT);
        row.value.data[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    row.value.data[0] = ROW_VERSION_NEW + 1;
    size_t len = row.value.len - ROW_CHECKSUM_LEN;
    put_u64(row.value.data + len, row_checksum(&row.key, row.value.data, len));
    cr_assert_eq(row_open(&reader, &row.key, value), ERR_VERSION);
    row_done(&row);
}
