/* Delivery tags of a channel, against a plain list. */

#include "rpc/amqp/amqp_unsettled.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct amqp_channel channel;

static void teardown(void)
{
    amqp_unsettled_done(&channel);
    cr_assert_null(channel.unsettled);
}

TestSuite(amqp_unsettled, .fini = teardown);

/* What was taken out, in order. */
static struct amqp_unsettled_one taken[4096];
static size_t taken_len;

static void take(void *arg, const struct amqp_unsettled_one *one)
{
    (void)arg;
    cr_assert_lt(taken_len, sizeof taken / sizeof taken[0]);
    taken[taken_len++] = *one;
}

static int take_out(uint64_t tag, bool multiple)
{
    taken_len = 0;
    return amqp_unsettled_take(&channel, tag, multiple, NULL, take);
}

/* The delivery of number 100 + tag, of consumer 7. */
static void add(unsigned len)
{
    for (unsigned i = 0; i < len; i++) {
        cr_assert_eq(amqp_unsettled_add(&channel, 7, 100 + channel.last_tag + 1), 0);
        channel.last_tag++;
    }
}

Test(amqp_unsettled, one_by_one)
{
    add(3);
    cr_assert_eq(take_out(2, false), 0);
    cr_assert_eq(taken_len, 1u);
    cr_assert_eq(taken[0].tag, 2u);
    cr_assert_eq(taken[0].consumer, 7u);
    cr_assert_eq(taken[0].number, 102u);
    cr_assert_eq(take_out(2, false), ERR_NOT_FOUND, "taken twice");
    cr_assert_eq(take_out(2, true), ERR_NOT_FOUND, "what was taken is no end of a range");
    cr_assert_eq(take_out(0, false), ERR_NOT_FOUND);
    cr_assert_eq(take_out(4, false), ERR_NOT_FOUND);
    cr_assert_eq(take_out(4, true), ERR_NOT_FOUND);
    cr_assert_eq(taken_len, 0u);
    cr_assert_eq(channel.unsettled->len, 2u);
    cr_assert_eq(take_out(3, true), 0);
    cr_assert_eq(taken_len, 2u);
    cr_assert_eq(taken[0].tag, 1u);
    cr_assert_eq(taken[1].tag, 3u);
}

Test(amqp_unsettled, all_of_none_is_no_error)
{
    cr_assert_eq(take_out(0, true), 0);
    cr_assert_eq(take_out(1, true), ERR_NOT_FOUND);
    add(5);
    cr_assert_eq(take_out(0, true), 0);
    cr_assert_eq(taken_len, 5u);
    cr_assert_eq(take_out(0, true), 0);
    cr_assert_eq(taken_len, 0u);
}

/* As many places as are needed, whatever stays at the front. */
Test(amqp_unsettled, memory_is_bounded_by_what_is_unsettled)
{
    add(1);
    for (unsigned i = 0; i < 10000; i++) {
        add(1);
        cr_assert_eq(take_out(channel.last_tag, false), 0);
    }
    cr_assert_eq(channel.unsettled->len, 1u);
    cr_assert_leq(channel.unsettled->cap, 16u);
    cr_assert_eq(take_out(1, false), 0);
    cr_assert_eq(taken[0].number, 101u);
}

Test(amqp_unsettled, what_was_much_is_given_back)
{
    add(4000);
    cr_assert_geq(channel.unsettled->cap, 4000u);
    cr_assert_eq(take_out(4000, true), 0);
    cr_assert_eq(channel.unsettled->cap, 0u);
    add(1);
    cr_assert_eq(take_out(4001, false), 0);
}

Test(amqp_unsettled, put_back_in_their_order)
{
    add(6);
    cr_assert_eq(take_out(2, false), 0);
    cr_assert_eq(take_out(5, false), 0);
    const struct amqp_unsettled_one back[] = {
        {.tag = 2, .consumer = 7, .number = 102},
        {.tag = 5, .consumer = 7, .number = 105},
    };
    add(1);
    cr_assert_eq(amqp_unsettled_put_back(&channel, back, 2), 0);
    cr_assert_eq(channel.unsettled->len, 7u);
    cr_assert_eq(take_out(0, true), 0);
    cr_assert_eq(taken_len, 7u);
    for (unsigned i = 0; i < 7; i++) {
        cr_assert_eq(taken[i].tag, i + 1u);
        cr_assert_eq(taken[i].number, i + 101u);
    }
    cr_assert_eq(amqp_unsettled_put_back(&channel, back, 2), 0, "to none");
    cr_assert_eq(take_out(5, true), 0);
    cr_assert_eq(taken_len, 2u);
}

/* As a transaction that has become too large. */
static void take_and_close(void *arg, const struct amqp_unsettled_one *one)
{
    take(arg, one);
    if (taken_len == 2) {
        amqp_unsettled_done(&channel);
    }
}

Test(amqp_unsettled, the_channel_closes_in_the_middle)
{
    add(5);
    cr_assert_eq(amqp_unsettled_take(&channel, 4, true, NULL, take_and_close), 0);
    cr_assert_eq(taken_len, 2u);
    cr_assert_null(channel.unsettled);
}

Test(amqp_unsettled, what_the_client_has)
{
    cr_assert_not(amqp_unsettled_has(&channel, 7, 101));
    add(3);
    cr_assert(amqp_unsettled_has(&channel, 7, 102));
    cr_assert_not(amqp_unsettled_has(&channel, 8, 102));
    cr_assert_eq(take_out(2, false), 0);
    cr_assert_not(amqp_unsettled_has(&channel, 7, 102));
}

/* ---- At random, with a plain array beside it ---- */

#define TAGS 3000u

static bool is_out[TAGS + 1];

static void expect_taken(uint64_t tag, bool multiple)
{
    size_t at = 0;
    for (uint64_t i = multiple ? 1 : tag; i <= tag; i++) {
        if (is_out[i]) {
            cr_assert_lt(at, taken_len);
            cr_assert_eq(taken[at].tag, i);
            cr_assert_eq(taken[at].number, 100 + i);
            is_out[i] = false;
            at++;
        }
    }
    cr_assert_eq(at, taken_len);
}

static void take_at_random(unsigned *seed)
{
    uint64_t tag = 1 + (uint64_t)rand_r(seed) % (channel.last_tag + 1);
    bool multiple = rand_r(seed) % 16 == 0;
    bool known = tag <= channel.last_tag && is_out[tag];
    if (multiple && rand_r(seed) % 4 == 0) {
        cr_assert_eq(take_out(0, true), 0);
        expect_taken(channel.last_tag, true);
        return;
    }
    cr_assert_eq(take_out(tag, multiple), known ? 0 : ERR_NOT_FOUND, "tag %u", (unsigned)tag);
    if (known) {
        expect_taken(tag, multiple);
    }
}

Test(amqp_unsettled, as_a_plain_list)
{
    for (unsigned seed = 1; seed <= 20; seed++) {
        unsigned random = seed;
        channel.last_tag = 0;
        while (channel.last_tag < TAGS) {
            if (rand_r(&random) % 2 == 0) {
                add(1);
                is_out[channel.last_tag] = true;
            } else {
                take_at_random(&random);
            }
        }
        cr_assert_eq(take_out(0, true), 0);
        expect_taken(TAGS, true);
        amqp_unsettled_done(&channel);
    }
}
