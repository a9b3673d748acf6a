/* The families of commands. Each function carries out one decoded command and fills in its reply, which is zeroed.
 *
 * They return 0, with an error of the command in the reply, or a failure of the node itself (ERR_NOMEM, ERR_IO,
 * ERR_CORRUPT), which ends the process. A command that is refused has changed nothing. */

#ifndef HOLDFAST_STATEMACHINE_COMMAND_H
#define HOLDFAST_STATEMACHINE_COMMAND_H

#include "proto/wire/command.pb-c.h"
#include "proto/wire/entry.h"
#include "statemachine/state.h"

int command_attach_session(struct machine *machine, const Holdfast__AttachSession *attach,
                           struct reply *reply) NODISCARD;
int command_detach_session(struct machine *machine, const Holdfast__DetachSession *detach,
                           struct reply *reply) NODISCARD;
int command_node_present(struct machine *machine, const Holdfast__NodePresent *present, struct reply *reply) NODISCARD;
int command_node_lost(struct machine *machine, const Holdfast__NodeLost *lost, struct reply *reply) NODISCARD;
int command_raise_version(struct machine *machine, const Holdfast__RaiseVersion *raise, struct reply *reply) NODISCARD;

int command_declare_queue(struct machine *machine, const Holdfast__DeclareQueue *declare,
                          struct reply *reply) NODISCARD;
int command_delete_queue(struct machine *machine, const Holdfast__DeleteQueue *delete, struct reply *reply) NODISCARD;
int command_purge_queue(struct machine *machine, const Holdfast__PurgeQueue *purge, struct reply *reply) NODISCARD;

int command_publish(struct machine *machine, const Holdfast__Publish *publish, struct slice bodies,
                    struct reply *reply) NODISCARD;

int command_subscribe(struct machine *machine, struct session *session, const Holdfast__Subscribe *subscribe,
                      struct reply *reply) NODISCARD;
int command_unsubscribe(struct machine *machine, struct session *session, const Holdfast__Unsubscribe *unsubscribe,
                        struct reply *reply) NODISCARD;
int command_set_credit(struct machine *machine, struct session *session, const Holdfast__SetCredit *set_credit,
                       struct reply *reply) NODISCARD;

int command_settle(struct machine *machine, struct session *session, const Holdfast__Settle *settle,
                   struct reply *reply) NODISCARD;

#endif
