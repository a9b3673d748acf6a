/* Commands about sessions, issued by nodes: attach, expire; and the version of the rules. */

#include <string.h>

#include "statemachine/command.h"

static uint32_t lease_clamp(uint32_t lease_ms)
{
    if (lease_ms == 0) {
        return LEASE_MS_DEFAULT;
    }
    if (lease_ms < LEASE_MS_MIN) {
        return LEASE_MS_MIN;
    }
    return lease_ms > LEASE_MS_MAX ? LEASE_MS_MAX : lease_ms;
}

/* The client's name is for people; an empty one is fine. */
static bool client_name_fits(const char *client)
{
    size_t len = strlen(client);
    return len == 0 || name_check(client, len) == 0;
}

static bool attach_check(const struct machine *machine, const Holdfast__AttachSession *attach,
                         const struct session *session, struct reply *reply)
{
    if (strcmp(attach->virtual_host, "") != 0 && strcmp(attach->virtual_host, "/") != 0) {
        reply_fail(reply, ERR_NOT_FOUND, DETAIL_VHOST);
    } else if (!client_name_fits(attach->client)) {
        reply_fail(reply, ERR_NAME, DETAIL_CLIENT_NAME);
    } else if (session == NULL && attach->resume) {
        reply_fail(reply, ERR_SESSION_EXPIRED, DETAIL_SESSION);
    } else if (session == NULL && HASH_CNT(by_id, machine->sessions) >= SESSIONS_MAX) {
        reply_fail(reply, ERR_LIMIT, DETAIL_SESSIONS);
    }
    return reply->error == 0;
}

int command_attach_session(struct machine *machine, const Holdfast__AttachSession *attach, struct reply *reply)
{
    if (attach->key.len != SESSION_KEY_LEN) {
        reply_fail(reply, ERR_INVALID, DETAIL_KEY);
        return 0;
    }
    struct session *session = session_by_key(machine, attach->key.data);
    if (!attach_check(machine, attach, session, reply)) {
        return 0;
    }
    if (session == NULL) {
        int err = session_new(machine, machine->next_session, attach->key.data, &session);
        if (err != 0) {
            return err;
        }
        machine->next_session++;
    }
    session->attachment++;
    session->lease_ms = lease_clamp(attach->lease_ms);
    memcpy(session->virtual_host, "/", sizeof "/");
    memcpy(session->client, attach->client, strlen(attach->client) + 1);
    session_changed(machine, session);
    reply->attach_session = session->id;
    reply->attachment = session->attachment;
    reply->last_number = session->replies.last;
    return 0;
}

int command_expire_session(struct machine *machine, const Holdfast__ExpireSession *expire, struct reply *reply)
{
    struct session *session = session_by_id(machine, expire->session);
    if (session == NULL) {
        reply_fail(reply, ERR_NOT_FOUND, DETAIL_SESSION);
        return 0;
    }
    if (session->attachment != expire->attachment) {
        reply_fail(reply, ERR_DISPLACED, DETAIL_ATTACHMENT);
        return 0;
    }
    return state_end_session(machine, session);
}

int command_raise_version(struct machine *machine, const Holdfast__RaiseVersion *raise, struct reply *reply)
{
    if (raise->version == 0) {
        reply_fail(reply, ERR_INVALID, DETAIL_VERSION_ZERO);
    } else if (raise->version > machine->version) {
        machine->version = raise->version;
    }
    return 0;
}
