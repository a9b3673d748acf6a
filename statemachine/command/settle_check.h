/* Whether settlements would be carried out as a whole: none is malformed, and each number that they name is held, and named once. */

#ifndef HOLDFAST_STATEMACHINE_COMMAND_SETTLE_CHECK_H
#define HOLDFAST_STATEMACHINE_COMMAND_SETTLE_CHECK_H

#include "statemachine/command/command.h"

/* Deliveries that one command rejects, releases, or accepts in a queue that keeps what is settled, at most: of each there is something to
 * be done. Those of a queue that keeps lives count twice. */
#define SETTLE_BACK_MAX 4096u

/* Whether they are no more together; else the reply is LIMIT. */
bool settle_check_back(struct session *session, Holdfast__Settle *const *settles, size_t len, struct reply *reply);

/* Looks at all settlements of a transaction; nothing is changed. When one of them could not be carried out, the reply says why: STALE
 * for a delivery that is not held any more, or would not be by then. ERR_NOMEM. */
int settle_check_all(struct machine *machine, struct session *session, Holdfast__Settle *const *settles, size_t len,
                     struct reply *reply) NODISCARD;

#endif
