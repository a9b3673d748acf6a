/* Clients that consume: every delivery is looked at, and settled at the end of the turn that brought it. */

#include <stdlib.h>

#include "bench.h"

struct bench_consumer {
    struct bench *bench;
    struct hf_client *client;
    bool attached;
    bool subscribed; /* Once, as the start of the run waits for it. */
    bool wanted;     /* Its subscription ended, and is to be made again. */
    char queue[NAME_LEN_MAX + 1];
    uint64_t consumer; /* Of its subscription: another one each time. */
    uint64_t seen;     /* Number of the last delivery. */
    uint64_t settled;  /* Settlements have been issued up to here. */
    uint64_t *next;    /* For each producer, the lowest sequence that may follow. */
};

static void delivery_check(struct bench_consumer *consumer, const struct client_delivery *delivery, uint64_t now)
{
    struct bench *bench = consumer->bench;
    if (delivery->body.len < BENCH_MARK_LEN) {
        bench->checks.foreign++;
        return;
    }
    struct bench_mark mark = bench_mark_read(delivery->body.data);
    if (mark.run != bench->run) {
        bench->checks.foreign++;
        return;
    }
    uint64_t none = 0;
    uint64_t *next = mark.producer < bench->options.producers ? &consumer->next[mark.producer] : &none;
    bool fresh =
        bench_check_delivered(&bench->checks, mark.producer, mark.sequence, delivery->delivery_count > 0, next);
    bench->checks.damaged += delivery->body.len != bench->options.size;
    if (fresh) {
        histogram_record(&bench->out.latency, now > mark.due_ns ? now - mark.due_ns : 0, 1);
    }
}

static void on_delivery(void *arg, const struct client_delivery *delivery)
{
    struct bench_consumer *consumer = arg;
    uint64_t now = uv_hrtime();
    if (delivery->consumer != consumer->consumer) {
        return; /* Of a subscription that is over. */
    }
    consumer->seen = delivery->number;
    bench_side_count(&consumer->bench->out, now, 1, delivery->body.len);
    delivery_check(consumer, delivery, now);
}

static void on_consumer_ended(void *arg, uint64_t id, int err, const char *detail)
{
    struct bench_consumer *consumer = arg;
    if (id == consumer->consumer) {
        consumer->bench->failed++;
        bench_note(consumer->bench, err, detail);
        consumer->wanted = err == ERR_SESSION_EXPIRED;
        consumer->seen = consumer->settled = 0;
    }
}

static void on_attached(void *arg, const char *address, uint64_t session)
{
    struct bench_consumer *consumer = arg;
    (void)address;
    (void)session;
    bench_attached(consumer->bench, !consumer->attached);
    consumer->attached = true;
}

static void on_subscribed(void *arg, const struct client_reply *reply)
{
    struct bench_consumer *consumer = arg;
    if (reply->err != 0) {
        consumer->bench->failed++;
        bench_note(consumer->bench, reply->err, reply->detail);
        consumer->wanted = consumer->subscribed && cli_exit_code(reply->err) == EXIT_UNSURE;
    }
    consumer->bench->subscribed += !consumer->subscribed;
    consumer->subscribed = true;
}

static int subscribe(struct bench_consumer *consumer)
{
    struct bench *bench = consumer->bench;
    consumer->consumer++;
    consumer->seen = consumer->settled = 0;
    consumer->wanted = false;
    return client_core_subscribe(hf_client_core(consumer->client), consumer->queue, consumer->consumer,
                                 (uint32_t)bench->options.prefetch, bench->cli->timeout_ms, on_subscribed, consumer);
}

static void on_settled(void *arg, const struct client_reply *reply)
{
    struct bench *bench = arg;
    bench->settling--;
    bench->stale += reply->repeated_count;
    if (reply->err != 0) {
        bench->failed++;
        bench_note(bench, reply->err, reply->detail);
    }
}

static void settle(struct bench_consumer *consumer)
{
    struct bench *bench = consumer->bench;
    struct client_range range = {.first = consumer->settled + 1, .last = consumer->seen};
    int err = client_core_settle(hf_client_core(consumer->client), consumer->consumer, CLIENT_ACCEPT, &range, 1,
                                 bench->cli->timeout_ms, on_settled, bench);
    if (err == 0) {
        consumer->settled = consumer->seen;
        bench->settling++;
    } else if (err != ERR_BUSY) { /* Busy: in a later turn, with what comes meanwhile. */
        consumer->settled = consumer->seen;
        bench->failed++;
        bench_note(bench, err, err_text(err));
    }
}

void bench_consumers_settle(struct bench *bench)
{
    for (uint64_t i = 0; i < bench->consumers_len; i++) {
        struct bench_consumer *consumer = &bench->consumers[i];
        if (consumer->wanted) {
            int err = subscribe(consumer);
            consumer->wanted = err == ERR_BUSY;
        } else if (consumer->seen > consumer->settled) {
            settle(consumer);
        }
    }
}

int bench_consumers_open(struct bench *bench, const struct hf_options *options)
{
    bench->consumers = calloc((size_t)bench->options.consumers, sizeof *bench->consumers);
    if (bench->consumers == NULL) {
        return ERR_NOMEM;
    }
    for (uint64_t i = 0; i < bench->options.consumers; i++) {
        struct bench_consumer *consumer = &bench->consumers[i];
        consumer->bench = bench;
        consumer->next = calloc((size_t)bench->options.producers, sizeof *consumer->next);
        if (consumer->next == NULL) {
            return ERR_NOMEM;
        }
        bench_queue_name(bench, i % bench->options.queues, consumer->queue);
        struct hf_events events = {
            .arg = consumer, .delivery = on_delivery, .consumer_ended = on_consumer_ended, .attached = on_attached};
        int err = hf_client_new(&bench->loop, options, &events, &consumer->client);
        if (err != 0) {
            free(consumer->next);
            return err;
        }
        bench->consumers_len++;
    }
    return 0;
}

int bench_consumers_subscribe(struct bench *bench)
{
    for (uint64_t i = 0; i < bench->consumers_len; i++) {
        int err = subscribe(&bench->consumers[i]);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

void bench_consumers_close(struct bench *bench, client_reply_cb closed)
{
    for (uint64_t i = 0; i < bench->consumers_len; i++) {
        bench->open += client_core_close_session(hf_client_core(bench->consumers[i].client), 2000, closed, bench) == 0;
    }
}

void bench_consumers_free(struct bench *bench)
{
    for (uint64_t i = 0; i < bench->consumers_len; i++) {
        hf_client_free(bench->consumers[i].client, NULL, NULL);
        free(bench->consumers[i].next);
    }
    bench->consumers_len = 0;
}
