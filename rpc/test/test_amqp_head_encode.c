/* Encoding heads: what protobuf-c makes of them. */

#include "rpc/amqp/amqp_head_encode.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/limits.h"

/* That both encodings are the same. */
static void same(const Holdfast__MessageHead *head)
{
    size_t len = holdfast__message_head__get_packed_size(head);
    uint8_t *expected = malloc(len + 1);
    cr_assert_not_null(expected);
    cr_assert_eq(holdfast__message_head__pack(head, expected), len);
    struct bytes bytes = {0};
    cr_assert_eq(bytes_append(&bytes, "before", 6), 0);
    cr_assert_eq(amqp_head_encode(head, len, &bytes), 0);
    cr_assert_eq(bytes.len, 6 + len);
    cr_assert_eq(memcmp(bytes.data + 6, expected, len), 0);
    if (len > 0) {
        cr_assert_eq(amqp_head_encode(head, len - 1, &bytes), ERR_TOO_BIG);
        cr_assert_eq(bytes.len, 6 + len, "nothing was appended");
    }
    bytes_done(&bytes);
    free(expected);
}

/* Every field of the message by its descriptor: one that is new is not forgotten. */
static void fill(Holdfast__MessageHead *head, const ProtobufCFieldDescriptor *field, const char *text, uint64_t number)
{
    static char *strings[2];
    void *member = (uint8_t *)head + field->offset;
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            strings[0] = (char *)(uintptr_t)text;
            strings[1] = (char *)(uintptr_t) "";
            *(char ***)member = strings;
            *(size_t *)(void *)((uint8_t *)head + field->quantifier_offset) = 2;
        } else {
            *(char **)member = (char *)(uintptr_t)text;
        }
        break;
    case PROTOBUF_C_TYPE_UINT32: *(uint32_t *)member = (uint32_t)number; break;
    case PROTOBUF_C_TYPE_UINT64: *(uint64_t *)member = number; break;
    case PROTOBUF_C_TYPE_BOOL: *(protobuf_c_boolean *)member = number != 0; break;
    case PROTOBUF_C_TYPE_BYTES:
        *(ProtobufCBinaryData *)member = (ProtobufCBinaryData){.len = strlen(text), .data = (uint8_t *)(uintptr_t)text};
        break;
    case PROTOBUF_C_TYPE_MESSAGE: break; /* The headers: below. */
    default: cr_assert_fail("a type that is not expected: %s", field->name);
    }
}

Test(amqp_head_encode, each_field_and_all_of_them)
{
    static char long_text[300];
    memset(long_text, 'x', sizeof long_text - 1);
    const char *const texts[] = {"t", "", "two words", long_text};
    const uint64_t numbers[] = {0, 1, 127, 128, 300, UINT32_MAX, UINT64_MAX};
    const ProtobufCMessageDescriptor *descriptor = &holdfast__message_head__descriptor;
    for (size_t t = 0; t < 4; t++) {
        for (size_t n = 0; n < 7; n++) {
            Holdfast__MessageHead all = HOLDFAST__MESSAGE_HEAD__INIT;
            for (unsigned i = 0; i < descriptor->n_fields; i++) {
                Holdfast__MessageHead one = HOLDFAST__MESSAGE_HEAD__INIT;
                fill(&one, &descriptor->fields[i], texts[t], numbers[n]);
                same(&one);
                fill(&all, &descriptor->fields[i], texts[t], numbers[n]);
            }
            same(&all);
        }
    }
}

Test(amqp_head_encode, headers)
{
    Holdfast__Value values[2] = {HOLDFAST__VALUE__INIT, HOLDFAST__VALUE__INIT};
    values[0].kind_case = HOLDFAST__VALUE__KIND_INT32;
    values[0].int32 = -5;
    static uint8_t text[1000];
    values[1].kind_case = HOLDFAST__VALUE__KIND_STRING;
    values[1].string = (ProtobufCBinaryData){.len = sizeof text, .data = text};
    Holdfast__Header headers[2] = {HOLDFAST__HEADER__INIT, HOLDFAST__HEADER__INIT};
    headers[0].name = (char[]){"number"};
    headers[0].value = &values[0];
    headers[1].name = (char[]){""};
    headers[1].value = &values[1];
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.header = (Holdfast__Header *[]){&headers[0], &headers[1]};
    head.n_header = 2;
    head.exchange = (char[]){"x"};
    head.has_headers = true;
    head.wire_priority = 4;
    same(&head);
}
