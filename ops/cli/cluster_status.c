/* holdfast cluster status: what every node says of itself. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster_rows.h"
#include "commands.h"

#define NODE_TIMEOUT_MS 3000u

static void row_end(struct node_row *row, const char *trouble)
{
    row->ended = true;
    row->among->asking--;
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
        cluster_rows_note(row->among, row, result->cluster);
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
static void row_ask(struct cluster_rows *rows, struct node_row *row)
{
    struct hf_options options = {.servers = row->address,
                                 .client_name = "holdfast",
                                 .query_only = true,
                                 .trouble = on_trouble,
                                 .trouble_arg = row};
    struct hf_events events = {.arg = row, .delivery = on_nothing, .consumer_ended = on_nothing_ended};
    row->among = rows;
    row->asked = true;
    rows->asking++;
    int err = row->address[0] == '\0' ? 0 : hf_client_new(&rows->loop, &options, &events, &row->client);
    if (row->client != NULL) {
        err = client_core_query_cluster(hf_client_core(row->client), rows->timeout_ms, on_cluster, row);
    }
    if (row->client == NULL || err != 0) {
        row_end(row, err == ERR_INVALID ? "not host:port" : err != 0 ? err_text(err) : "");
    }
}

static bool rows_are_asked(const struct cluster_rows *rows)
{
    for (size_t i = 0; i < rows->len; i++) {
        if (!rows->row[i].asked) {
            return false;
        }
    }
    return true;
}

/* All at once: one that does not answer holds nobody up. Their number grows while nodes name others, the last one that answers
 * as well. */
static void rows_ask(struct cluster_rows *rows)
{
    do {
        for (size_t i = 0; i < rows->len; i++) {
            if (!rows->row[i].asked) {
                row_ask(rows, &rows->row[i]);
            }
        }
        if (rows->asking > 0) {
            uv_run(&rows->loop, UV_RUN_ONCE);
        }
    } while (rows->asking > 0 || !rows_are_asked(rows));
    for (size_t i = 0; i < rows->len; i++) {
        hf_client_free(rows->row[i].client, NULL, NULL);
    }
    uv_run(&rows->loop, UV_RUN_DEFAULT);
}

int cmd_cluster_status(const struct cli *cli)
{
    struct cluster_rows *rows = calloc(1, sizeof *rows);
    char *servers = strdup(cli->servers);
    int exit_code = EXIT_REFUSED;
    if (rows == NULL || servers == NULL || uv_loop_init(&rows->loop) != 0) {
        exit_code = cli_fail("cluster status", ERR_NOMEM, NULL);
        goto out;
    }
    rows->timeout_ms = cli->timeout_ms < NODE_TIMEOUT_MS ? cli->timeout_ms : NODE_TIMEOUT_MS;
    char *rest = NULL;
    for (char *address = strtok_r(servers, ", ", &rest); address != NULL && rows->len < CLUSTER_ROWS_MAX;
         address = strtok_r(NULL, ", ", &rest)) {
        struct node_row *row = &rows->row[rows->len++];
        snprintf(row->address, sizeof row->address, "%s", address);
    }
    rows_ask(rows);
    exit_code = cluster_rows_print(rows);
    (void)uv_loop_close(&rows->loop);
out:
    free(servers);
    free(rows);
    return exit_code;
}
