/* The connection that a node dials to another and sends on. */

#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/wire/native.pb-c.h"
#include "rpc/native/native_frame.h"
#include "rpc/peer/peer_private.h"

#define BACKOFF_MS_MIN 50u
#define BACKOFF_MS_MAX 1000u

/* Refusals in a row, for another process that runs under our name, until the host is told: what an earlier process left in its
 * machine's queues may be taken for a sign of its life once. */
#define DOUBTED_MAX 3u

/* Above all numbers of errors (proto/base/err.h), of later versions too. */
#define ERROR_NUMBER_MAX 1000u

/* xorshift64 (Marsaglia 2003): good enough to keep nodes from dialling in step. */
static uint64_t random_next(struct peer_links *links)
{
    links->random ^= links->random << 13;
    links->random ^= links->random >> 7;
    links->random ^= links->random << 17;
    return links->random;
}

static void on_out_closed(void *arg)
{
    peer_release(arg);
}

/* Gives the connection up and dials again later. */
static void dial_lost(struct peer *peer, const char *why)
{
    struct peer_links *links = peer->links;
    bool was_ready = peer->state == DIAL_READY;
    char text[PEER_COMPLAINT_LEN_MAX];
    (void)snprintf(text, sizeof text, "node %llu at %s: %s%s", (unsigned long long)peer->id, peer->address,
                   was_ready ? "connection lost: " : "", why);
    if (peer->out != NULL) {
        stream_close(peer->out, on_out_closed);
        peer->out = NULL;
    }
    peer->state = DIAL_WAITING;
    if (was_ready && uv_now(links->options.loop) - peer->ready_since_ms >= PEER_GOOD_MS) {
        peer->backoff_ms = 0; /* It was a good one: the next attempt begins with the shortest wait again. */
        peer->complaint[0] = '\0';
    }
    peer_complain(links, peer->complaint, text);
    if (peer->backoff_ms == 0) {
        peer->backoff_ms = BACKOFF_MS_MIN;
    } else if (peer->backoff_ms < BACKOFF_MS_MAX) {
        peer->backoff_ms = peer->backoff_ms * 2 < BACKOFF_MS_MAX ? peer->backoff_ms * 2 : BACKOFF_MS_MAX;
    }
    peer_dial_start(peer);
    if (was_ready && links->options.changed != NULL) {
        links->options.changed(links->options.arg, peer->id, false, peer->client_address);
    }
}

static void on_connected(void *arg)
{
    struct peer *peer = arg;
    struct frame_out hello;
    int err = peer_links_hello(peer->links, peer->id, false, &hello);
    if (err == 0) {
        err = stream_send(peer->out, &hello);
    }
    if (err != 0) {
        dial_lost(peer, err_text(err));
        return;
    }
    peer->state = DIAL_GREETING;
}

int peer_goodbye_decode(struct peer_links *links, const struct frame *frame, char text[PEER_COMPLAINT_LEN_MAX])
{
    ProtobufCMessage *base;
    if (native_frame_decode(frame, &holdfast__goodbye__descriptor, &links->arena, &base) != 0) {
        (void)snprintf(text, PEER_COMPLAINT_LEN_MAX, "it refused us, for a reason that cannot be decoded");
        return ERR_BROKEN;
    }
    const Holdfast__Goodbye *goodbye = (const void *)base;
    const char *detail = goodbye->detail;
    /* What another process says goes into the journal as text only. */
    bool readable = name_check(detail, strnlen(detail, NAME_LEN_MAX)) == 0;
    (void)snprintf(text, PEER_COMPLAINT_LEN_MAX, "it refused us: %.255s", readable ? detail : "(unreadable)");
    return goodbye->error > 0 && goodbye->error < ERROR_NUMBER_MAX ? -(int)goodbye->error : ERR_BROKEN;
}

void peer_refused(struct peer *peer, int err, const char *text)
{
    const struct peer_links_options *options = &peer->links->options;
    if (err == ERR_LOCKED && ++peer->doubted < DOUBTED_MAX) {
        return;
    }
    /* What was told before this may have made the host close the links, or remove the member. */
    if (options->refused != NULL && !peer->links->closing && !peer->removed) {
        options->refused(options->arg, peer->id, err, text);
    }
}

int peer_answer_check(struct peer *peer, bool bulk, const struct frame *frame, struct peer_hello *ret_hello,
                      char *detail, size_t detail_len)
{
    struct peer_links *links = peer->links;
    struct peer_hello hello;
    struct peer *from;
    int err = peer_hello_decode(frame, &links->arena, &hello);
    if (err != 0) {
        (void)snprintf(detail, detail_len, "its hello cannot be decoded");
        return err;
    }
    err = peer_hello_check(links, &hello, &from, detail, detail_len);
    if (err != 0) {
        return err;
    }
    if (from != peer) {
        (void)snprintf(detail, detail_len, "node %llu answers there", (unsigned long long)hello.node);
        return ERR_FOREIGN;
    }
    if (hello.bulk != bulk) {
        (void)snprintf(detail, detail_len, "it takes the connection for one of another kind");
        return ERR_VERSION;
    }
    if (peer_run_is_past(peer, hello.run)) {
        (void)snprintf(detail, detail_len, "a process of node %llu that had given way to another answers there",
                       (unsigned long long)hello.node);
        return ERR_REFUSED;
    }
    const struct peer_identity identity = {
        .node = hello.node, .incarnation = hello.incarnation, .history = hello.history, .founding = hello.founding};
    err = peer_identity_check(links, &identity, detail, detail_len);
    if (err != 0) {
        return err;
    }
    *ret_hello = hello;
    return 0;
}

/* The answer to our hello. */
static void take_hello(struct peer *peer, const struct frame *frame)
{
    struct peer_links *links = peer->links;
    struct peer_hello hello;
    char detail[PEER_COMPLAINT_LEN_MAX - 100];
    if (peer_answer_check(peer, false, frame, &hello, detail, sizeof detail) != 0) {
        dial_lost(peer, detail);
        return;
    }
    (void)snprintf(peer->client_address, sizeof peer->client_address, "%s", hello.client_address);
    peer->state = DIAL_READY;
    peer->ready_since_ms = uv_now(links->options.loop);
    peer->doubted = 0;
    stream_established(peer->out);
    journal_info(links->options.journal, "peer", "node %llu at %s: connected", (unsigned long long)peer->id,
                 peer->address);
    if (links->options.changed != NULL) {
        links->options.changed(links->options.arg, peer->id, true, peer->client_address);
    }
}

static void on_frame(void *arg, struct frame *frame)
{
    struct peer *peer = arg;
    arena_reset(&peer->links->arena);
    if (frame->type == FRAME_GOODBYE) {
        char text[PEER_COMPLAINT_LEN_MAX];
        int err = peer_goodbye_decode(peer->links, frame, text);
        dial_lost(peer, text);
        peer_refused(peer, err, text);
    } else if (peer->state == DIAL_GREETING) {
        take_hello(peer, frame);
    } else {
        dial_lost(peer, "it sent a frame on a connection that it only reads");
    }
    slice_unref(&frame->header);
}

static void on_ended(void *arg, int err, const char *detail)
{
    struct peer *peer = arg;
    (void)err;
    dial_lost(peer, detail);
}

static void dial_now(uv_timer_t *timer)
{
    struct peer *peer = container_of(timer, struct peer, timer);
    struct peer_links *links = peer->links;
    struct stream_options options = peer_stream_options(links);
    struct stream_events events = {.arg = peer, .connected = on_connected, .frame = on_frame, .ended = on_ended};
    int err = stream_new(links->options.loop, &options, &events, &peer->out);
    if (err == 0) {
        peer_opened(peer);
        peer->state = DIAL_CONNECTING;
        err = stream_connect(peer->out, peer->address);
    }
    if (err != 0) {
        dial_lost(peer, err_text(err));
    }
}

void peer_dial_start(struct peer *peer)
{
    /* Between half and all of the backoff. */
    uint64_t half = peer->backoff_ms / 2;
    uint64_t wait_ms = half > 0 ? half + random_next(peer->links) % (half + 1) : 0;
    int rc = uv_timer_start(&peer->timer, dial_now, wait_ms, 0);
    CHECK(rc == 0);
}

void peer_dial_close(struct peer *peer)
{
    if (peer->out != NULL) {
        stream_close(peer->out, on_out_closed);
        peer->out = NULL;
    }
    peer->state = DIAL_WAITING;
}
