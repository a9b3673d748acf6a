/* Clients' histories and their rules. */

#include "sim_history.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "sim_world.h"

/* A message's number in the whole run: producer and sequence. */
static uint64_t message_id(unsigned producer, uint64_t sequence)
{
    return (uint64_t)producer << 48 | sequence;
}

static struct sim_message *message_find(struct sim_world *world, uint64_t id)
{
    uint64_t producer = id >> 48;
    uint64_t sequence = id & ((UINT64_C(1) << 48) - 1);
    if (producer >= SIM_CLIENTS_MAX || sequence == 0 || sequence > world->history.producers[producer].len) {
        return NULL;
    }
    return &world->history.producers[producer].messages[sequence - 1];
}

static uint64_t body_word(const struct sim_world *world, uint64_t id, uint64_t i)
{
    return sim_random_mix(world->options.seed ^ id, i);
}

static size_t body_len(const struct sim_world *world, uint64_t id)
{
    uint64_t draw = body_word(world, id, 0);
    size_t len = SIM_BODY_LEN_MIN + draw % 49;
    return (draw >> 32) % 1000000 < world->large_bodies ? len + (draw >> 20) % 6000 : len;
}

static void body_fill(const struct sim_world *world, uint64_t id, uint8_t *data, size_t len)
{
    put_u64(data, id);
    for (size_t at = 8; at < len; at += 8) {
        uint8_t word[8];
        put_u64(word, body_word(world, id, at));
        memcpy(data + at, word, len - at < 8 ? len - at : 8);
    }
}

struct slice sim_history_body(const struct sim_world *world, unsigned producer, uint64_t sequence)
{
    uint64_t id = message_id(producer, sequence);
    struct blob *blob = blob_new(body_len(world, id));
    CHECK(blob != NULL);
    body_fill(world, id, blob->data, blob->len);
    return slice_of_blob(blob);
}

static bool body_whole(const struct sim_world *world, uint64_t id, struct slice body)
{
    uint8_t expected[SIM_BODY_LEN_MIN + 49 + 6000];
    if (body.len != body_len(world, id)) {
        return false;
    }
    body_fill(world, id, expected, body.len);
    return memcmp(expected, body.data, body.len) == 0;
}

void sim_history_sent(struct sim_world *world, unsigned producer, uint64_t first, uint64_t count)
{
    struct sim_producer_history *history = &world->history.producers[producer];
    uint64_t len = first + count - 1;
    if (len > history->cap) {
        uint64_t cap = len * 2 + 256;
        history->messages = realloc(history->messages, cap * sizeof *history->messages);
        CHECK(history->messages != NULL);
        memset(history->messages + history->cap, 0, (cap - history->cap) * sizeof *history->messages);
        history->cap = cap;
    }
    for (uint64_t i = history->len; i < len; i++) {
        history->messages[i].settled_count = -1;
        history->messages[i].sent = true;
        sim_world_count(world, SIM_STAT_MESSAGES, 1);
        world->reads.sent[history->queue]++;
    }
    history->len = len > history->len ? len : history->len;
    for (uint64_t i = first - 1; i < len; i++) {
        history->messages[i].absent = false;
        history->messages[i].loose++;
    }
}

/* From now on every read must count it. */
static void message_known(struct sim_world *world, unsigned queue, struct sim_message *message)
{
    world->reads.enqueued[queue] += !message->known;
    message->known = true;
}

static void message_confirmed(struct sim_world *world, const struct sim_producer_history *history,
                              struct sim_message *message)
{
    sim_world_count(world, SIM_STAT_CONFIRMED, !message->confirmed);
    sim_world_count(world, SIM_STAT_NO_SPACE_LATER, !message->confirmed && message->was_refused);
    message->confirmed = true;
    message_known(world, history->queue, message);
}

/* A refusal means "not done": by this publish, and by those before it that are known to have been refused. */
static void message_refused(struct sim_world *world, const struct sim_producer_history *history,
                            struct sim_message *message, uint64_t id, int err)
{
    message->refused = !history->named;
    message->absent = message->loose == 0 && !message->confirmed;
    message->was_refused = message->was_refused || err == ERR_NO_SPACE;
    if (message->absent && message->known) {
        sim_world_violation(world, "message %" PRIx64 " was delivered, and its publish refused (%s)", id,
                            err_name(err));
    }
}

void sim_history_published(struct sim_world *world, unsigned producer, uint64_t first, uint64_t count, int err,
                           uint64_t enqueued, uint64_t repeated)
{
    struct sim_producer_history *history = &world->history.producers[producer];
    if (err == 0 && enqueued + repeated != count) {
        sim_world_violation(
            world, "a publish of %" PRIu64 " messages was answered with %" PRIu64 " new and %" PRIu64 " repeated",
            count, enqueued, repeated);
    }
    if (err == 0 && repeated > 0 && !history->named) {
        sim_world_violation(world, "messages without a producer's name were called repeats");
    }
    sim_world_count(world, SIM_STAT_REPEATED, err == 0 ? repeated : 0);
    sim_world_count(world, SIM_STAT_NO_SPACE, err == ERR_NO_SPACE);
    for (uint64_t sequence = first; sequence < first + count; sequence++) {
        struct sim_message *message = &history->messages[sequence - 1];
        message->loose -= err != ERR_OUTCOME_UNKNOWN;
        if (err == 0) {
            message_confirmed(world, history, message);
        } else if (err != ERR_OUTCOME_UNKNOWN) {
            message_refused(world, history, message, message_id(producer, sequence), err);
        }
    }
}

/* The deliveries of a message are told apart by their counts. */
static void token_check(struct sim_world *world, struct sim_message *message, uint64_t id, uint64_t session,
                        const struct client_delivery *delivery)
{
    uint32_t count = delivery->delivery_count;
    if (count > 100000) {
        sim_world_violation(world, "message %" PRIx64 " was delivered %u times", id, count);
        return;
    }
    if (count >= message->tokens_len) {
        message->tokens = realloc(message->tokens, (count + 1) * sizeof *message->tokens);
        CHECK(message->tokens != NULL);
        memset(message->tokens + message->tokens_len, 0, (count + 1 - message->tokens_len) * sizeof *message->tokens);
        message->tokens_len = count + 1;
    }
    struct sim_token *token = &message->tokens[count];
    if (token->consumer != 0) {
        sim_world_violation(world,
                            "message %" PRIx64 " has two holders at delivery count %u: consumer %" PRIu64
                            " number %" PRIu64 " and consumer %" PRIu64 " number %" PRIu64,
                            id, count, token->consumer, token->number, delivery->consumer, delivery->number);
    }
    *token = (struct sim_token){.consumer = delivery->consumer, .number = delivery->number, .session = session};
    const struct sim_token *before = count > 0 ? &message->tokens[count - 1] : NULL;
    if (before != NULL && before->consumer != 0 && !before->given_up && !sim_sessions_gone(world, before->session)) {
        sim_world_violation(
            world, "message %" PRIx64 " was delivered (count %u) although session %" PRIu64 " holds it and lives", id,
            count, before->session);
    }
    if (message->settled_count >= 0 && count > message->settled_count) {
        sim_world_violation(world,
                            "message %" PRIx64
                            " was delivered (count %u) although the settlement of its delivery %" PRId64
                            " is confirmed",
                            id, count, message->settled_count);
    }
}

void sim_history_delivered(struct sim_world *world, unsigned queue, uint64_t session,
                           const struct client_delivery *delivery, uint64_t *ret_message)
{
    uint64_t id = delivery->body.len >= SIM_BODY_LEN_MIN ? get_u64(delivery->body.data) : 0;
    struct sim_message *message = message_find(world, id);
    *ret_message = id;
    sim_world_count(world, SIM_STAT_DELIVERED, 1);
    sim_world_count(world, SIM_STAT_REDELIVERED, delivery->delivery_count > 0);
    if (message == NULL || !message->sent || !body_whole(world, id, delivery->body)) {
        sim_world_violation(world, "a delivery at position %" PRIu64 " is of a message that nobody sent",
                            delivery->position);
        return;
    }
    if (world->history.producers[id >> 48].queue != queue) {
        sim_world_violation(world, "message %" PRIx64 " came from the wrong queue", id);
    }
    if (message->refused || message->absent) {
        sim_world_violation(world, "message %" PRIx64 " was refused and delivered", id);
    }
    message_known(world, queue, message);
    sim_positions_found(world, queue, delivery->position, id);
    if (message->position != 0 && message->position != delivery->position) {
        sim_world_violation(world, "message %" PRIx64 " is in its queue twice: at %" PRIu64 " and at %" PRIu64, id,
                            message->position, delivery->position);
    }
    message->position = delivery->position;
    token_check(world, message, id, session, delivery);
}

void sim_history_given_up(struct sim_world *world, uint64_t id, uint32_t delivery_count)
{
    struct sim_message *message = message_find(world, id);
    if (message != NULL && delivery_count < message->tokens_len) {
        message->tokens[delivery_count].given_up = true;
    }
}

void sim_history_browsed(struct sim_world *world, unsigned queue, uint64_t position, struct slice body,
                         uint64_t asked_us)
{
    uint64_t id = body.len >= SIM_BODY_LEN_MIN ? get_u64(body.data) : 0;
    const struct sim_message *message = message_find(world, id);
    if (message == NULL || !body_whole(world, id, body) || world->history.producers[id >> 48].queue != queue) {
        sim_world_violation(world, "a look into a queue found, at position %" PRIu64 ", what nobody sent there",
                            position);
    } else if (message->refused || message->absent) {
        sim_world_violation(world, "message %" PRIx64 " was refused and is in its queue", id);
    } else if (message->position != 0 && message->position != position) {
        sim_world_violation(world, "message %" PRIx64 " is in its queue at %" PRIu64 " and at %" PRIu64, id,
                            message->position, position);
    } else if (message->settled_count >= 0 && message->settled_us < asked_us) {
        sim_world_violation(world, "message %" PRIx64 " is in its queue although its acceptance was confirmed", id);
    } else {
        sim_positions_found(world, queue, position, id);
    }
}

static void settled_one(struct sim_world *world, struct sim_message *message, const struct sim_settled *item)
{
    if (message->settled_count >= 0) {
        sim_world_violation(world, "message %" PRIx64 " was settled twice", item->message);
    }
    if (message->tokens_len > item->delivery_count + 1) {
        sim_world_violation(world,
                            "message %" PRIx64 " was settled by delivery %u after it had been delivered again (%u)",
                            item->message, item->delivery_count, message->tokens_len - 1);
    }
    message->settled_count = item->delivery_count;
    message->settled_us = sim_world_now(world);
    world->reads.settled[world->history.producers[item->message >> 48].queue]++;
    sim_world_count(world, SIM_STAT_ACCEPTED, 1);
}

void sim_history_settled(struct sim_world *world, const struct sim_settled *items, size_t len, bool final, int err,
                         uint64_t settled, uint64_t stale)
{
    if (err == 0 && settled + stale != len) {
        sim_world_violation(world, "a settlement of %zu was answered with %" PRIu64 " settled and %" PRIu64 " stale",
                            len, settled, stale);
        return;
    }
    sim_world_count(world, SIM_STAT_STALE, err == 0 ? stale : 0);
    if (!final || (err != 0 && err != ERR_OUTCOME_UNKNOWN)) {
        return;
    }
    for (size_t i = 0; i < len; i++) {
        struct sim_message *message = message_find(world, items[i].message);
        if (message == NULL) {
            continue; /* Said already. */
        }
        if (err == 0 && settled == len) {
            settled_one(world, message, &items[i]);
        } else if (err != 0 || settled > 0) {
            message->maybe_settled = true;
        }
    }
}

/* In the queue that is purged, as many may be missing as were purged. */
static void history_end_purged(struct sim_world *world)
{
    unsigned queue = world->purged_queue;
    if (queue < SIM_QUEUES_MAX && !world->reads.purges_unknown[queue] &&
        world->history.missing > world->reads.purged[queue]) {
        sim_world_violation(world, "%" PRIu64 " confirmed messages are gone, and %" PRIu64 " were purged",
                            world->history.missing, world->reads.purged[queue]);
    }
}

static void history_end_message(struct sim_world *world, const struct sim_producer_history *history, uint64_t id,
                                const struct sim_message *message, uint64_t *last_position)
{
    bool missing = message->confirmed && message->settled_count < 0 && !message->maybe_settled;
    if (missing && history->queue == world->purged_queue) {
        world->history.missing++;
    } else if (missing) {
        sim_world_violation(world, "message %" PRIx64 " is lost: confirmed, %s", id,
                            message->position == 0 ? "never delivered" : "delivered, not settled by anybody, and gone");
    }
    if (history->named && !message->confirmed) {
        sim_world_violation(world, "message %" PRIx64 " of a named producer was never confirmed", id);
    }
    if (message->position != 0 && history->named) {
        if (message->position <= *last_position) {
            sim_world_violation(world, "message %" PRIx64 " is at position %" PRIu64 ", not after %" PRIu64, id,
                                message->position, *last_position);
        }
        *last_position = message->position;
    }
}

void sim_history_end(struct sim_world *world)
{
    for (unsigned p = 0; p < SIM_CLIENTS_MAX; p++) {
        const struct sim_producer_history *history = &world->history.producers[p];
        uint64_t last_position = 0;
        for (uint64_t i = 0; i < history->len; i++) {
            history_end_message(world, history, message_id(p, i + 1), &history->messages[i], &last_position);
        }
    }
    history_end_purged(world);
}

void sim_history_done(struct sim_history *history)
{
    for (unsigned p = 0; p < SIM_CLIENTS_MAX; p++) {
        for (uint64_t i = 0; i < history->producers[p].len; i++) {
            free(history->producers[p].messages[i].tokens);
        }
        free(history->producers[p].messages);
    }
    *history = (struct sim_history){0};
}
