/* The table of a session's consumers: a hash of their numbers, which follow one another. */

#include "rpc/amqp/amqp_consumers.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "rpc/amqp/amqp_note.h"
#include "rpc/amqp/amqp_refusal.h"
#include "rpc/amqp/amqp_unsettled.h"

#define BUCKETS_MIN 8u

struct amqp_consumers {
    struct amqp_consumer **buckets;
    unsigned buckets_len; /* A power of two. */
    unsigned len;
};

struct amqp_consumer *amqp_consumer_of(struct list_node *node)
{
    return container_of(node, struct amqp_consumer, of_channel);
}

static struct amqp_consumer **bucket_of(const struct amqp_consumers *consumers, uint64_t number)
{
    return &consumers->buckets[number & (consumers->buckets_len - 1)];
}

static void bucket_push(struct amqp_consumers *consumers, struct amqp_consumer *consumer)
{
    struct amqp_consumer **bucket = bucket_of(consumers, consumer->number);
    consumer->next = *bucket;
    *bucket = consumer;
}

/* Room for one more. */
static int consumers_reserve(struct amqp_consumers *consumers)
{
    if (consumers->len < consumers->buckets_len) {
        return 0;
    }
    struct amqp_consumers more = {.buckets_len = consumers->buckets_len > 0 ? consumers->buckets_len * 2 : BUCKETS_MIN};
    more.buckets = calloc(more.buckets_len, sizeof(struct amqp_consumer *));
    if (more.buckets == NULL) {
        return ERR_NOMEM;
    }
    for (unsigned i = 0; i < consumers->buckets_len; i++) {
        struct amqp_consumer *consumer = consumers->buckets[i];
        while (consumer != NULL) {
            struct amqp_consumer *next = consumer->next;
            bucket_push(&more, consumer);
            consumer = next;
        }
    }
    more.len = consumers->len;
    free(consumers->buckets);
    *consumers = more;
    return 0;
}

static int consumers_make(struct amqp_session *session)
{
    if (session->consumers == NULL) {
        session->consumers = calloc(1, sizeof *session->consumers);
    }
    return session->consumers == NULL ? ERR_NOMEM : consumers_reserve(session->consumers);
}

int amqp_consumer_new(struct amqp_channel *channel, const char *queue, struct amqp_bytes tag,
                      struct amqp_consumer **ret_consumer)
{
    struct amqp_session *session = channel->session;
    size_t queue_size = strlen(queue) + 1;
    int err = consumers_make(session);
    struct amqp_consumer *consumer = err == 0 ? calloc(1, sizeof *consumer + queue_size + tag.len) : NULL;
    if (consumer == NULL) {
        return ERR_NOMEM;
    }
    consumer->number = ++session->last_consumer;
    consumer->channel = amqp_channel_ref(channel);
    memcpy(consumer->text, queue, queue_size);
    consumer->queue = consumer->text;
    if (tag.len > 0) {
        memcpy(consumer->text + queue_size, tag.data, tag.len);
    }
    consumer->tag = (struct amqp_bytes){(uint8_t *)consumer->text + queue_size, tag.len};
    list_init(&consumer->of_channel);
    list_push_back(&channel->consumers, &consumer->of_channel);
    bucket_push(session->consumers, consumer);
    session->consumers->len++;
    *ret_consumer = consumer;
    return 0;
}

struct amqp_consumer *amqp_consumer_find(struct amqp_session *session, uint64_t number)
{
    struct amqp_consumers *consumers = session->consumers;
    struct amqp_consumer *consumer =
        consumers != NULL && consumers->buckets_len > 0 ? *bucket_of(consumers, number) : NULL;
    while (consumer != NULL && consumer->number != number) {
        consumer = consumer->next;
    }
    return consumer;
}

struct amqp_consumer *amqp_consumer_tagged(struct amqp_channel *channel, struct amqp_bytes tag)
{
    LIST_FOR_EACH (node, &channel->consumers) {
        struct amqp_consumer *consumer = amqp_consumer_of(node);
        if (!consumer->fetch && !consumer->cancelled && consumer->tag.len == tag.len &&
            memcmp(consumer->tag.data, tag.data, tag.len) == 0) {
            return consumer;
        }
    }
    return NULL;
}

/* What was declared as nothing in particular, or as classic, tells nothing unless it has a limit to count to, which RabbitMQ's has not. */
enum amqp_counting amqp_counting_of(const struct amqp_session *session, const char *queue)
{
    struct gateway_queue found;
    if (!amqp_queue_look(session, queue, &found)) {
        return AMQP_COUNT_RETURNS;
    }
    struct amqp_note note = amqp_note_read(found.options->note);
    if (note.quorum) {
        return AMQP_COUNT_ALWAYS;
    }
    return note.known && found.options->max_deliveries == 0 ? AMQP_COUNT_NEVER : AMQP_COUNT_RETURNS;
}

void amqp_consumer_free(struct amqp_consumer *consumer)
{
    struct amqp_channel *channel = consumer->channel;
    struct amqp_consumers *consumers = channel->session->consumers;
    struct amqp_consumer **at = bucket_of(consumers, consumer->number);
    while (*at != consumer) {
        at = &(*at)->next;
    }
    *at = consumer->next;
    consumers->len--;
    if (consumer->held > 0 && !consumer->fetch && channel->unsettled != NULL) {
        channel->unsettled->of_consumers -= consumer->held;
        amqp_settle_makes_room(channel);
    }
    amqp_getting_done(consumer);
    list_remove(&consumer->of_channel);
    amqp_channel_unref(channel);
    free(consumer);
}

void amqp_consumers_done(struct amqp_session *session)
{
    struct amqp_consumers *consumers = session->consumers;
    if (consumers == NULL) {
        return;
    }
    for (unsigned i = 0; i < consumers->buckets_len; i++) {
        while (consumers->buckets[i] != NULL) {
            amqp_consumer_free(consumers->buckets[i]);
        }
    }
    CHECK(consumers->len == 0);
    free(consumers->buckets);
    free(consumers);
    session->consumers = NULL;
}
