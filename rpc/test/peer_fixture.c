/* Nodes of one cluster on one loop. */

#include "peer_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/limits.h"
#include "rpc/peer/peer_frame.h"

static void note(struct node *node, struct heard *heard, const struct frame *frame)
{
    cr_assert_not(node->calling, "a callback from within a function");
    heard->count++;
    if (frame->header.len >= 8) {
        uint64_t number = get_u64(frame->header.data);
        node->disorder |= number < heard->next;
        heard->next = number + 1;
    }
}

static int on_received(void *arg, uint64_t from, const struct frame *frame)
{
    struct node *node = arg;
    note(node, &node->received[from], frame);
    node->of_gateways += frame->type == FRAME_PEER_GATEWAY;
    return node->received_err;
}

static void on_changed(void *arg, uint64_t id, bool connected, const char *client_address)
{
    struct node *node = arg;
    cr_assert_not(node->calling, "a callback from within a function");
    node->connected[id] = connected;
    node->changes++;
    snprintf(node->client_address[id], sizeof node->client_address[id], "%s", client_address);
}

static int on_known(void *arg, const struct peer_identity *identity, char *detail, size_t detail_len)
{
    struct node *node = arg;
    bool stale = identity->history.len > 0 && identity->history.data[0] == node->stale;
    node->asked_known++;
    node->history_len[identity->node] = identity->history.len;
    if (identity->founding && node->begun) {
        return ERR_STALE;
    }
    if (stale) {
        snprintf(detail, detail_len, "that is an older copy");
    }
    return identity->incarnation == node->foreign ? ERR_FOREIGN : stale ? ERR_STALE : 0;
}

static int on_barred(void *arg, uint64_t id, char *detail, size_t detail_len)
{
    struct node *node = arg;
    if (id != node->barred) {
        return 0;
    }
    snprintf(detail, detail_len, "that node was given up");
    return ERR_REFUSED;
}

static void on_refused(void *arg, uint64_t id, int err, const char *detail)
{
    struct node *node = arg;
    cr_assert_not(node->calling, "a callback from within a function");
    node->refused[id]++;
    node->refused_err = err;
    snprintf(node->refused_detail, sizeof node->refused_detail, "%s", detail);
}

static void on_doubled(void *arg, uint64_t id, const char *detail)
{
    struct node *node = arg;
    cr_assert_leq(id, NODES_MAX);
    node->doubled[id]++;
    snprintf(node->doubled_detail, sizeof node->doubled_detail, "%s", detail);
}

static void on_closed(void *arg)
{
    ((struct node *)arg)->closed = true;
}

static bool is_closed(void *arg)
{
    return ((struct node *)arg)->closed;
}

static struct frame_out numbered(uint8_t type, uint64_t number, size_t body_len)
{
    struct frame_out frame = test_frame(type, 8, body_len, body_len > 0, number);
    put_u64(frame.head->data + FRAME_PREFIX_LEN, number);
    return frame;
}

static int on_bulk_received(void *arg, uint64_t from, bool asking, const struct frame *frame)
{
    struct node *node = arg;
    note(node, asking ? &node->answered[from] : &node->asked[from], frame);
    if (!asking && node->answers) {
        struct frame_out answer = numbered(FRAME_PEER_REBUILD, get_u64(frame->header.data), 1000);
        cr_assert(peer_bulk_send(node->links, from, false, &answer));
    }
    if (asking && node->hangs_up) {
        peer_bulk_hang_up(node->links, from);
        node->bulk_ready[from] = false;
    }
    if (node->closes_links) {
        peer_links_close(node->links, on_closed, node);
        node->links = NULL;
    }
    return node->bulk_err;
}

static void on_bulk_changed(void *arg, uint64_t id, bool connected)
{
    struct node *node = arg;
    cr_assert_not(node->calling, "a callback from within a function");
    cr_assert_not(connected && node->bulk_ready[id], "ready twice");
    node->bulk_ready[id] = connected;
    node->bulk_changes++;
    if (!connected && node->redials) {
        cr_assert_eq(peer_bulk_dial(node->links, id), 0);
    }
}

void node_start(struct cluster *cluster, uint64_t id, unsigned count, const char *name)
{
    struct node *node = &cluster->nodes[id];
    *node = (struct node){0};
    test_journal_init(&node->journal);
    struct peer_member members[NODES_MAX];
    char addresses[NODES_MAX][32];
    char listen[32], client[32], detail[200];
    for (unsigned i = 0; i < count; i++) {
        /* Port 1 answers nobody until the real one is known. */
        uint16_t port = cluster->ports[i + 1] != 0 ? cluster->ports[i + 1] : 1;
        snprintf(addresses[i], sizeof addresses[i], "127.0.0.1:%u", port);
        members[i] = (struct peer_member){.id = i + 1, .address = addresses[i]};
    }
    snprintf(listen, sizeof listen, "127.0.0.1:%u", cluster->ports[id]);
    snprintf(client, sizeof client, "client:%u", (unsigned)id);
    struct peer_links_options options = {
        .loop = &cluster->loop,
        .journal = &node->journal.base,
        .listen_address = listen,
        .node = id,
        .cluster = name,
        .incarnation = 100 + id,
        .version = 1,
        .client_address = client,
        .members = members,
        .members_len = count,
        .queue_max = cluster->queue_max != 0 ? cluster->queue_max : 4 * MIB,
        .handshake_timeout_ms = cluster->handshake_timeout_ms,
        .clone_wait_ms = cluster->clone_wait_ms,
        .arg = node,
        .received = on_received,
        .bulk_received = cluster->no_bulk ? NULL : on_bulk_received,
        .bulk_changed = on_bulk_changed,
        .changed = on_changed,
        .known = on_known,
        .barred = on_barred,
        .refused = on_refused,
        .doubled = on_doubled,
        .history = {.data = cluster->history, .len = cluster->history_len},
        .founding = cluster->founding == id,
    };
    cr_assert_eq(peer_links_start(&options, &node->links, detail, sizeof detail), 0, "%s", detail);
    cluster->ports[id] = peer_links_port(node->links);
}

void node_set_address(struct cluster *cluster, uint64_t id, uint64_t of, uint16_t port)
{
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    cr_assert_eq(peer_links_set_address(cluster->nodes[id].links, of, address), 0);
}

void cluster_introduce(struct cluster *cluster, unsigned count)
{
    for (unsigned i = 1; i <= count; i++) {
        for (unsigned j = 1; j <= count; j++) {
            if (i != j && cluster->nodes[i].links != NULL) {
                node_set_address(cluster, i, j, cluster->ports[j]);
            }
        }
    }
}

void cluster_open(struct cluster *cluster, unsigned count)
{
    memset(cluster, 0, sizeof *cluster);
    loop_open(&cluster->loop);
    for (unsigned i = 1; i <= count; i++) {
        node_start(cluster, i, count, "blue");
    }
    cluster_introduce(cluster, count);
}

void node_stop(struct cluster *cluster, uint64_t id)
{
    struct node *node = &cluster->nodes[id];
    peer_links_close(node->links, on_closed, node);
    cr_assert(loop_until(&cluster->loop, is_closed, node, 20000));
    node->links = NULL;
}

void cluster_close(struct cluster *cluster)
{
    for (unsigned i = 1; i <= NODES_MAX; i++) {
        if (cluster->nodes[i].links != NULL) {
            node_stop(cluster, i);
        }
    }
    loop_close(&cluster->loop);
}

void node_restart(struct cluster *cluster, uint64_t id, unsigned count, const char *name)
{
    cluster->ports[id] = 0;
    node_start(cluster, id, count, name);
    cluster_introduce(cluster, count);
}

bool cluster_is_connected(void *arg)
{
    struct cluster *cluster = arg;
    for (unsigned i = 1; i <= NODES_MAX; i++) {
        for (unsigned j = 1; j <= NODES_MAX; j++) {
            if (i != j && cluster->nodes[i].links != NULL && cluster->nodes[j].links != NULL &&
                !cluster->nodes[i].connected[j]) {
                return false;
            }
        }
    }
    return true;
}

bool node_send(struct cluster *cluster, uint64_t from, uint64_t to, uint64_t number, size_t body_len)
{
    uint8_t type = number % 2 == 0 ? FRAME_PEER_RAFT : FRAME_PEER_GATEWAY;
    struct frame_out frame = numbered(type, number, body_len);
    return peer_links_send(cluster->nodes[from].links, to, &frame);
}

int node_bulk_dial(struct cluster *cluster, uint64_t from, uint64_t to)
{
    struct node *node = &cluster->nodes[from];
    node->calling = true;
    int err = peer_bulk_dial(node->links, to);
    node->calling = false;
    return err;
}

bool node_bulk_send(struct cluster *cluster, uint64_t from, uint64_t to, bool asking, uint64_t number, size_t body_len)
{
    struct node *node = &cluster->nodes[from];
    struct frame_out frame = numbered(FRAME_PEER_REBUILD, number, body_len);
    node->calling = true;
    bool taken = peer_bulk_send(node->links, to, asking, &frame);
    node->calling = false;
    return taken;
}

void node_bulk_hang_up(struct cluster *cluster, uint64_t from, uint64_t to)
{
    struct node *node = &cluster->nodes[from];
    node->calling = true;
    peer_bulk_hang_up(node->links, to);
    node->calling = false;
    if (to <= NODES_MAX) {
        node->bulk_ready[to] = false; /* It is not told. */
    }
}

void node_bulk_connect(struct cluster *cluster, uint64_t from, uint64_t to)
{
    cr_assert_eq(node_bulk_dial(cluster, from, to), 0);
    cr_assert(loop_until(&cluster->loop, flag_is_set, &cluster->nodes[from].bulk_ready[to], 20000));
}

bool wanted_is_there(void *arg)
{
    struct wanted *wanted = arg;
    return *wanted->count >= wanted->at_least;
}

bool flag_is_set(void *arg)
{
    return *(bool *)arg;
}

bool flag_is_clear(void *arg)
{
    return !*(bool *)arg;
}

void impostor_begin(struct cluster *c, struct end *end, uint64_t run, bool bulk)
{
    *end = (struct end){0};
    struct stream_events events = end_events(end);
    struct stream_options options = {.queue_max = 64 * MIB};
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%u", c->ports[1]);
    cr_assert_eq(stream_new(&c->loop, &options, &events, &end->stream), 0);
    cr_assert_eq(stream_connect(end->stream, address), 0);
    cr_assert(loop_until(&c->loop, end_is_open, end, 20000));
    struct peer_hello hello = {
        .cluster = "blue", .node = 2, .to = 1, .incarnation = 102, .client_address = "x:1", .bulk = bulk, .run = run};
    struct frame_out frame;
    cr_assert_eq(peer_hello_encode(&hello, &frame), 0);
    cr_assert_eq(stream_send(end->stream, &frame), 0);
    stream_established(end->stream);
}

void impostor_end(struct end *end)
{
    stream_close(end->stream, NULL);
    end_done(end);
}

void impostor_open(struct cluster *c, struct end *end, bool bulk)
{
    impostor_begin(c, end, 0, bulk);
    cr_assert(loop_until(&c->loop, end_has_frame, end, 20000));
    cr_assert_eq(end->last_type, FRAME_PEER_HELLO);
}

static void on_accepted(void *arg, uv_tcp_t *tcp)
{
    struct acceptor *acceptor = arg;
    cr_assert_lt(acceptor->count, ARRAY_LEN(acceptor->ends));
    struct end *end = &acceptor->ends[acceptor->count++];
    struct stream_events events = end_events(end);
    cr_assert_eq(stream_new(acceptor->loop, NULL, &events, &end->stream), 0);
    cr_assert_eq(stream_accept(end->stream, tcp), 0);
    stream_established(end->stream);
}

void acceptor_open(struct acceptor *acceptor, struct cluster *c)
{
    *acceptor = (struct acceptor){.loop = &c->loop};
    struct listener_events events = {.arg = acceptor, .connection = on_accepted};
    char detail[200];
    cr_assert_eq(listener_open(&c->loop, "127.0.0.1:0", &events, &acceptor->listener, detail, sizeof detail), 0);
}

void acceptor_close(struct acceptor *acceptor)
{
    listener_close(acceptor->listener);
    for (unsigned i = 0; i < acceptor->count; i++) {
        stream_close(acceptor->ends[i].stream, NULL);
        end_done(&acceptor->ends[i]);
    }
}

void cluster_open_one(struct cluster *c, uint64_t handshake_timeout_ms)
{
    memset(c, 0, sizeof *c);
    loop_open(&c->loop);
    c->handshake_timeout_ms = handshake_timeout_ms;
    node_start(c, 1, 2, "blue");
}

void node_bulk_dial_acceptor(struct cluster *c, struct acceptor *acceptor)
{
    node_set_address(c, 1, 2, listener_port(acceptor->listener));
    cr_assert_eq(node_bulk_dial(c, 1, 2), 0);
    node_set_address(c, 1, 2, 1); /* Messages go nowhere. */
}

void wait_for(struct cluster *c, const unsigned *count, unsigned at_least)
{
    cr_assert(loop_until(&c->loop, wanted_is_there, &(struct wanted){count, at_least}, 20000), "%u of %u", *count,
              at_least);
}

void acceptor_greet(struct cluster *c, struct end *end, bool bulk)
{
    wait_for(c, &end->frames, 1);
    struct peer_hello hello = {
        .cluster = "blue", .node = 2, .to = 1, .incarnation = 102, .client_address = "", .bulk = bulk};
    struct frame_out frame;
    cr_assert_eq(peer_hello_encode(&hello, &frame), 0);
    cr_assert_eq(stream_send(end->stream, &frame), 0);
}
