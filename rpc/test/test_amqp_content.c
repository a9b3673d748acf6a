/* Messages as they come in: their frames, their lengths, and the memory for them. */

#include <stdlib.h>
#include <string.h>

#include "amqp_publish_fixture.h"
#include "proto/base/fault.h"
#include "proto/base/limits.h"
#include "rpc/memory_budget.h"

static void give_method(struct amqp_fixture *f, uint16_t channel)
{
    AMQP_GIVE(f, channel, basic_publish, .routing_key = amqp_text("q"));
}

/* A header without properties. */
static void give_header(struct amqp_fixture *f, uint16_t channel, uint16_t class_id, uint64_t body_len)
{
    uint8_t payload[14] = {(uint8_t)(class_id >> 8), (uint8_t)class_id};
    put_be64(payload + 4, body_len);
    amqp_fixture_give_raw(f, AMQP_FRAME_HEADER, channel, payload, sizeof payload);
}

static void give_body(struct amqp_fixture *f, uint16_t channel, const char *body)
{
    amqp_fixture_give_raw(f, AMQP_FRAME_BODY, channel, body, strlen(body));
}

/* ---- Frames out of place ---- */

Test(amqp_content, content_that_nobody_announced)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    give_header(&f, 1, AMQP_CLASS_BASIC, 0);
    amqp_fixture_connection_closes(&f, AMQP_UNEXPECTED_FRAME, 0, "expected method frame, got non method frame instead");
    amqp_fixture_close(&f);
    amqp_fixture_open(&f);
    give_body(&f, 1, "body");
    amqp_fixture_connection_closes(&f, AMQP_UNEXPECTED_FRAME, 0, "expected method frame, got non method frame instead");
    amqp_fixture_close(&f);
}

Test(amqp_content, a_body_without_a_header)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    give_method(&f, 1);
    give_body(&f, 1, "body");
    amqp_fixture_connection_closes(&f, AMQP_UNEXPECTED_FRAME, AMQP_basic_publish,
                                   "expected content header for class 60, got non content header frame instead");
    amqp_fixture_close(&f);
}

Test(amqp_content, a_header_of_another_class)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    give_method(&f, 1);
    give_header(&f, 1, 50, 0);
    amqp_fixture_connection_closes(&f, AMQP_UNEXPECTED_FRAME, AMQP_basic_publish,
                                   "expected content header for class 60, got one for class 50 instead");
    amqp_fixture_close(&f);
}

Test(amqp_content, a_second_header)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    give_method(&f, 1);
    give_header(&f, 1, AMQP_CLASS_BASIC, 5);
    give_header(&f, 1, AMQP_CLASS_BASIC, 5);
    amqp_fixture_connection_closes(&f, AMQP_UNEXPECTED_FRAME, AMQP_basic_publish,
                                   "expected content body, got non content body frame instead");
    amqp_fixture_close(&f);
}

Test(amqp_content, a_header_that_is_cut_short)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    give_method(&f, 1);
    amqp_fixture_give_raw(&f, AMQP_FRAME_HEADER, 1, "\0\x3c\0\0\0\0\0\0\0\0\0\0\0", 13);
    amqp_fixture_connection_closes(&f, AMQP_FRAME_ERROR, AMQP_basic_publish,
                                   "a content header of 13 bytes on channel 1");
    amqp_fixture_close(&f);
}

Test(amqp_content, more_of_a_body_than_was_announced)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    give_method(&f, 1);
    give_header(&f, 1, AMQP_CLASS_BASIC, 5);
    give_body(&f, 1, "one");
    give_body(&f, 1, "two");
    amqp_fixture_connection_closes(&f, AMQP_FRAME_ERROR, AMQP_basic_publish,
                                   "the content on channel 1 is longer than the 5 bytes that its header says");
    amqp_fixture_close(&f);
}

Test(amqp_content, a_method_in_the_middle)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    give_method(&f, 1);
    give_header(&f, 1, AMQP_CLASS_BASIC, 5);
    AMQP_GIVE(&f, 1, basic_qos);
    cr_assert_eq(AMQP_TAKE(&f, 0, connection_close)->reply_code, AMQP_UNEXPECTED_FRAME);
    amqp_fixture_close(&f);
}

Test(amqp_content, a_channel_may_close_in_the_middle)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    give_method(&f, 1);
    give_header(&f, 1, AMQP_CLASS_BASIC, 5);
    give_body(&f, 1, "one");
    AMQP_GIVE(&f, 1, channel_close);
    (void)AMQP_TAKE(&f, 1, channel_close_ok);
    amqp_fixture_no_command(&f);
    amqp_fixture_close(&f);
}

/* ---- In parts ---- */

Test(amqp_content, a_body_in_parts_and_channels_that_take_turns)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    amqp_fixture_channel(&f, 2);
    give_method(&f, 1);
    give_method(&f, 2);
    give_header(&f, 2, AMQP_CLASS_BASIC, 4);
    give_header(&f, 1, AMQP_CLASS_BASIC, 9);
    give_body(&f, 1, "one");
    give_body(&f, 2, "f");
    give_body(&f, 1, "");
    give_body(&f, 1, "two");
    amqp_fixture_turn(&f);
    give_body(&f, 2, "our");
    give_body(&f, 1, "six");
    const Holdfast__Publish *publish = take_publish(&f);
    cr_assert(published_is(&f, publish, 0, "four"));
    cr_assert(published_is(&f, publish, 1, "onetwosix"));
    amqp_fixture_close(&f);
}

Test(amqp_content, the_parts_may_come_in_turns_of_their_own)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    give_method(&f, 1);
    amqp_fixture_turn(&f);
    give_header(&f, 1, AMQP_CLASS_BASIC, 6);
    amqp_fixture_turn(&f);
    give_body(&f, 1, "one");
    amqp_fixture_turn(&f);
    give_body(&f, 1, "two");
    cr_assert(published_is(&f, take_publish(&f), 0, "onetwo"));
    AMQP_REPLY(&f, .count = 1);
    amqp_fixture_turn(&f);
    give_method(&f, 1);
    amqp_fixture_turn(&f);
    give_header(&f, 1, AMQP_CLASS_BASIC, 200000);
    amqp_fixture_turn(&f);
    AMQP_GIVE(&f, 1, channel_close);
    (void)AMQP_TAKE(&f, 1, channel_close_ok);
    amqp_fixture_close(&f);
}

/* What is as long as to be a command of its own stays in its place. */
Test(amqp_content, large_bodies_are_commands_of_their_own)
{
    static const size_t lens[] = {1000, 32767, 32768, 100000, 131064, 131065, 1000000, 10};
    size_t count = sizeof lens / sizeof lens[0];
    char *body = malloc(1000000);
    cr_assert_not_null(body);
    for (size_t i = 0; i < 1000000; i++) {
        body[i] = (char)(i * 7 >> 3);
    }
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    for (size_t i = 0; i < count; i++) {
        give_method(&f, 1);
        amqp_fixture_give_content(&f, 1, NULL, body, lens[i]);
    }
    size_t commands = 0;
    for (size_t i = 0; i < count; commands++) {
        const Holdfast__Publish *publish = take_publish(&f);
        for (size_t k = 0; k < publish->n_body_len; k++, i++) {
            struct slice is = published_of(&f, publish, k).body;
            cr_assert_eq(is.len, lens[i], "message %zu", i);
            cr_assert_eq(memcmp(is.data, body, is.len), 0, "message %zu", i);
        }
    }
    cr_assert_eq(commands, 8u);
    free(body);
    amqp_fixture_close(&f);
}

/* ---- Lengths ---- */

Test(amqp_content, a_body_over_the_limit_of_the_node)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    f.fake.base.body_len_max = 10;
    give_method(&f, 1);
    amqp_fixture_give_content(&f, 1, NULL, "ten bytes!", 10);
    (void)take_publish(&f);
    give_method(&f, 1);
    amqp_fixture_give_content(&f, 1, NULL, "eleven byte", 11);
    AMQP_REPLY(&f, .count = 1);
    publish_refused(&f, "message size 11 is larger than configured max size 10");
    amqp_fixture_no_command(&f);
    amqp_fixture_channel(&f, 1);
    amqp_fixture_close(&f);
}

Test(amqp_content, a_length_beyond_everything)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    give_method(&f, 1);
    give_header(&f, 1, AMQP_CLASS_BASIC, UINT64_MAX);
    publish_refused(&f, "message size 18446744073709551615 is larger than configured max size 16777216");
    amqp_fixture_close(&f);
}

/* Head and body are 16 MiB together, at most. */
Test(amqp_content, the_longest_body_leaves_room_for_its_head)
{
    struct amqp_fixture f;
    amqp_fixture_open(&f);
    give_method(&f, 1);
    give_header(&f, 1, AMQP_CLASS_BASIC, 16 * MIB);
    publish_refused(&f, "message size 16777216 is larger than configured max size 16777213");
    amqp_fixture_channel(&f, 1);
    size_t len = 16 * MIB - 100;
    char *body = calloc(1, len);
    cr_assert_not_null(body);
    give_method(&f, 1);
    amqp_fixture_give_content(&f, 1, NULL, body, len);
    cr_assert_eq(take_publish(&f)->body_len[0], len);
    free(body);
    amqp_fixture_close(&f);
}

/* ---- Memory ---- */

struct waking {
    struct amqp_fixture f;
    struct memory_budget budget;
    struct memory_claim other; /* Somebody else's. */
};

static void on_granted(struct memory_claim *claim)
{
    (void)claim;
}

static void waking_open(struct waking *w, uint64_t limit, uint64_t taken)
{
    memory_budget_init(&w->budget, limit);
    memory_claim_init(&w->other, &w->budget, on_granted);
    if (taken > 0) {
        cr_assert(memory_claim_take(&w->other, taken));
    }
    const struct amqp_session_options options = {
        .peer_name = "192.0.2.1:5555", .loopback = true, .content = &w->budget};
    amqp_fixture_new(&w->f, &options);
    amqp_fixture_shake_hands(&w->f, (struct amqp_bytes){0});
    amqp_fixture_channel(&w->f, 1);
}

Test(amqp_content, what_comes_in_parts_waits_for_memory)
{
    struct waking w;
    waking_open(&w, 300000, 200000);
    give_method(&w.f, 1);
    give_header(&w.f, 1, AMQP_CLASS_BASIC, 150000);
    cr_assert(w.f.held);
    static char part[75000];
    memset(part, 'x', sizeof part);
    amqp_fixture_give_raw(&w.f, AMQP_FRAME_BODY, 1, part, sizeof part);
    amqp_fixture_no_command(&w.f);
    memory_claim_release(&w.other);
    amqp_fixture_turn(&w.f);
    cr_assert_not(w.f.held);
    amqp_fixture_give_raw(&w.f, AMQP_FRAME_BODY, 1, part, sizeof part);
    const Holdfast__Publish *publish = take_publish(&w.f);
    cr_assert_eq(publish->body_len[0], 150000u);
    cr_assert_eq(published_of(&w.f, publish, 0).body.data[149999], 'x');
    cr_assert_eq(w.budget.used, 0u, "given back when the message is with the gateway");
    amqp_fixture_close(&w.f);
}

Test(amqp_content, what_fits_a_frame_does_not_wait)
{
    struct waking w;
    waking_open(&w, 300000, 300000);
    static char body[100000];
    memset(body, 'x', sizeof body);
    give_method(&w.f, 1);
    amqp_fixture_give_content(&w.f, 1, NULL, body, sizeof body);
    (void)take_publish(&w.f);
    memory_claim_release(&w.other);
    amqp_fixture_close(&w.f);
}

/* What fits a frame need not come in parts: then it is counted, and there is an end to it. */
Test(amqp_content, small_contents_that_have_begun_are_bounded)
{
    struct waking w;
    waking_open(&w, 100 * MIB, 0);
    for (uint16_t channel = 1; channel <= 41; channel++) {
        if (channel > 1) {
            amqp_fixture_channel(&w.f, channel);
        }
        give_method(&w.f, channel);
        give_header(&w.f, channel, AMQP_CLASS_BASIC, 100 * KIB);
        cr_assert_eq(w.budget.used, (channel - 1) * (100 * KIB + 3));
        give_body(&w.f, channel, "x");
    }
    amqp_fixture_connection_closes(
        &w.f, AMQP_RESOURCE_ERROR, AMQP_basic_publish,
        "there is no memory for the contents that have begun on the channels of this connection");
    amqp_fixture_close(&w.f);
    cr_assert_eq(w.budget.used, 0u);
}

Test(amqp_content, a_long_head_waits_for_memory_too)
{
    struct waking w;
    waking_open(&w, 300000, 299000);
    static char text[255];
    memset(text, 'x', sizeof text - 1);
    Holdfast__Value value = HOLDFAST__VALUE__INIT;
    value.kind_case = HOLDFAST__VALUE__KIND_STRING;
    static uint8_t long_text[5000];
    value.string = (ProtobufCBinaryData){.len = sizeof long_text, .data = long_text};
    Holdfast__Header header = HOLDFAST__HEADER__INIT;
    header.name = text;
    header.value = &value;
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.header = (Holdfast__Header *[]){&header};
    head.n_header = 1;
    give_method(&w.f, 1);
    amqp_fixture_give_content(&w.f, 1, &head, "body", 4);
    cr_assert(w.f.held);
    amqp_fixture_no_command(&w.f);
    memory_claim_release(&w.other);
    cr_assert_eq(take_publish(&w.f)->n_body_len, 1u);
    amqp_fixture_close(&w.f);
}

/* What is encoded of a head may be longer than the frame that it came in. */
Test(amqp_content, a_head_that_is_longer_than_a_frame_is_not_small)
{
    struct waking w;
    memory_budget_init(&w.budget, 300000);
    memory_claim_init(&w.other, &w.budget, on_granted);
    const struct amqp_session_options options = {.peer_name = "192.0.2.1:5555", .loopback = true, .content = &w.budget};
    amqp_fixture_new(&w.f, &options);
    amqp_fixture_give_raw(&w.f, AMQP_FRAME_GREETING, 0, "\1", 1);
    (void)AMQP_TAKE(&w.f, 0, connection_start);
    AMQP_GIVE(&w.f, 0, connection_start_ok, .mechanism = amqp_text("PLAIN"),
              .response = {(const uint8_t *)"\0guest\0guest", 12}, .locale = amqp_text("en_US"));
    (void)AMQP_TAKE(&w.f, 0, connection_tune);
    AMQP_GIVE(&w.f, 0, connection_tune_ok, .channel_max = 1, .frame_max = AMQP_FRAME_MIN);
    AMQP_GIVE(&w.f, 0, connection_open, .virtual_host = amqp_text("/"));
    w.f.fake.sink.attached(w.f.fake.sink.arg, 42, 0);
    (void)AMQP_TAKE(&w.f, 0, connection_open_ok);
    amqp_fixture_channel(&w.f, 1);
    for (size_t len = 4060; len <= 4090; len++) {
        static uint8_t long_text[5000];
        Holdfast__Value value = HOLDFAST__VALUE__INIT;
        value.kind_case = HOLDFAST__VALUE__KIND_STRING;
        value.string = (ProtobufCBinaryData){.len = len, .data = long_text};
        Holdfast__Header header = HOLDFAST__HEADER__INIT;
        header.name = (char[]){"h"};
        header.value = &value;
        Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
        head.header = (Holdfast__Header *[]){&header};
        head.n_header = 1;
        give_method(&w.f, 1);
        static uint8_t body[200000];
        struct bytes payload = {0};
        cr_assert_eq(amqp_put_u16(&payload, AMQP_CLASS_BASIC), 0);
        cr_assert_eq(amqp_put_u16(&payload, 0), 0);
        cr_assert_eq(amqp_put_u64(&payload, sizeof body), 0);
        cr_assert_eq(amqp_properties_encode(&head, head.header, 1, &payload), 0);
        amqp_fixture_give_raw(&w.f, AMQP_FRAME_HEADER, 1, payload.data, payload.len);
        bytes_done(&payload);
        cr_assert_gt(w.budget.used, sizeof body, "%zu", len);
        amqp_fixture_give_raw(&w.f, AMQP_FRAME_BODY, 1, body, sizeof body);
        cr_assert_eq(w.budget.used, 0u);
    }
    amqp_fixture_close(&w.f);
}

Test(amqp_content, memory_is_given_back_when_a_channel_or_a_session_ends)
{
    struct waking w;
    waking_open(&w, 300000, 0);
    amqp_fixture_channel(&w.f, 2);
    give_method(&w.f, 1);
    give_header(&w.f, 1, AMQP_CLASS_BASIC, 150000);
    give_method(&w.f, 2);
    give_header(&w.f, 2, AMQP_CLASS_BASIC, 140000);
    cr_assert_geq(w.budget.used, 290000u);
    AMQP_GIVE(&w.f, 1, channel_close);
    (void)AMQP_TAKE(&w.f, 1, channel_close_ok);
    cr_assert_lt(w.budget.used, 150000u);
    amqp_fixture_close(&w.f);
    cr_assert_eq(w.budget.used, 0u);
}

Test(amqp_content, who_waits_for_memory_can_be_closed)
{
    struct waking w;
    waking_open(&w, 300000, 200000);
    give_method(&w.f, 1);
    give_header(&w.f, 1, AMQP_CLASS_BASIC, 150000);
    amqp_session_force_close(w.f.session, "bye");
    cr_assert_eq(AMQP_TAKE(&w.f, 0, connection_close)->reply_code, AMQP_CONNECTION_FORCED);
    AMQP_GIVE(&w.f, 0, connection_close_ok);
    cr_assert_eq(w.f.closes, 1u);
    amqp_fixture_close(&w.f);
    cr_assert(list_empty(&w.budget.waiters));
    memory_claim_release(&w.other);
}

/* It holds memory, sends nothing, and somebody waits. */
Test(amqp_content, who_does_not_go_on_while_others_wait_is_let_go)
{
    struct waking w;
    waking_open(&w, 300000, 0);
    give_method(&w.f, 1);
    give_header(&w.f, 1, AMQP_CLASS_BASIC, 200000);
    give_body(&w.f, 1, "one");
    amqp_session_tick(w.f.session, 1000);
    amqp_session_tick(w.f.session, 100000);
    amqp_fixture_nothing(&w.f); /* Nobody waits. */
    cr_assert_not(memory_claim_take(&w.other, 250000));
    amqp_session_tick(w.f.session, 100100);
    give_body(&w.f, 1, "two");
    amqp_session_tick(w.f.session, 101500);
    give_body(&w.f, 1, "three");
    amqp_session_tick(w.f.session, 103400);
    amqp_session_tick(w.f.session, 105300);
    amqp_fixture_nothing(&w.f);
    amqp_session_tick(w.f.session, 105500);
    cr_assert_eq(w.other.state, MEMORY_CLAIM_HELD);
    amqp_fixture_connection_closes(&w.f, AMQP_RESOURCE_ERROR, AMQP_basic_publish,
                                   "the content on channel 1 did not come in time, and others wait for its memory");
    amqp_fixture_close(&w.f);
    memory_claim_release(&w.other);
}

Test(amqp_content, who_is_too_slow_while_others_wait_is_let_go)
{
    struct waking w;
    waking_open(&w, 300000, 0);
    give_method(&w.f, 1);
    give_header(&w.f, 1, AMQP_CLASS_BASIC, 200000);
    cr_assert_not(memory_claim_take(&w.other, 250000));
    for (uint64_t now_ms = 1000; now_ms < 21000; now_ms += 1000) {
        give_body(&w.f, 1, "some");
        amqp_session_tick(w.f.session, now_ms);
    }
    amqp_fixture_nothing(&w.f);
    give_body(&w.f, 1, "some");
    amqp_session_tick(w.f.session, 21000);
    cr_assert_eq(AMQP_TAKE(&w.f, 0, connection_close)->reply_code, AMQP_RESOURCE_ERROR);
    amqp_fixture_close(&w.f);
    memory_claim_release(&w.other);
}

/* Two contents of one connection: the second waits for the first, and the first comes behind it. */
Test(amqp_content, who_waits_for_itself_is_let_go_too)
{
    struct waking w;
    waking_open(&w, 300000, 0);
    amqp_fixture_channel(&w.f, 2);
    give_method(&w.f, 1);
    give_header(&w.f, 1, AMQP_CLASS_BASIC, 200000);
    give_method(&w.f, 2);
    give_header(&w.f, 2, AMQP_CLASS_BASIC, 200000);
    cr_assert(w.f.held);
    amqp_session_tick(w.f.session, 1000);
    amqp_session_tick(w.f.session, 3000);
    cr_assert_eq(AMQP_TAKE(&w.f, 0, connection_close)->reply_code, AMQP_RESOURCE_ERROR);
    cr_assert_eq(w.budget.used, 0u);
    cr_assert(list_empty(&w.budget.waiters));
    amqp_fixture_close(&w.f);
}

/* ---- Without memory ---- */

static struct frame frame_of(uint8_t type, const void *payload, size_t len)
{
    struct blob *blob = blob_new(len + 1);
    cr_assert_not_null(blob);
    memcpy(blob->data, payload, len);
    blob->data[len] = AMQP_FRAME_END;
    struct slice all = slice_of_blob(blob);
    return (struct frame){.type = type, .tag = 1, .header = slice_part(all, 0, 0), .body = all};
}

/* The frames of a message of that length, in two parts. */
static size_t frames_of(struct frame frames[4], size_t len)
{
    const union amqp_method method = {
        .basic_publish = {.id = AMQP_basic_publish, .routing_key = amqp_text("q"), .mandatory = true}};
    struct bytes payload = {0};
    uint8_t header[14] = {0, AMQP_CLASS_BASIC};
    put_be64(header + 4, len);
    static uint8_t body[100000];
    cr_assert_eq(amqp_method_encode(&method, &payload), 0);
    frames[0] = frame_of(AMQP_FRAME_METHOD, payload.data, payload.len);
    frames[1] = frame_of(AMQP_FRAME_HEADER, header, sizeof header);
    frames[2] = frame_of(AMQP_FRAME_BODY, body, len / 2);
    frames[3] = frame_of(AMQP_FRAME_BODY, body, len - len / 2);
    bytes_done(&payload);
    return 4;
}

/* Whether all goes well although the n-th allocation of a blob fails: it need not be made, or there are not as many. */
static bool lives_without(uint64_t nth)
{
    struct amqp_fixture f;
    struct frame frames[12];
    amqp_fixture_open(&f);
    size_t len = frames_of(frames, 20);
    len += frames_of(frames + len, 150000);
    len += frames_of(frames + len, 20);
    fault_set_nth(FAULT_ALLOCATION, nth);
    for (size_t i = 0; i < len; i++) {
        amqp_session_receive(f.session, &frames[i]);
    }
    amqp_session_turn(f.session);
    for (unsigned i = 0; i < f.fake.commands; i++) {
        f.fake.sink.reply(f.fake.sink.arg,
                          &(struct gateway_reply){.number = f.fake.numbers[i],
                                                  .detail = "",
                                                  .unrouted = {.data = (const uint8_t *)"\1", .len = 1}});
    }
    f.fake.sink.flush(f.fake.sink.arg);
    fault_reset();
    amqp_fixture_turn(&f);
    unsigned returned = 0;
    while (f.read < f.sent.len && f.sent.data[f.read + AMQP_PREFIX_LEN + 1] == AMQP_CLASS_BASIC) {
        (void)AMQP_TAKE(&f, 1, basic_return);
        (void)amqp_fixture_take_content(&f, 1);
        returned++;
    }
    if (returned < 3) {
        cr_assert(f.closes > 0 || AMQP_TAKE(&f, 0, connection_close)->reply_code == AMQP_RESOURCE_ERROR);
    }
    amqp_fixture_close(&f);
    return returned == 3;
}

Test(amqp_content, an_allocation_that_fails_ends_the_connection)
{
    unsigned failed = 0;
    bool lives = false;
    for (uint64_t nth = 0; nth < 20; nth++) {
        lives = lives_without(nth);
        failed += !lives;
    }
    cr_assert(lives, "there are less than 20");
    cr_assert_geq(failed, 6u, "%u", failed);
}
