/* Commands about sessions, issued by nodes: attach, detach; and the version of the rules. */

#include <string.h>

#include "proto/base/fault.h"
#include "statemachine/command/command.h"

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

/* The virtual host that a client names; NULL: there is none of that name. Under version 1 there is but one. */
static struct virtual_host *attach_host(const struct machine *machine, const Holdfast__AttachSession *attach)
{
    const char *name = attach->virtual_host;
    bool is_root = name[0] == 0 || strcmp(name, "/") == 0;
    return machine->version >= 2 || is_root ? virtual_host_by_name(machine, name) : NULL;
}

/* Who is asking, and whether there may be one session more. */
static bool attach_check_host(struct machine *machine, const Holdfast__AttachSession *attach,
                              const struct virtual_host *host, const struct session *session, struct reply *reply)
{
    size_t user_len = strlen(attach->user);
    const struct user *user = user_by_name(machine, attach->user);
    if (user_len > 0 && name_check(attach->user, user_len) != 0) {
        reply_fail(reply, ERR_NAME, DETAIL_USER_NAME);
    } else if (session != NULL && session->virtual_host_id != host->id) {
        reply_fail(reply, ERR_EXISTS, DETAIL_SESSION_VHOST);
    } else if (session == NULL && !virtual_host_has_room(machine, host->id, LIMIT_SESSIONS)) {
        reply_fail(reply, ERR_LIMIT, DETAIL_LIMIT_SESSIONS);
    } else if ((session == NULL || session->user != user) && !user_has_room(user, LIMIT_SESSIONS)) {
        reply_fail(reply, ERR_LIMIT, DETAIL_LIMIT_USER_SESSIONS);
    }
    return reply->error == 0;
}

static bool attach_check(struct machine *machine, const Holdfast__AttachSession *attach,
                         const struct virtual_host *host, const struct session *session, struct reply *reply)
{
    if (host == NULL) {
        reply_fail(reply, ERR_NOT_FOUND, DETAIL_VHOST);
    } else if (!client_name_fits(attach->client)) {
        reply_fail(reply, ERR_NAME, DETAIL_CLIENT_NAME);
    } else if (session == NULL && attach->resume) {
        reply_fail(reply, ERR_SESSION_EXPIRED, DETAIL_SESSION);
    } else if (session == NULL && HASH_CNT(by_id, machine->sessions) >= machine->sessions_max) {
        reply_fail(reply, ERR_LIMIT, DETAIL_SESSIONS);
    } else if (machine->version >= 2) {
        attach_check_host(machine, attach, host, session, reply);
    }
    return reply->error == 0;
}

static bool origin_is_same(const struct origin *origin, const Holdfast__Origin *other)
{
    return origin->node == other->node && origin->run == other->run && origin->tag == other->tag;
}

static int attach_carry_out(struct machine *machine, const Holdfast__AttachSession *attach, struct presence *place,
                            struct session *session)
{
    int err = session_set_client(session, attach->client);
    if (err == 0 && machine->version >= 2) {
        err = session_set_user(machine, session, attach->user);
    }
    if (err != 0) {
        return err;
    }
    session->attachment++;
    session->attempt = attach->attempt > session->attempt ? attach->attempt : session->attempt;
    session->origin =
        (struct origin){.node = attach->origin->node, .run = attach->origin->run, .tag = attach->origin->tag};
    session->lease_ms = lease_clamp(attach->lease_ms);
    session_attach(machine, session, place);
    return 0;
}

/* An attachment that arrives once more is known by its origin, of which the tag is another one each time. It is answered
 * the same even if the session has been detached meanwhile: whoever sends again does not have the connection any more.
 */
static int attach_apply(struct machine *machine, const Holdfast__AttachSession *attach, struct presence *place,
                        struct session *session, struct reply *reply)
{
    bool again = origin_is_same(&session->origin, attach->origin);
    bool overtaken = attach->attempt != 0 && attach->attempt < session->attempt;
    if (!again && overtaken && !fault_fires(FAULT_SKIP_ATTEMPT_CHECK)) {
        reply_fail(reply, ERR_DISPLACED, DETAIL_OVERTAKEN);
        return 0;
    }
    int err = again ? 0 : attach_carry_out(machine, attach, place, session);
    reply->attach_session = session->id;
    reply->attach_attachment = session->attachment;
    reply->last_number = session->replies.last;
    return err;
}

int command_attach_session(struct machine *machine, const Holdfast__AttachSession *attach, struct reply *reply)
{
    if (attach->key.len != SESSION_KEY_LEN) {
        reply_fail(reply, ERR_INVALID, DETAIL_KEY);
        return 0;
    }
    const Holdfast__Origin *origin = attach->origin;
    struct presence *place = origin != NULL ? presence_of_run(machine, origin->node, origin->run) : NULL;
    if (place == NULL) {
        reply_fail(reply, ERR_UNAVAILABLE, DETAIL_NODE_ABSENT);
        return 0;
    }
    struct session *session = session_by_key(machine, attach->key.data);
    const struct virtual_host *host = attach_host(machine, attach);
    if (session != NULL && session_is_ending(machine, session)) { /* With its virtual host: its key is free. */
        session_ends(machine, session, SESSION_END_HOST_DELETED);
        session = NULL;
    }
    if (!attach_check(machine, attach, host, session, reply)) {
        return 0;
    }
    if (session == NULL) {
        int err = session_new(machine, machine->next_session, attach->key.data, &session);
        if (err != 0) {
            return err;
        }
        machine->next_session++;
        session_set_virtual_host(machine, session, host->id);
    }
    return attach_apply(machine, attach, place, session, reply);
}

/* Of an attachment that is over already there is nothing to detach, and its lease does not start again. */
int command_detach_session(struct machine *machine, const Holdfast__DetachSession *detach, struct reply *reply)
{
    struct session *session = session_by_id(machine, detach->session);
    if (session == NULL || session->attachment != detach->attachment) {
        reply_fail(reply, ERR_STALE, DETAIL_DETACHED);
        return 0;
    }
    session_detach(machine, session);
    return 0;
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
