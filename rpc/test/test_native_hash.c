/* Bodies that were damaged on the way are noticed when they arrive. */

#include "rpc/native/native_hash.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/err.h"
#include "proto/wire/command.pb-c.h"

#define BODIES 3u

static struct slice slice_of(const void *data, size_t len)
{
    return (struct slice){.data = data, .len = len};
}

/* A publish of "one", nothing, and 300 bytes; returns its length. */
static size_t publish_encode(uint8_t out[256], uint8_t bodies[303])
{
    uint32_t lens[BODIES] = {3, 0, 300};
    uint64_t hashes[BODIES];
    memcpy(bodies, "one", 3);
    memset(bodies + 3, 'x', 300);
    hashes[0] = XXH3_64bits(bodies, 3);
    hashes[1] = XXH3_64bits(NULL, 0);
    hashes[2] = XXH3_64bits(bodies + 3, 300);
    char queue[] = "q";
    char producer[] = "p";
    Holdfast__Publish publish = HOLDFAST__PUBLISH__INIT;
    publish.queue = queue;
    publish.producer = producer;
    publish.first_sequence = 7;
    publish.n_body_len = BODIES;
    publish.body_len = lens;
    publish.n_body_hash = BODIES;
    publish.body_hash = hashes;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
    command.publish = &publish;
    return holdfast__command__pack(&command, out);
}

Test(native_hash, a_flipped_bit_of_any_body_is_noticed)
{
    uint8_t command[256];
    uint8_t bodies[303];
    size_t len = publish_encode(command, bodies);
    cr_assert(native_hash_matches(slice_of(command, len), slice_of(bodies, sizeof bodies)));
    for (size_t bit = 0; bit < 8 * sizeof bodies; bit++) {
        bodies[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cr_assert_not(native_hash_matches(slice_of(command, len), slice_of(bodies, sizeof bodies)));
        bodies[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    cr_assert(native_hash_matches(slice_of(command, len), slice_of(bodies, sizeof bodies)));
}

/* Nothing is read beyond its end, and what does not make sense is the machine's to refuse. */
Test(native_hash, any_damage_of_the_command_is_harmless)
{
    uint8_t command[256];
    uint8_t bodies[303];
    size_t len = publish_encode(command, bodies);
    uint8_t *copy = malloc(len);
    uint8_t *body = malloc(sizeof bodies);
    cr_assert(copy != NULL && body != NULL);
    memcpy(body, bodies, sizeof bodies);
    for (size_t bit = 0; bit < 8 * len; bit++) {
        memcpy(copy, command, len);
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        (void)native_hash_matches(slice_of(copy, len), slice_of(body, sizeof bodies));
    }
    free(copy);
    for (size_t cut = 0; cut < len; cut++) {
        copy = malloc(cut > 0 ? cut : 1);
        cr_assert_not_null(copy);
        memcpy(copy, command, cut);
        cr_assert(native_hash_matches(slice_of(copy, cut), slice_of(body, sizeof bodies)), "it is no publish");
        free(copy);
    }
    free(body);
}

#define MATCHES(bytes, body) native_hash_matches(slice_of(bytes, sizeof(bytes) - 1), slice_of(body, sizeof(body) - 1))

/* 0x32 is Command.publish, 0x12 its lengths packed, 0x1a its hashes packed. None of the hashes is right. */
Test(native_hash, what_is_not_as_clients_make_it_is_for_the_machine)
{
    cr_assert_not(MATCHES("\x32\x0d\x12\x01\x02\x1a\x08zzzzzzzz", "ab"));
    cr_assert(MATCHES("\x32\x0d\x12\x01\x03\x1a\x08zzzzzzzz", "ab"), "longer than what is there");
    cr_assert(MATCHES("\x32\x0c\x10\x02\x1a\x08zzzzzzzz", "ab"), "not packed");
    cr_assert(MATCHES("\x32\x0f\x10\x02\x12\x01\x02\x1a\x08zzzzzzzz", "ab"), "in two pieces");
    cr_assert(MATCHES("\x32\x0d\x12\x01\x02\x1a\x08zzzzzzzz\x32\x02\x10\x01", "ab"), "a publish that is merged");
    cr_assert(MATCHES("\x32\x0c\x12\x01\x02\x1a\x07zzzzzzz", "ab"), "less than a hash");
    cr_assert(MATCHES("\x32\x0d\x12\x01\x02\x1a\x08zzzzzzzz\x33", "ab"), "malformed behind it");
    cr_assert(MATCHES("\x22\x0d\x12\x01\x02\x1a\x08zzzzzzzz", "ab"), "no publish");
    cr_assert(MATCHES("", ""));
}

Test(native_hash, what_stands_for_a_command_is_a_refusal)
{
    struct slice refused = native_hash_refused();
    Holdfast__Command *command = holdfast__command__unpack(NULL, refused.len, refused.data);
    cr_assert_not_null(command);
    cr_assert_eq(command->kind_case, HOLDFAST__COMMAND__KIND_REFUSED);
    cr_assert_eq(command->refused->error, (uint32_t)-ERR_CHECKSUM);
    holdfast__command__free_unpacked(command, NULL);
}
