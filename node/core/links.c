/* The sets of links, and of the consumers of a link. */

#include "node/core/links.h"

#include <stdlib.h>

#include "proto/base/check.h"

static int compare(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static int link_compare_id(const struct link *a, const struct link *b)
{
    return compare(a->id, b->id);
}

static int link_compare_session(const struct link *a, const struct link *b)
{
    return compare(a->session, b->session);
}

static int consumer_compare_id(const struct link_consumer *a, const struct link_consumer *b)
{
    return compare(a->id, b->id);
}

RB_GENERATE_INTERNAL(links_by_id, link, by_id, link_compare_id, __attribute__((unused)) static)
RB_GENERATE_INTERNAL(links_by_session, link, by_session, link_compare_session, __attribute__((unused)) static)
RB_GENERATE_INTERNAL(link_consumers, link_consumer, by_id, consumer_compare_id, __attribute__((unused)) static)

int links_add(struct links *links, const struct gateway_sink *sink, struct link **ret_link)
{
    if (links->len == LINKS_MAX) {
        return ERR_LIMIT;
    }
    struct link *link = calloc(1, sizeof *link);
    if (link == NULL) {
        return ERR_NOMEM;
    }
    link->sink = *sink;
    link->state = LINK_ATTACHING;
    link->id = ++links->id_last;
    list_init(&link->touched);
    list_init(&link->behind);
    list_init(&link->busy);
    list_init(&link->ending);
    list_init(&link->consumers_behind);
    list_init(&link->pending);
    RB_INSERT(links_by_id, &links->by_id, link);
    links->len++;
    *ret_link = link;
    return 0;
}

void links_remove(struct links *links, struct link *link)
{
    CHECK(list_empty(&link->pending));
    links_unbind(links, link);
    outgoing_command_free(link->farewell);
    RB_REMOVE(links_by_id, &links->by_id, link);
    links->len--;
    list_remove(&link->touched);
    list_remove(&link->behind);
    list_remove(&link->busy);
    list_remove(&link->ending);
    struct link_consumer *consumer;
    while ((consumer = RB_ROOT(&link->consumers)) != NULL) {
        link_consumer_drop(link, consumer);
    }
    free(link);
}

struct link *links_find(struct links *links, uint64_t id)
{
    struct link key = {.id = id};
    return RB_FIND(links_by_id, &links->by_id, &key);
}

struct link *links_find_session(struct links *links, uint64_t session)
{
    struct link key = {.session = session};
    return session == 0 ? NULL : RB_FIND(links_by_session, &links->by_session, &key);
}

struct link *links_first(struct links *links)
{
    return RB_MIN(links_by_id, &links->by_id);
}

struct link *links_next(struct link *link)
{
    return RB_NEXT(links_by_id, NULL, link);
}

struct outgoing_command *links_pending(struct link *link, uint64_t number)
{
    LIST_FOR_EACH (node, &link->pending) {
        struct outgoing_command *command = container_of(node, struct outgoing_command, of_link);
        if (command->command.number >= number) {
            return command->command.number == number ? command : NULL;
        }
    }
    return NULL;
}

void links_bind(struct links *links, struct link *link, uint64_t session, uint64_t attachment)
{
    CHECK(session != 0 && link->session == 0);
    link->session = session;
    link->attachment = attachment;
    CHECK(RB_INSERT(links_by_session, &links->by_session, link) == NULL);
}

void links_unbind(struct links *links, struct link *link)
{
    if (link->session != 0) {
        RB_REMOVE(links_by_session, &links->by_session, link);
        link->session = 0;
    }
}

struct link_consumer *link_consumer_find(struct link *link, uint64_t id)
{
    struct link_consumer key = {.id = id};
    return RB_FIND(link_consumers, &link->consumers, &key);
}

int link_consumer_get(struct link *link, uint64_t id, struct link_consumer **ret_consumer)
{
    struct link_consumer *consumer = link_consumer_find(link, id);
    if (consumer == NULL) {
        consumer = calloc(1, sizeof *consumer);
        if (consumer == NULL) {
            return ERR_NOMEM;
        }
        consumer->id = id;
        list_init(&consumer->behind);
        RB_INSERT(link_consumers, &link->consumers, consumer);
        link->consumers_len++;
    }
    *ret_consumer = consumer;
    return 0;
}

struct link_consumer *link_consumer_first(struct link *link)
{
    return RB_MIN(link_consumers, &link->consumers);
}

struct link_consumer *link_consumer_next(struct link_consumer *consumer)
{
    return RB_NEXT(link_consumers, NULL, consumer);
}

void link_consumer_drop(struct link *link, struct link_consumer *consumer)
{
    RB_REMOVE(link_consumers, &link->consumers, consumer);
    list_remove(&consumer->behind);
    link->consumers_len--;
    free(consumer);
}

void links_done(struct links *links)
{
    struct link *link;
    while ((link = links_first(links)) != NULL) {
        links_remove(links, link);
    }
}
