/* Query results that hold lists, and those about one thing. */

#include "rpc/native/native_result_private.h"

/* The numbers of the fields in QueryResult. */
enum {
    QUEUES_FIELD = 4,
    EXCHANGES_FIELD = 8,
    BINDINGS_FIELD = 9,
    LIFE_FIELD = 10,
    VIRTUAL_HOSTS_FIELD = 11,
    CONSUMERS_FIELD = 12,
    LIMITS_FIELD = 13,
    PRODUCER_FIELD = 14,
    PREPARED_FIELD = 15,
};

/* The largest of a list is a binding: two names, a key and its arguments, 16 KiB as the machine has them, where the smallest, a void
 * in an array, takes one byte, and here six. */
_Static_assert(NATIVE_RESULT_HEADER_LEN_MAX + 100 * KIB < FRAME_HEADER_LEN_MAX, "one element more fits");

/* Adds an element to a list. Whether it was taken. */
static bool list_add(struct collector *collector, unsigned field, const ProtobufCMessage *element)
{
    if (collector->err != 0 || collector->listed == NATIVE_RESULT_QUEUES_MAX ||
        collector->header.len >= NATIVE_RESULT_HEADER_LEN_MAX) {
        return false;
    }
    collector->listed++;
    collector->err = native_frame_append(&collector->header, field, element);
    return collector->err == 0;
}

static bool on_queue(void *arg, const struct gateway_queue *queue)
{
    struct collector *collector = arg;
    Holdfast__QueueInfo info = HOLDFAST__QUEUE_INFO__INIT;
    info.name = result_text(queue->name);
    info.ready = queue->ready;
    info.unsettled = queue->unsettled;
    info.consumers = queue->consumers;
    info.enqueued = queue->enqueued;
    info.delivered = queue->delivered;
    info.settled = queue->settled;
    info.released = queue->released;
    info.oldest_ms = queue->oldest_ms;
    info.log_time_ms = collector->log_time_ms;
    info.options = (Holdfast__QueueOptions *)(uintptr_t)queue->options;
    info.parked = queue->parked;
    info.waiting = queue->waiting;
    info.bytes = queue->bytes;
    info.expired = queue->expired;
    info.dropped = queue->dropped;
    info.dead_lettered = queue->dead_lettered;
    info.redriven = queue->redriven;
    info.lock_ended = queue->lock_ended;
    info.owned = queue->owned;
    info.active_session = queue->active_session;
    info.active_consumer = queue->active_consumer;
    return list_add(collector, QUEUES_FIELD, &info.base);
}

static int queue_collect(struct gateway *gateway, const struct native_question *question, struct collector *collector)
{
    struct gateway_queue queue;
    int err = gateway->ops->queue(gateway, question->virtual_host, question->name, &queue);
    if (err == 0) {
        (void)on_queue(collector, &queue);
    }
    return err;
}

static bool on_exchange(void *arg, const struct gateway_exchange *exchange)
{
    Holdfast__ExchangeInfo info = HOLDFAST__EXCHANGE_INFO__INIT;
    info.exchange = (Holdfast__DeclareExchange *)(uintptr_t)exchange->declared;
    info.bindings = exchange->bindings;
    return list_add(arg, EXCHANGES_FIELD, &info.base);
}

static bool on_binding(void *arg, const struct gateway_binding *binding)
{
    Holdfast__BindingInfo info = HOLDFAST__BINDING_INFO__INIT;
    info.binding = (Holdfast__Bind *)(uintptr_t)binding->bind;
    info.id = binding->id;
    return list_add(arg, BINDINGS_FIELD, &info.base);
}

static bool on_virtual_host(void *arg, const struct gateway_virtual_host *host)
{
    Holdfast__VirtualHostInfo info = HOLDFAST__VIRTUAL_HOST_INFO__INIT;
    info.name = result_text(host->name);
    info.id = host->id;
    info.note = result_text(host->note);
    return list_add(arg, VIRTUAL_HOSTS_FIELD, &info.base);
}

static bool on_step(void *arg, const struct gateway_step *step)
{
    Holdfast__LifeStep info = HOLDFAST__LIFE_STEP__INIT;
    info.what = result_text(step->what);
    info.index = step->index;
    info.time_ms = step->time_ms;
    info.session = step->session;
    info.consumer = step->consumer;
    info.text = result_text(step->text);
    return list_add(arg, LIFE_FIELD, &info.base);
}

static bool on_consumer(void *arg, const struct gateway_consumer *consumer)
{
    Holdfast__ConsumerInfo info = HOLDFAST__CONSUMER_INFO__INIT;
    info.session = consumer->session;
    info.consumer = consumer->consumer;
    info.node = consumer->node;
    info.credit = consumer->credit;
    info.unsettled = consumer->unsettled;
    info.delivered = consumer->delivered;
    info.priority = consumer->priority;
    info.exclusive = consumer->exclusive;
    info.auto_accept = consumer->auto_accept;
    info.fetch = consumer->fetch;
    info.active = consumer->active;
    info.lock_ms = consumer->lock_ms;
    info.tag = result_text(consumer->tag);
    return list_add(arg, CONSUMERS_FIELD, &info.base);
}

static bool on_limit(void *arg, const struct gateway_limit *limit)
{
    Holdfast__LimitInfo info = HOLDFAST__LIMIT_INFO__INIT;
    info.what = limit->what;
    info.is_set = limit->is_set;
    info.value = limit->value;
    info.is_counted = limit->is_counted;
    info.used = limit->used;
    return list_add(arg, LIMITS_FIELD, &info.base);
}

static int producer_collect(struct gateway *gateway, const struct native_question *question,
                            struct collector *collector)
{
    struct gateway_producer producer;
    int err = gateway->ops->producer(gateway, question->virtual_host, question->name, &producer);
    if (err == 0) {
        Holdfast__ProducerInfo info = HOLDFAST__PRODUCER_INFO__INIT;
        info.name = result_text(question->name);
        info.epoch = producer.epoch;
        info.last_sequence = producer.last_sequence;
        info.session = producer.session;
        (void)list_add(collector, PRODUCER_FIELD, &info.base);
    }
    return err;
}

static bool on_prepared(void *arg, const struct gateway_prepared *prepared)
{
    Holdfast__PreparedInfo info = HOLDFAST__PREPARED_INFO__INIT;
    info.id = result_text(prepared->id);
    info.group = result_text(prepared->group);
    info.state = result_text(prepared->state);
    info.messages = prepared->messages;
    info.ask_ms = prepared->ask_ms;
    info.deadline_ms = prepared->deadline_ms;
    info.commit_at_deadline = prepared->commit_at_deadline;
    info.remembered_until_ms = prepared->remembered_until_ms;
    return list_add(arg, PREPARED_FIELD, &info.base);
}

int native_result_list(struct gateway *gateway, const struct native_question *question, struct collector *collector,
                       bool *ret_more)
{
    const struct gateway_ops *ops = gateway->ops;
    const char *host = question->virtual_host;
    const char *name = question->name;
    switch (question->kind) {
    case HOLDFAST__QUERY__KIND__QUEUE: return queue_collect(gateway, question, collector);
    case HOLDFAST__QUERY__KIND__QUEUES: return ops->queues(gateway, host, name, collector, on_queue, ret_more);
    case HOLDFAST__QUERY__KIND__EXCHANGES:
        return ops->exchanges(gateway, host, question->from ? NULL : name, collector, on_exchange, ret_more);
    case HOLDFAST__QUERY__KIND__BINDINGS:
        return ops->bindings(gateway, host, question->from ? name : NULL, question->position, collector, on_binding,
                             ret_more);
    case HOLDFAST__QUERY__KIND__VIRTUAL_HOSTS:
        return ops->virtual_hosts(gateway, name, collector, on_virtual_host, ret_more);
    case HOLDFAST__QUERY__KIND__CONSUMERS:
        return ops->consumers(gateway, host, name, question->session, question->position, collector, on_consumer,
                              ret_more);
    case HOLDFAST__QUERY__KIND__LIMITS: return ops->limits(gateway, host, name, collector, on_limit);
    case HOLDFAST__QUERY__KIND__PRODUCER: return producer_collect(gateway, question, collector);
    case HOLDFAST__QUERY__KIND__PREPARED: return ops->prepared(gateway, host, name, collector, on_prepared, ret_more);
    default: return ops->life(gateway, host, name, question->position, collector, on_step, ret_more);
    }
}
