/* What a data directory remembers of other nodes: their directories and starts, and who was given up.
 *
 * Lines: "peer NODE INCARNATION STARTS STAMP", "expelled NODE INCARNATION"; numbers of nodes and starts are decimal, the random
 * ones hexadecimal. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "node/data_dir_private.h"
#include "proto/base/bytes.h"
#include "proto/base/check.h"

static int peers_parse_one(struct data_dir *dir, const char *line)
{
    struct data_dir_peer peer;
    char *end;
    peer.node = strtoull(line + strlen("\npeer "), &end, 10);
    peer.incarnation = strtoull(end, &end, 16);
    peer.starts = *end == ' ' ? strtoull(end, &end, 10) : 0;
    peer.stamp = *end == ' ' ? strtoull(end, &end, 16) : 0;
    if (peer.node == 0 || *end != '\n' || dir->peers_len == DATA_DIR_PEERS_MAX) {
        return ERR_CORRUPT;
    }
    dir->peers[dir->peers_len++] = peer;
    return 0;
}

static int peers_parse_expelled(struct data_dir *dir, const char *line)
{
    struct data_dir_expelled expelled;
    char *end;
    expelled.node = strtoull(line + strlen("\nexpelled "), &end, 10);
    expelled.incarnation = strtoull(end, &end, 16);
    if (expelled.node == 0 || *end != '\n' || dir->expelled_len == DATA_DIR_PEERS_MAX) {
        return ERR_CORRUPT;
    }
    dir->expelled[dir->expelled_len++] = expelled;
    return 0;
}

static int peers_parse(struct data_dir *dir, const char *text)
{
    for (const char *line = strchr(text, '\n'); line != NULL && line[1] != '\0'; line = strchr(line + 1, '\n')) {
        int err = strncmp(line, "\npeer ", 6) == 0        ? peers_parse_one(dir, line)
                  : strncmp(line, "\nexpelled ", 10) == 0 ? peers_parse_expelled(dir, line)
                                                          : ERR_CORRUPT;
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

/* A node that has met others has the file, and one that was recovered: who was given up is in it. */
static int peers_missing(const struct data_dir *dir, char *detail, size_t detail_len)
{
    char recovered[DATA_DIR_LINE_LEN_MAX];
    bool met = (dir->starts.facts & DATA_DIR_FACT_PEERS) != 0;
    if (!met && !data_dir_recovered(dir, recovered, sizeof recovered)) {
        return 0;
    }
    return data_dir_explain(detail, detail_len, ERR_CORRUPT,
                            "%s/peers is missing, though it has been written: what is known of the other nodes is lost",
                            dir->path);
}

bool data_dir_has_peers(const struct data_dir *dir)
{
    return dir->peers_there;
}

int data_dir_peers_read(struct data_dir *dir, char *detail, size_t detail_len)
{
    char *text;
    dir->peers = calloc(DATA_DIR_PEERS_MAX, sizeof *dir->peers);
    dir->expelled = calloc(DATA_DIR_PEERS_MAX, sizeof *dir->expelled);
    if (dir->peers == NULL || dir->expelled == NULL) {
        return data_dir_explain(detail, detail_len, ERR_NOMEM, "out of memory");
    }
    int err = data_dir_text_read(dir, "peers", "peers", &text, detail, detail_len);
    if (err != 0) {
        return err == ERR_NOT_FOUND ? peers_missing(dir, detail, detail_len) : err;
    }
    dir->peers_there = true;
    err = peers_parse(dir, text);
    free(text);
    return err == 0 ? 0 : data_dir_explain(detail, detail_len, err, "%s/peers: a line makes no sense", dir->path);
}

static int peers_write(struct data_dir *dir, char *detail, size_t detail_len)
{
    char *text = malloc(DATA_DIR_TEXT_LEN_MAX);
    if (text == NULL) {
        return data_dir_explain(detail, detail_len, ERR_NOMEM, "out of memory");
    }
    size_t at = 0;
    int err = data_dir_text_add(text, &at, "holdfast-peers %u\n", DATA_DIR_VERSION);
    for (unsigned i = 0; i < dir->peers_len && err == 0; i++) {
        const struct data_dir_peer *peer = &dir->peers[i];
        err = data_dir_text_add(text, &at, "peer %" PRIu64 " %016" PRIx64 " %" PRIu64 " %016" PRIx64 "\n", peer->node,
                                peer->incarnation, peer->starts, peer->stamp);
    }
    for (unsigned i = 0; i < dir->expelled_len && err == 0; i++) {
        err = data_dir_text_add(text, &at, "expelled %" PRIu64 " %016" PRIx64 "\n", dir->expelled[i].node,
                                dir->expelled[i].incarnation);
    }
    CHECK(err == 0); /* The length is enough for all there can be. */
    err = data_dir_text_write(dir, "peers", text, at, detail, detail_len);
    dir->peers_there = dir->peers_there || err == 0;
    free(text);
    return err;
}

static struct data_dir_peer *peers_find(const struct data_dir *dir, uint64_t node)
{
    for (unsigned i = 0; i < dir->peers_len; i++) {
        if (dir->peers[i].node == node) {
            return &dir->peers[i];
        }
    }
    return NULL;
}

bool data_dir_is_expelled(const struct data_dir *dir, uint64_t node)
{
    for (unsigned i = 0; i < dir->expelled_len; i++) {
        if (dir->expelled[i].node == node) {
            return true;
        }
    }
    return false;
}

/* What a peer says of its starts. */
struct starts {
    uint64_t count; /* 0: nothing. */
    const uint8_t *stamps;
    uint64_t stamps_len;
};

static int starts_decode(const uint8_t *history, size_t len, struct starts *ret_starts)
{
    *ret_starts = (struct starts){0};
    if (len == 0) {
        return 0;
    }
    if (len < 16 || len > DATA_DIR_HISTORY_LEN_MAX || len % 8 != 0 || get_u64(history) == 0) {
        return ERR_BROKEN;
    }
    *ret_starts = (struct starts){.count = get_u64(history), .stamps = history + 8, .stamps_len = len / 8 - 1};
    return 0;
}

/* Whether the starts go on from those known: not fewer, and with the same random number for the one that we know of. Of one
 * that lies further back than the peer remembers nothing can be said. */
static int starts_check(const struct data_dir_peer *peer, const struct starts *starts, char *detail, size_t detail_len)
{
    uint64_t back = starts->count - peer->starts;
    if (starts->count < peer->starts) {
        return data_dir_explain(detail, detail_len, ERR_STALE,
                                "node %" PRIu64 "'s data directory is an older copy (start %" PRIu64
                                ", known is %" PRIu64 "): it has lost what it promised since",
                                peer->node, starts->count, peer->starts);
    }
    if (back < starts->stamps_len && get_u64(starts->stamps + 8 * back) != peer->stamp) {
        return data_dir_explain(detail, detail_len, ERR_STALE,
                                "node %" PRIu64 "'s data directory is not the one that was known at its start %" PRIu64
                                ", but an older copy that has been started since, or a second one",
                                peer->node, peer->starts);
    }
    return 0;
}

/* Notes a start that is not known yet. A file is written at each start of a peer, not at each of its connections. */
static int starts_note(struct data_dir *dir, struct data_dir_peer *peer, const struct starts *starts, char *detail,
                       size_t detail_len)
{
    struct data_dir_peer before = *peer;
    if (starts->count == peer->starts) {
        return 0;
    }
    peer->starts = starts->count;
    peer->stamp = get_u64(starts->stamps);
    int err = peers_write(dir, detail, detail_len);
    if (err != 0) {
        *peer = before;
    }
    return err == ERR_NO_SPACE ? 0 : err;
}

static int peers_add(struct data_dir *dir, uint64_t node, uint64_t incarnation, const struct starts *starts,
                     char *detail, size_t detail_len)
{
    if (node == 0 || dir->peers_len == DATA_DIR_PEERS_MAX) {
        return data_dir_explain(detail, detail_len, ERR_LIMIT, "node %" PRIu64 ": more nodes than can be remembered",
                                node);
    }
    dir->peers[dir->peers_len++] = (struct data_dir_peer){
        .node = node,
        .incarnation = incarnation,
        .starts = starts->count,
        .stamp = starts->count != 0 ? get_u64(starts->stamps) : 0,
    };
    int err = peers_write(dir, detail, detail_len);
    if (err != 0) {
        dir->peers_len--;
    }
    return err;
}

int data_dir_barred(const struct data_dir *dir, uint64_t node, char *detail, size_t detail_len)
{
    if (!data_dir_is_expelled(dir, node)) {
        return 0;
    }
    return data_dir_explain(detail, detail_len, ERR_REFUSED,
                            "node %" PRIu64 " was given up when node %" PRIu64 " was recovered alone: its data is "
                            "not part of the cluster any more; to join again it needs an empty directory and a new id",
                            node, dir->node);
}

int data_dir_peer(struct data_dir *dir, uint64_t node, uint64_t incarnation, const uint8_t *history, size_t history_len,
                  char *detail, size_t detail_len)
{
    struct starts starts;
    int err = data_dir_barred(dir, node, detail, detail_len);
    if (err != 0) {
        return err;
    }
    err = starts_decode(history, history_len, &starts);
    if (err != 0) {
        return data_dir_explain(detail, detail_len, err, "node %" PRIu64 ": what it says of its starts is malformed",
                                node);
    }
    struct data_dir_peer *peer = peers_find(dir, node);
    if (peer == NULL) {
        return peers_add(dir, node, incarnation, &starts, detail, detail_len);
    }
    if (peer->incarnation != incarnation) {
        return data_dir_explain(
            detail, detail_len, ERR_FOREIGN,
            "node %" PRIu64 " has another data directory than before (incarnation %016" PRIx64 ", known is %016" PRIx64
            "): it has lost what it promised and is refused; a new node, with a new id, takes its place (holdfast "
            "cluster replace)",
            node, incarnation, peer->incarnation);
    }
    if (starts.count == 0) {
        return 0;
    }
    err = peer->starts == 0 ? 0 : starts_check(peer, &starts, detail, detail_len);
    return err == 0 ? starts_note(dir, peer, &starts, detail, detail_len) : err;
}

int data_dir_expel(struct data_dir *dir, const uint64_t *nodes, unsigned nodes_len, char *detail, size_t detail_len)
{
    unsigned before = dir->expelled_len;
    for (unsigned i = 0; i < nodes_len; i++) {
        if (nodes[i] == dir->node || data_dir_is_expelled(dir, nodes[i])) {
            continue;
        }
        if (dir->expelled_len == DATA_DIR_PEERS_MAX) {
            dir->expelled_len = before;
            return data_dir_explain(detail, detail_len, ERR_LIMIT, "%s/peers: too many nodes have been given up",
                                    dir->path);
        }
        const struct data_dir_peer *peer = peers_find(dir, nodes[i]);
        dir->expelled[dir->expelled_len++] =
            (struct data_dir_expelled){.node = nodes[i], .incarnation = peer == NULL ? 0 : peer->incarnation};
    }
    int err = dir->expelled_len == before ? 0 : peers_write(dir, detail, detail_len);
    if (err != 0) {
        dir->expelled_len = before;
    }
    return err;
}
