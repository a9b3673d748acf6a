/* holdfast-amqp-load: the same load on any broker that speaks AMQP 0-9-1, to compare them.
 *
 *   load.c           the phases: declaring, running, draining, closing
 *   load_options.c   the command line
 *   load_link.c      a connection with one channel: its socket, its handshake, its frames
 *   load_producer.c  publishing with confirms, with a window or to a schedule
 *   load_consumer.c  consuming, acknowledging 32 at a time
 *   load_check.c     every message once
 *   load_report.c    the table, or JSON
 *
 * One thread. What goes wrong ends the program with a line that says what and where. */

#ifndef HOLDFAST_OPS_AMQP_LOAD_LOAD_H
#define HOLDFAST_OPS_AMQP_LOAD_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/histogram.h"
#include "proto/base/bytes.h"
#include "rpc/amqp/amqp_frame.h"

#define LOAD_CLIENTS_MAX 1024u
#define LOAD_SERVERS_MAX 16u
#define LOAD_QUEUES_MAX 10000u
#define LOAD_ACK_EVERY 32u

/* A body begins with who sent it, which of its messages it is, and when. */
#define LOAD_STAMP_LEN 24u

struct load_options {
    char *servers[LOAD_SERVERS_MAX]; /* host:port; all clients are at the first one, unless `spread`. */
    unsigned servers_len;
    const char *queue;
    unsigned queues; /* NAME, or NAME-0 and so on when there are several. */
    unsigned producers;
    unsigned consumers;
    unsigned window;   /* Unconfirmed messages of a producer. */
    unsigned prefetch; /* Unacknowledged messages of a consumer. */
    uint64_t size;     /* Of a body, in bytes. */
    uint64_t count;    /* Messages of all producers, or for all consumers; 0: by time. */
    uint64_t seconds;
    uint64_t rate; /* Messages a second of all producers; 0: as fast as it goes. */
    bool spread;
    bool quorum; /* The queue is declared with x-queue-type: quorum. */
    bool keep;   /* The queue is not deleted in the end. */
    bool json;
};

/* Ends the program when they make no sense. */
void load_options_read(int argc, char **argv, struct load_options *ret_options);

/* Says it, and ends the program with 1. */
__attribute__((format(printf, 1, 2), noreturn)) void load_fail(const char *format, ...);
uint64_t load_now_ns(void);

/* ---- A connection ---- */

struct load_frame {
    uint8_t type;
    uint16_t channel;
    struct amqp_bytes payload;
};

struct load_link {
    int fd;
    const char *server;
    uint32_t frame_max;
    struct bytes in;
    size_t in_at;
    struct bytes out;
    size_t out_at;
};

/* Connects as guest, and opens channel 1. */
void load_link_open(struct load_link *link, const char *server);
/* From here on nothing waits: read and write are as far as it goes. */
void load_link_unblock(struct load_link *link);
/* Sends a method on channel 1 and waits for this one; what else comes is dropped. */
union amqp_method load_link_call(struct load_link *link, const union amqp_method *method, uint32_t answer);
void load_link_send(struct load_link *link, const union amqp_method *method);
/* Reads what is there. False: nothing was. */
bool load_link_read(struct load_link *link);
/* The next whole frame of what was read; it is valid until the next read. */
bool load_link_next(struct load_link *link, struct load_frame *ret_frame);
/* A method frame, decoded. Close of either kind ends the program. */
union amqp_method load_link_method(const struct load_link *link, const struct load_frame *frame);
/* Writes as far as the socket takes it. True: something is left. */
bool load_link_write(struct load_link *link);
void load_link_close(struct load_link *link);

/* ---- Clients ---- */

struct load;

struct load_producer {
    struct load *load;
    struct load_link link;
    unsigned id;
    struct bytes message; /* All frames of one, as they go out. */
    size_t stamp_at;      /* In it. */
    uint64_t published;
    uint64_t confirmed; /* All up to this one; */
    bool *acked;        /* and these, by number modulo the window. */
    uint64_t *sent_ns;  /* Likewise. */
    uint64_t due;       /* Of a schedule: so many are to be published by now. */
};

void load_producer_open(struct load_producer *producer, struct load *load, unsigned id);
/* Publishes what may go out now. */
void load_producer_publish(struct load_producer *producer, uint64_t now_ns);
void load_producer_read(struct load_producer *producer);

struct load_consumer {
    struct load *load;
    struct load_link link;
    uint64_t delivered;
    uint64_t unacked;
    uint64_t tag;     /* The last. */
    bool stamp_comes; /* The next body frame begins with a stamp. */
};

void load_consumer_open(struct load_consumer *consumer, struct load *load, unsigned id);
void load_consumer_read(struct load_consumer *consumer);
/* Acknowledges what is not yet. */
void load_consumer_finish(struct load_consumer *consumer);

/* ---- What is measured and checked ---- */

struct load_seen {
    uint8_t *bits; /* Of one producer: a bit for each of its messages that came. */
    uint64_t cap;
};

struct load {
    struct load_options options;
    struct load_producer *producers;
    struct load_consumer *consumers;
    uint64_t start_ns;
    uint64_t end_ns; /* Of publishing, or of consuming when nothing is published. */
    bool publishing;
    uint64_t published;
    uint64_t confirmed;
    uint64_t refused; /* Nack. */
    uint64_t delivered;
    uint64_t confirmed_in_time; /* Before end_ns. */
    uint64_t delivered_in_time;
    uint64_t repeated; /* Came more than once. */
    uint64_t distinct;
    uint64_t gap_ns;           /* The longest time without a confirm. */
    uint64_t last_ns;          /* Of the last confirm. */
    struct histogram confirm;  /* ns, from publishing to the confirm; */
    struct histogram delivery; /* to the delivery. */
    struct load_seen seen[LOAD_CLIENTS_MAX];
};

void load_check_seen(struct load *load, uint64_t producer, uint64_t number);
void load_check_done(struct load *load);
void load_queue_name(const struct load_options *options, unsigned n, char *name, size_t name_len);
void load_report(const struct load *load);

#endif
