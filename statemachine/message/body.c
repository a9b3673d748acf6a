/* Bodies that several messages share. */

#include "statemachine/message/body.h"

#include "statemachine/state.h"
#include "statemachine/table/table_private.h"

/* ---- How many have it ---- */

static int uses_put(struct machine *machine, uint64_t id, uint64_t uses)
{
    struct row *row = &machine->row;
    row_begin_new(row, row_key_one(ROW_BODY_USES, id));
    row_put_u64(row, uses);
    int err = row_seal(row);
    return err != 0 ? err : table_put(machine, row, (struct slice){0});
}

static int uses_get(struct machine *machine, uint64_t id, uint64_t *ret_uses)
{
    struct row_key key = row_key_one(ROW_BODY_USES, id);
    struct table_row found;
    int err = table_get(machine, &key, &found);
    if (err != 0) {
        return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
    }
    struct row_reader reader;
    err = row_open(&reader, &key, found.value);
    if (err == 0) {
        *ret_uses = row_get_u64(&reader);
        err = row_end(&reader);
    }
    table_row_done(&found);
    return err;
}

int body_share(struct machine *machine, struct message *message, uint64_t uses)
{
    struct row *row = &machine->row;
    uint64_t id = machine->next_body++;
    row_begin_new(row, row_key_one(ROW_BODY, id));
    row_put_u32(row, message->head_len);
    table_put_tail(row, message->hash, message_len(message));
    int err = row_seal(row);
    struct slice content = {.blob = message->blob, .data = message->data, .len = message_len(message)};
    if (err == 0) {
        err = table_put(machine, row, content);
    }
    if (err == 0) {
        err = uses_put(machine, id, uses);
    }
    message->shared_body = id;
    return err;
}

int body_release(struct machine *machine, uint64_t id)
{
    uint64_t uses;
    int err = uses_get(machine, id, &uses);
    if (err != 0 || uses > 1) {
        return err != 0 ? err : uses_put(machine, id, uses - 1);
    }
    struct row_key key = row_key_one(ROW_BODY, id);
    err = table_remove(machine, &key);
    key = row_key_one(ROW_BODY_USES, id);
    return err != 0 ? err : table_remove(machine, &key);
}

/* ---- Messages ---- */

int body_let_go(struct machine *machine, struct message *message)
{
    uint64_t id = message->shared_body;
    message->shared_body = 0;
    return id != 0 ? body_release(machine, id) : 0;
}

/* The last message that has it may have been settled as it was delivered, and is looked at until the next entry (parting.h): then the
 * table does not know the body any more, but as the message's own row its row is in the store until the next checkpoint. */
static int body_get(struct machine *machine, const struct row_key *key, struct table_row *ret_row)
{
    struct slice value;
    int err = table_get(machine, key, ret_row);
    if (err != ERR_NOT_FOUND) {
        return err;
    }
    err = machine->store->ops->get(machine->store, key->data, key->len, &value);
    return err != 0 ? err : table_row_read(machine, key, value, ret_row);
}

int body_read(struct machine *machine, struct message *message)
{
    struct row_key key = row_key_one(ROW_BODY, message->shared_body);
    struct table_row found;
    int err = body_get(machine, &key, &found);
    if (err == 0 && found.content.len != message_len(message)) {
        table_row_done(&found);
        err = ERR_CORRUPT;
    }
    if (err != 0) {
        message_unref(message);
        err = err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
        return state_blame(machine, &key, err, "a message has lost its body");
    }
    /* What it has referred to until now is its own row, with the trail in it. */
    message->trail_blob = message->blob;
    message->blob = found.content.blob != NULL ? blob_ref(found.content.blob) : NULL;
    message->data = found.content.data;
    table_row_done(&found);
    return 0;
}

int body_leave(struct machine *machine, struct queue *queue, uint64_t position)
{
    struct message_head head;
    int err = state_message_head(machine, queue, position, &head);
    if (err != 0) {
        return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
    }
    return head.shared_body != 0 ? body_release(machine, head.shared_body) : 0;
}
