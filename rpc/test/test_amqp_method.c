/* Methods of AMQP 0-9-1: bytes as the specification has them, and everything that is cut short. */

#include "rpc/amqp/amqp_method.h"

#include <criterion/criterion.h>
#include <string.h>

static struct bytes out;

static void teardown(void)
{
    bytes_done(&out);
}

TestSuite(amqp_method, .fini = teardown);

static struct amqp_bytes written(void)
{
    return (struct amqp_bytes){out.data, out.len};
}

static bool same(struct amqp_bytes bytes, const char *text)
{
    return bytes.len == strlen(text) && memcmp(bytes.data, text, bytes.len) == 0;
}

/* queue.declare "q", durable and auto-delete, without arguments. */
static const uint8_t DECLARE[] = {0, 50, 0, 10, 0, 0, 1, 'q', 0x0a, 0, 0, 0, 0};

Test(amqp_method, bytes_are_as_specified)
{
    union amqp_method method;
    cr_assert_eq(amqp_method_decode((struct amqp_bytes){DECLARE, sizeof DECLARE}, &method), 0);
    cr_assert_eq(method.id, (uint32_t)AMQP_queue_declare);
    const struct amqp_queue_declare *declare = &method.queue_declare;
    cr_assert(same(declare->queue, "q"));
    cr_assert(!declare->passive && declare->durable && !declare->exclusive && declare->auto_delete &&
              !declare->no_wait);
    cr_assert_eq(declare->arguments.len, 0u);
    cr_assert_eq(amqp_method_encode(&method, &out), 0);
    cr_assert_eq(out.len, sizeof DECLARE);
    cr_assert_arr_eq(out.data, DECLARE, sizeof DECLARE);
}

Test(amqp_method, integers_are_in_network_order)
{
    static const uint8_t tune[] = {0, 10, 0, 30, 0x07, 0xff, 0, 2, 0, 1, 0, 60};
    const union amqp_method method = {
        .connection_tune = {.id = AMQP_connection_tune, .channel_max = 2047, .frame_max = 131073, .heartbeat = 60}};
    cr_assert_eq(amqp_method_encode(&method, &out), 0);
    cr_assert_eq(out.len, sizeof tune);
    cr_assert_arr_eq(out.data, tune, sizeof tune);
}

/* Bits share an octet only with bits next to them: here a string is in between. */
Test(amqp_method, bits_are_packed_between_other_fields)
{
    union amqp_method back;
    const union amqp_method method = {.basic_deliver = {.id = AMQP_basic_deliver,
                                                        .consumer_tag = amqp_text("ctag"),
                                                        .delivery_tag = UINT64_C(0x0102030405060708),
                                                        .redelivered = true,
                                                        .exchange = amqp_text("ex"),
                                                        .routing_key = amqp_text("")}};
    cr_assert_eq(amqp_method_encode(&method, &out), 0);
    cr_assert_eq(amqp_method_decode(written(), &back), 0);
    cr_assert(same(back.basic_deliver.consumer_tag, "ctag"));
    cr_assert_eq(back.basic_deliver.delivery_tag, UINT64_C(0x0102030405060708));
    cr_assert(back.basic_deliver.redelivered);
    cr_assert(same(back.basic_deliver.exchange, "ex"));
    cr_assert_eq(back.basic_deliver.routing_key.len, 0u);
}

/* Each method, with every argument something else than 0, comes back as it was; cut at any place, or followed by something, it is
 * refused. */
static void there_and_back(uint32_t id)
{
    union amqp_method method;
    static uint8_t payload[256];
    memset(payload, 0, sizeof payload);
    payload[1] = (uint8_t)(id >> 16);
    payload[3] = (uint8_t)id;
    size_t len = 4;
    while (amqp_method_decode((struct amqp_bytes){payload, len}, &method) == ERR_INVALID) {
        len++;
        cr_assert_lt(len, sizeof payload, "%s", amqp_method_name(id));
    }
    cr_assert_eq(method.id, id);
    for (size_t cut = 4; cut < len; cut++) {
        cr_assert_eq(amqp_method_decode((struct amqp_bytes){payload, cut}, &method), ERR_INVALID);
    }
    cr_assert_eq(amqp_method_decode((struct amqp_bytes){payload, len + 1}, &method), ERR_INVALID);
    cr_assert_eq(amqp_method_decode((struct amqp_bytes){payload, len}, &method), 0);
    out.len = 0;
    cr_assert_eq(amqp_method_encode(&method, &out), 0);
    cr_assert_eq(out.len, len);
    cr_assert_arr_eq(out.data, payload, len);
}

Test(amqp_method, all_of_them_go_there_and_back)
{
#define X(name, class_id, method_id, content) there_and_back(AMQP_##name);
    AMQP_METHODS(X)
#undef X
}

Test(amqp_method, what_is_none_is_told_apart)
{
    union amqp_method method;
    static const uint8_t unknown_class[] = {0, 1, 0, 10};
    static const uint8_t unknown_method[] = {0, 50, 0, 99, 1, 2};
    cr_assert_eq(amqp_method_decode((struct amqp_bytes){DECLARE, 3}, &method), ERR_BROKEN);
    cr_assert_eq(amqp_method_decode((struct amqp_bytes){0}, &method), ERR_BROKEN);
    cr_assert_eq(amqp_method_decode((struct amqp_bytes){unknown_class, sizeof unknown_class}, &method), ERR_NOT_FOUND);
    cr_assert_eq(amqp_method_decode((struct amqp_bytes){unknown_method, sizeof unknown_method}, &method),
                 ERR_NOT_FOUND);
    cr_assert_eq(method.id, AMQP_ID(50, 99));
    cr_assert_str_eq(amqp_method_name(AMQP_ID(50, 99)), "");
    cr_assert_str_eq(amqp_method_name(AMQP_tx_rollback_ok), "tx_rollback_ok");
}

Test(amqp_method, only_some_have_content)
{
    cr_assert(amqp_method_has_content(AMQP_basic_publish) && amqp_method_has_content(AMQP_basic_deliver) &&
              amqp_method_has_content(AMQP_basic_return) && amqp_method_has_content(AMQP_basic_get_ok));
    cr_assert_not(amqp_method_has_content(AMQP_basic_ack));
    cr_assert_not(amqp_method_has_content(0));
}

Test(amqp_method, a_short_string_has_255_bytes_at_most)
{
    static const uint8_t many[256] = {0};
    union amqp_method method = {.basic_cancel_ok = {.id = AMQP_basic_cancel_ok, .consumer_tag = {many, 255}}};
    cr_assert_eq(amqp_method_encode(&method, &out), 0);
    method.basic_cancel_ok.consumer_tag.len = 256;
    cr_assert_eq(amqp_method_encode(&method, &out), ERR_TOO_BIG);
}
