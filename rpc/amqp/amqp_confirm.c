/* Confirms, RabbitMQ's extension: the numbers of what was taken, or not, to the publishing client; many in one method where they follow one
 * another. */

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "rpc/amqp/amqp_publishing.h"

/* Numbers that were answered alike, from first to last. */
struct answered {
    uint64_t first;
    uint64_t last;
    bool taken;
    bool told; /* Those before it were not answered, so each was told alone; it is kept until they are. */
};

struct amqp_confirming {
    struct list_node node; /* In the batch, while there is something to tell. */
    struct amqp_channel *channel;
    uint64_t told;             /* All up to this one. */
    struct answered *answered; /* By number. */
    size_t len;
    size_t cap;
};

static struct amqp_confirming *confirming_of(struct amqp_channel *channel)
{
    if (channel->confirming == NULL) {
        channel->confirming = calloc(1, sizeof *channel->confirming);
        if (channel->confirming == NULL) {
            amqp_session_fail(channel->session, ERR_NOMEM);
            return NULL;
        }
        list_init(&channel->confirming->node);
        channel->confirming->channel = channel;
    }
    return channel->confirming;
}

/* Whether a number can be counted to those of `answered`, as its last. */
static bool answered_continues(const struct answered *answered, uint64_t tag, bool taken)
{
    return answered->last + 1 == tag && answered->taken == taken && !answered->told;
}

static int answered_insert(struct amqp_confirming *confirming, uint64_t tag, bool taken)
{
    size_t at = confirming->len;
    while (at > 0 && confirming->answered[at - 1].first > tag) {
        at--;
    }
    if (at > 0 && answered_continues(&confirming->answered[at - 1], tag, taken)) {
        confirming->answered[at - 1].last = tag;
        return 0;
    }
    if (confirming->len == confirming->cap) {
        size_t cap = confirming->cap > 0 ? confirming->cap * 2 : 4;
        struct answered *more = realloc(confirming->answered, cap * sizeof *more);
        if (more == NULL) {
            return ERR_NOMEM;
        }
        confirming->answered = more;
        confirming->cap = cap;
    }
    memmove(confirming->answered + at + 1, confirming->answered + at,
            (confirming->len - at) * sizeof *confirming->answered);
    confirming->answered[at] = (struct answered){.first = tag, .last = tag, .taken = taken};
    confirming->len++;
    return 0;
}

void amqp_confirm(struct amqp_channel *channel, uint64_t tag, bool taken)
{
    if (tag == 0 || !amqp_channel_is_open(channel)) {
        return;
    }
    struct amqp_confirming *confirming = confirming_of(channel);
    if (confirming == NULL) {
        return;
    }
    if (answered_insert(confirming, tag, taken) != 0) {
        amqp_session_fail(channel->session, ERR_NOMEM);
        return;
    }
    if (!list_linked(&confirming->node)) {
        list_push_back(&channel->session->batch->confirming, &confirming->node);
    }
}

static void tell(struct amqp_channel *channel, uint64_t tag, bool multiple, bool taken)
{
    union amqp_method method;
    if (taken) {
        method.basic_ack = (struct amqp_basic_ack){.id = AMQP_basic_ack, .delivery_tag = tag, .multiple = multiple};
    } else {
        method.basic_nack = (struct amqp_basic_nack){.id = AMQP_basic_nack, .delivery_tag = tag, .multiple = multiple};
    }
    amqp_send(channel->session, channel->number, &method);
}

static void confirming_tell(struct amqp_confirming *confirming)
{
    size_t done = 0;
    for (size_t i = 0; i < confirming->len; i++) {
        struct answered *answered = &confirming->answered[i];
        bool next = answered->first == confirming->told + 1;
        if (!answered->told && next) {
            tell(confirming->channel, answered->last, answered->last > answered->first, answered->taken);
        }
        for (uint64_t tag = answered->first; !answered->told && !next && tag <= answered->last; tag++) {
            tell(confirming->channel, tag, false, answered->taken);
        }
        answered->told = true;
        confirming->told = next ? answered->last : confirming->told;
        done = next ? i + 1 : done;
    }
    confirming->len -= done;
    memmove(confirming->answered, confirming->answered + done, confirming->len * sizeof *confirming->answered);
}

void amqp_confirms_send(struct amqp_session *session)
{
    if (session->batch == NULL) {
        return;
    }
    struct list_node *node;
    while ((node = list_first(&session->batch->confirming)) != NULL) {
        struct amqp_confirming *confirming = container_of(node, struct amqp_confirming, node);
        list_remove(node);
        confirming_tell(confirming);
    }
}

void amqp_confirming_done(struct amqp_channel *channel)
{
    if (channel->confirming != NULL) {
        list_remove(&channel->confirming->node);
        free(channel->confirming->answered);
        free(channel->confirming);
        channel->confirming = NULL;
    }
}

void amqp_take_confirm_select(struct amqp_channel *channel, const struct amqp_confirm_select *method)
{
    if (channel->tx != NULL) {
        amqp_channel_error(channel, AMQP_PRECONDITION_FAILED, method->id, "cannot switch from tx to confirm mode");
        return;
    }
    channel->confirms = true;
    if (!method->no_wait) {
        union amqp_method ok = {.confirm_select_ok = {.id = AMQP_confirm_select_ok}};
        amqp_send(channel->session, channel->number, &ok);
    }
}
