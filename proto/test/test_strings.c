/* Strings with zero bytes are found wherever they are in a message, and nothing else is complained about. */

#include "proto/wire/strings.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "proto/wire/command.pb-c.h"

static bool whole(const Holdfast__Command *command, char find, char put)
{
    uint8_t packed[512];
    size_t len = holdfast__command__pack(command, packed);
    uint8_t *at = memchr(packed, find, len);
    if (find != 0) {
        cr_assert_not_null(at);
        *at = (uint8_t)put;
    }
    return message_strings_are_whole(&holdfast__command__descriptor, packed, len);
}

Test(strings, a_zero_byte_in_a_string_of_an_inner_message_is_found)
{
    Holdfast__Publish publish = HOLDFAST__PUBLISH__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    uint32_t lens[] = {0, 0, 0};
    uint64_t hashes[] = {0, 0, 0};
    command.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
    command.publish = &publish;
    publish.queue = (char[]){"orders~eu"};
    publish.producer = (char[]){"p|q"};
    publish.n_body_len = publish.n_body_hash = 3;
    publish.body_len = lens;
    publish.body_hash = hashes;
    cr_assert(whole(&command, 0, 0), "zero bytes in numbers are fine");
    cr_assert_not(whole(&command, '~', 0));
    cr_assert_not(whole(&command, '|', 0));
    cr_assert(whole(&command, '|', '!'));
}

Test(strings, zero_bytes_in_byte_strings_are_fine)
{
    Holdfast__AttachSession attach = HOLDFAST__ATTACH_SESSION__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    uint8_t key[16] = {0};
    command.kind_case = HOLDFAST__COMMAND__KIND_ATTACH_SESSION;
    command.attach_session = &attach;
    attach.key.data = key;
    attach.key.len = sizeof key;
    cr_assert(whole(&command, 0, 0));
}

Test(strings, what_is_no_message_is_refused_within_its_bounds)
{
    uint8_t bytes[64];
    for (unsigned seed = 0; seed < 20000; seed++) {
        unsigned state = seed * 2654435761u + 1;
        for (size_t i = 0; i < sizeof bytes; i++) {
            state = state * 1664525u + 1013904223u;
            bytes[i] = (uint8_t)(state >> 24);
        }
        uint8_t *exact = malloc(seed % sizeof bytes + 1); /* So that a sanitizer sees a read beyond. */
        memcpy(exact, bytes, seed % sizeof bytes + 1);
        (void)message_strings_are_whole(&holdfast__command__descriptor, exact, seed % sizeof bytes + 1);
        free(exact);
    }
    const uint8_t lies[] = {0x22, 0xff, 0xff, 0xff, 0xff, 0x7f};
    cr_assert_not(message_strings_are_whole(&holdfast__command__descriptor, lies, sizeof lies));
}
