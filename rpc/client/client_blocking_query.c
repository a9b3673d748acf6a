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
    void (*each_exchange)(void *arg, const struct client_exchange *exchange);
    void (*each_binding)(void *arg, const struct client_binding *binding);
    void (*each_host)(void *arg, const struct client_virtual_host *host);
    void (*each_step)(void *arg, const struct client_step *step);
    void (*each_consumer)(void *arg, const struct client_consumer_info *consumer);
    void (*each_limit)(void *arg, const struct client_limit *limit);
    void (*each_producer)(void *arg, const struct client_producer *producer);
    void (*each_prepared)(void *arg, const struct client_prepared *prepared);
    void *arg;
    bool more;
    char last[NAME_LEN_MAX + 1]; /* Of the names that a result holds. */
    uint64_t last_id;            /* Of bindings; of a consumer in `last_session`. */
    uint64_t last_session;
};

/* A list that does not go on is at its end, whatever the node says. */
static void name_note(struct query *query, const char *last)
{
    query->more = query->more && strlen(last) <= NAME_LEN_MAX && strcmp(last, query->last) > 0;
    snprintf(query->last, sizeof query->last, "%s", last);
}

static void consumer_note(struct query *query, const struct client_consumer_info *last)
{
    bool behind = last->session > query->last_session ||
                  (last->session == query->last_session && last->consumer > query->last_id);
    query->more = query->more && behind;
    query->last_session = last->session;
    query->last_id = last->consumer;
}

/* Where the next page begins. */
static void page_end(struct query *query, const struct client_query_result *result)
{
    if (result->queues_len > 0) {
        name_note(query, result->queues[result->queues_len - 1].name);
    } else if (result->exchanges_len > 0) {
        name_note(query, result->exchanges[result->exchanges_len - 1].name);
    } else if (result->virtual_hosts_len > 0) {
        name_note(query, result->virtual_hosts[result->virtual_hosts_len - 1].name);
    } else if (result->bindings_len > 0) {
        uint64_t last_id = result->bindings[result->bindings_len - 1].id;
        query->more = query->more && last_id > query->last_id;
        query->last_id = last_id;
    } else if (result->prepared_len > 0) {
        name_note(query, result->prepared[result->prepared_len - 1].id);
    } else if (result->consumers_len > 0) {
        consumer_note(query, &result->consumers[result->consumers_len - 1]);
    } else if (result->messages_len == 0) {
        query->more = false;
    }
}

/* Consumers, limits, a producer, what is prepared. */
static void give_rest(struct query *query, const struct client_query_result *result)
{
    for (size_t i = 0; i < result->consumers_len; i++) {
        query->each_consumer(query->arg, &result->consumers[i]);
    }
    for (size_t i = 0; i < result->limits_len; i++) {
        query->each_limit(query->arg, &result->limits[i]);
    }
    if (result->producer != NULL) {
        query->each_producer(query->arg, result->producer);
    }
    for (size_t i = 0; i < result->prepared_len; i++) {
        query->each_prepared(query->arg, &result->prepared[i]);
    }
}

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
    for (size_t i = 0; i < result->exchanges_len; i++) {
        query->each_exchange(query->arg, &result->exchanges[i]);
    }
    for (size_t i = 0; i < result->bindings_len; i++) {
        query->each_binding(query->arg, &result->bindings[i]);
    }
    for (size_t i = 0; i < result->virtual_hosts_len; i++) {
        query->each_host(query->arg, &result->virtual_hosts[i]);
    }
    for (size_t i = 0; i < result->steps_len; i++) {
        query->each_step(query->arg, &result->steps[i]);
    }
    give_rest(query, result);
    page_end(query, result);
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
    struct query query = {
        .call = {.hf = hf, .invalid = "at most 0 messages are none"}, .each_message = each, .arg = arg};
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

int hf_kept(struct hf *hf, const char *queue, uint64_t position, uint32_t max, uint64_t timeout_ms,
            void (*each)(void *arg, const struct client_message *message), void *arg, bool *ret_more)
{
    struct query query = {
        .call = {.hf = hf, .invalid = "at most 0 messages are none"}, .each_message = each, .arg = arg};
    int err =
        hf_call_wait(&query.call, client_core_query_kept(hf->core, queue, position, max, timeout_ms, on_query, &query));
    if (err == 0) {
        *ret_more = query.more;
    }
    return err;
}

int hf_life(struct hf *hf, const char *queue, uint64_t position, uint64_t timeout_ms,
            void (*each)(void *arg, const struct client_step *step), void *arg)
{
    struct query query = {.call = {.hf = hf}, .each_step = each, .arg = arg};
    return hf_call_wait(&query.call, client_core_query_life(hf->core, queue, position, timeout_ms, on_query, &query));
}

int hf_exchanges(struct hf *hf, uint64_t timeout_ms, void (*each)(void *arg, const struct client_exchange *exchange),
                 void *arg)
{
    struct query query = {.call = {.hf = hf}, .each_exchange = each, .arg = arg};
    uint64_t deadline_ms = hf_deadline(timeout_ms);
    const char *after = NULL;
    int err;
    do {
        query.call.done = false;
        err = hf_call_wait(&query.call,
                           client_core_query_exchanges(hf->core, after, hf_left_ms(deadline_ms), on_query, &query));
        after = query.last;
    } while (err == 0 && query.more);
    return err;
}

int hf_bindings(struct hf *hf, const char *exchange, uint64_t timeout_ms,
                void (*each)(void *arg, const struct client_binding *binding), void *arg)
{
    struct query query = {.call = {.hf = hf}, .each_binding = each, .arg = arg};
    uint64_t deadline_ms = hf_deadline(timeout_ms);
    int err;
    do {
        query.call.done = false;
        err = hf_call_wait(&query.call, client_core_query_bindings(hf->core, exchange, query.last_id,
                                                                   hf_left_ms(deadline_ms), on_query, &query));
    } while (err == 0 && query.more);
    return err;
}

int hf_virtual_hosts(struct hf *hf, uint64_t timeout_ms,
                     void (*each)(void *arg, const struct client_virtual_host *host), void *arg)
{
    struct query query = {.call = {.hf = hf}, .each_host = each, .arg = arg};
    uint64_t deadline_ms = hf_deadline(timeout_ms);
    int err;
    do {
        query.call.done = false;
        err = hf_call_wait(&query.call, client_core_query_virtual_hosts(hf->core, query.last, hf_left_ms(deadline_ms),
                                                                        on_query, &query));
    } while (err == 0 && query.more);
    return err;
}

int hf_consumers(struct hf *hf, const char *queue, uint64_t timeout_ms,
                 void (*each)(void *arg, const struct client_consumer_info *consumer), void *arg)
{
    struct query query = {.call = {.hf = hf}, .each_consumer = each, .arg = arg};
    uint64_t deadline_ms = hf_deadline(timeout_ms);
    int err;
    do {
        query.call.done = false;
        err = hf_call_wait(&query.call, client_core_query_consumers(hf->core, queue, query.last_session, query.last_id,
                                                                    hf_left_ms(deadline_ms), on_query, &query));
    } while (err == 0 && query.more);
    return err;
}

int hf_limits(struct hf *hf, const char *user, uint64_t timeout_ms,
              void (*each)(void *arg, const struct client_limit *limit), void *arg)
{
    struct query query = {.call = {.hf = hf}, .each_limit = each, .arg = arg};
    return hf_call_wait(&query.call, client_core_query_limits(hf->core, user, timeout_ms, on_query, &query));
}

int hf_producer(struct hf *hf, const char *producer, uint64_t timeout_ms,
                void (*each)(void *arg, const struct client_producer *producer), void *arg)
{
    struct query query = {.call = {.hf = hf}, .each_producer = each, .arg = arg};
    return hf_call_wait(&query.call, client_core_query_producer(hf->core, producer, timeout_ms, on_query, &query));
}

int hf_prepared(struct hf *hf, uint64_t timeout_ms, void (*each)(void *arg, const struct client_prepared *prepared),
                void *arg)
{
    struct query query = {.call = {.hf = hf}, .each_prepared = each, .arg = arg};
    uint64_t deadline_ms = hf_deadline(timeout_ms);
    int err;
    do {
        query.call.done = false;
        err = hf_call_wait(&query.call,
                           client_core_query_prepared(hf->core, query.last, hf_left_ms(deadline_ms), on_query, &query));
    } while (err == 0 && query.more);
    return err;
}
