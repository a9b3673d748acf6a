/* The commands that nodes put into the log: attachments and their end, and who is present. */

#include <string.h>

#include "node/core/gateway.h"
#include "proto/base/check.h"
#include "proto/wire/command.pb-c.h"

/* Three fixed-width or varint integers of the command, and three of its origin, with their tags. */
#define FAREWELL_LEN_MAX 96u

/* Command{refused{error: NO_SPACE}}. */
static const uint8_t refused_header[] = {0x7a, 2, 0x08, (uint8_t)-ERR_NO_SPACE};

struct slice gateway_refused_header(void)
{
    return (struct slice){.data = refused_header, .len = sizeof refused_header};
}

static Holdfast__Origin gateway_origin(const struct gateway_core *core, uint64_t tag)
{
    Holdfast__Origin origin = HOLDFAST__ORIGIN__INIT;
    origin.node = core->node;
    origin.run = core->run;
    origin.tag = tag;
    return origin;
}

static int gateway_pack(const Holdfast__Command *message, struct slice *ret_header)
{
    struct blob *blob = blob_new(holdfast__command__get_packed_size(message));
    if (blob == NULL) {
        return ERR_NOMEM;
    }
    (void)holdfast__command__pack(message, blob->data);
    *ret_header = slice_of_blob(blob);
    return 0;
}

int gateway_attach_command(struct gateway_core *core, const struct gateway_attach *attach, uint64_t tag,
                           struct outgoing_command **ret_command)
{
    /* Packing reads the strings and the key only; the generated struct has no const in it. */
    Holdfast__AttachSession body = HOLDFAST__ATTACH_SESSION__INIT;
    Holdfast__Origin origin = gateway_origin(core, tag);
    body.key = (ProtobufCBinaryData){.len = sizeof attach->key, .data = (uint8_t *)(uintptr_t)attach->key};
    body.resume = attach->resume;
    body.virtual_host = (char *)(uintptr_t)(attach->virtual_host == NULL ? "" : attach->virtual_host);
    body.client = (char *)(uintptr_t)(attach->client == NULL ? "" : attach->client);
    body.user = (char *)(uintptr_t)(attach->user == NULL ? "" : attach->user);
    body.lease_ms = attach->lease_ms;
    body.attempt = attach->attempt;
    body.origin = &origin;
    Holdfast__Command message = HOLDFAST__COMMAND__INIT;
    message.kind_case = HOLDFAST__COMMAND__KIND_ATTACH_SESSION;
    message.attach_session = &body;
    struct entry_command command = {0};
    int err = gateway_pack(&message, &command.header);
    if (err != 0) {
        return err;
    }
    struct outgoing_command *made = outgoing_command_new(&command);
    slice_unref(&command.header);
    if (made == NULL) {
        return ERR_NOMEM;
    }
    made->tag = tag;
    *ret_command = made;
    return 0;
}

int gateway_farewell_new(struct outgoing_command **ret_command)
{
    struct blob *blob = blob_new(FAREWELL_LEN_MAX);
    if (blob == NULL) {
        return ERR_NOMEM;
    }
    struct entry_command command = {.header = slice_of_blob(blob)};
    struct outgoing_command *made = outgoing_command_new(&command);
    blob_unref(blob);
    if (made == NULL) {
        return ERR_NOMEM;
    }
    *ret_command = made;
    return 0;
}

void gateway_farewell_fill(struct gateway_core *core, struct outgoing_command *command, uint64_t session,
                           uint64_t attachment, uint64_t tag)
{
    Holdfast__DetachSession body = HOLDFAST__DETACH_SESSION__INIT;
    Holdfast__Origin origin = gateway_origin(core, tag);
    body.session = session;
    body.attachment = attachment;
    body.origin = &origin;
    Holdfast__Command message = HOLDFAST__COMMAND__INIT;
    message.kind_case = HOLDFAST__COMMAND__KIND_DETACH_SESSION;
    message.detach_session = &body;
    struct slice *header = &command->command.header;
    CHECK(holdfast__command__get_packed_size(&message) <= header->blob->len);
    header->len = holdfast__command__pack(&message, header->blob->data);
    command->tag = tag;
}

static int gateway_push(struct gateway_core *core, const Holdfast__Command *message)
{
    struct entry_command command = {0};
    int err = gateway_pack(message, &command.header);
    if (err == 0) {
        err = gateway_batch_push(core, &command);
        slice_unref(&command.header);
    }
    return err;
}

int gateway_push_node_present(struct gateway_core *core, uint64_t node, uint64_t run)
{
    Holdfast__NodePresent body = HOLDFAST__NODE_PRESENT__INIT;
    body.node = node;
    body.run = run;
    Holdfast__Command message = HOLDFAST__COMMAND__INIT;
    message.kind_case = HOLDFAST__COMMAND__KIND_NODE_PRESENT;
    message.node_present = &body;
    return gateway_push(core, &message);
}

int gateway_push_raise_version(struct gateway_core *core, uint32_t version)
{
    Holdfast__RaiseVersion body = HOLDFAST__RAISE_VERSION__INIT;
    body.version = version;
    Holdfast__Command message = HOLDFAST__COMMAND__INIT;
    message.kind_case = HOLDFAST__COMMAND__KIND_RAISE_VERSION;
    message.raise_version = &body;
    return gateway_push(core, &message);
}

int gateway_push_node_lost(struct gateway_core *core, uint64_t node, uint64_t run)
{
    Holdfast__NodeLost body = HOLDFAST__NODE_LOST__INIT;
    body.node = node;
    body.run = run;
    Holdfast__Command message = HOLDFAST__COMMAND__INIT;
    message.kind_case = HOLDFAST__COMMAND__KIND_NODE_LOST;
    message.node_lost = &body;
    return gateway_push(core, &message);
}
