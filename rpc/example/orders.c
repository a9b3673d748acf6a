/* The client library with exchanges, options and properties: what each call is for, on a shop's orders. Run against a cluster it
 * leaves nothing behind, and exits with 0 when everything was as it says. It is compiled as hello.c is.
 *
 *   ./orders 127.0.0.1:7470,127.0.0.1:7480,127.0.0.1:7490 */

#include <stdio.h>
#include <string.h>

#include "rpc/client/hf.h"

#define TIMEOUT_MS 10000
#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        int err_ = (call);                                                                                             \
        if (err_ != 0) {                                                                                               \
            (void)fprintf(stderr, "%s: %s (%s)\n", #call, err_text(err_), hf_error_detail(hf));                        \
            return err_;                                                                                               \
        }                                                                                                              \
    } while (0)
#define EXPECT(what)                                                                                                   \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            (void)fprintf(stderr, "line %d: not so: %s\n", __LINE__, #what);                                           \
            return ERR_INVALID;                                                                                        \
        }                                                                                                              \
    } while (0)

static struct hf_body body_of(const char *text)
{
    return (struct hf_body){.data = text, .len = strlen(text)};
}

static bool body_is(const struct hf_message *message, const char *text)
{
    return message->body.len == strlen(text) && memcmp(message->body.data, text, message->body.len) == 0;
}

/* A queue whose dead letters go to another, and a topic exchange that leads to it. */
static int set_up(struct hf *hf)
{
    const struct client_queue_options orders = {
        .max_priority = 9,
        .max_deliveries = 2,
        .has_dead_letter = true,
        .dead_letter_key = "orders-dead",
        .has_dead_letter_key = true,
        .keep_settled_ms = 60000,
        .keep_life_ms = 60000,
        .id_window_ms = 60000,
        .lock_ms = 30000,
    };
    TRY(hf_declare_as(hf, "orders-dead", NULL, false, TIMEOUT_MS));
    TRY(hf_declare_as(hf, "orders", &orders, false, TIMEOUT_MS));
    TRY(hf_declare_as(hf, "orders", NULL, true, TIMEOUT_MS)); /* Only asks whether it is there. */
    const struct client_exchange shop = {.name = "shop", .type = CLIENT_TOPIC};
    const struct client_binding binding = {.source = "shop", .queue = "orders", .key = "order.*"};
    TRY(hf_declare_exchange(hf, &shop, TIMEOUT_MS));
    TRY(hf_bind(hf, &binding, TIMEOUT_MS));
    return 0;
}

/* Properties and headers travel with the body; a message that no queue takes is told. */
static int publish(struct hf *hf)
{
    const struct client_header headers[] = {{.name = "country", .type = CLIENT_STRING, .data = "NZ", .len = 2},
                                            {.name = "items", .type = CLIENT_INTEGER, .integer = 3}};
    struct hf_outgoing order = {.body = body_of("one"),
                                .properties = {.exchange = "shop",
                                               .routing_key = "order.new",
                                               .priority = 1,
                                               .message_id = "order-1",
                                               .mandatory = true,
                                               .content_type = "text/plain",
                                               .headers = headers,
                                               .headers_len = 2}};
    bool unrouted = true;
    TRY(hf_publish_message(hf, &order, TIMEOUT_MS, &unrouted));
    EXPECT(!unrouted);
    TRY(hf_publish_message(hf, &order, TIMEOUT_MS, NULL)); /* The same id: it is not taken twice. */
    order.properties.message_id = "order-2";
    order.properties.priority = 9;
    order.body = body_of("two");
    TRY(hf_publish_message(hf, &order, TIMEOUT_MS, NULL));
    order.properties.routing_key = "refund";
    TRY(hf_publish_message(hf, &order, TIMEOUT_MS, &unrouted));
    EXPECT(unrouted);
    return 0;
}

/* The urgent one comes first. */
static int consume(struct hf *hf)
{
    const struct client_subscription how = {.priority = 5, .tag = "example"};
    uint64_t consumer;
    struct hf_message message;
    TRY(hf_subscribe_as(hf, "orders", 1, &how, TIMEOUT_MS, &consumer));
    TRY(hf_next(hf, TIMEOUT_MS, &message));
    EXPECT(body_is(&message, "two") && message.properties->priority == 9 && message.lock_until_ms > 0);
    TRY(hf_extend(hf, &message, 60000, TIMEOUT_MS));
    TRY(hf_accept(hf, &message));
    TRY(hf_next(hf, TIMEOUT_MS, &message));
    EXPECT(body_is(&message, "one") && message.properties->headers_len == 2);
    EXPECT(strcmp(message.properties->headers[0].name, "country") == 0 && message.properties->headers[1].integer == 3);
    /* Later: in the same step as its answer, it is done. */
    const struct hf_outgoing answer = {.queue = "orders-dead", .body = body_of("answer")};
    TRY(hf_transact(hf, &answer, 1, &message, 1, TIMEOUT_MS));
    TRY(hf_unsubscribe(hf, consumer, TIMEOUT_MS));
    return 0;
}

/* What is there now, without a subscription; at most once. */
static int fetch(struct hf *hf)
{
    uint64_t taken = 0;
    struct hf_message message;
    TRY(hf_fetch(hf, "orders-dead", 10, true, TIMEOUT_MS, &taken));
    EXPECT(taken == 1);
    TRY(hf_next(hf, TIMEOUT_MS, &message));
    EXPECT(body_is(&message, "answer") && message.settled);
    TRY(hf_fetch(hf, "orders-dead", 10, false, TIMEOUT_MS, &taken));
    EXPECT(taken == 0);
    return 0;
}

/* Delivered twice and given back twice, it is a dead letter, which says where it died; and goes back when that is mended. */
static int die_and_rise(struct hf *hf)
{
    struct hf_message message;
    uint64_t moved = 0;
    TRY(hf_publish(hf, "orders", NULL, 0, body_of("three"), TIMEOUT_MS));
    for (unsigned i = 0; i < 2; i++) {
        TRY(hf_fetch(hf, "orders", 1, false, TIMEOUT_MS, NULL));
        TRY(hf_next(hf, TIMEOUT_MS, &message));
        EXPECT(body_is(&message, "three") && message.delivery_count == i);
        TRY(hf_release_after(hf, &message, 0, TIMEOUT_MS));
    }
    TRY(hf_fetch(hf, "orders-dead", 1, false, TIMEOUT_MS, NULL));
    TRY(hf_next(hf, TIMEOUT_MS, &message));
    EXPECT(message.deaths_len == 1 && strcmp(message.deaths[0].queue, "orders") == 0);
    EXPECT(strcmp(message.deaths[0].reason, "delivery_limit") == 0);
    TRY(hf_release(hf, &message));
    TRY(hf_flush(hf, TIMEOUT_MS));
    TRY(hf_redrive(hf, "orders-dead", NULL, "orders", 0, TIMEOUT_MS, &moved, NULL));
    EXPECT(moved == 1);
    TRY(hf_fetch(hf, "orders", 1, true, TIMEOUT_MS, NULL));
    TRY(hf_next(hf, TIMEOUT_MS, &message));
    EXPECT(body_is(&message, "three"));
    return 0;
}

static void step_count(void *arg, const struct client_step *step)
{
    unsigned *steps = arg;
    *steps += strcmp(step->what, "accepted") == 0;
}

static void message_look(void *arg, const struct client_message *message)
{
    uint64_t *last = arg;
    *last = message->position;
}

/* What was settled can be looked at, and had once more. */
static int look_back(struct hf *hf)
{
    uint64_t position = 0;
    uint64_t copied = 0;
    uint64_t next = 0;
    unsigned accepted = 0;
    bool more = false;
    TRY(hf_kept(hf, "orders", 0, 1, TIMEOUT_MS, message_look, &position, &more));
    EXPECT(position > 0);
    TRY(hf_life(hf, "orders", position, TIMEOUT_MS, step_count, &accepted));
    EXPECT(accepted == 1);
    TRY(hf_replay(hf, "orders", position, position, "orders-dead", TIMEOUT_MS, &copied, &next));
    EXPECT(copied == 1);
    TRY(hf_purge(hf, "orders-dead", TIMEOUT_MS, &copied));
    EXPECT(copied == 1);
    return 0;
}

/* Two phases: nobody sees it until it is committed. A producer's name fences off who had it before. */
static int prepare(struct hf *hf)
{
    uint64_t epoch;
    uint64_t last;
    uint64_t taken = 1;
    struct hf_message message;
    TRY(hf_open_producer(hf, "shop-producer", TIMEOUT_MS, &epoch, &last));
    struct hf_outgoing order = {.queue = "orders-dead",
                                .body = body_of("four"),
                                .producer = "shop-producer",
                                .sequence = last + 1,
                                .epoch = epoch,
                                .no_gaps = true,
                                .prepare = "payment-17"};
    int err = hf_resolve(hf, "payment-17", false, TIMEOUT_MS); /* Of a run before this one. */
    EXPECT(err == 0 || err == ERR_NOT_FOUND || err == ERR_REFUSED);
    err = hf_publish_message(hf, &order, TIMEOUT_MS, NULL);
    EXPECT(err == 0 || err == ERR_EXISTS); /* An id is remembered for a day. */
    TRY(hf_fetch(hf, "orders-dead", 1, false, TIMEOUT_MS, &taken));
    EXPECT(taken == 0);
    if (err == 0) {
        TRY(hf_resolve(hf, "payment-17", true, TIMEOUT_MS));
        TRY(hf_fetch(hf, "orders-dead", 1, true, TIMEOUT_MS, &taken));
        EXPECT(taken == 1);
        TRY(hf_next(hf, TIMEOUT_MS, &message));
        EXPECT(body_is(&message, "four"));
    }
    uint64_t newer;
    TRY(hf_open_producer(hf, "shop-producer", TIMEOUT_MS, &newer, &last));
    order.prepare = NULL;
    order.sequence = last + 1;
    EXPECT(newer == epoch + 1 && hf_publish_message(hf, &order, TIMEOUT_MS, NULL) == ERR_FENCED);
    return 0;
}

static void queue_look(void *arg, const struct client_queue *queue)
{
    struct client_queue *copy = arg;
    *copy = *queue;
}

static void exchange_count(void *arg, const struct client_exchange *exchange)
{
    unsigned *found = arg;
    *found += strcmp(exchange->name, "shop") == 0 && exchange->type == CLIENT_TOPIC && exchange->bindings == 1;
}

static void binding_count(void *arg, const struct client_binding *binding)
{
    unsigned *found = arg;
    *found += strcmp(binding->queue, "orders") == 0 && strcmp(binding->key, "order.*") == 0;
}

static void host_count(void *arg, const struct client_virtual_host *host)
{
    unsigned *found = arg;
    *found += strcmp(host->name, "shop-test") == 0;
}

static int look_around(struct hf *hf)
{
    unsigned found = 0;
    struct client_queue queue;
    struct client_queue_options wanted = {.has_ttl = true, .ttl_ms = 5000, .paused = true};
    const enum client_queue_option fields[] = {CLIENT_OPTION_TTL, CLIENT_OPTION_PAUSED};
    TRY(hf_change(hf, "orders", &wanted, fields, 2, TIMEOUT_MS));
    TRY(hf_queue(hf, "orders", TIMEOUT_MS, queue_look, &queue));
    EXPECT(queue.options.max_priority == 9 && queue.options.ttl_ms == 5000 && queue.options.paused);
    EXPECT(queue.dead_lettered == 1 && queue.ready == 0);
    TRY(hf_exchanges(hf, TIMEOUT_MS, exchange_count, &found));
    TRY(hf_bindings(hf, "shop", TIMEOUT_MS, binding_count, &found));
    EXPECT(found == 2);
    const struct hf_limit_value limit = {.what = HF_LIMIT_QUEUES, .value = 10};
    TRY(hf_create_virtual_host(hf, "shop-test", "for trying things out", TIMEOUT_MS));
    TRY(hf_set_limits(hf, "shop-test", NULL, &limit, 1, TIMEOUT_MS));
    TRY(hf_virtual_hosts(hf, TIMEOUT_MS, host_count, &found));
    EXPECT(found == 3);
    TRY(hf_delete_virtual_host(hf, "shop-test", false, TIMEOUT_MS));
    return 0;
}

static int tear_down(struct hf *hf)
{
    const struct client_binding binding = {.source = "shop", .queue = "orders", .key = "order.*"};
    TRY(hf_unbind(hf, &binding, TIMEOUT_MS));
    TRY(hf_delete_exchange(hf, "shop", true, TIMEOUT_MS));
    TRY(hf_delete(hf, "orders", false, TIMEOUT_MS, NULL));
    TRY(hf_delete(hf, "orders-dead", false, TIMEOUT_MS, NULL));
    return 0;
}

int main(int argc, char **argv)
{
    static int (*const parts[])(struct hf * hf) = {set_up,    publish, consume,     fetch,    die_and_rise,
                                                   look_back, prepare, look_around, tear_down};
    struct hf *hf;
    struct hf_options options = {.servers = argc > 1 ? argv[1] : "127.0.0.1:7470", .client_name = "orders"};
    int err = hf_open(&options, &hf);
    if (err != 0) {
        (void)fprintf(stderr, "%s\n", err_text(err));
        return 1;
    }
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && err == 0; i++) {
        err = parts[i](hf);
    }
    (void)hf_close(hf, TIMEOUT_MS);
    return err == 0 ? 0 : 1;
}
