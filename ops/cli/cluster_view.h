/* The members as their leader sees them: for commands that change them. */

#ifndef HOLDFAST_OPS_CLI_CLUSTER_VIEW_H
#define HOLDFAST_OPS_CLI_CLUSTER_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli.h"

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
    uint64_t node;     /* Who sees it so, */
    char address[256]; /* and where it was asked; "": through the client that was given. */
    uint64_t leader;   /* 0: not known. */
    uint64_t term;
    uint64_t log_last;
    bool
        takes_part; /* It is none that waits for a copy of the state, or for its cluster to begin: such a one knows neither who
                      * leads nor who votes. */
    bool founding; /* It waits for its cluster to begin. */
    struct view_member members[VIEW_MEMBERS_MAX];
    size_t members_len;
};

/* Asks the leader if it can be found and answers. The node that `hf` is connected to may not know who leads: then the others of
 * `servers` and those that it knows are asked, one after the other, and what the first says that does counts, or else the first
 * that takes part at all. An error as of hf_cluster(): then `hf` has the words for it. */
int view_take(struct hf *hf, const char *servers, uint64_t timeout_ms, struct view *ret_view) NODISCARD;

/* Opens the client anew when the view is the leader's, and was asked for elsewhere: from now on the leader comes first, then the
 * others. One that takes no part passes nothing on to it, and what the leader says to one that does may not come back. */
void view_turn_to_leader(const struct view *view, const struct cli *cli, struct hf **hf);

/* Why no leader is known, in words. */
void view_leaderless(const struct view *view, char *ret_text, size_t ret_text_len);

/* Whether it is the leader's own: then it is all true. */
bool view_is_leaders(const struct view *view);

/* NULL: no such member. */
const struct view_member *view_find(const struct view *view, uint64_t node);

/* The member that clients reach at this address; NULL: none, as far as is known. */
const struct view_member *view_client(const struct view *view, const char *address);

/* How many vote. */
unsigned view_voters(const struct view *view);

/* Whether it is the leader's own, and a majority of the voters is connected to it: then it has not been replaced unawares. */
bool view_has_majority(const struct view *view);

/* What the node says of itself, such as how far it is with a copy of the state, into `ret_text`; "" when it says nothing, or cannot
 * be asked. Takes a second at most. */
void view_detail(const struct view *view, uint64_t node, char *ret_text, size_t ret_text_len);

#endif
