/* holdfast bench: many clients on one loop, what they measure, and what they check.
 *
 *   bench.c            the phases: preparing, running, draining, closing
 *   bench_options.c    the command line
 *   bench_cluster.c    queues, and where the clients connect
 *   bench_producer.c   publishing, with a window or to a schedule
 *   bench_consumer.c   consuming and settling
 *   bench_check.c      every message once, and in order
 *   bench_process.c    what processes cost
 *   bench_report.c     the table, JSON, and a line a second */

#ifndef HOLDFAST_OPS_BENCH_BENCH_H
#define HOLDFAST_OPS_BENCH_BENCH_H

#include "bench_check.h"
#include "bench_process.h"
#include "cli.h"
#include "histogram.h"
#include "proto/base/limits.h"

#define BENCH_CLIENTS_MAX 16384u
#define BENCH_QUEUES_MAX 10000u
#define BENCH_WINDOW_MAX 1000000u

enum bench_mode { BENCH_PUBLISH, BENCH_CONSUME, BENCH_BOTH, BENCH_LATENCY };

struct bench_options {
    enum bench_mode mode;
    const char *queue; /* NULL: one of a name of its own. */
    bool keep;
    uint64_t queues;
    uint64_t producers;
    uint64_t consumers;
    uint64_t size;
    uint64_t window;
    uint64_t batch; /* 0: what gathers. */
    uint64_t prefetch;
    uint64_t count;   /* Messages; 0: by time. */
    uint64_t seconds; /* 0: by count. */
    uint64_t rate;    /* Messages a second; 0: as fast as it goes. */
    bool spread;
    bool named;
    bool json;
    bool progress;
};

/* What one direction has measured. */
struct bench_side {
    uint64_t messages;
    uint64_t bytes;
    uint64_t last_ns;
    uint64_t gap_ns; /* The longest time between two. */
    struct histogram latency;
};

struct bench_producer;
struct bench_consumer;

struct bench {
    const struct cli *cli;
    struct bench_options options;
    struct bench_processes processes;
    uint64_t run;  /* Random: tells the messages of this run from others. */
    char name[64]; /* Of the queue, when it was not given. */
    char *servers; /* For the clients. */
    uv_loop_t loop;
    uv_check_t check;  /* After each turn: what the turn made possible is sent. */
    uv_timer_t tick;   /* What is due by its schedule, and who has paused. */
    uv_timer_t second; /* Progress, and the end. */
    uv_signal_t interrupt;
    uv_signal_t terminate;
    struct bench_producer *producers;
    struct bench_consumer *consumers;
    uint64_t producers_len;
    uint64_t consumers_len;
    uint8_t *scratch; /* Bodies of the command being made. */
    size_t scratch_messages;
    unsigned attached;    /* Clients that have been attached once. */
    uint64_t reconnected; /* Times that one was attached again. */
    unsigned subscribed;
    unsigned open; /* Sessions that are to be closed. */
    bool started;
    bool stopping; /* Nothing new is published. */
    unsigned interrupts;
    uint64_t start_ns;
    uint64_t stop_ns; /* When it is to stop; UINT64_MAX: by count. */
    uint64_t in_flight;
    uint64_t settling; /* Settlements without an answer. */
    struct bench_side in;
    struct bench_side out;
    uint64_t shown_in; /* In the last line of progress. */
    uint64_t shown_out;
    uint64_t shown_ns;
    struct bench_check checks;
    uint64_t repeated;
    uint64_t refused; /* Messages that the cluster refused: not done. */
    uint64_t unknown; /* Messages of which nobody knows. */
    uint64_t failed;  /* Other errors: settlements, subscriptions. */
    uint64_t stale;
    int err; /* The first error, and its line. */
    char detail[256];
    uint64_t cpu_ms; /* Of this process, during the run. */
};

static inline bool bench_produces(const struct bench *bench)
{
    return bench->options.mode != BENCH_CONSUME;
}

static inline bool bench_consumes(const struct bench *bench)
{
    return bench->options.mode != BENCH_PUBLISH;
}

/* Whether bodies carry who, which and when. */
static inline bool bench_marked(const struct bench *bench)
{
    return bench->options.size >= BENCH_MARK_LEN;
}

/* Notes an error; the first one is told at the end. */
void bench_note(struct bench *bench, int err, const char *detail);
/* Counts `messages` more with `bytes` together, at `now_ns`, and looks at the gap before them. */
void bench_side_count(struct bench_side *side, uint64_t now_ns, uint64_t messages, uint64_t bytes);
/* For hf_events: a client was attached. */
void bench_attached(struct bench *bench, bool first);

/* bench_options.c. Returns 0, -1 for help, or an exit code. */
int bench_options_read(struct bench *bench, struct cli *cli, int argc, char **argv);

/* bench_cluster.c. Each says what is wrong and returns an exit code, or 0. */
int bench_cluster_prepare(struct bench *bench);
int bench_cluster_clean(struct bench *bench);
void bench_queue_name(const struct bench *bench, uint64_t index, char ret_name[NAME_LEN_MAX + 1]);

/* bench_producer.c */
int bench_producers_open(struct bench *bench, const struct hf_options *options) NODISCARD;
/* Sends what may be sent. */
void bench_producers_fill(struct bench *bench);
/* Whether all that was to be published has been, and is answered. */
bool bench_producers_done(const struct bench *bench);
void bench_producers_close(struct bench *bench, client_reply_cb closed);
void bench_producers_free(struct bench *bench);

/* bench_consumer.c */
int bench_consumers_open(struct bench *bench, const struct hf_options *options) NODISCARD;
int bench_consumers_subscribe(struct bench *bench) NODISCARD;
/* Settles what has gathered. */
void bench_consumers_settle(struct bench *bench);
void bench_consumers_close(struct bench *bench, client_reply_cb closed);
void bench_consumers_free(struct bench *bench);

/* bench_report.c */
void bench_report_progress(struct bench *bench);
void bench_report_end(const struct bench *bench);

#endif
