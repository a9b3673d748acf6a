/* An array that grows at its end and is cut at both: what the log keeps for each entry, by index. */

#ifndef HOLDFAST_CONSENSUS_LOG_DEQUE_H
#define HOLDFAST_CONSENSUS_LOG_DEQUE_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

struct log_deque {
    uint8_t *data;
    size_t elem_len;
    size_t head; /* Elements free at the front. */
    size_t len;
    size_t cap;
};

void log_deque_init(struct log_deque *deque, size_t elem_len);
void log_deque_done(struct log_deque *deque);
/* Makes room, so that the next `extra` pushes cannot fail. ERR_NOMEM leaves it untouched. */
int log_deque_reserve(struct log_deque *deque, size_t extra) NODISCARD;
/* Adds at the end; room must have been made. */
void log_deque_push(struct log_deque *deque, const void *elem);
/* The element at a position, which must be below `len`. */
void *log_deque_at(const struct log_deque *deque, size_t i);
/* The last element, or NULL. */
void *log_deque_last(const struct log_deque *deque);
void log_deque_drop_front(struct log_deque *deque, size_t count);
void log_deque_drop_back(struct log_deque *deque, size_t count);

#endif
