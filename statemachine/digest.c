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

static void digest_add_message(uint64_t *digest, uint64_t queue, uint64_t position, const struct message *message)
{
    struct row_key key = row_key_pair(ROW_MESSAGE, queue, position);
    uint8_t head[MESSAGE_ROW_LEN];
    message_row_encode(&key, message, head);
    *digest += row_checksum(&key, head, sizeof head);
}

/* What of the queue's messages is not in the store. */
static void digest_queue_messages(uint64_t *digest, const struct queue *queue)
{
    for (uint64_t position = queue->messages.base; position < queue->tail; position++) {
        const struct message *message = messages_at(&queue->messages, position);
        if (!message->settled) {
            digest_add_message(digest, queue->id, position, message);
        }
    }
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
    struct queue *queue = queue_by_id(scan->machine, get_be64(key.data + 1));
    if (queue == NULL || position >= queue->messages.base || !queue_may_have(queue, position)) {
        return 0;
    }
    struct message message;
    int err = message_row_decode(&row_key, value, &message);
    if (err == 0) {
        digest_add_message(&scan->digest, queue->id, position, &message);
    }
    return err;
}

/* Rows of producers count when memory knows nothing newer. */
static int digest_stored_producer(void *arg, struct slice key, struct slice value)
{
    struct digest_scan *scan = arg;
    struct producer *producer = NULL;
    if (key.len < 2 || key.len > ROW_KEY_LEN_MAX) {
        return ERR_CORRUPT;
    }
    struct row_key row_key = row_key_name(ROW_PRODUCER, (const char *)key.data + 1, key.len - 1);
    HASH_FIND(by_name, scan->machine->producers.by_name, row_key.data + 1, row_key.len - 1, producer);
    if (producer != NULL) {
        return 0;
    }
    struct row_reader reader;
    int err = row_open(&reader, &row_key, value);
    if (err == 0) {
        scan->digest += row_checksum(&row_key, value.data, value.len);
    }
    return err;
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
        digest_queue_messages(&digest, queue);
    }
    struct producer *producer = machine->producers.by_name;
    for (; err == 0 && producer != NULL; producer = producer->by_name.next) {
        if (producer->last > 0) {
            err = digest_add(&digest, row, producer_row(producer, row));
        }
    }
    if (err == 0) {
        err = digest_store(machine, ROW_MESSAGE, digest_stored_message, &digest);
    }
    if (err == 0) {
        err = digest_store(machine, ROW_PRODUCER, digest_stored_producer, &digest);
    }
    if (err == 0) {
        *ret_digest = digest;
    }
    return err;
}
