/* What cannot be published closes its channel, behind what was published before: that is confirmed, or comes back, first. */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "rpc/amqp/amqp_publishing.h"

struct refusal {
    enum amqp_code code;
    char words[400];
};

static void on_all_before(struct amqp_order *order, const struct gateway_reply *reply)
{
    struct refusal *refusal = order->arg;
    if (reply != NULL) {
        amqp_channel_error(order->channel, refusal->code, AMQP_basic_publish, "%s", refusal->words);
    }
    free(refusal);
}

void amqp_publish_refuse(struct amqp_channel *channel, enum amqp_code code, const char *format, ...)
{
    struct refusal *refusal = malloc(sizeof *refusal);
    if (refusal == NULL) {
        amqp_session_fail(channel->session, ERR_NOMEM);
        return;
    }
    refusal->code = code;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(refusal->words, sizeof refusal->words, format, args);
    va_end(args);
    /* A command that changes nothing. */
    Holdfast__SetCredit credit = HOLDFAST__SET_CREDIT__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_SET_CREDIT;
    command.set_credit = &credit;
    amqp_submit(
        channel->session,
        &(struct amqp_order){
            .channel = channel, .id = AMQP_basic_publish, .blocks = true, .done = on_all_before, .arg = refusal},
        &command, (struct slice){0});
}
