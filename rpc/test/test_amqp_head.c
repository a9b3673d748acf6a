/* The head of a message that was published: what of its properties means something, and what is refused. */

#include <string.h>

#include "amqp_publish_fixture.h"
#include "proto/base/limits.h"

/* The head that becomes of these properties. */
static const Holdfast__MessageHead *head_of(struct amqp_fixture *f, const Holdfast__MessageHead *properties)
{
    give_message(f, 1, "", "q", properties, "body");
    return published_of(f, take_publish(f), 0).head;
}

static void refused(const Holdfast__MessageHead *properties, const char *words)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    give_message(&f, 1, "", "q", properties, "body");
    publish_refused(&f, words);
    amqp_fixture_no_command(&f);
    amqp_fixture_close(&f);
}

Test(amqp_head, properties_are_kept)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.content_type = (char[]){"a/b"};
    head.content_encoding = (char[]){"utf-8"};
    head.correlation_id = (char[]){"c"};
    head.reply_to = (char[]){"r"};
    head.message_id = (char[]){"m"};
    head.type = (char[]){"t"};
    head.user_id = (char[]){"guest"};
    head.app_id = (char[]){"a"};
    head.wire_priority = 7;
    head.delivery_mode = 1;
    const Holdfast__MessageHead *is = head_of(&f, &head);
    cr_assert_str_eq(is->content_type, "a/b");
    cr_assert_str_eq(is->content_encoding, "utf-8");
    cr_assert_str_eq(is->correlation_id, "c");
    cr_assert_str_eq(is->reply_to, "r");
    cr_assert_str_eq(is->message_id, "m");
    cr_assert_str_eq(is->type, "t");
    cr_assert_str_eq(is->user_id, "guest");
    cr_assert_str_eq(is->app_id, "a");
    cr_assert_eq(is->priority, 7u);
    cr_assert_eq(is->wire_priority, 7u);
    cr_assert_eq(is->delivery_mode, 1u);
    cr_assert_str_eq(is->exchange, "");
    cr_assert_str_eq(is->routing_key, "q");
    cr_assert_not(is->mandatory);
    cr_assert_not(is->has_ttl);
    cr_assert_not(is->has_headers);
    amqp_fixture_close(&f);
}

Test(amqp_head, expiration_is_a_time_to_live)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {{"0", 0}, {"60000", 60000}, {"+5", 5}, {"-0", 0}, {"007", 7}, {"315360000000", 315360000000}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct amqp_fixture f;
        amqp_fixture_open(&f);
        Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
        head.expiration = (char *)(uintptr_t)good[i].text;
        const Holdfast__MessageHead *is = head_of(&f, &head);
        cr_assert(is->has_ttl);
        cr_assert_eq(is->ttl_ms, good[i].ms, "%s", good[i].text);
        cr_assert_str_eq(is->expiration, good[i].text);
        amqp_fixture_close(&f);
    }
}

Test(amqp_head, an_expiration_that_is_none)
{
    static const struct {
        const char *text;
        const char *words;
    } bad[] = {
        {"soon", "invalid expiration 'soon': no_integer"},
        {"-", "invalid expiration '-': no_integer"},
        {" 1", "invalid expiration ' 1': no_integer"},
        {"1s", "invalid expiration '1s': {leftover_string,\"s\"}"},
        {"1.5", "invalid expiration '1.5': {leftover_string,\".5\"}"},
        {"-1", "invalid expiration '-1': {value_negative,-1}"},
        {"315360000001", "invalid expiration '315360000001': {value_too_large,315360000001}"},
        {"99999999999999999999999",
         "invalid expiration '99999999999999999999999': {value_too_large,99999999999999999999999}"},
    };
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        head.expiration = (char *)(uintptr_t)bad[i].text;
        refused(&head, bad[i].words);
    }
    head.expiration = (char[]){""};
    head.present = 1u << AMQP_EXPIRATION;
    refused(&head, "invalid expiration '': no_integer");
}

Test(amqp_head, a_user_id_is_that_of_the_user)
{
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.user_id = (char[]){"root"};
    refused(&head, "user_id property set to 'root' but authenticated user was 'guest'");
    head.user_id = (char[]){""};
    head.present = 1u << AMQP_USER_ID;
    refused(&head, "user_id property set to '' but authenticated user was 'guest'");
}

Test(amqp_head, a_delivery_mode_is_1_or_2)
{
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.delivery_mode = 3;
    refused(&head, "invalid message: {delivery_mode_unknown,3}");
    head.delivery_mode = 0;
    head.present = 1u << AMQP_DELIVERY_MODE;
    refused(&head, "invalid message: {delivery_mode_unknown,0}");
}

Test(amqp_head, properties_that_are_malformed_end_the_connection)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    AMQP_GIVE(&f, 1, basic_publish, .routing_key = amqp_text("q"));
    amqp_fixture_give_raw(&f, AMQP_FRAME_HEADER, 1, "\0\x3c\0\0\0\0\0\0\0\0\0\0\x80\0\x09x", 16);
    amqp_fixture_connection_closes(&f, AMQP_SYNTAX_ERROR, AMQP_basic_publish,
                                   "the properties of a message on channel 1 are malformed");
    amqp_fixture_close(&f);
}

Test(amqp_head, keys_and_names_are_utf8)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    AMQP_GIVE(&f, 1, basic_publish, .routing_key = amqp_text("\xff"));
    cr_assert_eq(AMQP_TAKE(&f, 1, channel_close)->reply_code, AMQP_PRECONDITION_FAILED);
    amqp_fixture_close(&f);
}

/* ---- CC and BCC ---- */

static Holdfast__Value text_value(const char *text)
{
    Holdfast__Value value = HOLDFAST__VALUE__INIT;
    value.kind_case = HOLDFAST__VALUE__KIND_STRING;
    value.string = (ProtobufCBinaryData){.len = strlen(text), .data = (uint8_t *)(uintptr_t)text};
    return value;
}

Test(amqp_head, further_keys)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    Holdfast__Value texts[] = {text_value("a"), text_value("b"), text_value("hidden")};
    Holdfast__Value number = HOLDFAST__VALUE__INIT;
    number.kind_case = HOLDFAST__VALUE__KIND_INT32;
    Holdfast__Array arrays[2] = {HOLDFAST__ARRAY__INIT, HOLDFAST__ARRAY__INIT};
    arrays[0].item = (Holdfast__Value *[]){&texts[0], &number, &texts[1]};
    arrays[0].n_item = 3;
    arrays[1].item = (Holdfast__Value *[]){&texts[2]};
    arrays[1].n_item = 1;
    Holdfast__Value values[2] = {HOLDFAST__VALUE__INIT, HOLDFAST__VALUE__INIT};
    Holdfast__Header headers[3] = {HOLDFAST__HEADER__INIT, HOLDFAST__HEADER__INIT, HOLDFAST__HEADER__INIT};
    for (unsigned i = 0; i < 2; i++) {
        values[i].kind_case = HOLDFAST__VALUE__KIND_ARRAY;
        values[i].array = &arrays[i];
        headers[i].value = &values[i];
    }
    headers[0].name = (char[]){"CC"};
    headers[1].name = (char[]){"BCC"};
    headers[2].name = (char[]){"other"};
    headers[2].value = &number;
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.header = (Holdfast__Header *[]){&headers[0], &headers[1], &headers[2]};
    head.n_header = 3;
    const Holdfast__MessageHead *is = head_of(&f, &head);
    cr_assert_eq(is->n_also_key, 2u);
    cr_assert_str_eq(is->also_key[0], "a");
    cr_assert_str_eq(is->also_key[1], "b");
    cr_assert_eq(is->n_hidden_key, 1u);
    cr_assert_str_eq(is->hidden_key[0], "hidden");
    cr_assert_eq(is->n_header, 2u, "BCC is for nobody who is given the message");
    cr_assert_str_eq(is->header[0]->name, "CC");
    cr_assert_str_eq(is->header[1]->name, "other");
    amqp_fixture_close(&f);
}

static void header_refused(struct amqp_fixture *f, const char *words)
{
    publish_refused(f, words);
    amqp_fixture_close(f);
}

Test(amqp_head, further_keys_that_are_no_array)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    give_with_header(&f, "CC", 'S', "key");
    header_refused(&f, "invalid message: {unacceptable_type_in_header,\"CC\",longstr}");
    amqp_fixture_open(&f);
    give_with_header(&f, "BCC", 'I', 1);
    header_refused(&f, "invalid message: {unacceptable_type_in_header,\"BCC\",signedint}");
}

Test(amqp_head, further_keys_that_are_no_keys)
{
    static char long_key[257];
    memset(long_key, 'k', 256);
    const char *const bad[] = {"\xff", long_key};
    for (unsigned i = 0; i < 2; i++) {
        struct amqp_fixture f;
        amqp_fixture_open(&f);
        Holdfast__Value text = text_value(bad[i]);
        Holdfast__Array array = HOLDFAST__ARRAY__INIT;
        array.item = (Holdfast__Value *[]){&text};
        array.n_item = 1;
        Holdfast__Value value = HOLDFAST__VALUE__INIT;
        value.kind_case = HOLDFAST__VALUE__KIND_ARRAY;
        value.array = &array;
        Holdfast__Header header = HOLDFAST__HEADER__INIT;
        header.name = (char[]){"CC"};
        header.value = &value;
        Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
        head.header = (Holdfast__Header *[]){&header};
        head.n_header = 1;
        give_message(&f, 1, "", "q", &head, "");
        header_refused(&f, "invalid message: a routing key in header CC is longer than 255 bytes, is not UTF-8, or has "
                           "a zero byte in it");
    }
}

/* ---- Delays ---- */

/* What becomes of a delay, at an exchange of the delayed-message kind or not. */
static uint64_t delay_of(bool delayed, int type, int64_t number, const char *text)
{
    struct amqp_fixture f;
    Holdfast__DeclareExchange exchange;
    amqp_fixture_open(&f);
    exchange_is(&f, &exchange, "x");
    exchange.delayed = delayed;
    Holdfast__Value value = text_value(text);
    if (type == 'l') {
        value.kind_case = HOLDFAST__VALUE__KIND_INT64;
        value.int64 = number;
    } else if (type == 'I') {
        value.kind_case = HOLDFAST__VALUE__KIND_INT32;
        value.int32 = number;
    } else if (type == 'V') {
        value.kind_case = HOLDFAST__VALUE__KIND_VOID;
        value.void_ = true;
    }
    Holdfast__Header header = HOLDFAST__HEADER__INIT;
    header.name = (char[]){"x-delay"};
    header.value = &value;
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.header = (Holdfast__Header *[]){&header};
    head.n_header = 1;
    give_message(&f, 1, "x", "k", &head, "body");
    const Holdfast__MessageHead *is = published_of(&f, take_publish(&f), 0).head;
    uint64_t delay_ms = is->delay_ms;
    cr_assert_eq(is->n_header, 1u, "the header stays");
    amqp_fixture_close(&f);
    return delay_ms;
}

Test(amqp_head, delays_count_where_the_exchange_delays)
{
    cr_assert_eq(delay_of(true, 'I', 5000, ""), 5000u);
    cr_assert_eq(delay_of(true, 'l', 5000, ""), 5000u);
    cr_assert_eq(delay_of(true, 'S', 0, "5000"), 5000u);
    cr_assert_eq(delay_of(false, 'I', 5000, ""), 0u);
    cr_assert_eq(delay_of(true, 'I', 0, ""), 0u);
    cr_assert_eq(delay_of(true, 'I', -5000, ""), 0u);
    cr_assert_eq(delay_of(true, 'S', 0, "-5000"), 0u);
    cr_assert_eq(delay_of(true, 'S', 0, "later"), 0u);
    cr_assert_eq(delay_of(true, 'S', 0, ""), 0u);
    cr_assert_eq(delay_of(true, 'V', 0, ""), 0u);
    cr_assert_eq(delay_of(true, 'l', INT64_MAX, ""), 4294967295u);
}

/* ---- Ours ---- */

Test(amqp_head, groups)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    give_with_header(&f, "x-holdfast-group", 'S', "g");
    cr_assert_str_eq(published_of(&f, take_publish(&f), 0).head->group, "g");
    give_with_header(&f, "x-holdfast-group", 'I', 1);
    AMQP_REPLY(&f, .count = 1);
    header_refused(&f, "invalid message: header x-holdfast-group is no string, is empty, or has a zero byte in it");
}

Test(amqp_head, producers_and_numbers_that_are_none)
{
    static const char no_name[] =
        "invalid message: header x-holdfast-producer is no name: a string of 1 to 255 bytes of "
        "UTF-8 without control characters";
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    give_with_header(&f, "x-holdfast-producer", 'S', "p");
    header_refused(&f, "invalid message: header x-holdfast-sequence is no integer of 1 or above");
    amqp_fixture_open(&f);
    give_with_header(&f, "x-holdfast-producer", 'S', "a\nb");
    header_refused(&f, no_name);
    amqp_fixture_open(&f);
    give_with_header(&f, "x-holdfast-sequence", 'I', 1);
    header_refused(&f, no_name);
    for (unsigned i = 0; i < 3; i++) {
        const uint64_t bad[] = {0, (uint64_t)INT64_MAX + 1, UINT64_MAX};
        amqp_fixture_open(&f);
        give_numbered(&f, "p", bad[i], "body");
        header_refused(&f, "invalid message: header x-holdfast-sequence is no integer of 1 or above");
    }
}
