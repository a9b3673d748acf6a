/* Publish: checks, producers that number their messages, bodies. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "fixture.h"
#include "proto/base/fault.h"
#include "proto/base/limits.h"

static void setup(struct fixture *f, struct client *a)
{
    fixture_init(f);
    client_attach(f, a, 1, false);
    cr_assert_eq(client_declare(f, a, "q").error, 0);
}

/* The log has it whole still: whoever finds this begins anew from there. */
Test(publish, a_body_that_is_damaged_in_memory_is_not_given_out)
{
    struct fixture f;
    struct client a;
    setup(&f, &a);
    cr_assert_eq(client_publish(&f, &a, "q", NULL, 1, 1).error, 0);
    struct slice body;
    cr_assert_eq(machine_body(f.machine, 1, 1, &body), 0);
    uint8_t *byte = (uint8_t *)(uintptr_t)body.data + 1;
    slice_unref(&body);
    *byte ^= 0x10;
    cr_assert_eq(machine_body(f.machine, 1, 1, &body), ERR_CHECKSUM);
    *byte ^= 0x10;
    cr_assert_eq(machine_body(f.machine, 1, 1, &body), 0);
    slice_unref(&body);
    fixture_done(&f);
}

Test(publish, is_refused_as_a_whole)
{
    struct fixture f;
    struct client a;
    setup(&f, &a);
    uint32_t lens[2] = {2, 3};
    uint64_t hashes[3] = {XXH3_64bits("ab", 2), XXH3_64bits("cde", 3), 0};
    Holdfast__Publish publish = HOLDFAST__PUBLISH__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
    command.publish = &publish;
    publish.queue = (char[]){"q"};
    cr_assert_eq(client_command(&f, &a, &command, NULL, 0).error, E(INVALID), "no messages");
    publish.n_body_len = 2;
    publish.body_len = lens;
    publish.n_body_hash = 3;
    publish.body_hash = hashes;
    cr_assert_eq(client_command(&f, &a, &command, "abcde", 5).error, E(INVALID), "a hash too many");
    publish.n_body_hash = 2;
    cr_assert_eq(client_command(&f, &a, &command, "abcd", 4).error, E(INVALID), "a byte too few");
    cr_assert_eq(client_command(&f, &a, &command, "abcdef", 6).error, E(INVALID), "a byte too many");
    cr_assert_eq(client_command(&f, &a, &command, "abcdX", 5).error, E(CHECKSUM));
    lens[0] = BODY_LEN_MAX + 1;
    cr_assert_eq(client_command(&f, &a, &command, "abcde", 5).error, E(TOO_BIG));
    lens[0] = 2;
    publish.producer = (char[]){"a\x01"};
    publish.first_sequence = 1;
    cr_assert_eq(client_command(&f, &a, &command, "abcde", 5).error, E(NAME));
    publish.producer = (char[]){"p"};
    publish.first_sequence = 0;
    a.answered = a.number; /* Otherwise it fails for what failed before it. */
    cr_assert_eq(client_command(&f, &a, &command, "abcde", 5).error, E(INVALID));
    a.answered = a.number;
    publish.first_sequence = UINT64_MAX - 1;
    cr_assert_eq(client_command(&f, &a, &command, "abcde", 5).error, E(INVALID));
    cr_assert_eq(fixture_queue(&f, "q").ready, 0u);
    a.answered = a.number;
    publish.first_sequence = 1;
    cr_assert_eq(client_command(&f, &a, &command, "abcde", 5).count, 2u);
    cr_assert_eq(fixture_queue(&f, "q").ready, 2u);
    fixture_done(&f);
}

Test(publish, more_messages_than_the_limit_are_refused)
{
    struct fixture f;
    struct client a;
    setup(&f, &a);
    cr_assert_eq(client_publish(&f, &a, "q", "", 1, PUBLISH_MESSAGES_MAX + 1).error, E(INVALID));
    cr_assert_eq(client_publish(&f, &a, "q", "", 1, PUBLISH_MESSAGES_MAX).count, PUBLISH_MESSAGES_MAX);
    fixture_done(&f);
}

Test(publish, a_producer_enqueues_each_sequence_once)
{
    struct fixture f;
    struct client a;
    setup(&f, &a);
    cr_assert_eq(client_publish(&f, &a, "q", "p", 1, 10).count, 10u);
    struct effect_reply reply = client_publish(&f, &a, "q", "p", 5, 10);
    cr_assert_eq(reply.count, 4u);
    cr_assert_eq(reply.repeated_count, 6u);
    fixture_reopen(&f);
    reply = client_publish(&f, &a, "q", "p", 1, 14);
    cr_assert_eq(reply.count, 0u);
    cr_assert_eq(reply.repeated_count, 14u);
    cr_assert_eq(client_publish(&f, &a, "q", "other", 1, 2).count, 2u);
    cr_assert_eq(client_publish(&f, &a, "q", "p", 15, 1).count, 1u);
    fixture_crash(&f);
    client_attach(&f, &a, 1, false);
    cr_assert_eq(client_publish(&f, &a, "q", "p", 15, 1).count, 1u, "what was after the checkpoint is not there");
    cr_assert_eq(fixture_queue(&f, "q").ready, 15u);
    fixture_done(&f);
}

Test(publish, the_sequence_check_is_what_prevents_repeats)
{
    struct fixture f;
    struct client a;
    setup(&f, &a);
    client_publish(&f, &a, "q", "p", 1, 10);
    fault_set(FAULT_SKIP_PRODUCER_CHECK, true);
    cr_assert_eq(client_publish(&f, &a, "q", "p", 1, 10).count, 10u);
    fault_reset();
    fixture_done(&f);
}

Test(publish, more_producers_than_the_cache_are_remembered)
{
    struct fixture f;
    struct client a;
    setup(&f, &a);
    char name[32];
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 20000; i++) {
            (void)snprintf(name, sizeof name, "producer-%u", i);
            cr_assert_eq(client_publish(&f, &a, "q", name, 1, 1).count, round == 0 ? 1u : 0u);
        }
        fixture_reopen(&f);
    }
    cr_assert_eq(fixture_queue(&f, "q").ready, 20000u);
    fixture_done(&f);
}

Test(publish, bodies_are_found_in_memory_and_in_the_store)
{
    struct fixture f;
    struct client a;
    struct slice body;
    setup(&f, &a);
    client_publish(&f, &a, "q", "", 1, 3);
    for (int round = 0; round < 2; round++) {
        for (uint64_t position = 1; position <= 3; position++) {
            char expected[8];
            (void)snprintf(expected, sizeof expected, "m%u", (unsigned)position);
            cr_assert_eq(machine_body(f.machine, 1, position, &body), 0);
            cr_assert_eq(body.len, 2u);
            cr_assert_eq(memcmp(body.data, expected, 2), 0);
            slice_unref(&body);
        }
        cr_assert_eq(machine_body(f.machine, 1, 0, &body), ERR_NOT_FOUND);
        cr_assert_eq(machine_body(f.machine, 1, 4, &body), ERR_NOT_FOUND);
        cr_assert_eq(machine_body(f.machine, 2, 1, &body), ERR_NOT_FOUND);
        fixture_reopen(&f);
        cr_assert_eq(machine_overlay_bytes(f.machine), 0u);
    }
    fixture_done(&f);
}

Test(publish, a_settled_body_is_not_found_wherever_it_was)
{
    struct fixture f;
    struct client a;
    struct slice body;
    setup(&f, &a);
    client_publish(&f, &a, "q", "", 1, 3);
    fixture_reopen(&f);
    client_subscribe(&f, &a, "q", 1, 10);
    cr_assert_eq(machine_body(f.machine, 1, 2, &body), 0);
    slice_unref(&body);
    client_settle(&f, &a, 1, ACCEPT, 2, 2);
    cr_assert_eq(machine_body(f.machine, 1, 2, &body), ERR_NOT_FOUND);
    fixture_checkpoint(&f);
    cr_assert_eq(machine_body(f.machine, 1, 2, &body), ERR_NOT_FOUND);
    client_publish(&f, &a, "q", "", 4, 2);
    client_settle(&f, &a, 1, ACCEPT, 4, 4);
    cr_assert_eq(machine_body(f.machine, 1, 4, &body), ERR_NOT_FOUND);
    cr_assert_eq(machine_body(f.machine, 1, 5, &body), 0);
    slice_unref(&body);
    fixture_reopen(&f);
    cr_assert_eq(machine_body(f.machine, 1, 4, &body), ERR_NOT_FOUND);
    fixture_done(&f);
}
