/* A node that may not count on what it has: how it becomes one, while it runs or at its start, and what it does then. */

#include <stdio.h>

#include "node/node_private.h"
#include "proto/base/check.h"

static void patient_wake(void *arg)
{
    node_wake(arg);
}

static int patient_note_vote(void *arg, bool voter)
{
    struct node *node = arg;
    if (node->mark.voter && !voter) {
        journal_warning(node->journal, "repair",
                        "this node had a vote when it last knew, and has none now: if nobody has taken it away on "
                        "purpose, holdfast cluster promote gives it back when the node has caught up");
    }
    int err = repair_note_vote(posix_disk_base(node->disk), SHARD_DIR, voter);
    if (err == 0) {
        node->mark.voter = voter;
        node->mark.told = true;
    }
    return err;
}

/* Called from within the patient's turn: it is closed when that is over (node_turn()). */
static void patient_withdraw(void *arg)
{
    struct node *node = arg;
    node->withdrawn = true;
}

static void patient_fatal(void *arg, int err, const char *what)
{
    node_fatal(arg, err, what);
}

/* As its log has it, or as last known. */
static bool has_vote(const struct node *node)
{
    if (node->shard != NULL) {
        return shard_votes(node->shard);
    }
    const struct data_dir_member *own = node_member(node, node->config->node);
    return own != NULL && own->voter;
}

/* Whether there is anybody who may have what this node has lost. */
static bool has_others(const struct node *node)
{
    for (unsigned i = 0; i < node->members_len; i++) {
        if (node->members[i].id != node->config->node) {
            return true;
        }
    }
    return false;
}

bool node_note_damage(struct node *node, const char *what, bool ordered)
{
    if (!has_others(node) || node->disk == NULL) {
        return false; /* Nobody has a copy. */
    }
    int err = repair_mark_needed(posix_disk_base(node->disk), SHARD_DIR, what, has_vote(node), ordered);
    if (err != 0) {
        journal_error(node->journal, "damage", "%s/" SHARD_DIR "/repair: %s", node->config->data_dir, err_text(err));
        return false;
    }
    journal_error(node->journal, "damage", "%s: to be repaired from the other nodes", what);
    return true;
}

void node_damaged(void *arg, const char *what, bool ordered)
{
    struct node *node = arg;
    if (node->damaged || node->closing) {
        return;
    }
    if (!node_note_damage(node, what, ordered)) {
        node_fatal(node, ERR_IO, what);
    }
    node->damaged = true;
    node_wake(node);
}

int node_note_loss(struct node *node, const char *what, char *detail, size_t detail_len)
{
    if (!has_others(node)) {
        (void)snprintf(detail, detail_len, "%s; no other node has a copy", what);
        return ERR_CORRUPT;
    }
    int err = repair_failed(posix_disk_base(node->disk), SHARD_DIR, what, has_vote(node));
    if (err != 0) {
        (void)snprintf(detail, detail_len, "%s; %s/" SHARD_DIR "/repair: %s", what, node->config->data_dir,
                       err_text(err));
        return err;
    }
    journal_error(node->journal, "damage", "%s: to be repaired from the other nodes", what);
    return 0;
}

int node_start_failed(struct node *node, int err, char *detail, size_t detail_len)
{
    bool damage = err == ERR_CORRUPT || err == ERR_CHECKSUM || (err == ERR_REFUSED && node->plan.discard);
    if (!damage || !has_others(node)) {
        return err;
    }
    const char *what = detail[0] != '\0' ? detail : err_text(err);
    journal_error(node->journal, "damage", "%s: to be repaired from the other nodes", what);
    struct disk *disk = posix_disk_base(node->disk);
    err = repair_failed(disk, SHARD_DIR, what, has_vote(node));
    if (err == 0) {
        err = repair_begin(disk, SHARD_DIR, node->config->join, &node->state, &node->mark, &node->plan, detail,
                           detail_len);
    } else {
        (void)snprintf(detail, detail_len, "%s/" SHARD_DIR "/repair: %s", node->config->data_dir, err_text(err));
    }
    CHECK(err != 0 || node->plan.patient);
    return err;
}

/* Where clients and nodes reach the others, for whoever asks this node. */
static void know_members(struct node *node)
{
    const struct config *config = node->config;
    for (unsigned i = 0; i < node->members_len; i++) {
        node->known_members[i] = (struct driver_member){.id = node->members[i].id, .address = node->members[i].address};
    }
    for (unsigned i = 0; i < config->members_len; i++) {
        peers_set(&node->known, config->members[i].id, false, config->members[i].client_address);
    }
}

static bool patient_reach(void *arg, uint64_t id, const char *address)
{
    struct node *node = arg;
    bool reached = node_members_reach(node, id, address);
    know_members(node);
    patient_gateway_set_members(&node->patient_gateway, node->known_members, node->members_len);
    return reached;
}

#define FOUNDING_REASON "this cluster has not begun: it does when each of its nodes has met all the others"

int node_patient_open(struct node *node, char *detail, size_t detail_len)
{
    const struct config *config = node->config;
    uint64_t members[MEMBERS_MAX];
    for (unsigned i = 0; i < node->members_len; i++) {
        members[i] = node->members[i].id;
    }
    const struct patient_options options = {
        .node = config->node,
        .reason = node->founding ? FOUNDING_REASON : node->mark.reason,
        .vote = repair_vote(&node->mark),
        .ordered = node->mark.ordered,
        .founding = node->founding,
        .members = members,
        .members_len = node->members_len,
        .disk = posix_disk_base(node->disk),
        .clock = &node->clock.base,
        .journal = node->journal,
        .dir = SHARD_DIR,
        .rate = config->rebuild_rate,
        .disk_free_min = config->disk_free_bytes_min,
        .arg = node,
        .bulk_send = node_bulk_send,
        .bulk_hang_up = node_bulk_hang_up,
        .open_copy = node_open_copy,
        .note_vote = patient_note_vote,
        .reach = patient_reach,
        .replaced = node_replaced,
        .withdraw = patient_withdraw,
        .wake = patient_wake,
        .fatal = patient_fatal,
    };
    int err = patient_open(&options, &node->patient, detail, detail_len);
    if (err != 0) {
        return err;
    }
    know_members(node);
    const struct patient_gateway_options gateway = {
        .cluster = config->cluster,
        .version = HOLDFAST_VERSION,
        .node = config->node,
        .members = node->known_members,
        .members_len = node->members_len,
        .peers = &node->known,
        .patient = node->patient,
        .arg = node,
        .wake = patient_wake,
    };
    patient_gateway_init(&node->patient_gateway, &gateway);
    return 0;
}

void node_patient_close(struct node *node)
{
    if (node->patient == NULL) {
        return;
    }
    patient_gateway_done(&node->patient_gateway);
    patient_close(node->patient);
    node->patient = NULL;
}

void node_patient_withdraw(struct node *node)
{
    bool done = false;
    if (!node->withdrawn) {
        return;
    }
    int err = repair_withdraw(posix_disk_base(node->disk), SHARD_DIR, &done);
    if (err != 0 || !done) {
        journal_warning(node->journal, "repair", "the order to begin anew stays: %s",
                        err != 0 ? err_text(err) : "more is wrong here, or a copy has come");
    }
}
