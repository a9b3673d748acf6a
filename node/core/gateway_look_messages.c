/* Looking at this node's replica: messages, where they are, and those that have left and are kept; and what became of them. */

#include "node/core/gateway.h"
#include "statemachine/machine_looking.h"

/* Messages looked up before their bodies are read: the machine is not called from within its own iteration. Looking at one
 * that is in the store may read all of it: so a chunk ends early when messages are large. To find those that are out the machine
 * looks at all that are, once for each chunk: so whoever wants more than the first few is given the rest in one. */
#define CHUNK_LEN_FIRST 256u
#define CHUNK_LEN 1024u
#define CHUNK_BYTES (1 * MIB)

/* What is told of a message but for its content. */
struct chunk {
    struct gateway_browsed items[CHUNK_LEN];
    unsigned len;
    unsigned len_max;
    uint64_t bytes;
};

static int chunk_add(struct chunk *chunk, const struct gateway_browsed *told, uint64_t len)
{
    chunk->items[chunk->len++] = *told;
    chunk->bytes += len;
    return chunk->len == chunk->len_max || chunk->bytes >= CHUNK_BYTES;
}

static const char *state_word(enum machine_message_state state)
{
    switch (state) {
    case MESSAGE_LOCKED: return "locked";
    case MESSAGE_WAITING: return "waiting";
    case MESSAGE_PARKED: return "parked";
    case MESSAGE_READY: break;
    }
    return "ready";
}

static int chunk_message(void *arg, const struct machine_message *message)
{
    struct gateway_browsed told = {
        .position = message->position,
        .enqueued_ms = message->enqueued_ms,
        .expires_ms = message->expires_ms,
        .body_hash = message->body_hash,
        .delivery_count = message->delivery_count,
        .locked = message->locked,
        .state = state_word(message->state),
    };
    return chunk_add(arg, &told, (uint64_t)message->body_len + message->head_len + message->trail_len);
}

static const char *outcome_word(enum machine_kept_outcome outcome)
{
    switch (outcome) {
    case KEPT_REJECTED: return "rejected";
    case KEPT_EXPIRED: return "expired";
    case KEPT_DROPPED: return "dropped";
    case KEPT_DELIVERY_LIMIT: return "delivery limit";
    case KEPT_ACCEPTED: break;
    }
    return "accepted";
}

static int chunk_kept(void *arg, const struct machine_kept *kept)
{
    struct gateway_browsed told = {
        .position = kept->position,
        .enqueued_ms = kept->enqueued_ms,
        .left_ms = kept->left_ms,
        .body_hash = kept->hash,
        .state = outcome_word(kept->outcome),
    };
    return chunk_add(arg, &told, (uint64_t)kept->body_len + kept->head_len + kept->trail_len);
}

/* Whether `each` wants more. ERR_... */
static int browse_one(struct gateway_core *core, uint64_t queue, bool kept, struct gateway_browsed *told, void *arg,
                      bool (*each)(void *arg, const struct gateway_browsed *message), bool *ret_more)
{
    struct machine_content content;
    int err = kept ? machine_kept_content(core->machine, queue, told->position, &content)
                   : machine_content(core->machine, queue, told->position, &content);
    if (err == 0) {
        told->body = content.body;
        told->head = content.head;
        told->trail = content.trail;
        *ret_more = each(arg, told);
        machine_content_done(&content);
    }
    return err;
}

int gateway_browse(struct gateway *gateway, const char *virtual_host, const char *name, uint64_t position, bool kept,
                   void *arg, bool (*each)(void *arg, const struct gateway_browsed *message), bool *ret_more)
{
    struct gateway_core *core = gateway_core_of(gateway);
    struct machine_queue queue;
    int err = gateway_find_queue(core, virtual_host, name, &queue);
    bool wanted = true;
    bool left = true;
    struct chunk chunk;
    chunk.len_max = CHUNK_LEN_FIRST;
    while (err == 0 && wanted && left) {
        chunk.len = 0;
        chunk.bytes = 0;
        err = kept ? machine_kept(core->machine, queue.id, position, chunk_kept, &chunk)
                   : machine_browse(core->machine, queue.id, position, chunk_message, &chunk);
        left = err > 0;
        err = left ? 0 : err;
        for (unsigned i = 0; err == 0 && wanted && i < chunk.len; i++) {
            err = browse_one(core, queue.id, kept, &chunk.items[i], arg, each, &wanted);
            position = chunk.items[i].position + 1;
        }
        chunk.len_max = CHUNK_LEN;
    }
    if (err == 0) {
        *ret_more = !wanted;
    }
    gateway_note_damage(core, err, "a message that was to be shown cannot be read");
    return err;
}

/* ---- Lives ---- */

static const char *life_word(enum machine_life_kind kind)
{
    switch (kind) {
    case LIFE_ENQUEUED: return "enqueued";
    case LIFE_DELIVERED: return "delivered";
    case LIFE_RELEASED: return "released";
    case LIFE_LOCK_ENDED: return "lock ended";
    case LIFE_HOLDER_ENDED: return "holder ended";
    case LIFE_WAITING: return "waiting";
    case LIFE_ACCEPTED: return "accepted";
    case LIFE_REJECTED: return "rejected";
    case LIFE_EXPIRED: return "expired";
    case LIFE_DROPPED: return "dropped";
    case LIFE_DELIVERY_LIMIT: return "delivery limit";
    case LIFE_DEAD_LETTERED: return "dead-lettered";
    case LIFE_REDRIVEN: return "redriven";
    case LIFE_PURGED: return "purged";
    }
    return "?";
}

struct steps {
    void *arg;
    bool (*each)(void *arg, const struct gateway_step *step);
};

static int take_step(void *arg, const struct machine_life *life)
{
    struct steps *steps = arg;
    struct gateway_step step = {
        .what = life_word(life->kind),
        .index = life->index,
        .time_ms = life->time_ms,
        .session = life->session,
        .consumer = life->consumer,
        .text = life->text,
    };
    return steps->each(steps->arg, &step) ? 0 : 1;
}

int gateway_life(struct gateway *gateway, const char *virtual_host, const char *queue, uint64_t position, void *arg,
                 bool (*each)(void *arg, const struct gateway_step *step), bool *ret_more)
{
    struct gateway_core *core = gateway_core_of(gateway);
    struct steps steps = {.arg = arg, .each = each};
    struct machine_queue found;
    int err = gateway_find_queue(core, virtual_host, queue, &found);
    if (err == 0) {
        err = machine_life(core->machine, found.id, position, take_step, &steps);
    }
    gateway_note_damage(core, err, "what became of a message cannot be read");
    if (err < 0) {
        return err;
    }
    *ret_more = err > 0;
    return 0;
}
