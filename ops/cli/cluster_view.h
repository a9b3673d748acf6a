/* The members as their leader sees them: for commands that change them. */

#ifndef HOLDFAST_OPS_CLI_CLUSTER_VIEW_H
#define HOLDFAST_OPS_CLI_CLUSTER_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/client/hf.h"

#define VIEW_MEMBERS_MAX 16u
#define VIEW_DETAIL_LEN 256u

struct view_member {
    uint64_t id;
    char peer_address[256];
    char client_address[256]; /* "": not known. */
    char detail[VIEW_DETAIL_LEN];
    bool connected;
    bool voter;
    uint64_t match_index; /* Known to the leader only. */
};

struct view {
    uint64_t node;   /* Who sees it so. */
    uint64_t leader; /* 0: not known. */
    uint64_t log_last;
    struct view_member members[VIEW_MEMBERS_MAX];
    size_t members_len;
};

/* Asks the leader if it can be found and answers, else shows what the node has that `hf` is connected to. An error as of
 * hf_cluster(): then `hf` has the words for it. */
int view_take(struct hf *hf, uint64_t timeout_ms, struct view *ret_view) NODISCARD;

/* NULL: no such member. */
const struct view_member *view_find(const struct view *view, uint64_t node);

/* What the node says of itself, such as how far it is with a copy of the state, into `ret_text`; "" when it says nothing, or cannot
 * be asked. Takes a second at most. */
void view_detail(const struct view *view, uint64_t node, char *ret_text, size_t ret_text_len);

#endif
