/* What a queue is like, as plain structs. Times are in milliseconds; 0, "" (or NULL) and false are the defaults. */

#ifndef HOLDFAST_RPC_CLIENT_CLIENT_OPTIONS_H
#define HOLDFAST_RPC_CLIENT_CLIENT_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* As QueueOptions in proto/wire/command.proto, where each is described. */
struct client_queue_options {
    /* Fixed when the queue is declared. */
    bool exclusive;        /* For the declaring session alone; goes with it. */
    bool auto_delete;      /* Goes with its last consumer, if it had one. */
    uint32_t max_priority; /* 0 to 255: the highest that counts. */
    bool groups;           /* Messages of one group are delivered one at a time and in order. */
    bool single_active;    /* One consumer at a time is given messages; the others stand by. */
    /* Can be changed later. */
    uint64_t expires_ms; /* Deleted when it has not been used for so long; 0: never. */
    uint64_t ttl_ms;     /* With has_ttl: messages expire so long after they were enqueued. */
    bool has_ttl;
    uint64_t max_length; /* Ready messages, with has_max_length. */
    bool has_max_length;
    uint64_t max_bytes; /* Of their bodies, with has_max_bytes. */
    bool has_max_bytes;
    enum client_overflow {
        CLIENT_DROP_OLDEST = 0,           /* The oldest goes (to where dead letters go, if there is such a place). */
        CLIENT_REJECT_NEW = 1,            /* The publish is refused: ERR_FULL. */
        CLIENT_REJECT_NEW_DEAD_LETTER = 2 /* The new message goes to where dead letters go. */
    } overflow;
    bool has_dead_letter;             /* Dead letters go to */
    const char *dead_letter_exchange; /* this exchange ("": the default one), */
    const char *dead_letter_key;      /* with this key; "": with the one that they have, unless has_dead_letter_key. */
    bool has_dead_letter_key;
    uint64_t max_deliveries;          /* Delivered and come back so often, it is a dead letter; 0: no limit. */
    uint64_t redelivery_delay_ms;     /* Before it is delivered again; doubled with each delivery, */
    uint64_t redelivery_delay_max_ms; /* up to this. 0: not doubled. */
    uint64_t lock_ms;                 /* A delivery that is not settled for so long goes back; 0: never. */
    uint64_t keep_settled_ms;         /* Settled messages can be looked at and replayed for so long. */
    uint64_t keep_life_ms;            /* What became of each message can be looked at for so long after its end. */
    uint64_t id_window_ms;            /* For so long a message id is not taken a second time. */
    bool paused;                      /* Nothing is delivered. */
    bool protected_;                  /* Commands that delete or purge it are refused. */
    const char *note;                 /* For people, at most 255 bytes. */
};

/* Their numbers in QueueOptions, to name those that are to be changed. */
enum client_queue_option {
    CLIENT_OPTION_EXPIRES = 10,
    CLIENT_OPTION_TTL = 11,
    CLIENT_OPTION_MAX_LENGTH = 13,
    CLIENT_OPTION_MAX_BYTES = 15,
    CLIENT_OPTION_OVERFLOW = 17,
    CLIENT_OPTION_DEAD_LETTER_EXCHANGE = 19,
    CLIENT_OPTION_DEAD_LETTER_KEY = 20,
    CLIENT_OPTION_MAX_DELIVERIES = 22,
    CLIENT_OPTION_REDELIVERY_DELAY = 23,
    CLIENT_OPTION_REDELIVERY_DELAY_MAX = 24,
    CLIENT_OPTION_LOCK = 25,
    CLIENT_OPTION_KEEP_SETTLED = 26,
    CLIENT_OPTION_KEEP_LIFE = 27,
    CLIENT_OPTION_ID_WINDOW = 28,
    CLIENT_OPTION_PAUSED = 29,
    CLIENT_OPTION_PROTECTED = 30,
    CLIENT_OPTION_NOTE = 31,
};

/* For the library's own files: to and from what travels. Both borrow the strings. */
struct Holdfast__QueueOptions;
void client_options_encode(const struct client_queue_options *options, struct Holdfast__QueueOptions *ret_encoded);
void client_options_decode(const struct Holdfast__QueueOptions *encoded, struct client_queue_options *ret_options);

#endif
