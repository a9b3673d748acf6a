/* The table of a cluster's nodes, for people. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster_rows.h"

static void row_print(const struct node_row *row)
{
    char log[48] = "-";
    char id[24] = "?";
    const struct client_cluster *info = &row->info;
    if (row->id != 0) {
        snprintf(id, sizeof id, "%llu", (unsigned long long)row->id);
    }
    char zone[80] = "";
    const char *address = row->address[0] != '\0' ? row->address : "-";
    if (row->among != NULL && row->among->zones) {
        snprintf(zone, sizeof zone, " %-10s", row->zone[0] != '\0' ? row->zone : "-");
    }
    if (!row->answered) {
        printf("%4s  %-22s %-11s%s %6s %10s %10s %21s %10s %9s  %s\n", id, address, "unreachable", zone, "-", "-", "-",
               log, "-", "-", row->detail);
        return;
    }
    snprintf(log, sizeof log, "%llu-%llu", (unsigned long long)info->log_first, (unsigned long long)info->log_last);
    printf("%4s  %-22s %-11s%s %6llu %10llu %10llu %21s %10llu %9llu  %s\n", id, address, row->role, zone,
           (unsigned long long)info->term, (unsigned long long)info->commit_index,
           (unsigned long long)info->applied_index, log, (unsigned long long)info->checkpoint_index,
           (unsigned long long)info->entries_replayed, row->detail);
}

static int by_id(const void *a, const void *b)
{
    const struct node_row *x = a;
    const struct node_row *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static bool row_follows(const struct node_row *row, const struct node_row *other)
{
    return row->answered && row->info.node != 0 && row->info.leader == other->info.leader &&
           row->info.term == other->info.term;
}

/* Whether a majority of the voters that the node knows has the same leader as it has. */
static bool row_has_majority(const struct cluster_rows *rows, const struct node_row *row)
{
    size_t agree = 0;
    for (size_t i = 0; i < rows->len; i++) {
        bool votes = false;
        for (size_t j = 0; j < row->voters_len; j++) {
            votes = votes || row->members[j] == rows->row[i].id;
        }
        agree += votes && row_follows(&rows->row[i], row);
    }
    return row->info.leader != 0 && agree > row->voters_len / 2;
}

/* What the cluster says of itself is what a majority says, or else the node in the highest term: another may have been cut off, or
 * removed. */
static const struct node_row *newest_row(const struct cluster_rows *rows)
{
    const struct node_row *newest = NULL;
    for (size_t i = 0; i < rows->len; i++) {
        const struct node_row *row = &rows->row[i];
        if (row->answered && row->info.node != 0 && row->info.leader == row->id && row_has_majority(rows, row)) {
            return row;
        }
    }
    for (size_t i = 0; i < rows->len; i++) {
        const struct node_row *row = &rows->row[i];
        bool knows = row->answered && row->info.node != 0;
        if (knows && (newest == NULL || row->info.term > newest->info.term ||
                      (row->info.term == newest->info.term && newest->info.leader == 0))) {
            newest = row;
        }
    }
    return newest;
}

static bool row_knows_member(const struct node_row *row, uint64_t id)
{
    for (size_t i = 0; i < row->members_len; i++) {
        if (row->members[i] == id) {
            return true;
        }
    }
    return false;
}

/* One that does not has its own words for that in its row. */
static bool row_takes_part(const struct node_row *row)
{
    return strcmp(row->role, "joining") != 0 && strcmp(row->role, "repairing") != 0 &&
           strcmp(row->role, "founding") != 0;
}

/* A node that is no member any more may not have heard of it. */
static void rows_mark_removed(struct cluster_rows *rows, const struct node_row *newest)
{
    for (size_t i = 0; i < rows->len; i++) {
        struct node_row *row = &rows->row[i];
        if (row->answered && row->info.node != 0 && row_takes_part(row) && row_has_majority(rows, newest) &&
            !row_knows_member(newest, row->id)) {
            snprintf(row->role, sizeof row->role, "removed");
        }
    }
}

static void head_print(const struct node_row *row)
{
    char leader[24] = "none";
    if (row->info.leader != 0) {
        snprintf(leader, sizeof leader, "%llu", (unsigned long long)row->info.leader);
    }
    printf("cluster %s, leader %s, version %s, rules %u, sessions %llu\n", row->cluster, leader, row->version,
           row->info.machine_version, (unsigned long long)row->info.sessions);
}

int cluster_rows_print(struct cluster_rows *rows)
{
    qsort(rows->row, rows->len, sizeof rows->row[0], by_id);
    const struct node_row *newest = newest_row(rows);
    if (newest != NULL) {
        head_print(newest);
        rows_mark_removed(rows, newest);
    }
    for (size_t i = 0; i < rows->len; i++) {
        const struct node_row *row = &rows->row[i];
        bool own = row->info.leader == row->info.node; /* The others repeat what the leader says. */
        if (row->answered && row->info.node != 0 && own && row_takes_part(row) && row->refusing[0] != '\0') {
            printf("node %llu says: %s\n", (unsigned long long)row->id, row->refusing);
        }
    }
    for (size_t i = 0; i < rows->alarms_len; i++) {
        printf("alarm: %s\n", rows->alarms[i]);
    }
    for (size_t i = 0; i < rows->len; i++) {
        rows->zones = rows->zones || rows->row[i].zone[0] != '\0';
    }
    printf("%4s  %-22s %-11s%s %6s %10s %10s %21s %10s %9s  %s\n", "NODE", "ADDRESS", "ROLE",
           rows->zones ? " ZONE      " : "", "TERM", "COMMIT", "APPLIED", "LOG", "CHECKPOINT", "REPLAYED", "DETAIL");
    for (size_t i = 0; i < rows->len; i++) {
        const struct node_row *row = &rows->row[i];
        if (!row->answered || row->info.node != 0) {
            row_print(row);
        }
    }
    if (newest == NULL) {
        fprintf(stderr, "holdfast: no node answers\n");
    } else if (newest->info.leader == 0) {
        fprintf(stderr, "holdfast: there is no leader: a majority of the nodes must run and reach each other\n");
    }
    return newest != NULL && newest->info.leader != 0 ? EXIT_DONE : EXIT_UNSURE;
}
