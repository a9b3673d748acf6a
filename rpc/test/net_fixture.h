/* What tests on real loopback sockets share: running a loop until something is so, two ends of a stream, raw sockets. */

#ifndef HOLDFAST_RPC_TEST_NET_FIXTURE_H
#define HOLDFAST_RPC_TEST_NET_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "proto/base/bytes.h"
#include "proto/base/journal.h"
#include "proto/wire/frame.h"
#include "rpc/listener.h"
#include "rpc/stream.h"

/* Runs the loop until the condition holds or the time is over; returns the condition. */
bool loop_until(uv_loop_t *loop, bool (*condition)(void *arg), void *arg, uint64_t timeout_ms);
/* Runs the loop for a while. */
void loop_for(uv_loop_t *loop, uint64_t ms);
/* Makes a loop; SIGPIPE is ignored from here on. */
void loop_open(uv_loop_t *loop);
/* Closes it; what still keeps it open fails the test. */
void loop_close(uv_loop_t *loop);

/* One end of a stream, which notes what happens. */
struct end {
    struct stream *stream; /* NULL: not opened, or closed. */
    unsigned frames;
    uint64_t bytes; /* Of headers and bodies. */
    uint64_t hash;  /* Chained over everything received, in order. */
    uint8_t last_type;
    struct bytes last; /* Header and body of the last frame. */
    bool connected;
    bool congested;
    unsigned congested_count;
    int ended; /* The error, 0: not yet. */
    char detail[200];
    bool closed;
    bool hold_each;      /* Holds after every frame. */
    bool close_on_frame; /* Closes from within the callback. */
};

void end_done(struct end *end);

/* Two ends, connected over loopback. */
struct pair {
    uv_loop_t loop;
    struct listener *listener;
    struct stream_options accept_options;
    struct end a; /* Connects. */
    struct end b; /* Accepts. */
};

void pair_open(struct pair *pair, const struct stream_options *a, const struct stream_options *b);
/* Only the listener: for a raw client. */
void pair_listen(struct pair *pair, const struct stream_options *b);
void pair_close(struct pair *pair);
struct stream_events end_events(struct end *end);
bool end_has_ended(void *end);
bool end_is_open(void *end);
bool end_has_closed(void *end);
bool end_has_frame(void *end);

/* A frame with `header_len` and `body_len` bytes made from `seed`, its body in `parts` parts. */
struct frame_out test_frame(uint8_t type, size_t header_len, size_t body_len, unsigned parts, uint64_t seed);
/* The same bytes without the prefix, chained into a hash as struct end does. */
uint64_t test_frame_hash(uint64_t hash, size_t header_len, size_t body_len, uint64_t seed);
/* The whole frame in one buffer. */
void frame_flatten(struct frame_out *frame, struct bytes *out);

/* A plain socket connected to 127.0.0.1:port. */
int raw_connect(uint16_t port);
void raw_write(int fd, const void *data, size_t len);
/* TCP segments with data that have arrived on it. */
unsigned raw_segments(int fd);

/* A journal that keeps its lines. */
struct test_journal {
    struct journal base;
    char text[16384];
    size_t len;
};
void test_journal_init(struct test_journal *journal);
unsigned test_journal_count(const struct test_journal *journal, const char *part);

#endif
