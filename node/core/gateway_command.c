/* The commands that the gateway itself puts into the log: attachments, and the expiry of sessions left alone. */

#include "node/core/gateway.h"
#include "proto/wire/command.pb-c.h"

static int gateway_submit(struct gateway_core *core, const Holdfast__Command *message, uint64_t link)
{
    struct blob *blob = blob_new(holdfast__command__get_packed_size(message));
    if (blob == NULL) {
        return ERR_NOMEM;
    }
    (void)holdfast__command__pack(message, blob->data);
    struct entry_command command = {.header = slice_of_blob(blob)};
    int err = batch_push(&core->batch, &command, link);
    blob_unref(blob);
    return err;
}

int gateway_submit_attach(struct gateway_core *core, const struct gateway_attach *attach, uint64_t link)
{
    /* Packing reads the strings and the key only; the generated struct has no const in it. */
    Holdfast__AttachSession body = HOLDFAST__ATTACH_SESSION__INIT;
    body.key = (ProtobufCBinaryData){.len = sizeof attach->key, .data = (uint8_t *)(uintptr_t)attach->key};
    body.resume = attach->resume;
    body.virtual_host = (char *)(uintptr_t)(attach->virtual_host == NULL ? "" : attach->virtual_host);
    body.client = (char *)(uintptr_t)(attach->client == NULL ? "" : attach->client);
    body.lease_ms = attach->lease_ms;
    Holdfast__Command message = HOLDFAST__COMMAND__INIT;
    message.kind_case = HOLDFAST__COMMAND__KIND_ATTACH_SESSION;
    message.attach_session = &body;
    return gateway_submit(core, &message, link);
}

int gateway_submit_expire(struct gateway_core *core, uint64_t session, uint64_t attachment)
{
    Holdfast__ExpireSession body = HOLDFAST__EXPIRE_SESSION__INIT;
    body.session = session;
    body.attachment = attachment;
    Holdfast__Command message = HOLDFAST__COMMAND__INIT;
    message.kind_case = HOLDFAST__COMMAND__KIND_EXPIRE_SESSION;
    message.expire_session = &body;
    return gateway_submit(core, &message, 0);
}
