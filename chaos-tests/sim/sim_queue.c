/* The heap of events. */

#include "sim_queue.h"

#include <stdbool.h>
#include <stdlib.h>

#include "proto/base/check.h"

static bool event_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

void sim_queue_push(struct sim_queue *queue, struct sim_event event)
{
    if (queue->len == queue->cap) {
        queue->cap = queue->cap == 0 ? 1024 : queue->cap * 2;
        queue->events = realloc(queue->events, queue->cap * sizeof *queue->events);
        CHECK(queue->events != NULL);
    }
    if (event.at_us < queue->now_us) {
        event.at_us = queue->now_us;
    }
    event.order = queue->pushed++;
    size_t i = queue->len++;
    while (i > 0 && event_before(&event, &queue->events[(i - 1) / 2])) {
        queue->events[i] = queue->events[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    queue->events[i] = event;
}

static struct sim_event queue_pop(struct sim_queue *queue)
{
    struct sim_event first = queue->events[0];
    struct sim_event last = queue->events[--queue->len];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= queue->len) {
            break;
        }
        if (child + 1 < queue->len && event_before(&queue->events[child + 1], &queue->events[child])) {
            child++;
        }
        if (!event_before(&queue->events[child], &last)) {
            break;
        }
        queue->events[i] = queue->events[child];
        i = child;
    }
    queue->events[i] = last;
    return first;
}

void sim_queue_fire(struct sim_queue *queue)
{
    CHECK(queue->len > 0);
    struct sim_event event = queue_pop(queue);
    queue->now_us = event.at_us;
    event.fire(&event);
    blob_unref(event.blob);
}

void sim_queue_done(struct sim_queue *queue)
{
    for (size_t i = 0; i < queue->len; i++) {
        blob_unref(queue->events[i].blob);
    }
    free(queue->events);
    *queue = (struct sim_queue){0};
}
