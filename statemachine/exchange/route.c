/* The way of a message from an exchange to its queues. */

#include "statemachine/exchange/route.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/fault.h"
#include "statemachine/exchange/binding.h"
#include "statemachine/state.h"

#define CAP_MIN 16u

struct walk {
    struct machine *machine;
    const struct route_message *message;
    struct route *route;
    uint64_t mark;
    struct exchange **last; /* Where the next exchange to visit is linked. */
    unsigned exchanges;     /* To visit, and visited. */
    bool has_headers;       /* machine->exchanges.headers are those of the message. */
    int err;
};

static void reach_exchange(struct walk *walk, struct exchange *exchange)
{
    if (exchange->route_mark == walk->mark) {
        return;
    }
    if (walk->exchanges == ROUTE_EXCHANGES_MAX) {
        walk->route->cut = true;
        return;
    }
    exchange->route_mark = walk->mark;
    exchange->route_next = NULL;
    *walk->last = exchange;
    walk->last = &exchange->route_next;
    walk->exchanges++;
}

static int route_grow(struct route *route)
{
    size_t cap = route->cap > 0 ? 2 * route->cap : CAP_MIN;
    struct queue **queues = realloc(route->queues, cap * sizeof(struct queue *));
    if (queues == NULL) {
        return ERR_NOMEM;
    }
    route->queues = queues;
    route->cap = cap;
    return 0;
}

static void reach_queue(struct walk *walk, struct queue *queue)
{
    struct route *route = walk->route;
    if (queue->route_mark == walk->mark) {
        return;
    }
    queue->route_mark = walk->mark;
    if (route->len == route->cap) {
        int err = route_grow(route);
        if (err != 0) {
            walk->err = err;
            return;
        }
    }
    route->queues[route->len++] = queue;
}

static void reach(struct walk *walk, const struct binding *binding)
{
    if (binding->to_queue != NULL) {
        reach_queue(walk, binding->to_queue);
    } else {
        reach_exchange(walk, binding->to_exchange);
    }
}

static void reach_node(struct walk *walk, const struct topic_node *node)
{
    LIST_FOR_EACH (link, &node->items) {
        reach(walk, container_of(link, struct binding, at_node));
    }
}

/* ---- What matches at an exchange: true if anything does ---- */

static bool match_default(struct walk *walk, const struct exchange *exchange, struct slice key)
{
    char name[NAME_LEN_MAX + 1];
    if (key.len == 0 || key.len > NAME_LEN_MAX) {
        return false;
    }
    memcpy(name, key.data, key.len);
    name[key.len] = '\0';
    struct queue *queue = queue_by_name(walk->machine, exchange->virtual_host, name);
    if (queue != NULL) {
        reach_queue(walk, queue);
    }
    return queue != NULL;
}

static bool match_direct(struct walk *walk, struct exchange *exchange, struct slice key)
{
    const struct topic_node *node = topic_find_exact(&exchange->topic, (const char *)key.data, key.len);
    if (node != NULL) {
        reach_node(walk, node);
    }
    return node != NULL;
}

static bool match_topic(struct walk *walk, struct exchange *exchange, struct slice key)
{
    struct topic_node *first = topic_match(&exchange->topic, (const char *)key.data, key.len);
    for (struct topic_node *node = first; node != NULL; node = topic_match_next(&exchange->topic, node)) {
        reach_node(walk, node);
    }
    return first != NULL;
}

static bool match_keys(struct walk *walk, struct exchange *exchange)
{
    bool matched = false;
    for (size_t i = 0; i < walk->message->keys_len; i++) {
        struct slice key = walk->message->keys[i];
        if (exchange_is_default(exchange)) {
            matched |= match_default(walk, exchange, key);
        } else if (exchange->properties.type == EXCHANGE_TOPIC) {
            matched |= match_topic(walk, exchange, key);
        } else {
            matched |= match_direct(walk, exchange, key);
        }
    }
    return matched;
}

static bool match_all(struct walk *walk, const struct exchange *exchange)
{
    LIST_FOR_EACH (link, &exchange->bindings) {
        reach(walk, container_of(link, struct binding, from));
    }
    return !list_empty(&exchange->bindings);
}

static bool match_headers(struct walk *walk, const struct exchange *exchange)
{
    struct headers_sorted *headers = &walk->machine->exchanges.headers;
    bool matched = false;
    if (!walk->has_headers && !list_empty(&exchange->bindings)) {
        walk->err = headers_sort(headers, walk->message->head);
        walk->has_headers = walk->err == 0;
    }
    LIST_FOR_EACH (link, &exchange->bindings) {
        const struct binding *binding = container_of(link, struct binding, from);
        if (walk->err == 0 && headers_fit(binding->match, headers)) {
            reach(walk, binding);
            matched = true;
        }
    }
    return matched;
}

static bool match(struct walk *walk, struct exchange *exchange)
{
    switch (exchange->properties.type) {
    case EXCHANGE_FANOUT: return match_all(walk, exchange);
    case EXCHANGE_HEADERS: return match_headers(walk, exchange);
    default: return match_keys(walk, exchange);
    }
}

static void visit(struct walk *walk, struct exchange *exchange)
{
    if (match(walk, exchange) || !exchange->properties.has_alternate || fault_fires(FAULT_SKIP_ALTERNATE)) {
        return;
    }
    struct slice name = exchange->properties.alternate;
    struct exchange *alternate;
    int err = exchange_find(walk->machine, exchange->virtual_host, (const char *)name.data, name.len, &alternate);
    if (err == 0) {
        reach_exchange(walk, alternate);
    } else if (err != ERR_NOT_FOUND) {
        walk->err = err;
    }
}

static int compare_ids(const void *a, const void *b)
{
    const struct queue *first = *(struct queue *const *)a;
    const struct queue *second = *(struct queue *const *)b;
    return (first->id > second->id) - (first->id < second->id);
}

int route(struct machine *machine, struct exchange *exchange, const struct route_message *message,
          struct route *ret_route)
{
    struct exchange *first = NULL;
    struct walk walk = {.machine = machine,
                        .message = message,
                        .route = ret_route,
                        .mark = ++machine->exchanges.route_marks,
                        .last = &first};
    ret_route->len = 0;
    ret_route->cut = false;
    reach_exchange(&walk, exchange);
    for (struct exchange *at = first; at != NULL && walk.err == 0; at = at->route_next) {
        visit(&walk, at);
    }
    if (walk.err == 0 && ret_route->len > 1) {
        qsort(ret_route->queues, ret_route->len, sizeof(struct queue *), compare_ids);
    }
    return walk.err;
}

void route_done(struct route *route)
{
    free(route->queues);
    *route = (struct route){0};
}
