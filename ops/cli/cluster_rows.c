/* What the nodes of a cluster say: each of itself, and what the others know of it. */

#include "cluster_rows.h"

#include <stdio.h>
#include <string.h>

/* What is too long is seen to go on. */
static void text_take(char *to, size_t size, const char *text)
{
    if (snprintf(to, size, "%s", text) >= (int)size) {
        memcpy(to + size - sizeof "...", "...", sizeof "...");
    }
}

static struct node_row *row_by_id(struct cluster_rows *rows, uint64_t id)
{
    for (size_t i = 0; i < rows->len; i++) {
        if (rows->row[i].id == id) {
            return &rows->row[i];
        }
    }
    return NULL;
}

static void member_note(struct cluster_rows *rows, const struct client_member *member)
{
    struct node_row *row = row_by_id(rows, member->id);
    for (size_t i = 0; i < rows->len && row == NULL && member->client_address[0] != '\0'; i++) {
        if (rows->row[i].id == 0 && strcmp(rows->row[i].address, member->client_address) == 0) {
            row = &rows->row[i]; /* One of --servers, which has not answered (yet). */
            row->id = member->id;
        }
    }
    if (row == NULL && rows->len < CLUSTER_ROWS_MAX) {
        row = &rows->row[rows->len++];
        *row = (struct node_row){.id = member->id};
    }
    if (row == NULL || row->answered) {
        return;
    }
    snprintf(row->role, sizeof row->role, "%s", member->role);
    if (row->detail[0] == '\0') {
        text_take(row->detail, sizeof row->detail, member->detail);
    }
    if (row->detail[0] == '\0' && row->address[0] == '\0' && member->client_address[0] == '\0') {
        snprintf(row->detail, sizeof row->detail, "not heard of yet at %.90s", member->peer_address);
    }
    if (row->address[0] == '\0') {
        snprintf(row->address, sizeof row->address, "%s", member->client_address);
    }
    if (member->zone[0] != '\0') {
        snprintf(row->zone, sizeof row->zone, "%s", member->zone);
    }
}

/* Whether it begins with all of the other. */
static bool alarm_covers(const char *alarm, const char *other)
{
    return strncmp(alarm, other, strlen(other)) == 0;
}

/* The leader knows those of others, too, and not always as much: each is shown once, in the most words. */
static void alarms_note(struct cluster_rows *rows, const struct client_cluster *cluster)
{
    for (size_t i = 0; i < cluster->alarms_len; i++) {
        char alarm[sizeof rows->alarms[0]];
        size_t at = 0;
        snprintf(alarm, sizeof alarm, "%s", cluster->alarms[i]);
        while (at < rows->alarms_len && !alarm_covers(rows->alarms[at], alarm) &&
               !alarm_covers(alarm, rows->alarms[at])) {
            at++;
        }
        if (at == CLUSTER_ALARMS_MAX || (at < rows->alarms_len && alarm_covers(rows->alarms[at], alarm))) {
            continue;
        }
        memcpy(rows->alarms[at], alarm, sizeof alarm);
        rows->alarms_len += at == rows->alarms_len;
    }
}

static void members_keep(struct node_row *row, const struct client_cluster *cluster)
{
    row->members_len = row->voters_len = 0;
    for (unsigned voters = 2; voters-- > 0;) {
        for (size_t i = 0; i < cluster->members_len && row->members_len < CLUSTER_MEMBERS_MAX; i++) {
            if (cluster->members[i].voter == (voters == 1)) {
                row->members[row->members_len++] = cluster->members[i].id;
                row->voters_len += voters;
            }
        }
    }
}

void cluster_rows_note(struct cluster_rows *rows, struct node_row *row, const struct client_cluster *cluster)
{
    struct node_row *known = row_by_id(rows, cluster->node);
    if (known != NULL && known != row) {
        if (known->answered) {
            row->asked = row->answered = true; /* The same node under another address: shown once. */
            row->id = 0;
            row->info.node = 0;
            return;
        }
        known->id = 0; /* Until now it was known from others. */
        known->asked = known->answered = true;
        known->info.node = 0;
    }
    row->id = cluster->node;
    row->answered = true;
    row->info = *cluster;
    snprintf(row->cluster, sizeof row->cluster, "%s", cluster->cluster);
    snprintf(row->version, sizeof row->version, "%s", cluster->version);
    text_take(row->refusing, sizeof row->refusing, cluster->refusing);
    snprintf(row->role, sizeof row->role, "removed"); /* Unless it finds itself among the members. */
    row->detail[0] = '\0';
    alarms_note(rows, cluster);
    members_keep(row, cluster);
    for (size_t i = 0; i < cluster->members_len; i++) {
        const struct client_member *member = &cluster->members[i];
        if (member->id == cluster->node) {
            snprintf(row->role, sizeof row->role, "%s", member->role);
            text_take(row->detail, sizeof row->detail, member->detail);
            snprintf(row->zone, sizeof row->zone, "%s", member->zone);
        } else {
            member_note(rows, member);
        }
    }
}
