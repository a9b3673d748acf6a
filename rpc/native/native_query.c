/* Queries that wait for a read. */

#include "rpc/native/native_query.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"

struct query {
    struct list_node node;
    struct native_question question;
    char name[]; /* Its, and behind it that of the virtual host. */
};

static void on_read(struct gateway_read *read, int err);

void native_queries_init(struct native_queries *queries, struct gateway *gateway)
{
    *queries = (struct native_queries){.gateway = gateway, .read = {.done = on_read}};
    list_init(&queries->waiting);
    list_init(&queries->read.node);
}

/* Asks for a read when some wait and none is on its way. */
static void queries_go(struct native_queries *queries)
{
    if (queries->reading || queries->paused || queries->waiting_len == 0) {
        return;
    }
    queries->reading = true;
    queries->covered = queries->waiting_len;
    queries->gateway->ops->read(queries->gateway, &queries->read);
}

static struct query *queries_pop(struct native_queries *queries)
{
    struct query *query = container_of(list_first(&queries->waiting), struct query, node);
    list_remove(&query->node);
    queries->waiting_len--;
    return query;
}

/* Whether the answer to the oldest may be made. */
static bool queries_may_answer(struct native_queries *queries)
{
    const struct query *query = container_of(list_first(&queries->waiting), struct query, node);
    return !queries->paused && queries->takes(queries->arg, native_result_len_max(queries->gateway, &query->question));
}

/* Answers the oldest; adds the length of the answer. */
static int queries_answer(struct native_queries *queries, int read_err, size_t *len)
{
    struct query *query = queries_pop(queries);
    struct frame_out frame;
    size_t least = read_err == 0 ? native_question_weight(&query->question) : 0;
    int err = native_result_make(queries->gateway, &query->question, read_err, &frame);
    free(query);
    if (err == 0) {
        *len += frame.len < least ? least : frame.len;
        queries->answer(queries->arg, &frame);
    }
    return err;
}

static void on_read(struct gateway_read *read, int read_err)
{
    struct native_queries *queries = container_of(read, struct native_queries, read);
    int err = 0;
    size_t len = 0;
    queries->reading = false;
    for (; err == 0 && queries->covered > 0 && len < NATIVE_QUERY_TURN_LEN && queries_may_answer(queries);
         queries->covered--) {
        err = queries_answer(queries, read_err, &len);
    }
    queries_go(queries);
    queries->answered(queries->arg, err);
}

int native_queries_add(struct native_queries *queries, const struct native_question *question)
{
    if (queries->waiting_len == NATIVE_QUERY_WAITING_MAX) {
        return ERR_BUSY;
    }
    size_t name_len = strlen(question->name);
    size_t host_len = strlen(question->virtual_host);
    struct query *query = malloc(sizeof *query + name_len + 1 + host_len + 1);
    if (query == NULL) {
        return ERR_NOMEM;
    }
    query->question = *question;
    memcpy(query->name, question->name, name_len + 1);
    memcpy(query->name + name_len + 1, question->virtual_host, host_len + 1);
    query->question.name = query->name;
    query->question.virtual_host = query->name + name_len + 1;
    list_push_back(&queries->waiting, &query->node);
    queries->waiting_len++;
    queries_go(queries);
    return 0;
}

void native_queries_pause(struct native_queries *queries, bool paused)
{
    queries->paused = paused;
    queries_go(queries);
}

void native_queries_done(struct native_queries *queries)
{
    if (queries->reading) {
        queries->gateway->ops->read_cancel(queries->gateway, &queries->read);
        queries->reading = false;
    }
    queries->covered = 0;
    while (queries->waiting_len > 0) {
        free(queries_pop(queries));
    }
}
