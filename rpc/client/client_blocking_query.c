/* Queries of the blocking library. */

#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/limits.h"
#include "rpc/client/client_blocking.h"

struct query {
    struct hf_call call;
    void (*each_queue)(void *arg, const struct client_queue *queue);
    void (*each_message)(void *arg, const struct client_message *message);
    void (*each_cluster)(void *arg, const struct client_cluster *cluster);
    void *arg;
    bool more;
    char last[NAME_LEN_MAX + 1]; /* Name of the queues that a result holds. */
};

/* Hands out what a result holds; what was not asked for is not in it. */
static void on_query(void *arg, int err, const char *detail, const struct client_query_result *result)
{
    struct query *query = arg;
    query->call.done = true;
    query->call.err = err;
    hf_happened(query->call.hf);
    if (err != 0) {
        (void)hf_fail(query->call.hf, err, detail);
        return;
    }
    query->more = result->more;
    for (size_t i = 0; i < result->queues_len; i++) {
        query->each_queue(query->arg, &result->queues[i]);
    }
    for (size_t i = 0; i < result->messages_len; i++) {
        query->each_message(query->arg, &result->messages[i]);
    }
    if (result->cluster != NULL) {
        query->each_cluster(query->arg, result->cluster);
    }
    if (result->queues_len > 0) { /* A list that does not go on is at its end, whatever the node says. */
        const char *last = result->queues[result->queues_len - 1].name;
        query->more = query->more && strlen(last) <= NAME_LEN_MAX && strcmp(last, query->last) > 0;
        snprintf(query->last, sizeof query->last, "%s", last);
    } else if (result->messages_len == 0) {
        query->more = false;
    }
}

int hf_queues(struct hf *hf, uint64_t timeout_ms, void (*each)(void *arg, const struct client_queue *queue), void *arg)
{
    struct query query = {.call = {.hf = hf}, .each_queue = each, .arg = arg};
    uint64_t deadline_ms = hf_deadline(timeout_ms);
    int err;
    do {
        query.call.done = false;
        err = hf_call_wait(&query.call,
                           client_core_query_queues(hf->core, query.last, hf_left_ms(deadline_ms), on_query, &query));
    } while (err == 0 && query.more);
    return err;
}

int hf_queue(struct hf *hf, const char *queue, uint64_t timeout_ms,
             void (*each)(void *arg, const struct client_queue *queue), void *arg)
{
    struct query query = {.call = {.hf = hf}, .each_queue = each, .arg = arg};
    return hf_call_wait(&query.call, client_core_query_queue(hf->core, queue, timeout_ms, on_query, &query));
}

int hf_browse(struct hf *hf, const char *queue, uint64_t position, uint32_t max, uint64_t timeout_ms,
              void (*each)(void *arg, const struct client_message *message), void *arg, bool *ret_more)
{
    struct query query = {.call = {.hf = hf}, .each_message = each, .arg = arg};
    int err = hf_call_wait(&query.call,
                           client_core_query_browse(hf->core, queue, position, max, timeout_ms, on_query, &query));
    if (err == 0) {
        *ret_more = query.more;
    }
    return err;
}

int hf_cluster(struct hf *hf, uint64_t timeout_ms, void (*each)(void *arg, const struct client_cluster *cluster),
               void *arg)
{
    struct query query = {.call = {.hf = hf}, .each_cluster = each, .arg = arg};
    return hf_call_wait(&query.call, client_core_query_cluster(hf->core, timeout_ms, on_query, &query));
}

int hf_transfer(struct hf *hf, uint64_t node, uint64_t timeout_ms)
{
    struct query query = {.call = {.hf = hf}};
    return hf_call_wait(&query.call, client_core_transfer(hf->core, node, timeout_ms, on_query, &query));
}

int hf_change_member(struct hf *hf, enum client_change change, uint64_t node, const char *address, uint64_t timeout_ms)
{
    struct query query = {.call = {.hf = hf}};
    return hf_call_wait(&query.call,
                        client_core_change_member(hf->core, change, node, address, timeout_ms, on_query, &query));
}
