/* Looking at the members. */

#include "cluster_view.h"

#include <stdio.h>
#include <string.h>

/* One node is asked; that should not take long. */
#define ONE_TIMEOUT_MS 1000u

static void on_cluster(void *arg, const struct client_cluster *cluster)
{
    struct view *view = arg;
    *view = (struct view){.node = cluster->node, .leader = cluster->leader, .log_last = cluster->log_last};
    for (size_t i = 0; i < cluster->members_len && i < VIEW_MEMBERS_MAX; i++) {
        const struct client_member *from = &cluster->members[i];
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
    return answered;
}

int view_take(struct hf *hf, uint64_t timeout_ms, struct view *ret_view)
{
    int err = hf_cluster(hf, timeout_ms, on_cluster, ret_view);
    if (err != 0 || ret_view->leader == 0 || ret_view->leader == ret_view->node) {
        return err;
    }
    const struct view_member *leader = view_find(ret_view, ret_view->leader);
    struct view theirs;
    if (leader != NULL && view_ask(leader->client_address, &theirs) && theirs.leader == theirs.node) {
        *ret_view = theirs;
    }
    return 0;
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
