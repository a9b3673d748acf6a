/* One process speaks for a node.
 *
 * Each process has a number of its own, which is in its hellos. When a connection of another process comes, the connection
 * that is there may be one that its process left behind without our kernel hearing of it: a machine that lost its power, a
 * process that ended behind a partition. Then nothing comes on it any more. Or it is alive, and somebody has started a copy
 * of the node's data directory: two that vote and acknowledge under one name, and undo what Raft promises (one vote a term,
 * §5.2). So the newer waits until it is seen which it is. A process that ends has its connections closed by its kernel: the
 * next one does not wait. */

#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"
#include "rpc/peer/peer_private.h"

/* Between two lines in the journal about one node. */
#define CLONE_PAUSE_MS 60000u

#define CLONE_TEXT_LEN_MAX 100u
#define CLONE_LINE_LEN_MAX 200u

bool peer_run_is_past(const struct peer *peer, uint64_t run)
{
    for (unsigned i = 0; run != 0 && i < PEER_PAST_RUNS_MAX; i++) {
        if (peer->past_runs[i] == run) {
            return true;
        }
    }
    return false;
}

static bool peer_has_other(const struct peer *peer, uint64_t run)
{
    return run != 0 && peer->run != 0 && peer->run != run;
}

/* The one that counts, as far as its bytes go. */
static struct stream_movement older_movement(const struct peer *peer)
{
    struct stream_movement movement = {0};
    if (peer->in != NULL) {
        stream_movement(peer->in->stream, &movement);
    }
    return movement;
}

static void run_refuse(struct peer_inbound *inbound, struct peer *peer)
{
    struct peer_links *links = peer->links;
    uint64_t now_ms = uv_now(links->options.loop);
    char text[CLONE_TEXT_LEN_MAX];
    struct stream_movement movement;
    stream_movement(inbound->stream, &movement);
    /* What a process sent before it ended may be read after the hello of the next one: that is no reason to cry. */
    if (movement.open && links->options.doubled != NULL) {
        char line[CLONE_LINE_LEN_MAX];
        const char *name = stream_peer_name(inbound->stream);
        const char *port = strrchr(name, ':'); /* Another one at each attempt. */
        (void)snprintf(
            line, sizeof line, "two processes run as node %llu (a copied data directory?): one at %.*s is refused",
            (unsigned long long)peer->id, port != NULL && port - name < 100 ? (int)(port - name) : 100, name);
        links->options.doubled(links->options.arg, peer->id, line);
    }
    if (movement.open && (peer->clone_said_ms == 0 || now_ms - peer->clone_said_ms >= CLONE_PAUSE_MS)) {
        peer->clone_said_ms = now_ms != 0 ? now_ms : 1;
        journal_error(
            links->options.journal, "peer",
            "two processes run as node %llu: one at %s was refused, since another is connected, or was after it "
            "(%s). Has its data directory been copied?",
            (unsigned long long)peer->id, stream_peer_name(inbound->stream),
            peer->in != NULL ? stream_peer_name(peer->in->stream) : "not at the moment");
    }
    (void)snprintf(text, sizeof text, "another process is running as node %llu (a copied data directory?)",
                   (unsigned long long)peer->id);
    peer_inbound_refuse(inbound, ERR_LOCKED, text);
}

/* The end of the wait. */
static void rival_settle(struct peer *peer, bool older_lives)
{
    struct peer_inbound *rival = peer->rival;
    peer_run_let_go(rival);
    if (older_lives) {
        run_refuse(rival, peer);
    } else {
        peer_inbound_greet(rival, peer);
    }
}

static void on_rival_due(uv_timer_t *timer)
{
    struct peer *peer = container_of(timer, struct peer, rival_timer);
    struct stream_movement movement = older_movement(peer);
    CHECK(peer->rival != NULL);
    rival_settle(peer, movement.open && (peer->rival_outdone || movement.received > peer->rival_received));
}

static void rival_begin(struct peer_inbound *inbound, struct peer *peer, uint64_t received)
{
    struct peer_inbound *earlier = peer->rival;
    inbound->rival_of = peer;
    if (earlier != NULL) {
        /* It has dialled again; or there are three. The wait goes on as it was. */
        peer->rival = inbound;
        earlier->rival_of = NULL;
        peer_inbound_close(earlier);
        return;
    }
    peer->rival = inbound;
    peer->rival_received = received;
    peer->rival_outdone = false;
    CHECK(uv_timer_start(&peer->rival_timer, on_rival_due, peer->links->options.clone_wait_ms, 0) == 0);
}

void peer_run_admit(struct peer_inbound *inbound, struct peer *peer)
{
    struct stream_movement older = older_movement(peer);
    if (peer_run_is_past(peer, inbound->run)) {
        run_refuse(inbound, peer);
    } else if (!peer_has_other(peer, inbound->run) || !older.open) {
        peer_inbound_greet(inbound, peer);
    } else if (inbound->bulk) {
        peer_inbound_refuse(inbound, ERR_BUSY,
                            "an earlier process of this node is still connected, as far as is known");
    } else {
        rival_begin(inbound, peer, older.received);
    }
}

void peer_run_taken(struct peer_inbound *inbound)
{
    struct peer *peer = inbound->peer;
    peer->rival_outdone = peer->rival_outdone || !inbound->bulk;
    if (!peer_has_other(peer, inbound->run)) {
        peer->run = inbound->run != 0 ? inbound->run : peer->run;
        return;
    }
    peer->past_runs[peer->past_next] = peer->run;
    peer->past_next = (peer->past_next + 1) % PEER_PAST_RUNS_MAX;
    peer->run = inbound->run;
    struct peer_inbound *other = inbound->bulk ? peer->in : peer->bulk_in;
    if (other != NULL && other->run != inbound->run) {
        peer_inbound_close(other);
    }
}

void peer_run_vacant(struct peer *peer)
{
    if (peer->in == NULL && peer->rival != NULL) {
        rival_settle(peer, false);
    }
}

void peer_run_let_go(struct peer_inbound *inbound)
{
    struct peer *peer = inbound->rival_of;
    if (peer != NULL) {
        CHECK(peer->rival == inbound);
        peer->rival = NULL;
        inbound->rival_of = NULL;
        (void)uv_timer_stop(&peer->rival_timer);
    }
}
