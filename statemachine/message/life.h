/* The life of a message: what became of it, step by step, in queues with keep_life_ms.
 *
 * Row 'L' queue position number: u64 log index, u64 time_ms, u8 kind, u64 session, u64 consumer, u8 length of the text, text. */

#ifndef HOLDFAST_STATEMACHINE_MESSAGE_LIFE_H
#define HOLDFAST_STATEMACHINE_MESSAGE_LIFE_H

#include "statemachine/machine_looking.h"
#include "statemachine/queue/enqueue.h"
#include "statemachine/queue/queue.h"

/* Whether lives are kept. */
static inline bool queue_keeps_lives(const struct queue *queue)
{
    return queue->options.keep_life_ms > 0;
}

/* A step of the life of a message, in a queue that keeps lives. ERR_NOMEM, ERR_IO, ERR_CORRUPT, as all here. */
int life_note_kept(struct machine *machine, const struct queue *queue, uint64_t position, enum machine_life_kind kind,
                   uint64_t session, uint64_t consumer) NODISCARD;
/* Likewise; in a queue that does not keep lives nothing is done, and it costs nothing. */
NODISCARD static inline int life_note_step(struct machine *machine, const struct queue *queue, uint64_t position,
                                           enum machine_life_kind kind, uint64_t session, uint64_t consumer)
{
    return queue_keeps_lives(queue) ? life_note_kept(machine, queue, position, kind, session, consumer) : 0;
}
/* Likewise with a text, of at most NAME_LEN_MAX bytes; NULL: none. */
int life_note_text(struct machine *machine, const struct queue *queue, uint64_t position, enum machine_life_kind kind,
                   const char *text) NODISCARD;
/* It has come into the queue. */
int life_note_enqueued(struct machine *machine, const struct queue *queue, uint64_t position,
                       enum enqueue_how how) NODISCARD;
/* Its last step is noted: that is known for keep_life_ms from now on. */
int life_end(struct machine *machine, const struct queue *queue, uint64_t position) NODISCARD;

/* All ready messages of the queue have been dropped: to be noted before queue_purge(). */
int life_purge(struct machine *machine, const struct queue *queue) NODISCARD;
/* The queue's keep_life_ms was `before_ms`: when lives are not kept any more, those that there are go. */
int life_changed(struct machine *machine, const struct queue *queue, uint64_t before_ms) NODISCARD;

/* TIMER_LIFE_ENDS. */
struct timer;
int life_fired(struct machine *machine, const struct timer *timer) NODISCARD;

#endif
