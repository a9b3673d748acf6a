/* holdfast cluster status: what every node says of itself. */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "commands.h"

#define NODES_MAX 32u
#define NODE_TIMEOUT_MS 3000u
#define ALARMS_MAX 32u
#define MEMBERS_SHOWN_MAX 16u

struct node_row {
    uint64_t id;
    char address[256]; /* Where it was asked, or may be. */
    bool answered;
    bool asked;
    char role[32];
    char cluster[64];
    char version[32];
    char detail[256];
    char refusing[160];
    char zone[64];
    struct client_cluster info; /* Its pointers are void. */
    struct status *status;
    struct hf_client *client;            /* That asks it. */
    bool ended;                          /* It has answered, or will not. */
    uint64_t members[MEMBERS_SHOWN_MAX]; /* As it knows them; the voters first. */
    size_t members_len;
    size_t voters_len;
};

struct status {
    struct node_row rows[NODES_MAX];
    size_t len;
    size_t asking; /* Rows that have not ended. */
    uv_loop_t loop;
    uint64_t timeout_ms; /* For one answer. */
    char alarms[ALARMS_MAX][400];
    size_t alarms_len;
    bool zones; /* Some are known: they are shown. */
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
static void alarms_note(struct status *status, const struct client_cluster *cluster)
{
    for (size_t i = 0; i < cluster->alarms_len; i++) {
        char alarm[sizeof status->alarms[0]];
        size_t at = 0;
        snprintf(alarm, sizeof alarm, "%s", cluster->alarms[i]);
        while (at < status->alarms_len && !alarm_covers(status->alarms[at], alarm) &&
               !alarm_covers(alarm, status->alarms[at])) {
            at++;
        }
        if (at == ALARMS_MAX || (at < status->alarms_len && alarm_covers(status->alarms[at], alarm))) {
            continue;
        }
        memcpy(status->alarms[at], alarm, sizeof alarm);
        status->alarms_len += at == status->alarms_len;
    }
}

static void members_keep(struct node_row *row, const struct client_cluster *cluster)
{
    row->members_len = row->voters_len = 0;
    for (unsigned voters = 2; voters-- > 0;) {
        for (size_t i = 0; i < cluster->members_len && row->members_len < MEMBERS_SHOWN_MAX; i++) {
            if (cluster->members[i].voter == (voters == 1)) {
                row->members[row->members_len++] = cluster->members[i].id;
                row->voters_len += voters;
            }
        }
    }
}

static void cluster_note(struct status *status, struct node_row *row, const struct client_cluster *cluster)
{
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
    snprintf(row->role, sizeof row->role, "removed"); /* Unless it finds itself among the members. */
    row->detail[0] = '\0';
    alarms_note(status, cluster);
    members_keep(row, cluster);
    for (size_t i = 0; i < cluster->members_len; i++) {
        const struct client_member *member = &cluster->members[i];
        if (member->id == cluster->node) {
            snprintf(row->role, sizeof row->role, "%s", member->role);
            snprintf(row->detail, sizeof row->detail, "%s", member->detail);
            snprintf(row->zone, sizeof row->zone, "%s", member->zone);
        } else {
            member_note(status, member);
        }
    }
}

static void row_end(struct node_row *row, const char *trouble)
{
    row->ended = true;
    row->status->asking--;
    if (trouble[0] != '\0' && row->detail[0] == '\0') {
        snprintf(row->detail, sizeof row->detail, "%s", trouble);
    }
}

static void on_cluster(void *arg, int err, const char *detail, const struct client_query_result *result)
{
    struct node_row *row = arg;
    if (row->ended) {
        return;
    }
    if (err == 0) {
        cluster_note(row->status, row, result->cluster);
    }
    row_end(row, err == 0 ? "" : detail);
}

/* One attempt is enough to say that a node is not there now. */
static void on_trouble(void *arg, const char *detail)
{
    struct node_row *row = arg;
    if (!row->ended) {
        row_end(row, detail);
    }
}

/* Of a client without a session. */
static void on_nothing(void *arg, const struct client_delivery *delivery)
{
    (void)arg;
    (void)delivery;
}

static void on_nothing_ended(void *arg, uint64_t consumer, int err, const char *detail)
{
    (void)arg;
    (void)consumer;
    (void)err;
    (void)detail;
}

/* Begins to ask one node. What goes wrong is told in its row. */
static void row_ask(struct status *status, struct node_row *row)
{
    struct hf_options options = {.servers = row->address,
                                 .client_name = "holdfast",
                                 .query_only = true,
                                 .trouble = on_trouble,
                                 .trouble_arg = row};
    struct hf_events events = {.arg = row, .delivery = on_nothing, .consumer_ended = on_nothing_ended};
    row->status = status;
    row->asked = true;
    status->asking++;
    int err = row->address[0] == '\0' ? 0 : hf_client_new(&status->loop, &options, &events, &row->client);
    if (row->client != NULL) {
        err = client_core_query_cluster(hf_client_core(row->client), status->timeout_ms, on_cluster, row);
    }
    if (row->client == NULL || err != 0) {
        row_end(row, err == ERR_INVALID ? "not host:port" : err != 0 ? err_text(err) : "");
    }
}

static bool rows_are_asked(const struct status *status)
{
    for (size_t i = 0; i < status->len; i++) {
        if (!status->rows[i].asked) {
            return false;
        }
    }
    return true;
}

/* All at once: one that does not answer holds nobody up. Their number grows while nodes name others, the last one that answers
 * as well. */
static void rows_ask(struct status *status)
{
    do {
        for (size_t i = 0; i < status->len; i++) {
            if (!status->rows[i].asked) {
                row_ask(status, &status->rows[i]);
            }
        }
        if (status->asking > 0) {
            uv_run(&status->loop, UV_RUN_ONCE);
        }
    } while (status->asking > 0 || !rows_are_asked(status));
    for (size_t i = 0; i < status->len; i++) {
        hf_client_free(status->rows[i].client, NULL, NULL);
    }
    uv_run(&status->loop, UV_RUN_DEFAULT);
}

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
    if (row->status != NULL && row->status->zones) {
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
static bool row_has_majority(const struct status *status, const struct node_row *row)
{
    size_t agree = 0;
    for (size_t i = 0; i < status->len; i++) {
        bool votes = false;
        for (size_t j = 0; j < row->voters_len; j++) {
            votes = votes || row->members[j] == status->rows[i].id;
        }
        agree += votes && row_follows(&status->rows[i], row);
    }
    return row->info.leader != 0 && agree > row->voters_len / 2;
}

/* What the cluster says of itself is what a majority says, or else the node in the highest term: another may have been cut off, or
 * removed. */
static const struct node_row *newest_row(const struct status *status)
{
    const struct node_row *newest = NULL;
    for (size_t i = 0; i < status->len; i++) {
        const struct node_row *row = &status->rows[i];
        if (row->answered && row->info.node != 0 && row->info.leader == row->id && row_has_majority(status, row)) {
            return row;
        }
    }
    for (size_t i = 0; i < status->len; i++) {
        const struct node_row *row = &status->rows[i];
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
static void rows_mark_removed(struct status *status, const struct node_row *newest)
{
    for (size_t i = 0; i < status->len; i++) {
        struct node_row *row = &status->rows[i];
        if (row->answered && row->info.node != 0 && row_takes_part(row) && row_has_majority(status, newest) &&
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

static int status_print(struct status *status)
{
    qsort(status->rows, status->len, sizeof status->rows[0], by_id);
    const struct node_row *newest = newest_row(status);
    if (newest != NULL) {
        head_print(newest);
        rows_mark_removed(status, newest);
    }
    for (size_t i = 0; i < status->len; i++) {
        const struct node_row *row = &status->rows[i];
        if (row->answered && row->info.node != 0 && row_takes_part(row) && row->refusing[0] != '\0') {
            printf("node %llu says: %s\n", (unsigned long long)row->id, row->refusing);
        }
    }
    for (size_t i = 0; i < status->alarms_len; i++) {
        printf("alarm: %s\n", status->alarms[i]);
    }
    for (size_t i = 0; i < status->len; i++) {
        status->zones = status->zones || status->rows[i].zone[0] != '\0';
    }
    printf("%4s  %-22s %-11s%s %6s %10s %10s %21s %10s %9s  %s\n", "NODE", "ADDRESS", "ROLE",
           status->zones ? " ZONE      " : "", "TERM", "COMMIT", "APPLIED", "LOG", "CHECKPOINT", "REPLAYED", "DETAIL");
    for (size_t i = 0; i < status->len; i++) {
        const struct node_row *row = &status->rows[i];
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

int cmd_cluster_status(const struct cli *cli)
{
    struct status *status = calloc(1, sizeof *status);
    char *servers = strdup(cli->servers);
    int exit_code = EXIT_REFUSED;
    if (status == NULL || servers == NULL || uv_loop_init(&status->loop) != 0) {
        exit_code = cli_fail("cluster status", ERR_NOMEM, NULL);
        goto out;
    }
    status->timeout_ms = cli->timeout_ms < NODE_TIMEOUT_MS ? cli->timeout_ms : NODE_TIMEOUT_MS;
    char *rest = NULL;
    for (char *address = strtok_r(servers, ", ", &rest); address != NULL && status->len < NODES_MAX;
         address = strtok_r(NULL, ", ", &rest)) {
        struct node_row *row = &status->rows[status->len++];
        snprintf(row->address, sizeof row->address, "%s", address);
    }
    rows_ask(status);
    exit_code = status_print(status);
    (void)uv_loop_close(&status->loop);
out:
    free(servers);
    free(status);
    return exit_code;
}
