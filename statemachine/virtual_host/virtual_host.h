/* A virtual host: names of its own, and what there is in it; and the users whose things are counted.
 *
 * "/" has the id VIRTUAL_HOST_ROOT and is always there; it has a row only when it has a note or limits. Ids are never used again,
 * so that what is left of a virtual host that was deleted (producers, what waits for its time) belongs to nobody. What is in
 * memory of a user is there while it has limits or sessions.
 *
 * One that is deleted loses its name at once; its sessions, queues and exchanges go bit by bit (virtual_host_delete.c), and nothing is
 * delivered in it.
 *
 * Row 'Z' id: u8 length of the name (0: it has been deleted), name, u8 length of the note, note, limits (limits.h).
 * Row 'z' name: limits. */

#ifndef HOLDFAST_STATEMACHINE_VIRTUAL_HOST_VIRTUAL_HOST_H
#define HOLDFAST_STATEMACHINE_VIRTUAL_HOST_VIRTUAL_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/limits.h"
#include "proto/base/list.h"
#include "statemachine/hash.h"
#include "statemachine/store/rows.h"
#include "statemachine/virtual_host/limits.h"

struct machine;
struct queue;
struct session;

#define VIRTUAL_HOSTS_MAX 4096u
/* Users with limits. */
#define USERS_MAX 65536u

struct virtual_host {
    uint64_t id;
    struct limits limits;
    uint64_t counts[LIMITS_LEN]; /* LIMIT_SESSIONS, LIMIT_QUEUES and LIMIT_CONSUMERS: what there is. No state. */
    uint64_t protected_len;      /* Queues that are protected. No state. */
    bool going;                  /* It has been deleted. */
    uint64_t ready;              /* As far as counted: see virtual_host_ready(). No state. */
    struct list_node recount;    /* Queues that changed since they were counted. */
    UT_hash_handle by_id;
    UT_hash_handle by_name;
    char note[NAME_LEN_MAX + 1];
    size_t name_len;
    char name[];
};

struct user {
    struct limits limits;
    uint64_t counts[LIMITS_LEN]; /* LIMIT_SESSIONS and LIMIT_CONSUMERS. No state. */
    UT_hash_handle by_name;
    size_t name_len;
    char name[];
};

/* In struct machine. */
struct virtual_hosts {
    struct virtual_host *by_id; /* In order of id. */
    struct virtual_host *by_name;
    struct user *users;
    uint64_t users_with_limits;
    uint64_t going_len; /* Virtual hosts that have been deleted, but for what is in them. */
    uint64_t next_id;   /* In the globals' row. */
};

/* With "/". ERR_NOMEM. */
int virtual_hosts_init(struct virtual_hosts *hosts) NODISCARD;
void virtual_hosts_done(struct virtual_hosts *hosts);
/* Reads the rows of the table, before all that belongs to virtual hosts is read. ERR_CORRUPT, ERR_VERSION, ERR_IO, ERR_NOMEM. */
int virtual_hosts_load(struct machine *machine) NODISCARD;

/* NULL when there is none. The name "" is "/". */
struct virtual_host *virtual_host_by_name(const struct machine *machine, const char *name);
struct virtual_host *virtual_host_by_id(const struct machine *machine, uint64_t id);
/* Also one that has been deleted, but for what is in it. */
struct virtual_host *virtual_host_by_id_going_too(const struct machine *machine, uint64_t id);
/* Whether it is one of those. */
bool virtual_host_is_going(const struct machine *machine, uint64_t id);

/* Makes one of a row. ERR_NOMEM. */
int virtual_host_enter(struct virtual_hosts *hosts, uint64_t id, const char *name, size_t name_len,
                       struct virtual_host **ret_host) NODISCARD;
/* Makes one. ERR_NOMEM. */
int virtual_host_new(struct machine *machine, const char *name, struct virtual_host **ret_host) NODISCARD;
/* Writes its row. ERR_NOMEM. */
int virtual_host_put(struct machine *machine, const struct virtual_host *host) NODISCARD;
/* Deletes it with all that is in it, as far as one entry may: sessions end with an effect, but for `but`, which the caller ends (NULL:
 * none). ERR_NOMEM, ERR_IO, ERR_CORRUPT. */
int virtual_host_delete(struct machine *machine, struct virtual_host *host, const struct session *but) NODISCARD;
/* At the end of an entry: goes on with those that have been deleted. */
int virtual_hosts_go(struct machine *machine) NODISCARD;
bool virtual_hosts_are_going(const struct machine *machine);
/* For virtual_host_delete.c: it loses its name; it is freed. */
void virtual_host_doom(struct virtual_hosts *hosts, struct virtual_host *host);
void virtual_host_free(struct virtual_hosts *hosts, struct virtual_host *host);

/* Whether one thing more would be within its limit. For LIMIT_READY_MESSAGES: a message. Always under version 1. */
bool virtual_host_has_room(struct machine *machine, uint64_t id, enum limit what);
/* What there is of it now; 0 of what is not counted. */
uint64_t virtual_host_used(struct machine *machine, struct virtual_host *host, enum limit what);
/* A thing has come (`by` is 1) or gone (-1). */
void virtual_host_count(struct machine *machine, uint64_t id, enum limit what, int by);

/* Ready messages of all its queues. Takes time for each queue that changed since the last time. */
uint64_t virtual_host_ready(struct virtual_host *host);
/* Hooks of queues: it is there; it is about to go; what is ready in it may change, or has changed. */
void virtual_host_queue_came(struct machine *machine, struct queue *queue);
void virtual_host_queue_goes(struct machine *machine, struct queue *queue);
void virtual_host_queue_changed(struct machine *machine, struct queue *queue);
/* It is protected from now on, or was until now. */
void virtual_host_queue_protected(struct machine *machine, const struct queue *queue, bool is_protected);

/* The length that a queue may have at most when it is declared; LIMIT_NONE: any. */
uint64_t virtual_host_queue_length_max(const struct machine *machine, uint64_t id);

/* Users. NULL when nothing is known of one: then it has no limits and no sessions. */
struct user *user_by_name(const struct machine *machine, const char *name);
/* ERR_NOMEM. */
int user_ensure(struct machine *machine, const char *name, struct user **ret_user) NODISCARD;
/* Frees it if it has neither limits nor sessions. NULL is allowed. */
void user_let_go(struct machine *machine, struct user *user);
/* Sets its limits. ERR_NOMEM. */
int user_set_limits(struct machine *machine, struct user *user, const struct limits *limits) NODISCARD;
/* Whether a session more (LIMIT_SESSIONS), or a consumer more, would be within its limit. NULL: always. */
bool user_has_room(const struct user *user, enum limit what);

#endif
