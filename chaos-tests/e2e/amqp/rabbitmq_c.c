/* librabbitmq against a broker: rabbitmq_c HOST PORT PREFIX. Prints "ok NAME" for each thing that was as it should be; exit 1, with what
 * was not. PREFIX begins the names of queues and exchanges. */

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if __has_include(<rabbitmq-c/amqp.h>) /* Since 0.12. */
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/framing.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#endif

#define SECONDS 15
#define BIG (1u << 20)

static const char *prefix;

static void __attribute__((format(printf, 2, 3))) check(bool good, const char *format, ...)
{
    if (!good) {
        va_list args;
        va_start(args, format);
        fputs("not so: ", stdout);
        vprintf(format, args);
        putchar('\n');
        exit(1);
    }
}

static amqp_bytes_t text(const char *string)
{
    return amqp_cstring_bytes(string);
}

static amqp_bytes_t name(const char *what)
{
    static char names[8][300];
    static unsigned next;
    char *to = names[next++ % 8];
    (void)snprintf(to, sizeof(names[0]), "%s-%s", prefix, what);
    return amqp_cstring_bytes(to);
}

static bool is(amqp_bytes_t bytes, const char *string)
{
    return bytes.len == strlen(string) && memcmp(bytes.bytes, string, bytes.len) == 0;
}

static const amqp_field_value_t *find_header(const amqp_table_t *table, const char *key)
{
    for (int i = 0; i < table->num_entries; i++) {
        if (is(table->entries[i].key, key)) {
            return &table->entries[i].value;
        }
    }
    check(false, "header %s was to come", key);
    return NULL;
}

static void check_reply(amqp_connection_state_t c, const char *what)
{
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(c);
    if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
        const amqp_channel_close_t *close = reply.reply.decoded;
        check(false, "%s: %u %.*s", what, close->reply_code, (int)close->reply_text.len,
              (char *)close->reply_text.bytes);
    }
    check(reply.reply_type == AMQP_RESPONSE_NORMAL, "%s: %s", what, amqp_error_string2(reply.library_error));
}

/* The last call closed its channel, with this code; the channel is opened again. */
static void check_closed(amqp_connection_state_t c, amqp_channel_t channel, unsigned code, const char *words)
{
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(c);
    check(reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD,
          "%u was to come", code);
    const amqp_channel_close_t *close = reply.reply.decoded;
    check(close->reply_code == code && is(close->reply_text, words), "%u %.*s instead of %s", close->reply_code,
          (int)close->reply_text.len, (char *)close->reply_text.bytes, words);
    amqp_channel_close_ok_t ok = {0};
    check(amqp_send_method(c, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok) == AMQP_STATUS_OK, "close-ok");
    amqp_channel_open(c, channel);
    check_reply(c, "the channel again");
}

static amqp_connection_state_t open_connection(const char *host, int port, int frame_max, int heartbeat)
{
    amqp_connection_state_t c = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(c);
    check(socket != NULL && amqp_socket_open(socket, host, port) == AMQP_STATUS_OK, "connection to %s:%d", host, port);
    amqp_rpc_reply_t reply = amqp_login(c, "/", 0, frame_max, heartbeat, AMQP_SASL_METHOD_PLAIN, "guest", "guest");
    check(reply.reply_type == AMQP_RESPONSE_NORMAL, "login");
    amqp_channel_open(c, 1);
    check_reply(c, "channel");
    return c;
}

static void close_connection(amqp_connection_state_t c)
{
    check(amqp_connection_close(c, AMQP_REPLY_SUCCESS).reply_type == AMQP_RESPONSE_NORMAL, "close");
    check(amqp_destroy_connection(c) == AMQP_STATUS_OK, "destroyed");
}

static void declare(amqp_connection_state_t c, amqp_bytes_t queue, amqp_table_t arguments)
{
    amqp_queue_declare(c, 1, queue, false, false, false, false, arguments);
    check_reply(c, "queue.declare");
}

static void publish(amqp_connection_state_t c, const char *exchange, amqp_bytes_t key, bool mandatory,
                    const amqp_basic_properties_t *properties, amqp_bytes_t body)
{
    check(amqp_basic_publish(c, 1, text(exchange), key, mandatory, false, properties, body) == AMQP_STATUS_OK,
          "publish");
}

/* The next method of the connection, which has to be this one. */
static amqp_frame_t wait_method(amqp_connection_state_t c, amqp_method_number_t id)
{
    amqp_frame_t frame;
    struct timeval limit = {.tv_sec = SECONDS};
    int status = amqp_simple_wait_frame_noblock(c, &frame, &limit);
    check(status == AMQP_STATUS_OK, "%s was to come: %s", amqp_method_name(id), amqp_error_string2(status));
    check(frame.frame_type == AMQP_FRAME_METHOD && frame.payload.method.id == id, "%s was to come, not type %u, %s",
          amqp_method_name(id), frame.frame_type,
          frame.frame_type == AMQP_FRAME_METHOD ? amqp_method_name(frame.payload.method.id) : "");
    return frame;
}

static amqp_envelope_t consume(amqp_connection_state_t c)
{
    amqp_envelope_t envelope;
    struct timeval limit = {.tv_sec = SECONDS};
    amqp_maybe_release_buffers(c);
    amqp_rpc_reply_t reply = amqp_consume_message(c, &envelope, &limit, 0);
    check(reply.reply_type == AMQP_RESPONSE_NORMAL, "a message was to come: %s",
          amqp_error_string2(reply.library_error));
    return envelope;
}

static void subscribe(amqp_connection_state_t c, amqp_bytes_t queue, bool no_ack)
{
    amqp_basic_consume(c, 1, queue, text("me"), false, no_ack, false, amqp_empty_table);
    check_reply(c, "basic.consume");
}

static void cancel(amqp_connection_state_t c)
{
    amqp_basic_cancel(c, 1, text("me"));
    check_reply(c, "basic.cancel");
}

static void test_confirms(amqp_connection_state_t c)
{
    amqp_bytes_t queue = name("confirms");
    declare(c, queue, amqp_empty_table);
    amqp_confirm_select(c, 1);
    check_reply(c, "confirm.select");
    publish(c, "", queue, false, NULL, text("1"));
    amqp_frame_t frame = wait_method(c, AMQP_BASIC_ACK_METHOD);
    const amqp_basic_ack_t *ack = frame.payload.method.decoded;
    check(ack->delivery_tag == 1, "delivery tag %lu", (unsigned long)ack->delivery_tag);
    /* What goes nowhere comes back before it is confirmed. */
    publish(c, "", name("nowhere"), true, NULL, text("back"));
    frame = wait_method(c, AMQP_BASIC_RETURN_METHOD);
    const amqp_basic_return_t *returned = frame.payload.method.decoded;
    check(returned->reply_code == 312 && is(returned->reply_text, "NO_ROUTE"), "312 NO_ROUTE");
    amqp_message_t message;
    check(amqp_read_message(c, 1, &message, 0).reply_type == AMQP_RESPONSE_NORMAL && is(message.body, "back"),
          "its body");
    amqp_destroy_message(&message);
    frame = wait_method(c, AMQP_BASIC_ACK_METHOD);
    ack = frame.payload.method.decoded;
    check(ack->delivery_tag == 2, "delivery tag %lu", (unsigned long)ack->delivery_tag);
    puts("ok confirms_and_returns");
}

static void test_consume(amqp_connection_state_t c)
{
    amqp_bytes_t queue = name("consume");
    declare(c, queue, amqp_empty_table);
    publish(c, "", queue, false, NULL, text("1"));
    publish(c, "", queue, false, NULL, text("2"));
    amqp_basic_qos(c, 1, 0, 1, false);
    check_reply(c, "basic.qos");
    subscribe(c, queue, false);
    amqp_envelope_t first = consume(c);
    check(is(first.message.body, "1") && !first.redelivered, "the first");
    check(amqp_basic_nack(c, 1, first.delivery_tag, false, true) == AMQP_STATUS_OK, "nack");
    amqp_envelope_t again = consume(c);
    check(is(again.message.body, "1") && again.redelivered, "it again");
    check(amqp_basic_ack(c, 1, again.delivery_tag, false) == AMQP_STATUS_OK, "ack");
    amqp_envelope_t second = consume(c);
    check(is(second.message.body, "2") && second.delivery_tag == 3, "the second");
    check(amqp_basic_ack(c, 1, second.delivery_tag, false) == AMQP_STATUS_OK, "ack");
    cancel(c);
    amqp_destroy_envelope(&first);
    amqp_destroy_envelope(&again);
    amqp_destroy_envelope(&second);
    puts("ok consume_ack_nack");
}

static void test_properties(amqp_connection_state_t c)
{
    amqp_bytes_t queue = name("properties");
    declare(c, queue, amqp_empty_table);
    amqp_table_entry_t inner[] = {{text("k"), {AMQP_FIELD_KIND_UTF8, {.bytes = text("v")}}}};
    amqp_field_value_t list[] = {{AMQP_FIELD_KIND_I16, {.i16 = -300}}, {AMQP_FIELD_KIND_VOID, {0}}};
    amqp_table_entry_t entries[] = {
        {text("bool"), {AMQP_FIELD_KIND_BOOLEAN, {.boolean = 1}}},
        {text("i8"), {AMQP_FIELD_KIND_I8, {.i8 = -5}}},
        {text("u8"), {AMQP_FIELD_KIND_U8, {.u8 = 250}}},
        {text("i32"), {AMQP_FIELD_KIND_I32, {.i32 = -70000}}},
        {text("i64"), {AMQP_FIELD_KIND_I64, {.i64 = -5000000000}}},
        {text("f64"), {AMQP_FIELD_KIND_F64, {.f64 = 0.25}}},
        {text("time"), {AMQP_FIELD_KIND_TIMESTAMP, {.u64 = 1900000000}}},
        {text("bytes"), {AMQP_FIELD_KIND_BYTES, {.bytes = {3, (char[]){'\xff', '\0', '\xfe'}}}}},
        {text("table"), {AMQP_FIELD_KIND_TABLE, {.table = {1, inner}}}},
        {text("list"), {AMQP_FIELD_KIND_ARRAY, {.array = {2, list}}}},
    };
    const int count = sizeof(entries) / sizeof(entries[0]);
    amqp_basic_properties_t sent = {._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_HEADERS_FLAG |
                                              AMQP_BASIC_PRIORITY_FLAG | AMQP_BASIC_TIMESTAMP_FLAG |
                                              AMQP_BASIC_CORRELATION_ID_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG,
                                    .content_type = text("text/plain"),
                                    .headers = {count, entries},
                                    .priority = 3,
                                    .timestamp = 1900000001,
                                    .correlation_id = text("c"),
                                    .delivery_mode = 2};
    publish(c, "", queue, false, &sent, amqp_empty_bytes);
    subscribe(c, queue, true);
    amqp_envelope_t got = consume(c);
    const amqp_basic_properties_t *properties = &got.message.properties;
    check(got.message.body.len == 0, "an empty body");
    check(properties->_flags == sent._flags && is(properties->content_type, "text/plain") &&
              properties->priority == 3 && properties->timestamp == 1900000001 && is(properties->correlation_id, "c") &&
              properties->delivery_mode == 2,
          "the properties");
    check(properties->headers.num_entries == count, "%d headers", properties->headers.num_entries);
    for (int i = 0; i < count; i++) {
        const char *key = entries[i].key.bytes;
        check(find_header(&properties->headers, key)->kind == entries[i].value.kind, "the type of header %s", key);
    }
    check(find_header(&properties->headers, "i64")->value.i64 == -5000000000, "a negative number");
    amqp_array_t array = find_header(&properties->headers, "list")->value.array;
    check(array.num_entries == 2 && array.entries[0].value.i16 == -300, "a list");
    cancel(c);
    amqp_destroy_envelope(&got);
    puts("ok properties");
}

static void test_big(amqp_connection_state_t c)
{
    amqp_bytes_t queue = name("big");
    char *bytes = malloc(BIG);
    check(bytes != NULL, "memory");
    for (unsigned i = 0; i < BIG; i++) {
        bytes[i] = (char)(i * 7 + i / 1000);
    }
    declare(c, queue, amqp_empty_table);
    publish(c, "", queue, false, NULL, (amqp_bytes_t){BIG, bytes});
    subscribe(c, queue, true);
    amqp_envelope_t got = consume(c);
    check(got.message.body.len == BIG && memcmp(got.message.body.bytes, bytes, BIG) == 0, "a body in many frames");
    cancel(c);
    amqp_destroy_envelope(&got);
    free(bytes);
    puts("ok big");
}

static void test_get(amqp_connection_state_t c)
{
    amqp_bytes_t queue = name("get");
    declare(c, queue, amqp_empty_table);
    amqp_rpc_reply_t reply = amqp_basic_get(c, 1, queue, true);
    check(reply.reply.id == AMQP_BASIC_GET_EMPTY_METHOD, "get-empty");
    amqp_tx_select(c, 1);
    check_reply(c, "tx.select");
    publish(c, "", queue, false, NULL, text("x"));
    check(amqp_basic_get(c, 1, queue, true).reply.id == AMQP_BASIC_GET_EMPTY_METHOD, "nothing before the commit");
    amqp_tx_commit(c, 1);
    check_reply(c, "tx.commit");
    reply = amqp_basic_get(c, 1, queue, true);
    check(reply.reply.id == AMQP_BASIC_GET_OK_METHOD, "get-ok");
    amqp_message_t message;
    check(amqp_read_message(c, 1, &message, 0).reply_type == AMQP_RESPONSE_NORMAL && is(message.body, "x"), "its body");
    amqp_destroy_message(&message);
    puts("ok get_and_tx");
}

static void test_errors(amqp_connection_state_t c)
{
    amqp_bytes_t nowhere = name("nowhere");
    char words[400];
    (void)snprintf(words, sizeof(words), "NOT_FOUND - no queue '%.*s' in vhost '/'", (int)nowhere.len,
                   (char *)nowhere.bytes);
    amqp_queue_declare(c, 1, nowhere, true, false, false, false, amqp_empty_table);
    check_closed(c, 1, 404, words);
    amqp_queue_declare(c, 1, text("amq.mine"), false, false, false, false, amqp_empty_table);
    check_closed(c, 1, 403, "ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'");
    puts("ok errors");
}

static void remove_all(amqp_connection_state_t c)
{
    static const char *const queues[] = {"confirms", "consume", "properties", "big", "get"};
    for (unsigned i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
        amqp_queue_delete(c, 1, name(queues[i]), false, false);
        check_reply(c, "queue.delete");
    }
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        (void)fputs("usage: rabbitmq_c HOST PORT PREFIX\n", stderr);
        return 2;
    }
    prefix = argv[3];
    amqp_connection_state_t c = open_connection(argv[1], atoi(argv[2]), AMQP_DEFAULT_FRAME_SIZE, 0);
    test_confirms(c);
    close_connection(c);
    /* Heartbeats each second, and the smallest frames. */
    c = open_connection(argv[1], atoi(argv[2]), 4096, 1);
    test_consume(c);
    test_properties(c);
    test_big(c);
    struct timeval limit = {.tv_sec = 3};
    amqp_frame_t frame;
    check(amqp_simple_wait_frame_noblock(c, &frame, &limit) == AMQP_STATUS_TIMEOUT, "three seconds of heartbeats");
    test_get(c);
    close_connection(c);
    puts("ok heartbeats");
    c = open_connection(argv[1], atoi(argv[2]), AMQP_DEFAULT_FRAME_SIZE, 0);
    test_errors(c);
    remove_all(c);
    close_connection(c);
    return 0;
}
