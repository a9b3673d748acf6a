/* The digest of the whole state: a sum of the hashes of all rows as a checkpoint of everything would write them, so
 * that it does not matter where a row is now, nor in what order rows are found. */

#include <string.h>

#include "proto/base/check.h"
#include "statemachine/state.h"

/* A row after its encoder: `err` is what that returned. */
static int digest_add(uint64_t *digest, const struct row *row, int err)
{
    if (err == 0) {
        *digest += row_checksum(&row->key, row->value.data, row->value.len);
    }
    return err;
}

/* The row without its content, of which it has the hash. */
static int digest_add_message(struct machine *machine, uint64_t *digest, uint64_t queue, uint64_t position,
                              const struct message *message)
{
    struct row_key key = row_key_pair(ROW_MESSAGE, queue, position);
    struct bytes *bytes = &machine->row.value;
    size_t len = message_row_len(message);
    bytes->len = 0;
    int err = bytes_reserve(bytes, len);
    if (err == 0) {
        message_row_encode(&key, message, bytes->data);
        *digest += row_checksum(&key, bytes->data, len);
    }
    return err;
}

/* What of the lane's messages is not in the store. */
static int digest_lane_messages(struct machine *machine, uint64_t *digest, const struct queue *queue,
                                const struct lane *lane)
{
    int err = 0;
    for (uint64_t position = lane->messages.base; err == 0 && position < lane->tail; position++) {
        const struct message *message = messages_at(&lane->messages, position);
        if (!message->settled) {
            err = digest_add_message(machine, digest, queue->id, position, message);
        }
    }
    return err;
}

static int digest_queue_messages(struct machine *machine, uint64_t *digest, const struct queue *queue)
{
    int err = 0;
    for (unsigned number = 0; err == 0 && number <= queue->options.max_priority; number++) {
        const struct lane *lane = queue_lane(queue, number);
        err = lane != NULL ? digest_lane_messages(machine, digest, queue, lane) : 0;
    }
    return err;
}

struct digest_scan {
    struct machine *machine;
    uint64_t digest;
};

/* Rows of messages that count: in a queue that is there, not settled since, and not in memory still. */
static int digest_stored_message(void *arg, struct slice key, struct slice value)
{
    struct digest_scan *scan = arg;
    if (key.len != ROW_KEY_PAIR_LEN) {
        return ERR_CORRUPT;
    }
    uint64_t position = get_be64(key.data + 9);
    struct row_key row_key = row_key_pair(ROW_MESSAGE, get_be64(key.data + 1), position);
    struct queue *queue = queue_by_id_doomed_too(scan->machine, get_be64(key.data + 1));
    const struct lane *lane = queue != NULL ? queue_lane(queue, lane_of(position)) : NULL;
    if (lane == NULL || position >= lane->messages.base || !queue_may_have(queue, position)) {
        return 0;
    }
    struct message message;
    int err = message_row_decode(&row_key, value, &message);
    if (err != 0) {
        return state_blame(scan->machine, &row_key, err, err_text(err));
    }
    return digest_add_message(scan->machine, &scan->digest, queue->id, position, &message);
}

/* Rows of producers count when memory knows nothing newer. */
static int digest_stored_producer(void *arg, struct slice key, struct slice value)
{
    struct digest_scan *scan = arg;
    struct producer *producer = NULL;
    if (key.len < 2 || key.len > ROW_KEY_LEN_MAX) {
        return ERR_CORRUPT;
    }
    struct row_key row_key = {.len = key.len};
    memcpy(row_key.data, key.data, key.len);
    HASH_FIND(by_name, scan->machine->producers.by_name, row_key.data + 1, row_key.len - 1, producer);
    if (producer != NULL) {
        return 0;
    }
    struct row *row = &scan->machine->row;
    int err = producer_row_again(scan->machine, &row_key, value, row);
    if (err != 0 && err != ERR_NOT_FOUND) {
        return state_blame(scan->machine, &row_key, err, err_text(err));
    }
    return err == ERR_NOT_FOUND ? 0 : digest_add(&scan->digest, row, err);
}

static int digest_store(struct machine *machine, enum row_kind kind,
                        int (*each)(void *arg, struct slice key, struct slice value), uint64_t *digest)
{
    struct digest_scan scan = {.machine = machine};
    struct row_key first = row_key_plain(kind);
    struct row_key end = first;
    end.data[0]++;
    int err = machine->store->ops->scan(machine->store, row_key_slice(&first), row_key_slice(&end), each, &scan);
    *digest += scan.digest;
    return err;
}

int machine_digest(struct machine *machine, uint64_t *ret_digest)
{
    uint64_t digest = 0;
    struct row *row = &machine->row;
    int err = machine_memory_digest(machine, &digest);
    for (struct queue *queue = machine->queues; err == 0 && queue != NULL; queue = queue->by_id.next) {
        err = digest_queue_messages(machine, &digest, queue);
    }
    for (struct queue *queue = machine->doomed; err == 0 && queue != NULL; queue = queue->by_id.next) {
        err = digest_queue_messages(machine, &digest, queue);
    }
    struct producer *producer = machine->producers.by_name;
    for (; err == 0 && producer != NULL; producer = producer->by_name.next) {
        if (producer_is_known(producer)) {
            err = digest_add(&digest, row, producer_row(machine, producer, row));
        }
    }
    if (err == 0) {
        err = digest_store(machine, ROW_MESSAGE, digest_stored_message, &digest);
    }
    if (err == 0) {
        err = digest_store(machine, ROW_PRODUCER, digest_stored_producer, &digest);
    }
    if (err == 0) {
        err = table_digest(machine, &digest);
    }
    if (err == 0) {
        *ret_digest = digest;
    }
    return err;
}
