/* Three lists: waiting, asked, ready. */

#include "node/core/reads.h"

#include "proto/base/check.h"

static struct gateway_read *read_of(struct list_node *node)
{
    return container_of(node, struct gateway_read, node);
}

void reads_init(struct reads *reads, uint64_t id_last)
{
    *reads = (struct reads){.id_last = id_last};
    list_init(&reads->waiting);
    list_init(&reads->asked);
    list_init(&reads->ready);
}

void reads_add(struct reads *reads, struct gateway_read *read, uint64_t deadline_ms)
{
    read->round = 0;
    read->index = 0;
    read->deadline_ms = deadline_ms;
    list_init(&read->node);
    list_push_back(&reads->waiting, &read->node);
}

void reads_cancel(struct gateway_read *read)
{
    list_remove(&read->node);
}

static void list_move(struct list_node *node, struct list_node *to)
{
    list_remove(node);
    list_push_back(to, node);
}

void reads_asked(struct reads *reads, uint64_t round, uint64_t now_ms)
{
    struct list_node *node;
    while ((node = list_first(&reads->waiting)) != NULL) {
        read_of(node)->round = round;
        list_move(node, &reads->asked);
    }
    reads->asking = true;
    reads->asked_ms = now_ms;
}

void reads_answered(struct reads *reads, uint64_t round, uint64_t index)
{
    struct list_node *node;
    /* In the order in which they were asked. */
    while ((node = list_first(&reads->asked)) != NULL && read_of(node)->round <= round) {
        read_of(node)->index = index;
        list_move(node, &reads->ready);
    }
    reads->asking = !list_empty(&reads->asked);
}

void reads_lost(struct reads *reads)
{
    struct list_node *node;
    while ((node = list_first(&reads->asked)) != NULL) {
        list_move(node, &reads->waiting);
    }
    reads->asking = false;
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        reads->remotes[i] = (struct reads_remote){0};
    }
}

static struct gateway_read *list_overdue(struct list_node *list, uint64_t now_ms)
{
    LIST_FOR_EACH (node, list) {
        if (read_of(node)->deadline_ms <= now_ms) {
            return read_of(node);
        }
    }
    return NULL;
}

struct gateway_read *reads_take(struct reads *reads, uint64_t applied_index, uint64_t now_ms, int *ret_err)
{
    LIST_FOR_EACH (node, &reads->ready) {
        if (read_of(node)->index <= applied_index) {
            *ret_err = 0;
            struct gateway_read *read = read_of(node);
            list_remove(node);
            return read;
        }
    }
    struct list_node *lists[] = {&reads->waiting, &reads->asked, &reads->ready};
    for (unsigned i = 0; i < ARRAY_LEN(lists); i++) {
        struct gateway_read *read = list_overdue(lists[i], now_ms);
        if (read != NULL) {
            *ret_err = ERR_UNAVAILABLE;
            list_remove(&read->node);
            return read;
        }
    }
    return NULL;
}

bool reads_empty(const struct reads *reads)
{
    return list_empty(&reads->waiting) && list_empty(&reads->asked) && list_empty(&reads->ready);
}

size_t reads_len(const struct reads *reads)
{
    const struct list_node *lists[] = {&reads->waiting, &reads->asked, &reads->ready};
    size_t len = 0;
    for (unsigned i = 0; i < ARRAY_LEN(lists); i++) {
        LIST_FOR_EACH (node, lists[i]) {
            len++;
        }
    }
    return len;
}

struct reads_remote *reads_remote(struct reads *reads, uint64_t node)
{
    struct reads_remote *unused = NULL;
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        if (reads->remotes[i].id != 0 && reads->remotes[i].node == node) {
            return &reads->remotes[i];
        }
        if (reads->remotes[i].id == 0 && unused == NULL) {
            unused = &reads->remotes[i];
        }
    }
    if (unused != NULL) {
        *unused = (struct reads_remote){.node = node};
    }
    return unused;
}
