/* The list of unanswered commands and its cursor. */

#include "node/core/outgoing.h"

#include <stdlib.h>

#include "node/core/batch.h"
#include "proto/base/check.h"

static int command_compare(const struct outgoing_command *a, const struct outgoing_command *b)
{
    return a->tag < b->tag ? -1 : a->tag > b->tag;
}

RB_GENERATE_INTERNAL(outgoing_by_tag, outgoing_command, by_tag, command_compare, __attribute__((unused)) static)

static struct outgoing_command *command_of(struct list_node *node)
{
    return container_of(node, struct outgoing_command, node);
}

void outgoing_init(struct outgoing *outgoing)
{
    *outgoing = (struct outgoing){.cursor = &outgoing->list};
    list_init(&outgoing->list);
}

void outgoing_done(struct outgoing *outgoing)
{
    struct list_node *node;
    while ((node = list_first(&outgoing->list)) != NULL) {
        outgoing_drop(outgoing, command_of(node));
    }
}

struct outgoing_command *outgoing_command_new(const struct entry_command *command)
{
    struct outgoing_command *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return NULL;
    }
    list_init(&made->node);
    list_init(&made->of_link);
    made->command = *command;
    made->command.header = slice_ref(command->header);
    made->command.bodies = slice_ref(command->bodies);
    return made;
}

void outgoing_command_free(struct outgoing_command *command)
{
    if (command != NULL) {
        slice_unref(&command->command.header);
        slice_unref(&command->command.bodies);
        free(command);
    }
}

void outgoing_push(struct outgoing *outgoing, struct outgoing_command *command)
{
    CHECK(!command->sent && !list_linked(&command->node));
    list_push_back(&outgoing->list, &command->node);
    if (outgoing->cursor == &outgoing->list) {
        outgoing->cursor = &command->node;
    }
    if (command->tag != 0) {
        CHECK(RB_INSERT(outgoing_by_tag, &outgoing->by_tag, command) == NULL);
    }
    outgoing->len++;
    outgoing->bytes += batch_command_len(&command->command);
}

void outgoing_drop(struct outgoing *outgoing, struct outgoing_command *command)
{
    uint64_t len = batch_command_len(&command->command);
    if (outgoing->cursor == &command->node) {
        outgoing->cursor = command->node.next;
    }
    if (command->sent) {
        outgoing->sent_len--;
        outgoing->sent_bytes -= len;
    }
    if (command->tag != 0) {
        RB_REMOVE(outgoing_by_tag, &outgoing->by_tag, command);
    }
    outgoing->len--;
    outgoing->bytes -= len;
    list_remove(&command->node);
    list_remove(&command->of_link);
    outgoing_command_free(command);
}

struct outgoing_command *outgoing_find(struct outgoing *outgoing, uint64_t tag)
{
    struct outgoing_command key = {.tag = tag};
    return tag == 0 ? NULL : RB_FIND(outgoing_by_tag, &outgoing->by_tag, &key);
}

struct outgoing_command *outgoing_next(struct outgoing *outgoing)
{
    return outgoing->cursor == &outgoing->list ? NULL : command_of(outgoing->cursor);
}

void outgoing_sent(struct outgoing *outgoing)
{
    struct outgoing_command *command = outgoing_next(outgoing);
    CHECK(command != NULL && !command->sent);
    command->sent = true;
    command->tried = true;
    outgoing->sent_len++;
    outgoing->sent_bytes += batch_command_len(&command->command);
    outgoing->cursor = command->node.next;
}

void outgoing_rewind(struct outgoing *outgoing)
{
    for (struct list_node *node = outgoing->list.next; node != outgoing->cursor; node = node->next) {
        command_of(node)->sent = false;
    }
    outgoing->sent_len = 0;
    outgoing->sent_bytes = 0;
    outgoing->cursor = outgoing->list.next;
}
