/* Made-up messages: see the header. */

#include "fuzz_entry_message.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/bytes.h"
#include "proto/base/check.h"

#define DEPTH_MAX 6u
#define REPEATED_MAX 4u

uint64_t fuzz_random_next(struct fuzz_random *random)
{
    random->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t mixed = random->state;
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ mixed >> 31;
}

uint64_t fuzz_random_below(struct fuzz_random *random, uint64_t below)
{
    return fuzz_random_next(random) % below;
}

static bool chance(struct fuzz_random *random, unsigned of)
{
    return fuzz_random_below(random, of) == 0;
}

static void *allocate(size_t len)
{
    void *pointer = calloc(1, len > 0 ? len : 1);
    CHECK(pointer != NULL);
    return pointer;
}

/* Which names a field may have: few, so that commands meet. */
static const char *random_text(struct fuzz_random *random, const char *field)
{
    static const char *const queues[] = {"q", "r", "d", "q", "r", "d", "s", "", "\xff"};
    static const char *const exchanges[] = {"", "e", "f", "amq.topic", "amq.headers", "amq.fanout", "amq.direct", "x"};
    static const char *const keys[] = {"q", "r", "d", "a.b", "a.*", "#", "", "a.#.b", "*"};
    static const char *const hosts[] = {"", "/", "", "v"};
    static const char *const others[] = {"1", "2", "3", "", "all", "any", "x-match"};
#define PICK(texts) ((texts)[fuzz_random_below(random, ARRAY_LEN(texts))])
    if (strcmp(field, "queue") == 0 || strcmp(field, "to") == 0 || strcmp(field, "from") == 0) {
        return PICK(queues);
    }
    if (strstr(field, "exchange") != NULL || strcmp(field, "source") == 0 || strcmp(field, "alternate") == 0) {
        return PICK(exchanges);
    }
    if (strstr(field, "key") != NULL) {
        return PICK(keys);
    }
    return strcmp(field, "virtual_host") == 0 ? PICK(hosts) : PICK(others);
#undef PICK
}

static char *random_string(struct fuzz_random *random, const char *field)
{
    const char *text = random_text(random, field);
    char *copy = allocate(strlen(text) + 1);
    memcpy(copy, text, strlen(text));
    return copy;
}

static uint64_t random_number(struct fuzz_random *random, const char *field)
{
    static const uint64_t odd[] = {
        0, 255, 256, 1024, 1025, 65536, UINT32_MAX, UINT64_C(1) << 56, (uint64_t)INT64_MAX, UINT64_MAX};
    if (chance(random, 32)) {
        return odd[fuzz_random_below(random, ARRAY_LEN(odd))];
    }
    if (strcmp(field, "consumer") == 0) {
        return 1 + fuzz_random_below(random, 2);
    }
    if (strcmp(field, "version") == 0 || strcmp(field, "node") == 0 || strcmp(field, "run") == 0) {
        return 1 + fuzz_random_below(random, 2);
    }
    bool long_one = strstr(field, "_ms") != NULL && chance(random, 4);
    return fuzz_random_below(random, long_one ? 200 : 12);
}

static size_t element_size(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE: return sizeof(uint64_t);
    case PROTOBUF_C_TYPE_BOOL: return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_STRING: return sizeof(char *);
    case PROTOBUF_C_TYPE_BYTES: return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_MESSAGE: return sizeof(ProtobufCMessage *);
    default: return sizeof(uint32_t);
    }
}

static ProtobufCMessage *message_new(struct fuzz_random *random, const ProtobufCMessageDescriptor *descriptor,
                                     unsigned depth);

/* A session's key is one of few, everything else is short. */
static ProtobufCBinaryData random_bytes(struct fuzz_random *random, const char *field)
{
    ProtobufCBinaryData bytes = {.len = strcmp(field, "key") == 0 ? 16 : fuzz_random_below(random, 5)};
    bytes.data = allocate(bytes.len);
    if (bytes.len > 0) {
        bytes.data[0] = (uint8_t)(1 + fuzz_random_below(random, 3));
    }
    return bytes;
}

static void element_fill(struct fuzz_random *random, const ProtobufCFieldDescriptor *field, void *element,
                         unsigned depth)
{
    uint64_t number;
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING: *(char **)element = random_string(random, field->name); break;
    case PROTOBUF_C_TYPE_BYTES: *(ProtobufCBinaryData *)element = random_bytes(random, field->name); break;
    case PROTOBUF_C_TYPE_MESSAGE:
        *(ProtobufCMessage **)element = message_new(random, field->descriptor, depth + 1);
        break;
    case PROTOBUF_C_TYPE_BOOL: *(protobuf_c_boolean *)element = (protobuf_c_boolean)fuzz_random_below(random, 2); break;
    case PROTOBUF_C_TYPE_ENUM: *(int32_t *)element = (int32_t)fuzz_random_below(random, 8); break;
    case PROTOBUF_C_TYPE_FLOAT: *(float *)element = (float)fuzz_random_below(random, 3); break;
    case PROTOBUF_C_TYPE_DOUBLE: *(double *)element = (double)fuzz_random_below(random, 3); break;
    default:
        number = random_number(random, field->name);
        if (element_size(field) == sizeof number) {
            memcpy(element, &number, sizeof number);
        } else {
            memcpy(element, &(uint32_t){(uint32_t)number}, sizeof(uint32_t));
        }
        break;
    }
}

static void element_free(const ProtobufCFieldDescriptor *field, void *element)
{
    if (field->type == PROTOBUF_C_TYPE_STRING && *(char **)element != field->default_value) {
        free(*(char **)element);
    } else if (field->type == PROTOBUF_C_TYPE_BYTES) {
        free(((ProtobufCBinaryData *)element)->data);
    } else if (field->type == PROTOBUF_C_TYPE_MESSAGE && *(ProtobufCMessage **)element != NULL) {
        protobuf_c_message_free_unpacked(*(ProtobufCMessage **)element, NULL);
    }
}

static void *member(ProtobufCMessage *message, unsigned offset)
{
    return (uint8_t *)message + offset;
}

static void field_clear(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    uint8_t *at = member(message, field->offset);
    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        element_free(field, at);
        return;
    }
    size_t *len = member(message, field->quantifier_offset);
    uint8_t **items = (uint8_t **)(void *)at;
    for (size_t i = 0; i < *len; i++) {
        element_free(field, *items + i * element_size(field));
    }
    free(*items);
    *items = NULL;
    *len = 0;
}

/* Of a oneof, what is set now goes. */
static void oneof_clear(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    uint32_t *which = member(message, field->quantifier_offset);
    const ProtobufCFieldDescriptor *now = protobuf_c_message_descriptor_get_field(message->descriptor, *which);
    if (now != NULL) {
        field_clear(message, now);
    }
    memset(member(message, field->offset), 0, element_size(field));
    *which = field->id;
}

static void field_set(struct fuzz_random *random, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                      unsigned depth)
{
    if (field->type == PROTOBUF_C_TYPE_MESSAGE && depth >= DEPTH_MAX) {
        return;
    }
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        field_clear(message, field);
        size_t len = fuzz_random_below(random, REPEATED_MAX);
        uint8_t *items = allocate(len * element_size(field));
        for (size_t i = 0; i < len; i++) {
            element_fill(random, field, items + i * element_size(field), depth);
        }
        *(uint8_t **)member(message, field->offset) = items;
        *(size_t *)member(message, field->quantifier_offset) = len;
        return;
    }
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
        oneof_clear(message, field);
    } else {
        field_clear(message, field);
    }
    element_fill(random, field, member(message, field->offset), depth);
}

static bool is_oneof(const ProtobufCFieldDescriptor *field)
{
    return (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
}

static ProtobufCMessage *message_new(struct fuzz_random *random, const ProtobufCMessageDescriptor *descriptor,
                                     unsigned depth)
{
    ProtobufCMessage *message = allocate(descriptor->sizeof_message);
    protobuf_c_message_init(descriptor, message);
    /* Few options at a time, of messages that have many fields; names always. */
    unsigned sparse = descriptor->n_fields > 12 ? 6 : 2;
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        bool always = field->type == PROTOBUF_C_TYPE_STRING && depth <= 1;
        if (!is_oneof(field) && (always || field->type == PROTOBUF_C_TYPE_MESSAGE || chance(random, sparse))) {
            field_set(random, message, field, depth);
        }
    }
    if (descriptor->n_fields == 0) {
        return message;
    }
    const ProtobufCFieldDescriptor *one = &descriptor->fields[fuzz_random_below(random, descriptor->n_fields)];
    if (is_oneof(one)) {
        field_set(random, message, one, depth);
    }
    return message;
}

ProtobufCMessage *fuzz_message_new(struct fuzz_random *random, const ProtobufCMessageDescriptor *descriptor)
{
    return message_new(random, descriptor, 0);
}

/* The message that the field holds, or one of them; NULL: it holds none. */
static ProtobufCMessage *field_inner(struct fuzz_random *random, ProtobufCMessage *message,
                                     const ProtobufCFieldDescriptor *field)
{
    if (field->type != PROTOBUF_C_TYPE_MESSAGE) {
        return NULL;
    }
    if (is_oneof(field) && *(uint32_t *)member(message, field->quantifier_offset) != field->id) {
        return NULL;
    }
    if (field->label != PROTOBUF_C_LABEL_REPEATED) {
        return *(ProtobufCMessage **)member(message, field->offset);
    }
    size_t len = *(size_t *)member(message, field->quantifier_offset);
    ProtobufCMessage **items = *(ProtobufCMessage ***)member(message, field->offset);
    return len == 0 ? NULL : items[fuzz_random_below(random, len)];
}

/* Goes down into messages three times of four: fields of a command's kind are what there is most to say about. */
void fuzz_message_change(struct fuzz_random *random, ProtobufCMessage *message)
{
    unsigned depth = 0;
    for (bool down = true; down;) {
        ProtobufCMessage *inner = NULL;
        unsigned first = (unsigned)fuzz_random_below(random, message->descriptor->n_fields);
        for (unsigned i = 0; i < message->descriptor->n_fields && inner == NULL; i++) {
            unsigned nth = (first + i) % message->descriptor->n_fields;
            inner = field_inner(random, message, &message->descriptor->fields[nth]);
        }
        down = inner != NULL && inner->descriptor->n_fields > 0 && !chance(random, 4);
        message = down ? inner : message;
        depth += down ? 1 : 0;
    }
    unsigned nth = (unsigned)fuzz_random_below(random, message->descriptor->n_fields);
    field_set(random, message, &message->descriptor->fields[nth], depth);
}
