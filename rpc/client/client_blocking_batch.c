/* Several messages at once, and transactions, with the blocking library. */

#include <stdlib.h>
#include <string.h>

#include "proto/base/limits.h"
#include "rpc/client/client_blocking.h"

/* ---- One publish of several messages ---- */

struct batch_call {
    struct hf_call call;
    size_t len;
    enum hf_outcome *outcomes; /* NULL: nobody wants them. */
    struct hf_published published;
};

static bool bit_of(struct slice bits, size_t i)
{
    return i / 8 < bits.len && (bits.data[i / 8] >> (i % 8) & 1) != 0;
}

static void on_batch(void *arg, const struct client_reply *reply)
{
    struct batch_call *batch = arg;
    batch->published = (struct hf_published){.enqueued = reply->count, .repeated = reply->repeated_count};
    for (size_t i = 0; i < batch->len; i++) {
        bool refused = bit_of(reply->refused, i);
        bool unrouted = !refused && bit_of(reply->unrouted, i);
        batch->published.refused += refused;
        batch->published.unrouted += unrouted;
        if (batch->outcomes != NULL && reply->err == 0) {
            batch->outcomes[i] = refused ? HF_REFUSED : unrouted ? HF_UNROUTED : HF_TAKEN;
        }
    }
    hf_on_reply(&batch->call, reply);
}

/* A batch's heads and bodies, as the core wants them. */
struct contents {
    struct slice *heads;
    struct slice *bodies;
    size_t heads_len;
};

static int contents_init(struct contents *contents, const struct hf_batch *batch)
{
    contents->heads = malloc((batch->len + 1) * sizeof *contents->heads);
    contents->bodies = malloc((batch->len + 1) * sizeof *contents->bodies);
    if (contents->heads == NULL || contents->bodies == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < batch->len; i++) {
        contents->bodies[i] = (struct slice){.data = batch->bodies[i].data, .len = batch->bodies[i].len};
    }
    for (size_t i = 0; batch->properties != NULL && i < batch->len; i++) {
        int err = client_properties_encode(&batch->properties[i], &contents->heads[i]);
        if (err != 0) {
            return err;
        }
        contents->heads_len++;
    }
    return 0;
}

static void contents_done(struct contents *contents)
{
    while (contents->heads_len > 0) {
        slice_unref(&contents->heads[--contents->heads_len]);
    }
    free(contents->heads);
    free(contents->bodies);
}

int hf_publish_batch(struct hf *hf, const struct hf_batch *batch, uint64_t timeout_ms, enum hf_outcome *ret_outcomes,
                     struct hf_published *ret_published)
{
    struct batch_call call = {.call = {.hf = hf}, .len = batch->len, .outcomes = ret_outcomes};
    struct contents contents = {0};
    if (batch->len > PUBLISH_MESSAGES_MAX) {
        return hf_fail(hf, ERR_TOO_BIG, NULL);
    }
    int err = contents_init(&contents, batch);
    if (err == 0) {
        const struct client_publish publish = {
            .queue = batch->queue,
            .producer = batch->producer,
            .first_sequence = batch->first_sequence,
            .producer_epoch = batch->epoch,
            .no_gaps = batch->no_gaps,
            .each = batch->each,
            .heads = batch->properties != NULL ? contents.heads : NULL,
            .bodies = contents.bodies,
            .len = batch->len,
        };
        err = client_core_publish_all(hf->core, &publish, timeout_ms, on_batch, &call);
    }
    err = err == ERR_TOO_BIG ? hf_issue_fail(hf, err) : hf_call_wait(&call.call, err);
    contents_done(&contents);
    if (err == 0 && ret_published != NULL) {
        *ret_published = call.published;
    }
    return err;
}

/* ---- Transactions ---- */

/* What a transaction is made of, as the core wants it. */
struct parts {
    struct client_publish *publishes;
    size_t publishes_len;
    struct client_settled *settled;
    struct slice *heads;
    struct slice *bodies;
    size_t heads_len;
};

static bool same_text(const char *a, const char *b)
{
    return strcmp(a == NULL ? "" : a, b == NULL ? "" : b) == 0;
}

/* Whether a message may go into the publish before it. */
static bool goes_on(const struct client_publish *before, const struct hf_outgoing *message)
{
    bool named = message->producer != NULL && message->producer[0] != '\0';
    bool numbered = !named || message->sequence == before->first_sequence + before->len;
    return numbered && before->len < PUBLISH_MESSAGES_MAX && before->prepare == NULL && message->prepare == NULL &&
           same_text(before->queue, message->queue) && same_text(before->producer, message->producer) &&
           before->producer_epoch == message->epoch && before->no_gaps == message->no_gaps;
}

static int parts_publishes(struct parts *parts, const struct hf_outgoing *messages, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        int err = client_properties_encode(&messages[i].properties, &parts->heads[i]);
        if (err != 0) {
            return err;
        }
        parts->heads_len++;
        parts->bodies[i] = (struct slice){.data = messages[i].body.data, .len = messages[i].body.len};
        if (parts->publishes_len > 0 && goes_on(&parts->publishes[parts->publishes_len - 1], &messages[i])) {
            parts->publishes[parts->publishes_len - 1].len++;
        } else {
            parts->publishes[parts->publishes_len++] = hf_publish_of(&messages[i], &parts->heads[i], &parts->bodies[i]);
        }
    }
    return 0;
}

static int parts_init(struct parts *parts, const struct hf_outgoing *messages, size_t messages_len,
                      const struct hf_settled *settled, size_t settled_len)
{
    parts->publishes = malloc((messages_len + 1) * sizeof *parts->publishes);
    parts->settled = malloc((settled_len + 1) * sizeof *parts->settled);
    parts->heads = malloc((messages_len + 1) * sizeof *parts->heads);
    parts->bodies = malloc((messages_len + 1) * sizeof *parts->bodies);
    if (parts->publishes == NULL || parts->settled == NULL || parts->heads == NULL || parts->bodies == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < settled_len; i++) {
        const struct hf_message *message = settled[i].message;
        parts->settled[i] = (struct client_settled){.consumer = message->consumer,
                                                    .outcome = settled[i].outcome,
                                                    .range = {message->number, message->number},
                                                    .how = settled[i].how};
    }
    return parts_publishes(parts, messages, messages_len);
}

static void parts_done(struct parts *parts)
{
    while (parts->heads_len > 0) {
        slice_unref(&parts->heads[--parts->heads_len]);
    }
    free(parts->publishes);
    free(parts->settled);
    free(parts->heads);
    free(parts->bodies);
}

int hf_transact_told(struct hf *hf, const struct hf_outgoing *messages, size_t messages_len,
                     const struct hf_settled *settled, size_t settled_len, uint64_t timeout_ms,
                     enum hf_outcome *ret_outcomes)
{
    struct batch_call batch = {.call = {.hf = hf}, .len = messages_len, .outcomes = ret_outcomes};
    struct parts parts = {0};
    if (messages_len > PUBLISH_MESSAGES_MAX || settled_len > SETTLE_RANGES_MAX) {
        return hf_fail(hf, ERR_TOO_BIG, NULL);
    }
    int err = parts_init(&parts, messages, messages_len, settled, settled_len);
    if (err == 0) {
        const struct client_transaction transaction = {
            .publishes = parts.publishes,
            .publishes_len = parts.publishes_len,
            .settled = parts.settled,
            .settled_len = settled_len,
        };
        err = client_core_transact(hf->core, &transaction, timeout_ms, on_batch, &batch);
    }
    err = err == ERR_TOO_BIG ? hf_issue_fail(hf, err) : hf_call_wait(&batch.call, err);
    parts_done(&parts);
    return err;
}

int hf_transact_as(struct hf *hf, const struct hf_outgoing *messages, size_t messages_len,
                   const struct hf_settled *settled, size_t settled_len, uint64_t timeout_ms)
{
    return hf_transact_told(hf, messages, messages_len, settled, settled_len, timeout_ms, NULL);
}

int hf_transact(struct hf *hf, const struct hf_outgoing *messages, size_t messages_len,
                const struct hf_message *accepted, size_t accepted_len, uint64_t timeout_ms)
{
    if (accepted_len > SETTLE_RANGES_MAX) {
        return hf_fail(hf, ERR_TOO_BIG, NULL);
    }
    struct hf_settled *settled = calloc(accepted_len + 1, sizeof *settled);
    if (settled == NULL) {
        return hf_fail(hf, ERR_NOMEM, NULL);
    }
    for (size_t i = 0; i < accepted_len; i++) {
        settled[i] = (struct hf_settled){.message = &accepted[i], .outcome = CLIENT_ACCEPT};
    }
    int err = hf_transact_as(hf, messages, messages_len, settled, accepted_len, timeout_ms);
    free(settled);
    return err;
}
