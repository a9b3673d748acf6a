/* Looking for a message by its id, with the blocking library. */

#include <string.h>

#include "proto/base/arena.h"
#include "proto/base/limits.h"
#include "rpc/client/client_blocking.h"

#define FIND_PAGE_MESSAGES 1000u
#define FIND_ARENA_LEN_MAX (16 * MIB) /* What one head may unpack to. */

struct find {
    const char *id;
    void (*each)(void *arg, const struct client_message *message);
    void *arg;
    uint64_t next; /* Where the next page begins. */
    bool found;
};

/* One whose properties cannot be read has none. */
static bool has_id(const struct client_message *message, const char *id)
{
    struct arena arena;
    struct client_properties properties;
    if (message->head.len == 0) {
        return false;
    }
    arena_init(&arena, FIND_ARENA_LEN_MAX);
    bool has = client_properties_decode(message->head, &arena, &properties) == 0 && properties.message_id != NULL &&
               strcmp(properties.message_id, id) == 0;
    arena_done(&arena);
    return has;
}

static void find_look(void *arg, const struct client_message *message)
{
    struct find *find = arg;
    find->next = message->position + 1;
    if (!find->found && has_id(message, find->id)) {
        find->found = true;
        find->each(find->arg, message);
    }
}

int hf_find(struct hf *hf, const char *queue, const char *message_id, uint64_t position, bool kept, uint64_t timeout_ms,
            void (*each)(void *arg, const struct client_message *message), void *arg)
{
    struct find find = {.id = message_id, .each = each, .arg = arg, .next = position};
    uint64_t deadline_ms = hf_deadline(timeout_ms);
    bool more = true;
    int err = 0;
    if (message_id == NULL || message_id[0] == '\0') {
        return hf_fail(hf, ERR_INVALID, "a message id is not empty");
    }
    while (err == 0 && more && !find.found) {
        uint64_t from = find.next;
        err = (kept ? hf_kept : hf_browse)(hf, queue, from, FIND_PAGE_MESSAGES, hf_left_ms(deadline_ms), find_look,
                                           &find, &more);
        more = more && find.next > from; /* A list that does not go on is at its end, whatever the node says. */
    }
    return err != 0 || find.found ? err : hf_fail(hf, ERR_NOT_FOUND, "no message has this id");
}
