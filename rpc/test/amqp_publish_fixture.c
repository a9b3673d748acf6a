/* Publishing in tests of AMQP sessions. */

#include "amqp_publish_fixture.h"

#include <stdarg.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/check.h"

void give_message(struct amqp_fixture *f, uint16_t channel, const char *exchange, const char *key,
                  const Holdfast__MessageHead *head, const char *body)
{
    AMQP_GIVE(f, channel, basic_publish, .exchange = amqp_text(exchange), .routing_key = amqp_text(key));
    amqp_fixture_give_content(f, channel, head, body, strlen(body));
}

void give_mandatory(struct amqp_fixture *f, uint16_t channel, const char *key, const char *body)
{
    AMQP_GIVE(f, channel, basic_publish, .routing_key = amqp_text(key), .mandatory = true);
    amqp_fixture_give_content(f, channel, NULL, body, strlen(body));
}

void give_with_header(struct amqp_fixture *f, const char *name, int type, ...)
{
    Holdfast__Value value = HOLDFAST__VALUE__INIT;
    va_list list;
    va_start(list, type);
    switch (type) {
    case 'S': {
        const char *text = va_arg(list, const char *);
        value.kind_case = HOLDFAST__VALUE__KIND_STRING;
        value.string = (ProtobufCBinaryData){.len = strlen(text), .data = (uint8_t *)(uintptr_t)text};
        break;
    }
    case 'I':
        value.kind_case = HOLDFAST__VALUE__KIND_INT32;
        value.int32 = va_arg(list, int);
        break;
    case 'l':
        value.kind_case = HOLDFAST__VALUE__KIND_INT64;
        value.int64 = va_arg(list, int64_t);
        break;
    default: value.kind_case = HOLDFAST__VALUE__KIND_VOID; break;
    }
    va_end(list);
    Holdfast__Header header = HOLDFAST__HEADER__INIT;
    header.name = (char *)(uintptr_t)name;
    header.value = &value;
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.has_headers = true;
    head.header = (Holdfast__Header *[]){&header};
    head.n_header = 1;
    give_message(f, 1, "", "q", &head, "body");
}

void give_numbered(struct amqp_fixture *f, const char *producer, uint64_t sequence, const char *body)
{
    Holdfast__Value values[2] = {HOLDFAST__VALUE__INIT, HOLDFAST__VALUE__INIT};
    values[0].kind_case = HOLDFAST__VALUE__KIND_STRING;
    values[0].string = (ProtobufCBinaryData){.len = strlen(producer), .data = (uint8_t *)(uintptr_t)producer};
    if (sequence <= INT64_MAX) {
        values[1].kind_case = HOLDFAST__VALUE__KIND_INT64;
        values[1].int64 = (int64_t)sequence;
    } else {
        values[1].kind_case = HOLDFAST__VALUE__KIND_UINT64;
        values[1].uint64 = sequence;
    }
    Holdfast__Header headers[2] = {HOLDFAST__HEADER__INIT, HOLDFAST__HEADER__INIT};
    headers[0].name = (char[]){"x-holdfast-producer"};
    headers[0].value = &values[0];
    headers[1].name = (char[]){"x-holdfast-sequence"};
    headers[1].value = &values[1];
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.header = (Holdfast__Header *[]){&headers[0], &headers[1]};
    head.n_header = 2;
    head.has_headers = true;
    give_message(f, 1, "", "q", &head, body);
}

struct published published_of(struct amqp_fixture *f, const Holdfast__Publish *publish, size_t i)
{
    cr_assert_lt(i, publish->n_body_len, "%zu messages", publish->n_body_len);
    cr_assert_eq(publish->n_head_len, publish->n_body_len);
    size_t at = 0;
    for (size_t k = 0; k < i; k++) {
        at += publish->head_len[k] + publish->body_len[k];
    }
    struct slice content = slice_part(f->bodies, at, publish->head_len[i] + publish->body_len[i]);
    cr_assert_eq(publish->body_hash[i], XXH3_64bits(content.data, content.len), "the hash of message %zu", i);
    struct published published = {.body = slice_part(content, publish->head_len[i], publish->body_len[i])};
    published.head = holdfast__message_head__unpack(&f->arena.protobuf, publish->head_len[i], content.data);
    cr_assert_not_null(published.head);
    return published;
}

bool published_is(struct amqp_fixture *f, const Holdfast__Publish *publish, size_t i, const char *body)
{
    struct slice is = published_of(f, publish, i).body;
    return is.len == strlen(body) && memcmp(is.data, body, is.len) == 0;
}

const Holdfast__Publish *take_publish(struct amqp_fixture *f)
{
    return AMQP_COMMAND(f, PUBLISH)->publish;
}

void exchange_is(struct amqp_fixture *f, Holdfast__DeclareExchange *exchange, const char *name)
{
    holdfast__declare_exchange__init(exchange);
    exchange->exchange = (char *)(uintptr_t)(name == NULL ? "nothing of that name" : name);
    f->fake.exchange_is = exchange;
}

void publish_refused(struct amqp_fixture *f, const char *words)
{
    (void)AMQP_COMMAND(f, SET_CREDIT);
    amqp_fixture_nothing(f);
    cr_assert(f->held);
    AMQP_REPLY(f, .error = -ERR_NOT_FOUND);
    amqp_fixture_channel_closes(f, 1, AMQP_PRECONDITION_FAILED, AMQP_basic_publish, words);
    cr_assert_not(f->held);
}
