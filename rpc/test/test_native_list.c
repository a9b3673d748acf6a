/* What queries about exchanges, consumers, limits, producers and so on are answered: all of it, page by page. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"
#include "rpc/native/native_query.h"
#include "rpc/native/native_result.h"
#include "session_fixture.h"

static struct session_fixture f;

static void setup(void)
{
    session_fixture_open(&f);
    give_hello(&f);
    (void)take(&f, FRAME_WELCOME, &holdfast__welcome__descriptor);
    f.fake.things = 3;
}

static void teardown(void)
{
    session_fixture_close(&f);
}

TestSuite(native_list, .init = setup, .fini = teardown);

/* The answer to a query that waits for a read, which is done. */
static const Holdfast__QueryResult *answer(const Holdfast__Query *query, int err)
{
    give(&f, FRAME_QUERY, &query->base);
    cr_assert_eq(f.sent_len, f.read, "answered before the replica was current");
    cr_assert_eq(fake_gateway_read_done(&f.fake, 0), 1u);
    const Holdfast__QueryResult *result = take(&f, FRAME_QUERY_RESULT, &holdfast__query_result__descriptor);
    cr_assert_eq(result->id, query->id);
    cr_assert_eq(result->error, (uint32_t)-err, "%u: %s", result->error, result->detail);
    return result;
}

static Holdfast__Query query_of(Holdfast__Query__Kind kind)
{
    static uint64_t id = 0;
    Holdfast__Query query = HOLDFAST__QUERY__INIT;
    query.kind = kind;
    query.id = ++id;
    return query;
}

Test(native_list, consumers_of_a_queue)
{
    Holdfast__Query query = query_of(HOLDFAST__QUERY__KIND__CONSUMERS);
    query.queue = (char[]){"q"};
    const Holdfast__QueryResult *result = answer(&query, 0);
    cr_assert_eq(result->n_consumers, 3u);
    cr_assert_not(result->more);
    const Holdfast__ConsumerInfo *info = result->consumers[1];
    cr_assert_eq(info->session, 1u);
    cr_assert_eq(info->consumer, 2u);
    cr_assert_eq(info->node, 3u);
    cr_assert_eq(info->delivered, 4u);
    cr_assert_eq(info->lock_ms, 5u);
    cr_assert_eq(info->credit, 6u);
    cr_assert_eq(info->unsettled, 7u);
    cr_assert_eq(info->priority, -8);
    cr_assert(info->exclusive && info->active && !info->fetch && !info->auto_accept);
    cr_assert_str_eq(info->tag, "a tag");
    cr_assert_str_eq(f.fake.last_look, "q");
}

Test(native_list, consumers_page_by_page)
{
    f.fake.things = NATIVE_RESULT_QUEUES_MAX + 2;
    Holdfast__Query query = query_of(HOLDFAST__QUERY__KIND__CONSUMERS);
    query.queue = (char[]){"q"};
    const Holdfast__QueryResult *result = answer(&query, 0);
    cr_assert_eq(result->n_consumers, NATIVE_RESULT_QUEUES_MAX);
    cr_assert(result->more);
    query.session = result->consumers[result->n_consumers - 1]->session;
    query.position = result->consumers[result->n_consumers - 1]->consumer;
    result = answer(&query, 0);
    cr_assert_eq(result->n_consumers, 2u);
    cr_assert_not(result->more);
    cr_assert_eq(result->consumers[0]->session, NATIVE_RESULT_QUEUES_MAX / 2 + 1);
    cr_assert_eq(result->consumers[0]->consumer, 1u);
}

Test(native_list, limits_of_a_virtual_host_and_of_a_user)
{
    Holdfast__Query query = query_of(HOLDFAST__QUERY__KIND__LIMITS);
    const Holdfast__QueryResult *result = answer(&query, 0);
    cr_assert_eq(result->n_limits, 1u);
    cr_assert_eq(result->limits[0]->what, HOLDFAST__LIMIT__WHAT__CONSUMERS);
    cr_assert(result->limits[0]->is_set && result->limits[0]->is_counted);
    cr_assert_eq(result->limits[0]->value, 9u);
    cr_assert_eq(result->limits[0]->used, 2u);
    cr_assert_str_eq(f.fake.last_look, "");
    query.user = (char[]){"carol"};
    (void)answer(&query, 0);
    cr_assert_str_eq(f.fake.last_look, "carol");
    query.virtual_host = (char[]){"none"};
    cr_assert_str_eq(answer(&query, ERR_NOT_FOUND)->detail, "there is no such virtual host");
}

Test(native_list, a_producer)
{
    Holdfast__Query query = query_of(HOLDFAST__QUERY__KIND__PRODUCER);
    query.producer = (char[]){"import"};
    const Holdfast__QueryResult *result = answer(&query, 0);
    cr_assert_not_null(result->producer);
    cr_assert_str_eq(result->producer->name, "import");
    cr_assert_eq(result->producer->epoch, 2u);
    cr_assert_eq(result->producer->last_sequence, 77u);
    cr_assert_eq(result->producer->session, 5u);
    query.producer = (char[]){"nobody"};
    cr_assert_str_eq(answer(&query, ERR_NOT_FOUND)->detail, "nothing is known of such a producer");
}

Test(native_list, what_is_prepared_page_by_page)
{
    f.fake.things = NATIVE_RESULT_QUEUES_MAX + 1;
    Holdfast__Query query = query_of(HOLDFAST__QUERY__KIND__PREPARED);
    const Holdfast__QueryResult *result = answer(&query, 0);
    cr_assert_eq(result->n_prepared, NATIVE_RESULT_QUEUES_MAX);
    cr_assert(result->more);
    const Holdfast__PreparedInfo *info = result->prepared[result->n_prepared - 1];
    cr_assert_str_eq(info->group, "shop");
    cr_assert_str_eq(info->state, "prepared");
    cr_assert_eq(info->messages, 2u);
    cr_assert_eq(info->ask_ms, 3u);
    cr_assert_eq(info->deadline_ms, 4u);
    query.after = info->id;
    result = answer(&query, 0);
    cr_assert_eq(result->n_prepared, 1u);
    cr_assert_not(result->more);
}

Test(native_list, exchanges_bindings_virtual_hosts_and_a_life)
{
    Holdfast__Query query = query_of(HOLDFAST__QUERY__KIND__EXCHANGES);
    query.from_first = true;
    const Holdfast__QueryResult *result = answer(&query, 0);
    cr_assert_eq(result->n_exchanges, 3u);
    cr_assert_eq(result->exchanges[2]->bindings, 2u);
    cr_assert_eq(result->exchanges[2]->exchange->type, HOLDFAST__DECLARE_EXCHANGE__TYPE__TOPIC);
    cr_assert_str_eq(f.fake.last_look, "from the first");
    query = query_of(HOLDFAST__QUERY__KIND__BINDINGS);
    query.position = 1;
    result = answer(&query, 0);
    cr_assert_eq(result->n_bindings, 2u);
    cr_assert_eq(result->bindings[1]->id, 3u);
    cr_assert_eq(result->bindings[1]->binding->argument[0]->value->int64, 2);
    cr_assert_str_eq(f.fake.last_look, "all");
    query = query_of(HOLDFAST__QUERY__KIND__VIRTUAL_HOSTS);
    query.after = (char[]){"v000000"};
    result = answer(&query, 0);
    cr_assert_eq(result->n_virtual_hosts, 2u);
    cr_assert_str_eq(result->virtual_hosts[0]->note, "a note");
    query = query_of(HOLDFAST__QUERY__KIND__LIFE);
    query.queue = (char[]){"q"};
    query.position = 12;
    result = answer(&query, 0);
    cr_assert_eq(result->n_life, 3u);
    cr_assert_eq(result->life[0]->index, 12u);
}

Test(native_list, what_is_no_name_is_refused_at_once)
{
    char big[NAME_LEN_MAX + 2];
    memset(big, 'n', sizeof big);
    big[NAME_LEN_MAX + 1] = '\0';
    char *bad[] = {big, (char[]){"a\nb"}, (char[]){"\xff\xfe"}};
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        Holdfast__Query queries[6] = {
            query_of(HOLDFAST__QUERY__KIND__CONSUMERS), query_of(HOLDFAST__QUERY__KIND__LIMITS),
            query_of(HOLDFAST__QUERY__KIND__PRODUCER),  query_of(HOLDFAST__QUERY__KIND__PREPARED),
            query_of(HOLDFAST__QUERY__KIND__LIMITS),    query_of(HOLDFAST__QUERY__KIND__BINDINGS)};
        queries[0].queue = bad[i];
        queries[1].user = bad[i];
        queries[2].producer = bad[i];
        queries[3].after = bad[i];
        queries[4].virtual_host = bad[i];
        queries[5].exchange = bad[i];
        for (unsigned j = 0; j < ARRAY_LEN(queries); j++) {
            give(&f, FRAME_QUERY, &queries[j].base);
            const Holdfast__QueryResult *result = take(&f, FRAME_QUERY_RESULT, &holdfast__query_result__descriptor);
            cr_assert(result->error == (uint32_t)-ERR_NAME || result->error == (uint32_t)-ERR_UTF8, "%u %u: %u", i, j,
                      result->error);
        }
    }
    cr_assert_eq(f.fake.reads, 0u);
    cr_assert_eq(f.closes, 0u);
}

Test(native_list, a_read_is_good_for_some_lists)
{
    Holdfast__Query query = query_of(HOLDFAST__QUERY__KIND__CONSUMERS);
    query.queue = (char[]){"q"};
    for (unsigned i = 0; i < 10; i++) {
        give(&f, FRAME_QUERY, &query.base);
    }
    unsigned answered[4];
    for (unsigned i = 0; i < ARRAY_LEN(answered); i++) {
        unsigned before = f.sent_len;
        (void)fake_gateway_read_done(&f.fake, 0);
        answered[i] = f.sent_len - before;
    }
    unsigned most = NATIVE_QUERY_TURN_LEN / NATIVE_QUERY_LIST_LEN_MIN;
    cr_assert_eq(answered[0], 1u, "the others came after that read was asked for");
    cr_assert_eq(answered[1], most);
    cr_assert_eq(answered[2], most);
    cr_assert_eq(answered[3], 9 - 2 * most);
}

/* To look for messages takes time although there may be one. */
Test(native_list, a_read_is_good_for_one_look_at_messages)
{
    Holdfast__Query query = query_of(HOLDFAST__QUERY__KIND__BROWSE);
    query.queue = (char[]){"q000000"};
    query.max = 1;
    for (unsigned i = 0; i < 4; i++) {
        give(&f, FRAME_QUERY, &query.base);
    }
    for (unsigned i = 0; i < 4; i++) {
        unsigned before = f.sent_len;
        (void)fake_gateway_read_done(&f.fake, 0);
        cr_assert_eq(f.sent_len - before, 1u);
    }
}
