/* Publishing: the checks, in their order. */

#include <string.h>
#include <xxhash.h>

#include "model_plan.h"

#define DELAY_MAX (UINT64_C(10) * 366 * 24 * 3600 * 1000)

static uint64_t head_len(const Holdfast__Publish *publish, size_t at)
{
    return publish->n_head_len > 0 ? publish->head_len[at] : 0;
}

static int lengths_error(const Holdfast__Publish *publish, struct slice bodies)
{
    uint64_t total = 0;
    if (publish->n_body_len == 0 || publish->n_body_len > 4096 || publish->n_body_hash != publish->n_body_len ||
        (publish->n_head_len != 0 && publish->n_head_len != publish->n_body_len)) {
        return ERR_INVALID;
    }
    for (size_t i = 0; i < publish->n_body_len; i++) {
        if (publish->body_len[i] > 16u << 20 || head_len(publish, i) > 256u << 10) {
            return ERR_TOO_BIG;
        }
        total += head_len(publish, i) + publish->body_len[i];
    }
    return total != bodies.len ? ERR_INVALID : 0;
}

static int names_error(const Holdfast__Publish *publish)
{
    if (publish->producer[0] != '\0' && !m_is_name(publish->producer)) {
        return ERR_NAME;
    }
    bool fits = publish->first_sequence != 0 && publish->first_sequence <= UINT64_MAX - publish->n_body_len;
    if (publish->producer[0] != '\0' && !fits) {
        return ERR_INVALID;
    }
    return publish->prepare != NULL && !m_is_name(publish->prepare->id) ? ERR_NAME : 0;
}

static int hashes_error(const Holdfast__Publish *publish, struct slice bodies)
{
    const uint8_t *data = bodies.data;
    for (size_t i = 0; i < publish->n_body_len; i++) {
        size_t len = head_len(publish, i) + publish->body_len[i];
        if (XXH3_64bits(data, len) != publish->body_hash[i]) {
            return ERR_CHECKSUM;
        }
        data += len;
    }
    return 0;
}

struct producer *m_producer_find(struct model *model, const char *virtual_host, const char *name)
{
    EACH (struct producer, producer, &model->producers) {
        if (strcmp(producer->virtual_host, virtual_host) == 0 && strcmp(producer->name, name) == 0) {
            return producer;
        }
    }
    struct producer *producer = model_alloc(model, sizeof *producer);
    producer->virtual_host = virtual_host;
    producer->name = model_text(model, name);
    m_list_add(model, &model->producers, producer);
    return producer;
}

static void *fields_alloc(void *model, size_t len)
{
    return model_alloc(model, len);
}

static void fields_free(void *model, void *memory)
{
    (void)model;
    (void)memory;
}

/* NULL: the head is malformed. */
static struct content *content_read(struct model *model, const Holdfast__Publish *publish, size_t at,
                                    const uint8_t *data)
{
    ProtobufCAllocator allocator = {.alloc = fields_alloc, .free = fields_free, .allocator_data = model};
    struct content *content = model_alloc(model, sizeof *content);
    content->head = data;
    content->head_len = head_len(publish, at);
    content->body = data + content->head_len;
    content->body_len = publish->body_len[at];
    content->hash = publish->body_hash[at];
    content->fields = holdfast__message_head__unpack(&allocator, content->head_len, data);
    return content->fields != NULL ? content : NULL;
}

uint64_t m_delay_of(const struct model *model, const Holdfast__MessageHead *head)
{
    if (head->delay_ms > 0) {
        return head->delay_ms;
    }
    return head->deliver_at_ms > model->time_ms ? head->deliver_at_ms - model->time_ms : 0;
}

/* Heads, and whose sequence was taken already. */
static int read_messages(struct model *model, struct plan *plan, struct slice bodies)
{
    const uint8_t *data = bodies.data != NULL ? bodies.data : (const uint8_t *)"";
    for (size_t i = 0; i < plan->publish->n_body_len; i++) {
        struct plan_message *message = &plan->messages[i];
        message->content = content_read(model, plan->publish, i, data);
        if (message->content == NULL) {
            return ERR_INVALID;
        }
        message->delay_ms = m_delay_of(model, message->content->fields);
        if (message->delay_ms > DELAY_MAX) {
            return ERR_INVALID;
        }
        message->fate = plan->publish->prepare != NULL ? PREPARED : message->delay_ms > 0 ? DELAYED : TAKEN;
        if (plan->producer != NULL && plan->publish->first_sequence + i <= plan->last) {
            m_saw(model, SEEN_SEQUENCE_REPEATED);
            model->seen[SEEN_TRANSACT_REPEATED] += plan->last != plan->producer->last;
            message->fate = REPEATED;
        }
        data += message->content->head_len + message->content->body_len;
    }
    return 0;
}

static int find_way(struct model *model, struct plan *plan, struct plan_message *message)
{
    const Holdfast__MessageHead *head = message->content->fields;
    if (plan->queue != NULL) {
        m_list_add(model, &message->queues, plan->queue);
        return 0;
    }
    struct exchange *exchange = m_exchange_find(model, plan->session->virtual_host, head->exchange);
    if (exchange == NULL || exchange->internal) {
        if (plan->publish->each) {
            message->fate = REFUSED;
            return 0;
        }
        return exchange == NULL ? ERR_NOT_FOUND : ERR_REFUSED;
    }
    struct list keys = m_keys(model, head);
    message->queues = m_route(model, exchange, &keys, head);
    message->unrouted = head->mandatory && message->queues.len == 0;
    model->seen[SEEN_UNROUTED] += message->unrouted;
    return 0;
}

static int ways_error(struct model *model, struct plan *plan)
{
    const Holdfast__Publish *publish = plan->publish;
    if (publish->queue[0] != '\0' || publish->n_head_len == 0) {
        plan->queue = m_queue_find(model, plan->session->virtual_host, publish->queue);
        if (plan->queue == NULL || !m_queue_usable(plan->queue, plan->session)) {
            return plan->queue == NULL ? ERR_NOT_FOUND : ERR_EXCLUSIVE;
        }
    }
    for (size_t i = 0; i < publish->n_body_len; i++) {
        int err = plan->messages[i].fate != REPEATED ? find_way(model, plan, &plan->messages[i]) : 0;
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static int producer_error(const struct plan *plan)
{
    const Holdfast__Publish *publish = plan->publish;
    if (plan->producer == NULL) {
        return 0;
    }
    if (publish->producer_epoch != 0 && publish->producer_epoch < plan->producer->epoch) {
        return ERR_FENCED;
    }
    return publish->no_gaps && publish->first_sequence > plan->last + 1 ? ERR_GAP : 0;
}

bool m_id_seen(struct model *model, const struct queue *queue, const char *id)
{
    bool forgotten = false;
    EACH (struct seen_id, seen, &queue->ids) {
        if (strcmp(seen->id, id) == 0 && seen->until_ms > model->time_ms) {
            return queue->options.id_window_ms > 0;
        }
        forgotten = forgotten || strcmp(seen->id, id) == 0;
    }
    model->seen[SEEN_ID_FORGOTTEN] += forgotten;
    return false;
}

/* The messages of the command before that one, in all its publishes. */
static struct list before(struct model *model, const struct plan *plan, size_t at)
{
    struct list messages = {0};
    for (size_t i = 0; plan->earlier != NULL && i < plan->earlier->len; i++) {
        struct plan *earlier = plan->earlier->items[i];
        for (size_t j = 0; j < earlier->publish->n_body_len; j++) {
            m_list_add(model, &messages, &earlier->messages[j]);
        }
    }
    for (size_t i = 0; i < at; i++) {
        m_list_add(model, &messages, (void *)(uintptr_t)&plan->messages[i]);
    }
    return messages;
}

/* Whether a message goes to the queue; with the same id, if one is given. */
static bool goes_there(const struct plan_message *message, const struct queue *queue, const char *id)
{
    if (message->fate != TAKEN || (id != NULL && strcmp(message->content->fields->message_id, id) != 0)) {
        return false;
    }
    EACH (struct queue, other, &message->queues) {
        if (other == queue) {
            return true;
        }
    }
    return false;
}

/* Queues that have seen its id are left out. */
static void leave_out_seen(struct model *model, struct plan *plan, size_t at)
{
    struct plan_message *message = &plan->messages[at];
    const char *id = message->content->fields->message_id;
    struct list kept = {0};
    struct list earlier = before(model, plan, at);
    EACH (struct queue, queue, &message->queues) {
        bool seen = id[0] != '\0' && m_id_seen(model, queue, id);
        EACH (struct plan_message, other, &earlier) {
            seen = seen || (id[0] != '\0' && queue->options.id_window_ms > 0 && goes_there(other, queue, id));
        }
        if (!seen) {
            m_list_add(model, &kept, queue);
        }
        model->seen[SEEN_ID_SEEN] += seen;
    }
    if (message->queues.len > 0 && kept.len == 0) {
        message->fate = REPEATED;
    }
    message->queues = kept;
}

/* With what the messages before it in the same command bring. */
static bool is_full(struct model *model, const struct plan *plan, size_t at, const struct queue *queue)
{
    const struct content *content = plan->messages[at].content;
    uint64_t messages = m_queue_count(queue, MODEL_READY) + 1;
    uint64_t bytes = m_queue_bytes(queue) + content->body_len;
    if (queue->options.overflow != HOLDFAST__QUEUE_OPTIONS__OVERFLOW__REJECT_NEW) {
        return false;
    }
    struct list earlier = before(model, plan, at);
    EACH (struct plan_message, other, &earlier) {
        if (goes_there(other, queue, NULL)) {
            messages++;
            bytes += other->content->body_len;
        }
    }
    return (queue->options.has_max_length && messages > queue->options.max_length) ||
           (queue->options.has_max_bytes && bytes > queue->options.max_bytes);
}

static int room_error(struct model *model, struct plan *plan)
{
    for (size_t at = 0; at < plan->publish->n_body_len; at++) {
        struct plan_message *message = &plan->messages[at];
        bool full = false;
        if (message->fate != TAKEN) {
            continue;
        }
        leave_out_seen(model, plan, at);
        EACH (struct queue, queue, &message->queues) {
            full = full || is_full(model, plan, at, queue);
        }
        if (full && !plan->publish->each) {
            return ERR_FULL;
        }
        message->fate = full ? REFUSED : message->fate;
    }
    return 0;
}

bool m_plan_all_repeated(const struct plan *plan)
{
    for (size_t i = 0; i < plan->publish->n_body_len; i++) {
        if (plan->messages[i].fate != REPEATED) {
            return false;
        }
    }
    return true;
}

static int prepare_error(struct model *model, const struct plan *plan)
{
    const Holdfast__Prepare *prepare = plan->publish->prepare;
    bool there = prepare != NULL && m_prepared_find(model, plan->session->virtual_host, prepare->id) != NULL;
    return there ? ERR_EXISTS : 0;
}

/* What is taken of the producer's, by the publishes before this one, too. */
static uint64_t last_of(const struct plan *plan)
{
    uint64_t last = plan->producer->last;
    for (size_t i = 0; plan->earlier != NULL && i < plan->earlier->len; i++) {
        const struct plan *earlier = plan->earlier->items[i];
        uint64_t end = earlier->publish->first_sequence + earlier->publish->n_body_len - 1;
        last = earlier->producer == plan->producer && end > last ? end : last;
    }
    return last;
}

int m_plan_error(struct model *model, struct plan *plan, struct slice bodies)
{
    const Holdfast__Publish *publish = plan->publish;
    int err = lengths_error(publish, bodies);
    err = err != 0 ? err : names_error(publish);
    if (err == 0 && model->version < 2 && m_queue_find(model, "/", publish->queue) == NULL) {
        err = ERR_NOT_FOUND;
    }
    err = err != 0 ? err : hashes_error(publish, bodies);
    if (err != 0) {
        return err;
    }
    if (publish->producer[0] != '\0') {
        plan->producer = m_producer_find(model, plan->session->virtual_host, publish->producer);
        plan->last = last_of(plan);
    }
    err = read_messages(model, plan, bodies);
    err = err != 0 ? err : ways_error(model, plan);
    err = err != 0 ? err : producer_error(plan);
    if (err != 0 || m_plan_all_repeated(plan)) {
        return err;
    }
    err = prepare_error(model, plan);
    if (err == 0 && !m_host_has_room(model, plan->session->virtual_host, HOLDFAST__LIMIT__WHAT__READY_MESSAGES)) {
        err = ERR_LIMIT;
    }
    return err != 0 ? err : room_error(model, plan);
}
