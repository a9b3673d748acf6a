/* Who gets a copy: one node at a time, and a patient only when it is sure that this node leads. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "node/core/rebuild_source_private.h"
#include "proto/base/check.h"

/* Whether what is there for one node may be there for this one from now on: it was for this one before, or its node has not been
 * heard of for a while. */
static bool source_yields(const struct rebuild_source *source, uint64_t from)
{
    return source->node == from || source_now_ms(source) >= source->asked_ms + REBUILD_SOURCE_YIELD_MS;
}

static void refuse_busy(struct rebuild_source *source, uint64_t node)
{
    bool other = source->phase != SOURCE_MAKING || source->node != node;
    source_refuse_why(source, node, ERR_BUSY,
                      other ? "another node has a copy of the state, or gets one: one at a time"
                            : "an older copy is being made");
}

/* One that nobody has read from is as good as a new one: its announcement was lost. */
static void open_ready(struct rebuild_source *source, const struct source_question *q)
{
    if (!(source->node == 0 && q->copy == source->copy) && !source_yields(source, q->node)) {
        refuse_busy(source, q->node);
        return;
    }
    source->node = q->node;
    source->asked_ms = source_now_ms(source);
    if (source->index >= q->min_index && (q->copy == source->copy || !source->touched)) {
        source->question = q->question;
        source_tell_opened(source);
        return;
    }
    source->next = *q;
    source_remove(source, false);
}

/* The node hears when the copy is there, if it is good for what it asks now. */
static void open_making(struct rebuild_source *source, const struct source_question *q)
{
    if (source->node != q->node || source->index < q->min_index) {
        refuse_busy(source, q->node);
        return;
    }
    source->question = q->question;
}

static void open_removing(struct rebuild_source *source, const struct source_question *q)
{
    bool is_next = source->next.node == q->node || (source->next.node == 0 && source->node == q->node);
    if (is_next) {
        source->next = *q;
    } else {
        refuse_busy(source, q->node);
    }
}

static void open_for(struct rebuild_source *source, const struct source_question *q)
{
    const struct rebuild_log *log = &source->options.log;
    uint64_t index;
    uint64_t term;
    log->stored(log->arg, &index, &term);
    if (!source_gives(source, index, q->question != 0)) {
        source_refuse_compare(source, q->node);
        return;
    }
    switch (source->phase) {
    case SOURCE_NONE: source_make(source, q); break;
    case SOURCE_MAKING: open_making(source, q); break;
    case SOURCE_READY: open_ready(source, q); break;
    case SOURCE_REMOVING: open_removing(source, q); break;
    case SOURCE_FOLLOWED:
        if (source_yields(source, q->node)) {
            source_make(source, q);
        } else {
            refuse_busy(source, q->node);
        }
        break;
    }
}

/* ---- Patients ---- */

static int admit(struct rebuild_source *source, struct source_question *q, struct rebuild_says *ret_says)
{
    const struct rebuild_source_options *options = &source->options;
    const struct rebuild_asks asks = {.node = q->node, .reason = source->reason, .vote = q->vote};
    *ret_says = (struct rebuild_says){0};
    int err = options->admits == NULL ? ERR_REFUSED : options->admits(options->arg, &asks, ret_says);
    if (err == 0) {
        q->min_index = ret_says->min_index > 0 ? ret_says->min_index : 1; /* A copy of nothing is none. */
    }
    return err;
}

/* What it asks again while this is under way need not be answered: it asks a third time. */
static void join(struct rebuild_source *source, uint64_t from, const Holdfast__RebuildOpen *open)
{
    struct rebuild_says says;
    struct source_question q = {
        .node = from, .copy = open->copy, .question = open->question, .vote = (enum rebuild_vote)open->vote};
    if (source->joining.node != 0) {
        if (source->joining.node != from) {
            source_refuse_why(source, from, ERR_BUSY, "another node is just being admitted");
        }
        return;
    }
    repair_reason(source->reason, open->reason);
    int err = admit(source, &q, &says);
    if (err != 0 && says.vote == REBUILD_VOTE_UNSAID) {
        source_refuse_says(source, from, err, &says);
        return;
    }
    source->joining = q;
    if (source->options.confirm == NULL) {
        rebuild_source_confirmed(source, 0);
    } else {
        source->options.confirm(source->options.arg);
    }
}

/* What was admitted, or said of its vote, when the question came may have changed: membership and leadership are as of now, or
 * later. */
void rebuild_source_confirmed(struct rebuild_source *source, int err)
{
    struct rebuild_says says = {0};
    struct source_question q = source->joining;
    source->joining = (struct source_question){0};
    if (q.node == 0) {
        return;
    }
    if (err != 0) {
        source_refuse_why(source, q.node, err, "a majority could not be asked whether this node leads");
        return;
    }
    err = admit(source, &q, &says);
    if (err == 0) {
        open_for(source, &q);
    } else {
        source_refuse_says(source, q.node, err, &says);
    }
}

void source_take_open(struct rebuild_source *source, uint64_t from, const Holdfast__RebuildOpen *open)
{
    if (open->join) {
        join(source, from, open);
        return;
    }
    open_for(source, &(struct source_question){.node = from, .copy = open->copy});
}
