/* The connections that other nodes dial to this one; it reads them. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/wire/native.pb-c.h"
#include "rpc/native/native_frame.h"
#include "rpc/peer/peer_private.h"

/* Accepted connections, said hello or not: strangers cannot use up descriptors. Above it the oldest that has not said
 * hello gives way, so that strangers who say nothing do not keep members out either. */
#define INBOUNDS_MAX (8 * MEMBERS_MAX)

/* Those that are still being closed count as well. Above it a new one is dropped. */
#define INBOUNDS_OPEN_MAX (2 * INBOUNDS_MAX)

/* Between two lines in the journal about connections refused: whoever connects in a loop must not fill the disk. */
#define COMPLAINT_PAUSE_MS 1000u

static void on_inbound_closed(void *arg)
{
    struct peer_inbound *inbound = arg;
    struct peer_links *links = inbound->links;
    list_remove(&inbound->node);
    links->inbounds_len--;
    free(inbound);
    peer_links_release(links);
}

/* The place of the accepted connection of that kind that counts. */
static struct peer_inbound **counting(struct peer *peer, bool bulk)
{
    return bulk ? &peer->bulk_in : &peer->in;
}

/* The connection no longer speaks for its peer, and does not wait to. */
static void inbound_let_go(struct peer_inbound *inbound)
{
    inbound->closing = true;
    peer_run_let_go(inbound);
    struct peer_inbound **counts = inbound->peer != NULL ? counting(inbound->peer, inbound->bulk) : NULL;
    if (counts != NULL && *counts == inbound) {
        *counts = NULL;
    }
}

void peer_inbound_close(struct peer_inbound *inbound)
{
    inbound_let_go(inbound);
    stream_close(inbound->stream, on_inbound_closed);
}

static void inbound_complain(struct peer_links *links, const char *text)
{
    uint64_t now_ms = uv_now(links->options.loop);
    if (links->inbound_complaint[0] == '\0' || now_ms - links->inbound_complaint_ms >= COMPLAINT_PAUSE_MS) {
        links->inbound_complaint_ms = now_ms;
        peer_complain(links, links->inbound_complaint, text);
    }
}

void peer_inbounds_forget(struct peer *peer)
{
    LIST_FOR_EACH (node, &peer->links->inbounds) {
        struct peer_inbound *inbound = container_of(node, struct peer_inbound, node);
        if (inbound->peer == peer || inbound->rival_of == peer) {
            peer_inbound_close(inbound);
            inbound->peer = NULL;
            inbound->evicted = true;
        }
    }
}

void peer_inbound_refuse(struct peer_inbound *inbound, int err, const char *detail)
{
    struct peer_links *links = inbound->links;
    char text[PEER_COMPLAINT_LEN_MAX];
    const char *name = stream_peer_name(inbound->stream);
    (void)snprintf(text, sizeof text, "refused a connection: %s", detail);
    inbound_complain(links, text);
    journal_debug(links->options.journal, "peer", "that connection was from %s", name);
    Holdfast__Goodbye goodbye = HOLDFAST__GOODBYE__INIT;
    goodbye.error = (uint32_t)-err;
    goodbye.detail = (char *)(uintptr_t)detail;
    struct frame_out frame;
    if (native_frame_encode(FRAME_GOODBYE, &goodbye.base, NULL, 0, &frame) != 0 ||
        stream_send(inbound->stream, &frame) != 0) {
        peer_inbound_close(inbound);
        return;
    }
    inbound_let_go(inbound);
    stream_finish(inbound->stream, on_inbound_closed);
}

/* Lets it speak for its peer, in place of an older one. */
static void inbound_take(struct peer_inbound *inbound, struct peer *peer)
{
    bool bulk = inbound->bulk;
    struct peer_inbound **counts = counting(peer, bulk);
    if (*counts != NULL && *counts != inbound) {
        /* What the older connection still holds was sent before this one was dialled: none of it may come after. */
        peer_inbound_close(*counts);
    }
    *counts = inbound;
    inbound->peer = peer;
    peer_run_taken(inbound);
    inbound->links->inbound_complaint[0] = '\0';
    stream_established(inbound->stream);
    if (!bulk && peer->state == DIAL_WAITING) {
        /* It is there again: no need to wait out the backoff. */
        peer->backoff_ms = 0;
        peer_dial_start(peer);
    }
}

void peer_inbound_greet(struct peer_inbound *inbound, struct peer *peer)
{
    struct frame_out answer;
    char detail[NAME_LEN_MAX];
    const struct peer_identity identity = {.node = peer->id,
                                           .incarnation = inbound->incarnation,
                                           .history = {.data = inbound->history, .len = inbound->history_len},
                                           .founding = inbound->founding};
    int err = peer_identity_check(inbound->links, &identity, detail, sizeof detail);
    if (err != 0) {
        peer_inbound_refuse(inbound, err, detail);
        return;
    }
    err = peer_links_hello(inbound->links, peer->id, inbound->bulk, &answer);
    if (err == 0) {
        err = stream_send(inbound->stream, &answer);
    }
    if (err != 0) {
        peer_inbound_refuse(inbound, err, err_text(err));
        return;
    }
    inbound_take(inbound, peer);
}

static void take_hello(struct peer_inbound *inbound, const struct frame *frame)
{
    struct peer_links *links = inbound->links;
    struct peer_hello hello;
    struct peer *peer;
    char detail[NAME_LEN_MAX];
    if (inbound->rival_of != NULL) {
        peer_inbound_refuse(inbound, ERR_BROKEN, "it does not wait for the answer to its hello");
        return;
    }
    arena_reset(&links->arena);
    int err = peer_hello_decode(frame, &links->arena, &hello);
    if (err != 0) {
        peer_inbound_refuse(inbound, err, "its first frame is not a hello");
        return;
    }
    err = peer_hello_check(links, &hello, &peer, detail, sizeof detail);
    if (err != 0) {
        peer_inbound_refuse(inbound, err, detail);
        return;
    }
    if (hello.bulk && links->options.bulk_received == NULL) {
        peer_inbound_refuse(inbound, ERR_INVALID, "this node takes no connections for what is large");
        return;
    }
    inbound->bulk = hello.bulk;
    inbound->run = hello.run;
    inbound->incarnation = hello.incarnation;
    inbound->history_len = hello.history.len;
    inbound->founding = hello.founding;
    if (hello.history.len > 0) {
        memcpy(inbound->history, hello.history.data, hello.history.len);
    }
    peer_run_admit(inbound, peer);
}

/* Hands a frame on, when it is of a type for this kind of connection. */
static int frame_hand_on(struct peer_inbound *inbound, const struct frame *frame)
{
    const struct peer_links_options *options = &inbound->links->options;
    uint64_t from = inbound->peer->id;
    if ((frame->type == FRAME_PEER_REBUILD) != inbound->bulk) {
        return ERR_BROKEN;
    }
    if (inbound->bulk) {
        return options->bulk_received(options->arg, from, false, frame);
    }
    inbound->peer->received_frames++;
    return options->received(options->arg, from, frame);
}

/* It ends while the links go on: another may speak for its peer. */
static void inbound_over(struct peer_inbound *inbound)
{
    struct peer *peer = inbound->peer;
    peer_inbound_close(inbound);
    if (peer != NULL) {
        peer_run_vacant(peer);
    }
}

static void on_frame(void *arg, struct frame *frame)
{
    struct peer_inbound *inbound = arg;
    struct peer_links *links = inbound->links;
    if (inbound->peer == NULL) {
        take_hello(inbound, frame);
    } else {
        int err = frame_hand_on(inbound, frame);
        /* The callback may have closed the links. */
        if (err != 0 && !inbound->closing) {
            journal_warning(links->options.journal, "peer", "node %llu: a frame of type %u with %zu + %zu bytes: %s",
                            (unsigned long long)inbound->peer->id, frame->type, frame->header.len, frame->body.len,
                            err_text(err));
            inbound_over(inbound);
        }
    }
    slice_unref(&frame->header);
}

static void on_ended(void *arg, int err, const char *detail)
{
    struct peer_inbound *inbound = arg;
    struct peer_links *links = inbound->links;
    if (inbound->peer == NULL && err != ERR_CLOSED) {
        peer_inbound_refuse(inbound, err, detail);
        return;
    }
    if (inbound->peer != NULL) {
        journal_info(links->options.journal, "peer", "node %llu: its %sconnection to us ended: %s",
                     (unsigned long long)inbound->peer->id, inbound->bulk ? "bulk " : "", detail);
    }
    inbound_over(inbound);
}

/* Takes a connection off the listener and drops it, without a word. */
static void drop_one(struct peer_links *links, uv_tcp_t *tcp)
{
    struct stream *stream;
    struct stream_events events = {0};
    if (stream_new(links->options.loop, NULL, &events, &stream) != 0) {
        listener_put_off(links->listener);
        return;
    }
    int err = stream_accept(stream, tcp);
    inbound_complain(links, err != 0 ? err_text(err) : "too many connections to the peer port: dropped one");
    stream_close(stream, NULL);
}

static void make_room(struct peer_links *links)
{
    LIST_FOR_EACH (node, &links->inbounds) {
        struct peer_inbound *inbound = container_of(node, struct peer_inbound, node);
        if (inbound->peer == NULL && !inbound->evicted) {
            inbound->evicted = true;
            inbound_complain(links, "many connections to the peer port: closed one that had not said hello");
            peer_inbound_close(inbound);
            return;
        }
    }
}

void peer_accept(struct peer_links *links, uv_tcp_t *tcp)
{
    if (links->inbounds_len >= INBOUNDS_MAX) {
        make_room(links);
    }
    struct peer_inbound *inbound = links->inbounds_len < INBOUNDS_OPEN_MAX ? calloc(1, sizeof *inbound) : NULL;
    if (inbound == NULL) {
        drop_one(links, tcp);
        return;
    }
    inbound->links = links;
    struct stream_options options = peer_stream_options(links);
    struct stream_events events = {.arg = inbound, .frame = on_frame, .ended = on_ended};
    if (stream_new(links->options.loop, &options, &events, &inbound->stream) != 0) {
        free(inbound);
        listener_put_off(links->listener);
        return;
    }
    links->open++;
    links->inbounds_len++;
    list_push_back(&links->inbounds, &inbound->node);
    if (stream_accept(inbound->stream, tcp) != 0) {
        peer_inbound_close(inbound);
    }
}
