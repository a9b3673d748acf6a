/* Fixtures on loopback sockets. */

#include "net_fixture.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xxhash.h>

#include "proto/base/check.h"

struct alarm {
    uv_timer_t timer;
    bool over;
    bool closed;
};

static void on_wake(uv_timer_t *timer)
{
    ((struct alarm *)timer->data)->over = true;
}

static void on_alarm_closed(uv_handle_t *handle)
{
    ((struct alarm *)handle->data)->closed = true;
}

bool loop_until(uv_loop_t *loop, bool (*condition)(void *arg), void *arg, uint64_t timeout_ms)
{
    struct alarm alarm = {0};
    uv_timer_init(loop, &alarm.timer);
    alarm.timer.data = &alarm;
    uv_update_time(loop);
    uv_timer_start(&alarm.timer, on_wake, timeout_ms, 0);
    while (!condition(arg) && !alarm.over) {
        uv_run(loop, UV_RUN_ONCE);
    }
    bool result = condition(arg);
    uv_close((uv_handle_t *)&alarm.timer, on_alarm_closed);
    while (!alarm.closed) {
        uv_run(loop, UV_RUN_NOWAIT); /* The timer is on this stack: it must be out of the loop. */
    }
    return result;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

void loop_for(uv_loop_t *loop, uint64_t ms)
{
    (void)loop_until(loop, never, NULL, ms);
}

void loop_open(uv_loop_t *loop)
{
    signal(SIGPIPE, SIG_IGN);
    cr_assert_eq(uv_loop_init(loop), 0);
}

void loop_close(uv_loop_t *loop)
{
    int rc = UV_EBUSY;
    for (int i = 0; i < 1000 && rc == UV_EBUSY; i++) {
        uv_run(loop, UV_RUN_NOWAIT);
        rc = uv_loop_close(loop);
    }
    cr_assert_eq(rc, 0, "something is still open");
}

static void on_end_closed(void *arg)
{
    struct end *end = arg;
    end->stream = NULL;
    end->closed = true;
}

static void on_connected(void *arg)
{
    struct end *end = arg;
    end->connected = true;
}

static void on_frame(void *arg, struct frame *frame)
{
    struct end *end = arg;
    cr_assert_null(end->closed ? end : NULL, "a frame after the close");
    end->frames++;
    end->bytes += frame->header.len + frame->body.len;
    end->hash = XXH3_64bits_withSeed(frame->header.data, frame->header.len + frame->body.len, end->hash);
    end->last_type = frame->type;
    end->last.len = 0;
    cr_assert_eq(bytes_append(&end->last, frame->header.data, frame->header.len + frame->body.len), 0);
    slice_unref(&frame->header);
    if (end->hold_each) {
        stream_hold(end->stream, true);
    }
    if (end->close_on_frame) {
        stream_close(end->stream, on_end_closed);
    }
}

static void on_congested(void *arg, bool congested)
{
    struct end *end = arg;
    end->congested = congested;
    end->congested_count++;
}

static void on_ended(void *arg, int err, const char *detail)
{
    struct end *end = arg;
    cr_assert_eq(end->ended, 0, "ended twice");
    end->ended = err;
    snprintf(end->detail, sizeof end->detail, "%s", detail);
}

struct stream_events end_events(struct end *end)
{
    return (struct stream_events){
        .arg = end, .connected = on_connected, .frame = on_frame, .congested = on_congested, .ended = on_ended};
}

void end_done(struct end *end)
{
    bytes_done(&end->last);
}

bool end_has_ended(void *end)
{
    return ((struct end *)end)->ended != 0;
}

bool end_is_open(void *end)
{
    return ((struct end *)end)->connected;
}

bool end_has_closed(void *end)
{
    return ((struct end *)end)->closed;
}

bool end_has_frame(void *end)
{
    return ((struct end *)end)->frames > 0;
}

static void on_connection(void *arg, uv_tcp_t *tcp)
{
    struct pair *pair = arg;
    struct stream_events events = end_events(&pair->b);
    cr_assert_eq(stream_new(&pair->loop, &pair->accept_options, &events, &pair->b.stream), 0);
    cr_assert_eq(stream_accept(pair->b.stream, tcp), 0);
    pair->b.connected = true;
}

static void on_listen_failed(void *arg, const char *detail)
{
    (void)arg;
    cr_assert_fail("%s", detail);
}

void pair_listen(struct pair *pair, const struct stream_options *b)
{
    *pair = (struct pair){0};
    if (b != NULL) {
        pair->accept_options = *b;
    }
    loop_open(&pair->loop);
    struct listener_events events = {.arg = pair, .connection = on_connection, .failed = on_listen_failed};
    char detail[200];
    cr_assert_eq(listener_open(&pair->loop, "127.0.0.1:0", &events, &pair->listener, detail, sizeof detail), 0, "%s",
                 detail);
}

static bool both_open(void *arg)
{
    struct pair *pair = arg;
    return pair->a.connected && pair->b.connected;
}

void pair_open(struct pair *pair, const struct stream_options *a, const struct stream_options *b)
{
    pair_listen(pair, b);
    struct stream_events events = end_events(&pair->a);
    cr_assert_eq(stream_new(&pair->loop, a, &events, &pair->a.stream), 0);
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%u", listener_port(pair->listener));
    cr_assert_eq(stream_connect(pair->a.stream, address), 0);
    cr_assert(loop_until(&pair->loop, both_open, pair, 20000));
}

void pair_close(struct pair *pair)
{
    listener_close(pair->listener);
    if (pair->a.stream != NULL) {
        stream_close(pair->a.stream, on_end_closed);
    }
    if (pair->b.stream != NULL) {
        stream_close(pair->b.stream, on_end_closed);
    }
    loop_close(&pair->loop);
    end_done(&pair->a);
    end_done(&pair->b);
}

static void fill(uint8_t *data, size_t len, uint64_t seed)
{
    uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (size_t i = 0; i < len; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        data[i] = (uint8_t)x;
    }
}

struct frame_out test_frame(uint8_t type, size_t header_len, size_t body_len, unsigned parts, uint64_t seed)
{
    struct blob *all = blob_new(header_len + body_len);
    cr_assert_not_null(all);
    fill(all->data, header_len + body_len, seed);
    struct frame_out frame = {.len = FRAME_PREFIX_LEN + header_len + body_len, .parts_len = parts};
    frame.head = blob_new(FRAME_PREFIX_LEN + header_len);
    cr_assert_not_null(frame.head);
    frame_prefix_encode(
        &(struct frame_prefix){.type = type, .header_len = (uint32_t)header_len, .body_len = (uint32_t)body_len},
        frame.head->data);
    memcpy(frame.head->data + FRAME_PREFIX_LEN, all->data, header_len);
    frame.parts = parts > 0 ? calloc(parts, sizeof *frame.parts) : NULL;
    size_t offset = header_len;
    for (unsigned i = 0; i < parts; i++) {
        size_t len = i + 1 == parts ? header_len + body_len - offset : body_len / parts;
        frame.parts[i] = slice_ref(slice_part(slice_of_blob(all), offset, len));
        offset += len;
    }
    blob_unref(all);
    return frame;
}

uint64_t test_frame_hash(uint64_t hash, size_t header_len, size_t body_len, uint64_t seed)
{
    uint8_t *data = malloc(header_len + body_len + 1);
    cr_assert_not_null(data);
    fill(data, header_len + body_len, seed);
    hash = XXH3_64bits_withSeed(data, header_len + body_len, hash);
    free(data);
    return hash;
}

void frame_flatten(struct frame_out *frame, struct bytes *out)
{
    cr_assert_eq(bytes_append(out, frame->head->data, frame->head->len), 0);
    for (unsigned i = 0; i < frame->parts_len; i++) {
        cr_assert_eq(bytes_append(out, frame->parts[i].data, frame->parts[i].len), 0);
    }
    frame_out_done(frame);
}

int raw_connect(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cr_assert_eq(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

void raw_write(int fd, const void *data, size_t len)
{
    cr_assert_eq(write(fd, data, len), (ssize_t)len);
}

static void on_journal(struct journal *journal, enum journal_level level, const char *subject, const char *text)
{
    (void)level;
    struct test_journal *self = container_of(journal, struct test_journal, base);
    int n = snprintf(self->text + self->len, sizeof self->text - self->len, "%s: %s\n", subject, text);
    if (n > 0 && (size_t)n < sizeof self->text - self->len) {
        self->len += (size_t)n;
    }
}

void test_journal_init(struct test_journal *journal)
{
    *journal = (struct test_journal){.base = {.level = JOURNAL_INFO, .write = on_journal}};
}

unsigned test_journal_count(const struct test_journal *journal, const char *part)
{
    unsigned count = 0;
    for (const char *at = journal->text; (at = strstr(at, part)) != NULL; at++) {
        count++;
    }
    return count;
}
