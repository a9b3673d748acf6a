/* How a connection begins: the greeting, Start, and what the client says about itself. */

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "rpc/amqp/amqp_session_private.h"

/* ---- What the server says about itself ---- */

static const char *const capabilities[] = {
    "publisher_confirms",           "exchange_exchange_bindings", "basic.nack",
    "consumer_cancel_notify",       "connection.blocked",         "consumer_priorities",
    "authentication_failure_close", "per_consumer_qos",           "direct_reply_to",
};

struct property {
    Holdfast__Header header;
    Holdfast__Value value;
};

static void property_set(struct property *property, const char *name, const char *text)
{
    holdfast__header__init(&property->header);
    holdfast__value__init(&property->value);
    property->header.name = (char *)(uintptr_t)name;
    property->header.value = &property->value;
    if (text == NULL) {
        property->value.kind_case = HOLDFAST__VALUE__KIND_BOOLEAN;
        property->value.boolean = true;
        return;
    }
    property->value.kind_case = HOLDFAST__VALUE__KIND_STRING;
    property->value.string = (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)text, .len = strlen(text)};
}

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

/* Appends the table with its length. */
static int server_properties(const struct gateway_status *status, struct bytes *bytes)
{
    const char *const texts[][2] = {
        {"product", "Holdfast"},
        {"version", or_empty(status->version)},
        {"platform", "C"},
        {"copyright", "The authors of Holdfast"},
        {"information", "Licensed under the Apache License 2.0"},
        {"cluster_name", or_empty(status->cluster)},
    };
    struct property flags[ARRAY_LEN(capabilities)];
    Holdfast__Header *flag_entries[ARRAY_LEN(capabilities)];
    struct property properties[ARRAY_LEN(texts) + 1];
    Holdfast__Header *entries[ARRAY_LEN(properties)];
    for (size_t i = 0; i < ARRAY_LEN(capabilities); i++) {
        property_set(&flags[i], capabilities[i], NULL);
        flag_entries[i] = &flags[i].header;
    }
    Holdfast__Table table = HOLDFAST__TABLE__INIT;
    table.entry = flag_entries;
    table.n_entry = ARRAY_LEN(flag_entries);
    property_set(&properties[0], "capabilities", NULL);
    properties[0].value.kind_case = HOLDFAST__VALUE__KIND_TABLE;
    properties[0].value.table = &table;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        property_set(&properties[i + 1], texts[i][0], texts[i][1]);
    }
    for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
        entries[i] = &properties[i].header;
    }
    return amqp_table_encode(entries, ARRAY_LEN(entries), bytes);
}

void amqp_take_greeting(struct amqp_session *session)
{
    struct gateway_status status = {0};
    session->gateway->ops->status(session->gateway, &status);
    struct bytes table = {0};
    int err = server_properties(&status, &table);
    if (err != 0) {
        bytes_done(&table);
        amqp_session_fail(session, err);
        return;
    }
    const size_t length = sizeof(uint32_t); /* That the encoder of methods writes itself. */
    union amqp_method start = {.connection_start = {.id = AMQP_connection_start,
                                                    .version_major = 0,
                                                    .version_minor = 9,
                                                    .server_properties = {table.data + length, table.len - length},
                                                    .mechanisms = amqp_text("AMQPLAIN PLAIN"),
                                                    .locales = amqp_text("en_US")}};
    session->state = AMQP_STARTING;
    amqp_send(session, 0, &start);
    bytes_done(&table);
}

void amqp_session_broken(struct amqp_session *session, const char *detail)
{
    if (session->state == AMQP_NEW) {
        journal_info(session->journal, "amqp", "%s: closed: %s", session->peer_name, detail);
        if (amqp_out_raw(&session->out, AMQP_GREETING, AMQP_GREETING_LEN) == 0) {
            amqp_session_over(session);
        }
        return;
    }
    amqp_connection_error(session, AMQP_FRAME_ERROR, 0, "%s", detail);
    amqp_session_over(session); /* There is no way to find where its Close-Ok would begin. */
}

/* ---- What the client says about itself ---- */

/* A text for people: cut to what a name may have, between two characters. NULL: there is none. */
static char *text_of(const struct amqp_headers *properties, const char *name)
{
    const Holdfast__Value *value = amqp_headers_find(properties, name);
    if (value == NULL || value->kind_case != HOLDFAST__VALUE__KIND_STRING || value->string.len == 0) {
        return NULL;
    }
    size_t len = value->string.len < NAME_LEN_MAX ? value->string.len : NAME_LEN_MAX;
    while (len > 0 && len == NAME_LEN_MAX && !bytes_are_utf8(value->string.data, len)) {
        len--;
    }
    if (name_check(value->string.data, len) != 0) {
        return NULL;
    }
    return strndup((const char *)value->string.data, len);
}

static bool is_true(const Holdfast__Table *table, const char *name)
{
    const struct amqp_headers headers = {.entries = table->entry, .len = table->n_entry};
    const Holdfast__Value *value = amqp_headers_find(&headers, name);
    return value != NULL && value->kind_case == HOLDFAST__VALUE__KIND_BOOLEAN && value->boolean;
}

int amqp_client_note(struct amqp_session *session, struct amqp_bytes client_properties)
{
    struct amqp_headers properties;
    int err = amqp_table_decode(client_properties, &session->arena, &properties);
    if (err != 0) {
        return err;
    }
    const Holdfast__Value *value = amqp_headers_find(&properties, "capabilities");
    if (value != NULL && value->kind_case == HOLDFAST__VALUE__KIND_TABLE) {
        session->cancel_notify = is_true(value->table, "consumer_cancel_notify");
        session->blocked_notify = is_true(value->table, "connection.blocked");
        session->close_on_failed_login = is_true(value->table, "authentication_failure_close");
    }
    session->client = text_of(&properties, "connection_name");
    if (session->client == NULL) {
        session->client = text_of(&properties, "product");
    }
    if (session->client == NULL) {
        session->client = strdup("AMQP");
    }
    return session->client != NULL ? 0 : ERR_NOMEM;
}
