/* Commands of a client: encoding, numbering, the window, answers, and sending again. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "rpc/client/client_state.h"
#include "rpc/native/native_frame.h"
#include "rpc/native/native_limit.h"
#include "rpc/native/native_version.h"

/* Room that a command's number and floor take beside it in the frame's header. */
#define COMMAND_FRAME_OVERHEAD 64u

/* OUT_OF_ORDER without progress after which the session is given up. */
#define STRIKES_MAX 3u

struct client_command **client_command_slot(struct client_core *core, uint64_t number)
{
    return &core->ring[number % SESSION_WINDOW_MAX];
}

static void command_free(struct client_core *core, struct client_command *command)
{
    core->bytes -= command->len;
    slice_unref(&command->header);
    for (unsigned i = 0; i < command->bodies_len; i++) {
        slice_unref(&command->bodies[i]);
    }
    free(command->bodies);
    free(command);
}

void client_command_tell(struct client_core *core, struct client_command *command, const struct client_reply *reply)
{
    if (command->told) {
        return;
    }
    command->told = true;
    core->unanswered--;
    if (command->cb != NULL) {
        command->cb(command->arg, reply);
    }
}

static void command_end(struct client_core *core, struct client_command *command, int err)
{
    const char *detail = err == 0 ? "" : err_text(err);
    char line[400];
    if (err == ERR_UNAVAILABLE && core->trouble[0] != '\0') {
        snprintf(line, sizeof line, "%s (%s)", err_text(err), core->trouble);
        detail = line;
    } else if (err != 0 && err == core->refused_err) {
        detail = core->trouble;
    } else if (err == ERR_TOO_BIG) {
        native_limit_text(core->body_len_max, line);
        detail = line;
    } else if (err == ERR_VERSION) {
        detail = NATIVE_VERSION_TEXT;
    }
    client_command_tell(core, command, &(struct client_reply){.err = err, .detail = detail});
    command_free(core, command);
}

void client_command_end_list(struct client_core *core, struct list_node *list)
{
    struct list_node *node;
    while ((node = list_first(list)) != NULL) {
        struct client_command *command = container_of(node, struct client_command, node);
        list_remove(node);
        command_end(core, command, command->end_err);
    }
}

/* Makes the command's own references to the bodies: those without a blob are copied, all into one. */
static int bodies_take(struct client_command *command, const struct slice *bodies, size_t bodies_len)
{
    if (bodies_len == 0) {
        return 0;
    }
    size_t copy_len = 0;
    size_t borrowed = 0;
    for (size_t i = 0; i < bodies_len; i++) {
        borrowed += bodies[i].blob == NULL;
        copy_len += bodies[i].blob == NULL ? bodies[i].len : 0;
    }
    struct blob *copy = NULL;
    if (borrowed > 0 && (copy = blob_new(copy_len)) == NULL) {
        return ERR_NOMEM;
    }
    command->bodies = malloc((borrowed == bodies_len ? 1 : bodies_len) * sizeof *command->bodies);
    if (command->bodies == NULL) {
        blob_unref(copy);
        return ERR_NOMEM;
    }
    size_t offset = 0;
    for (size_t i = 0; i < bodies_len; i++) {
        if (bodies[i].blob != NULL) {
            command->bodies[command->bodies_len++] = slice_ref(bodies[i]);
            continue;
        }
        if (bodies[i].len > 0) {
            memcpy(copy->data + offset, bodies[i].data, bodies[i].len);
        }
        if (borrowed != bodies_len) {
            struct slice part = slice_part(slice_of_blob(copy), offset, bodies[i].len);
            command->bodies[command->bodies_len++] = slice_ref(part);
        }
        offset += bodies[i].len;
    }
    if (borrowed == bodies_len) {
        command->bodies[command->bodies_len++] = slice_ref(slice_of_blob(copy)); /* One after the other: one part. */
    }
    blob_unref(copy);
    return 0;
}

int client_command_add(struct client_core *core, enum client_command_kind kind, const Holdfast__Command *message,
                       uint64_t consumer, uint64_t producer, const struct slice *bodies, size_t bodies_len,
                       uint64_t timeout_ms, client_reply_cb cb, void *arg)
{
    if (core->phase == CLIENT_ENDED || core->closing || core->options.query_only) {
        return core->ended_err;
    }
    size_t header_len = holdfast__command__get_packed_size(message);
    if (header_len > HEADER_LEN_MAX - COMMAND_FRAME_OVERHEAD) {
        return ERR_TOO_BIG;
    }
    size_t len = header_len;
    size_t longest = 0;
    for (size_t i = 0; i < bodies_len; i++) {
        len += bodies[i].len;
        longest = bodies[i].len > longest ? bodies[i].len : longest;
    }
    bool full = core->waiting_len >= (size_t)core->window * 4 ||
                (core->bytes > 0 && (core->bytes > CLIENT_BYTES_MAX || len > CLIENT_BYTES_MAX - core->bytes));
    if (full && kind != CLIENT_CLOSE) {
        return ERR_BUSY;
    }
    int err = ERR_NOMEM;
    struct client_command *command = calloc(1, sizeof *command);
    struct blob *header = blob_new(header_len);
    if (command == NULL || header == NULL) {
        goto fail;
    }
    holdfast__command__pack(message, header->data);
    if (core->version_one && !native_version_one_knows(slice_of_blob(header))) {
        err = ERR_VERSION;
        goto fail;
    }
    if (bodies_take(command, bodies, bodies_len) != 0) {
        goto fail;
    }
    list_init(&command->node);
    command->kind = kind;
    command->consumer = consumer;
    command->producer = producer;
    command->deadline_ms = client_deadline(core, timeout_ms);
    command->cb = cb;
    command->arg = arg;
    command->header = slice_of_blob(header);
    command->len = len;
    command->body_len = longest;
    core->bytes += len;
    core->unanswered++;
    core->waiting_len++;
    list_push_back(&core->waiting, &command->node);
    if (command->deadline_ms < core->timeout_ms) {
        core->timeout_ms = command->deadline_ms;
    }
    return 0;

fail:
    blob_unref(header);
    free(command);
    return err;
}

static int command_send(struct client_core *core, struct client_command *command)
{
    struct frame_out frame;
    int err = native_frame_encode_command(command->number, command->answered, command->header, command->bodies,
                                          command->bodies_len, &frame);
    if (err != 0) {
        return err;
    }
    client_connection_send(core, &frame);
    return 0;
}

void client_command_pump(struct client_core *core)
{
    struct list_node *node;
    while (core->phase == CLIENT_READY && !core->broken && !core->options.query_only &&
           core->last_number - core->floor < core->window && (node = list_first(&core->waiting)) != NULL) {
        struct client_command *command = container_of(node, struct client_command, node);
        command->number = core->last_number + 1;
        /* Also when it is sent again: it tells the machine which refusals were known when it was issued. */
        command->answered = core->floor;
        if (client_ring_empty(core)) {
            core->progress_ms = client_now(core);
        }
        if (command_send(core, command) != 0) {
            core->broken = true; /* Out of memory. It keeps waiting, and so does its order. */
            return;
        }
        list_remove(node);
        core->waiting_len--;
        core->last_number++;
        command->sent = true;
        CHECK(*client_command_slot(core, command->number) == NULL);
        *client_command_slot(core, command->number) = command;
        struct client_consumer *consumer = NULL;
        if (command->kind == CLIENT_SUBSCRIBE && (consumer = client_consumer_find(core, command->consumer)) != NULL) {
            consumer->sent = true;
        }
    }
}

static void floor_advance(struct client_core *core)
{
    while (core->floor < core->last_number && *client_command_slot(core, core->floor + 1) == NULL) {
        core->floor++;
        core->strikes = 0;
    }
}

/* What an answer means for the subscription that it is about. */
static void command_answered(struct client_core *core, const struct client_command *command,
                             const struct client_reply *reply)
{
    struct client_consumer *consumer = client_consumer_find(core, command->consumer);
    if (consumer == NULL) {
        return;
    }
    if (command->kind == CLIENT_SUBSCRIBE && reply->err == 0) {
        consumer->subscribed = true;
    } else if (command->kind == CLIENT_SUBSCRIBE || command->kind == CLIENT_UNSUBSCRIBE) {
        client_consumer_remove(core, consumer);
    } else if (command->kind == CLIENT_SETTLE && reply->err == ERR_NOT_FOUND && !consumer->ending) {
        /* Its queue was deleted, and with it the subscription. */
        client_consumer_remove(core, consumer);
        core->host.consumer_ended(core->host.arg, command->consumer, reply->err, reply->detail);
    }
}

/* Takes a numbered command out of the ring, tells its caller, and frees it. */
static void command_finish(struct client_core *core, struct client_command *command, const struct client_reply *reply)
{
    *client_command_slot(core, command->number) = NULL;
    floor_advance(core);
    command_answered(core, command, reply);
    client_command_tell(core, command, reply);
    uint64_t id = command->kind == CLIENT_SUBSCRIBE ? command->consumer : 0;
    command_free(core, command);
    struct client_consumer *consumer = client_consumer_find(core, id);
    if (consumer != NULL && consumer->ended_err != 0 && !consumer->ending) {
        /* It was made and ended before this answer came: now that it is confirmed, its end can be told. */
        int err = consumer->ends_alone ? 0 : consumer->ended_err; /* A fetch ends by itself. */
        client_consumer_remove(core, consumer);
        core->host.consumer_ended(core->host.arg, id, err, err_text(err));
    }
}

bool client_command_subscribed_before(struct client_core *core, uint64_t consumer)
{
    for (uint64_t number = core->floor + 1; number <= core->carried_out && number <= core->last_number; number++) {
        const struct client_command *command = *client_command_slot(core, number);
        if (command != NULL && command->kind == CLIENT_SUBSCRIBE && command->consumer == consumer) {
            return true;
        }
    }
    return false;
}

/* A named producer's publish was refused: what it numbered later and is not on its way must not go, because a later
 * sequence number would make the machine take the refused one for a repetition when it is published again. */
static void producer_refuse(struct client_core *core, uint64_t producer, struct list_node *dead)
{
    for (uint64_t number = core->floor + 1; number <= core->last_number; number++) {
        struct client_command *command = *client_command_slot(core, number);
        if (command != NULL && command->producer == producer) {
            command->behind = true; /* On its way: left to the node, but not for another session. */
        }
    }
    for (struct list_node *node = core->waiting.next, *next; node != &core->waiting; node = next) {
        struct client_command *command = container_of(node, struct client_command, node);
        next = node->next;
        if (command->producer == producer) {
            command->end_err = command->sent ? ERR_OUTCOME_UNKNOWN : ERR_REFUSED;
            list_remove(node);
            list_push_back(dead, node);
            core->waiting_len--;
        }
    }
}

static int command_reply(struct client_core *core, const Holdfast__Reply *message)
{
    if (message->number <= core->floor || message->number > core->last_number) {
        return 0; /* An answer that was sent again. */
    }
    struct client_command *command = *client_command_slot(core, message->number);
    if (command == NULL) {
        return 0;
    }
    int err = message->error > INT32_MAX ? ERR_INVALID : -(int)message->error;
    if (err == ERR_DISPLACED || err == ERR_SESSION_EXPIRED) {
        return err;
    }
    if (err == ERR_OUT_OF_ORDER) {
        /* Not an outcome: what was sent before it did not arrive. Attached again, everything unanswered is sent again, and
         * what was carried out meanwhile is answered as it was. */
        return ++core->strikes > STRIKES_MAX ? ERR_SESSION_EXPIRED : ERR_OUT_OF_ORDER;
    }
    bool closed = command->kind == CLIENT_CLOSE && err == 0;
    struct list_node dead;
    list_init(&dead);
    if (err != 0 && command->producer != 0) {
        producer_refuse(core, command->producer, &dead);
    }
    if ((err == ERR_NO_SPACE || err == ERR_REFUSED) && command->again) {
        err = ERR_OUTCOME_UNKNOWN; /* Refused unseen, and done perhaps in the session before. */
    }
    command_finish(core, command,
                   &(struct client_reply){
                       .err = err,
                       .detail = message->detail,
                       .count = message->count,
                       .repeated_count = message->repeated_count,
                       .unrouted = {.data = message->unrouted.data, .len = message->unrouted.len},
                       .refused = {.data = message->refused.data, .len = message->refused.len},
                   });
    client_command_end_list(core, &dead);
    return closed ? ERR_CLOSED : 0;
}

int client_command_replies(struct client_core *core, struct frame *frame)
{
    ProtobufCMessage *base;
    int err = native_frame_decode(frame, &holdfast__replies__descriptor, &core->arena, &base);
    if (err != 0) {
        return err;
    }
    const Holdfast__Replies *replies = (const Holdfast__Replies *)(void *)base;
    core->progress_ms = client_now(core);
    for (size_t i = 0; i < replies->n_replies && err == 0; i++) {
        err = command_reply(core, replies->replies[i]);
    }
    return err;
}

void client_command_resend(struct client_core *core)
{
    for (uint64_t number = core->floor + 1; number <= core->last_number; number++) {
        struct client_command *command = *client_command_slot(core, number);
        if (command != NULL && command_send(core, command) != 0) {
            core->broken = true;
            return;
        }
    }
    core->progress_ms = client_now(core);
}
