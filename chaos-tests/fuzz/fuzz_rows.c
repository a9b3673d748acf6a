/* Fuzzes the rows of a store: whatever is in them, a machine that opens it, goes on and is asked for everything gives an error, or goes on.
 *
 * The bytes are: which store (of those that are made at the start, from random histories), then for each row that is changed the fields of
 * struct damage: u8 kind and whether it is sealed, u16 row, u16 place, u64 value. */

#include <stdlib.h>

#include "fuzz_input.h"
#include "row_damage.h"

#define IMAGES 8u
#define ENTRIES 150u
#define AFTER 24u
#define DAMAGE_LEN 13u
#define DAMAGES_MAX 4u
#define SEALED 0x80u

static const struct damage_image *image_of(uint8_t number)
{
    static struct damage_image images[IMAGES];
    struct damage_image *image = &images[number % IMAGES];
    if (image->disk == NULL) {
        damage_image_make(image, 1 + number % IMAGES, number % 2 == 0 ? UINT64_MAX : 0, ENTRIES, AFTER);
    }
    return image;
}

static struct damage damage_of(const uint8_t *data)
{
    return (struct damage){
        .kind = (enum damage_kind)(data[0] % DAMAGE_KINDS),
        .row = get_u16(data + 1),
        .at = get_u16(data + 3),
        .value = get_u64(data + 5),
        .sealed = (data[0] & SEALED) != 0,
    };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char said[512];
    if (len < 1 + DAMAGE_LEN) {
        return 0;
    }
    const struct damage_image *image = image_of(data[0]);
    struct damage_image changed = *image;
    changed.disk = store_memory_disk_new();
    CHECK(changed.disk != NULL && store_memory_disk_copy(changed.disk, image->disk) == 0);
    for (size_t at = 1, i = 0; at + DAMAGE_LEN <= len && i < DAMAGES_MAX; at += DAMAGE_LEN, i++) {
        struct damage damage = damage_of(data + at);
        if (store_memory_disk_rows(changed.disk) > 0) {
            changed.rows = store_memory_disk_rows(changed.disk);
            struct store_memory_disk *disk = damage_do(&changed, &damage, NULL);
            store_memory_disk_free(changed.disk);
            changed.disk = disk;
        }
    }
    int err = damage_try(changed.disk, image, said, sizeof said);
    CHECK(err == 0 || ((err == ERR_CORRUPT || err == ERR_CHECKSUM || err == ERR_VERSION) && said[0] != '\0'));
    store_memory_disk_free(changed.disk);
    return 0;
}
