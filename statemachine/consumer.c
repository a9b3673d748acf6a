/* A consumer: a session's subscription to a queue. */

#include "statemachine/consumer.h"

#include <stdlib.h>

#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "statemachine/session.h"
#include "statemachine/state.h"

static int consumer_compare(const struct consumer *a, const struct consumer *b)
{
    if (a->session_id != b->session_id) {
        return a->session_id > b->session_id ? 1 : -1;
    }
    return (a->id > b->id) - (a->id < b->id);
}

static int consumer_compare_ids(const struct consumer *a, const struct consumer *b)
{
    return (a->id > b->id) - (a->id < b->id);
}

RB_GENERATE(queue_consumers, consumer, by_queue, consumer_compare)
RB_GENERATE(session_consumers, consumer, by_id, consumer_compare_ids)

int consumer_new(struct machine *machine, struct session *session, struct queue *queue, uint64_t id,
                 struct consumer **ret_consumer)
{
    struct consumer *consumer = calloc(1, sizeof *consumer);
    if (consumer == NULL) {
        return ERR_NOMEM;
    }
    consumer->id = id;
    consumer->session_id = session->id;
    consumer->session = session;
    consumer->queue = queue;
    list_init(&consumer->waiting);
    list_init(&consumer->changed);
    CHECK(RB_INSERT(queue_consumers, &queue->consumers, consumer) == NULL);
    queue->consumers_len++;
    CHECK(RB_INSERT(session_consumers, &session->consumers, consumer) == NULL);
    session->consumers_len++;
    machine->consumers_len++;
    *ret_consumer = consumer;
    return 0;
}

void consumer_discard(struct consumer *consumer)
{
    RB_REMOVE(session_consumers, &consumer->session->consumers, consumer);
    consumer->session->consumers_len--;
    RB_REMOVE(queue_consumers, &consumer->queue->consumers, consumer);
    consumer->queue->consumers_len--;
    list_remove(&consumer->waiting);
    list_remove(&consumer->changed);
    deliveries_done(&consumer->deliveries);
    free(consumer);
}

int consumer_free(struct machine *machine, struct consumer *consumer, enum consumer_end end)
{
    struct queue *queue = consumer->queue;
    struct delivery *delivery = deliveries_find(&consumer->deliveries, 0, UINT64_MAX);
    while (delivery != NULL) {
        if (end == CONSUMER_END_RETURN) {
            int err = queue_return(machine, queue, delivery->position, delivery->count);
            if (err != 0) {
                return err;
            }
        } else {
            queue->unsettled--;
        }
        struct delivery *next = deliveries_next(&consumer->deliveries, delivery, UINT64_MAX);
        deliveries_drop(&consumer->deliveries, delivery);
        delivery = next;
    }
    if (consumer->stored) {
        state_forget_row(machine, ROW_CONSUMER, consumer->session_id, consumer->id);
    }
    consumer_discard(consumer);
    machine->consumers_len--;
    return 0;
}

struct consumer *consumer_find(struct session *session, uint64_t id)
{
    struct consumer *consumer = RB_ROOT(&session->consumers);
    while (consumer != NULL && consumer->id != id) {
        consumer = id < consumer->id ? RB_LEFT(consumer, by_id) : RB_RIGHT(consumer, by_id);
    }
    return consumer;
}

void consumer_changed(struct machine *machine, struct consumer *consumer)
{
    if (!list_linked(&consumer->changed)) {
        list_push_back(&machine->changed_consumers, &consumer->changed);
    }
}

static bool consumer_has_credit(const struct consumer *consumer)
{
    return consumer->deliveries.held < consumer->credit + fault_fires(FAULT_SKIP_CREDIT);
}

/* Whether it may be given something. */
static bool consumer_takes(const struct consumer *consumer)
{
    return consumer_has_credit(consumer) && consumer->session->place != NULL;
}

/* To the end of the row of those who wait. */
static void consumer_queue_up(struct machine *machine, struct consumer *consumer)
{
    list_push_back(&consumer->queue->waiting, &consumer->waiting);
    consumer->turn = ++consumer->queue->turns;
    queue_changed(machine, consumer->queue);
}

void consumer_update_turn(struct machine *machine, struct consumer *consumer)
{
    consumer_changed(machine, consumer);
    if (!consumer_takes(consumer)) {
        list_remove(&consumer->waiting);
        consumer->turn = 0;
    } else if (!list_linked(&consumer->waiting)) {
        consumer_queue_up(machine, consumer);
        queue_due(machine, consumer->queue);
    }
}

int consumer_deliver(struct machine *machine, struct consumer *consumer, uint64_t position, uint32_t count)
{
    int err = deliveries_push(&consumer->deliveries, consumer->last_number + 1, position, count);
    if (err != 0) {
        return err;
    }
    consumer->last_number++;
    list_remove(&consumer->waiting);
    consumer->turn = 0;
    if (consumer_has_credit(consumer)) {
        consumer_queue_up(machine, consumer);
    }
    consumer_changed(machine, consumer);
    return 0;
}

int consumer_row(const struct consumer *consumer, struct row *row)
{
    const struct deliveries *deliveries = &consumer->deliveries;
    row_begin(row, row_key_pair(ROW_CONSUMER, consumer->session_id, consumer->id));
    row_put_u64(row, consumer->queue->id);
    row_put_u32(row, consumer->credit);
    row_put_u64(row, consumer->last_number);
    row_put_u64(row, consumer->turn);
    row_put_u32(row, (uint32_t)deliveries->held);
    for (size_t i = deliveries->first; i < deliveries->last; i++) {
        const struct delivery *delivery = &deliveries->items[i];
        if (delivery->held) {
            uint8_t data[20];
            put_u64(data, delivery->number);
            put_u64(data + 8, delivery->position);
            put_u32(data + 16, delivery->count);
            row_put_bytes(row, data, sizeof data);
        }
    }
    return row_seal(row);
}

static int consumer_load_deliveries(struct consumer *consumer, struct row_reader *reader, uint32_t len)
{
    uint64_t number_before = 0;
    for (uint32_t i = 0; i < len; i++) {
        uint64_t number = row_get_u64(reader);
        uint64_t position = row_get_u64(reader);
        uint32_t count = row_get_u32(reader);
        if (reader->overrun || number <= number_before || number > consumer->last_number || position == 0 ||
            position >= consumer->queue->head) {
            return ERR_CORRUPT;
        }
        int err = deliveries_push(&consumer->deliveries, number, position, count);
        if (err != 0) {
            return err;
        }
        number_before = number;
        consumer->queue->unsettled++;
    }
    return 0;
}

int consumer_load(struct machine *machine, const struct row_key *key, struct slice value)
{
    struct row_reader reader;
    int err = row_open(&reader, key, value);
    if (err != 0) {
        return err;
    }
    if (key->len != ROW_KEY_PAIR_LEN) {
        return ERR_CORRUPT;
    }
    struct session *session = session_by_id(machine, get_be64(key->data + 1));
    struct queue *queue = queue_by_id(machine, row_get_u64(&reader));
    if (session == NULL || queue == NULL) {
        return ERR_CORRUPT;
    }
    struct consumer *consumer;
    err = consumer_new(machine, session, queue, get_be64(key->data + 9), &consumer);
    if (err != 0) {
        return err;
    }
    consumer->stored = true;
    consumer->credit = row_get_u32(&reader);
    consumer->last_number = row_get_u64(&reader);
    consumer->turn = row_get_u64(&reader);
    err = consumer_load_deliveries(consumer, &reader, row_get_u32(&reader));
    if (err != 0) {
        return err;
    }
    if (row_end(&reader) != 0 || consumer->turn > queue->turns || (consumer->turn != 0) != consumer_takes(consumer)) {
        return ERR_CORRUPT;
    }
    return 0;
}

static int consumer_compare_turns(const void *a, const void *b)
{
    const struct consumer *const *x = a;
    const struct consumer *const *y = b;
    return ((*x)->turn > (*y)->turn) - ((*x)->turn < (*y)->turn);
}

int consumers_load_turns(struct queue *queue)
{
    if (queue->consumers_len == 0) {
        return 0;
    }
    struct consumer **waiting = calloc(queue->consumers_len, sizeof(struct consumer *));
    if (waiting == NULL) {
        return ERR_NOMEM;
    }
    size_t len = 0;
    struct consumer *consumer;
    RB_FOREACH (consumer, queue_consumers, &queue->consumers) {
        if (consumer->turn != 0) {
            waiting[len++] = consumer;
        }
    }
    qsort(waiting, len, sizeof(struct consumer *), consumer_compare_turns);
    for (size_t i = 0; i < len; i++) {
        list_push_back(&queue->waiting, &waiting[i]->waiting);
    }
    free(waiting);
    return 0;
}
