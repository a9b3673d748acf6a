/* A node's links to the others. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "node/node_private.h"
#include "proto/base/check.h"

/* Between two complaints about peers with a directory that is not theirs: each is one connection of a stranger. */
#define STRANGER_PAUSE_MS 1000u

/* For how long status shows who was refused: one that is started again and again is shown all the time. */
#define STRANGER_SHOWN_MS 300000u

/* As peers begin what they were refused with (peer_goodbye_decode()). */
#define REFUSED_US "it refused us: "

/* As they refuse who is no member of theirs (peer_hello_check()). */
#define NO_MEMBER "is not a member that"

/* What the peers' links tell. */

static int node_received(void *arg, uint64_t from, const struct frame *frame)
{
    struct node *node = arg;
    bool known = frame->type == FRAME_PEER_RAFT || frame->type == FRAME_PEER_GATEWAY;
    if (node->closing) {
        return 0; /* What would be stored and answered now is not in the copy that takes the state's place. */
    }
    if (node->shard == NULL) {
        return known ? 0 : ERR_BROKEN; /* A patient neither votes nor stores. */
    }
    return known ? shard_receive(node->shard, from, frame) : ERR_BROKEN;
}

static int node_bulk_received(void *arg, uint64_t from, bool asking, const struct frame *frame)
{
    struct node *node = arg;
    if (node->closing) {
        return 0;
    }
    return node->shard != NULL ? shard_receive_bulk(node->shard, from, asking, frame)
                               : patient_receive_bulk(node->patient, from, asking, frame);
}

static void node_bulk_changed(void *arg, uint64_t peer, bool connected)
{
    struct node *node = arg;
    if (node->closing) {
        return;
    }
    if (node->shard != NULL && connected) {
        shard_bulk_connected(node->shard, peer);
    } else if (node->shard != NULL) {
        shard_bulk_lost(node->shard, peer);
    } else if (connected) {
        patient_bulk_connected(node->patient, peer);
    } else {
        patient_bulk_lost(node->patient, peer);
    }
    node_wake(node);
}

static void node_peer_changed(void *arg, uint64_t peer, bool connected, const char *client_address)
{
    struct node *node = arg;
    journal_info(node->journal, "peer", "node %" PRIu64 " is %s", peer, connected ? "connected" : "disconnected");
    for (unsigned i = 0; i < node->config->members_len; i++) {
        node->accepted[i] = node->accepted[i] || (connected && node->config->members[i].id == peer);
    }
    const char *known = client_address != NULL && client_address[0] != '\0' ? client_address : NULL;
    if (node->shard != NULL) {
        shard_peer_changed(node->shard, peer, connected, known);
    } else {
        peers_set(&node->known, peer, connected, known);
    }
}

void node_alarm_compose(struct node *node)
{
    bool both = node->waiting[0] != '\0' && node->stranger[0] != '\0';
    (void)snprintf(node->alarm, sizeof node->alarm, "%s%s%s", node->waiting, both ? "; " : "", node->stranger);
}

static void stranger_show(struct node *node, const char *detail)
{
    (void)snprintf(node->stranger, sizeof node->stranger, "%s", detail);
    node->stranger_until_ms = uv_now(node->loop) + STRANGER_SHOWN_MS;
    node_alarm_compose(node);
}

void node_peers_step(struct node *node)
{
    if (node->stranger[0] != '\0' && uv_now(node->loop) >= node->stranger_until_ms) {
        node->stranger[0] = '\0';
        node_alarm_compose(node);
    }
}

static void node_peer_doubled(void *arg, uint64_t peer, const char *detail)
{
    (void)peer;
    stranger_show(arg, detail);
}

/* Whether this node knows of anything beyond the first entry, in which all begin. Nodes that have nothing else may still have to begin
 * again, after a crash in the middle of it; one that cannot tell is for caution. */
static bool node_has_begun(const struct node *node)
{
    struct driver_status status;
    if (node->shard == NULL) {
        return !node->founding && !patient_is_new(node->patient);
    }
    driver_status(shard_driver(node->shard), &status);
    return status.log_first > 1 || status.log_last > 1 || status.commit_index > 1 || status.checkpoint_index > 0;
}

/* A node that comes with nothing, and waits for a new cluster to begin, may have lost what it promised to this one. */
static int node_peer_founds(const struct node *node, uint64_t peer, char *detail, size_t detail_len)
{
    if (!node_has_begun(node)) {
        return 0;
    }
    (void)snprintf(detail, detail_len,
                   "this cluster has begun, and node %" PRIu64 " comes with nothing: what it had is lost", peer);
    return ERR_STALE;
}

static int node_peer_known(void *arg, const struct peer_identity *identity, char *detail, size_t detail_len)
{
    struct node *node = arg;
    int err = data_dir_peer(node->data_dir, identity->node, identity->incarnation, identity->history.data,
                            identity->history.len, detail, detail_len);
    if (err == 0 && identity->founding) {
        err = node_peer_founds(node, identity->node, detail, detail_len);
    }
    uint64_t now_ms = uv_now(node->loop);
    if (err == ERR_FOREIGN) {
        stranger_show(node, detail); /* Of an older copy (ERR_STALE) the node itself says so, and is repaired. */
    }
    if (err != 0 && now_ms >= node->stranger_said_ms + STRANGER_PAUSE_MS) {
        node->stranger_said_ms = now_ms;
        journal_error(node->journal, "peer", "%s", detail);
    }
    return err;
}

static int node_peer_barred(void *arg, uint64_t peer, char *detail, size_t detail_len)
{
    struct node *node = arg;
    return data_dir_barred(node->data_dir, peer, detail, detail_len);
}

/* What another node has refused us with. */
static const char *refusal_words(const char *detail)
{
    return strncmp(detail, REFUSED_US, strlen(REFUSED_US)) == 0 ? detail + strlen(REFUSED_US) : detail;
}

/* The same, and which one. */
static void refusal_text(char *text, size_t text_len, uint64_t peer, const char *detail)
{
    (void)snprintf(text, text_len, "node %" PRIu64 " says: %s", peer, refusal_words(detail));
}

/* What keeps a patient from asking for its copy; mostly that nobody has added it. */
static void node_turned_away(struct node *node, uint64_t peer, const char *detail)
{
    char text[DATA_DIR_LINE_LEN_MAX];
    (void)snprintf(text, sizeof text, "%s%s", refusal_words(detail),
                   strstr(detail, NO_MEMBER) != NULL ? " (not added yet, or removed: holdfast cluster add)" : "");
    patient_turned_away(node->patient, peer, text);
}

/* A member says that this node was given up in a recovery: what is left of the old cluster must not go on, since the others of it
 * that come back would be a majority beside the recovered one. */
static void node_give_up(struct node *node, uint64_t peer, const char *detail)
{
    char text[DATA_DIR_LINE_LEN_MAX];
    char why[512];
    refusal_text(text, sizeof text, peer, detail);
    int err = data_dir_removed_write(node->data_dir, text, why, sizeof why);
    if (err != 0) {
        journal_error(node->journal, "peer", "%s", why); /* It is told again at its next start. */
    }
    node_fatal(node, ERR_REFUSED, text);
}

static void node_peer_refused(void *arg, uint64_t peer, int err, const char *detail)
{
    struct node *node = arg;
    char text[DATA_DIR_LINE_LEN_MAX];
    refusal_text(text, sizeof text, peer, detail);
    if (err == ERR_REFUSED) {
        node_give_up(node, peer, detail);
    }
    if (err == ERR_LOCKED) {
        node_fatal(node, err,
                   text); /* A copy of this directory is in use too: what either promises, the other may not know. */
    }
    if (node->patient != NULL && err == ERR_FOREIGN) {
        node_turned_away(node, peer, detail);
    }
    if (err == ERR_STALE && (node->shard != NULL || node->founding)) {
        node_damaged(node, text, false);
    }
}

int node_peers_listen(struct node *node, char *detail, size_t detail_len)
{
    const struct config *config = node->config;
    uint8_t history[DATA_DIR_HISTORY_LEN_MAX];
    bool counts = !node->plan.patient; /* One that has promised nothing has nothing to be reminded of. */
    struct peer_member members[MEMBERS_MAX];
    for (unsigned i = 0; i < node->members_len; i++) {
        members[i] = (struct peer_member){.id = node->members[i].id, .address = node->members[i].address};
    }
    struct peer_links_options options = {
        .loop = node->loop,
        .journal = node->journal,
        .listen_address = config->listen_peer,
        .node = config->node,
        .cluster = config->cluster,
        .incarnation = data_dir_incarnation(node->data_dir),
        .history = {.data = history, .len = counts ? data_dir_history(node->data_dir, history) : 0},
        .founding = node->founding,
        .version = MACHINE_VERSION_MAX,
        .client_address = config_member(config, config->node)->client_address,
        .members = members,
        .members_len = node->members_len,
        .arg = node,
        .received = node_received,
        .bulk_received = node_bulk_received,
        .bulk_changed = node_bulk_changed,
        .changed = node_peer_changed,
        .known = node_peer_known,
        .barred = node_peer_barred,
        .refused = node_peer_refused,
        .doubled = node_peer_doubled,
    };
    return peer_links_start(&options, &node->peers, detail, detail_len);
}
