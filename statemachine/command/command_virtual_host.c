/* Commands about virtual hosts, and limits of theirs and of users. */

#include <string.h>

#include "statemachine/command/command.h"

#include "proto/base/fault.h"

static bool host_check_name(const char *name, struct reply *reply)
{
    int err = name_check(name, strlen(name));
    if (err != 0) {
        reply_fail(reply, err, DETAIL_VHOST_NAME);
    }
    return err == 0;
}

static bool note_fits(const char *note)
{
    size_t len = strlen(note);
    return len <= NAME_LEN_MAX && bytes_are_utf8(note, len);
}

int command_create_virtual_host(struct machine *machine, const Holdfast__CreateVirtualHost *create, struct reply *reply)
{
    if (!host_check_name(create->virtual_host, reply) || virtual_host_by_name(machine, create->virtual_host) != NULL) {
        return 0;
    }
    if (!note_fits(create->note)) {
        reply_fail(reply, ERR_INVALID, DETAIL_NOTE);
        return 0;
    }
    if (HASH_CNT(by_id, machine->virtual_hosts.by_id) >= VIRTUAL_HOSTS_MAX) {
        reply_fail(reply, ERR_LIMIT, DETAIL_VHOSTS);
        return 0;
    }
    struct virtual_host *host;
    int err = virtual_host_new(machine, create->virtual_host, &host);
    if (err != 0) {
        return err;
    }
    memcpy(host->note, create->note, strlen(create->note));
    return virtual_host_put(machine, host);
}

/* The session that asks, if it is in there, ends when it has its reply: see session_apply(). */
int command_delete_virtual_host(struct machine *machine, struct session *session,
                                const Holdfast__DeleteVirtualHost *delete, struct reply *reply)
{
    struct virtual_host *host =
        delete->virtual_host[0] != 0 ? virtual_host_by_name(machine, delete->virtual_host) : NULL;
    if (host == NULL) {
        reply_fail(reply, ERR_NOT_FOUND, DETAIL_VHOST);
    } else if (host->id == VIRTUAL_HOST_ROOT) {
        reply_fail(reply, ERR_REFUSED, DETAIL_VHOST_ROOT);
    } else if (host->counts[LIMIT_SESSIONS] > 0 && !delete->force && !fault_fires(FAULT_SKIP_HOST_SESSIONS)) {
        reply_fail(reply, ERR_REFUSED, DETAIL_VHOST_SESSIONS);
    } else if (host->protected_len > 0 && !delete->force) {
        reply_fail(reply, ERR_REFUSED, DETAIL_VHOST_PROTECTED);
    }
    return reply->error != 0 ? 0 : virtual_host_delete(machine, host, session);
}

static int set_user_limits(struct machine *machine, const Holdfast__SetLimits *set, const struct limits *limits,
                           struct reply *reply)
{
    int err = name_check(set->user, strlen(set->user));
    if (err != 0) {
        reply_fail(reply, err, DETAIL_USER_NAME);
        return 0;
    }
    struct user *user = user_by_name(machine, set->user);
    bool is_more = !limits_are_none(limits) && (user == NULL || limits_are_none(&user->limits));
    if (is_more && machine->virtual_hosts.users_with_limits >= USERS_MAX) {
        reply_fail(reply, ERR_LIMIT, DETAIL_USERS);
        return 0;
    }
    err = user_ensure(machine, set->user, &user);
    if (err == 0) {
        err = user_set_limits(machine, user, limits);
    }
    if (err == 0) {
        user_let_go(machine, user);
    }
    return err;
}

int command_set_limits(struct machine *machine, const Holdfast__SetLimits *set, struct reply *reply)
{
    struct limits limits;
    bool of_user = set->user[0] != 0;
    if (of_user == (set->virtual_host[0] != 0) || limits_read(set->limits, of_user, &limits) != 0) {
        reply_fail(reply, ERR_INVALID, DETAIL_LIMITS);
        return 0;
    }
    if (of_user) {
        return set_user_limits(machine, set, &limits, reply);
    }
    struct virtual_host *host = virtual_host_by_name(machine, set->virtual_host);
    if (host == NULL) {
        reply_fail(reply, ERR_NOT_FOUND, DETAIL_VHOST);
        return 0;
    }
    host->limits = limits;
    return fault_fires(FAULT_SKIP_LIMITS_ROW) ? 0 : virtual_host_put(machine, host);
}
