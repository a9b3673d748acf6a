/* Rows of version 2 that are not as they were written: the machine says so, and which. */

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "fixture.h"
#include "log_maker.h"
#include "row_damage.h"

static bool is_damage(int err)
{
    return err == ERR_CORRUPT || err == ERR_CHECKSUM || err == ERR_VERSION;
}

static const char *where(char text[128], const struct damage *damage, const struct row_key *key)
{
    (void)snprintf(text, 128, "damage %d at %zu with %" PRIx64 " of row %zu ('%c')", (int)damage->kind, damage->at,
                   damage->value, damage->row, key->data[0]);
    return text;
}

/* Bytes that are not what they were, and rows at another place. */
static void any_bytes(uint64_t seed, uint64_t uses)
{
    struct damage_image image;
    struct log_maker dice = {.random = seed};
    char text[128];
    unsigned found = 0;
    damage_image_make(&image, seed, uses, 150, 30);
    for (size_t row = 0; row < image.rows; row++) {
        for (unsigned i = 0; i < 6; i++) {
            static const enum damage_kind kinds[] = {DAMAGE_BITS, DAMAGE_SHORTER, DAMAGE_LONGER, DAMAGE_KEY};
            struct damage damage = {.kind = MAKER_PICK(&dice, kinds),
                                    .row = row,
                                    .at = maker_below(&dice, 4096),
                                    .value = 1u << maker_below(&dice, 8)};
            struct row_key key;
            char said[512];
            struct store_memory_disk *disk = damage_do(&image, &damage, &key);
            int err = damage_try(disk, &image, said, sizeof said);
            cr_assert(err == 0 || is_damage(err), "%s: %s", where(text, &damage, &key), err_name(err));
            cr_assert(err == 0 || said[0] != '\0', "%s: nothing is said", where(text, &damage, &key));
            found += err != 0;
            store_memory_disk_free(disk);
        }
    }
    /* What nobody asks for any more is not found. */
    cr_assert_gt(found, image.rows * 6 / 2, "%u of %zu", found, image.rows * 6);
    damage_image_done(&image);
}

Test(row_damage, any_bytes_of_any_row)
{
    any_bytes(1, UINT64_MAX);
    any_bytes(2, UINT64_MAX);
    any_bytes(3, 0);
}

/* Rows that nobody wrote, with a sound checksum: what comes of it is an error that the machine gives. */
static void sealed(uint64_t seed, uint64_t uses, unsigned times)
{
    struct damage_image image;
    struct log_maker dice = {.random = seed};
    char text[128];
    damage_image_make(&image, seed, uses, 150, 30);
    for (unsigned i = 0; i < times; i++) {
        static const uint64_t numbers[] = {0, 1, 2, 3, 255, UINT32_MAX, UINT64_C(1) << 56, UINT64_MAX, UINT64_MAX / 2};
        struct damage damage = {.kind = (enum damage_kind)maker_below(&dice, DAMAGE_KINDS),
                                .row = maker_below(&dice, image.rows),
                                .at = maker_below(&dice, 4096),
                                .value = MAKER_PICK(&dice, numbers),
                                .sealed = true};
        struct row_key key;
        char said[512];
        struct store_memory_disk *disk = damage_do(&image, &damage, &key);
        if (getenv("HOLDFAST_TRACE") != NULL) {
            (void)fprintf(stderr, "%s\n", where(text, &damage, &key));
        }
        int err = damage_try(disk, &image, said, sizeof said);
        cr_assert(err == 0 || is_damage(err), "%s: %s", where(text, &damage, &key), err_name(err));
        cr_assert(err == 0 || said[0] != '\0', "%s: nothing is said", where(text, &damage, &key));
        store_memory_disk_free(disk);
    }
    damage_image_done(&image);
}

Test(row_damage, rows_that_were_never_written)
{
    const char *given = getenv("HOLDFAST_SEEDS");
    uint64_t from = given != NULL ? strtoull(given, NULL, 10) : 1;
    for (uint64_t seed = from; seed < from + 3; seed++) {
        sealed(seed, seed % 3 == 0 ? 0 : UINT64_MAX, 1500);
    }
}
