/* Which messages of a planned publish their queues have seen already, and whether there is room for the others. What the plan itself
 * brings counts: ids in a hash table, messages and bytes in the queues. */

#include <stdlib.h>

#include "proto/base/fault.h"
#include "statemachine/command/command.h"
#include "statemachine/message/message_id.h"

#define IDS_CAP_MIN 1024u

/* ---- Ids ---- */

/* The place of an id, or the free one where it belongs. */
static struct planned_id *ids_place(struct publishing *publishing, uint64_t queue, struct id_hash id)
{
    size_t at = (size_t)(id.low + queue * UINT64_C(0x9e3779b97f4a7c15)) & (publishing->ids_cap - 1);
    for (;; at = (at + 1) & (publishing->ids_cap - 1)) {
        struct planned_id *place = &publishing->ids[at];
        if (place->mark != publishing->mark ||
            (place->queue == queue && place->id.high == id.high && place->id.low == id.low)) {
            return place;
        }
    }
}

static int ids_grow(struct publishing *publishing)
{
    struct planned_id *old = publishing->ids;
    size_t old_cap = publishing->ids_cap;
    size_t cap = old_cap > 0 ? 2 * old_cap : IDS_CAP_MIN;
    struct planned_id *ids = calloc(cap, sizeof *ids);
    if (ids == NULL) {
        return ERR_NOMEM;
    }
    publishing->ids = ids;
    publishing->ids_cap = cap;
    for (size_t i = 0; i < old_cap; i++) {
        if (old[i].mark == publishing->mark) {
            *ids_place(publishing, old[i].queue, old[i].id) = old[i];
        }
    }
    free(old);
    return 0;
}

static int ids_note(struct publishing *publishing, uint64_t queue, struct id_hash id)
{
    int err = 2 * (publishing->ids_len + 1) > publishing->ids_cap ? ids_grow(publishing) : 0;
    if (err == 0) {
        *ids_place(publishing, queue, id) = (struct planned_id){.mark = publishing->mark, .queue = queue, .id = id};
        publishing->ids_len++;
    }
    return err;
}

static int id_is_seen(struct machine *machine, const struct queue *queue, struct id_hash id, bool *ret_seen)
{
    struct publishing *publishing = &machine->publishing;
    if (publishing->ids_len > 0 && ids_place(publishing, queue->id, id)->mark == publishing->mark) {
        *ret_seen = true;
        return 0;
    }
    return message_id_seen(machine, queue, id, ret_seen);
}

/* Leaves out the queues that have seen the message's id. */
static int planned_skip_seen(struct machine *machine, struct planned *planned)
{
    struct planned_target *targets = machine->publishing.targets + planned->targets;
    size_t kept = 0;
    if (id_hash_is_none(planned->facts.id)) {
        return 0;
    }
    for (size_t i = 0; i < planned->targets_len; i++) {
        bool seen = false;
        if (targets[i].queue->options.id_window_ms > 0) {
            int err = id_is_seen(machine, targets[i].queue, planned->facts.id, &seen);
            if (err != 0) {
                return err;
            }
        }
        if (!seen) {
            targets[kept++] = targets[i];
        }
    }
    if (kept == 0 && planned->targets_len > 0) {
        planned->fate = PLANNED_REPEATED;
    }
    planned->targets_len = kept;
    return 0;
}

/* ---- Room ---- */

static bool queue_refuses(const struct queue *queue)
{
    return queue->options.overflow == QUEUE_REJECT_NEW &&
           (queue->options.has_max_length || queue->options.has_max_bytes);
}

static void queue_begin_tally(const struct machine *machine, struct queue *queue)
{
    if (queue->plan_mark != machine->publishing.mark) {
        queue->plan_mark = machine->publishing.mark;
        queue->plan_messages = 0;
        queue->plan_bytes = 0;
    }
}

static int queue_has_room(struct machine *machine, struct queue *queue, uint64_t len, bool *ret_room)
{
    const struct queue_options *options = &queue->options;
    queue_begin_tally(machine, queue);
    *ret_room = !options->has_max_length || queue_ready(queue) + queue->plan_messages < options->max_length;
    if (!*ret_room || !options->has_max_bytes) {
        return 0;
    }
    uint64_t more = queue->plan_bytes + len;
    if (more > options->max_bytes) {
        *ret_room = false;
        return 0;
    }
    return queue_bytes_within(machine, queue, options->max_bytes - more, ret_room);
}

static int planned_has_room(struct machine *machine, const struct planned *planned, bool *ret_room)
{
    const struct planned_target *targets = machine->publishing.targets + planned->targets;
    *ret_room = true;
    for (size_t i = 0; i < planned->targets_len && *ret_room; i++) {
        if (queue_refuses(targets[i].queue)) {
            int err = queue_has_room(machine, targets[i].queue, planned->body_len, ret_room);
            if (err != 0) {
                return err;
            }
        }
    }
    return 0;
}

/* It will come into its queues: those behind it are to know. */
static int planned_count(struct machine *machine, const struct planned *planned)
{
    struct publishing *publishing = &machine->publishing;
    for (size_t i = 0; i < planned->targets_len; i++) {
        struct queue *queue = publishing->targets[planned->targets + i].queue;
        if (queue_refuses(queue)) {
            queue_begin_tally(machine, queue);
            queue->plan_messages += !fault_fires(FAULT_SKIP_TALLY);
            queue->plan_bytes += planned->body_len;
        }
        if (queue->options.id_window_ms > 0 && !id_hash_is_none(planned->facts.id)) {
            int err = ids_note(publishing, queue->id, planned->facts.id);
            if (err != 0) {
                return err;
            }
        }
    }
    return 0;
}

static int planned_find_room(struct machine *machine, const struct publish_plan *plan, struct planned *planned,
                             struct reply *reply)
{
    bool room;
    int err = planned_skip_seen(machine, planned);
    if (err == 0) {
        err = planned_has_room(machine, planned, &room);
    }
    if (err != 0) {
        return err;
    }
    if (room) {
        return planned_count(machine, planned);
    }
    if (plan->publish->each) {
        planned->fate = PLANNED_REFUSED;
    } else {
        reply_fail(reply, ERR_FULL, DETAIL_QUEUE_FULL);
    }
    return 0;
}

int publish_room(struct machine *machine, struct publish_plan *plan, struct reply *reply)
{
    for (size_t i = plan->repeated; i < plan->publish->n_body_len && reply->error == 0; i++) {
        struct planned *planned = &machine->publishing.messages[plan->first + i];
        if (planned->fate == PLANNED_TAKEN && planned->targets_len > 0) {
            int err = planned_find_room(machine, plan, planned, reply);
            if (err != 0) {
                return err;
            }
        }
    }
    return 0;
}
