/* What the blocking library is told without having asked: it is kept until the program looks. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "rpc/client/client_blocking.h"

struct notice {
    struct list_node node;
    struct hf_notice what;
};

static void notice_drop_first(struct hf *hf)
{
    struct list_node *node = list_first(&hf->notices);
    list_remove(node);
    free(container_of(node, struct notice, node));
    hf->notices_len--;
}

void hf_notices_drop(struct hf *hf)
{
    while (hf->notices_len > 0) {
        notice_drop_first(hf);
    }
}

static struct hf_notice *notice_add(struct hf *hf, enum hf_notice_kind kind)
{
    if (hf->notices_len == HF_NOTICES_MAX) {
        notice_drop_first(hf);
        hf->notices_lost = true;
    }
    struct notice *notice = calloc(1, sizeof *notice);
    hf_happened(hf);
    if (notice == NULL) {
        hf->notices_lost = true;
        return NULL;
    }
    notice->what.kind = kind;
    list_push_back(&hf->notices, &notice->node);
    hf->notices_len++;
    return &notice->what;
}

void hf_on_lock_ended(void *arg, uint64_t consumer, uint64_t number)
{
    struct hf *hf = arg;
    if (hf_item_drop(hf, consumer, number)) {
        return; /* Nobody has seen it. */
    }
    struct hf_notice *notice = notice_add(hf, HF_LOCK_ENDED);
    if (notice != NULL) {
        notice->consumer = consumer;
        notice->number = number;
    }
}

void hf_on_prepared_ask(void *arg, const char *id)
{
    struct hf *hf = arg;
    LIST_FOR_EACH (node, &hf->notices) { /* It is asked again and again. */
        const struct hf_notice *other = &container_of(node, struct notice, node)->what;
        if (other->kind == HF_PREPARED_ASK && strcmp(other->id, id) == 0) {
            return;
        }
    }
    struct hf_notice *notice = notice_add(hf, HF_PREPARED_ASK);
    if (notice != NULL) {
        snprintf(notice->id, sizeof notice->id, "%s", id);
    }
}

int hf_notice(struct hf *hf, uint64_t timeout_ms, struct hf_notice *ret_notice)
{
    if (timeout_ms == 0) {
        hf_turn_now(hf);
    } else {
        hf_limit_start(hf, timeout_ms);
        while (list_empty(&hf->notices) && !hf->notices_lost && !hf->timed_out) {
            hf_turn(hf);
        }
        hf_limit_stop(hf);
    }
    if (hf->notices_lost) {
        hf->notices_lost = false;
        *ret_notice = (struct hf_notice){.kind = HF_NOTICES_LOST};
        return 0;
    }
    if (list_empty(&hf->notices)) {
        return hf_fail(hf, ERR_TIMEOUT, "no notice");
    }
    *ret_notice = container_of(list_first(&hf->notices), struct notice, node)->what;
    notice_drop_first(hf);
    return 0;
}
