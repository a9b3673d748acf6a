/* Transactions: what waits for Commit, or is given up by Rollback. */

#include "rpc/amqp/amqp_tx.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "rpc/amqp/amqp_tx_commit.h"

/* ---- What is in one ---- */

static void too_large(struct amqp_channel *channel, const char *words)
{
    amqp_channel_error(channel, AMQP_PRECONDITION_FAILED, channel->doing, "the transaction is too large: %s", words);
}

int amqp_tx_settle(struct amqp_channel *channel, const struct amqp_unsettled_one *one, enum amqp_outcome outcome)
{
    struct amqp_tx *tx = channel->tx;
    if (tx->settlements_len == tx->settlements_cap) {
        size_t cap = tx->settlements_cap > 0 ? tx->settlements_cap * 2 : 16;
        struct amqp_tx_settlement *more = realloc(tx->settlements, cap * sizeof *more);
        if (more == NULL) {
            return ERR_NOMEM;
        }
        tx->settlements = more;
        tx->settlements_cap = cap;
    }
    tx->settlements[tx->settlements_len++] = (struct amqp_tx_settlement){.one = *one, .outcome = outcome};
    return 0;
}

/* That it can go on. */
static bool publish_fits(struct amqp_channel *channel, size_t len)
{
    const struct amqp_tx *tx = channel->tx;
    struct memory_budget *budget = channel->session->content;
    if (tx->messages == PUBLISH_MESSAGES_MAX) {
        too_large(channel, "more than 4096 messages");
    } else if (len > COMMAND_BODIES_LEN_MAX - tx->bytes) {
        too_large(channel, "its messages take more than 16 MiB");
    } else if (budget != NULL && memory_budget_pressed(budget)) {
        too_large(channel, "this node has no memory for more of its messages"); /* Half is for what is on its way. */
    }
    return amqp_channel_is_open(channel);
}

_Static_assert(PUBLISH_MESSAGES_MAX == 4096 && COMMAND_BODIES_LEN_MAX == 16 * MIB, "as the words for people say");

/* The publish that the message may be added to; NULL: out of memory. */
static struct amqp_gathered *publish_for(struct amqp_channel *channel, const struct amqp_message *message)
{
    struct amqp_tx *tx = channel->tx;
    if (tx->publishes_len > 0) {
        struct amqp_gathered *last = container_of(tx->publishes.prev, struct amqp_gathered, kept.node);
        if (amqp_gathered_continues(last, message)) {
            return last;
        }
    }
    struct amqp_gathered *publish = amqp_gathered_new(channel->session);
    if (publish != NULL) {
        list_push_back(&tx->publishes, &publish->kept.node);
        tx->publishes_len++;
    }
    return publish;
}

int amqp_tx_publish(struct amqp_channel *channel, const struct amqp_message *message)
{
    struct amqp_tx *tx = channel->tx;
    size_t len = message->head.len + message->body.len;
    if (!publish_fits(channel, len)) {
        return 0;
    }
    struct amqp_gathered *publish = publish_for(channel, message);
    if (publish == NULL || amqp_gathered_add(publish, message, 0) != 0) {
        return ERR_NOMEM;
    }
    tx->messages++;
    tx->bytes += len;
    if (channel->session->content != NULL) {
        memory_budget_add(channel->session->content, len);
    }
    return 0;
}

void amqp_tx_empty(struct amqp_session *session, struct amqp_tx *tx)
{
    while (!list_empty(&tx->publishes)) {
        amqp_gathered_free(container_of(list_first(&tx->publishes), struct amqp_gathered, kept.node));
    }
    if (session->content != NULL) {
        memory_budget_remove(session->content, tx->bytes);
    }
    free(tx->settlements);
    *tx = (struct amqp_tx){0};
    list_init(&tx->publishes);
}

void amqp_tx_done(struct amqp_channel *channel)
{
    struct amqp_tx *tx = channel->tx;
    if (tx != NULL) {
        channel->tx = NULL;
        amqp_tx_empty(channel->session, tx);
        free(tx);
    }
}

/* ---- Methods ---- */

void amqp_take_tx_select(struct amqp_channel *channel)
{
    if (channel->confirms) {
        amqp_channel_error(channel, AMQP_PRECONDITION_FAILED, AMQP_tx_select, "cannot switch from confirm to tx mode");
        return;
    }
    if (channel->tx == NULL) {
        channel->tx = calloc(1, sizeof *channel->tx);
        if (channel->tx == NULL) {
            amqp_session_fail(channel->session, ERR_NOMEM);
            return;
        }
        list_init(&channel->tx->publishes);
    }
    union amqp_method ok = {.tx_select_ok = {.id = AMQP_tx_select_ok}};
    amqp_send(channel->session, channel->number, &ok);
}

static bool is_transactional(struct amqp_channel *channel, uint32_t id)
{
    if (channel->tx == NULL) {
        amqp_channel_error(channel, AMQP_PRECONDITION_FAILED, id, "channel is not transactional");
    }
    return channel->tx != NULL;
}

void amqp_take_tx_commit(struct amqp_channel *channel)
{
    if (is_transactional(channel, AMQP_tx_commit)) {
        amqp_tx_commit(channel, channel->tx);
    }
}

static int by_tag(const void *a, const void *b)
{
    uint64_t tag_a = ((const struct amqp_unsettled_one *)a)->tag;
    uint64_t tag_b = ((const struct amqp_unsettled_one *)b)->tag;
    return tag_a < tag_b ? -1 : tag_a > tag_b;
}

/* What was settled is not, and can be settled again by the same tags. */
static int settlements_undo(struct amqp_channel *channel)
{
    const struct amqp_tx *tx = channel->tx;
    struct amqp_unsettled_one *ones = malloc(tx->settlements_len * sizeof *ones);
    if (ones == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < tx->settlements_len; i++) {
        ones[i] = tx->settlements[i].one;
    }
    qsort(ones, tx->settlements_len, sizeof *ones, by_tag);
    int err = amqp_unsettled_put_back(channel, ones, tx->settlements_len);
    free(ones);
    return err;
}

void amqp_take_tx_rollback(struct amqp_channel *channel)
{
    if (!is_transactional(channel, AMQP_tx_rollback)) {
        return;
    }
    int err = channel->tx->settlements_len > 0 ? settlements_undo(channel) : 0;
    if (err != 0) {
        amqp_session_fail(channel->session, err);
        return;
    }
    amqp_tx_empty(channel->session, channel->tx);
    union amqp_method ok = {.tx_rollback_ok = {.id = AMQP_tx_rollback_ok}};
    amqp_send(channel->session, channel->number, &ok);
}
