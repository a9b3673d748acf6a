/* How a native session begins: HELLO and ATTACH. */

#include <stdlib.h>
#include <string.h>

#include "rpc/native/native_limit.h"
#include "rpc/native/native_session_private.h"

/* What a client calls itself is shown to people; the rest of a longer name is cut. */
#define CLIENT_NAME_LEN_MAX NAME_LEN_MAX

/* Who leads, as far as this node knows; the address is never NULL. */
static struct gateway_leader leader_known(struct native_session *session)
{
    struct gateway_leader leader = {.node = 0, .address = ""};
    if (session->gateway->ops->leader(session->gateway, &leader) != 0 || leader.address == NULL) {
        leader.address = "";
    }
    return leader;
}

/* A name for people: a long one is cut, between two characters. */
static char *client_name(const char *name)
{
    char *cut = strndup(name, CLIENT_NAME_LEN_MAX);
    if (cut != NULL) {
        size_t len = strlen(cut);
        while (!bytes_are_utf8(cut, len)) {
            cut[--len] = '\0';
        }
    }
    return cut;
}

void session_take_hello(struct native_session *session, const struct frame *frame)
{
    const Holdfast__Hello *hello = session_unpack(session, frame, &holdfast__hello__descriptor);
    if (hello == NULL) {
        return;
    }
    if (!bytes_are_utf8(hello->client, strlen(hello->client))) {
        session_goodbye(session, ERR_BROKEN, NULL, "Hello: the name of the client is not UTF-8");
        return;
    }
    session->outbox.heads = hello->heads;
    session->client = client_name(hello->client);
    if (session->client == NULL) {
        session_goodbye(session, ERR_NOMEM, NULL, "Hello: %s", err_text(ERR_NOMEM));
        return;
    }
    struct gateway_status status = {0};
    session->gateway->ops->status(session->gateway, &status);
    struct gateway_leader leader = leader_known(session);
    Holdfast__Welcome welcome = HOLDFAST__WELCOME__INIT;
    char product[] = "Holdfast";
    welcome.product = product;
    welcome.version = (char *)(uintptr_t)(status.version != NULL ? status.version : "");
    welcome.cluster = (char *)(uintptr_t)(status.cluster != NULL ? status.cluster : "");
    welcome.node = status.node;
    welcome.leader = leader.node;
    welcome.leader_address = (char *)(uintptr_t)leader.address;
    welcome.body_len_max = native_limit_of(session->gateway->body_len_max);
    welcome.checks_version = true;
    session->state = SESSION_GREETED;
    session_check_sent(session, session_send(session, FRAME_WELCOME, &welcome.base));
}

/* What in an ATTACH is wrong, or NULL. */
static const char *attach_fault(const Holdfast__Attach *attach)
{
    if (attach->key.len != sizeof((struct gateway_attach *)0)->key) {
        return "the key is not 16 bytes";
    }
    size_t host_len = strlen(attach->virtual_host);
    if (host_len > 0 && name_check(attach->virtual_host, host_len) != 0) {
        return "the virtual host is not a name";
    }
    size_t user_len = strlen(attach->user);
    if (user_len > 0 && name_check(attach->user, user_len) != 0) {
        return "the user is not a name";
    }
    if (attach->n_consumer != attach->n_seen || attach->n_consumer > SESSION_CONSUMERS_MAX) {
        return "the lists of consumers and of numbers seen differ in length, or are too long";
    }
    return NULL;
}

void session_take_attach(struct native_session *session, const struct frame *frame)
{
    const Holdfast__Attach *attach = session_unpack(session, frame, &holdfast__attach__descriptor);
    if (attach == NULL) {
        return;
    }
    const char *fault = attach_fault(attach);
    if (fault != NULL) {
        session_goodbye(session, ERR_BROKEN, NULL, "Attach: %s", fault);
        return;
    }
    struct gateway_attach request = {
        .resume = attach->resume,
        .virtual_host = attach->virtual_host,
        .client = session->client,
        .user = attach->user,
        .lease_ms = attach->lease_ms,
        .attempt = attach->attempt,
        .consumers = attach->consumer,
        .seen = attach->seen,
        .consumers_len = attach->n_consumer,
    };
    memcpy(request.key, attach->key.data, sizeof request.key);
    struct gateway_sink sink = session_sink(session);
    struct gateway_link *link;
    int err = session->gateway->ops->attach(session->gateway, &request, &sink, &link);
    free(session->client);
    session->client = NULL;
    if (err != 0) {
        struct gateway_leader leader = leader_known(session);
        session_goodbye(session, err, &leader, "Attach: %s", err_text(err));
        return;
    }
    session->link = link;
    session->state = SESSION_ATTACHING;
    if (session->congested) {
        session->gateway->ops->pause(link, true);
    }
}
