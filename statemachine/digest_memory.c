/* The digest of what the machine keeps in memory whole, whatever is in the store: queues, what came back to them, nodes,
 * sessions with their replies, subscriptions with their deliveries. Not messages nor producers: their rows have checksums, and
 * which messages there are follows from the rest.
 *
 * It walks over all of it, so it is taken the less often the more there is: about as many rows are made
 * as entries were applied since the last time. Replicas compare it, so all must take it at the same entries: those
 * depend on the state and on indexes alone. */

#include "proto/base/check.h"
#include "statemachine/state.h"

/* Not more often than at the first entry at or after each multiple of this. */
#define DIGEST_EVERY_MIN 1024u
/* A machine with more than this holds up its loop for too long (some 50 ms): it takes none. */
#define DIGEST_WEIGHT_MAX (UINT64_C(1) << 18)

/* So many remembered replies, or deliveries, take as long as a row of its own: 170 ns (bench_machine). */
#define PARTS_PER_ROW 8u

/* ---- When ---- */

/* In a step, and never more than digest_weight(). */
static uint64_t digest_weight_min(const struct machine *machine)
{
    return HASH_CNT(by_id, machine->queues) + HASH_CNT(by_id, machine->sessions) + machine->consumers_len +
           exchanges_weight(machine);
}

static uint64_t digest_weight(const struct machine *machine)
{
    uint64_t weight = digest_weight_min(machine);
    for (const struct queue *queue = machine->queues; queue != NULL; queue = queue->by_id.next) {
        weight += queue->returned_len + queue->unsettled / PARTS_PER_ROW;
    }
    for (const struct session *session = machine->sessions; session != NULL; session = session->by_id.next) {
        weight += session->replies.len / PARTS_PER_ROW;
    }
    return weight;
}

/* Whether a multiple of a power of two that is no less than the weight lies behind `before`. Of a larger power the multiples
 * are fewer, and are among those of a smaller one. */
static bool digest_crosses(uint64_t before, uint64_t index, uint64_t weight)
{
    uint64_t every = DIGEST_EVERY_MIN;
    while (every < weight) {
        every *= 2;
    }
    return index / every != before / every;
}

bool machine_memory_digest_due(const struct machine *machine, uint64_t before)
{
    uint64_t index = machine->applied_index;
    if (!digest_crosses(before, index, digest_weight_min(machine))) {
        return false;
    }
    uint64_t weight = digest_weight(machine);
    return weight <= DIGEST_WEIGHT_MAX && digest_crosses(before, index, weight);
}

/* ---- What ---- */

/* A row after its encoder: `err` is what that returned. */
static int digest_add(uint64_t *digest, const struct row *row, int err)
{
    if (err == 0) {
        *digest += row_checksum(&row->key, row->value.data, row->value.len);
    }
    return err;
}

static int digest_queue(uint64_t *digest, const struct machine *machine, struct queue *queue, struct row *row)
{
    int err = digest_add(digest, row, queue_row(machine, queue, row));
    struct returned *returned;
    RB_FOREACH (returned, returned_tree, &queue->returned) {
        err = err != 0 ? err : digest_add(digest, row, returned_row(machine, returned, row));
    }
    return err;
}

static int digest_session(uint64_t *digest, const struct machine *machine, struct session *session, struct row *row)
{
    int err = digest_add(digest, row, session_row(machine, session, row));
    struct consumer *consumer;
    RB_FOREACH (consumer, session_consumers, &session->consumers) {
        err = err != 0 ? err : digest_add(digest, row, consumer_row(machine, consumer, row));
    }
    return err;
}

static int digest_presences(uint64_t *digest, const struct machine *machine, struct row *row)
{
    LIST_FOR_EACH (link, &machine->presences) {
        int err = digest_add(digest, row, presence_row(container_of(link, struct presence, by_node), row));
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

int machine_memory_digest(struct machine *machine, uint64_t *ret_digest)
{
    uint64_t digest = 0;
    struct row *row = &machine->row;
    int err = digest_add(&digest, row, state_row(machine, (struct slice){0}, row));
    if (err == 0) {
        err = digest_presences(&digest, machine, row);
    }
    for (struct queue *queue = machine->queues; err == 0 && queue != NULL; queue = queue->by_id.next) {
        err = digest_queue(&digest, machine, queue, row);
    }
    for (struct queue *queue = machine->doomed; err == 0 && queue != NULL; queue = queue->by_id.next) {
        err = digest_queue(&digest, machine, queue, row);
    }
    for (struct session *session = machine->sessions; err == 0 && session != NULL; session = session->by_id.next) {
        err = digest_session(&digest, machine, session, row);
    }
    if (err == 0) {
        err = exchanges_memory_digest(machine, &digest);
    }
    if (err == 0) {
        *ret_digest = digest;
    }
    return err;
}
