/* How much a stream may have queued: its own marks, and its part of what all streams have together. */

#include "proto/base/check.h"
#include "proto/base/limits.h"
#include "rpc/stream_private.h"

/* Room that was granted to a stream whose owner wanted to send something large, and is not used within this time, goes to
 * the next. */
#define GRANT_MS 1000u

/* A frame of so many bytes is what room was granted for. */
#define GRANT_USED_LEN (1 * KIB)

/* What is queued, and what the owner was told that it may queue. */
static size_t stream_cost(const struct stream *stream)
{
    return frame_queue_cost(&stream->queue) + stream->admitted;
}

/* ---- The budget ---- */

/* A stream with a long queue holds what was granted to it, until it is out. */
static void account_holder(struct stream *stream, struct memory_budget *budget)
{
    bool holds = stream->accounted > STREAM_SHARE_HIGH;
    if (holds == stream->holds_share) {
        return;
    }
    stream->holds_share = holds;
    if (holds) {
        memory_budget_hold(budget);
        stream->look_taken = UINT64_MAX;
        stream->take_deadline_ms = stream_deadline(stream, stream->options.stall_timeout_ms / STREAM_STOPPED_PART);
    } else {
        memory_budget_unhold(budget);
    }
}

/* What was granted is used, or the owner had something else to say: small frames go on meanwhile. */
static void account_claim(struct stream *stream, size_t grown)
{
    if (stream->send_claim.state == MEMORY_CLAIM_HELD &&
        (grown >= GRANT_USED_LEN || grown >= stream->send_claim.len / 2)) {
        stream_send_claim_drop(stream);
    }
}

void stream_account(struct stream *stream)
{
    struct memory_budget *budget = stream->options.send_budget;
    size_t before = stream->accounted;
    size_t cost = stream_cost(stream);
    if (budget == NULL || cost == before) {
        return;
    }
    stream->accounted = cost;
    if (cost > before) {
        memory_budget_add(budget, cost - before);
        account_holder(stream, budget);
        account_claim(stream, cost - before);
    } else {
        account_holder(stream, budget);
        memory_budget_remove(budget, before - cost);
    }
}

void stream_send_claim_drop(struct stream *stream)
{
    stream->grant_deadline_ms = UINT64_MAX;
    memory_claim_release(&stream->send_claim);
}

void stream_send_granted(struct memory_claim *claim)
{
    struct stream *stream = container_of(claim, struct stream, send_claim);
    stream->grant_deadline_ms = stream_deadline(stream, GRANT_MS);
    stream_arm(stream);
    stream_wake(stream); /* The owner is told. */
}

void stream_grant_check(struct stream *stream, uint64_t now)
{
    if (stream->grant_deadline_ms <= now) {
        stream_send_claim_drop(stream);
    }
}

/* Whether there is room for so much, now. Otherwise the stream waits for it. */
static bool budget_admits(struct stream *stream, size_t len)
{
    struct memory_budget *budget = stream->options.send_budget;
    struct memory_claim *claim = &stream->send_claim;
    if (budget == NULL || len == 0 || (claim->state == MEMORY_CLAIM_HELD && claim->len >= len)) {
        return true;
    }
    if (len <= STREAM_SHARE_HIGH && stream->accounted <= STREAM_SHARE_HIGH - len) {
        return true;
    }
    if (claim->state == MEMORY_CLAIM_HELD) {
        stream_send_claim_drop(stream);
    }
    return memory_budget_fits(budget, len) || memory_claim_take(claim, len);
}

/* ---- Marks ---- */

/* The mark that the queue must cross next. Its own, or less while all streams together have more than they should. */
static size_t congestion_mark(const struct stream *stream)
{
    const struct memory_budget *budget = stream->options.send_budget;
    size_t mark = stream->congested ? stream->options.queue_low : stream->options.queue_high;
    size_t share = stream->congested ? STREAM_SHARE_LOW : STREAM_SHARE_HIGH;
    return budget != NULL && memory_budget_over(budget) && share < mark ? share : mark;
}

bool stream_is_full(const struct stream *stream)
{
    return stream_cost(stream) > congestion_mark(stream);
}

static bool is_congested(const struct stream *stream)
{
    return stream->send_claim.state == MEMORY_CLAIM_WAITING || stream_is_full(stream);
}

void stream_congestion_check(struct stream *stream)
{
    bool congested = is_congested(stream);
    if (congested == stream->congested || stream->end_reported || stream->finishing) {
        return;
    }
    stream->congested = congested;
    if (stream->events.congested != NULL) {
        stream->events.congested(stream->events.arg, congested);
    }
}

bool stream_admits(struct stream *stream, size_t len)
{
    if (!stream->congested && !is_congested(stream) && budget_admits(stream, len)) {
        stream->admitted += len;
        stream_account(stream);
        return true;
    }
    stream->congested = true;
    return false;
}

/* ---- A peer that takes nothing while others wait ---- */

static uint64_t taken_now(const struct stream *stream)
{
    size_t left = uv_stream_get_write_queue_size((const uv_stream_t *)&stream->tcp);
    size_t on_its_way = stream->writing && left < stream->writing_len ? stream->writing_len - left : 0;
    return stream->taken_bytes + on_its_way;
}

void stream_take_look(struct stream *stream, uint64_t now)
{
    if (!stream->holds_share || stream->state != STREAM_OPEN || stream->take_deadline_ms > now) {
        return;
    }
    uint64_t taken = taken_now(stream);
    if (taken == stream->look_taken && !list_empty(&stream->options.send_budget->waiters)) {
        stream_fail(stream, ERR_TIMEOUT, "the peer takes no data, and others wait for the memory of %zu bytes queued",
                    stream->queue.len);
        return;
    }
    stream->look_taken = taken;
    stream->take_deadline_ms = stream_deadline(stream, stream->options.stall_timeout_ms / STREAM_STOPPED_PART);
}
