/* Virtual hosts, users, and their limits. */

#include <criterion/criterion.h>
#include <string.h>

#include "asking.h"
#include "host_fixture.h"
#include "publish_fixture.h"
#include "statemachine/state.h"

Test(virtual_host, names_are_its_own)
{
    struct fixture f;
    struct client a;
    struct client b;
    publish_fixture_init(&f, &a);
    cr_assert_eq(host_attach(&f, &b, 2, "other", "").error, E(NOT_FOUND));
    cr_assert_eq(host_create(&f, &a, "other").error, 0u);
    cr_assert_eq(host_create(&f, &a, "other").error, 0u);
    cr_assert_eq(host_create(&f, &a, "").error, E(NAME));
    cr_assert_eq(host_attach(&f, &b, 2, "other", "").error, 0u);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    cr_assert_eq(client_publish(&f, &b, "q", "p", 1, 1).error, E(NOT_FOUND));
    b.answered = b.number;
    cr_assert_eq(client_declare(&f, &b, "q").error, 0u);
    cr_assert_eq(client_publish(&f, &b, "q", "p", 1, 2).count, 2u);
    cr_assert_eq(client_publish(&f, &a, "q", "p", 1, 3).count, 3u, "its producers are its own, too");
    fixture_reopen(&f);
    cr_assert_eq(client_publish(&f, &b, "q", "p", 1, 3).count, 1u);
    cr_assert_eq(ready(&f, "q"), 3u);
    cr_assert_eq(queue_ready(queue_by_name(f.machine, 2, "q")), 3u);
    cr_assert_eq(host_attach(&f, &b, 2, "/", "").error, E(EXISTS), "a session stays where it is");
    cr_assert_eq(host_attach(&f, &b, 2, "other", "").error, 0u);
    fixture_done(&f);
}

Test(virtual_host, it_goes_with_all_that_is_in_it)
{
    struct fixture f;
    struct client a;
    struct client b;
    publish_fixture_init(&f, &a);
    cr_assert_eq(host_create(&f, &a, "other").error, 0u);
    cr_assert_eq(host_attach(&f, &b, 2, "other", "me").error, 0u);
    cr_assert_eq(client_declare(&f, &b, "q").error, 0u);
    cr_assert_eq(exchange_declare(&f, &b, "x", HOLDFAST__DECLARE_EXCHANGE__TYPE__FANOUT).error, 0u);
    cr_assert_eq(exchange_bind(&f, &b, "x", "q", "").error, 0u);
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.exchange = (char[]){"x"};
    head.delay_ms = 100;
    struct posts *posts = posts_new(NULL);
    posts_add(posts, &head, "later");
    cr_assert_eq(posts_send(&f, &b, posts).count, 1u);
    Holdfast__Prepare prepare = HOLDFAST__PREPARE__INIT;
    prepare.id = (char[]){"id"};
    prepare.deadline_ms = 50;
    prepare.commit_at_deadline = true;
    posts->publish.prepare = &prepare;
    cr_assert_eq(posts_send_once(&f, &b, posts).count, 1u);
    fixture_reopen(&f);
    cr_assert_eq(host_delete(&f, &a, "other", false).error, E(REFUSED));
    cr_assert_eq(host_delete(&f, &a, "missing", true).error, E(NOT_FOUND));
    cr_assert_eq(host_delete(&f, &a, "/", true).error, E(REFUSED));
    cr_assert_eq(host_delete(&f, &a, "", true).error, E(NOT_FOUND));
    cr_assert_eq(host_delete(&f, &a, "other", true).error, 0u);
    cr_assert_eq(fixture_count(&f, EFFECT_SESSION_ENDED), 1u);
    for (size_t i = 0; i < f.effects.len; i++) {
        const struct effect *effect = &f.effects.items[i];
        cr_assert(effect->kind != EFFECT_SESSION_ENDED || effect->session_ended.end == SESSION_END_HOST_DELETED);
    }
    cr_assert_null(user_by_name(f.machine, "me"));
    cr_assert_null(queue_by_name(f.machine, 2, "q"));
    fixture_reopen(&f);
    fixture_tick(&f, f.time_ms + 1000);
    fixture_reopen(&f);
    cr_assert_eq(machine_due_ms(f.machine), UINT64_MAX, "nothing is left of it");
    client_attach(&f, &a, 1, false);
    cr_assert_eq(host_create(&f, &a, "other").error, 0u);
    cr_assert_eq(virtual_host_by_name(f.machine, "other")->id, 3u);
    fixture_done(&f);
}

Test(virtual_host, a_session_that_deletes_where_it_is_has_its_reply_and_ends)
{
    struct fixture f;
    struct client a;
    struct client b;
    publish_fixture_init(&f, &a);
    cr_assert_eq(host_create(&f, &a, "other").error, 0u);
    cr_assert_eq(host_attach(&f, &b, 2, "other", "").error, 0u);
    cr_assert_eq(client_declare(&f, &b, "q").error, 0u);
    cr_assert_eq(client_subscribe(&f, &b, "q", 1, 1).error, 0u);
    cr_assert_eq(host_delete(&f, &b, "other", false).error, E(REFUSED));
    cr_assert_eq(host_delete(&f, &b, "other", true).error, 0u);
    const struct effect *last = &f.effects.items[f.effects.len - 1];
    cr_assert_eq(last->kind, EFFECT_SESSION_ENDED);
    cr_assert_eq(last->session, b.session);
    cr_assert_null(session_by_id(f.machine, b.session));
    fixture_reopen(&f);
    fixture_done(&f);
}

Test(virtual_host, protected_queues_in_it_protect_it)
{
    struct fixture f;
    struct client a;
    struct client b;
    publish_fixture_init(&f, &a);
    cr_assert_eq(host_create(&f, &a, "other").error, 0u);
    cr_assert_eq(host_attach(&f, &b, 2, "other", "").error, 0u);
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.protected_ = true;
    cr_assert_eq(options_declare(&f, &b, "one", &options).error, 0u);
    cr_assert_eq(client_declare(&f, &b, "two").error, 0u);
    cr_assert_eq(ask_change(&f, &b, "two", &options, NULL, 0).error, 0u);
    cr_assert_eq(ask_change(&f, &b, "two", &options, NULL, 0).error, 0u, "it is already");
    cr_assert_eq(client_close(&f, &b).error, 0u);
    fixture_reopen(&f);
    cr_assert_eq(host_delete(&f, &a, "other", false).error, E(REFUSED));
    cr_assert_eq(host_attach(&f, &b, 3, "other", "").error, 0u);
    options.protected_ = false;
    cr_assert_eq(ask_change(&f, &b, "two", &options, NULL, 0).error, 0u);
    fixture_reopen(&f);
    cr_assert_eq(client_close(&f, &b).error, 0u);
    cr_assert_eq(host_delete(&f, &a, "other", false).error, E(REFUSED), "there is one still");
    cr_assert_eq(host_attach(&f, &b, 4, "other", "").error, 0u);
    cr_assert_eq(ask_change(&f, &b, "one", &options, NULL, 0).error, 0u);
    options.protected_ = true;
    options.exclusive = true;
    cr_assert_eq(options_declare(&f, &b, "three", &options).error, 0u);
    cr_assert_eq(client_close(&f, &b).error, 0u);
    cr_assert_eq(host_delete(&f, &a, "other", false).error, 0u, "an exclusive one goes with its session");
    cr_assert_eq(host_create(&f, &a, "another").error, 0u);
    cr_assert_eq(host_attach(&f, &b, 5, "another", "").error, 0u);
    options.exclusive = false;
    cr_assert_eq(options_declare(&f, &b, "one", &options).error, 0u);
    cr_assert_eq(host_delete(&f, &a, "another", true).error, 0u, "by force");
    fixture_done(&f);
}

Test(virtual_host, limits_keep_more_out)
{
    struct fixture f;
    struct client a;
    struct client b;
    struct client c;
    publish_fixture_init(&f, &a);
    cr_assert_eq(host_create(&f, &a, "other").error, 0u);
    cr_assert_eq(host_attach(&f, &b, 2, "other", "").error, 0u);
    cr_assert_eq(host_limit(&f, &a, "other", "", LIMIT_SESSIONS, 1).error, 0u);
    fixture_reopen(&f);
    cr_assert_eq(host_attach(&f, &c, 3, "other", "").error, E(LIMIT));
    cr_assert_eq(host_attach(&f, &b, 2, "other", "").error, 0u, "the same one again");
    cr_assert_eq(host_limit(&f, &a, "other", "", LIMIT_QUEUES, 2).error, 0u);
    cr_assert_eq(host_attach(&f, &c, 3, "other", "").error, 0u, "limits are set all together");
    cr_assert_eq(client_declare(&f, &b, "q").error, 0u);
    cr_assert_eq(client_declare(&f, &b, "r").error, 0u);
    fixture_reopen(&f);
    cr_assert_eq(client_declare(&f, &b, "s").error, E(LIMIT));
    cr_assert_eq(client_declare(&f, &b, "r").error, 0u);
    cr_assert_eq(client_declare(&f, &a, "s").error, 0u, "elsewhere");
    cr_assert_eq(client_delete(&f, &b, "q", false).error, 0u);
    cr_assert_eq(client_declare(&f, &b, "s").error, 0u);
    cr_assert_eq(host_limit(&f, &a, "other", "", LIMIT_CONSUMERS, 1).error, 0u);
    cr_assert_eq(client_subscribe(&f, &b, "r", 1, 1).error, 0u);
    fixture_reopen(&f);
    cr_assert_eq(client_subscribe(&f, &b, "r", 2, 1).error, E(LIMIT));
    cr_assert_eq(client_unsubscribe(&f, &b, 1).error, 0u);
    cr_assert_eq(client_subscribe(&f, &b, "r", 2, 1).error, 0u);
    cr_assert_eq(host_limit(&f, &a, "other", "", LIMIT_EXCHANGES, 0).error, 0u);
    cr_assert_eq(exchange_declare(&f, &b, "x", HOLDFAST__DECLARE_EXCHANGE__TYPE__FANOUT).error, E(LIMIT));
    cr_assert_eq(host_limit(&f, &a, "other", "", LIMIT_BINDINGS, 1).error, 0u);
    cr_assert_eq(exchange_bind(&f, &b, "amq.fanout", "r", "").error, 0u);
    cr_assert_eq(exchange_bind(&f, &b, "amq.fanout", "s", "").error, E(LIMIT));
    fixture_done(&f);
}

Test(virtual_host, users_have_limits)
{
    struct fixture f;
    struct client a;
    struct client b;
    struct client c;
    publish_fixture_init(&f, &a);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    cr_assert_eq(host_limit(&f, &a, "", "me", LIMIT_SESSIONS, 1).error, 0u);
    cr_assert_eq(host_attach(&f, &b, 2, "/", "me").error, 0u);
    fixture_reopen(&f);
    cr_assert_eq(host_attach(&f, &c, 3, "/", "me").error, E(LIMIT));
    cr_assert_eq(host_attach(&f, &c, 3, "/", "you").error, 0u);
    cr_assert_eq(host_attach(&f, &c, 3, "/", "me").error, E(LIMIT), "nor can another become one of mine");
    cr_assert_eq(host_attach(&f, &b, 2, "/", "me").error, 0u);
    cr_assert_eq(host_limit(&f, &a, "", "me", LIMIT_CONSUMERS, 1).error, 0u);
    cr_assert_eq(client_subscribe(&f, &b, "q", 1, 1).error, 0u);
    cr_assert_eq(client_subscribe(&f, &b, "q", 2, 1).error, E(LIMIT));
    cr_assert_eq(client_subscribe(&f, &c, "q", 2, 1).error, 0u);
    fixture_reopen(&f);
    cr_assert_eq(client_subscribe(&f, &b, "q", 3, 1).error, E(LIMIT));
    cr_assert_eq(client_close(&f, &b).error, 0u);
    cr_assert_eq(user_by_name(f.machine, "me")->counts[LIMIT_CONSUMERS], 0u);
    cr_assert_eq(host_limit(&f, &a, "", "me", 0, HOST_UNLIMITED).error, 0u);
    cr_assert_null(user_by_name(f.machine, "me"));
    cr_assert_eq(host_limit(&f, &a, "", "me", LIMIT_QUEUES, 1).error, E(INVALID));
    cr_assert_eq(host_limit(&f, &a, "", "me", LIMITS_LEN, 1).error, E(INVALID));
    cr_assert_eq(host_limit(&f, &a, "/", "me", LIMIT_SESSIONS, 1).error, E(INVALID));
    cr_assert_eq(host_limit(&f, &a, "", "", LIMIT_SESSIONS, 1).error, E(INVALID));
    cr_assert_eq(host_limit(&f, &a, "missing", "", LIMIT_SESSIONS, 1).error, E(NOT_FOUND));
    cr_assert_eq(host_limit(&f, &a, "", "\x01", LIMIT_SESSIONS, 1).error, E(NAME));
    fixture_reopen(&f);
    fixture_done(&f);
}

Test(virtual_host, under_version_1_there_is_but_one)
{
    struct fixture f;
    struct client a;
    struct client b;
    publish_fixture_init(&f, &a);
    f.machine->version = 1;
    cr_assert_eq(host_create(&f, &a, "other").error, E(INVALID));
    cr_assert_eq(host_attach(&f, &b, 2, "other", "").error, E(NOT_FOUND));
    cr_assert_eq(host_attach(&f, &b, 2, "/", "\x01").error, 0u, "users do not exist");
    cr_assert_null(session_by_id(f.machine, b.session)->user);
    fixture_reopen(&f);
    f.machine->version = 2;
    fixture_reopen(&f);
    cr_assert_eq(session_by_id(f.machine, b.session)->virtual_host_id, VIRTUAL_HOST_ROOT);
    fixture_done(&f);
}
