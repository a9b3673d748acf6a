/* What a query answers, as plain structs. Everything lives during the callback that brings it. */

#ifndef HOLDFAST_RPC_CLIENT_CLIENT_QUERY_H
#define HOLDFAST_RPC_CLIENT_CLIENT_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/blob.h"
#include "rpc/client/client_options.h"
#include "rpc/client/client_properties.h"

struct client_queue {
    const char *name;
    uint64_t ready;
    uint64_t unsettled;
    uint32_t consumers;
    uint64_t enqueued;    /* Counted since the queue was declared: messages that came in, */
    uint64_t delivered;   /* deliveries made, again and again included, */
    uint64_t settled;     /* messages accepted, rejected or purged, */
    uint64_t released;    /* deliveries that went back. */
    uint64_t oldest_ms;   /* Log time at which the oldest ready message was enqueued; 0: none is ready, or in a list. */
    uint64_t log_time_ms; /* As of which all this is. */
    uint64_t expired;     /* Counters, as above. */
    uint64_t dropped;     /* Because of a limit on length or bytes. */
    uint64_t dead_lettered; /* Sent to where dead letters go, also when no queue took them there. */
    uint64_t redriven;
    uint64_t lock_ended;
    uint64_t parked;         /* Of the ready ones: behind others of their groups. */
    uint64_t waiting;        /* Came back, and wait before they are ready again. */
    uint64_t bytes;          /* Of ready messages, as far as they are counted; 0 in a list. */
    bool owned;              /* It is exclusive, and its session is there. */
    uint64_t active_session; /* Of a single-active queue: whose consumer is given messages; 0: none. */
    uint64_t active_consumer;
    struct client_queue_options options;
};

/* A subscription. */
struct client_consumer_info {
    uint64_t session;
    uint64_t consumer;  /* Its number within the session. */
    uint64_t node;      /* Where the session is attached; 0: nowhere. */
    uint64_t delivered; /* The number of its last delivery. */
    uint64_t lock_ms;   /* Of its own; 0: the queue's. */
    uint32_t credit;
    uint32_t unsettled;
    int32_t priority;
    bool exclusive;
    bool auto_accept;
    bool fetch;
    bool active; /* It may be given messages: false while another is the active one. */
    const char *tag;
};

/* What a virtual host, or a user, may have. */
enum hf_limit {
    HF_LIMIT_SESSIONS,
    HF_LIMIT_QUEUES, /* Virtual hosts only, as what follows. */
    HF_LIMIT_EXCHANGES,
    HF_LIMIT_BINDINGS,
    HF_LIMIT_CONSUMERS, /* Virtual hosts and users. */
    HF_LIMIT_READY_MESSAGES, /* Looked at when messages are published; delayed and prepared ones do not count while they wait. */
    HF_LIMIT_QUEUE_LENGTH,
};

struct client_limit {
    enum hf_limit what;
    bool is_set;
    bool is_counted; /* `used` says something: not of HF_LIMIT_QUEUE_LENGTH. */
    uint64_t value;
    uint64_t used;
};

struct client_producer {
    const char *name;
    uint64_t epoch;         /* 0: it was never opened. */
    uint64_t last_sequence; /* 0: none was taken. */
    uint64_t session;       /* That opened it last; it may be gone. 0: none. */
};

struct client_prepared {
    const char *id;
    const char *group;
    const char *state; /* A word: prepared, committed, dropped. */
    uint64_t messages;
    uint64_t ask_ms;      /* While it is prepared: log time of the next question; 0: none. */
    uint64_t deadline_ms; /* Log time; 0: none. */
    bool commit_at_deadline;
    uint64_t remembered_until_ms; /* When it is resolved: log time at which the outcome is forgotten. */
};

enum client_exchange_type { CLIENT_DIRECT = 0, CLIENT_FANOUT = 1, CLIENT_TOPIC = 2, CLIENT_HEADERS = 3 };

struct client_exchange {
    const char *name;
    enum client_exchange_type type;
    bool auto_delete; /* Goes with its last binding, if it had one. */
    bool internal;    /* Only exchanges and dead letters reach it. */
    bool has_alternate;
    const char *alternate; /* Where what matches no binding goes. */
    bool protected_;
    const char *note;
    uint64_t bindings; /* From it. Not for declaring. */
    bool delayed;      /* Of the kind that delays, for front-ends that know such a kind. */
};

struct client_binding {
    const char *source;
    const char *queue;    /* To a queue (NULL or "": none) */
    const char *exchange; /* or an exchange. */
    const char *key;
    const struct client_header *arguments;
    size_t arguments_len;
    uint64_t id; /* Not for binding. */
};

struct client_virtual_host {
    const char *name;
    uint64_t id;
    const char *note;
};

/* A step of a message's life. */
struct client_step {
    const char *what; /* A word, such as "delivered". */
    uint64_t index;   /* Of the log. */
    uint64_t time_ms; /* Log time. */
    uint64_t session;
    uint64_t consumer;
    const char *text; /* How it came in; the exchange or queue that it went to; "". */
};

/* A message that was looked at where it is. */
struct client_message {
    uint64_t position;
    uint64_t enqueued_ms;    /* Log time. */
    uint64_t body_hash;      /* Has been checked: of the head and the body. */
    uint64_t expires_ms;     /* Log time; 0: never. */
    uint64_t left_ms;        /* Of a kept one: when it left its queue. */
    uint32_t delivery_count; /* So far, with the one that is under way; of a kept one it is not known: 0. */
    bool locked;             /* Out with a consumer. */
    const char *state;       /* A word: ready, locked, waiting, parked; of a kept one: how it left. */
    struct slice body;       /* Borrowed; slice_ref() to keep it. */
    struct slice head;       /* For client_properties_decode(); empty: none. */
    struct slice trail;      /* For client_deaths_decode(); empty: none. */
};

struct client_member {
    uint64_t id;
    const char *peer_address;
    const char *client_address; /* "" when not known. */
    const char *role;
    bool connected;
    uint64_t match_index; /* Known to the leader only; else 0. */
    const char *detail;
    bool voter;
    bool preferred;   /* Its operator would have it lead. */
    const char *zone; /* "" when not known. */
};

/* A node, and how it sees the others. */
struct client_cluster {
    const char *cluster;
    uint64_t node;
    uint64_t leader; /* 0: not known. */
    uint64_t term;
    uint64_t commit_index;
    uint64_t applied_index;
    uint64_t log_first;
    uint64_t log_last;
    uint64_t checkpoint_index;
    uint64_t log_time_ms;
    uint32_t machine_version;
    const char *version;
    uint64_t entries_replayed;
    const char *refusing; /* Why new messages are refused; "" when they are not. */
    uint64_t sessions;    /* Open ones, in the whole cluster. */
    const struct client_member *members;
    size_t members_len;
    const char *const *alarms; /* What needs an operator, as the node knows. */
    size_t alarms_len;
};

struct client_query_result {
    const struct client_queue *queues; /* Sorted by name. */
    size_t queues_len;
    const struct client_message *messages; /* In order. */
    size_t messages_len;
    const struct client_exchange *exchanges; /* Sorted by name. */
    size_t exchanges_len;
    const struct client_binding *bindings; /* By id. */
    size_t bindings_len;
    const struct client_virtual_host *virtual_hosts; /* Sorted by name. */
    size_t virtual_hosts_len;
    const struct client_step *steps; /* In order. */
    size_t steps_len;
    const struct client_consumer_info *consumers; /* By session and number. */
    size_t consumers_len;
    const struct client_limit *limits;
    size_t limits_len;
    const struct client_prepared *prepared; /* Sorted by id. */
    size_t prepared_len;
    const struct client_producer *producer; /* NULL unless it was asked for. */
    bool more;                              /* Ask again: after the last name, or from behind the last position. */
    const struct client_cluster *cluster;   /* NULL unless it was asked for. */
};

#endif
