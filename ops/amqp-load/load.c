/* The phases of a load. */

#include "load.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/check.h"

/* For the end: without a further message for so long nothing more comes. */
#define QUIET_NS UINT64_C(10000000000)

void load_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("error: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    exit(1);
}

uint64_t load_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* ---- Queues ---- */

static void queues_do(const struct load_options *options, bool declare)
{
    struct load_link link;
    load_link_open(&link, options->servers[0]);
    static const uint8_t quorum[] = "\x0cx-queue-typeS\0\0\0\x06quorum";
    for (unsigned i = 0; i < options->queues; i++) {
        char name[256];
        load_queue_name(options, i, name, sizeof name);
        if (declare) {
            union amqp_method method = {
                .queue_declare = {.id = AMQP_queue_declare, .queue = amqp_text(name), .durable = true}};
            if (options->quorum) {
                method.queue_declare.arguments = (struct amqp_bytes){quorum, sizeof quorum - 1};
            }
            (void)load_link_call(&link, &method, AMQP_queue_declare_ok);
        } else {
            union amqp_method method = {.queue_delete = {.id = AMQP_queue_delete, .queue = amqp_text(name)}};
            (void)load_link_call(&link, &method, AMQP_queue_delete_ok);
        }
    }
    load_link_close(&link);
}

/* ---- The loop ---- */

/* An event's number: producers first, then consumers. */
static struct load_link *link_of(struct load *load, unsigned n)
{
    unsigned producers = load->options.producers;
    return n < producers ? &load->producers[n].link : &load->consumers[n - producers].link;
}

static void watch(int epoll, struct load *load, unsigned n, bool write, bool add)
{
    struct epoll_event event = {.events = EPOLLIN | (write ? (uint32_t)EPOLLOUT : 0), .data.u32 = n};
    if (epoll_ctl(epoll, add ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, link_of(load, n)->fd, &event) != 0) {
        load_fail("epoll: %s", strerror(errno));
    }
}

/* The longest that may be slept. */
static int sleep_ms(const struct load *load)
{
    return load->options.rate > 0 && load->publishing ? 1 : 20;
}

static void turn(int epoll, struct load *load, bool *writes)
{
    struct epoll_event events[64];
    int len = epoll_wait(epoll, events, ARRAY_LEN(events), sleep_ms(load));
    unsigned producers = load->options.producers;
    for (int i = 0; i < len; i++) {
        unsigned n = events[i].data.u32;
        if ((events[i].events & ~(uint32_t)EPOLLOUT) == 0) {
            continue;
        }
        if (n < producers) {
            load_producer_read(&load->producers[n]);
        } else {
            load_consumer_read(&load->consumers[n - producers]);
        }
    }
    uint64_t now_ns = load_now_ns();
    for (unsigned n = 0; n < producers + load->options.consumers; n++) {
        if (n < producers) {
            load_producer_publish(&load->producers[n], now_ns);
        }
        bool left = load_link_write(link_of(load, n));
        if (left != writes[n]) {
            writes[n] = left;
            watch(epoll, load, n, left, false);
        }
    }
}

static bool is_over(const struct load *load, uint64_t now_ns)
{
    const struct load_options *options = &load->options;
    uint64_t done = options->producers > 0 ? load->published : load->delivered;
    return options->count > 0 ? done >= options->count
                              : now_ns - load->start_ns >= options->seconds * UINT64_C(1000000000);
}

/* What is still to come when publishing is over. */
static bool is_drained(const struct load *load)
{
    bool confirmed = load->confirmed >= load->published;
    bool consumed = load->options.consumers == 0 || load->options.producers == 0 || load->distinct >= load->published;
    return confirmed && consumed;
}

static void run(struct load *load)
{
    unsigned clients = load->options.producers + load->options.consumers;
    bool *writes = calloc(clients, sizeof *writes);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (writes == NULL || epoll < 0) {
        load_fail("epoll: %s", strerror(errno));
    }
    for (unsigned n = 0; n < clients; n++) {
        watch(epoll, load, n, false, true);
    }
    load->start_ns = load_now_ns();
    load->last_ns = load->start_ns;
    load->publishing = true;
    while (!is_over(load, load_now_ns())) {
        turn(epoll, load, writes);
    }
    load->publishing = false;
    if (load->options.count > 0) { /* By count: the rest is part of it. */
        for (uint64_t end = load_now_ns() + QUIET_NS; !is_drained(load) && load_now_ns() < end;) {
            uint64_t before = load->confirmed + load->delivered;
            turn(epoll, load, writes);
            end = load->confirmed + load->delivered > before ? load_now_ns() + QUIET_NS : end;
        }
    }
    load->end_ns = load_now_ns();
    load->confirmed_in_time = load->confirmed;
    load->delivered_in_time = load->delivered;
    uint64_t gap_ns = load->gap_ns;
    for (uint64_t end = load_now_ns() + QUIET_NS; !is_drained(load) && load_now_ns() < end;) {
        uint64_t before = load->confirmed + load->delivered;
        turn(epoll, load, writes);
        end = load->confirmed + load->delivered > before ? load_now_ns() + QUIET_NS : end;
    }
    load->gap_ns = gap_ns;
    for (unsigned i = 0; i < load->options.consumers; i++) {
        load_consumer_finish(&load->consumers[i]);
        (void)load_link_write(&load->consumers[i].link);
    }
    (void)close(epoll);
    free(writes);
}

static void clients_open(struct load *load)
{
    load->producers = calloc(load->options.producers + 1, sizeof *load->producers);
    load->consumers = calloc(load->options.consumers + 1, sizeof *load->consumers);
    if (load->producers == NULL || load->consumers == NULL) {
        load_fail("out of memory");
    }
    for (unsigned i = 0; i < load->options.consumers; i++) {
        load_consumer_open(&load->consumers[i], load, i);
    }
    for (unsigned i = 0; i < load->options.producers; i++) {
        load_producer_open(&load->producers[i], load, i);
    }
}

static void clients_close(struct load *load)
{
    for (unsigned i = 0; i < load->options.producers; i++) {
        struct load_producer *producer = &load->producers[i];
        load_link_close(&producer->link);
        bytes_done(&producer->message);
        free(producer->acked);
        free(producer->sent_ns);
    }
    for (unsigned i = 0; i < load->options.consumers; i++) {
        load_link_close(&load->consumers[i].link);
    }
    free(load->producers);
    free(load->consumers);
}

int main(int argc, char **argv)
{
    static struct load load;
    load_options_read(argc, argv, &load.options);
    queues_do(&load.options, true);
    clients_open(&load);
    run(&load);
    clients_close(&load);
    if (!load.options.keep) {
        queues_do(&load.options, false);
    }
    load_report(&load);
    bool lost = load.confirmed < load.published ||
                (load.options.consumers > 0 && load.options.producers > 0 && load.distinct < load.confirmed);
    load_check_done(&load);
    return lost ? 1 : 0;
}
