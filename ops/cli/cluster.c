/* holdfast cluster status: what every node says of itself; transfer is in a file of its own. */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "commands.h"

#define NODES_MAX 32u
#define NODE_TIMEOUT_MS 3000u

static const char help[] =
    "Usage: holdfast cluster status | transfer [NODE]\n"
    "\n"
    "transfer hands leadership to another node: see holdfast cluster transfer --help. status:\n"
    "\n"
    "Asks every server of --servers, and the members that they name, and prints a row for each: its id, role, term, "
    "the\n"
    "last committed and applied entry, the entries in its log, that of its last checkpoint, and how many entries it\n"
    "replayed when it started, and what an operator should know of it. A member that does not answer is shown as the\n"
    "others see it. Above them: who leads, how many sessions are open, and why new messages are refused, if they are.\n"
    "Exits with 3 when no node answers.\n"
    "\n"
    "Example: holdfast --servers node1:7470,node2:7470,node3:7470 cluster status\n";

struct node_row {
    uint64_t id;
    char address[256]; /* Where it was asked, or may be. */
    bool answered;
    bool asked;
    char role[32];
    char cluster[64];
    char version[32];
    char detail[128];
    char refusing[160];
    struct client_cluster info; /* Its pointers are void. */
};

struct status {
    struct node_row rows[NODES_MAX];
    size_t len;
    struct node_row *asking;
};

static struct node_row *row_by_id(struct status *status, uint64_t id)
{
    for (size_t i = 0; i < status->len; i++) {
        if (status->rows[i].id == id) {
            return &status->rows[i];
        }
    }
    return NULL;
}

static void member_note(struct status *status, const struct client_member *member)
{
    struct node_row *row = row_by_id(status, member->id);
    for (size_t i = 0; i < status->len && row == NULL && member->client_address[0] != '\0'; i++) {
        if (status->rows[i].id == 0 && strcmp(status->rows[i].address, member->client_address) == 0) {
            row = &status->rows[i]; /* One of --servers, which has not answered (yet). */
            row->id = member->id;
        }
    }
    if (row == NULL && status->len < NODES_MAX) {
        row = &status->rows[status->len++];
        *row = (struct node_row){.id = member->id};
    }
    if (row == NULL || row->answered) {
        return;
    }
    snprintf(row->role, sizeof row->role, "%s", member->role);
    if (row->detail[0] == '\0') {
        snprintf(row->detail, sizeof row->detail, "%s", member->detail);
    }
    if (row->address[0] == '\0') {
        snprintf(row->address, sizeof row->address, "%s", member->client_address);
    }
}

static void cluster_note(void *arg, const struct client_cluster *cluster)
{
    struct status *status = arg;
    struct node_row *row = status->asking;
    struct node_row *known = row_by_id(status, cluster->node);
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
    snprintf(row->refusing, sizeof row->refusing, "%s", cluster->refusing);
    row->role[0] = '\0';
    row->detail[0] = '\0';
    for (size_t i = 0; i < cluster->members_len; i++) {
        const struct client_member *member = &cluster->members[i];
        if (member->id == cluster->node) {
            snprintf(row->role, sizeof row->role, "%s", member->role);
            snprintf(row->detail, sizeof row->detail, "%s", member->detail);
        } else {
            member_note(status, member);
        }
    }
}

/* Asks one node. What goes wrong is told in its row. */
static void row_ask(struct status *status, struct node_row *row, const struct cli *cli)
{
    row->asked = true;
    if (row->address[0] == '\0') {
        return;
    }
    struct hf_options options = {.servers = row->address, .client_name = "holdfast", .query_only = true};
    struct hf *hf;
    if (hf_open(&options, &hf) != 0) {
        return;
    }
    status->asking = row;
    uint64_t timeout_ms = cli->timeout_ms < NODE_TIMEOUT_MS ? cli->timeout_ms : NODE_TIMEOUT_MS;
    int err = hf_cluster(hf, timeout_ms, cluster_note, status);
    if (err != 0 && row->detail[0] == '\0') {
        snprintf(row->detail, sizeof row->detail, "%.120s", hf_error_detail(hf));
    }
    (void)hf_close(hf, 0);
}

static void row_print(const struct node_row *row)
{
    char log[48] = "-";
    const struct client_cluster *info = &row->info;
    if (!row->answered) {
        printf("%4llu  %-22s %-11s %6s %10s %10s %21s %10s %9s  %s\n", (unsigned long long)row->id, row->address,
               "unreachable", "-", "-", "-", log, "-", "-", row->detail);
        return;
    }
    snprintf(log, sizeof log, "%llu-%llu", (unsigned long long)info->log_first, (unsigned long long)info->log_last);
    printf("%4llu  %-22s %-11s %6llu %10llu %10llu %21s %10llu %9llu  %s\n", (unsigned long long)row->id, row->address,
           row->role, (unsigned long long)info->term, (unsigned long long)info->commit_index,
           (unsigned long long)info->applied_index, log, (unsigned long long)info->checkpoint_index,
           (unsigned long long)info->entries_replayed, row->detail);
}

static int by_id(const void *a, const void *b)
{
    const struct node_row *x = a;
    const struct node_row *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int status_print(struct status *status)
{
    qsort(status->rows, status->len, sizeof status->rows[0], by_id);
    bool any = false;
    for (size_t i = 0; i < status->len; i++) {
        const struct node_row *row = &status->rows[i];
        if (row->answered && row->info.node != 0 && !any) {
            any = true;
            printf("cluster %s, leader %llu, version %s, sessions %llu\n", row->cluster,
                   (unsigned long long)row->info.leader, row->version, (unsigned long long)row->info.sessions);
        }
    }
    for (size_t i = 0; i < status->len; i++) {
        const struct node_row *row = &status->rows[i];
        if (row->answered && row->info.node != 0 && row->refusing[0] != '\0') {
            printf("node %llu says: %s\n", (unsigned long long)row->id, row->refusing);
        }
    }
    printf("%4s  %-22s %-11s %6s %10s %10s %21s %10s %9s  %s\n", "NODE", "ADDRESS", "ROLE", "TERM", "COMMIT", "APPLIED",
           "LOG", "CHECKPOINT", "REPLAYED", "DETAIL");
    for (size_t i = 0; i < status->len; i++) {
        const struct node_row *row = &status->rows[i];
        if (!row->answered || row->info.node != 0) {
            row_print(row);
        }
    }
    if (!any) {
        fprintf(stderr, "holdfast: no node answers\n");
    }
    return any ? EXIT_DONE : EXIT_UNSURE;
}

static int status_run(const struct cli *cli)
{
    struct status *status = calloc(1, sizeof *status);
    char *servers = strdup(cli->servers);
    int exit_code = EXIT_REFUSED;
    if (status == NULL || servers == NULL) {
        exit_code = cli_fail("cluster status", ERR_NOMEM, NULL);
        goto out;
    }
    char *rest = NULL;
    for (char *address = strtok_r(servers, ", ", &rest); address != NULL && status->len < NODES_MAX;
         address = strtok_r(NULL, ", ", &rest)) {
        struct node_row *row = &status->rows[status->len++];
        snprintf(row->address, sizeof row->address, "%s", address);
    }
    for (size_t i = 0; i < status->len; i++) { /* Grows while nodes name others. */
        if (!status->rows[i].asked) {
            row_ask(status, &status->rows[i], cli);
        }
    }
    exit_code = status_print(status);
out:
    free(servers);
    free(status);
    return exit_code;
}

int cmd_cluster(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {CLI_OPTIONS};
    if (argc > 1 && strcmp(argv[1], "transfer") == 0) {
        return cmd_cluster_transfer(cli, argc - 1, argv + 1);
    }
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        int result = cli_option(cli, option, help);
        if (result != 0) {
            return cli_option_exit(result);
        }
    }
    if (argc - optind != 1 || strcmp(argv[optind], "status") != 0) {
        return cli_usage("cluster: status or transfer?", help);
    }
    return status_run(cli);
}
