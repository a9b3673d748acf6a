/* The head of a message that a client of AMQP publishes: its properties, checked, with what some of them mean here. */

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/amqp/amqp_head_encode.h"
#include "rpc/amqp/amqp_publishing.h"
#include "rpc/amqp/amqp_reply_to.h"
#include "rpc/amqp/amqp_value.h"

/* As RabbitMQ's: ten years for times to live; delays are cut off above seven weeks. */
#define TTL_MS_MAX UINT64_C(315360000000)
#define DELAYED_MS_MAX UINT64_C(4294967295)
/* Of CC and BCC together: the machine's. */
#define FURTHER_KEYS_MAX 256u

#define HEADER_PRODUCER "x-holdfast-producer"
#define HEADER_SEQUENCE "x-holdfast-sequence"
#define HEADER_GROUP "x-holdfast-group"

struct making {
    struct amqp_incoming *incoming;
    struct amqp_channel *channel;
    struct arena *arena;
    Holdfast__MessageHead head;
};

__attribute__((format(printf, 2, 3))) static bool refuse(const struct making *making, const char *format, ...)
{
    char words[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(words, sizeof words, format, args);
    va_end(args);
    amqp_publish_refuse(making->channel, AMQP_PRECONDITION_FAILED, "%s", words);
    return false;
}

static bool no_memory(const struct making *making)
{
    amqp_session_fail(making->channel->session, ERR_NOMEM);
    return false;
}

static const Holdfast__Value *header_find(const struct making *making, const char *name)
{
    const struct amqp_headers headers = {.entries = making->head.header, .len = making->head.n_header};
    return amqp_headers_find(&headers, name);
}

/* ---- What each property means ---- */

static bool decode(struct making *making, struct amqp_bytes properties)
{
    struct amqp_session *session = making->channel->session;
    int err = amqp_properties_decode(properties, making->arena, &making->head);
    if (err == ERR_INVALID) {
        amqp_connection_error(session, AMQP_SYNTAX_ERROR, AMQP_basic_publish,
                              "the properties of a message on channel %u are malformed", making->channel->number);
    } else if (err == ERR_TOO_BIG) {
        return refuse(making, "headers are nested more than %u deep, or are more than %u values", AMQP_DEPTH_MAX,
                      AMQP_VALUES_MAX);
    } else if (err != 0) {
        amqp_session_fail(session, err);
    }
    return err == 0;
}

static bool check_user(const struct making *making)
{
    const char *claimed = making->head.user_id;
    const char *user = making->channel->session->user;
    if ((making->head.present & 1u << AMQP_USER_ID) == 0 && claimed[0] == '\0') {
        return true;
    }
    return strcmp(claimed, user) == 0 ||
           refuse(making, "user_id property set to '%s' but authenticated user was '%s'", claimed, user);
}

/* As RabbitMQ reads it: an optional sign and digits, of any number. */
static bool take_expiration(struct making *making)
{
    const char *text = making->head.expiration;
    if (text[0] == '\0' && (making->head.present & 1u << AMQP_EXPIRATION) == 0) {
        return true;
    }
    const char *digits = text + (text[0] == '-' || text[0] == '+');
    size_t len = strspn(digits, "0123456789");
    uint64_t ms = strtoull(digits, NULL, 10); /* What is too long is the largest. */
    if (len == 0) {
        return refuse(making, "invalid expiration '%s': no_integer", text);
    }
    if (digits[len] != '\0') {
        return refuse(making, "invalid expiration '%s': {leftover_string,\"%s\"}", text, digits + len);
    }
    if (text[0] == '-' && ms > 0) {
        return refuse(making, "invalid expiration '%s': {value_negative,-%.*s}", text, (int)len, digits);
    }
    if (ms > TTL_MS_MAX) {
        return refuse(making, "invalid expiration '%s': {value_too_large,%.*s}", text, (int)len, digits);
    }
    making->head.has_ttl = true;
    making->head.ttl_ms = ms;
    return true;
}

static bool check_delivery_mode(const struct making *making)
{
    uint32_t mode = making->head.delivery_mode;
    bool given = mode != 0 || (making->head.present & 1u << AMQP_DELIVERY_MODE) != 0;
    return !given || mode == 1 || mode == 2 ||
           refuse(making, "invalid message: {delivery_mode_unknown,%" PRIu32 "}", mode);
}

/* The further routing keys of a header; of its items those that are no strings do not count, as with RabbitMQ. */
static bool take_keys(struct making *making, const char *name, char ***ret_keys, size_t *ret_len)
{
    const Holdfast__Value *value = header_find(making, name);
    if (value == NULL) {
        return true;
    }
    if (value->kind_case != HOLDFAST__VALUE__KIND_ARRAY) {
        return refuse(making, "invalid message: {unacceptable_type_in_header,\"%s\",%s}", name, amqp_value_type(value));
    }
    size_t cap = value->array->n_item;
    char **keys = arena_alloc(making->arena, cap * sizeof *keys);
    size_t len = 0;
    for (size_t i = 0; keys != NULL && i < cap; i++) {
        const Holdfast__Value *item = value->array->item[i];
        if (item->kind_case != HOLDFAST__VALUE__KIND_STRING) {
            continue;
        }
        keys[len] = item->string.len <= UINT8_MAX ? amqp_value_copy(making->arena, &item->string) : NULL;
        if (item->string.len > UINT8_MAX || (keys[len] != NULL && (strlen(keys[len]) != item->string.len ||
                                                                   !bytes_are_utf8(keys[len], item->string.len)))) {
            return refuse(making,
                          "invalid message: a routing key in header %s is longer than 255 bytes, is not UTF-8, or "
                          "has a zero byte in it",
                          name);
        }
        if (keys[len++] == NULL) {
            return no_memory(making);
        }
    }
    *ret_keys = keys;
    *ret_len = len;
    return keys != NULL || no_memory(making);
}

/* BCC is for nobody who is given the message. */
static void hide_keys(struct making *making)
{
    Holdfast__MessageHead *head = &making->head;
    size_t len = 0;
    for (size_t i = 0; i < head->n_header; i++) {
        if (strcmp(head->header[i]->name, "BCC") != 0) {
            head->header[len++] = head->header[i];
        }
    }
    head->n_header = len;
}

static bool take_further_keys(struct making *making)
{
    Holdfast__MessageHead *head = &making->head;
    if (!take_keys(making, "CC", &head->also_key, &head->n_also_key) ||
        !take_keys(making, "BCC", &head->hidden_key, &head->n_hidden_key)) {
        return false;
    }
    hide_keys(making);
    return head->n_also_key + head->n_hidden_key <= FURTHER_KEYS_MAX ||
           refuse(making, "invalid message: more than %u routing keys in headers CC and BCC", FURTHER_KEYS_MAX);
}

/* An integer, or a string that is one: as the delayed-message exchange takes it. */
static bool integer_read(const struct making *making, const Holdfast__Value *value, int64_t *ret_integer)
{
    if (value->kind_case != HOLDFAST__VALUE__KIND_STRING || value->string.len > 20) {
        return amqp_value_integer(value, ret_integer);
    }
    const char *text = amqp_value_copy(making->arena, &value->string);
    char *end = NULL;
    errno = 0;
    int64_t integer = text != NULL ? strtoll(text, &end, 10) : 0;
    bool whole = text != NULL && value->string.len > 0 && end == text + value->string.len && errno == 0;
    *ret_integer = whole ? integer : *ret_integer;
    return whole;
}

/* What is no integer, or not above 0, is no delay. */
static bool take_delay(struct making *making, bool delayed)
{
    const Holdfast__Value *value = delayed ? header_find(making, "x-delay") : NULL;
    int64_t delay_ms = 0;
    if (value != NULL && integer_read(making, value, &delay_ms) && delay_ms > 0) {
        making->head.delay_ms = (uint64_t)delay_ms < DELAYED_MS_MAX ? (uint64_t)delay_ms : DELAYED_MS_MAX;
    }
    return true;
}

static bool take_group(struct making *making)
{
    const Holdfast__Value *value = header_find(making, HEADER_GROUP);
    if (value == NULL) {
        return true;
    }
    if (value->kind_case != HOLDFAST__VALUE__KIND_STRING || value->string.len == 0 ||
        memchr(value->string.data, 0, value->string.len) != NULL) {
        return refuse(making,
                      "invalid message: header " HEADER_GROUP " is no string, is empty, or has a zero byte in it");
    }
    making->head.group = amqp_value_copy(making->arena, &value->string);
    return making->head.group != NULL || no_memory(making);
}

static bool take_producer(struct making *making)
{
    const Holdfast__Value *producer = header_find(making, HEADER_PRODUCER);
    const Holdfast__Value *sequence = header_find(making, HEADER_SEQUENCE);
    struct amqp_incoming *incoming = making->incoming;
    int64_t number = 0;
    incoming->producer[0] = '\0';
    if (producer == NULL && sequence == NULL) {
        return true;
    }
    if (producer == NULL || producer->kind_case != HOLDFAST__VALUE__KIND_STRING ||
        name_check(producer->string.data, producer->string.len) != 0) {
        return refuse(making,
                      "invalid message: header " HEADER_PRODUCER " is no name: a string of 1 to 255 bytes of UTF-8 "
                      "without control characters");
    }
    /* What is above INT64_MAX reads as that: no number is to be taken for another. */
    if (sequence == NULL || !amqp_value_integer(sequence, &number) || number < 1 || number == INT64_MAX) {
        return refuse(making, "invalid message: header " HEADER_SEQUENCE " is no integer of 1 or above");
    }
    memcpy(incoming->producer, producer->string.data, producer->string.len);
    incoming->producer[producer->string.len] = '\0';
    incoming->sequence = (uint64_t)number;
    return true;
}

static bool take_headers(struct making *making, bool delayed)
{
    if (making->head.n_header == 0) {
        making->incoming->producer[0] = '\0';
        return true;
    }
    return take_further_keys(making) && take_delay(making, delayed) && take_group(making) && take_producer(making);
}

/* ---- All of it ---- */

static bool encode(struct making *making)
{
    struct bytes *out = &making->incoming->head;
    out->len = 0;
    int err = amqp_head_encode(&making->head, HEADER_LEN_MAX, out);
    if (err == ERR_TOO_BIG) {
        return refuse(making, "invalid message: its properties take more than %" PRIu64 " bytes",
                      (uint64_t)HEADER_LEN_MAX);
    }
    return err == 0 || no_memory(making);
}

bool amqp_head_make(struct amqp_incoming *incoming, struct amqp_bytes properties, bool delayed)
{
    struct amqp_channel *channel = incoming->channel;
    struct making making = {.incoming = incoming,
                            .channel = channel,
                            .arena = &channel->session->arena,
                            .head = HOLDFAST__MESSAGE_HEAD__INIT};
    if (!decode(&making, properties) || !amqp_reply_to_publish(channel, &making.head) || !check_user(&making) ||
        !take_expiration(&making) || !check_delivery_mode(&making) || !take_headers(&making, delayed)) {
        return false;
    }
    making.head.exchange = incoming->exchange;
    making.head.routing_key = incoming->routing_key;
    making.head.priority = making.head.wire_priority;
    making.head.mandatory = incoming->mandatory;
    return encode(&making);
}
