/* All that can be asked of a machine, as one number. */

#include "view.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "statemachine/machine_exchanges.h"
#include "statemachine/machine_looking.h"
#include "statemachine/machine_virtual_hosts.h"
#include "statemachine/queue/queue.h"

#define POSITIONS_MAX 4096u

struct view {
    struct machine *machine;
    uint64_t digest;
    uint64_t hosts[64];
    size_t hosts_len;
    struct machine_queue queues[64];
    size_t queues_len;
    struct machine_consumer consumers[64];
    size_t consumers_len;
    uint64_t positions[POSITIONS_MAX];
    size_t positions_len;
    uint64_t states[4]; /* Messages of the queue, by state. */
};

static void add(struct view *view, const void *data, size_t len)
{
    view->digest = XXH3_64bits_withSeed(data, len, view->digest + 1);
}

static void add_text(struct view *view, const char *text)
{
    add(view, text, strlen(text));
}

static void add_slice(struct view *view, struct slice slice)
{
    add(view, slice.len > 0 ? slice.data : (const uint8_t *)"", slice.len);
}

#define ADD(view, ...)                                                                                                 \
    do {                                                                                                               \
        const uint64_t fields[] = {__VA_ARGS__};                                                                       \
        add(view, fields, sizeof fields);                                                                              \
    } while (0)

static void note_position(struct view *view, uint64_t position)
{
    cr_assert_lt(view->positions_len, POSITIONS_MAX);
    view->positions[view->positions_len++] = position;
}

static int view_message(void *arg, const struct machine_message *message)
{
    struct view *view = arg;
    ADD(view, message->position, message->enqueued_ms, message->expires_ms, message->body_hash, message->body_len,
        message->head_len, message->trail_len, message->delivery_count, (uint64_t)message->state, message->locked);
    view->states[message->state]++;
    note_position(view, message->position);
    return 0;
}

static int view_kept(void *arg, const struct machine_kept *kept)
{
    struct view *view = arg;
    ADD(view, kept->position, kept->enqueued_ms, kept->left_ms, kept->hash, kept->body_len, kept->head_len,
        kept->trail_len, (uint64_t)kept->outcome);
    note_position(view, kept->position);
    return 0;
}

static int view_life(void *arg, const struct machine_life *life)
{
    struct view *view = arg;
    ADD(view, life->position, life->index, life->time_ms, (uint64_t)life->kind, life->session, life->consumer);
    add_text(view, life->text);
    return 0;
}

static void view_content(struct view *view, struct machine_content *content)
{
    add_slice(view, content->head);
    add_slice(view, content->body);
    add_slice(view, content->trail);
    ADD(view, content->enqueued_ms, content->expires_ms, content->hash);
    machine_content_done(content);
}

static void view_messages(struct view *view, uint64_t queue)
{
    struct machine_content content;
    view->positions_len = 0;
    memset(view->states, 0, sizeof view->states);
    cr_assert_eq(machine_browse(view->machine, queue, 0, view_message, view), 0);
    for (size_t i = 0; i < view->positions_len; i++) {
        cr_assert_eq(machine_content(view->machine, queue, view->positions[i], &content), 0);
        view_content(view, &content);
        cr_assert_eq(machine_life(view->machine, queue, view->positions[i], view_life, view), 0);
    }
    view->positions_len = 0;
    cr_assert_eq(machine_kept(view->machine, queue, 0, view_kept, view), 0);
    for (size_t i = 0; i < view->positions_len; i++) {
        cr_assert_eq(machine_kept_content(view->machine, queue, view->positions[i], &content), 0);
        view_content(view, &content);
        cr_assert_eq(machine_life(view->machine, queue, view->positions[i], view_life, view), 0);
    }
    cr_assert_eq(machine_life(view->machine, queue, 0, view_life, view), 0);
}

static int view_delivery(void *arg, const struct machine_delivery *delivery)
{
    struct view *view = arg;
    ADD(view, delivery->consumer, delivery->number, delivery->queue, delivery->position, delivery->enqueued_ms,
        delivery->body_hash, delivery->lock_until_ms, delivery->expires_ms, delivery->body_len, delivery->head_len,
        delivery->trail_len, delivery->delivery_count);
    return 0;
}

static int collect_consumer(void *arg, const struct machine_consumer *consumer)
{
    struct view *view = arg;
    ADD(view, consumer->session, consumer->consumer, consumer->lock_ms, consumer->delivered, consumer->credit,
        consumer->unsettled, (uint64_t)consumer->priority, consumer->exclusive, consumer->auto_accept, consumer->fetch,
        consumer->active);
    add_text(view, consumer->tag);
    cr_assert_lt(view->consumers_len, 64u);
    view->consumers[view->consumers_len++] = *consumer;
    return 0;
}

static void view_consumers(struct view *view, const struct machine_queue *queue)
{
    uint64_t unsettled = 0;
    view->consumers_len = 0;
    cr_assert_eq(machine_consumers(view->machine, queue->id, collect_consumer, view), 0);
    for (size_t i = 0; i < view->consumers_len; i++) {
        const struct machine_consumer *consumer = &view->consumers[i];
        unsettled += consumer->unsettled;
        cr_assert_eq(machine_deliveries(view->machine, consumer->session, consumer->consumer, 0, view_delivery, view),
                     0);
    }
    cr_assert_leq(unsettled, queue->unsettled); /* Consumers that are about to end are not shown. */
}

static void view_queue(struct view *view, const struct machine_queue *queue)
{
    uint64_t bytes;
    uint64_t oldest;
    add_text(view, queue->name);
    ADD(view, queue->id, queue->virtual_host, queue->ready, queue->parked, queue->waiting, queue->unsettled,
        queue->consumers, queue->enqueued, queue->delivered, queue->settled, queue->released, queue->owner,
        queue->active_session, queue->active_consumer, queue->last_used_ms);
    add(view, queue->counters, sizeof *queue->counters);
    cr_assert_eq(machine_queue_bytes(view->machine, queue->id, &bytes), 0);
    cr_assert_eq(machine_queue_oldest(view->machine, queue->id, &oldest), 0);
    ADD(view, bytes, oldest);
    view_consumers(view, queue);
    view_messages(view, queue->id);
    cr_assert_eq(view->states[MESSAGE_READY] + view->states[MESSAGE_PARKED], queue->ready);
    cr_assert_eq(view->states[MESSAGE_PARKED], queue->parked);
    cr_assert_eq(view->states[MESSAGE_LOCKED], queue->unsettled);
    cr_assert_eq(view->states[MESSAGE_WAITING], queue->waiting);
}

static int collect_queue(void *arg, const struct machine_queue *queue)
{
    struct view *view = arg;
    cr_assert_lt(view->queues_len, 64u);
    view->queues[view->queues_len++] = *queue;
    return 0;
}

static int view_exchange(void *arg, const struct machine_exchange *exchange)
{
    struct view *view = arg;
    add_text(view, exchange->name);
    ADD(view, exchange->id, exchange->type, exchange->auto_delete, exchange->internal, exchange->is_protected,
        exchange->delayed, exchange->has_alternate, exchange->bindings);
    add_slice(view, exchange->alternate);
    add_slice(view, exchange->note);
    return 0;
}

static int view_binding(void *arg, const struct machine_binding *binding)
{
    struct view *view = arg;
    add_text(view, binding->source);
    add_text(view, binding->to);
    add_slice(view, binding->key);
    add_slice(view, binding->arguments);
    ADD(view, binding->id, binding->to_exchange);
    return 0;
}

static int collect_host(void *arg, const struct machine_virtual_host *host)
{
    struct view *view = arg;
    add_text(view, host->name);
    add_text(view, host->note);
    ADD(view, host->id);
    cr_assert_lt(view->hosts_len, 64u);
    view->hosts[view->hosts_len++] = host->id;
    return 0;
}

static int view_session(void *arg, const struct machine_session *session)
{
    struct view *view = arg;
    ADD(view, session->id, session->attachment, session->last_number, session->lease_ms, session->node,
        session->expires_ms);
    return 0;
}

static void view_nodes(struct view *view)
{
    struct machine_node nodes[NODES_PRESENT_MAX];
    unsigned len = machine_nodes(view->machine, nodes);
    for (unsigned i = 0; i < len; i++) {
        ADD(view, nodes[i].id, nodes[i].run, nodes[i].sessions);
    }
}

uint64_t machine_view(struct machine *machine)
{
    static _Thread_local struct view view;
    view = (struct view){.machine = machine};
    ADD(&view, machine_applied_index(machine), machine_time_ms(machine), machine_version(machine),
        machine_due_ms(machine), machine_running_digest(machine));
    cr_assert_eq(machine_virtual_hosts(machine, "", collect_host, &view), 0);
    for (size_t i = 0; i < view.hosts_len; i++) {
        view.queues_len = 0;
        cr_assert_eq(machine_queues_in(machine, view.hosts[i], "", collect_queue, &view), 0);
        for (size_t at = 0; at < view.queues_len; at++) {
            view_queue(&view, &view.queues[at]);
        }
        cr_assert_eq(machine_exchanges(machine, view.hosts[i], NULL, view_exchange, &view), 0);
        cr_assert_eq(machine_bindings(machine, view.hosts[i], 0, view_binding, &view), 0);
    }
    cr_assert_eq(machine_sessions(machine, view_session, &view), 0);
    view_nodes(&view);
    return view.digest;
}
