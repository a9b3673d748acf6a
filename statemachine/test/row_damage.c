/* Stores with a row that is not as it was written. */

#include "row_damage.h"

#include <stdio.h>
#include <string.h>

#include "log_maker.h"
#include "proto/base/check.h"
#include "statemachine/machine_looking.h"
#include "statemachine/table/table_kind.h"

/* ---- The image ---- */

static struct machine *machine_of(struct store_memory_disk *disk, int *ret_err, char *said, size_t said_len)
{
    struct store *store;
    struct machine *machine = NULL;
    struct slice consensus;
    uint64_t index;
    CHECK(store_memory_open(disk, &store) == 0);
    *ret_err = machine_open(store, &machine, &index, &consensus, said, said_len);
    if (*ret_err != 0) {
        store->ops->close(store);
        return NULL;
    }
    slice_unref(&consensus);
    return machine;
}

static int count_row(void *arg, struct slice key, struct slice value)
{
    (void)key;
    (void)value;
    ++*(size_t *)arg;
    return 0;
}

static const struct slice all_keys = {.data = (const uint8_t *)"\xff", .len = 1};

static void image_step(struct log_maker *maker, struct machine *machine, uint64_t *index, struct slice *ret_entry)
{
    struct effects effects;
    *ret_entry = log_maker_next(maker);
    CHECK(machine_apply(machine, ++*index, *ret_entry, &effects) == 0);
    log_maker_learn(maker, machine, &effects);
}

void damage_image_make(struct damage_image *image, uint64_t seed, uint64_t uses, unsigned entries, unsigned after)
{
    struct log_maker maker;
    struct machine_checkpoint *checkpoint;
    char said[256];
    int err;
    uint64_t index = 0;
    *image = (struct damage_image){.disk = store_memory_disk_new()};
    struct machine *machine = machine_of(image->disk, &err, said, sizeof said);
    CHECK(machine != NULL && after <= DAMAGE_AFTER_MAX);
    log_maker_init(&maker, seed, uses);
    for (unsigned i = 0; i < entries; i++) {
        struct slice entry;
        image_step(&maker, machine, &index, &entry);
        slice_unref(&entry);
    }
    CHECK(machine_checkpoint(machine, (struct slice){0}, &checkpoint) == 0);
    CHECK(machine_checkpoint_write(checkpoint) == 0);
    machine_checkpoint_done(checkpoint, 0);
    for (unsigned i = 0; i < after; i++) {
        image_step(&maker, machine, &index, &image->after[image->after_len++]);
    }
    machine_close(machine);
    log_maker_done(&maker);
    struct store *store;
    CHECK(store_memory_open(image->disk, &store) == 0);
    CHECK(store->ops->scan(store, (struct slice){0}, all_keys, count_row, &image->rows) == 0);
    store->ops->close(store);
}

void damage_image_done(struct damage_image *image)
{
    for (size_t i = 0; i < image->after_len; i++) {
        slice_unref(&image->after[i]);
    }
    store_memory_disk_free(image->disk);
}

/* ---- The damage ---- */

struct pick {
    size_t left;
    struct row_key key;
    struct bytes value;
};

static int pick_row(void *arg, struct slice key, struct slice value)
{
    struct pick *pick = arg;
    if (pick->left-- > 0) {
        return 0;
    }
    pick->key.len = key.len;
    memcpy(pick->key.data, key.data, key.len);
    CHECK(bytes_append(&pick->value, value.data, value.len) == 0);
    return 1;
}

/* Where the fields of a row begin and end, its checksum included; what is behind is content. */
static void row_bounds(const struct row_key *key, const struct bytes *value, size_t *ret_from, size_t *ret_end)
{
    const struct table_kind *kind = table_kind(key->data[0]);
    *ret_from = 0;
    *ret_end = value->len;
    if (kind != NULL && kind->content) {
        *ret_from = TABLE_PREFIX_LEN;
        *ret_end = TABLE_PREFIX_LEN + get_u32(value->data);
    } else if (key->data[0] == ROW_MESSAGE && value->data[0] == ROW_VERSION_NEW) {
        *ret_end = 61 + (size_t)get_u32(value->data + 57) + ROW_CHECKSUM_LEN;
    } else if (key->data[0] == ROW_MESSAGE) {
        *ret_end = 21 + ROW_CHECKSUM_LEN;
    }
}

/* Fields of another length, before the checksum. */
static size_t resize(struct bytes *value, size_t from, size_t end, const struct damage *damage)
{
    size_t fields_end = end - ROW_CHECKSUM_LEN;
    if (damage->kind == DAMAGE_SHORTER) {
        size_t less = 1 + damage->at % (fields_end - from);
        memmove(value->data + fields_end - less, value->data + fields_end, value->len - fields_end);
        value->len -= less;
        return end - less;
    }
    size_t more = 1 + damage->at % 16;
    CHECK(bytes_reserve(value, more) == 0);
    memmove(value->data + fields_end + more, value->data + fields_end, value->len - fields_end);
    memset(value->data + fields_end, (int)(damage->value & 0xff), more);
    value->len += more;
    return end + more;
}

static void change_row(struct pick *pick, const struct damage *damage)
{
    struct bytes *value = &pick->value;
    size_t from;
    size_t end;
    row_bounds(&pick->key, value, &from, &end);
    size_t at = damage->sealed ? from + damage->at % (end - from - ROW_CHECKSUM_LEN) : damage->at % end;
    uint8_t bits = (uint8_t)damage->value;
    switch (damage->kind) {
    case DAMAGE_BITS: value->data[at] ^= bits != 0 ? bits : 1; break;
    case DAMAGE_NUMBER:
        at = end - from >= ROW_CHECKSUM_LEN + 8 ? from + damage->at % (end - from - ROW_CHECKSUM_LEN - 7) : from;
        for (size_t i = 0; i < 8 && at + i < end; i++) {
            value->data[at + i] = (uint8_t)(damage->value >> 8 * i);
        }
        break;
    case DAMAGE_SHORTER:
    case DAMAGE_LONGER: end = resize(value, from, end, damage); break;
    case DAMAGE_KEY:
        pick->key.data[1 % pick->key.len + damage->at % (pick->key.len > 1 ? pick->key.len - 1 : 1)] ^=
            bits != 0 ? bits : 1;
        break;
    default: break;
    }
    if (from > 0 && damage->sealed) {
        put_u32(value->data, (uint32_t)(end - from));
    }
    if (damage->sealed) {
        put_u64(value->data + end - ROW_CHECKSUM_LEN,
                row_checksum(&pick->key, value->data + from, end - from - ROW_CHECKSUM_LEN));
    }
}

struct store_memory_disk *damage_do(const struct damage_image *image, const struct damage *damage,
                                    struct row_key *ret_key)
{
    struct store_memory_disk *disk = store_memory_disk_new();
    struct pick pick = {.left = damage->row % image->rows};
    struct store *store;
    CHECK(disk != NULL && store_memory_disk_copy(disk, image->disk) == 0);
    CHECK(store_memory_open(disk, &store) == 0);
    CHECK(store->ops->scan(store, (struct slice){0}, all_keys, pick_row, &pick) == 1);
    struct row_key key = pick.key;
    change_row(&pick, damage);
    struct store_change changes[] = {
        {.kind = STORE_DELETE, .key = row_key_slice(&key)},
        {.kind = STORE_PUT, .key = row_key_slice(&pick.key), .value = {.data = pick.value.data, .len = pick.value.len}},
    };
    CHECK(store->ops->write(store, changes, damage->kind == DAMAGE_MISSING ? 1 : 2) == 0);
    store->ops->close(store);
    bytes_done(&pick.value);
    if (ret_key != NULL) {
        *ret_key = key;
    }
    return disk;
}

/* ---- What becomes of it ---- */

#define MESSAGES_MAX 512u

struct list {
    uint64_t items[MESSAGES_MAX];
    size_t len;
};

static int list_add(struct list *list, uint64_t item)
{
    list->items[list->len++] = item;
    return list->len == MESSAGES_MAX ? 1 : 0;
}

static int list_queue(void *arg, const struct machine_queue *queue)
{
    return list_add(arg, queue->id);
}

static int list_message(void *arg, const struct machine_message *message)
{
    return list_add(arg, message->position);
}

static int list_kept(void *arg, const struct machine_kept *kept)
{
    return list_add(arg, kept->position);
}

static int see_life(void *arg, const struct machine_life *life)
{
    (void)arg;
    (void)life;
    return 0;
}

static int ask_contents(struct machine *machine, uint64_t queue, const struct list *positions,
                        int (*ask)(struct machine *machine, uint64_t queue, uint64_t position,
                                   struct machine_content *ret_content))
{
    for (size_t i = 0; i < positions->len; i++) {
        struct machine_content content;
        int err = ask(machine, queue, positions->items[i], &content);
        if (err != 0) {
            return err;
        }
        machine_content_done(&content);
        err = machine_life(machine, queue, positions->items[i], see_life, NULL);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static int ask_queue(struct machine *machine, uint64_t queue)
{
    struct list positions = {0};
    uint64_t number;
    int err = machine_browse(machine, queue, 0, list_message, &positions);
    if (err >= 0) {
        err = ask_contents(machine, queue, &positions, machine_content);
    }
    positions.len = 0;
    if (err == 0) {
        err = machine_kept(machine, queue, 0, list_kept, &positions);
    }
    if (err >= 0) {
        err = ask_contents(machine, queue, &positions, machine_kept_content);
    }
    if (err == 0) {
        err = machine_queue_oldest(machine, queue, &number);
    }
    return err != 0 ? err : machine_queue_bytes(machine, queue, &number);
}

static int ask_everything(struct machine *machine)
{
    uint64_t digest;
    struct list queues = {0};
    int err = machine_digest(machine, &digest);
    if (err == 0) {
        err = machine_queues(machine, "", list_queue, &queues);
    }
    for (size_t i = 0; err == 0 && i < queues.len; i++) {
        err = ask_queue(machine, queues.items[i]);
    }
    return err;
}

int damage_try(struct store_memory_disk *disk, const struct damage_image *image, char *said, size_t said_len)
{
    int err;
    said[0] = '\0';
    struct machine *machine = machine_of(disk, &err, said, said_len);
    if (machine == NULL) {
        return err;
    }
    uint64_t index = machine_applied_index(machine);
    for (size_t i = 0; err == 0 && i < image->after_len; i++) {
        struct effects effects;
        err = machine_apply(machine, ++index, image->after[i], &effects);
    }
    machine_explain(machine, said, said_len);
    if (err == 0) {
        err = ask_everything(machine);
        machine_explain(machine, said, said_len);
        if (said[0] == 0) {
            (void)snprintf(said, said_len, "a question found it");
        }
    }
    machine_close(machine);
    return err;
}
