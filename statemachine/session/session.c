/* A session: a client's presence. */

#include "statemachine/session/session.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "statemachine/state.h"

int session_new(struct machine *machine, uint64_t id, const uint8_t key[SESSION_KEY_LEN], struct session **ret_session)
{
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        return ERR_NOMEM;
    }
    session->id = id;
    memcpy(session->key, key, SESSION_KEY_LEN);
    list_init(&session->changed);
    list_init(&session->at_place);
    list_init(&session->queues);
    session->virtual_host_id = VIRTUAL_HOST_ROOT;
    virtual_host_count(machine, session->virtual_host_id, LIMIT_SESSIONS, 1);
    RB_INIT(&session->consumers);
    session->expires_ms = LEASE_NEVER;
    HASH_ADD(by_id, machine->sessions, id, sizeof session->id, session);
    HASH_ADD(by_key, machine->session_keys, key, SESSION_KEY_LEN, session);
    *ret_session = session;
    return 0;
}

static void session_enter(struct session *session, struct presence *place)
{
    session->place = place;
    list_push_back(&place->sessions, &session->at_place);
    place->sessions_len++;
}

/* Where it is attached, it is not any more. */
static void session_leave(struct session *session)
{
    if (session->place != NULL) {
        list_remove(&session->at_place);
        session->place->sessions_len--;
        session->place = NULL;
    }
}

void session_withdraw(struct machine *machine, struct session *session)
{
    session_leave(session);
    lease_stop(machine, session);
    if (!session->ending) {
        HASH_DELETE(by_key, machine->session_keys, session);
    }
    session->ending = true;
}

static void session_leave_user(struct machine *machine, struct session *session)
{
    struct user *user = session->user;
    if (user != NULL) {
        user->counts[LIMIT_SESSIONS]--;
        user->counts[LIMIT_CONSUMERS] -= session->consumers_len;
        session->user = NULL;
        user_let_go(machine, user);
    }
}

void session_remove(struct machine *machine, struct session *session)
{
    session_withdraw(machine, session);
    if (session->in_ending) {
        RB_REMOVE(leases, &machine->ending_sessions, session);
    }
    list_remove(&session->queues);
    HASH_DELETE(by_id, machine->sessions, session);
    list_remove(&session->changed);
    replies_done(&session->replies);
    virtual_host_count(machine, session->virtual_host_id, LIMIT_SESSIONS, -1);
    session_leave_user(machine, session);
    free(session->client);
    free(session);
}

void session_discard(struct machine *machine, struct session *session)
{
    struct consumer *consumer;
    while ((consumer = RB_ROOT(&session->consumers)) != NULL) {
        consumer_discard(machine, consumer);
    }
    session_remove(machine, session);
}

/* Replaces a text with a copy. */
static int text_set(char **text, const void *value, size_t len)
{
    char *copy = malloc(len + 1);
    if (copy == NULL) {
        return ERR_NOMEM;
    }
    memcpy(copy, value, len);
    copy[len] = 0;
    free(*text);
    *text = copy;
    return 0;
}

int session_set_client(struct session *session, const char *client)
{
    return text_set(&session->client, client, strlen(client));
}

void session_set_virtual_host(struct machine *machine, struct session *session, uint64_t virtual_host)
{
    CHECK(session->consumers_len == 0);
    virtual_host_count(machine, session->virtual_host_id, LIMIT_SESSIONS, -1);
    session->virtual_host_id = virtual_host;
    virtual_host_count(machine, session->virtual_host_id, LIMIT_SESSIONS, 1);
}

int session_set_user(struct machine *machine, struct session *session, const char *name)
{
    struct user *user = NULL;
    int err = name[0] != 0 ? user_ensure(machine, name, &user) : 0;
    if (err != 0 || user == session->user) {
        return err;
    }
    session_leave_user(machine, session);
    session->user = user;
    if (user != NULL) {
        user->counts[LIMIT_SESSIONS]++;
        user->counts[LIMIT_CONSUMERS] += session->consumers_len;
    }
    return 0;
}

/* In order of id, which is the same on every node. */
static void session_update_turns(struct machine *machine, struct session *session)
{
    struct consumer *consumer;
    RB_FOREACH (consumer, session_consumers, &session->consumers) {
        consumer_update_turn(machine, consumer);
    }
}

void session_attach(struct machine *machine, struct session *session, struct presence *place)
{
    bool was_attached = session->place != NULL;
    session_leave(session);
    if (!fault_fires(FAULT_SKIP_LEASE_STOP)) {
        lease_stop(machine, session);
    }
    session_enter(session, place);
    if (!was_attached) {
        session_update_turns(machine, session);
    }
    session_changed(machine, session);
}

void session_detach(struct machine *machine, struct session *session)
{
    if (session->place == NULL) {
        return;
    }
    session_leave(session);
    if (!fault_fires(FAULT_SKIP_LEASE_START)) {
        lease_start(machine, session);
    }
    session_update_turns(machine, session);
    session_changed(machine, session);
}

struct session *session_by_id_ending_too(struct machine *machine, uint64_t id)
{
    struct session *session = NULL;
    HASH_FIND(by_id, machine->sessions, &id, sizeof id, session);
    return session;
}

bool session_is_ending(const struct machine *machine, const struct session *session)
{
    return session->ending || virtual_host_is_going(machine, session->virtual_host_id);
}

struct session *session_by_id(struct machine *machine, uint64_t id)
{
    struct session *session = session_by_id_ending_too(machine, id);
    return session == NULL || session_is_ending(machine, session) ? NULL : session;
}

struct session *session_by_key(struct machine *machine, const uint8_t key[SESSION_KEY_LEN])
{
    struct session *session = NULL;
    HASH_FIND(by_key, machine->session_keys, key, SESSION_KEY_LEN, session);
    return session;
}

void session_changed(struct machine *machine, struct session *session)
{
    if (!list_linked(&session->changed)) {
        list_push_back(&machine->changed_sessions, &session->changed);
    }
}

static void row_put_short(struct row *row, const char *text)
{
    size_t len = strlen(text);
    row_put_u8(row, (uint8_t)len);
    row_put_bytes(row, text, len);
}

static void row_put_bits(struct row *row, struct reply_bits bits)
{
    row_put_u16(row, (uint16_t)bits.len);
    row_put_bytes(row, bits.data, bits.len);
}

static void session_put_replies(const struct replies *replies, struct row *row, bool with_bits)
{
    row_put_u64(row, replies->last);
    row_put_u32(row, (uint32_t)replies->len);
    for (size_t i = replies->len; i > 0; i--) {
        struct reply reply;
        CHECK(replies_get(replies, replies->last - i + 1, &reply) == 0);
        row_put_u64(row, reply.count);
        row_put_u64(row, reply.repeated_count);
        row_put_u16(row, (uint16_t)reply.error);
        row_put_u16(row, (uint16_t)reply.detail);
        if (with_bits) {
            row_put_bits(row, reply.unrouted);
            row_put_bits(row, reply.refused);
        }
    }
}

int session_row(const struct machine *machine, const struct session *session, struct row *row)
{
    bool is_new = machine->version >= 2;
    struct row_key key = row_key_one(ROW_SESSION, session->id);
    if (is_new) {
        row_begin_new(row, key);
    } else {
        row_begin(row, key);
    }
    row_put_bytes(row, session->key, SESSION_KEY_LEN);
    row_put_u64(row, session->attachment);
    row_put_u64(row, session->attempt);
    row_put_u64(row, session->origin.node);
    row_put_u64(row, session->origin.run);
    row_put_u64(row, session->origin.tag);
    row_put_u64(row, session->expires_ms);
    row_put_u32(row, session->ending ? (uint32_t)session->end : session->lease_ms);
    row_put_u64(row, session->failed_publish);
    if (is_new) {
        row_put_u64(row, session->virtual_host_id);
        row_put_short(row, session->client);
        row_put_short(row, session->user != NULL ? session->user->name : "");
    } else {
        row_put_short(row, "/");
        row_put_short(row, session->client);
    }
    session_put_replies(&session->replies, row, is_new);
    return row_seal(row);
}

static int session_load_short(struct row_reader *reader, char **text)
{
    size_t len = row_get_u8(reader);
    const uint8_t *value = row_get_bytes(reader, len);
    return value == NULL || memchr(value, 0, len) != NULL ? ERR_CORRUPT : text_set(text, value, len);
}

/* Where it is attached, or when its lease ends. */
static int session_load_place(struct machine *machine, struct session *session, uint64_t expires_ms)
{
    if (expires_ms != LEASE_NEVER) {
        lease_resume(machine, session, expires_ms);
        return 0;
    }
    struct presence *place = presence_of_run(machine, session->origin.node, session->origin.run);
    if (place == NULL) {
        return ERR_CORRUPT;
    }
    session_enter(session, place);
    return 0;
}

/* It has ended, but for what it has: its key may be another one's by now. */
static int session_load_ending(struct machine *machine, struct session *session, uint64_t expires_ms)
{
    if (expires_ms != LEASE_NEVER || session->lease_ms > SESSION_END_HOST_DELETED) {
        return ERR_CORRUPT;
    }
    session_ends(machine, session, (enum session_end)session->lease_ms);
    list_remove(&session->changed);
    return 0;
}

static int session_load_attachment(struct machine *machine, struct session *session, struct row_reader *reader)
{
    session->attachment = row_get_u64(reader);
    session->attempt = row_get_u64(reader);
    session->origin.node = row_get_u64(reader);
    session->origin.run = row_get_u64(reader);
    session->origin.tag = row_get_u64(reader);
    uint64_t expires_ms = row_get_u64(reader);
    session->lease_ms = row_get_u32(reader);
    session->failed_publish = row_get_u64(reader);
    if (reader->version >= ROW_VERSION_NEW && session->lease_ms < LEASE_MS_MIN) {
        return session_load_ending(machine, session, expires_ms);
    }
    return session_load_place(machine, session, expires_ms);
}

static struct reply_bits row_get_bits(struct row_reader *reader)
{
    size_t len = row_get_u16(reader);
    const uint8_t *data = len <= REPLY_BITS_LEN_MAX ? row_get_bytes(reader, len) : NULL;
    if (data == NULL) {
        reader->overrun = true;
        len = 0;
    }
    return (struct reply_bits){.data = data, .len = len};
}

static int session_load_replies(struct session *session, struct row_reader *reader)
{
    uint64_t last = row_get_u64(reader);
    uint32_t len = row_get_u32(reader);
    if (len > last || len > SESSION_WINDOW_MAX) {
        return ERR_CORRUPT;
    }
    session->replies.last = last - len;
    for (uint32_t i = 0; i < len; i++) {
        struct reply reply = {.count = row_get_u64(reader), .repeated_count = 0};
        reply.repeated_count = row_get_u64(reader);
        reply.error = row_get_u16(reader);
        reply.detail = (enum detail)row_get_u16(reader);
        if (reader->version >= ROW_VERSION_NEW) {
            reply.unrouted = row_get_bits(reader);
            reply.refused = row_get_bits(reader);
        }
        int err = replies_push(&session->replies, &reply);
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static int session_load_names(struct machine *machine, struct session *session, struct row_reader *reader)
{
    char *text = NULL;
    int err;
    if (reader->version < ROW_VERSION_NEW) { /* The name of the virtual host: there was but one. */
        err = session_load_short(reader, &text);
        free(text);
        return err != 0 ? err : session_load_short(reader, &session->client);
    }
    uint64_t virtual_host = row_get_u64(reader);
    if (virtual_host_by_id_going_too(machine, virtual_host) == NULL && !session->ending) {
        return ERR_CORRUPT;
    }
    session_set_virtual_host(machine, session, virtual_host);
    err = session_load_short(reader, &session->client);
    if (err == 0) {
        err = session_load_short(reader, &text);
    }
    if (err == 0) {
        err = session_set_user(machine, session, text);
    }
    free(text);
    return err;
}

int session_load(struct machine *machine, const struct row_key *key, struct slice value)
{
    struct row_reader reader;
    int err = row_open(&reader, key, value);
    if (err != 0) {
        return err;
    }
    const uint8_t *session_key = row_get_bytes(&reader, SESSION_KEY_LEN);
    if (key->len != ROW_KEY_ONE_LEN || session_key == NULL || session_by_key(machine, session_key) != NULL) {
        return ERR_CORRUPT;
    }
    struct session *session;
    err = session_new(machine, get_be64(key->data + 1), session_key, &session);
    if (err != 0) {
        return err;
    }
    session->stored = true;
    err = session_load_attachment(machine, session, &reader);
    if (err == 0) {
        err = session_load_names(machine, session, &reader);
    }
    if (err == 0) {
        err = session_load_replies(session, &reader);
    }
    return err != 0 ? err : row_end(&reader);
}
