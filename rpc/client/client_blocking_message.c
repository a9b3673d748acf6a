/* Messages with properties, producers, and moving messages, with the blocking library. */

#include <stdlib.h>
#include <string.h>

#include "proto/base/limits.h"
#include "proto/wire/command.pb-c.h"
#include "rpc/client/client_blocking.h"
#include "rpc/native/native_limit.h"

static char *text(const char *string)
{
    return (char *)(uintptr_t)(string == NULL ? "" : string); /* protobuf-c does not write to what it packs. */
}

struct client_publish hf_publish_of(const struct hf_outgoing *message, const struct slice *head,
                                    const struct slice *body)
{
    return (struct client_publish){
        .queue = message->queue,
        .producer = message->producer,
        .first_sequence = message->sequence,
        .producer_epoch = message->epoch,
        .no_gaps = message->no_gaps,
        .heads = head,
        .bodies = body,
        .len = 1,
        .prepare = message->prepare,
        .prepare_group = message->prepare_group,
        .ask_after_ms = message->ask_after_ms,
        .deadline_ms = message->deadline_ms,
        .commit_at_deadline = message->commit_at_deadline,
    };
}

int hf_publish_message(struct hf *hf, const struct hf_outgoing *message, uint64_t timeout_ms, bool *ret_unrouted)
{
    struct hf_call call = {.hf = hf, .invalid = HF_NUMBERS_TEXT};
    struct slice body = {.data = message->body.data, .len = message->body.len};
    struct slice head;
    int err = client_properties_encode(&message->properties, &head);
    if (err != 0) {
        return hf_fail(hf, err, err == ERR_INVALID ? "a header has no name, or a value that is not published" : NULL);
    }
    struct client_publish publish = hf_publish_of(message, &head, &body);
    err = client_core_publish_all(hf->core, &publish, timeout_ms, hf_on_reply, &call);
    err = err == ERR_TOO_BIG ? hf_issue_fail(hf, err) : hf_call_wait(&call, err);
    slice_unref(&head);
    if (err == 0 && ret_unrouted != NULL) {
        *ret_unrouted = call.unrouted;
    }
    return err;
}

static int command_run(struct hf_call *call, const Holdfast__Command *command, bool again, uint64_t timeout_ms)
{
    return hf_call_wait(call, client_core_command(call->hf->core, command, again, timeout_ms, hf_on_reply, call));
}

int hf_resolve(struct hf *hf, const char *id, bool commit, uint64_t timeout_ms)
{
    struct hf_call call = {.hf = hf};
    Holdfast__ResolvePrepared resolve = HOLDFAST__RESOLVE_PREPARED__INIT;
    resolve.id = text(id);
    resolve.commit = commit;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_RESOLVE_PREPARED;
    command.resolve_prepared = &resolve;
    return command_run(&call, &command, true, timeout_ms);
}

int hf_open_producer(struct hf *hf, const char *producer, uint64_t timeout_ms, uint64_t *ret_epoch,
                     uint64_t *ret_sequence)
{
    struct hf_call call = {.hf = hf};
    Holdfast__OpenProducer open = HOLDFAST__OPEN_PRODUCER__INIT;
    open.producer = text(producer);
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_OPEN_PRODUCER;
    command.open_producer = &open;
    int err = command_run(&call, &command, true, timeout_ms);
    if (err == 0) {
        *ret_epoch = call.count;
        *ret_sequence = call.repeated_count;
    }
    return err;
}

int hf_redrive(struct hf *hf, const char *queue, const char *to, const char *from, uint32_t max, uint64_t timeout_ms,
               uint64_t *ret_moved, uint64_t *ret_left)
{
    struct hf_call call = {.hf = hf};
    if (queue != NULL && to != NULL && strcmp(queue, to) == 0) {
        return hf_fail(hf, ERR_INVALID,
                       "dead letters that go to where they are would only lose what is known of their deaths");
    }
    Holdfast__Redrive redrive = HOLDFAST__REDRIVE__INIT;
    redrive.queue = text(queue);
    redrive.to = text(to);
    redrive.from = text(from);
    redrive.max = max;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_REDRIVE;
    command.redrive = &redrive;
    int err = command_run(&call, &command, false, timeout_ms);
    if (err == 0 && ret_moved != NULL) {
        *ret_moved = call.count;
    }
    if (err == 0 && ret_left != NULL) {
        *ret_left = call.repeated_count;
    }
    return err;
}

int hf_replay(struct hf *hf, const char *queue, uint64_t first, uint64_t last, const char *to, uint64_t timeout_ms,
              uint64_t *ret_copied, uint64_t *ret_next)
{
    struct hf_call call = {.hf = hf};
    Holdfast__Replay replay = HOLDFAST__REPLAY__INIT;
    replay.queue = text(queue);
    replay.first = first;
    replay.last = last;
    replay.to = text(to);
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_REPLAY;
    command.replay = &replay;
    int err = command_run(&call, &command, false, timeout_ms);
    if (err == 0) {
        *ret_copied = call.count;
        *ret_next = call.repeated_count;
    }
    return err;
}

/* ---- What is held ---- */

static int held_run(struct hf_call *call, int err)
{
    err = hf_call_wait(call, err);
    if (err == ERR_NOT_FOUND) {
        return hf_fail(call->hf, ERR_STALE, "its subscription is over, and what it held has gone back");
    }
    return err == 0 && call->repeated_count > 0 ? hf_fail(call->hf, ERR_STALE, NULL) : err;
}

int hf_settle_as(struct hf *hf, const struct hf_message *message, enum client_outcome outcome,
                 const struct client_settlement *how, uint64_t timeout_ms)
{
    struct hf_call call = {.hf = hf, .invalid = HF_DELIVERY_TEXT};
    const struct client_settlement plain = {0};
    const struct client_range range = {message->number, message->number};
    return held_run(&call, client_core_settle_as(hf->core, message->consumer, outcome, how == NULL ? &plain : how,
                                                 &range, 1, timeout_ms, hf_on_reply, &call));
}

int hf_settle_up_to(struct hf *hf, const struct hf_message *last, enum client_outcome outcome,
                    const struct client_settlement *how, uint64_t timeout_ms, uint64_t *ret_settled)
{
    struct hf_call call = {.hf = hf, .invalid = HF_DELIVERY_TEXT};
    struct client_settlement with = how == NULL ? (struct client_settlement){0} : *how;
    const struct client_range range = {1, last->number};
    with.all = false; /* Most of the range has been settled before. */
    uint64_t deadline_ms = hf_deadline(timeout_ms);
    int err = hf_settle(hf, timeout_ms); /* What has gathered is settled already, whatever becomes of these. */
    if (err != 0) {
        return err;
    }
    err = hf_call_wait(&call, client_core_settle_as(hf->core, last->consumer, outcome, &with, &range, 1,
                                                    hf_left_ms(deadline_ms), hf_on_reply, &call));
    if (ret_settled != NULL) {
        *ret_settled = err == 0 ? call.count : 0;
    }
    if (err == ERR_NOT_FOUND) {
        return hf_fail(hf, ERR_STALE, "its subscription is over, and what it held has gone back");
    }
    return err == 0 && call.count == 0 ? hf_fail(hf, ERR_STALE, NULL) : err;
}

int hf_release_after(struct hf *hf, const struct hf_message *message, uint64_t delay_ms, uint64_t timeout_ms)
{
    const struct client_settlement how = {.has_delay = true, .delay_ms = delay_ms};
    return hf_settle_as(hf, message, CLIENT_RELEASE, &how, timeout_ms);
}

int hf_extend(struct hf *hf, const struct hf_message *message, uint64_t lock_ms, uint64_t timeout_ms)
{
    struct hf_call call = {.hf = hf, .invalid = HF_DELIVERY_TEXT};
    const struct client_range range = {message->number, message->number};
    return held_run(
        &call, client_core_extend(hf->core, message->consumer, lock_ms, &range, 1, timeout_ms, hf_on_reply, &call));
}

int hf_fetch(struct hf *hf, const char *queue, uint32_t max, bool accept, uint64_t timeout_ms, uint64_t *ret_taken)
{
    struct hf_call call = {.hf = hf, .invalid = HF_CREDIT_TEXT};
    const struct client_subscription how = {.fetch = true, .auto_accept = accept};
    uint64_t consumer = ++hf->consumers;
    int err = hf_call_wait(
        &call, client_core_subscribe_as(hf->core, queue, consumer, max, &how, timeout_ms, hf_on_reply, &call));
    if (err == 0 && ret_taken != NULL) {
        *ret_taken = call.count;
    }
    return err;
}
