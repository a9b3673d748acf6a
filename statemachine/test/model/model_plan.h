/* What is to become of the messages of a publish: found out before anything changes. */

#ifndef HOLDFAST_STATEMACHINE_TEST_MODEL_PLAN_H
#define HOLDFAST_STATEMACHINE_TEST_MODEL_PLAN_H

#include "model_private.h"

/* What becomes of one message of a publish. */
enum fate { TAKEN, REPEATED, REFUSED, DELAYED, PREPARED };

struct plan_message {
    struct content *content;
    enum fate fate;
    struct list queues; /* That it goes to now. */
    bool unrouted;
    uint64_t delay_ms;
};

struct plan {
    struct session *session;
    const Holdfast__Publish *publish;
    struct queue *queue; /* Publish.queue; NULL: by the heads. */
    struct producer *producer;
    uint64_t last; /* The producer's last sequence, with what the publishes before it in the transaction will bring. */
    const struct list *earlier; /* Plans of these publishes; NULL: none. */
    struct plan_message messages[4096];
};

/* Fills in the rest of the plan. */
int m_plan_error(struct model *model, struct plan *plan, struct slice bodies);
bool m_plan_all_repeated(const struct plan *plan);

#endif
