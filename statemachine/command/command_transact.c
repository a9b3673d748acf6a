/* Transact: publishes and settlements, all or nothing. Everything is checked before anything is changed; then the settlements are
 * carried out, then the publishes. */

#include "proto/base/fault.h"
#include "statemachine/command/command.h"
#include "statemachine/command/settle_check.h"

/* Its messages and its ranges, together, are what one command may have of each. */
static bool transact_check_size(const Holdfast__Transact *transact, struct reply *reply)
{
    uint64_t messages = 0;
    uint64_t ranges = 0;
    size_t parts = transact->n_publish + transact->n_settle;
    for (size_t i = 0; i < transact->n_publish; i++) {
        messages += transact->publish[i]->n_body_len;
    }
    for (size_t i = 0; i < transact->n_settle; i++) {
        ranges += transact->settle[i]->n_first;
    }
    if (parts == 0 || parts > TRANSACTION_PARTS_MAX || messages > PUBLISH_MESSAGES_MAX || ranges > SETTLE_RANGES_MAX) {
        reply_fail(reply, ERR_INVALID, DETAIL_TRANSACTION);
    }
    for (size_t i = 0; reply->error == 0 && i < transact->n_publish; i++) {
        if (transact->publish[i]->each || transact->publish[i]->prepare != NULL) {
            reply_fail(reply, ERR_INVALID, DETAIL_TRANSACTION_PUBLISH);
        }
    }
    return reply->error == 0;
}

/* How many of the bytes are a publish's, by what it says of its lengths; more than there are, if they cannot be. */
static uint64_t publish_content_len(const Holdfast__Publish *publish)
{
    uint64_t len = 0;
    for (size_t i = 0; i < publish->n_body_len; i++) {
        len += publish->body_len[i];
    }
    for (size_t i = 0; i < publish->n_head_len; i++) {
        len += publish->head_len[i];
    }
    return len;
}

static int transact_plan(struct machine *machine, struct session *session, const Holdfast__Transact *transact,
                         struct slice bodies, struct publish_plan plans[TRANSACTION_PARTS_MAX], struct reply *reply)
{
    size_t at = 0;
    for (size_t i = 0; i < transact->n_publish; i++) {
        const Holdfast__Publish *publish = transact->publish[i];
        uint64_t len = publish_content_len(publish);
        if (len > bodies.len - at) {
            reply_fail(reply, ERR_INVALID, DETAIL_BODIES_LEN);
            return 0;
        }
        int err =
            publish_plan(machine, session, publish, slice_part(bodies, at, (size_t)len), plans, i, &plans[i], reply);
        if (err != 0 || reply->error != 0) {
            return err;
        }
        at += (size_t)len;
    }
    if (at != bodies.len) {
        reply_fail(reply, ERR_INVALID, DETAIL_BODIES_LEN);
    }
    return 0;
}

static int transact_settle(struct machine *machine, struct session *session, const Holdfast__Transact *transact,
                           uint64_t *ret_settled)
{
    for (size_t i = 0; i < transact->n_settle && !fault_fires(FAULT_SKIP_TRANSACT_SETTLE); i++) {
        struct reply reply = {0};
        int err = command_settle(machine, session, transact->settle[i], &reply);
        if (err != 0) {
            return err;
        }
        *ret_settled += reply.count;
    }
    return 0;
}

int command_transact(struct machine *machine, struct session *session, const Holdfast__Transact *transact,
                     struct slice bodies, struct reply *reply)
{
    struct publish_plan plans[TRANSACTION_PARTS_MAX];
    if (!transact_check_size(transact, reply)) {
        return 0;
    }
    publishing_begin(machine);
    int err = transact_plan(machine, session, transact, bodies, plans, reply);
    if (err == 0 && reply->error == 0) {
        err = settle_check_all(machine, session, transact->settle, transact->n_settle, reply);
    }
    if (err != 0 || reply->error != 0) {
        return err;
    }
    uint64_t settled = 0;
    err = transact_settle(machine, session, transact, &settled);
    for (size_t i = 0; err == 0 && i < transact->n_publish; i++) {
        err = publish_commit(machine, &plans[i], reply);
    }
    reply->count += settled;
    return err;
}
