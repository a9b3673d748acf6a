/* An intrusive, circular, doubly linked list. The caller embeds `struct list_node` and finds its struct again with
 * container_of(). Nothing here allocates. */

#ifndef HOLDFAST_PROTO_BASE_LIST_H
#define HOLDFAST_PROTO_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_node {
    struct list_node *prev;
    struct list_node *next;
};

/* The head of a list, or a node that is in none. */
static inline void list_init(struct list_node *node)
{
    node->prev = node;
    node->next = node;
}

static inline bool list_empty(const struct list_node *head)
{
    return head->next == head;
}

/* Whether an initialised node is in a list. */
static inline bool list_linked(const struct list_node *node)
{
    return node->next != node;
}

static inline void list_push_back(struct list_node *head, struct list_node *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void list_push_front(struct list_node *head, struct list_node *node)
{
    list_push_back(head->next, node);
}

/* Takes the node out of its list, if any, and leaves it initialised. */
static inline void list_remove(struct list_node *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* The first node, or NULL. */
static inline struct list_node *list_first(struct list_node *head)
{
    return list_empty(head) ? NULL : head->next;
}

#define LIST_FOR_EACH(node, head) for (struct list_node *node = (head)->next; node != (head); node = node->next)

#endif
