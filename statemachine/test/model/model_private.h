/* What the model's files offer each other. */

#ifndef HOLDFAST_STATEMACHINE_TEST_MODEL_PRIVATE_H
#define HOLDFAST_STATEMACHINE_TEST_MODEL_PRIVATE_H

#include "model_state.h"

/* model.c */
void *model_alloc(struct model *model, size_t len);
const char *model_text(struct model *model, const char *text);
void m_list_add(struct model *model, struct list *list, void *item);
void m_list_insert(struct model *model, struct list *list, size_t at, void *item);
void m_list_remove(struct list *list, const void *item);
struct model_effect *model_effect(struct model *model, enum model_effect_kind kind, uint64_t session);
/* Ends the process: a bound was reached that the model does not know about. */
void model_require(bool holds, const char *what);

static inline void m_saw(struct model *model, enum model_seen what)
{
    model->seen[what]++;
}

/* model_apply.c */
bool m_is_name(const char *text);

/* model_session.c */
struct session *m_session_find(struct model *model, uint64_t id);
void m_attach_session(struct model *model, const Holdfast__AttachSession *attach, struct reply *reply);
void m_detach_session(struct model *model, const Holdfast__DetachSession *detach, struct reply *reply);
void m_node_present(struct model *model, const Holdfast__NodePresent *present, struct reply *reply);
void m_node_lost(struct model *model, const Holdfast__NodeLost *lost, struct reply *reply);
void m_session_end(struct model *model, struct session *session, enum model_end end);
void m_leases_end(struct model *model);

/* model_queue.c */
struct queue *m_queue_find(struct model *model, const char *virtual_host, const char *name);
bool m_queue_usable(const struct queue *queue, const struct session *session);
void m_declare_queue(struct model *model, struct session *session, const Holdfast__DeclareQueue *declare,
                     struct reply *reply);
void m_change_queue(struct model *model, struct session *session, const Holdfast__ChangeQueue *change,
                    struct reply *reply);
void m_delete_queue(struct model *model, struct session *session, const Holdfast__DeleteQueue *delete,
                    struct reply *reply);
void m_purge_queue(struct model *model, struct session *session, const Holdfast__PurgeQueue *purge,
                   struct reply *reply);
void m_queue_delete(struct model *model, struct queue *queue);
uint64_t m_queue_count(const struct queue *queue, enum model_state state);
uint64_t m_queue_parked(const struct queue *queue);
uint64_t m_queue_bytes(const struct queue *queue);
/* Ready, and none of its group is in the way. */
bool m_message_is_free(const struct queue *queue, const struct message *message);
/* The message that is to be delivered next; NULL: none. */
struct message *m_queue_next(struct model *model, const struct queue *queue);
void m_message_remove(struct queue *queue, struct message *message);
bool m_message_is_in(const struct queue *queue, const struct message *message);

/* model_enter.c */
/* A message comes into a queue; what it pushes out, and the letters that come of it, are carried out, too. */
void m_enter(struct model *model, struct queue *queue, const struct parcel *parcel);
/* It leaves the queue as a dead letter; it is in the queue, in whatever state, or on its way there (position 0). */
void m_die(struct model *model, struct queue *queue, const struct message *message, Holdfast__Death__Reason reason);
/* model_trail.c: the letter that it becomes; NULL: the queue has nowhere to send it. */
struct letter *m_letter(struct model *model, const struct queue *queue, const struct message *message,
                        Holdfast__Death__Reason reason);
/* A way to a queue that closes a circle is not taken. */
bool m_may_enter(const struct parcel *parcel, const struct queue *queue);

/* Carries letters out, unless someone further out does. */
void m_hold(struct model *model);
void m_release(struct model *model);
/* To all queues that the exchange leads to. */
void m_send(struct model *model, const char *virtual_host, const char *exchange, const char *key,
            const struct parcel *parcel);

/* model_exchange.c */
struct exchange *m_exchange_find(struct model *model, const char *virtual_host, const char *name);
/* The queues, in order of id. */
struct list m_route(struct model *model, struct exchange *exchange, const struct list *keys,
                    const Holdfast__MessageHead *head);
/* The keys of a head. */
struct list m_keys(struct model *model, const Holdfast__MessageHead *head);
void m_exchanges_queue_gone(struct model *model, struct queue *queue);
void m_declare_exchange(struct model *model, struct session *session, const Holdfast__DeclareExchange *declare,
                        struct reply *reply);
void m_change_exchange(struct model *model, struct session *session, const Holdfast__ChangeExchange *change,
                       struct reply *reply);
void m_delete_exchange(struct model *model, struct session *session, const Holdfast__DeleteExchange *delete,
                       struct reply *reply);
void m_bind(struct model *model, struct session *session, const Holdfast__Bind *bind, struct reply *reply);
void m_unbind(struct model *model, struct session *session, const Holdfast__Unbind *unbind, struct reply *reply);

/* model_match.c */
bool m_topic_fits(const char *pattern, const char *key);
bool m_headers_fit(Holdfast__Header *const *arguments, size_t arguments_len, const Holdfast__MessageHead *head);
bool m_values_same(const Holdfast__Value *a, const Holdfast__Value *b);

/* model_publish.c */
struct producer *m_producer_find(struct model *model, const char *virtual_host, const char *name);
void m_publish(struct model *model, struct session *session, const Holdfast__Publish *publish, struct slice bodies,
               struct reply *reply);
/* For how long it is to be kept aside. */
uint64_t m_delay_of(const struct model *model, const Holdfast__MessageHead *head);
void m_transact(struct model *model, struct session *session, const Holdfast__Transact *transact, struct slice bodies,
                struct reply *reply);
void m_open_producer(struct model *model, struct session *session, const Holdfast__OpenProducer *open,
                     struct reply *reply);
/* Whether the queue has seen the id, and remembers it still. */
bool m_id_seen(struct model *model, const struct queue *queue, const char *id);

/* model_pending.c */
void m_pending_add(struct model *model, const char *virtual_host, const char *queue, const struct parcel *parcel,
                   uint64_t due_ms);
void m_pending_due(struct model *model, struct pending *pending);
struct prepared *m_prepared_find(struct model *model, const char *virtual_host, const char *id);
void m_prepared_new(struct model *model, struct session *session, const Holdfast__Prepare *prepare,
                    struct prepared **ret_prepared);
void m_prepared_fired(struct model *model, struct prepared *prepared);
void m_resolve_prepared(struct model *model, struct session *session, const Holdfast__ResolvePrepared *resolve,
                        struct reply *reply);

/* model_host.c */
struct host *m_host_find(struct model *model, const char *name);
struct user *m_user_find(struct model *model, const char *name);
/* Whether there may be one thing more. */
bool m_host_has_room(const struct model *model, const char *host, Holdfast__Limit__What what);
bool m_user_has_room(const struct model *model, const char *user, Holdfast__Limit__What what);
uint64_t m_host_most(struct model *model, const char *host, Holdfast__Limit__What what);
struct host *m_host_new(struct model *model, const char *name);
void m_create_host(struct model *model, const Holdfast__CreateVirtualHost *create, struct reply *reply);
void m_delete_host(struct model *model, struct session *session, const Holdfast__DeleteVirtualHost *delete,
                   struct reply *reply);
void m_set_limits(struct model *model, const Holdfast__SetLimits *set, struct reply *reply);

/* model_life.c */
void m_keep(struct model *model, struct queue *queue, const struct message *message, enum outcome outcome);
void m_life(struct model *model, struct queue *queue, const struct message *message, enum life_kind kind,
            const struct consumer *consumer, const char *text);
/* That was the last step. */
void m_life_ends(struct model *model, struct queue *queue, const struct message *message);
/* Before its messages go. */
void m_life_purge(struct model *model, struct queue *queue);
/* Lives are not kept any more. */
void m_lives_drop(struct queue *queue);
/* What has been kept for long enough is not known any more. */
void m_forget(struct model *model);

/* model_move.c */
void m_redrive(struct model *model, struct session *session, const Holdfast__Redrive *redrive, struct reply *reply);
void m_replay(struct model *model, struct session *session, const Holdfast__Replay *replay, struct reply *reply);

/* model_time.c */
/* What is due by now, first to last. */
void m_time_passes(struct model *model);
/* What has no time to live at all. */
void m_expire_at_once(struct model *model);
uint64_t m_next_time(const struct model *model);

/* model_consume.c */
struct consumer *m_consumer_find(const struct session *session, uint64_t id);
void m_subscribe(struct model *model, struct session *session, const Holdfast__Subscribe *subscribe,
                 struct reply *reply);
void m_unsubscribe(struct model *model, struct session *session, const Holdfast__Unsubscribe *unsubscribe,
                   struct reply *reply);
void m_set_credit(struct model *model, struct session *session, const Holdfast__SetCredit *set_credit,
                  struct reply *reply);
/* Those that are no fetches: all, or the exclusive ones. */
size_t m_real_consumers(const struct queue *queue, bool exclusive_only);
/* Whether it waits may have changed. */
void m_consumer_look(struct model *model, struct consumer *consumer);
uint64_t m_lock_of(const struct consumer *consumer);
/* Something that it held is not held any more: a fetch may be done. */
void m_consumer_settled(struct model *model, struct consumer *consumer);
/* What it holds goes back; the queue may go with it. */
void m_consumer_end(struct model *model, struct consumer *consumer);
/* It ends; what it holds vanishes with its queue, or goes back. */
void m_consumer_remove(struct model *model, struct consumer *consumer, bool go_back);
bool m_deliver(struct model *model);

/* model_settle.c */
enum why_back { RELEASED, NOT_COUNTED, LOCK_OVER, HOLDER_ENDED };
void m_settle(struct model *model, struct session *session, const Holdfast__Settle *settle, struct reply *reply);
void m_extend(struct model *model, struct session *session, const Holdfast__Extend *extend, struct reply *reply);
/* Whether several could be carried out as a whole. */
int m_settle_all_error(const struct session *session, size_t len, Holdfast__Settle *const *settles);
void m_settle_carry_out(struct model *model, struct consumer *consumer, const Holdfast__Settle *settle,
                        struct reply *reply);
/* A message of its queue is done with, and leaves. */
void m_accept(struct model *model, const struct consumer *consumer, struct message *message);
/* `delay_ms`: NEVER for what the queue says. */
void m_goes_back(struct model *model, struct consumer *consumer, struct held *held, enum why_back why,
                 uint64_t delay_ms);

#endif
