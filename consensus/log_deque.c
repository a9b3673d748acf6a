/* An array that grows at its end and is cut at both. */

#include "consensus/log_deque.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"

void log_deque_init(struct log_deque *deque, size_t elem_len)
{
    *deque = (struct log_deque){.elem_len = elem_len};
}

void log_deque_done(struct log_deque *deque)
{
    free(deque->data);
    log_deque_init(deque, deque->elem_len);
}

int log_deque_reserve(struct log_deque *deque, size_t extra)
{
    if (extra <= deque->cap - deque->head - deque->len) {
        return 0;
    }
    if (extra > SIZE_MAX / 4 / deque->elem_len - deque->len) {
        return ERR_NOMEM;
    }
    /* Moving back is only worth it when it frees half: otherwise it would be done again and again. */
    if (deque->head >= deque->cap / 2 && deque->len + extra <= deque->cap) {
        memmove(deque->data, deque->data + deque->head * deque->elem_len, deque->len * deque->elem_len);
        deque->head = 0;
        return 0;
    }
    size_t cap = (deque->len + extra) + (deque->len + extra) / 2 + 16;
    uint8_t *data = malloc(cap * deque->elem_len);
    if (data == NULL) {
        return ERR_NOMEM;
    }
    if (deque->len > 0) {
        memcpy(data, deque->data + deque->head * deque->elem_len, deque->len * deque->elem_len);
    }
    free(deque->data);
    deque->data = data;
    deque->cap = cap;
    deque->head = 0;
    return 0;
}

void log_deque_push(struct log_deque *deque, const void *elem)
{
    CHECK(deque->head + deque->len < deque->cap);
    memcpy(deque->data + (deque->head + deque->len) * deque->elem_len, elem, deque->elem_len);
    deque->len++;
}

void *log_deque_at(const struct log_deque *deque, size_t i)
{
    CHECK(i < deque->len);
    return deque->data + (deque->head + i) * deque->elem_len;
}

void *log_deque_last(const struct log_deque *deque)
{
    return deque->len == 0 ? NULL : log_deque_at(deque, deque->len - 1);
}

void log_deque_drop_front(struct log_deque *deque, size_t count)
{
    CHECK(count <= deque->len);
    deque->head += count;
    deque->len -= count;
    if (deque->len == 0) {
        deque->head = 0;
    }
}

void log_deque_drop_back(struct log_deque *deque, size_t count)
{
    CHECK(count <= deque->len);
    deque->len -= count;
    if (deque->len == 0) {
        deque->head = 0;
    }
}
