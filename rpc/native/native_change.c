/* Changes that wait for the gateway. */

#include "rpc/native/native_change.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"

struct native_change {
    struct list_node node;
    struct native_changes *changes;
    uint64_t id; /* Of the query. */
    struct gateway_change change;
};

void native_changes_init(struct native_changes *changes, struct gateway *gateway)
{
    *changes = (struct native_changes){.gateway = gateway};
    list_init(&changes->waiting);
}

static void change_free(struct native_change *change)
{
    list_remove(&change->node);
    change->changes->waiting_len--;
    free(change);
}

static void on_done(struct gateway_change *done, int err, const char *detail)
{
    struct native_change *change = container_of(done, struct native_change, change);
    struct native_changes *changes = change->changes;
    struct frame_out frame;
    bool told = err == 0 || detail[0] != '\0';
    int made = native_result_plain(change->id, err, told ? detail : err_text(err), &frame);
    change_free(change);
    if (made == 0) {
        changes->answer(changes->arg, &frame);
    } else {
        changes->failed(changes->arg, made);
    }
}

int native_changes_add(struct native_changes *changes, const struct native_question *question,
                       enum gateway_change_kind kind)
{
    CHECK(strlen(question->address) <= ADDRESS_LEN_MAX);
    if (changes->waiting_len == NATIVE_CHANGES_MAX) {
        return ERR_BUSY;
    }
    struct native_change *change = calloc(1, sizeof *change);
    if (change == NULL) {
        return ERR_NOMEM;
    }
    change->changes = changes;
    change->id = question->id;
    change->change.kind = kind;
    change->change.node = question->node;
    memcpy(change->change.address, question->address, strlen(question->address) + 1);
    change->change.done = on_done;
    list_push_back(&changes->waiting, &change->node);
    changes->waiting_len++;
    changes->gateway->ops->change(changes->gateway, &change->change);
    return 0;
}

void native_changes_done(struct native_changes *changes)
{
    struct list_node *node;
    while ((node = list_first(&changes->waiting)) != NULL) {
        struct native_change *change = container_of(node, struct native_change, node);
        changes->gateway->ops->change_cancel(changes->gateway, &change->change);
        change_free(change);
    }
}
