/* What a command's header says. */

#ifndef HOLDFAST_STATEMACHINE_COMMAND_DECODE_H
#define HOLDFAST_STATEMACHINE_COMMAND_DECODE_H

#include "proto/wire/command.pb-c.h"
#include "statemachine/state.h"

/* Decodes the header as the machine's version knows it. `*ret_command` is NULL when it is malformed; it is in the machine's arena,
 * valid until the next one is decoded. ERR_NOMEM. */
int command_decode(struct machine *machine, struct slice header, Holdfast__Command **ret_command) NODISCARD;

#endif
