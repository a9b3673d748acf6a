/* Questions about messages that have left their queue. */

#include "statemachine/machine_looking.h"

#include <string.h>

#include "statemachine/message/kept.h"
#include "statemachine/state.h"

int machine_kept(struct machine *machine, uint64_t queue, uint64_t position,
                 int (*each)(void *arg, const struct machine_kept *kept), void *arg)
{
    struct row_key from = row_key_pair(ROW_KEPT, queue, position);
    struct row_key prefix = row_key_one(ROW_KEPT, queue);
    struct row_key end = row_key_after(&prefix);
    struct table_row row;
    int err;
    if (queue_by_id(machine, queue) == NULL) {
        return ERR_NOT_FOUND;
    }
    while ((err = table_seek(machine, &from, &end, &row)) == 0) {
        struct message message;
        struct machine_kept kept;
        err = kept_read(&row, &message, &kept);
        from = row_key_next(&row.key);
        table_row_done(&row);
        if (err == 0) {
            err = each(arg, &kept);
        }
        if (err != 0) {
            return err;
        }
    }
    return err == ERR_NOT_FOUND ? 0 : err;
}

/* Takes the references that machine_content_done() drops. */
static void content_take(const struct table_row *row, const struct message *message,
                         struct machine_content *ret_content)
{
    struct slice content = row->content;
    *ret_content = (struct machine_content){
        .content = content,
        .head = slice_part(content, 0, message->head_len),
        .body = slice_part(content, message->head_len, message->body_len),
        .trail = {.blob = message->trail_len > 0 ? row->value.blob : NULL,
                  .data = message->trail,
                  .len = message->trail_len},
        .enqueued_ms = message->enqueued_ms,
        .hash = message->hash,
    };
    slice_ref(ret_content->content);
    slice_ref(ret_content->head);
    slice_ref(ret_content->body);
    slice_ref(ret_content->trail);
}

int machine_kept_content(struct machine *machine, uint64_t queue, uint64_t position,
                         struct machine_content *ret_content)
{
    struct row_key key = row_key_pair(ROW_KEPT, queue, position);
    struct table_row row;
    struct message message;
    struct machine_kept kept;
    if (queue_by_id(machine, queue) == NULL) {
        return ERR_NOT_FOUND;
    }
    int err = table_get(machine, &key, &row);
    if (err != 0) {
        return err;
    }
    err = kept_read(&row, &message, &kept);
    if (err == 0 && XXH3_64bits(row.content.data, row.content.len) != message.hash) {
        err = state_blame(machine, &key, ERR_CHECKSUM, "the body is damaged");
    }
    if (err == 0) {
        content_take(&row, &message, ret_content);
    }
    table_row_done(&row);
    return err;
}

/* `text` has room for the longest one. */
static int life_read(const struct table_row *row, char text[NAME_LEN_MAX + 1], struct machine_life *ret_life)
{
    struct row_reader reader;
    int err = row_open(&reader, &row->key, row->value);
    if (err != 0) {
        return err;
    }
    struct machine_life life = {.position = get_be64(row->key.data + ROW_KEY_LEN(1)), .index = row_get_u64(&reader)};
    life.time_ms = row_get_u64(&reader);
    life.kind = (enum machine_life_kind)row_get_u8(&reader);
    life.session = row_get_u64(&reader);
    life.consumer = row_get_u64(&reader);
    size_t text_len = row_get_u8(&reader);
    const uint8_t *data = row_get_bytes(&reader, text_len);
    if (row_end(&reader) != 0) {
        return ERR_CORRUPT;
    }
    memcpy(text, data, text_len);
    text[text_len] = 0;
    life.text = text;
    *ret_life = life;
    return 0;
}

int machine_life(struct machine *machine, uint64_t queue, uint64_t position,
                 int (*each)(void *arg, const struct machine_life *life), void *arg)
{
    struct row_key from = row_key_pair(ROW_LIFE, queue, position);
    struct row_key end = row_key_after(&from);
    struct table_row row;
    int err;
    if (queue_by_id(machine, queue) == NULL) {
        return ERR_NOT_FOUND;
    }
    while ((err = table_seek(machine, &from, &end, &row)) == 0) {
        char text[NAME_LEN_MAX + 1];
        struct machine_life life;
        err = life_read(&row, text, &life);
        from = row_key_next(&row.key);
        table_row_done(&row);
        if (err == 0) {
            err = each(arg, &life);
        }
        if (err != 0) {
            return err;
        }
    }
    return err == ERR_NOT_FOUND ? 0 : err;
}
