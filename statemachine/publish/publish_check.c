/* What can be said about a publish without a look at what it is for: lengths, names, hashes. */

#include <string.h>

#include "statemachine/command/command.h"

static bool publish_check_counts(const Holdfast__Publish *publish, struct reply *reply)
{
    if (publish->n_body_len == 0 || publish->n_body_len > PUBLISH_MESSAGES_MAX ||
        publish->n_body_hash != publish->n_body_len) {
        reply_fail(reply, ERR_INVALID, DETAIL_MESSAGES);
    }
    return reply->error == 0;
}

bool publish_check_form_1(const Holdfast__Publish *publish, struct slice bodies, struct reply *reply)
{
    if (!publish_check_counts(publish, reply)) {
        return false;
    }
    uint64_t total = 0;
    for (size_t i = 0; i < publish->n_body_len; i++) {
        if (publish->body_len[i] > BODY_LEN_MAX) {
            reply_fail(reply, ERR_TOO_BIG, DETAIL_BODY_LEN);
            return false;
        }
        total += publish->body_len[i];
    }
    if (total != bodies.len) {
        reply_fail(reply, ERR_INVALID, DETAIL_BODIES_LEN);
        return false;
    }
    return true;
}

bool publish_check_form(const Holdfast__Publish *publish, struct slice bodies, struct reply *reply)
{
    if (!publish_check_counts(publish, reply)) {
        return false;
    }
    if (publish->n_head_len == 0) {
        return publish_check_form_1(publish, bodies, reply);
    }
    if (publish->n_head_len != publish->n_body_len) {
        reply_fail(reply, ERR_INVALID, DETAIL_HEADS);
        return false;
    }
    uint64_t total = 0;
    for (size_t i = 0; i < publish->n_body_len; i++) {
        if (publish->head_len[i] > MESSAGE_HEAD_LEN_MAX) {
            reply_fail(reply, ERR_TOO_BIG, DETAIL_HEAD_LEN);
            return false;
        }
        if (publish->body_len[i] > BODY_LEN_MAX) {
            reply_fail(reply, ERR_TOO_BIG, DETAIL_BODY_LEN);
            return false;
        }
        total += (uint64_t)publish->head_len[i] + publish->body_len[i];
    }
    if (total != bodies.len) {
        reply_fail(reply, ERR_INVALID, DETAIL_BODIES_LEN);
        return false;
    }
    return true;
}

bool publish_check_bodies_1(const Holdfast__Publish *publish, struct slice bodies, struct reply *reply)
{
    const uint8_t *body = bodies.data;
    for (size_t i = 0; i < publish->n_body_len; i++) {
        if (XXH3_64bits(body, publish->body_len[i]) != publish->body_hash[i]) {
            reply_fail(reply, ERR_CHECKSUM, DETAIL_BODY_HASH);
            return false;
        }
        body += publish->body_len[i];
    }
    return true;
}

bool publish_check_hashes(const Holdfast__Publish *publish, struct slice bodies, struct reply *reply)
{
    const uint8_t *data = bodies.data;
    if (publish->n_head_len == 0) {
        return publish_check_bodies_1(publish, bodies, reply);
    }
    for (size_t i = 0; i < publish->n_body_len; i++) {
        size_t len = (size_t)publish->head_len[i] + publish->body_len[i];
        if (XXH3_64bits(data, len) != publish->body_hash[i]) {
            reply_fail(reply, ERR_CHECKSUM, DETAIL_BODY_HASH);
            return false;
        }
        data += len;
    }
    return true;
}

bool publish_check_producer(const Holdfast__Publish *publish, struct reply *reply)
{
    size_t name_len = strlen(publish->producer);
    if (name_len == 0) {
        return true;
    }
    int err = name_check(publish->producer, name_len);
    if (err != 0) {
        reply_fail(reply, err, DETAIL_PRODUCER_NAME);
    } else if (publish->first_sequence == 0 || publish->first_sequence > UINT64_MAX - publish->n_body_len) {
        reply_fail(reply, ERR_INVALID, DETAIL_SEQUENCE);
    }
    return reply->error == 0;
}

bool publish_check_prepare(const Holdfast__Publish *publish, struct reply *reply)
{
    const Holdfast__Prepare *prepare = publish->prepare;
    if (prepare == NULL) {
        return true;
    }
    int err = name_check(prepare->id, strlen(prepare->id));
    if (err != 0) {
        reply_fail(reply, err, DETAIL_PREPARED_ID);
        return false;
    }
    err = prepare->group[0] != 0 ? name_check(prepare->group, strlen(prepare->group)) : 0;
    if (err != 0) {
        reply_fail(reply, err, DETAIL_PRODUCER_NAME);
    } else if (prepare->ask_after_ms > PREPARE_MS_MAX || prepare->deadline_ms > PREPARE_MS_MAX) {
        reply_fail(reply, ERR_INVALID, DETAIL_PREPARED_TIMES);
    }
    return reply->error == 0;
}
