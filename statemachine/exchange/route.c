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
    bool matched;           /* At the exchange that is visited something did. */
    bool has_headers;       /* machine->exchanges.headers are those of the message. */
    bool keyed;             /* So far the way depends on nothing but key and bindings. */
    int err;
};

static void reach_exchange(struct walk *walk, struct exchange *exchange)
{
    walk->matched |= exchange->route_mark != ROUTE_NEVER;
    if (exchange->route_mark == walk->mark || exchange->route_mark == ROUTE_NEVER) {
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
    walk->matched |= queue->route_mark != ROUTE_NEVER;
    if ((queue->route_mark == walk->mark && !fault_fires(FAULT_SKIP_ONE_WAY)) || queue->route_mark == ROUTE_NEVER) {
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

/* ---- What matches at an exchange: walk->matched if anything does ---- */

static void match_default(struct walk *walk, const struct exchange *exchange, struct slice key)
{
    walk->keyed = false;
    char name[NAME_LEN_MAX + 1];
    if (key.len == 0 || key.len > NAME_LEN_MAX) {
        return;
    }
    memcpy(name, key.data, key.len);
    name[key.len] = '\0';
    struct queue *queue = queue_by_name(walk->machine, exchange->virtual_host, name);
    if (queue != NULL) {
        reach_queue(walk, queue);
    }
}

static void match_direct(struct walk *walk, struct exchange *exchange, struct slice key)
{
    const struct topic_node *node = topic_find_exact(&exchange->topic, (const char *)key.data, key.len);
    if (node != NULL) {
        reach_node(walk, node);
    }
}

static void match_topic(struct walk *walk, struct exchange *exchange, struct slice key)
{
    struct topic_node *node = topic_match(&exchange->topic, (const char *)key.data, key.len);
    for (; node != NULL; node = topic_match_next(&exchange->topic, node)) {
        reach_node(walk, node);
    }
}

static void match_keys(struct walk *walk, struct exchange *exchange)
{
    for (size_t i = 0; i < walk->message->keys_len; i++) {
        struct slice key = walk->message->keys[i];
        if (exchange_is_default(exchange)) {
            match_default(walk, exchange, key);
        } else if (exchange->properties.type == EXCHANGE_TOPIC) {
            match_topic(walk, exchange, key);
        } else {
            match_direct(walk, exchange, key);
        }
    }
}

static void match_all(struct walk *walk, const struct exchange *exchange)
{
    LIST_FOR_EACH (link, &exchange->bindings) {
        reach(walk, container_of(link, struct binding, from));
    }
}

static void match_headers(struct walk *walk, const struct exchange *exchange)
{
    struct headers_sorted *headers = &walk->machine->exchanges.headers;
    walk->keyed = false;
    if (!walk->has_headers && !list_empty(&exchange->bindings)) {
        walk->err = headers_sort(headers, walk->message->head);
        walk->has_headers = walk->err == 0;
    }
    LIST_FOR_EACH (link, &exchange->bindings) {
        const struct binding *binding = container_of(link, struct binding, from);
        if (walk->err == 0 && headers_fit(binding->match, headers)) {
            reach(walk, binding);
        }
    }
}

static bool match(struct walk *walk, struct exchange *exchange)
{
    bool by_keys = exchange->properties.type == EXCHANGE_DIRECT || exchange->properties.type == EXCHANGE_TOPIC;
    walk->matched = false;
    walk->route->looked += by_keys ? walk->message->keys_len : exchange->bindings_len;
    switch (exchange->properties.type) {
    case EXCHANGE_FANOUT: match_all(walk, exchange); break;
    case EXCHANGE_HEADERS: match_headers(walk, exchange); break;
    default: match_keys(walk, exchange); break;
    }
    return walk->matched;
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

static int route_walk(struct machine *machine, struct exchange *exchange, const struct route_message *message,
                      struct route *ret_route, bool *ret_keyed)
{
    struct exchange *first = NULL;
    struct walk walk = {.machine = machine,
                        .message = message,
                        .route = ret_route,
                        .mark = ++machine->exchanges.route_marks,
                        .last = &first,
                        .keyed = message->keys_len == 1};
    reach_exchange(&walk, exchange);
    for (struct exchange *at = first; at != NULL && walk.err == 0; at = at->route_next) {
        visit(&walk, at);
    }
    if (walk.err == 0 && ret_route->len > 1) {
        qsort(ret_route->queues, ret_route->len, sizeof(struct queue *), compare_ids);
    }
    *ret_keyed = walk.keyed && !ret_route->cut;
    return walk.err;
}

int route(struct machine *machine, struct exchange *exchange, const struct route_message *message,
          struct route *ret_route)
{
    struct route_cache *cache = &machine->exchanges.route_cache;
    bool may_keep = message->keys_len == 1 && !exchange_is_default(exchange);
    bool keyed;
    ret_route->len = 0;
    ret_route->cut = false;
    ret_route->looked = 0;
    if (may_keep && route_cache_get(cache, exchange, message->keys[0], ret_route)) {
        return 0;
    }
    int err = route_walk(machine, exchange, message, ret_route, &keyed);
    if (err == 0 && may_keep && keyed) {
        route_cache_put(cache, exchange, message->keys[0], ret_route);
    }
    return err;
}

void route_done(struct route *route)
{
    free(route->queues);
    *route = (struct route){0};
}
