/* From a head and a trail to what an AMQP client is told. */

#include "rpc/amqp/amqp_delivered.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/wire/fields.h"
#include "rpc/amqp/amqp_death.h"

/* What a head of the greatest length unpacks to, at most; only a large one takes an arena of its own. */
#define UNPACKED_LEN_MAX (32 * MIB)
#define LARGE_LEN (16 * KIB)

/* Headers that are made here, besides those of dead letters. */
#define MADE_HEADERS_MAX (AMQP_DEATH_HEADERS_MAX + 1)

/* Numbers of fields in MessageHead. */
enum { HEAD_EXCHANGE = 1, HEAD_ROUTING_KEY = 2 };

#define SHORT_STRING_MAX 255u

struct making {
    struct arena *arena;
    const struct gateway_delivery *delivery;
    bool counts;                            /* The client is told how often it came back. */
    const Holdfast__MessageHead *published; /* As it is; */
    Holdfast__MessageHead head;             /* as the client is told. */
    const Holdfast__Trail *trail;           /* NULL: none. */
    Holdfast__Header **headers;
    size_t headers_len;
};

/* ---- Decoding ---- */

/* An arena that remembers whether it was memory that was missing, or the bytes are malformed. */
struct counted {
    struct arena *arena;
    bool failed;
};

static void *counted_alloc(void *arg, size_t len)
{
    struct counted *counted = arg;
    void *memory = arena_alloc(counted->arena, len);
    counted->failed = counted->failed || memory == NULL;
    return memory;
}

static void counted_free(void *arg, void *memory)
{
    (void)arg;
    (void)memory;
}

/* *ret_message is NULL for what another protocol has brought and cannot be decoded. The machine has looked at its depth. */
static int unpack(struct arena *arena, const ProtobufCMessageDescriptor *descriptor, struct slice encoded,
                  ProtobufCMessage **ret_message)
{
    struct counted counted = {.arena = arena};
    ProtobufCAllocator allocator = {.alloc = counted_alloc, .free = counted_free, .allocator_data = &counted};
    *ret_message = protobuf_c_message_unpack(descriptor, &allocator, encoded.len, encoded.data);
    return *ret_message == NULL && counted.failed ? ERR_NOMEM : 0;
}

static struct amqp_bytes text_field(const struct field *field)
{
    return (struct amqp_bytes){field->data, field->len};
}

/* Of a head that cannot be decoded as a whole: its address, which the machine has read. */
static void address_scan(struct slice head, struct amqp_delivered *delivered)
{
    const uint8_t *at = head.data;
    const uint8_t *end = head.data + head.len;
    struct field field;
    while (at < end && field_next(&at, end, &field)) {
        if (field.number == HEAD_EXCHANGE) {
            delivered->exchange = text_field(&field);
        } else if (field.number == HEAD_ROUTING_KEY) {
            delivered->routing_key = text_field(&field);
        }
    }
}

static int decode(struct making *making, struct amqp_delivered *delivered)
{
    const struct gateway_delivery *delivery = making->delivery;
    holdfast__message_head__init(&making->head);
    making->published = &making->head;
    ProtobufCMessage *message = NULL;
    int err = 0;
    if (delivery->head.len > 0) {
        err = unpack(making->arena, &holdfast__message_head__descriptor, delivery->head, &message);
    }
    if (message != NULL) {
        making->published = (const Holdfast__MessageHead *)message;
        making->head = *making->published;
        delivered->exchange = amqp_text(making->head.exchange);
        delivered->routing_key = amqp_text(making->head.routing_key);
    } else if (delivery->head.len > 0) {
        address_scan(delivery->head, delivered);
    }
    message = NULL;
    if (err == 0 && delivery->trail.len > 0) {
        err = unpack(making->arena, &holdfast__trail__descriptor, delivery->trail, &message);
        making->trail = (const Holdfast__Trail *)message;
    }
    return err;
}

/* ---- Headers ---- */

/* Its keys are not its publisher's any more. */
static bool has_other_keys(const struct making *making)
{
    return making->trail != NULL && making->trail->has_address && !making->trail->own_keys;
}

static bool is_kept(const struct making *making, const Holdfast__Header *header)
{
    const char *name = header->name;
    if (strlen(name) > SHORT_STRING_MAX || strcmp(name, "BCC") == 0) {
        return false;
    }
    if (strcmp(name, "CC") == 0) {
        return !has_other_keys(making);
    }
    if (strcmp(name, "x-delivery-count") == 0) {
        return !making->counts;
    }
    return making->trail == NULL || making->trail->n_death == 0 || !amqp_death_replaces(making->published, name);
}

/* The delay that an x-delayed-message exchange has made: negative, so that it is not made again. NULL: as it is. */
static Holdfast__Value *delay_made(struct making *making, const Holdfast__Value *delay)
{
    Holdfast__Value *made = arena_alloc(making->arena, sizeof *made);
    if (made == NULL) {
        return NULL;
    }
    *made = *delay;
    switch (delay->kind_case) {
    case HOLDFAST__VALUE__KIND_INT8: made->int8 = -delay->int8; break;
    case HOLDFAST__VALUE__KIND_INT16: made->int16 = -delay->int16; break;
    case HOLDFAST__VALUE__KIND_INT32: made->int32 = -delay->int32; break;
    case HOLDFAST__VALUE__KIND_INT64: made->int64 = -delay->int64; break;
    case HOLDFAST__VALUE__KIND_UINT8:
        made->kind_case = HOLDFAST__VALUE__KIND_INT16;
        made->int16 = -(int64_t)delay->uint8;
        break;
    case HOLDFAST__VALUE__KIND_UINT16:
        made->kind_case = HOLDFAST__VALUE__KIND_INT32;
        made->int32 = -(int64_t)delay->uint16;
        break;
    case HOLDFAST__VALUE__KIND_UINT32:
        made->kind_case = HOLDFAST__VALUE__KIND_INT64;
        made->int64 = -(int64_t)delay->uint32;
        break;
    default: break;
    }
    return made;
}

static int add_delay(struct making *making, const Holdfast__Header *header)
{
    Holdfast__Header *made = arena_alloc(making->arena, sizeof *made);
    if (made == NULL) {
        return ERR_NOMEM;
    }
    *made = *header;
    made->value = delay_made(making, header->value);
    making->headers[making->headers_len++] = made;
    return made->value == NULL ? ERR_NOMEM : 0;
}

/* How often it came back. */
static int add_delivery_count(struct making *making)
{
    Holdfast__Header *header = arena_alloc(making->arena, sizeof *header);
    Holdfast__Value *value = arena_alloc(making->arena, sizeof *value);
    if (header == NULL || value == NULL) {
        return ERR_NOMEM;
    }
    holdfast__header__init(header);
    holdfast__value__init(value);
    header->name = (char *)(uintptr_t) "x-delivery-count";
    header->value = value;
    value->kind_case = HOLDFAST__VALUE__KIND_INT64;
    value->int64 = making->delivery->delivery_count;
    making->headers[making->headers_len++] = header;
    return 0;
}

static int add_made(struct making *making)
{
    int err = 0;
    if (making->trail != NULL && making->trail->n_death > 0) {
        size_t len = 0;
        err = amqp_death_headers(making->trail, making->published, making->arena, making->headers + making->headers_len,
                                 &len);
        making->headers_len += len;
    }
    return err == 0 && making->counts ? add_delivery_count(making) : err;
}

static bool is_delay(const struct making *making, const Holdfast__Header *header)
{
    return making->head.delay_ms > 0 && strcmp(header->name, "x-delay") == 0 && header->value != NULL;
}

/* With the publisher's or (`own` false) without. */
static int headers_make(struct making *making, bool own)
{
    size_t cap = making->head.n_header + MADE_HEADERS_MAX;
    making->headers = arena_alloc(making->arena, cap * sizeof(Holdfast__Header *));
    making->headers_len = 0;
    int err = making->headers == NULL ? ERR_NOMEM : 0;
    for (size_t i = 0; err == 0 && own && i < making->head.n_header; i++) {
        Holdfast__Header *header = making->head.header[i];
        if (is_delay(making, header)) {
            err = add_delay(making, header);
        } else if (is_kept(making, header)) {
            making->headers[making->headers_len++] = header;
        }
    }
    return err == 0 ? add_made(making) : err;
}

/* ---- Properties ---- */

/* What does not fit a short string of AMQP's is left out. */
static void shorten(char **text)
{
    if (strlen(*text) > SHORT_STRING_MAX) {
        *text = (char *)(uintptr_t)protobuf_c_empty_string;
    }
}

static void strings_fit(Holdfast__MessageHead *head)
{
    char **texts[] = {&head->content_type, &head->content_encoding, &head->correlation_id, &head->reply_to,
                      &head->expiration,   &head->message_id,       &head->type,           &head->user_id,
                      &head->app_id,       &head->cluster_id};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        shorten(texts[i]);
    }
}

/* A time to live and a priority that came by another protocol; the time to live only while it counts. */
static void fill_in(struct making *making, char expiration[21])
{
    Holdfast__MessageHead *head = &making->head;
    if (making->trail != NULL && making->trail->no_ttl) {
        head->expiration = (char *)(uintptr_t)protobuf_c_empty_string;
        head->present &= ~(1u << AMQP_EXPIRATION);
    } else if (head->has_ttl && head->expiration[0] == '\0') {
        (void)snprintf(expiration, 21, "%" PRIu64, head->ttl_ms);
        head->expiration = expiration;
    }
    if (head->priority > 0 && head->wire_priority == 0 && (head->present & 1u << AMQP_PRIORITY) == 0) {
        head->wire_priority = head->priority < 255 ? head->priority : 255;
    }
}

static int encode(struct making *making, bool own, struct bytes *bytes)
{
    int err = headers_make(making, own);
    bytes->len = 0;
    return err != 0 ? err : amqp_properties_encode(&making->head, making->headers, making->headers_len, bytes);
}

static int properties_make(struct making *making, struct bytes *ret_bytes)
{
    char expiration[21];
    int err = bytes_reserve(ret_bytes, 64 + making->delivery->head.len + making->delivery->trail.len);
    if (err != 0) {
        return err;
    }
    strings_fit(&making->head);
    fill_in(making, expiration);
    err = encode(making, true, ret_bytes);
    if (err == ERR_TOO_BIG) { /* A name within a table, of another protocol's. */
        making->head.has_headers = false;
        err = encode(making, false, ret_bytes);
    }
    return err;
}

/* ---- All of it ---- */

/* Where it was published to last; what has no address was published to its queue. */
static void address_find(const struct making *making, const char *queue, struct amqp_delivered *delivered)
{
    if (making->trail != NULL && making->trail->has_address) {
        delivered->exchange = amqp_text(making->trail->exchange);
        delivered->routing_key = amqp_text(making->trail->routing_key);
    } else if (delivered->exchange.len == 0 && delivered->routing_key.len == 0) {
        delivered->routing_key = amqp_text(queue);
    }
}

/* RabbitMQ's quorum queues say 0 in the answer to a get, and nothing in a first delivery. */
static bool counts(const struct amqp_consumer *consumer, const struct gateway_delivery *delivery)
{
    return (consumer->counting == AMQP_COUNT_ALWAYS && consumer->fetch) ||
           (consumer->counting != AMQP_COUNT_NEVER && delivery->delivery_count > 0);
}

int amqp_delivered_make(const struct amqp_consumer *consumer, const struct gateway_delivery *delivery,
                        struct arena *arena, struct amqp_delivered *ret_delivered)
{
    *ret_delivered = (struct amqp_delivered){.arena = arena};
    if (delivery->head.len + delivery->trail.len > LARGE_LEN) {
        arena_init(&ret_delivered->own, UNPACKED_LEN_MAX);
        ret_delivered->arena = &ret_delivered->own;
    }
    struct making making = {.arena = ret_delivered->arena, .delivery = delivery, .counts = counts(consumer, delivery)};
    int err = decode(&making, ret_delivered);
    if (err == 0) {
        address_find(&making, consumer->queue, ret_delivered);
        err = properties_make(&making, &ret_delivered->encoded);
    }
    if (err != 0) {
        amqp_delivered_done(ret_delivered);
        return err;
    }
    ret_delivered->properties = (struct amqp_bytes){ret_delivered->encoded.data, ret_delivered->encoded.len};
    return 0;
}

void amqp_delivered_done(struct amqp_delivered *delivered)
{
    bytes_done(&delivered->encoded);
    if (delivered->arena == &delivered->own) {
        arena_done(&delivered->own);
    } else {
        arena_reset(delivered->arena);
    }
}
