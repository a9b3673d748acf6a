/* Looking at the members. */

#include "cluster_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One node is asked; that should not take long. */
#define ONE_TIMEOUT_MS 1000u

static bool role_takes_part(const char *role)
{
    return strcmp(role, "joining") != 0 && strcmp(role, "repairing") != 0 && strcmp(role, "founding") != 0;
}

static void on_cluster(void *arg, const struct client_cluster *cluster)
{
    struct view *view = arg;
    *view = (struct view){.node = cluster->node,
                          .leader = cluster->leader,
                          .term = cluster->term,
                          .log_last = cluster->log_last,
                          .takes_part = true};
    for (size_t i = 0; i < cluster->members_len && i < VIEW_MEMBERS_MAX; i++) {
        const struct client_member *from = &cluster->members[i];
        if (from->id == cluster->node) {
            view->takes_part = role_takes_part(from->role);
            view->founding = strcmp(from->role, "founding") == 0;
        }
        struct view_member *to = &view->members[view->members_len++];
        to->id = from->id;
        to->connected = from->connected;
        to->voter = from->voter;
        to->match_index = from->match_index;
        snprintf(to->peer_address, sizeof to->peer_address, "%s", from->peer_address);
        snprintf(to->client_address, sizeof to->client_address, "%s", from->client_address);
        snprintf(to->detail, sizeof to->detail, "%s", from->detail);
    }
}

/* What one node has. Whether it answered. */
static bool view_ask(const char *address, struct view *ret_view)
{
    struct hf_options options = {.servers = address, .client_name = "holdfast", .query_only = true};
    struct hf *hf;
    if (address[0] == '\0' || hf_open(&options, &hf) != 0) {
        return false;
    }
    bool answered = hf_cluster(hf, ONE_TIMEOUT_MS, on_cluster, ret_view) == 0;
    (void)hf_close(hf, 0);
    snprintf(ret_view->address, sizeof ret_view->address, "%s", address);
    return answered;
}

/* Takes what this node has, if that is more. Whether a leader is known now. */
static bool view_better(struct view *view, const char *address)
{
    struct view theirs;
    if (view_ask(address, &theirs) && (theirs.leader != 0 || (theirs.takes_part && !view->takes_part))) {
        *view = theirs;
    }
    return view->leader != 0;
}

static bool is_listed(const char *servers, const char *address)
{
    size_t len = strlen(address);
    for (const char *at = servers; (at = strstr(at, address)) != NULL; at += len) {
        bool begins = at == servers || at[-1] == ',' || at[-1] == ' ';
        if (begins && (at[len] == '\0' || at[len] == ',' || at[len] == ' ')) {
            return true;
        }
    }
    return false;
}

/* The members that the first one named, those of --servers aside. */
static void view_ask_members(const char *servers, struct view *view)
{
    const struct view first = *view;
    for (size_t i = 0; i < first.members_len && view->leader == 0; i++) {
        const char *address = first.members[i].client_address;
        if (first.members[i].id != first.node && address[0] != '\0' && !is_listed(servers, address)) {
            (void)view_better(view, address);
        }
    }
}

static void view_ask_others(const char *servers, struct view *view)
{
    char *list = strdup(servers);
    char *rest = NULL;
    for (char *at = list == NULL ? NULL : strtok_r(list, ", ", &rest); at != NULL; at = strtok_r(NULL, ", ", &rest)) {
        if (view_better(view, at)) {
            break;
        }
    }
    free(list);
    view_ask_members(servers, view);
}

static void view_ask_leader(struct view *view)
{
    const struct view_member *leader = view_find(view, view->leader);
    struct view theirs;
    if (leader != NULL && view_ask(leader->client_address, &theirs) && view_is_leaders(&theirs)) {
        *view = theirs;
    }
}

int view_take(struct hf *hf, const char *servers, uint64_t timeout_ms, struct view *ret_view)
{
    int err = hf_cluster(hf, timeout_ms, on_cluster, ret_view);
    if (err != 0) {
        return err;
    }
    if (ret_view->leader == 0) {
        view_ask_others(servers, ret_view);
    }
    if (ret_view->leader != 0 && ret_view->leader != ret_view->node) {
        view_ask_leader(ret_view);
    }
    return 0;
}

void view_turn_to_leader(const struct view *view, const struct cli *cli, struct hf **hf)
{
    struct cli turned = *cli;
    struct hf *opened;
    size_t size = strlen(view->address) + 1 + strlen(cli->servers) + 1;
    char *servers = view_is_leaders(view) && view->address[0] != '\0' ? malloc(size) : NULL;
    if (servers == NULL) {
        return;
    }
    snprintf(servers, size, "%s,%s", view->address, cli->servers);
    turned.servers = servers;
    if (cli_open_query(&turned, &opened) == 0) {
        (void)hf_close(*hf, 0);
        *hf = opened;
    }
    free(servers);
}

void view_leaderless(const struct view *view, char *ret_text, size_t ret_text_len)
{
    const struct view_member *own = view_find(view, view->node);
    if (view->founding && own != NULL) {
        snprintf(ret_text, ret_text_len, "%s", own->detail);
    } else if (!view->takes_part) {
        snprintf(
            ret_text, ret_text_len,
            "node %llu takes no part in the cluster until it has a copy of the state, and no node answers that does",
            (unsigned long long)view->node);
    } else {
        snprintf(ret_text, ret_text_len, "there is no leader: a majority of the voters must run and reach each other");
    }
}

bool view_is_leaders(const struct view *view)
{
    return view->leader != 0 && view->leader == view->node;
}

const struct view_member *view_find(const struct view *view, uint64_t node)
{
    for (size_t i = 0; i < view->members_len; i++) {
        if (view->members[i].id == node) {
            return &view->members[i];
        }
    }
    return NULL;
}

const struct view_member *view_client(const struct view *view, const char *address)
{
    for (size_t i = 0; i < view->members_len; i++) {
        if (strcmp(view->members[i].client_address, address) == 0) {
            return &view->members[i];
        }
    }
    return NULL;
}

unsigned view_voters(const struct view *view)
{
    unsigned voters = 0;
    for (size_t i = 0; i < view->members_len; i++) {
        voters += view->members[i].voter;
    }
    return voters;
}

bool view_has_majority(const struct view *view)
{
    unsigned there = 0;
    for (size_t i = 0; i < view->members_len; i++) {
        const struct view_member *member = &view->members[i];
        there += member->voter && (member->connected || member->id == view->node);
    }
    return view_is_leaders(view) && 2 * there > view_voters(view);
}

void view_detail(const struct view *view, uint64_t node, char *ret_text, size_t ret_text_len)
{
    const struct view_member *member = view_find(view, node);
    struct view own;
    ret_text[0] = '\0';
    if (member == NULL || !view_ask(member->client_address, &own) || own.node != node) {
        return;
    }
    member = view_find(&own, node);
    if (member != NULL) {
        snprintf(ret_text, ret_text_len, "%s", member->detail);
    }
}
