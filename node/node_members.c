/* Who is a member of the cluster, for a node's links and for its next start. The log knows; the directory remembers, since a
 * node whose log cannot be read must find the others all the same; the configuration is for the first start. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "node/node_private.h"
#include "proto/base/check.h"

/* What could not be noted is noted again. */
#define MEMBERS_RETRY_MS 1000u

/* Time for the last words to a node that was removed, in election timeouts: a little more than the driver takes for them. */
#define LEAVING_ELECTIONS 24u

const struct data_dir_member *node_member(const struct node *node, uint64_t id)
{
    for (unsigned i = 0; i < node->members_len; i++) {
        if (node->members[i].id == id) {
            return &node->members[i];
        }
    }
    return NULL;
}

static void add_member(struct node *node, uint64_t id, const char *address, bool voter)
{
    CHECK(node->members_len < MEMBERS_MAX);
    struct data_dir_member *member = &node->members[node->members_len++];
    member->id = id;
    member->voter = voter;
    (void)snprintf(member->address, sizeof member->address, "%s", address);
}

/* As configured. One that joins does not vote before the others say so. */
static void take_configured(struct node *node)
{
    const struct config *config = node->config;
    node->members_len = 0;
    for (unsigned i = 0; i < config->members_len; i++) {
        const struct config_member *member = &config->members[i];
        add_member(node, member->id, member->peer_address, !(config->join && member->id == config->node));
    }
}

int node_members_load(struct node *node, char *detail, size_t detail_len)
{
    char why[512] = "";
    int err = data_dir_members_read(node->data_dir, node->members, &node->members_len, why, sizeof why);
    if (err == 0) {
        return 0;
    }
    if (err != ERR_NOT_FOUND && err != ERR_CORRUPT) {
        (void)snprintf(detail, detail_len, "%s", why);
        return err;
    }
    if (err == ERR_CORRUPT) {
        journal_warning(node->journal, "members", "%s: taking them from the configuration", why);
    }
    take_configured(node);
    return 0;
}

/* Who has voted beside this node had met it before, as had those with whom it began. One that has been added alone may not have
 * come yet. */
int node_members_check(const struct node *node, char *detail, size_t detail_len)
{
    if (data_dir_part(node->data_dir) != DATA_DIR_PART_TAKEN || data_dir_has_peers(node->data_dir)) {
        return 0;
    }
    for (unsigned i = 0; i < node->members_len; i++) {
        if (node->members[i].id != node->config->node && node->members[i].voter) {
            (void)snprintf(detail, detail_len,
                           "%s/peers is missing, though this node has taken part beside node %" PRIu64
                           ": it cannot be repaired without that: holdfast cluster replace",
                           node->config->data_dir, node->members[i].id);
            return ERR_CORRUPT;
        }
    }
    return 0;
}

static void take_from_log(struct node *node)
{
    struct driver_status status;
    driver_status(shard_driver(node->shard), &status);
    node->members_len = 0;
    for (unsigned i = 0; i < status.members_len; i++) {
        add_member(node, status.members[i].id, status.members[i].address, status.members[i].voter);
    }
}

/* A node that is removed hears of it from the leader, so its link stays for a while. */
static void leave_later(struct node *node, uint64_t id, uint64_t now_ms)
{
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        if (node->leaving[i].id == 0) {
            node->leaving[i] = (struct node_leaving){
                .id = id, .until_ms = now_ms + (uint64_t)LEAVING_ELECTIONS * node->config->election_timeout_ms};
            return;
        }
    }
    int err = peer_links_remove(node->peers, id); /* So many at once are not given time. */
    journal_debug(node->journal, "members", "node %" PRIu64 " has left: %s", id, err_text(err));
}

static void end_leaving(struct node *node, uint64_t now_ms)
{
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        struct node_leaving *leaving = &node->leaving[i];
        if (leaving->id == 0 || now_ms < leaving->until_ms) {
            continue;
        }
        int err = node_member(node, leaving->id) == NULL ? peer_links_remove(node->peers, leaving->id) : 0;
        journal_debug(node->journal, "members", "node %" PRIu64 " has left: %s", leaving->id, err_text(err));
        leaving->id = 0;
    }
}

/* Those who have left and are still being told so have places among the links. In the largest cluster there is none for whoever
 * comes after them: then they have had their time. */
static int add_link(struct node *node, const struct data_dir_member *member)
{
    int err = peer_links_add(node->peers, member->id, member->address);
    if (err == ERR_LIMIT) {
        end_leaving(node, UINT64_MAX);
        err = peer_links_add(node->peers, member->id, member->address);
    }
    return err == ERR_EXISTS ? peer_links_set_address(node->peers, member->id, member->address) : err;
}

/* Those who left, then those who came, as `before` was. */
static void change_links(struct node *node, const struct data_dir_member *before, unsigned before_len, uint64_t now_ms)
{
    uint64_t own = node->config->node;
    for (unsigned i = 0; i < before_len; i++) {
        if (before[i].id != own && node_member(node, before[i].id) == NULL) {
            leave_later(node, before[i].id, now_ms);
        }
    }
    for (unsigned i = 0; i < node->members_len; i++) {
        const struct data_dir_member *member = &node->members[i];
        int err = member->id == own ? 0 : add_link(node, member);
        if (err != 0) {
            journal_error(node->journal, "members", "node %" PRIu64 " at %s cannot be dialled: %s", member->id,
                          member->address, err_text(err));
        }
    }
}

/* Noted for the next start, too. A leader votes. */
bool node_members_reach(struct node *node, uint64_t id, const char *address)
{
    char detail[512];
    if (node_member(node, id) != NULL || node->members_len == MEMBERS_MAX) {
        return node_member(node, id) != NULL;
    }
    struct data_dir_member member = {.id = id, .voter = true};
    (void)snprintf(member.address, sizeof member.address, "%s", address);
    int err = add_link(node, &member);
    if (err != 0) {
        journal_warning(node->journal, "members", "node %" PRIu64 " at %s cannot be dialled: %s", id, address,
                        err_text(err));
        return false;
    }
    add_member(node, id, address, true);
    err = data_dir_members_write(node->data_dir, node->members, node->members_len, detail, sizeof detail);
    if (err != 0) {
        journal_warning(node->journal, "members", "%s", detail); /* It is told again. */
    }
    return true;
}

void node_members_step(struct node *node)
{
    uint64_t now_ms = node->clock.base.monotonic_ms(&node->clock.base);
    end_leaving(node, now_ms);
    if (!node->members_due || node->shard == NULL || now_ms < node->members_ms) {
        return;
    }
    struct data_dir_member before[MEMBERS_MAX];
    unsigned before_len = node->members_len;
    memcpy(before, node->members, sizeof before);
    take_from_log(node);
    change_links(node, before, before_len, now_ms);
    char detail[512];
    int err = data_dir_members_write(node->data_dir, node->members, node->members_len, detail, sizeof detail);
    if (err != 0) {
        journal_warning(node->journal, "members", "%s", detail);
        node->members_ms = now_ms + MEMBERS_RETRY_MS;
        return;
    }
    node->members_due = false;
}

uint64_t node_members_deadline_ms(const struct node *node)
{
    uint64_t deadline_ms = node->members_due && node->shard != NULL ? node->members_ms : UINT64_MAX;
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        const struct node_leaving *leaving = &node->leaving[i];
        deadline_ms = leaving->id != 0 && leaving->until_ms < deadline_ms ? leaving->until_ms : deadline_ms;
    }
    return deadline_ms;
}

void node_removed(void *arg)
{
    struct node *node = arg;
    struct driver_status status;
    char text[256];
    char detail[512];
    driver_status(shard_driver(node->shard), &status);
    for (unsigned i = 0; i < status.members_len; i++) {
        if (status.members[i].id == node->config->node) {
            return; /* It has been added again since. */
        }
    }
    (void)snprintf(text, sizeof text,
                   "node %" PRIu64 " was removed from cluster %s at entry %" PRIu64
                   ": to come back it needs an empty directory and a new id",
                   node->config->node, node->config->cluster, status.members_index);
    journal_warning(node->journal, "members", "%s", text);
    int err = data_dir_removed_write(node->data_dir, text, detail, sizeof detail);
    if (err != 0) {
        journal_warning(node->journal, "members", "%s", detail); /* The others refuse it all the same. */
    }
    node_stop(node);
}
