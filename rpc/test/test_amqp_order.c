/* The order of what a client publishes, while the cluster stops taking messages and takes them again at any time.
 *
 * The cluster here does with publishes what the machine does, one command after another, when the test says so. */

#include <stdio.h>
#include <string.h>

#include "amqp_publish_fixture.h"
#include "rpc/amqp/amqp_refusal.h"

#define MESSAGES 8u

struct cluster {
    struct amqp_fixture f;
    bool has_room;
    bool announces;  /* Whether there is room is known to the session at once. */
    uint64_t failed; /* The number of the last publish that was not let in. */
    char taken[64];  /* The bodies, each a letter. */
};

static void cluster_set_room(struct cluster *cluster, bool has_room)
{
    if (cluster->has_room != has_room && cluster->announces) {
        amqp_session_refusing(cluster->f.session, has_room ? "" : "no room");
    }
    cluster->has_room = has_room;
}

/* Carries out the next command. False: there is none. */
static bool cluster_step(struct cluster *cluster)
{
    struct amqp_fixture *f = &cluster->f;
    amqp_fixture_turn(f);
    if (f->commands_read == f->fake.commands) {
        return false;
    }
    uint64_t answered = f->fake.answered[f->commands_read % FAKE_COMMANDS_MAX];
    const Holdfast__Publish *publish = take_publish(f);
    bool behind = publish->in_order && answered < cluster->failed;
    if (!cluster->has_room || behind) {
        cluster->failed = f->number;
        amqp_fixture_reply(f, (struct gateway_reply){.error = cluster->has_room ? -ERR_REFUSED : -ERR_NO_SPACE,
                                                     .detail = cluster->has_room ? AMQP_SAID_BEHIND : ""});
        return true;
    }
    for (size_t i = 0; i < publish->n_body_len; i++) {
        struct slice body = published_of(f, publish, i).body;
        cr_assert_eq(body.len, 1u);
        strncat(cluster->taken, (const char *)body.data, 1);
    }
    AMQP_REPLY(f, .count = publish->n_body_len);
    return true;
}

/* How a run goes. */
struct run {
    unsigned full_from; /* There is no room from this step of the cluster on, */
    unsigned full_to;   /* to before this one. */
    unsigned lag;       /* The cluster carries out a command for each so many messages. */
    unsigned busy_at;   /* The gateway takes nothing while this message is given, and the next. */
    bool announces;
    bool in_twos; /* Two messages in a turn. */
};

static void confirmed(struct cluster *cluster, const char *name)
{
    uint64_t last = 0;
    while (cluster->f.read < cluster->f.sent.len && last < MESSAGES) {
        const struct amqp_basic_ack *ack = AMQP_TAKE(&cluster->f, 1, basic_ack);
        cr_assert(ack->multiple ? ack->delivery_tag > last : ack->delivery_tag == last + 1,
                  "%s: a confirm of %u behind %u", name, (unsigned)ack->delivery_tag, (unsigned)last);
        last = ack->delivery_tag;
    }
    cr_assert_eq(last, MESSAGES, "%s: %u are confirmed", name, (unsigned)last);
}

static void cluster_run(const struct run *run)
{
    char name[128];
    struct cluster cluster = {.has_room = true, .announces = run->announces};
    unsigned steps = 0;
    (void)snprintf(name, sizeof name, "full from %u to %u, lag %u, busy at %u%s%s", run->full_from, run->full_to,
                   run->lag, run->busy_at, run->announces ? ", announced" : "", run->in_twos ? ", in twos" : "");
    amqp_fixture_new(&cluster.f, NULL); /* It does not want to be told when it is blocked. */
    amqp_fixture_shake_hands(&cluster.f, amqp_fixture_table(&cluster.f, "product", 'S', "test", NULL));
    amqp_fixture_channel(&cluster.f, 1);
    AMQP_GIVE(&cluster.f, 1, confirm_select);
    (void)AMQP_TAKE(&cluster.f, 1, confirm_select_ok);
    for (unsigned i = 0; i < MESSAGES; i++) {
        char body[] = {(char)('a' + i), '\0'};
        cluster.f.fake.submit_err = i == run->busy_at || i == run->busy_at + 1 ? ERR_BUSY : 0;
        if (i == run->busy_at + 2) {
            cluster.f.fake.sink.resume(cluster.f.fake.sink.arg);
        }
        give_message(&cluster.f, 1, "", "q", NULL, body);
        if (!run->in_twos || i % 2 == 1) {
            amqp_fixture_turn(&cluster.f);
        }
        if (i % run->lag == 0) {
            cluster_set_room(&cluster, steps < run->full_from || steps >= run->full_to);
            steps += cluster_step(&cluster);
        }
    }
    do {
        cluster_set_room(&cluster, steps < run->full_from || steps >= run->full_to);
        cr_assert_lt(steps, 200u, "%s: it does not end", name);
        steps += 1;
    } while (cluster_step(&cluster) || steps <= run->full_to);
    cr_assert_str_eq(cluster.taken, "abcdefgh", "%s: '%s'", name, cluster.taken);
    cr_assert_not(cluster.f.held, "%s", name);
    confirmed(&cluster, name);
    amqp_fixture_nothing(&cluster.f);
    amqp_fixture_close(&cluster.f);
}

static void runs(bool announces, bool in_twos)
{
    for (unsigned from = 0; from < 8; from++) {
        for (unsigned len = 1; len < 8; len++) {
            for (unsigned lag = 1; lag < 5; lag++) {
                for (unsigned busy_at = 1; busy_at < MESSAGES; busy_at += 2) {
                    cluster_run(&(struct run){from, from + len, lag, busy_at == 7 ? 99 : busy_at, announces, in_twos});
                }
            }
        }
    }
}

Test(amqp_order, is_kept_when_the_cluster_is_full_for_a_while)
{
    runs(false, false);
    runs(false, true);
}

Test(amqp_order, is_kept_when_that_is_announced)
{
    runs(true, false);
    runs(true, true);
}

/* ---- One by one ---- */

static struct amqp_fixture f;

static void open_confirming(void)
{
    amqp_fixture_open(&f);
    AMQP_GIVE(&f, 1, confirm_select);
    (void)AMQP_TAKE(&f, 1, confirm_select_ok);
}

static void close_it(void)
{
    amqp_fixture_close(&f);
}

TestSuite(amqp_order_of, .init = open_confirming, .fini = close_it);

static void give(const char *body)
{
    give_message(&f, 1, "", "q", NULL, body);
}

static void give_and_turn(const char *body)
{
    give(body);
    amqp_fixture_turn(&f);
}

static void give_number(uint64_t number, const char *body)
{
    give_numbered(&f, "p", number, body);
    amqp_fixture_turn(&f);
}

static void next_is(const char *body)
{
    cr_assert(published_is(&f, take_publish(&f), 0, body), "not %s", body);
}

static void refused_behind(void)
{
    AMQP_REPLY(&f, .error = -ERR_REFUSED, .detail = AMQP_SAID_BEHIND);
}

Test(amqp_order_of, messages_that_are_tried_alone)
{
    give("one");
    give_and_turn("two");
    give_and_turn("three");
    cr_assert(take_publish(&f)->in_order);
    next_is("three");
    AMQP_REPLY(&f, .error = -ERR_LIMIT);
    amqp_fixture_no_command(&f);
    give("four");
    cr_assert(f.held);
    refused_behind();
    next_is("one");
    next_is("two");
    next_is("three");
    next_is("four");
    cr_assert_not(f.held);
}

/* The first is tried while it is not known whether there is room; it turns out to be too much as a whole. */
Test(amqp_order_of, messages_that_are_tried_alone_when_there_is_room_again)
{
    give("one");
    give_and_turn("two");
    give_and_turn("three");
    next_is("one");
    next_is("three");
    AMQP_REPLY(&f, .error = -ERR_NO_SPACE);
    refused_behind();
    next_is("one");
    amqp_fixture_no_command(&f);
    AMQP_REPLY(&f, .error = -ERR_LIMIT);
    next_is("one");
    next_is("two");
    next_is("three");
    amqp_fixture_no_command(&f);
}

Test(amqp_order_of, numbered_messages_while_there_is_no_room)
{
    give_number(1, "one");
    give_number(2, "two");
    next_is("one");
    next_is("two");
    AMQP_REPLY(&f, .error = -ERR_NO_SPACE);
    refused_behind();
    next_is("one");
    amqp_fixture_no_command(&f);
    AMQP_REPLY(&f, .count = 1);
    next_is("two");
    AMQP_REPLY(&f, .count = 1);
    cr_assert_eq(AMQP_TAKE(&f, 1, basic_ack)->delivery_tag, 1u);
    cr_assert_eq(AMQP_TAKE(&f, 1, basic_ack)->delivery_tag, 2u);
}

/* Their publisher has to send again what was not taken, and what is behind it. */
Test(amqp_order_of, numbered_messages_behind_one_that_was_refused_for_good)
{
    give_number(1, "one");
    give_number(2, "two");
    AMQP_REPLY(&f, .error = -ERR_FULL);
    refused_behind();
    cr_assert_eq(AMQP_TAKE(&f, 1, basic_nack)->delivery_tag, 1u);
    cr_assert_eq(AMQP_TAKE(&f, 1, basic_nack)->delivery_tag, 2u);
    next_is("one");
    next_is("two");
    amqp_fixture_no_command(&f);
}

Test(amqp_order_of, numbered_messages_that_nobody_confirms)
{
    AMQP_GIVE(&f, 1, channel_close);
    (void)AMQP_TAKE(&f, 1, channel_close_ok);
    amqp_fixture_channel(&f, 1);
    give_number(1, "one");
    give_number(2, "two");
    AMQP_REPLY(&f, .error = -ERR_FULL);
    refused_behind();
    amqp_fixture_channel_closes(&f, 1, AMQP_PRECONDITION_FAILED, AMQP_basic_publish, AMQP_SAID_BEHIND);
}

/* Others in between are not their publisher's business. */
Test(amqp_order_of, a_message_behind_a_numbered_one_that_was_refused_for_good)
{
    give_number(1, "one");
    give_and_turn("two");
    next_is("one");
    next_is("two");
    AMQP_REPLY(&f, .error = -ERR_FULL);
    refused_behind();
    cr_assert_eq(AMQP_TAKE(&f, 1, basic_nack)->delivery_tag, 1u);
    next_is("two");
    AMQP_REPLY(&f, .count = 1);
    cr_assert_eq(AMQP_TAKE(&f, 1, basic_ack)->delivery_tag, 2u);
}

/* The refusal comes before the turn is over in which it was received. */
Test(amqp_order_of, a_message_that_is_being_gathered)
{
    give_and_turn("one");
    next_is("one");
    give("two");
    f.fake.sink.reply(f.fake.sink.arg,
                      &(struct gateway_reply){.number = f.number, .error = -ERR_NO_SPACE, .detail = ""});
    f.commands_replied++;
    next_is("one");
    amqp_fixture_no_command(&f);
    AMQP_REPLY(&f, .count = 1);
    next_is("two");
}
