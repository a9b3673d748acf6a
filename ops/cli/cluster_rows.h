/* What the nodes of a cluster say of themselves and of each other: a row a node. */

#ifndef HOLDFAST_OPS_CLI_CLUSTER_ROWS_H
#define HOLDFAST_OPS_CLI_CLUSTER_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli.h"

#define CLUSTER_ROWS_MAX 32u
#define CLUSTER_ALARMS_MAX 32u
#define CLUSTER_MEMBERS_MAX 16u

struct node_row {
    uint64_t id;
    char address[256]; /* Where it was asked, or may be. */
    bool answered;
    bool asked;
    char role[32];
    char cluster[64];
    char version[32];
    char detail[256];
    char refusing[900];
    char zone[64];
    struct client_cluster info; /* Its pointers are void. */
    struct cluster_rows *among;
    struct hf_client *client;              /* That asks it. */
    bool ended;                            /* It has answered, or will not. */
    uint64_t members[CLUSTER_MEMBERS_MAX]; /* As it knows them; the voters first. */
    size_t members_len;
    size_t voters_len;
};

struct cluster_rows {
    struct node_row row[CLUSTER_ROWS_MAX];
    size_t len;
    size_t asking; /* Rows that have not ended. */
    uv_loop_t loop;
    uint64_t timeout_ms; /* For one answer. */
    char alarms[CLUSTER_ALARMS_MAX][400];
    size_t alarms_len;
    bool zones; /* Some are known: they are shown. */
};

/* Takes what the node of a row has answered: what it says of itself, its alarms, and the nodes that it knows, which get rows as
 * well as long as there is room. */
void cluster_rows_note(struct cluster_rows *rows, struct node_row *row, const struct client_cluster *cluster);

/* Prints all of it, in order of id. Returns the exit code: EXIT_UNSURE when nobody answered, or there is no leader. */
int cluster_rows_print(struct cluster_rows *rows);

#endif
