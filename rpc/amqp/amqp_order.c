/* The commands of an AMQP session: numbered, in order, taken by the gateway now or later, answered. */

#include <stdlib.h>

#include "proto/base/check.h"
#include "rpc/amqp/amqp_session_private.h"

static struct amqp_order *order_of(struct list_node *node)
{
    return container_of(node, struct amqp_order, node);
}

static void order_answer(struct amqp_session *session, struct amqp_order *order, const struct gateway_reply *reply)
{
    list_remove(&order->node);
    session->blocking_len -= order->blocks;
    if (order->number != 0) {
        session->orders_len--;
        session->enqueuing_len -= order->enqueues;
    }
    order->done(order, reply);
    if (order->channel != NULL) {
        amqp_channel_unref(order->channel);
    }
    slice_unref(&order->header);
    slice_unref(&order->bodies);
    free(order);
}

/* The last command of which the answer is known, and of all before it. */
static uint64_t answered_by_now(struct amqp_session *session)
{
    struct list_node *oldest = list_first(&session->orders);
    return oldest != NULL ? order_of(oldest)->number - 1 : session->last_number;
}

/* Whether the gateway has taken it. What brings messages is not taken by the cluster if one before it was not and that was not known when
 * it was made, although it may be now: Publish.in_order. */
static bool order_send(struct amqp_session *session, struct amqp_order *order)
{
    uint64_t number = session->last_number + 1;
    uint64_t answered = order->enqueues ? order->answered : answered_by_now(session);
    int err = session->gateway->ops->submit(session->link, number, answered, order->header, order->bodies);
    if (err == ERR_BUSY) {
        session->gateway_busy = true;
        return false;
    }
    session->last_number = number;
    order->number = number;
    session->orders_len++;
    session->enqueuing_len += order->enqueues;
    list_remove(&order->node);
    list_push_back(&session->orders, &order->node);
    if (!order->keep) {
        slice_unref(&order->header);
        slice_unref(&order->bodies);
    }
    if (err != 0) {
        amqp_session_fail(session, err); /* The order ends with the session. */
    }
    return true;
}

void amqp_orders_send(struct amqp_session *session)
{
    while (session->link != NULL && !session->in_event && !session->gateway_busy &&
           session->orders_len < SESSION_WINDOW_MAX && !list_empty(&session->unsent)) {
        struct amqp_order *order = order_of(list_first(&session->unsent));
        if ((order->apart && session->enqueuing_len > 0) || !order_send(session, order)) {
            return;
        }
    }
}

static int order_make(const struct amqp_order *like, uint64_t answered, const Holdfast__Command *command,
                      struct slice bodies, struct amqp_order **ret_order)
{
    struct amqp_order *order = malloc(sizeof *order);
    struct blob *header = blob_new(holdfast__command__get_packed_size(command));
    if (order == NULL || header == NULL) {
        free(order);
        blob_unref(header);
        return ERR_NOMEM;
    }
    (void)holdfast__command__pack(command, header->data);
    *order = *like;
    list_init(&order->node);
    order->number = 0;
    order->answered = answered;
    order->header = slice_of_blob(header);
    order->bodies = slice_ref(bodies);
    *ret_order = order;
    return 0;
}

void amqp_submit_gathered(struct amqp_session *session, const struct amqp_order *like, const Holdfast__Command *command,
                          struct slice bodies)
{
    struct amqp_order *order;
    CHECK(like->done != NULL);
    bool lives = session->link != NULL;
    if (!lives || order_make(like, answered_by_now(session), command, bodies, &order) != 0) {
        struct amqp_order refused = *like;
        refused.done(&refused, NULL);
        if (lives) {
            amqp_session_fail(session, ERR_NOMEM);
        }
        return;
    }
    if (order->channel != NULL) {
        (void)amqp_channel_ref(order->channel);
    }
    session->blocking_len += order->blocks;
    list_push_back(&session->unsent, &order->node);
    amqp_orders_send(session);
}

void amqp_submit(struct amqp_session *session, const struct amqp_order *like, const Holdfast__Command *command,
                 struct slice bodies)
{
    amqp_publishes_submit(session);
    amqp_settles_submit(session);
    amqp_submit_gathered(session, like, command, bodies);
}

void amqp_orders_reply(struct amqp_session *session, const struct gateway_reply *reply)
{
    LIST_FOR_EACH (node, &session->orders) {
        if (order_of(node)->number == reply->number) {
            order_answer(session, order_of(node), reply);
            return;
        }
    }
}

static void orders_end(struct amqp_session *session, struct list_node *orders)
{
    while (!list_empty(orders)) {
        order_answer(session, order_of(list_first(orders)), NULL);
    }
}

void amqp_orders_drop(struct amqp_session *session)
{
    orders_end(session, &session->orders);
    orders_end(session, &session->unsent);
}

static bool orders_hold(const struct list_node *orders, const struct amqp_channel *channel)
{
    LIST_FOR_EACH (node, orders) {
        if (order_of(node)->channel == channel) {
            return true;
        }
    }
    return false;
}

bool amqp_orders_of(const struct amqp_channel *channel)
{
    return channel->publishing > 0 || orders_hold(&channel->session->orders, channel) ||
           orders_hold(&channel->session->unsent, channel);
}
