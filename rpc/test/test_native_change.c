/* Changes of the membership over the native protocol: answered when they are done, bounded, and cancelled with the connection. */

#include "rpc/native/native_change.h"

#include <criterion/criterion.h>
#include <string.h>

#include "session_fixture.h"

static void greeted(struct session_fixture *f)
{
    session_fixture_open(f);
    give_hello(f);
    (void)take(f, FRAME_WELCOME, &holdfast__welcome__descriptor);
}

static void ask(struct session_fixture *f, Holdfast__Query__Kind kind, uint64_t node, const char *address, uint64_t id)
{
    Holdfast__Query query = HOLDFAST__QUERY__INIT;
    query.id = id;
    query.kind = kind;
    query.node = node;
    query.address = (char *)(uintptr_t)address;
    give(f, FRAME_QUERY, &query.base);
}

static void expect_result(struct session_fixture *f, uint64_t id, int err, const char *detail)
{
    const Holdfast__QueryResult *result = take(f, FRAME_QUERY_RESULT, &holdfast__query_result__descriptor);
    cr_assert_eq(result->id, id);
    cr_assert_eq(result->error, (uint32_t)-err, "%u: %s", result->error, result->detail);
    cr_assert_not_null(strstr(result->detail, detail), "%s", result->detail);
}

static void expect_nothing(const struct session_fixture *f)
{
    cr_assert_eq(f->sent_len, f->read);
}

Test(native_change, each_kind_is_asked_for_and_answered_when_it_is_done)
{
    static const struct {
        Holdfast__Query__Kind kind;
        enum gateway_change_kind change;
    } kinds[] = {
        {HOLDFAST__QUERY__KIND__ADD_MEMBER, GATEWAY_ADD},
        {HOLDFAST__QUERY__KIND__PROMOTE_MEMBER, GATEWAY_PROMOTE},
        {HOLDFAST__QUERY__KIND__DEMOTE_MEMBER, GATEWAY_DEMOTE},
        {HOLDFAST__QUERY__KIND__REMOVE_MEMBER, GATEWAY_REMOVE},
    };
    struct session_fixture f;
    greeted(&f);
    for (unsigned i = 0; i < 4; i++) {
        ask(&f, kinds[i].kind, 7 + i, "there:7471", 20 + i);
        expect_nothing(&f);
        const struct gateway_change *change = fake_gateway_changing(&f.fake);
        cr_assert_not_null(change);
        cr_assert_eq(change->kind, kinds[i].change);
        cr_assert_eq(change->node, 7 + i);
        cr_assert_str_eq(change->address, i == 0 ? "there:7471" : "");
        fake_gateway_change_done(&f.fake, 0, "");
        expect_result(&f, 20 + i, 0, "");
    }
    ask(&f, HOLDFAST__QUERY__KIND__PROMOTE_MEMBER, 4, "", 5);
    fake_gateway_change_done(&f.fake, ERR_BUSY, "it has not caught up");
    expect_result(&f, 5, ERR_BUSY, "it has not caught up");
    ask(&f, HOLDFAST__QUERY__KIND__PROMOTE_MEMBER, 4, "", 6);
    fake_gateway_change_done(&f.fake, ERR_REFUSED, "");
    expect_result(&f, 6, ERR_REFUSED, "refused");
    cr_assert_eq(f.closes, 0u);
    session_fixture_close(&f);
}

Test(native_change, an_address_that_is_none_is_refused_at_once)
{
    char long_one[ADDRESS_LEN_MAX + 10];
    memset(long_one, 'a', sizeof long_one);
    memcpy(long_one + sizeof long_one - 4, ":80", 4);
    const char *bad[] = {"",           "nowhere", "host:",        ":80",        "host:0",   "host:port",
                         "host:70000", long_one,  "two words:80", "\x1b[2J:80", "line\n:80"};
    struct session_fixture f;
    greeted(&f);
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ask(&f, HOLDFAST__QUERY__KIND__ADD_MEMBER, 4, bad[i], i);
        expect_result(&f, i, ERR_INVALID, "not host:port");
    }
    cr_assert_eq(f.fake.changes, 0u);
    session_fixture_close(&f);
}

Test(native_change, only_so_many_wait_for_one_connection)
{
    struct session_fixture f;
    greeted(&f);
    for (uint64_t id = 1; id <= NATIVE_CHANGES_MAX; id++) {
        ask(&f, HOLDFAST__QUERY__KIND__PROMOTE_MEMBER, id, "", id);
    }
    expect_nothing(&f);
    ask(&f, HOLDFAST__QUERY__KIND__PROMOTE_MEMBER, 9, "", 99);
    expect_result(&f, 99, ERR_BUSY, "");
    cr_assert_eq(f.fake.changes, NATIVE_CHANGES_MAX);
    fake_gateway_change_done(&f.fake, 0, "");
    expect_result(&f, 1, 0, "");
    ask(&f, HOLDFAST__QUERY__KIND__PROMOTE_MEMBER, 9, "", 100);
    cr_assert_eq(f.fake.changes, NATIVE_CHANGES_MAX + 1);
    for (unsigned i = 0; i < NATIVE_CHANGES_MAX; i++) {
        fake_gateway_change_done(&f.fake, 0, "");
    }
    cr_assert_eq(f.closes, 0u);
    session_fixture_close(&f);
}

Test(native_change, a_connection_that_goes_cancels_what_it_asked_for)
{
    struct session_fixture f;
    greeted(&f);
    ask(&f, HOLDFAST__QUERY__KIND__REMOVE_MEMBER, 1, "", 1);
    ask(&f, HOLDFAST__QUERY__KIND__REMOVE_MEMBER, 2, "", 2);
    session_fixture_close(&f); /* The fake gateway finds one that was left behind. */
    cr_assert_eq(f.fake.cancels, 2u);
    greeted(&f);
    ask(&f, HOLDFAST__QUERY__KIND__REMOVE_MEMBER, 1, "", 1);
    give_raw(&f, FRAME_WELCOME, "", 0, 0);
    expect_goodbye(&f, ERR_BROKEN, "do not send");
    cr_assert_eq(f.fake.cancels, 1u);
    cr_assert_null(fake_gateway_changing(&f.fake));
    session_fixture_close(&f);
}

Test(native_change, a_repair_is_asked_for)
{
    struct session_fixture f;
    greeted(&f);
    ask(&f, HOLDFAST__QUERY__KIND__REPAIR_MEMBER, 3, "", 1);
    expect_result(&f, 1, 0, "");
    cr_assert_eq(f.fake.last_repair, 3u);
    f.fake.repair_err = ERR_NOT_FOUND;
    ask(&f, HOLDFAST__QUERY__KIND__REPAIR_MEMBER, 8, "", 2);
    expect_result(&f, 2, ERR_NOT_FOUND, "no such member");
    f.fake.repair_err = ERR_REFUSED;
    ask(&f, HOLDFAST__QUERY__KIND__REPAIR_MEMBER, 3, "", 3);
    expect_result(&f, 3, ERR_REFUSED, "its data is needed");
    session_fixture_close(&f);
}

Test(native_change, the_cluster_shows_who_votes_where_it_stands_and_what_is_wrong)
{
    struct session_fixture f;
    greeted(&f);
    ask(&f, HOLDFAST__QUERY__KIND__CLUSTER, 0, "", 1);
    const Holdfast__QueryResult *result = take(&f, FRAME_QUERY_RESULT, &holdfast__query_result__descriptor);
    const Holdfast__ClusterInfo *info = result->cluster;
    cr_assert_eq(info->n_members, 2u);
    cr_assert_not(info->members[0]->voter);
    cr_assert_not(info->members[0]->preferred);
    cr_assert_str_eq(info->members[0]->zone, "");
    cr_assert(info->members[1]->voter);
    cr_assert(info->members[1]->preferred);
    cr_assert_str_eq(info->members[1]->zone, "west");
    cr_assert_eq(info->n_alarms, 2u);
    cr_assert_str_eq(info->alarms[0], "node 1: on fire");
    cr_assert_str_eq(info->alarms[1], "node 2: under water");
    session_fixture_close(&f);
}
