/* The families of commands. Each function carries out one decoded command and fills in its reply, which is zeroed.
 *
 * They return 0, with an error of the command in the reply, or a failure of the node itself (ERR_NOMEM, ERR_IO,
 * ERR_CORRUPT), which ends the process. A command that is refused has changed nothing. */

#ifndef HOLDFAST_STATEMACHINE_COMMAND_COMMAND_H
#define HOLDFAST_STATEMACHINE_COMMAND_COMMAND_H

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

int command_declare_queue(struct machine *machine, struct session *session, const Holdfast__DeclareQueue *declare,
                          struct reply *reply) NODISCARD;
int command_change_queue(struct machine *machine, struct session *session, const Holdfast__ChangeQueue *change,
                         struct reply *reply) NODISCARD;
int command_delete_queue(struct machine *machine, struct session *session, const Holdfast__DeleteQueue *delete,
                         struct reply *reply) NODISCARD;
int command_purge_queue(struct machine *machine, struct session *session, const Holdfast__PurgeQueue *purge,
                        struct reply *reply) NODISCARD;

int command_declare_exchange(struct machine *machine, struct session *session, const Holdfast__DeclareExchange *declare,
                             struct reply *reply) NODISCARD;
int command_change_exchange(struct machine *machine, struct session *session, const Holdfast__ChangeExchange *change,
                            struct reply *reply) NODISCARD;
int command_delete_exchange(struct machine *machine, struct session *session, const Holdfast__DeleteExchange *delete,
                            struct reply *reply) NODISCARD;
int command_bind(struct machine *machine, struct session *session, const Holdfast__Bind *bind,
                 struct reply *reply) NODISCARD;
int command_unbind(struct machine *machine, struct session *session, const Holdfast__Unbind *unbind,
                   struct reply *reply) NODISCARD;

int command_publish(struct machine *machine, struct session *session, const Holdfast__Publish *publish,
                    struct slice bodies, struct reply *reply) NODISCARD;
int command_transact(struct machine *machine, struct session *session, const Holdfast__Transact *transact,
                     struct slice bodies, struct reply *reply) NODISCARD;
int command_open_producer(struct machine *machine, struct session *session, const Holdfast__OpenProducer *open,
                          struct reply *reply) NODISCARD;
int command_resolve_prepared(struct machine *machine, struct session *session, const Holdfast__ResolvePrepared *resolve,
                             struct reply *reply) NODISCARD;

int command_create_virtual_host(struct machine *machine, const Holdfast__CreateVirtualHost *create,
                                struct reply *reply) NODISCARD;
int command_delete_virtual_host(struct machine *machine, struct session *session,
                                const Holdfast__DeleteVirtualHost *delete, struct reply *reply) NODISCARD;
int command_set_limits(struct machine *machine, const Holdfast__SetLimits *set, struct reply *reply) NODISCARD;

int command_subscribe(struct machine *machine, struct session *session, const Holdfast__Subscribe *subscribe,
                      struct reply *reply) NODISCARD;
int command_unsubscribe(struct machine *machine, struct session *session, const Holdfast__Unsubscribe *unsubscribe,
                        struct reply *reply) NODISCARD;
int command_set_credit(struct machine *machine, struct session *session, const Holdfast__SetCredit *set_credit,
                       struct reply *reply) NODISCARD;

int command_settle(struct machine *machine, struct session *session, const Holdfast__Settle *settle,
                   struct reply *reply) NODISCARD;

int command_extend(struct machine *machine, struct session *session, const Holdfast__Extend *extend,
                   struct reply *reply) NODISCARD;
int command_redrive(struct machine *machine, struct session *session, const Holdfast__Redrive *redrive,
                    struct reply *reply) NODISCARD;
int command_replay(struct machine *machine, struct session *session, const Holdfast__Replay *replay,
                   struct reply *reply) NODISCARD;

#endif
