/* A TCP stream of frames: life and deadlines. Reading, writing and connecting have files of their own, stream_*.c. */

#include "rpc/stream.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "proto/base/limits.h"
#include "rpc/stream_private.h"

static uint64_t stream_now(const struct stream *stream)
{
    return uv_now(stream->loop);
}

uint64_t stream_deadline(const struct stream *stream, uint64_t timeout_ms)
{
    uint64_t now = stream_now(stream);
    return timeout_ms > UINT64_MAX - now ? UINT64_MAX : now + timeout_ms;
}

/* ---- The end ---- */

void stream_fail(struct stream *stream, int err, const char *format, ...)
{
    if (stream->end_err != 0 || stream->state == STREAM_CLOSING) {
        return;
    }
    va_list args;
    va_start(args, format);
    (void)vsnprintf(stream->end_detail, sizeof stream->end_detail, format, args);
    va_end(args);
    stream->end_err = err;
    if (stream->state != STREAM_CONNECTING) {
        (void)uv_read_stop((uv_stream_t *)&stream->tcp);
    }
    stream_wake(stream);
}

/* Tells the owner, once. After stream_finish() nobody is left to tell: the stream closes by itself. */
void stream_report_end(struct stream *stream)
{
    if (stream->finishing) {
        stream_close(stream, NULL);
    } else if (!stream->end_reported) {
        stream->end_reported = true;
        stream->events.ended(stream->events.arg, stream->end_err, stream->end_detail);
    }
}

/* ---- Deadlines: one timer, set for the nearest; a deadline that has moved away since is found out when it fires ---- */

bool stream_hears(const struct stream *stream)
{
    return stream->state == STREAM_OPEN && !stream->held && !stream->starved && !stream->finishing &&
           stream->end_err == 0;
}

static uint64_t nearest_deadline(const struct stream *stream)
{
    if (stream->finishing) {
        return stream->linger_deadline_ms;
    }
    uint64_t nearest = stream->grant_deadline_ms;
    if (stream->state == STREAM_CONNECTING) {
        nearest = stream->connect_deadline_ms;
    }
    if (stream->state == STREAM_OPEN && !stream->established && stream->handshake_deadline_ms < nearest) {
        nearest = stream->handshake_deadline_ms;
    }
    if (stream_hears(stream) && stream->established && stream->idle_deadline_ms < nearest) {
        nearest = stream->idle_deadline_ms;
    }
    if (stream_hears(stream) && stream->frame_begun) {
        uint64_t frame =
            stream->frame_deadline_ms < stream->look_deadline_ms ? stream->frame_deadline_ms : stream->look_deadline_ms;
        nearest = frame < nearest ? frame : nearest;
    }
    if (stream->state == STREAM_OPEN && stream->holds_share && stream->take_deadline_ms < nearest) {
        nearest = stream->take_deadline_ms;
    }
    if (stream->state == STREAM_OPEN && stream->vanish_deadline_ms < nearest) {
        nearest = stream->vanish_deadline_ms;
    }
    if (stream->state == STREAM_OPEN && stream->queue.len > 0 && stream->stall_deadline_ms < nearest) {
        nearest = stream->stall_deadline_ms;
    }
    return nearest;
}

static void on_timer(uv_timer_t *timer);

void stream_arm(struct stream *stream)
{
    if (stream->state == STREAM_CLOSING || (stream->end_err != 0 && !stream->finishing)) {
        return;
    }
    uint64_t nearest = nearest_deadline(stream);
    if (nearest >= stream->armed_ms) {
        return; /* The timer comes earlier, and looks again then. */
    }
    uint64_t now = stream_now(stream);
    stream->armed_ms = nearest;
    int err = uv_timer_start(&stream->timer, on_timer, nearest > now ? nearest - now : 0, 0);
    CHECK(err == 0);
}

/* A write that libuv has in hand shows its progress in the bytes that it still holds. */
static void stall_check(struct stream *stream)
{
    size_t left = uv_stream_get_write_queue_size((uv_stream_t *)&stream->tcp);
    if (stream->writing && left != stream->writing_left) {
        stream->writing_left = left;
        stream->stall_deadline_ms = stream_deadline(stream, stream->options.stall_timeout_ms);
    }
}

/* Fails the stream with what the deadline was about. */
static void deadline_passed(struct stream *stream, uint64_t now)
{
    const char *what = "nothing heard from the peer";
    size_t len;
    if (stream->state != STREAM_OPEN) {
        what = "no answer to the connection attempt";
    } else if (stream->queue.len > 0 && stream->stall_deadline_ms <= now) {
        what = "the peer takes no data";
    } else if (!stream->established && stream->handshake_deadline_ms <= now) {
        what = "the handshake took too long";
    } else if (stream->frame_begun && stream->frame_deadline_ms <= now) {
        (void)frame_reader_begun(&stream->reader, &len);
        stream_fail(stream, ERR_TIMEOUT, "a frame of %zu bytes was begun %llu s ago and is not complete", len,
                    (unsigned long long)(now - stream->frame_began_ms) / 1000);
        return;
    }
    stream_fail(stream, ERR_TIMEOUT, "%s", what);
}

static void on_timer(uv_timer_t *timer)
{
    struct stream *stream = container_of(timer, struct stream, timer);
    uint64_t now = stream_now(stream);
    stream->armed_ms = UINT64_MAX;
    if (stream->finishing && stream->linger_deadline_ms <= now) {
        stream_close(stream, NULL);
        return;
    }
    if (stream->end_err != 0 && !stream->finishing) {
        return;
    }
    if (!stream->finishing) {
        stall_check(stream);
        stream_vanish_check(stream, now);
        stream_frame_look(stream, now);
        stream_take_look(stream, now);
        stream_grant_check(stream, now);
    }
    if ((stream->finishing || stream->end_err == 0) && nearest_deadline(stream) > now) {
        stream_arm(stream);
        return;
    }
    deadline_passed(stream, now); /* Does nothing when it has failed already. */
    stream_report_end(stream);
}

void stream_established(struct stream *stream)
{
    stream->established = true;
    frame_reader_set_len_max(&stream->reader, stream->options.frame_len_max);
    stream_set_idle_timeout(stream, stream->options.idle_timeout_ms);
}

void stream_set_frame_len_max(struct stream *stream, size_t frame_len_max)
{
    CHECK(!stream->established);
    stream->options.frame_len_max = frame_len_max;
}

void stream_set_idle_timeout(struct stream *stream, uint64_t idle_timeout_ms)
{
    stream->options.idle_timeout_ms = idle_timeout_ms;
    stream->idle_deadline_ms = stream_deadline(stream, idle_timeout_ms);
    stream_arm(stream);
}

/* ---- The end of a turn ---- */

/* What was put off to the loop. An idle handle keeps the loop from waiting for events meanwhile. */
static void on_turn(uv_idle_t *idle)
{
    struct stream *stream = container_of(idle, struct stream, idle);
    (void)uv_idle_stop(idle);
    if (stream->end_err != 0 && !stream->end_reported && !stream->finishing) {
        stream_report_end(stream);
    }
    if (stream->resuming && stream_hears(stream)) {
        stream_read_resume(stream);
    }
    if (stream->state == STREAM_OPEN) {
        stream_flush(stream);
        stream_congestion_check(stream);
    }
    stream_finish_step(stream);
}

void stream_wake(struct stream *stream)
{
    if (stream->state != STREAM_CLOSING) {
        (void)uv_idle_start(&stream->idle, on_turn);
    }
}

/* ---- Life ---- */

static uint64_t or_default(uint64_t value, uint64_t otherwise)
{
    return value != 0 ? value : otherwise;
}

static void options_fill(struct stream_options *options)
{
    options->connect_timeout_ms = or_default(options->connect_timeout_ms, 5000);
    options->handshake_timeout_ms = or_default(options->handshake_timeout_ms, 10000);
    options->idle_timeout_ms = or_default(options->idle_timeout_ms, UINT64_MAX);
    options->stall_timeout_ms = or_default(options->stall_timeout_ms, 30000);
    options->frame_timeout_ms = or_default(options->frame_timeout_ms, UINT64_MAX);
    options->vanished_timeout_ms = or_default(options->vanished_timeout_ms, UINT64_MAX);
    options->linger_ms = or_default(options->linger_ms, 2000);
    options->queue_low = (size_t)or_default(options->queue_low, 256 * KIB);
    options->queue_high = (size_t)or_default(options->queue_high, MIB);
    options->queue_max = (size_t)or_default(options->queue_max, 64 * MIB);
    options->frame_len_max = (size_t)or_default(options->frame_len_max, FRAME_HEADER_LEN_MAX + FRAME_BODY_LEN_MAX);
    options->handshake_len_max = (size_t)or_default(options->handshake_len_max, STREAM_HANDSHAKE_FRAME_LEN_MAX);
    options->framing = options->framing != NULL ? options->framing : &framing_native;
}

int stream_new(uv_loop_t *loop, const struct stream_options *options, const struct stream_events *events,
               struct stream **ret_stream)
{
    struct stream *stream = fault_fires(FAULT_ALLOCATION) ? NULL : calloc(1, sizeof *stream);
    if (stream == NULL) {
        return ERR_NOMEM;
    }
    stream->loop = loop;
    if (options != NULL) {
        stream->options = *options;
    }
    options_fill(&stream->options);
    CHECK(stream->options.queue_low <= stream->options.queue_high);
    stream->events = *events;
    stream->armed_ms = UINT64_MAX;
    stream->vanish_deadline_ms = UINT64_MAX;
    stream->grant_deadline_ms = UINT64_MAX;
    size_t handshake_max = stream->options.handshake_len_max;
    size_t len_max = stream->options.frame_len_max;
    frame_reader_init(&stream->reader, stream->options.framing, len_max < handshake_max ? len_max : handshake_max);
    frame_reader_share(&stream->reader, stream->options.receive_budget, stream_memory_granted);
    memory_claim_init(&stream->send_claim, stream->options.send_budget, stream_send_granted);
    if (uv_tcp_init(loop, &stream->tcp) != 0) {
        free(stream);
        return ERR_SYSTEM;
    }
    (void)uv_timer_init(loop, &stream->timer); /* These two cannot fail (libuv 1.44, timer.c and loop-watcher.c). */
    (void)uv_idle_init(loop, &stream->idle);
    stream->pending = 3;
    *ret_stream = stream;
    return 0;
}

int stream_opened(struct stream *stream)
{
    stream_socket_prepare(stream);
    struct sockaddr_storage peer;
    int peer_len = sizeof peer;
    char host[64];
    if (uv_tcp_getpeername(&stream->tcp, (struct sockaddr *)&peer, &peer_len) == 0 &&
        uv_ip_name((const struct sockaddr *)&peer, host, sizeof host) == 0) {
        bool v6 = peer.ss_family == AF_INET6;
        uint16_t port = v6 ? ((const struct sockaddr_in6 *)(const void *)&peer)->sin6_port
                           : ((const struct sockaddr_in *)(const void *)&peer)->sin_port;
        (void)snprintf(stream->peer_name, sizeof stream->peer_name, v6 ? "[%s]:%u" : "%s:%u", host,
                       (unsigned)ntohs(port));
    }
    stream->state = STREAM_OPEN;
    stream->handshake_deadline_ms = stream_deadline(stream, stream->options.handshake_timeout_ms);
    stream->stall_deadline_ms = stream_deadline(stream, stream->options.stall_timeout_ms);
    stream_arm(stream);
    stream_wake(stream);
    return stream->held || stream->finishing ? 0 : stream_read_start(stream);
}

int stream_accept(struct stream *stream, uv_tcp_t *listener)
{
    CHECK(stream->state == STREAM_NEW);
    if (uv_accept((uv_stream_t *)listener, (uv_stream_t *)&stream->tcp) != 0) {
        return ERR_SYSTEM;
    }
    return stream_opened(stream) == 0 ? 0 : ERR_SYSTEM;
}

const char *stream_peer_name(const struct stream *stream)
{
    return stream->peer_name;
}

void stream_release(struct stream *stream)
{
    CHECK(stream->pending > 0);
    if (--stream->pending > 0) {
        return;
    }
    frame_reader_done(&stream->reader);
    frame_queue_done(&stream->queue);
    stream->admitted = 0;
    stream_account(stream);
    stream_connect_done(stream);
    if (stream->close_cb != NULL) {
        stream->close_cb(stream->events.arg);
    }
    free(stream);
}

static void on_tcp_closed(uv_handle_t *handle)
{
    stream_release(container_of((uv_tcp_t *)(void *)handle, struct stream, tcp));
}

static void on_timer_closed(uv_handle_t *handle)
{
    stream_release(container_of((uv_timer_t *)(void *)handle, struct stream, timer));
}

static void on_idle_closed(uv_handle_t *handle)
{
    stream_release(container_of((uv_idle_t *)(void *)handle, struct stream, idle));
}

void stream_close(struct stream *stream, stream_close_cb cb)
{
    if (cb != NULL) {
        stream->close_cb = cb;
    }
    if (stream->state == STREAM_CLOSING) {
        return;
    }
    stream->state = STREAM_CLOSING;
    stream_send_claim_drop(stream);
    stream_connect_cancel(stream);
    if (!uv_is_closing((uv_handle_t *)&stream->tcp)) {
        uv_close((uv_handle_t *)&stream->tcp, on_tcp_closed);
    }
    uv_close((uv_handle_t *)&stream->timer, on_timer_closed);
    uv_close((uv_handle_t *)&stream->idle, on_idle_closed);
}

void stream_finish(struct stream *stream, stream_close_cb cb)
{
    if (stream->state != STREAM_OPEN || stream->write_broken) {
        stream_close(stream, cb);
        return;
    }
    stream->close_cb = cb;
    stream->finishing = true;
    stream_send_claim_drop(stream);
    frame_reader_done(&stream->reader); /* What has begun to arrive is not waited for. */
    stream->linger_deadline_ms = stream_deadline(stream, stream->options.linger_ms);
    if (stream->end_err != ERR_CLOSED && stream_read_start(stream) != 0) {
        stream->end_err = ERR_CLOSED;
    }
    stream_arm(stream);
    stream_wake(stream);
}
