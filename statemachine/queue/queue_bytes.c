/* How many bytes are ready in a queue. Each message knows how many came into its lane before it, so that only the message at the
 * head is looked at; and as long as what is known of an earlier head is good enough not even that. */

#include "statemachine/state.h"

static int lane_measure(struct machine *machine, struct queue *queue, struct lane *lane)
{
    if (lane->measured == lane->head) {
        return 0;
    }
    uint64_t before = lane->bytes;
    if (lane_has_ready(lane)) {
        struct message_head head;
        int err = state_message_head(machine, queue, lane->head, &head);
        if (err != 0) {
            return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
        }
        before = head.bytes_before;
    }
    lane->measured = lane->head;
    lane->measured_bytes = before;
    return 0;
}

/* By what is known. Only lanes with ready messages count. */
static uint64_t queue_bytes_known(const struct queue *queue)
{
    uint64_t bytes = queue->returned_bytes + queue->far_bytes + queue->parked_bytes;
    for (unsigned number = 0; number <= queue->options.max_priority; number++) {
        const struct lane *lane = queue_lane(queue, number);
        if (lane != NULL && lane_has_ready(lane)) {
            bytes += lane->bytes - lane->measured_bytes;
        }
    }
    return bytes - queue->hole_bytes;
}

int queue_bytes(struct machine *machine, struct queue *queue, uint64_t *ret_bytes)
{
    for (unsigned number = 0; number <= queue->options.max_priority; number++) {
        struct lane *lane = queue_lane(queue, number);
        int err = lane != NULL && lane_has_ready(lane) ? lane_measure(machine, queue, lane) : 0;
        if (err != 0) {
            return err;
        }
    }
    *ret_bytes = queue_bytes_known(queue);
    return 0;
}

int queue_bytes_within(struct machine *machine, struct queue *queue, uint64_t bytes, bool *ret_within)
{
    *ret_within = queue_bytes_known(queue) <= bytes;
    if (*ret_within) {
        return 0;
    }
    uint64_t exact;
    int err = queue_bytes(machine, queue, &exact);
    *ret_within = err == 0 && exact <= bytes;
    return err;
}
