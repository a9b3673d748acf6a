/* Clients that publish: as much as their window allows, or to a schedule that waits for nobody. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "proto/base/check.h"

/* What gathers into one command when its size is not given. */
#define GATHER_MESSAGES_MAX 512u
#define GATHER_LEN_MAX (256 * KIB)

/* After a failure. */
#define PAUSE_NS 100000000u

struct bench_producer {
    struct bench *bench;
    struct hf_client *client;
    uint32_t id;
    bool attached;
    char queue[NAME_LEN_MAX + 1];
    char name[64]; /* "" unless it numbers its messages. */
    uint64_t next; /* Sequence of the next message, from 0. */
    uint64_t quota;
    uint64_t in_flight;
    uint64_t again; /* Where to begin again once nothing is in flight; UINT64_MAX: nothing failed. */
    uint64_t paused_until_ns;
};

struct command {
    struct bench_producer *producer;
    uint64_t first;
    uint64_t len;
    uint64_t issued_ns;
};

/* When a message is due. To a schedule, the messages of all producers take turns. */
static uint64_t due_ns(const struct bench_producer *producer, uint64_t sequence, uint64_t issued_ns)
{
    const struct bench *bench = producer->bench;
    if (bench->options.rate == 0) {
        return issued_ns;
    }
    double turn = (double)sequence * (double)bench->producers_len + (double)producer->id;
    return bench->start_ns + (uint64_t)(turn * 1e9 / (double)bench->options.rate);
}

/* How many messages of the producer are due, from the first on. */
static uint64_t due_count(const struct bench_producer *producer, uint64_t now)
{
    const struct bench *bench = producer->bench;
    if (bench->options.rate == 0) {
        return UINT64_MAX;
    }
    double turns = (double)(now - bench->start_ns) * (double)bench->options.rate / 1e9 - (double)producer->id;
    return turns < 0 ? 0 : (uint64_t)(turns / (double)bench->producers_len) + 1;
}

static void confirmed(struct command *command, uint64_t now)
{
    struct bench_producer *producer = command->producer;
    struct bench *bench = producer->bench;
    uint64_t fresh = 0;
    for (uint64_t i = command->first; i < command->first + command->len; i++) {
        if (bench_check_confirmed(&bench->checks, producer->id, i)) {
            uint64_t due = due_ns(producer, i, command->issued_ns);
            histogram_record(&bench->in.latency, now > due ? now - due : 0, 1);
            fresh++;
        }
    }
    bench_side_count(&bench->in, now, fresh, fresh * bench->options.size);
}

static void failed(struct command *command, const struct client_reply *reply, uint64_t now)
{
    struct bench_producer *producer = command->producer;
    struct bench *bench = producer->bench;
    if (reply->err == ERR_OUTCOME_UNKNOWN) {
        bench->unknown += command->len;
    } else {
        bench->refused += command->len;
    }
    bench_note(bench, reply->err, reply->detail);
    if (producer->name[0] != '\0' && command->first < producer->again) {
        producer->again = command->first;
    }
    producer->paused_until_ns = now + PAUSE_NS;
}

static void on_confirm(void *arg, const struct client_reply *reply)
{
    struct command *command = arg;
    struct bench *bench = command->producer->bench;
    uint64_t now = uv_hrtime();
    command->producer->in_flight -= command->len;
    bench->in_flight -= command->len;
    if (reply->err == 0) {
        bench->repeated += reply->repeated_count;
        confirmed(command, now);
    } else {
        failed(command, reply, now);
    }
    free(command);
}

/* How many messages the next command takes; 0: none may go now. */
static uint64_t command_len(const struct bench_producer *producer, uint64_t now)
{
    const struct bench_options *options = &producer->bench->options;
    uint64_t due = due_count(producer, now);
    uint64_t left = producer->quota - producer->next;
    uint64_t ready = due > producer->next ? due - producer->next : 0;
    uint64_t room = options->window - producer->in_flight;
    uint64_t most = options->batch;
    if (most == 0) {
        most = options->window / 4 == 0 ? 1 : options->window / 4;
        most = most < producer->bench->scratch_messages ? most : producer->bench->scratch_messages;
    } else if (left >= most && (room < most || ready < most)) {
        return 0; /* A whole batch or nothing, but for the last. */
    }
    uint64_t len = left < ready ? left : ready;
    len = len < room ? len : room;
    return len < most ? len : most;
}

static int publish(struct bench_producer *producer, uint64_t len, uint64_t now)
{
    struct bench *bench = producer->bench;
    struct slice bodies[PUBLISH_MESSAGES_MAX];
    struct command *command = malloc(sizeof *command);
    if (command == NULL) {
        return ERR_NOMEM;
    }
    *command = (struct command){.producer = producer, .first = producer->next, .len = len, .issued_ns = now};
    for (uint64_t i = 0; i < len; i++) {
        bodies[i] =
            (struct slice){.data = bench->scratch + i * bench->options.size, .len = (size_t)bench->options.size};
        if (bench_marked(bench)) {
            struct bench_mark mark = {.run = bench->run,
                                      .producer = producer->id,
                                      .sequence = producer->next + i,
                                      .due_ns = due_ns(producer, producer->next + i, now)};
            bench_mark_write(&mark, bench->scratch + i * bench->options.size);
        }
    }
    int err = client_core_publish(hf_client_core(producer->client), producer->queue,
                                  producer->name[0] == '\0' ? NULL : producer->name, producer->next + 1, bodies,
                                  (size_t)len, bench->cli->timeout_ms, on_confirm, command);
    if (err != 0) {
        free(command);
        return err;
    }
    producer->next += len;
    producer->in_flight += len;
    bench->in_flight += len;
    return 0;
}

static void producer_fill(struct bench_producer *producer, uint64_t now)
{
    struct bench *bench = producer->bench;
    if (now < producer->paused_until_ns) {
        return;
    }
    if (producer->again != UINT64_MAX) {
        if (producer->in_flight > 0) {
            return; /* A later message must not come before one that failed. */
        }
        producer->next = producer->again;
        producer->again = UINT64_MAX;
    }
    uint64_t len;
    while (producer->in_flight < bench->options.window && (len = command_len(producer, now)) > 0) {
        int err = publish(producer, len, now);
        if (err != 0) {
            producer->paused_until_ns = err == ERR_BUSY ? 0 : now + PAUSE_NS; /* Busy: the next answer goes on. */
            if (err != ERR_BUSY) {
                bench_note(bench, err, err_text(err));
            }
            return;
        }
    }
}

void bench_producers_fill(struct bench *bench)
{
    uint64_t now = uv_hrtime();
    for (uint64_t i = 0; i < bench->producers_len && bench->started && !bench->stopping; i++) {
        producer_fill(&bench->producers[i], now);
    }
}

bool bench_producers_done(const struct bench *bench)
{
    for (uint64_t i = 0; i < bench->producers_len && !bench->stopping; i++) {
        const struct bench_producer *producer = &bench->producers[i];
        if (producer->next < producer->quota || producer->again != UINT64_MAX) {
            return false;
        }
    }
    return bench->in_flight == 0;
}

static void on_delivery(void *arg, const struct client_delivery *delivery)
{
    (void)arg;
    (void)delivery;
}

static void on_consumer_ended(void *arg, uint64_t consumer, int err, const char *detail)
{
    (void)arg;
    (void)consumer;
    (void)err;
    (void)detail;
}

static void on_attached(void *arg, const char *address, uint64_t session)
{
    struct bench_producer *producer = arg;
    (void)address;
    (void)session;
    bench_attached(producer->bench, !producer->attached);
    producer->attached = true;
}

/* Room for the bodies of one command. */
static int scratch_open(struct bench *bench)
{
    uint64_t size = bench->options.size == 0 ? 1 : bench->options.size;
    uint64_t gathered = GATHER_LEN_MAX / size < GATHER_MESSAGES_MAX ? GATHER_LEN_MAX / size : GATHER_MESSAGES_MAX;
    uint64_t messages = bench->options.batch > 0 ? bench->options.batch : gathered == 0 ? 1 : gathered;
    bench->scratch = malloc((size_t)(messages * size));
    if (bench->scratch == NULL) {
        return ERR_NOMEM;
    }
    memset(bench->scratch, 'x', (size_t)(messages * size));
    bench->scratch_messages = (size_t)messages;
    return 0;
}

int bench_producers_open(struct bench *bench, const struct hf_options *options)
{
    uint64_t len = bench->options.producers;
    int err = scratch_open(bench);
    if (err != 0) {
        return err;
    }
    bench->producers = calloc((size_t)len, sizeof *bench->producers);
    if (bench->producers == NULL) {
        return ERR_NOMEM;
    }
    for (uint64_t i = 0; i < len; i++) {
        struct bench_producer *producer = &bench->producers[i];
        uint64_t count = bench->options.count;
        producer->bench = bench;
        producer->id = (uint32_t)i;
        producer->again = UINT64_MAX;
        producer->quota = count == 0 ? UINT64_MAX : count / len + (i < count % len);
        bench_queue_name(bench, i % bench->options.queues, producer->queue);
        if (bench->options.named) {
            snprintf(producer->name, sizeof producer->name, "bench-%016llx-%llu", (unsigned long long)bench->run,
                     (unsigned long long)i);
        }
        struct hf_events events = {
            .arg = producer, .delivery = on_delivery, .consumer_ended = on_consumer_ended, .attached = on_attached};
        err = hf_client_new(&bench->loop, options, &events, &producer->client);
        if (err != 0) {
            return err;
        }
        bench->producers_len++;
    }
    return 0;
}

void bench_producers_close(struct bench *bench, client_reply_cb closed)
{
    for (uint64_t i = 0; i < bench->producers_len; i++) {
        bench->open += client_core_close_session(hf_client_core(bench->producers[i].client), 2000, closed, bench) == 0;
    }
}

void bench_producers_free(struct bench *bench)
{
    for (uint64_t i = 0; i < bench->producers_len; i++) {
        hf_client_free(bench->producers[i].client, NULL, NULL);
    }
    bench->producers_len = 0;
}
