/* Virtual hosts, who is in them, and what they may have. */

#include "host_fixture.h"

struct effect_reply host_create(struct fixture *fixture, struct client *client, const char *host)
{
    Holdfast__CreateVirtualHost create = HOLDFAST__CREATE_VIRTUAL_HOST__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    create.virtual_host = (char *)(uintptr_t)host;
    command.kind_case = HOLDFAST__COMMAND__KIND_CREATE_VIRTUAL_HOST;
    command.create_virtual_host = &create;
    return client_command(fixture, client, &command, NULL, 0);
}

struct effect_reply host_delete(struct fixture *fixture, struct client *client, const char *host, bool force)
{
    Holdfast__DeleteVirtualHost delete = HOLDFAST__DELETE_VIRTUAL_HOST__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    delete.virtual_host = (char *)(uintptr_t)host;
    delete.force = force;
    command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_VIRTUAL_HOST;
    command.delete_virtual_host = &delete;
    return client_command(fixture, client, &command, NULL, 0);
}

struct effect_reply host_attach(struct fixture *fixture, struct client *client, uint8_t key, const char *host,
                                const char *user)
{
    uint8_t bytes[16] = {key};
    Holdfast__AttachSession attach = HOLDFAST__ATTACH_SESSION__INIT;
    Holdfast__Origin origin = HOLDFAST__ORIGIN__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    attach.key = (ProtobufCBinaryData){.len = sizeof bytes, .data = bytes};
    attach.virtual_host = (char *)(uintptr_t)host;
    attach.user = (char *)(uintptr_t)user;
    origin.node = NODE;
    origin.run = RUN;
    origin.tag = ++fixture->tag;
    attach.origin = &origin;
    command.kind_case = HOLDFAST__COMMAND__KIND_ATTACH_SESSION;
    command.attach_session = &attach;
    struct effect_reply reply = fixture_command(fixture, &(struct entry_command){0}, &command, NULL, 0);
    if (reply.error == 0) {
        *client = (struct client){
            .session = reply.attach_session, .attachment = reply.attach_attachment, .number = reply.last_number};
    }
    return reply;
}

struct effect_reply host_limit(struct fixture *fixture, struct client *client, const char *host, const char *user,
                               uint32_t what, uint64_t value)
{
    Holdfast__Limit limit = HOLDFAST__LIMIT__INIT;
    Holdfast__Limits limits = HOLDFAST__LIMITS__INIT;
    Holdfast__SetLimits set = HOLDFAST__SET_LIMITS__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    limit.what = (Holdfast__Limit__What)what;
    limit.value = value;
    limits.limit = (Holdfast__Limit *[]){&limit};
    limits.n_limit = value != HOST_UNLIMITED;
    set.virtual_host = (char *)(uintptr_t)host;
    set.user = (char *)(uintptr_t)user;
    set.limits = &limits;
    command.kind_case = HOLDFAST__COMMAND__KIND_SET_LIMITS;
    command.set_limits = &set;
    return client_command(fixture, client, &command, NULL, 0);
}
