/* Which function carries out a command, and who may issue it. */

#ifndef HOLDFAST_STATEMACHINE_COMMAND_DISPATCH_H
#define HOLDFAST_STATEMACHINE_COMMAND_DISPATCH_H

#include "proto/wire/command.pb-c.h"
#include "proto/wire/entry.h"
#include "statemachine/state.h"

/* Whether there is anything to carry out, and whoever issued it may: otherwise the reply says why not. `command` is NULL when its
 * header is malformed. */
bool command_check(const struct machine *machine, const struct entry_command *from, const Holdfast__Command *command,
                   struct reply *reply);

/* Carries out a command that was checked: one of a node's own, or one of a session. CloseSession is not carried out here: its
 * reply has to go out first. As the functions of command.h. */
int command_carry_out_of_node(struct machine *machine, const Holdfast__Command *command, struct reply *reply) NODISCARD;
int command_carry_out_of_session(struct machine *machine, struct session *session, const struct entry_command *from,
                                 const Holdfast__Command *command, struct reply *reply) NODISCARD;

#endif
