/* How much streams may have queued, each and together. On real sockets. */

#include <criterion/criterion.h>

#include "net_fixture.h"
#include "proto/base/check.h"
#include "proto/base/limits.h"
#include "rpc/memory_budget.h"

#define LARGE_LEN (4 * MIB)

/* Streams whose peers read nothing until they are told to. */
struct fixture {
    struct memory_budget budget;
    struct pair pairs[3];
    unsigned len;
};

static void fixture_open(struct fixture *f, unsigned len, uint64_t stall_timeout_ms)
{
    f->len = len;
    memory_budget_init(&f->budget, LARGE_LEN);
    struct stream_options options = {
        .send_budget = &f->budget, .queue_high = 8 * MIB, .stall_timeout_ms = stall_timeout_ms};
    for (unsigned i = 0; i < len; i++) {
        pair_open(&f->pairs[i], &options, NULL);
        stream_established(f->pairs[i].a.stream);
        stream_established(f->pairs[i].b.stream);
        stream_hold(f->pairs[i].b.stream, true);
    }
}

static void fixture_close(struct fixture *f)
{
    for (unsigned i = 0; i < f->len; i++) {
        pair_close(&f->pairs[i]);
    }
    cr_assert_eq(f->budget.used, 0u);
    cr_assert_eq(f->budget.holders, 0u);
}

static void turn(struct fixture *f)
{
    for (unsigned i = 0; i < f->len; i++) {
        uv_run(&f->pairs[i].loop, UV_RUN_NOWAIT);
    }
}

static void turn_for(struct fixture *f, uint64_t ms)
{
    uint64_t end = uv_hrtime() + ms * 1000000;
    while (uv_hrtime() < end) {
        turn(f);
    }
}

/* So much that the sockets do not take all of it. */
static void send_large(struct fixture *f, unsigned i)
{
    struct frame_out frame = test_frame(1, 0, 2 * LARGE_LEN, 1, 1);
    cr_assert_eq(stream_send(f->pairs[i].a.stream, &frame), 0);
    turn_for(f, 20);
    cr_assert_gt(stream_queued_bytes(f->pairs[i].a.stream), STREAM_SHARE_HIGH);
}

static bool admits(struct fixture *f, unsigned i, size_t len)
{
    return stream_admits(f->pairs[i].a.stream, len);
}

static void expect_congested(struct fixture *f, unsigned i, bool congested)
{
    uint64_t end = uv_hrtime() + UINT64_C(10000000000);
    while (uv_hrtime() < end && f->pairs[i].a.congested_count == 0) {
        turn(f);
    }
    cr_assert_eq(f->pairs[i].a.congested_count, 1u);
    cr_assert_eq(f->pairs[i].a.congested, congested);
    f->pairs[i].a.congested_count = 0;
}

Test(stream_congestion, a_large_frame_waits_for_room_in_what_all_share)
{
    struct fixture f = {0};
    fixture_open(&f, 2, 0);
    cr_assert(admits(&f, 0, LARGE_LEN));
    send_large(&f, 0);
    cr_assert_not(admits(&f, 1, LARGE_LEN));
    stream_hold(f.pairs[0].b.stream, false);
    expect_congested(&f, 1, false);
    cr_assert(admits(&f, 1, LARGE_LEN), "it was granted, and is still there");
    fixture_close(&f);
}

/* What is gathered for a frame is in nobody's queue yet. */
Test(stream_congestion, what_is_admitted_counts_until_it_is_queued)
{
    struct fixture f = {0};
    fixture_open(&f, 2, 0);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert(admits(&f, 0, LARGE_LEN / 4));
    }
    cr_assert_eq(f.budget.used, 3 * LARGE_LEN / 4);
    cr_assert_not(admits(&f, 1, LARGE_LEN / 2));
    struct frame_out frame = test_frame(1, 0, 100, 1, 1);
    cr_assert_eq(stream_send(f.pairs[0].a.stream, &frame), 0);
    cr_assert_lt(f.budget.used, LARGE_LEN, "it was less than was said");
    expect_congested(&f, 1, false);
    cr_assert(admits(&f, 1, LARGE_LEN / 2));
    fixture_close(&f);
}

Test(stream_congestion, what_is_within_the_share_of_each_waits_for_nobody)
{
    struct fixture f = {0};
    fixture_open(&f, 2, 0);
    send_large(&f, 0);
    cr_assert(memory_budget_over(&f.budget));
    cr_assert(admits(&f, 1, STREAM_SHARE_HIGH));
    cr_assert_not(admits(&f, 1, STREAM_SHARE_HIGH + 1));
    fixture_close(&f);
}

Test(stream_congestion, room_that_is_granted_and_not_used_goes_to_the_next)
{
    struct fixture f = {0};
    fixture_open(&f, 3, 0);
    send_large(&f, 0);
    cr_assert_not(admits(&f, 1, LARGE_LEN));
    cr_assert_not(admits(&f, 2, LARGE_LEN));
    stream_hold(f.pairs[0].b.stream, false);
    expect_congested(&f, 1, false);
    cr_assert_eq(f.pairs[2].a.congested_count, 0u);
    expect_congested(&f, 2, false);
    cr_assert(admits(&f, 2, LARGE_LEN));
    fixture_close(&f);
}

Test(stream_congestion, one_that_closes_waits_no_more)
{
    struct fixture f = {0};
    fixture_open(&f, 3, 0);
    send_large(&f, 0);
    cr_assert_not(admits(&f, 1, LARGE_LEN));
    cr_assert_not(admits(&f, 2, LARGE_LEN));
    struct list_node *first = list_first(&f.budget.waiters);
    pair_close(&f.pairs[1]);
    f.len = 1;
    cr_assert_neq(list_first(&f.budget.waiters), first);
    pair_close(&f.pairs[2]);
    cr_assert(list_empty(&f.budget.waiters));
    fixture_close(&f);
}

Test(stream_congestion, a_peer_that_takes_nothing_while_others_wait_is_ended)
{
    struct fixture f = {0};
    fixture_open(&f, 2, 2000);
    send_large(&f, 0);
    turn_for(&f, 600);
    cr_assert_eq(f.pairs[0].a.ended, 0, "nobody waits: %s", f.pairs[0].a.detail);
    cr_assert_not(admits(&f, 1, LARGE_LEN));
    turn_for(&f, 600);
    cr_assert_eq(f.pairs[0].a.ended, ERR_TIMEOUT);
    cr_assert_not_null(strstr(f.pairs[0].a.detail, "others wait"), "%s", f.pairs[0].a.detail);
    fixture_close(&f);
}

Test(stream_congestion, a_peer_that_takes_a_little_at_a_time_may_do_so_while_others_wait)
{
    struct fixture f = {0};
    fixture_open(&f, 2, 2000);
    struct pair *slow = &f.pairs[0];
    send_large(&f, 0);
    cr_assert_not(admits(&f, 1, LARGE_LEN));
    uint64_t end = uv_hrtime() + UINT64_C(1000000000);
    while (uv_hrtime() < end) { /* A read now and then. */
        stream_hold(slow->b.stream, false);
        uv_run(&slow->loop, UV_RUN_NOWAIT);
        stream_hold(slow->b.stream, true);
        turn_for(&f, 50);
    }
    cr_assert_eq(slow->a.ended, 0, "%s", slow->a.detail);
    fixture_close(&f);
}

Test(stream_congestion, many_small_frames_count_for_what_they_cost)
{
    struct pair pair;
    struct memory_budget budget;
    memory_budget_init(&budget, 64 * MIB);
    pair_open(&pair, &(struct stream_options){.send_budget = &budget}, NULL);
    stream_established(pair.a.stream);
    stream_hold(pair.b.stream, true);
    unsigned sent = 0;
    while (stream_admits(pair.a.stream, 0)) {
        struct frame_out frame = test_frame(1, 2, 0, 0, 1);
        cr_assert_eq(stream_send(pair.a.stream, &frame), 0);
        sent++;
    }
    cr_assert_leq(sent, MIB / 100, "a mebibyte of memory is far less of answers");
    cr_assert_gt(budget.used, stream_queued_bytes(pair.a.stream) * 5);
    pair_close(&pair);
    cr_assert_eq(budget.used, 0u);
}
