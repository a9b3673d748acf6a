/* A queue: names and ids, its lanes, and what it counts. */

#include "statemachine/queue/queue.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "statemachine/queue/queue_private.h"
#include "statemachine/session/consumer.h"
#include "statemachine/state.h"
#include "statemachine/virtual_host/virtual_host.h"

static int returned_compare(const struct returned *a, const struct returned *b)
{
    return (a->position > b->position) - (a->position < b->position);
}

static int queue_compare_names(const struct queue *a, const struct queue *b)
{
    if (a->virtual_host != b->virtual_host) {
        return a->virtual_host > b->virtual_host ? 1 : -1;
    }
    return strcmp(a->name, b->name);
}

static int queue_compare_ids(const struct queue *a, const struct queue *b)
{
    return (a->id > b->id) - (a->id < b->id);
}

RB_GENERATE(returned_tree, returned, by_position, returned_compare)
RB_GENERATE(queue_names, queue, by_name, queue_compare_names)
RB_GENERATE(queue_dues, queue, by_due, queue_compare_ids)

static void queue_init(struct queue *queue)
{
    lane_init(&queue->lane, 0);
    RB_INIT(&queue->returned);
    RB_INIT(&queue->consumers);
    RB_INIT(&queue->waiting);
    RB_INIT(&queue->standby);
    list_init(&queue->owned);
    list_init(&queue->changed);
    list_init(&queue->recount);
}

/* The table of its lanes, if there can be more than one. */
static int queue_init_lanes(struct queue *queue, const struct queue_options *options)
{
    if (options->max_priority == 0) {
        return 0;
    }
    queue->lanes = calloc((size_t)options->max_priority + 1, sizeof *queue->lanes);
    if (queue->lanes == NULL) {
        return ERR_NOMEM;
    }
    queue->lanes[0] = &queue->lane;
    return 0;
}

int queue_new(struct machine *machine, uint64_t id, uint64_t virtual_host, const char *name, size_t name_len,
              struct queue_options *options, struct queue **ret_queue)
{
    CHECK(name_len <= NAME_LEN_MAX);
    if (queue_by_id(machine, id) != NULL) {
        return ERR_EXISTS;
    }
    struct queue *queue = calloc(1, sizeof *queue + name_len + 1);
    if (queue == NULL || queue_init_lanes(queue, options) != 0) {
        free(queue);
        return ERR_NOMEM;
    }
    queue->id = id;
    queue->virtual_host = virtual_host;
    memcpy(queue->name, name, name_len);
    queue->name_len = name_len;
    queue_init(queue);
    if (RB_INSERT(queue_names, &machine->queue_names, queue) != NULL) {
        free(queue->lanes);
        free(queue);
        return ERR_EXISTS;
    }
    queue->options = *options;
    queue_options_init(options);
    HASH_ADD(by_id, machine->queues, id, sizeof queue->id, queue);
    virtual_host_queue_came(machine, queue);
    *ret_queue = queue;
    return 0;
}

void returned_free(struct queue *queue, struct returned *returned)
{
    RB_REMOVE(returned_tree, &queue->returned, returned);
    queue->returned_len--;
    queue->returned_bytes -= returned->bytes;
    list_remove(&returned->unstored);
    free(returned);
}

static void queue_free_lanes(struct machine *machine, struct queue *queue)
{
    for (unsigned number = 0; number <= queue->options.max_priority; number++) {
        struct lane *lane = queue_lane(queue, number);
        if (lane != NULL) {
            machine->overlay_bytes -= messages_done(&lane->messages);
        }
        if (number > 0) {
            free(lane);
        }
    }
    free(queue->lanes);
}

/* Nobody finds it any more. */
static void queue_unlink(struct machine *machine, struct queue *queue)
{
    if (queue->doomed) {
        HASH_DELETE(by_id, machine->doomed, queue);
        return;
    }
    route_cache_outdate(&machine->exchanges.route_cache);
    virtual_host_queue_goes(machine, queue);
    list_remove(&queue->owned);
    if (queue->due) {
        RB_REMOVE(queue_dues, &machine->due_queues, queue);
    }
    queue->due = false;
    RB_REMOVE(queue_names, &machine->queue_names, queue);
    HASH_DELETE(by_id, machine->queues, queue);
}

void queue_doom(struct machine *machine, struct queue *queue)
{
    queue_unlink(machine, queue);
    queue->doomed = true;
    queue->route_mark = ROUTE_NEVER;
    queue->owner = 0;
    HASH_ADD(by_id, machine->doomed, id, sizeof queue->id, queue);
    queue_changed(machine, queue);
}

void queue_free(struct machine *machine, struct queue *queue)
{
    CHECK(RB_EMPTY(&queue->consumers));
    struct returned *returned;
    while ((returned = RB_ROOT(&queue->returned)) != NULL) {
        returned_free(queue, returned);
    }
    queue_free_lanes(machine, queue);
    gone_clear(&queue->gone);
    gone_clear(&queue->leaving);
    list_remove(&queue->changed);
    queue_unlink(machine, queue);
    queue_options_done(&queue->options);
    free(queue);
}

struct queue *queue_by_name(struct machine *machine, uint64_t virtual_host, const char *name)
{
    struct queue *queue = RB_ROOT(&machine->queue_names);
    while (queue != NULL) {
        int order = virtual_host == queue->virtual_host  ? strcmp(name, queue->name)
                    : virtual_host < queue->virtual_host ? -1
                                                         : 1;
        if (order == 0) {
            return queue;
        }
        queue = order < 0 ? RB_LEFT(queue, by_name) : RB_RIGHT(queue, by_name);
    }
    return NULL;
}

struct queue *queue_by_id(struct machine *machine, uint64_t id)
{
    struct queue *queue = NULL;
    HASH_FIND(by_id, machine->queues, &id, sizeof id, queue);
    return queue;
}

struct queue *queue_by_id_doomed_too(struct machine *machine, uint64_t id)
{
    struct queue *queue = queue_by_id(machine, id);
    if (queue == NULL) {
        HASH_FIND(by_id, machine->doomed, &id, sizeof id, queue);
    }
    return queue;
}

bool queue_usable_by(const struct queue *queue, const struct session *session)
{
    return queue->owner == 0 || (session != NULL && queue->owner == session->id) ||
           fault_fires(FAULT_SKIP_EXCLUSIVE_CHECK);
}

void queue_changed(struct machine *machine, struct queue *queue)
{
    if (!list_linked(&queue->changed)) {
        list_push_back(&machine->changed_queues, &queue->changed);
    }
    if (!list_linked(&queue->recount) && !queue->doomed) {
        virtual_host_queue_changed(machine, queue);
    }
}

void queue_due(struct machine *machine, struct queue *queue)
{
    if (!queue->due && !queue->doomed) {
        queue->due = true;
        RB_INSERT(queue_dues, &machine->due_queues, queue);
    }
}

uint64_t queue_ready(const struct queue *queue)
{
    return queue->fresh + queue->returned_len + queue->far + queue->parked;
}

uint64_t queue_enqueued(const struct queue *queue)
{
    uint64_t enqueued = 0;
    for (unsigned number = 0; number <= queue->options.max_priority; number++) {
        const struct lane *lane = queue_lane(queue, number);
        enqueued += lane != NULL ? lane_enqueued(lane) : 0;
    }
    return enqueued;
}

struct lane *queue_lane(const struct queue *queue, unsigned number)
{
    if (number > queue->options.max_priority) {
        return NULL;
    }
    return queue->lanes != NULL ? queue->lanes[number] : (struct lane *)&queue->lane;
}

int queue_make_lane(struct queue *queue, unsigned number, struct lane **ret_lane)
{
    struct lane *lane = queue_lane(queue, number);
    if (lane == NULL) {
        lane = malloc(sizeof *lane);
        if (lane == NULL) {
            return ERR_NOMEM;
        }
        lane_init(lane, number);
        queue->lanes[number] = lane;
    }
    *ret_lane = lane;
    return 0;
}

void queue_lane_changed(struct queue *queue, const struct lane *lane)
{
    if (queue->lanes != NULL) {
        unsigned number = lane_of(lane->head);
        uint64_t bit = UINT64_C(1) << (number % 64);
        uint64_t *word = &queue->ready_lanes[number / 64];
        *word = lane_has_ready(lane) ? *word | bit : *word & ~bit;
    }
}

struct lane *queue_first_ready_lane(const struct queue *queue)
{
    if (queue->lanes == NULL) {
        return lane_has_ready(&queue->lane) ? (struct lane *)&queue->lane : NULL;
    }
    if (fault_fires(FAULT_SKIP_PRIORITY)) {
        return queue_last_ready_lane(queue);
    }
    for (unsigned word = 0; word < ARRAY_LEN(queue->ready_lanes); word++) {
        if (queue->ready_lanes[word] != 0) {
            return queue->lanes[word * 64 + (unsigned)__builtin_ctzll(queue->ready_lanes[word])];
        }
    }
    return NULL;
}

struct lane *queue_last_ready_lane(const struct queue *queue)
{
    if (queue->lanes == NULL) {
        return queue_first_ready_lane(queue);
    }
    for (unsigned word = ARRAY_LEN(queue->ready_lanes); word > 0; word--) {
        if (queue->ready_lanes[word - 1] != 0) {
            return queue->lanes[word * 64 - 1 - (unsigned)__builtin_clzll(queue->ready_lanes[word - 1])];
        }
    }
    return NULL;
}

bool queue_may_have(const struct queue *queue, uint64_t position)
{
    const struct lane *lane = queue_lane(queue, lane_of(position));
    if (lane == NULL || position <= lane_start(lane_of(position)) || position >= lane->tail) {
        return false;
    }
    const struct message *message = messages_at(&lane->messages, position);
    if (message != NULL) {
        return !message->settled;
    }
    return !gone_has(&queue->gone, position) && !gone_has(&queue->leaving, position);
}
