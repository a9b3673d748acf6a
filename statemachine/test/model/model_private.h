/* The model's state. */

#ifndef HOLDFAST_STATEMACHINE_TEST_MODEL_PRIVATE_H
#define HOLDFAST_STATEMACHINE_TEST_MODEL_PRIVATE_H

#include "model.h"
#include "proto/base/err.h"
#include "proto/wire/command.pb-c.h"
#include "proto/wire/entry.h"

#define NEVER UINT64_MAX
#define TIME_MAX (UINT64_C(10) * 366 * 24 * 3600 * 1000)

/* Pointers in a row. */
struct list {
    void **items;
    size_t len;
    size_t cap;
};

#define EACH(type, item, list)                                                                                         \
    for (size_t item##_at = 0; item##_at < (list)->len; item##_at++)                                                   \
        for (type *item = (list)->items[item##_at], *item##_once = item; item##_once != NULL; item##_once = NULL)

struct node {
    uint64_t id;
    uint64_t run;
};

struct reply {
    uint64_t number;
    int error; /* Of ERR_*, or 0. */
    uint64_t count;
    uint64_t repeated_count;
    uint64_t unrouted;
    uint64_t refused;
    uint64_t attach_session;
    uint64_t attach_attachment;
    uint64_t last_number;
};

struct session {
    uint64_t id;
    uint8_t key[16];
    uint64_t attachment;
    uint64_t attempt;
    uint64_t origin_node;
    uint64_t origin_run;
    uint64_t origin_tag;
    uint64_t lease_ms;
    uint64_t expires_ms; /* NEVER while it is attached. */
    struct node *place;  /* NULL: attached nowhere. */
    uint64_t last;       /* Number of the last command. */
    struct list replies; /* Remembered, struct reply, the oldest first. */
    uint64_t failed_publish;
    struct list consumers; /* In order of id. */
    const char *virtual_host;
    const char *user; /* "": nobody in particular. */
};

/* What a virtual host or a user may have, by Limit.What; NEVER: without limit. */
#define LIMITS 7u
struct limits {
    uint64_t most[LIMITS];
};

struct host {
    const char *name;
    const char *note;
    struct limits limits;
};

struct user {
    const char *name;
    struct limits limits;
};

/* What was published, whatever queues it is in. */
struct content {
    const uint8_t *head;
    size_t head_len;
    const uint8_t *body;
    size_t body_len;
    uint64_t hash;
    const Holdfast__MessageHead *fields; /* Of the head; of an empty one, too. */
};

/* How it came into a queue. */
enum how { PUBLISHED, DUE, DEAD, REDRIVEN, REPLAYED };

/* A message on its way into queues: with what has become of it before. */
struct parcel {
    const struct content *content;
    Holdfast__Trail *trail; /* NULL: none. */
    enum how how;
};

struct message {
    uint64_t position;
    struct parcel parcel;
    uint64_t enqueued_ms;
    enum model_state state;
    uint64_t deliveries; /* That went back; those that did not count are not in it. */
    struct consumer *holder;
    uint64_t expires_ms; /* 0: never. */
    uint64_t wakes_ms;   /* While it waits. */
    bool parked;         /* It was its turn once, but for another of its group. */
};

/* A message that is kept after it has left its queue. The numbers of outcomes are those of the queries. */
enum outcome { ACCEPTED = 0, REJECTED = 1, EXPIRED = 2, DROPPED = 3, DELIVERY_LIMIT = 4 };
struct kept {
    uint64_t position;
    uint64_t enqueued_ms;
    uint64_t left_ms;
    uint64_t until_ms;
    enum outcome outcome;
    struct parcel parcel;
};

/* A step of a message's life. The numbers of kinds are those of the queries. */
enum life_kind {
    L_ENQUEUED = 1,
    L_DELIVERED = 2,
    L_RELEASED = 3,
    L_LOCK_ENDED = 4,
    L_HOLDER_ENDED = 5,
    L_WAITING = 6,
    L_ACCEPTED = 7,
    L_REJECTED = 8,
    L_EXPIRED = 9,
    L_DROPPED = 10,
    L_DELIVERY_LIMIT = 11,
    L_DEAD_LETTERED = 12,
    L_REDRIVEN = 13,
    L_PURGED = 14,
};
struct life_step {
    uint64_t index;
    uint64_t time_ms;
    enum life_kind kind;
    uint64_t session;
    uint64_t consumer;
    const char *text;
    uint64_t until_ms; /* Of purges. */
};
struct life {
    uint64_t position; /* 0: the queue's purges. */
    struct list steps; /* struct life_step */
    uint64_t until_ms; /* NEVER: it has not ended. */
    bool purged;       /* How long it is known is known only roughly. */
    bool forgotten;
};

struct seen_id {
    const char *id;
    uint64_t until_ms;
};

struct queue {
    uint64_t id;
    const char *virtual_host;
    const char *name;
    Holdfast__QueueOptions options;
    struct session *owner; /* Of an exclusive one. */
    uint64_t lanes[256];   /* The last number given in each. */
    struct list messages;  /* In order of position. */
    struct list consumers; /* In order of session and id. */
    struct consumer *active;
    struct list ids;   /* struct seen_id */
    struct list kept;  /* In order of position. */
    struct list lives; /* Those that are forgotten included. */
    uint64_t sweep_ms; /* When what is known of purged messages begins to be forgotten; NEVER. */
    bool deleted;
    uint64_t used_ms;
    uint64_t enqueued;
    uint64_t delivered;
    uint64_t settled;
    uint64_t released;
    uint64_t expired;
    uint64_t dropped;
    uint64_t dead_lettered;
    uint64_t redriven;
    uint64_t lock_ended;
};

struct held {
    uint64_t number;
    struct message *message;
    uint64_t until_ms; /* NEVER: without a time. */
};

struct consumer {
    uint64_t id;
    struct session *session;
    struct queue *queue;
    uint64_t credit;
    int64_t priority;
    uint64_t lock_ms;
    bool exclusive;
    bool auto_accept;
    bool fetch;
    uint64_t subscribed; /* Which subscription it was, as a number that rises. */
    uint64_t last_number;
    struct list held;     /* struct held, in order of number. */
    uint64_t waits_since; /* When it took its place among the waiting, as a number that rises; 0: it does not wait. */
};

struct exchange {
    const char *virtual_host;
    const char *name;
    int type; /* Holdfast__DeclareExchange__Type */
    bool auto_delete;
    bool internal;
    bool delayed;
    bool protected;
    const char *alternate; /* NULL: none. */
    const char *note;
    bool built_in;
};

struct binding {
    struct exchange *source;
    struct queue *queue; /* One of the two. */
    struct exchange *exchange;
    const char *key;
    size_t arguments_len;
    Holdfast__Header **arguments;
};

/* A message that is kept aside. */
struct pending {
    uint64_t id;
    uint64_t due_ms;
    const char *virtual_host;
    const char *queue; /* NULL: to the exchange that its head names. */
    struct parcel parcel;
};

struct prepared {
    const char *virtual_host;
    const char *id;
    uint64_t number; /* In the order of their coming. */
    const char *group;
    uint64_t ask_after_ms;
    uint64_t asks_ms;     /* Next; NEVER. */
    uint64_t deadline_ms; /* NEVER: none. */
    bool commit_at_deadline;
    bool resolved;
    bool committed;
    uint64_t resolved_ms;
    struct list messages; /* struct pending */
};

/* A dead letter that is to be published. */
struct letter {
    const char *virtual_host;
    const char *exchange;
    const char *key; /* NULL: all keys of its head. */
    struct parcel parcel;
};

struct producer {
    const char *virtual_host;
    const char *name;
    uint64_t last;
    uint64_t epoch;
    uint64_t opened_by; /* The session that opened it last; 0: none. */
};

struct model {
    struct list chunks; /* All that was allocated. */
    uint64_t index;
    uint64_t time_ms;
    uint64_t version;
    uint64_t next_session;
    uint64_t next_queue;
    uint64_t places; /* Given to waiting consumers so far. */
    struct list nodes;
    struct list hosts;
    struct list users;    /* That have limits. */
    struct list sessions; /* In order of id. */
    struct list queues;   /* In order of id. */
    struct list producers;
    struct list exchanges;
    struct list bindings;
    struct list pendings;
    struct list prepareds;
    struct list letters; /* On their way, the oldest first. */
    unsigned holding;    /* Letters wait until this is 0. */
    uint64_t subscriptions;
    uint64_t next_pending;
    uint64_t next_prepared;
    struct model_effect *effects;
    size_t effects_len;
    size_t effects_cap;
    unsigned deliveries; /* Of this entry. */
    uint64_t seen[SEEN_COUNT];
};

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

/* model_apply.c: a command of a session; true when it is carried out, whatever comes of it. */
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
