/* Prepared messages: two phases. */

#include <criterion/criterion.h>
#include <string.h>

#include "publish_fixture.h"
#include "statemachine/publish/prepared.h"
#include "statemachine/state.h"

static struct effect_reply prepare(struct fixture *f, struct client *a, Holdfast__Prepare *prepare, size_t count)
{
    static const char *const bodies[] = {"one", "two", "three"};
    struct posts *posts = posts_new(NULL);
    for (size_t i = 0; i < count; i++) {
        posts_add_to(posts, "", "q", bodies[i % 3]);
    }
    posts->publish.prepare = prepare;
    return posts_send_once(f, a, posts);
}

static struct effect_reply resolve(struct fixture *f, struct client *a, const char *id, bool commit)
{
    Holdfast__ResolvePrepared resolve = HOLDFAST__RESOLVE_PREPARED__INIT;
    resolve.id = (char *)(uintptr_t)id;
    resolve.commit = commit;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_RESOLVE_PREPARED;
    command.resolve_prepared = &resolve;
    return client_command(f, a, &command, NULL, 0);
}

static void setup(struct fixture *f, struct client *a, Holdfast__Prepare *prepare)
{
    publish_fixture_init(f, a);
    cr_assert_eq(client_declare(f, a, "q").error, 0u);
    holdfast__prepare__init(prepare);
    prepare->id = (char *)(uintptr_t) "id";
}

static bool table_has(struct fixture *f, enum row_kind kind)
{
    struct row_key first = row_key_plain(kind);
    struct row_key end = row_key_after(&first);
    struct table_row found;
    int err = table_seek(f->machine, &first, &end, &found);
    if (err == 0) {
        table_row_done(&found);
    }
    return err == 0;
}

Test(prepared, committed_they_come_in_order)
{
    for (int reopens = 0; reopens < 2; reopens++) {
        struct fixture f;
        struct client a;
        Holdfast__Prepare id;
        setup(&f, &a, &id);
        cr_assert_eq(prepare(&f, &a, &id, 3).count, 3u);
        cr_assert_eq(ready(&f, "q"), 0u);
        if (reopens) {
            fixture_reopen(&f);
        }
        cr_assert_eq(prepare(&f, &a, &id, 1).error, E(EXISTS));
        cr_assert_eq(resolve(&f, &a, "other", true).error, E(NOT_FOUND));
        cr_assert_eq(resolve(&f, &a, "id", true).count, 3u);
        cr_assert_eq(ready(&f, "q"), 3u);
        cr_assert_str_eq(body_at(&f, "q", 1), "one");
        cr_assert_str_eq(body_at(&f, "q", 3), "three");
        if (reopens) {
            fixture_reopen(&f);
        }
        cr_assert_eq(resolve(&f, &a, "id", true).error, 0u);
        cr_assert_eq(resolve(&f, &a, "id", false).error, E(REFUSED));
        cr_assert_eq(prepare(&f, &a, &id, 1).error, E(EXISTS));
        cr_assert_eq(ready(&f, "q"), 3u);
        fixture_done(&f);
    }
}

Test(prepared, dropped_they_are_gone_and_after_a_day_the_id_is_free)
{
    struct fixture f;
    struct client a;
    Holdfast__Prepare id;
    setup(&f, &a, &id);
    cr_assert_eq(prepare(&f, &a, &id, 2).count, 2u);
    cr_assert_eq(resolve(&f, &a, "id", false).error, 0u);
    cr_assert_eq(resolve(&f, &a, "id", false).error, 0u);
    cr_assert_eq(resolve(&f, &a, "id", true).error, E(REFUSED));
    fixture_reopen(&f);
    fixture_tick(&f, f.time_ms + PREPARED_REMEMBERED_MS - 100);
    client_attach(&f, &a, 1, false);
    cr_assert_eq(prepare(&f, &a, &id, 1).error, E(EXISTS));
    fixture_tick(&f, f.time_ms + 200);
    cr_assert_not(table_has(&f, ROW_PREPARED));
    cr_assert_not(table_has(&f, ROW_PREPARED_NAME));
    cr_assert_eq(resolve(&f, &a, "id", false).error, E(NOT_FOUND));
    cr_assert_eq(prepare(&f, &a, &id, 1).count, 1u);
    cr_assert_eq(ready(&f, "q"), 0u);
    fixture_done(&f);
}

/* Its timer goes off once. */
Test(prepared, forgotten_when_the_day_is_over_to_the_millisecond)
{
    struct fixture f;
    struct client a;
    Holdfast__Prepare id;
    setup(&f, &a, &id);
    cr_assert_eq(prepare(&f, &a, &id, 1).count, 1u);
    uint64_t at_ms = f.time_ms;
    cr_assert_eq(resolve(&f, &a, "id", true).count, 1u);
    fixture_tick(&f, at_ms + PREPARED_REMEMBERED_MS - 1);
    cr_assert(table_has(&f, ROW_PREPARED_NAME));
    fixture_tick(&f, at_ms + PREPARED_REMEMBERED_MS);
    cr_assert_not(table_has(&f, ROW_PREPARED_NAME));
    cr_assert_not(table_has(&f, ROW_PREPARED));
    fixture_done(&f);
}

static size_t asked(const struct fixture *f, uint64_t session)
{
    size_t count = 0;
    for (size_t i = 0; i < f->effects.len; i++) {
        const struct effect *effect = &f->effects.items[i];
        if (effect->kind == EFFECT_PREPARED_ASK) {
            cr_assert_eq(effect->session, session);
            cr_assert_eq(effect->prepared_ask.id_len, 2u);
            cr_assert_eq(memcmp(effect->prepared_ask.id, "id", 2), 0);
            count++;
        }
    }
    return count;
}

Test(prepared, the_group_is_asked_again_and_again)
{
    struct fixture f;
    struct client a;
    struct client b;
    Holdfast__Prepare id;
    setup(&f, &a, &id);
    client_attach(&f, &b, 2, false);
    cr_assert_eq(producer_open_epoch(&f, &a, "group", false).count, 1u);
    cr_assert_eq(producer_open_epoch(&f, &b, "group", false).count, 2u);
    cr_assert_eq(producer_open_epoch(&f, &a, "group", true).count, 2u, "who only asks is not asked");
    id.group = (char[]){"group"};
    id.ask_after_ms = 100;
    uint64_t at_ms = f.time_ms;
    cr_assert_eq(prepare(&f, &a, &id, 1).count, 1u);
    fixture_tick(&f, at_ms + 99);
    cr_assert_eq(asked(&f, b.session), 0u);
    fixture_tick(&f, at_ms + 100);
    cr_assert_eq(asked(&f, b.session), 1u);
    fixture_reopen(&f);
    fixture_tick(&f, at_ms + 150);
    cr_assert_eq(asked(&f, b.session), 0u);
    fixture_tick(&f, at_ms + 200);
    cr_assert_eq(asked(&f, b.session), 1u);
    cr_assert_eq(node_detach(&f, b.session, b.attachment).error, 0u);
    fixture_tick(&f, at_ms + 300);
    cr_assert_eq(asked(&f, b.session), 0u, "it is not there");
    client_attach(&f, &b, 2, true);
    fixture_tick(&f, at_ms + 400);
    cr_assert_eq(asked(&f, b.session), 1u);
    cr_assert_eq(resolve(&f, &b, "id", true).error, 0u);
    fixture_tick(&f, at_ms + 500);
    cr_assert_eq(asked(&f, b.session), 0u);
    cr_assert_eq(ready(&f, "q"), 1u);
    fixture_done(&f);
}

Test(prepared, at_the_deadline_there_is_an_outcome)
{
    for (int commit = 0; commit < 2; commit++) {
        struct fixture f;
        struct client a;
        Holdfast__Prepare id;
        setup(&f, &a, &id);
        id.deadline_ms = 1000;
        id.commit_at_deadline = commit;
        uint64_t at_ms = f.time_ms;
        cr_assert_eq(prepare(&f, &a, &id, 200).count, 200u, "more than at once");
        fixture_tick(&f, at_ms + 999);
        cr_assert_eq(ready(&f, "q"), 0u);
        fixture_tick(&f, at_ms + 1000);
        for (int i = 0; i < 5 && machine_due_ms(f.machine) == 0; i++) {
            fixture_reopen(&f);
            fixture_tick(&f, at_ms + 1000);
        }
        cr_assert_eq(ready(&f, "q"), commit ? 200u : 0u);
        cr_assert_eq(resolve(&f, &a, "id", commit == 0).error, E(REFUSED));
        cr_assert_eq(resolve(&f, &a, "id", commit != 0).error, 0u);
        cr_assert_eq(ready(&f, "q"), commit ? 200u : 0u);
        fixture_reopen(&f);
        fixture_done(&f);
    }
}

Test(prepared, a_delay_counts_from_the_commit_and_sequences_count)
{
    struct fixture f;
    struct client a;
    Holdfast__Prepare id;
    setup(&f, &a, &id);
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    head.delay_ms = 100;
    struct posts *posts = posts_new("q");
    posts_add(posts, &head, "m");
    posts->publish.prepare = &id;
    posts->publish.producer = (char[]){"p"};
    posts->publish.first_sequence = 1;
    cr_assert_eq(posts_send(&f, &a, posts).count, 1u);
    cr_assert_eq(posts_send(&f, &a, posts).repeated_count, 1u, "sent again it is in already");
    fixture_tick(&f, f.time_ms + 1000);
    uint64_t at_ms = f.time_ms;
    cr_assert_eq(resolve(&f, &a, "id", true).count, 1u);
    cr_assert_eq(ready(&f, "q"), 0u);
    fixture_tick(&f, at_ms + 99);
    cr_assert_eq(ready(&f, "q"), 0u);
    fixture_tick(&f, at_ms + 100);
    cr_assert_eq(ready(&f, "q"), 1u);
    posts_free(posts);
    fixture_done(&f);
}

Test(prepared, refusals_leave_no_trace)
{
    struct fixture f;
    struct client a;
    Holdfast__Prepare id;
    setup(&f, &a, &id);
    cr_assert_eq(prepare(&f, &a, &id, 1).count, 1u);
    struct posts *posts = posts_new("q");
    posts_add(posts, NULL, "m");
    posts->publish.prepare = &id;
    posts->publish.producer = (char[]){"p"};
    posts->publish.first_sequence = 1;
    posts_refused(&f, &a, posts, E(EXISTS));
    id.id = (char[]){""};
    posts_refused(&f, &a, posts, E(NAME));
    id.id = (char[]){"other"};
    id.group = (char[]){"\x01"};
    posts_refused(&f, &a, posts, E(NAME));
    id.group = (char[]){""};
    id.deadline_ms = UINT64_MAX;
    posts_refused(&f, &a, posts, E(INVALID));
    posts_free(posts);
    fixture_done(&f);
}
