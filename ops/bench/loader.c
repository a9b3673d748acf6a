/* A simple load on a cluster: publishes for some seconds and reports rate, confirm latency and the longest silence. */

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/limits.h"
#include "rpc/client/hf.h"

#define BUCKETS 200000u /* Of 10 µs each: latencies up to 2 s; above that, the last one. */
#define BUCKET_US 10u
#define PRODUCERS_MAX 64u

static const char help[] =
    "Usage: holdfast-loader --queue QUEUE [--servers HOST:PORT,...] [--size BYTES] [--window N] [--seconds S]\n"
    "                       [--batch N] [--producers N]\n"
    "\n"
    "Publishes messages of --size bytes (default 1024) for --seconds (5), keeping --window publish commands (256) of\n"
    "--batch messages (1) in flight on each of --producers connections (1). The queue is declared first.\n"
    "Prints messages per second, the time from issuing a command to its confirmation, and the longest gap between two\n"
    "confirmations. With --window 1 it measures one message at a time.\n"
    "\n"
    "Example: holdfast-loader --servers node1:7470 --queue load --window 1\n";

struct load;

struct producer {
    struct load *load;
    struct hf_client *client;
    unsigned in_flight;
};

struct load {
    uv_loop_t loop;
    uv_timer_t timer;
    const char *servers;
    const char *queue;
    uint64_t size;
    uint64_t window;
    uint64_t seconds;
    uint64_t batch;
    uint64_t producers_len;
    struct producer producers[PRODUCERS_MAX];
    struct slice *bodies;
    struct blob *body;
    bool started;
    bool ended;
    int err;
    uint64_t messages;
    uint64_t commands;
    uint64_t failed;
    uint64_t first_ns;
    uint64_t last_ns;
    uint64_t gap_ns;
    uint64_t in_flight;
    uint32_t buckets[BUCKETS];
};

struct command {
    struct producer *producer;
    uint64_t issued_ns;
};

static void producer_fill(struct producer *producer);

static void confirm_note(struct load *load, uint64_t issued_ns, uint64_t messages)
{
    uint64_t now = uv_hrtime();
    uint64_t bucket = (now - issued_ns) / 1000 / BUCKET_US;
    load->buckets[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
    load->commands++;
    load->messages += messages;
    if (now - load->last_ns > load->gap_ns) {
        load->gap_ns = now - load->last_ns;
    }
    load->last_ns = now;
}

static void on_confirm(void *arg, const struct client_reply *reply)
{
    struct command *command = arg;
    struct producer *producer = command->producer;
    struct load *load = producer->load;
    producer->in_flight--;
    load->in_flight--;
    if (reply->err == 0) {
        confirm_note(load, command->issued_ns, reply->count);
    } else {
        load->failed++;
        load->err = reply->err;
    }
    free(command);
    if (!load->ended) {
        producer_fill(producer);
    } else if (load->in_flight == 0) {
        uv_stop(&load->loop);
    }
}

static void producer_fill(struct producer *producer)
{
    struct load *load = producer->load;
    while (producer->in_flight < load->window) {
        struct command *command = malloc(sizeof *command);
        if (command == NULL) {
            return;
        }
        *command = (struct command){.producer = producer, .issued_ns = uv_hrtime()};
        int err = client_core_publish(hf_client_core(producer->client), load->queue, NULL, 0, load->bodies,
                                      (size_t)load->batch, 30000, on_confirm, command);
        if (err != 0) {
            free(command);
            load->err = err == ERR_BUSY ? load->err : err;
            return; /* Busy: the next confirmation goes on. */
        }
        producer->in_flight++;
        load->in_flight++;
    }
}

static void on_end(uv_timer_t *timer)
{
    struct load *load = timer->data;
    load->ended = true;
    if (load->in_flight == 0) {
        uv_stop(&load->loop);
    }
}

static void on_declared(void *arg, const struct client_reply *reply)
{
    struct load *load = arg;
    load->err = reply->err;
    load->started = true;
    if (reply->err != 0) {
        fprintf(stderr, "holdfast-loader: %s: %s\n", load->queue, reply->detail);
    }
    uv_stop(&load->loop);
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

static double percentile_ms(const struct load *load, double part)
{
    uint64_t rank = (uint64_t)((double)load->commands * part);
    uint64_t seen = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        seen += load->buckets[i];
        if (seen > rank) {
            return (double)((i + 1) * BUCKET_US) / 1000;
        }
    }
    return 0;
}

static void report(const struct load *load)
{
    double seconds = (double)(load->last_ns - load->first_ns) / 1e9;
    printf("%llu messages in %.2f s: %.0f msg/s, %.1f MiB/s; confirm p50 %.2f ms, p99 %.2f ms; longest gap %.1f ms; "
           "%llu failed\n",
           (unsigned long long)load->messages, seconds, seconds > 0 ? (double)load->messages / seconds : 0,
           seconds > 0 ? (double)load->messages * (double)load->size / seconds / (double)MIB : 0,
           percentile_ms(load, 0.5), percentile_ms(load, 0.99), (double)load->gap_ns / 1e6,
           (unsigned long long)load->failed);
    if (load->err != 0) {
        fprintf(stderr, "holdfast-loader: %s\n", err_text(load->err));
    }
}

static int load_connect(struct load *load)
{
    struct hf_options options = {.servers = load->servers,
                                 .client_name = "holdfast-loader",
                                 .window =
                                     (uint32_t)(load->window > SESSION_WINDOW_MAX ? SESSION_WINDOW_MAX : load->window)};
    struct hf_events events = {.arg = load, .delivery = on_delivery, .consumer_ended = on_consumer_ended};
    for (size_t i = 0; i < load->producers_len; i++) {
        load->producers[i].load = load;
        int err = hf_client_new(&load->loop, &options, &events, &load->producers[i].client);
        if (err != 0) {
            fprintf(stderr, "holdfast-loader: %s\n", err_text(err));
            return err;
        }
    }
    int err = client_core_declare(hf_client_core(load->producers[0].client), load->queue, 30000, on_declared, load);
    if (err != 0) {
        fprintf(stderr, "holdfast-loader: %s: %s\n", load->queue, err_text(err));
        return err;
    }
    while (!load->started) {
        uv_run(&load->loop, UV_RUN_ONCE);
    }
    return load->err;
}

static int load_run(struct load *load)
{
    int err = load_connect(load);
    if (err == 0) {
        load->first_ns = load->last_ns = uv_hrtime();
        uv_update_time(&load->loop);
        uv_timer_start(&load->timer, on_end, load->seconds * 1000, 0);
        for (size_t i = 0; i < load->producers_len; i++) {
            producer_fill(&load->producers[i]);
        }
        uv_run(&load->loop, UV_RUN_DEFAULT);
        report(load);
        err = load->err;
    }
    load->ended = true;
    for (size_t i = 0; i < load->producers_len; i++) {
        hf_client_free(load->producers[i].client, NULL, NULL);
    }
    return err;
}

static int options_read(struct load *load, int argc, char **argv)
{
    static const struct option options[] = {{"servers", required_argument, NULL, 's'},
                                            {"queue", required_argument, NULL, 'q'},
                                            {"size", required_argument, NULL, 'b'},
                                            {"window", required_argument, NULL, 'w'},
                                            {"seconds", required_argument, NULL, 't'},
                                            {"batch", required_argument, NULL, 'n'},
                                            {"producers", required_argument, NULL, 'p'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        uint64_t number = optarg == NULL ? 0 : strtoull(optarg, NULL, 10);
        switch (option) {
        case 's': load->servers = optarg; break;
        case 'q': load->queue = optarg; break;
        case 'b': load->size = number; break;
        case 'w': load->window = number; break;
        case 't': load->seconds = number; break;
        case 'n': load->batch = number; break;
        case 'p': load->producers_len = number; break;
        case 'h': fputs(help, stdout); exit(0);
        default: return 2;
        }
    }
    if (load->queue == NULL || load->size > BODY_LEN_MAX || load->window == 0 ||
        load->window > 4 * SESSION_WINDOW_MAX || load->seconds == 0 || load->seconds > 86400 || load->batch == 0 ||
        load->batch > PUBLISH_MESSAGES_MAX || load->batch * load->size > COMMAND_BODIES_LEN_MAX ||
        load->producers_len == 0 || load->producers_len > PRODUCERS_MAX) {
        fputs(help, stderr);
        return 2;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct load *load = calloc(1, sizeof *load);
    if (load == NULL) {
        return 1;
    }
    const char *servers = getenv("HOLDFAST_SERVERS");
    load->servers = servers != NULL ? servers : "127.0.0.1:7470";
    load->size = 1024;
    load->window = 256;
    load->seconds = 5;
    load->batch = 1;
    load->producers_len = 1;
    int exit_code = options_read(load, argc, argv);
    if (exit_code != 0) {
        free(load);
        return exit_code;
    }
    load->body = blob_new((size_t)load->size);
    load->bodies = calloc((size_t)load->batch, sizeof *load->bodies);
    if (load->body == NULL || load->bodies == NULL || uv_loop_init(&load->loop) != 0) {
        fprintf(stderr, "holdfast-loader: %s\n", err_text(ERR_NOMEM));
        return 1;
    }
    memset(load->body->data, 'x', load->body->len);
    for (size_t i = 0; i < load->batch; i++) {
        load->bodies[i] = slice_of_blob(load->body);
    }
    uv_timer_init(&load->loop, &load->timer);
    load->timer.data = load;
    exit_code = load_run(load) == 0 ? 0 : 1;
    uv_close((uv_handle_t *)&load->timer, NULL);
    uv_run(&load->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&load->loop);
    blob_unref(load->body);
    free(load->bodies);
    free(load);
    return exit_code;
}
