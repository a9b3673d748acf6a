/* Looking at this node's replica: queues and their messages. */

#include "node/core/gateway.h"
#include "proto/base/check.h"

/* Messages looked up before their bodies are read: the machine is not called from within its own iteration. Looking at one
 * that is in the store may read all of it: so a chunk ends early when messages are large. */
#define CHUNK_LEN 64u
#define CHUNK_BYTES (1 * MIB)

struct queue_listing {
    void *arg;
    void (*each)(void *arg, const struct gateway_queue *queue);
    size_t left;
    bool more;
};

/* What is told of a queue. Its oldest message is looked up apart, for one queue at a time: that reads the store. */
static struct gateway_queue queue_of(const struct machine_queue *queue)
{
    return (struct gateway_queue){
        .name = queue->name,
        .ready = queue->ready,
        .unsettled = queue->unsettled,
        .consumers = queue->consumers,
        .enqueued = queue->enqueued,
        .delivered = queue->delivered,
        .settled = queue->settled,
        .released = queue->released,
    };
}

static int list_queue(void *arg, const struct machine_queue *queue)
{
    struct queue_listing *listing = arg;
    if (listing->left == 0) {
        listing->more = true;
        return 1;
    }
    listing->left--;
    struct gateway_queue told = queue_of(queue);
    listing->each(listing->arg, &told);
    return 0;
}

int gateway_queues(struct gateway *gateway, const char *after, size_t max, void *arg,
                   void (*each)(void *arg, const struct gateway_queue *queue), bool *ret_more)
{
    struct gateway_core *core = gateway_core_of(gateway);
    struct queue_listing listing = {.arg = arg, .each = each, .left = max};
    int err = machine_queues(core->machine, after, list_queue, &listing);
    if (err < 0) {
        return err;
    }
    *ret_more = listing.more;
    return 0;
}

/* A look changes nothing, but what it finds may not stay so. */
static void gateway_note_damage(struct gateway_core *core, int err, const char *what)
{
    if (err == ERR_CORRUPT || err == ERR_CHECKSUM) {
        gateway_machine_failed(core, err, what);
    }
}

int gateway_queue(struct gateway *gateway, const char *name, struct gateway_queue *ret_queue)
{
    struct gateway_core *core = gateway_core_of(gateway);
    struct machine_queue queue;
    int err = machine_queue(core->machine, name, &queue);
    if (err != 0) {
        return err;
    }
    struct gateway_queue told = queue_of(&queue);
    err = machine_queue_oldest(core->machine, queue.id, &told.oldest_ms);
    if (err == 0) {
        *ret_queue = told;
    }
    gateway_note_damage(core, err, "the oldest message of a queue cannot be read");
    return err;
}

struct chunk {
    struct machine_message items[CHUNK_LEN];
    unsigned len;
    uint64_t bytes;
};

static int chunk_add(void *arg, const struct machine_message *message)
{
    struct chunk *chunk = arg;
    chunk->items[chunk->len++] = *message;
    chunk->bytes += message->body_len;
    return chunk->len == CHUNK_LEN || chunk->bytes >= CHUNK_BYTES;
}

/* Whether `each` wants more. ERR_... */
static int browse_one(struct gateway_core *core, uint64_t queue, const struct machine_message *message, void *arg,
                      bool (*each)(void *arg, const struct gateway_browsed *message), bool *ret_more)
{
    struct gateway_browsed told = {
        .position = message->position,
        .enqueued_ms = message->enqueued_ms,
        .body_hash = message->body_hash,
        .delivery_count = message->delivery_count,
        .locked = message->locked,
    };
    int err = machine_body(core->machine, queue, message->position, &told.body);
    if (err == 0) {
        *ret_more = each(arg, &told);
        slice_unref(&told.body);
    }
    return err;
}

int gateway_browse(struct gateway *gateway, const char *name, uint64_t position, void *arg,
                   bool (*each)(void *arg, const struct gateway_browsed *message), bool *ret_more)
{
    struct gateway_core *core = gateway_core_of(gateway);
    struct machine_queue queue;
    int err = machine_queue(core->machine, name, &queue);
    bool wanted = true;
    bool left = true;
    struct chunk chunk;
    while (err == 0 && wanted && left) {
        chunk.len = 0;
        chunk.bytes = 0;
        err = machine_browse(core->machine, queue.id, position, chunk_add, &chunk);
        left = err > 0;
        err = left ? 0 : err;
        for (unsigned i = 0; err == 0 && wanted && i < chunk.len; i++) {
            err = browse_one(core, queue.id, &chunk.items[i], arg, each, &wanted);
            position = chunk.items[i].position + 1;
        }
    }
    if (err == 0) {
        *ret_more = !wanted;
    }
    gateway_note_damage(core, err, "a message that was to be shown cannot be read");
    return err;
}
