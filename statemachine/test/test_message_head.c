/* What the machine reads of a message's head. */

#include <criterion/criterion.h>
#include <string.h>

#include "proto/base/bytes.h"
#include "proto/wire/message.pb-c.h"
#include "statemachine/message/message_head.h"

/* The caller frees it. */
static struct bytes encode(const Holdfast__MessageHead *head)
{
    struct bytes bytes = {0};
    size_t len = holdfast__message_head__get_packed_size(head);
    cr_assert_eq(bytes_reserve(&bytes, len), 0);
    bytes.len = holdfast__message_head__pack(head, bytes.data);
    return bytes;
}

static int read_bytes(const void *data, size_t len, struct head_facts *facts)
{
    return head_read((struct slice){.data = data, .len = len}, facts);
}

static bool is(struct slice slice, const char *text)
{
    return slice.len == strlen(text) && memcmp(slice.data, text, slice.len) == 0;
}

Test(message_head, all_that_the_machine_needs_is_read)
{
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.exchange = (char[]){"x"};
    head.routing_key = (char[]){"a.b"};
    head.n_also_key = 2;
    head.also_key = (char *[]){(char[]){"cc"}, (char[]){""}};
    head.n_hidden_key = 1;
    head.hidden_key = (char *[]){(char[]){"bcc"}};
    head.priority = 7;
    head.ttl_ms = 5;
    head.has_ttl = true;
    head.delay_ms = 9;
    head.deliver_at_ms = 11;
    head.group = (char[]){"g"};
    head.message_id = (char[]){"id"};
    head.mandatory = true;
    head.content_type = (char[]){"text/plain"};
    struct bytes bytes = encode(&head);
    struct head_facts facts;
    cr_assert_eq(read_bytes(bytes.data, bytes.len, &facts), 0);
    cr_assert(is(facts.exchange, "x"));
    cr_assert(is(facts.routing_key, "a.b"));
    cr_assert_eq(facts.further_keys_len, 3u);
    const char *expected[] = {"cc", "", "bcc"};
    struct slice key;
    size_t at = 0;
    for (size_t i = 0; i < 3; i++) {
        cr_assert(head_next_key(facts.head, &at, &key));
        cr_assert(is(key, expected[i]));
    }
    cr_assert_not(head_next_key(facts.head, &at, &key));
    cr_assert_eq(facts.priority, 7u);
    cr_assert(facts.has_ttl);
    cr_assert_eq(facts.ttl_ms, 5u);
    cr_assert_eq(facts.delay_ms, 9u);
    cr_assert_eq(facts.deliver_at_ms, 11u);
    cr_assert_neq(facts.group, 0u);
    cr_assert_not(id_hash_is_none(facts.id));
    cr_assert(facts.mandatory);
    cr_assert_eq(facts.headers_len, 0u);
    bytes_done(&bytes);
}

Test(message_head, an_empty_one_has_no_facts)
{
    struct head_facts facts;
    cr_assert_eq(read_bytes(NULL, 0, &facts), 0);
    cr_assert_eq(facts.exchange.len + facts.routing_key.len + facts.further_keys_len + facts.priority, 0u);
    cr_assert_eq(facts.group, 0u);
    cr_assert(id_hash_is_none(facts.id));
    cr_assert_eq(head_delay_ms(&facts, 5), 0u);
    cr_assert_eq(head_expires_ms(&facts, false, UINT64_MAX, 5), 0u);
}

Test(message_head, what_cannot_be_decoded_is_malformed)
{
    static const struct {
        const char *data;
        size_t len;
        const char *why;
    } bad[] = {
        {"\x0a\x05x", 3, "cut short"},
        {"\x0a\x03x\0y", 5, "a zero byte in a string"},
        {"\x08\x01", 2, "a string as a number"},
        {"\x2a\x01x", 3, "a number as a string"},
        {"\x03", 1, "a group"},
        {"\x02\x00", 2, "field 0"},
        {"\x12\x01\xff", 3, "a key that is not UTF-8"},
        {"\x1a\x01\xff", 3, "likewise a further one"},
        {"\x6a\x02\x0a\x05", 4, "a header cut short"},
        {"\x28", 1, "no value"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct head_facts facts;
        cr_assert_eq(read_bytes(bad[i].data, bad[i].len, &facts), ERR_INVALID, "%s", bad[i].why);
    }
}

Test(message_head, limits_hold)
{
    char key[ROUTING_KEY_LEN_MAX + 2] = {0};
    memset(key, 'k', ROUTING_KEY_LEN_MAX);
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    struct head_facts facts;
    head.routing_key = key;
    struct bytes bytes = encode(&head);
    cr_assert_eq(read_bytes(bytes.data, bytes.len, &facts), 0);
    bytes_done(&bytes);
    key[ROUTING_KEY_LEN_MAX] = 'k';
    bytes = encode(&head);
    cr_assert_eq(read_bytes(bytes.data, bytes.len, &facts), ERR_INVALID);
    bytes_done(&bytes);

    char one[] = "k";
    char *keys[FURTHER_KEYS_MAX + 1];
    for (size_t i = 0; i <= FURTHER_KEYS_MAX; i++) {
        keys[i] = one;
    }
    head.routing_key = (char[]){""};
    head.also_key = keys;
    head.n_also_key = FURTHER_KEYS_MAX;
    bytes = encode(&head);
    cr_assert_eq(read_bytes(bytes.data, bytes.len, &facts), 0);
    bytes_done(&bytes);
    head.n_also_key++;
    bytes = encode(&head);
    cr_assert_eq(read_bytes(bytes.data, bytes.len, &facts), ERR_INVALID);
    bytes_done(&bytes);

    head.n_also_key = 0;
    head.delay_ms = DELAY_MS_MAX;
    bytes = encode(&head);
    cr_assert_eq(read_bytes(bytes.data, bytes.len, &facts), 0);
    bytes_done(&bytes);
    head.delay_ms++;
    bytes = encode(&head);
    cr_assert_eq(read_bytes(bytes.data, bytes.len, &facts), ERR_INVALID);
    bytes_done(&bytes);

    cr_assert_eq(bytes_reserve(&bytes, MESSAGE_HEAD_LEN_MAX + 1), 0);
    memset(bytes.data, 0, MESSAGE_HEAD_LEN_MAX + 1);
    cr_assert_eq(read_bytes(bytes.data, MESSAGE_HEAD_LEN_MAX + 1, &facts), ERR_TOO_BIG);
    bytes_done(&bytes);
}

Test(message_head, the_last_of_a_field_counts_and_nested_headers_pass)
{
    Holdfast__Value inner = HOLDFAST__VALUE__INIT;
    inner.kind_case = HOLDFAST__VALUE__KIND_STRING;
    inner.string = (ProtobufCBinaryData){.len = 3, .data = (uint8_t *)(uintptr_t) "a\0b"};
    Holdfast__Value values[12];
    Holdfast__Array arrays[12];
    Holdfast__Value *items[12];
    const Holdfast__Value *value = &inner;
    for (size_t i = 0; i < 12; i++) { /* As deep as a header of RabbitMQ's about deaths, and deeper. */
        holdfast__array__init(&arrays[i]);
        holdfast__value__init(&values[i]);
        items[i] = (Holdfast__Value *)(uintptr_t)value;
        arrays[i].n_item = 1;
        arrays[i].item = &items[i];
        values[i].kind_case = HOLDFAST__VALUE__KIND_ARRAY;
        values[i].array = &arrays[i];
        value = &values[i];
    }
    Holdfast__Header header = HOLDFAST__HEADER__INIT;
    header.name = (char[]){"h"};
    header.value = &values[11];
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.header = (Holdfast__Header *[]){&header};
    head.n_header = 1;
    struct bytes bytes = encode(&head);
    struct head_facts facts;
    cr_assert_eq(read_bytes(bytes.data, bytes.len, &facts), 0);
    cr_assert_eq(facts.headers_len, 1u);
    cr_assert_eq(bytes_append(&bytes, "\x28\x05\x28\x06\x0a\x01x\x0a\x01y", 10), 0);
    cr_assert_eq(read_bytes(bytes.data, bytes.len, &facts), 0);
    cr_assert_eq(facts.priority, 6u);
    cr_assert(is(facts.exchange, "y"));
    bytes_done(&bytes);
}

Test(message_head, times_are_the_smaller_and_do_not_overflow)
{
    struct head_facts facts = {.has_ttl = true, .ttl_ms = 10};
    cr_assert_eq(head_expires_ms(&facts, false, UINT64_MAX, 100), 110u);
    cr_assert_eq(head_expires_ms(&facts, false, 5, 100), 105u);
    cr_assert_eq(head_expires_ms(&facts, false, 20, 100), 110u);
    cr_assert_eq(head_expires_ms(&facts, true, 20, 100), 120u);
    cr_assert_eq(head_expires_ms(&facts, true, UINT64_MAX, 100), 0u);
    facts.ttl_ms = 0;
    cr_assert_eq(head_expires_ms(&facts, false, 5, 0), 1u, "0 means never");
    facts.ttl_ms = UINT64_MAX - 50;
    cr_assert_eq(head_expires_ms(&facts, false, UINT64_MAX, 100), 0u);

    facts = (struct head_facts){.deliver_at_ms = 150};
    cr_assert_eq(head_delay_ms(&facts, 100), 50u);
    cr_assert_eq(head_delay_ms(&facts, 150), 0u);
    cr_assert_eq(head_delay_ms(&facts, 151), 0u);
    facts.delay_ms = 7;
    cr_assert_eq(head_delay_ms(&facts, 100), 7u);
}
