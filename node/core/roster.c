/* A small table of nodes. */

#include "node/core/roster.h"

#include <stddef.h>
#include <string.h>

#include "proto/base/bytes.h"

void roster_begin(struct roster *roster)
{
    *roster = (struct roster){0};
}

struct roster_node *roster_get(struct roster *roster, uint64_t node, uint64_t now_ms)
{
    for (unsigned i = 0; i < roster->len; i++) {
        if (roster->nodes[i].id == node) {
            return &roster->nodes[i];
        }
    }
    if (roster->len == NODES_PRESENT_MAX) {
        return NULL;
    }
    struct roster_node *made = &roster->nodes[roster->len++];
    *made = (struct roster_node){.id = node, .heard_ms = now_ms};
    return made;
}

const struct roster_node *roster_find(const struct roster *roster, uint64_t node)
{
    for (unsigned i = 0; i < roster->len; i++) {
        if (roster->nodes[i].id == node) {
            return &roster->nodes[i];
        }
    }
    return NULL;
}

void roster_forget(struct roster *roster, uint64_t node)
{
    for (unsigned i = 0; i < roster->len; i++) {
        if (roster->nodes[i].id == node) {
            roster->nodes[i] = roster->nodes[--roster->len];
            return;
        }
    }
}

void roster_set_alarm(struct roster_node *node, const char *text)
{
    size_t len = 0;
    for (; text[len] != '\0' && len < ROSTER_ALARM_LEN - 1; len++) {
        unsigned char byte = (unsigned char)text[len];
        node->alarm[len] = byte < ' ' || byte == 0x7f ? ' ' : text[len];
    }
    while (!bytes_are_utf8(node->alarm, len)) {
        len--;
    }
    node->alarm[len] = '\0';
}
