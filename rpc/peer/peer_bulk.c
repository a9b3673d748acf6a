/* The connections for what is large: the dialled side, and sending both ways. They are accepted as all others are,
 * in peer_accept.c. */

#include "rpc/peer/peer_bulk.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "rpc/peer/peer_private.h"

static void on_bulk_closed(void *arg)
{
    struct peer_bulk *bulk = arg;
    struct peer *peer = bulk->peer;
    if (peer->bulk_parting == bulk) {
        peer->bulk_parting = NULL;
    }
    free(bulk);
    peer_release(peer);
}

/* It is over, or could not be made; not dialled again. */
static void bulk_lost(struct peer_bulk *bulk, const char *why)
{
    struct peer *peer = bulk->peer;
    struct peer_links *links = peer->links;
    bool was_ready = bulk->state == DIAL_READY;
    char text[PEER_COMPLAINT_LEN_MAX];
    (void)snprintf(text, sizeof text, "node %llu at %s: bulk connection%s: %s", (unsigned long long)peer->id,
                   peer->address, was_ready ? " lost" : "", why);
    if (was_ready && uv_now(links->options.loop) - bulk->ready_since_ms >= PEER_GOOD_MS) {
        peer->bulk_complaint[0] = '\0';
    }
    peer_complain(links, peer->bulk_complaint, text);
    peer->bulk_out = NULL;
    stream_close(bulk->stream, on_bulk_closed);
    if (links->options.bulk_changed != NULL) {
        links->options.bulk_changed(links->options.arg, peer->id, false);
    }
}

static void on_connected(void *arg)
{
    struct peer_bulk *bulk = arg;
    struct frame_out hello;
    int err = peer_links_hello(bulk->peer->links, bulk->peer->id, true, &hello);
    if (err == 0) {
        err = stream_send(bulk->stream, &hello);
    }
    if (err != 0) {
        bulk_lost(bulk, err_text(err));
        return;
    }
    bulk->state = DIAL_GREETING;
}

/* The answer to our hello. */
static void take_hello(struct peer_bulk *bulk, const struct frame *frame)
{
    struct peer *peer = bulk->peer;
    struct peer_links *links = peer->links;
    struct peer_hello hello;
    char text[PEER_COMPLAINT_LEN_MAX];
    arena_reset(&links->arena);
    if (frame->type == FRAME_GOODBYE) {
        int err = peer_goodbye_decode(links, frame, text);
        bulk_lost(bulk, text);
        peer_refused(peer, err, text);
        return;
    }
    if (peer_answer_check(peer, true, frame, &hello, text, sizeof text) != 0) {
        bulk_lost(bulk, text);
        return;
    }
    bulk->state = DIAL_READY;
    bulk->ready_since_ms = uv_now(links->options.loop);
    stream_established(bulk->stream);
    journal_info(links->options.journal, "peer", "node %llu at %s: bulk connection made", (unsigned long long)peer->id,
                 peer->address);
    if (links->options.bulk_changed != NULL) {
        links->options.bulk_changed(links->options.arg, peer->id, true);
    }
}

static void take_answer(struct peer_bulk *bulk, const struct frame *frame)
{
    struct peer *peer = bulk->peer;
    const struct peer_links_options *options = &peer->links->options;
    int err = ERR_BROKEN;
    if (frame->type == FRAME_PEER_REBUILD) {
        err = options->bulk_received(options->arg, peer->id, true, frame);
    }
    /* The callback may have hung up, or closed the links. */
    if (err != 0 && peer->bulk_out == bulk) {
        char text[PEER_COMPLAINT_LEN_MAX - 100];
        (void)snprintf(text, sizeof text, "a frame of type %u with %zu + %zu bytes: %s", frame->type, frame->header.len,
                       frame->body.len, err_text(err));
        bulk_lost(bulk, text);
    }
}

static void on_frame(void *arg, struct frame *frame)
{
    struct peer_bulk *bulk = arg;
    if (bulk->state == DIAL_READY) {
        take_answer(bulk, frame);
    } else {
        take_hello(bulk, frame);
    }
    slice_unref(&frame->header);
}

static void on_ended(void *arg, int err, const char *detail)
{
    (void)err;
    bulk_lost(arg, detail);
}

int peer_bulk_dial(struct peer_links *links, uint64_t node)
{
    struct peer *peer = peer_find(links, node);
    if (peer == NULL) {
        return ERR_NOT_FOUND;
    }
    if (links->closing) {
        return ERR_CLOSED;
    }
    CHECK(links->options.bulk_received != NULL);
    if (peer->bulk_out != NULL) {
        return 0;
    }
    struct peer_bulk *bulk = fault_fires(FAULT_ALLOCATION) ? NULL : calloc(1, sizeof *bulk);
    if (bulk == NULL) {
        return ERR_NOMEM;
    }
    *bulk = (struct peer_bulk){.peer = peer, .state = DIAL_CONNECTING};
    struct stream_options options = peer_stream_options(links);
    struct stream_events events = {.arg = bulk, .connected = on_connected, .frame = on_frame, .ended = on_ended};
    int err = stream_new(links->options.loop, &options, &events, &bulk->stream);
    if (err != 0) {
        free(bulk);
        return err;
    }
    peer_opened(peer);
    err = stream_connect(bulk->stream, peer->address);
    if (err != 0) {
        stream_close(bulk->stream, on_bulk_closed);
        return err;
    }
    peer->bulk_out = bulk;
    return 0;
}

/* The connection on which a question or an answer to the node travels; NULL: none is ready. */
static struct stream *bulk_stream(struct peer *peer, bool asking)
{
    if (asking) {
        return peer->bulk_out != NULL && peer->bulk_out->state == DIAL_READY ? peer->bulk_out->stream : NULL;
    }
    return peer->bulk_in != NULL ? peer->bulk_in->stream : NULL;
}

bool peer_bulk_send(struct peer_links *links, uint64_t node, bool asking, struct frame_out *frame)
{
    struct peer *peer = peer_find(links, node);
    struct stream *stream = peer != NULL ? bulk_stream(peer, asking) : NULL;
    /* Not by the stream's own limit: an accepted one was made before its hello said that it is for this. */
    if (stream == NULL || frame->len > PEER_BULK_QUEUE_MAX ||
        stream_queued_bytes(stream) > PEER_BULK_QUEUE_MAX - frame->len) {
        frame_out_done(frame);
        return false;
    }
    return stream_send(stream, frame) == 0;
}

void peer_bulk_hang_up(struct peer_links *links, uint64_t node)
{
    struct peer *peer = peer_find(links, node);
    struct peer_bulk *bulk = peer != NULL ? peer->bulk_out : NULL;
    if (bulk == NULL) {
        return;
    }
    peer->bulk_out = NULL;
    if (bulk->state != DIAL_READY) {
        stream_close(bulk->stream, on_bulk_closed);
        return;
    }
    if (peer->bulk_parting != NULL) {
        stream_close(peer->bulk_parting->stream, NULL); /* So that there are never many. */
    }
    peer->bulk_parting = bulk;
    stream_finish(bulk->stream, on_bulk_closed);
}

void peer_bulk_close(struct peer *peer)
{
    if (peer->bulk_out != NULL) {
        stream_close(peer->bulk_out->stream, on_bulk_closed);
        peer->bulk_out = NULL;
    }
    if (peer->bulk_parting != NULL) {
        stream_close(peer->bulk_parting->stream, NULL);
    }
}
