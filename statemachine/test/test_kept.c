/* Messages that are kept after they were settled, and replayed. */

#include <criterion/criterion.h>
#include <string.h>

#include "leaving_fixture.h"
#include "statemachine/machine_looking.h"
#include "statemachine/queue/queue.h"
#include "statemachine/table/table.h"

struct seen {
    struct machine_kept kept[16];
    size_t len;
};

static int see(void *arg, const struct machine_kept *kept)
{
    struct seen *seen = arg;
    seen->kept[seen->len++] = *kept;
    return 0;
}

static struct seen look(struct fixture *f, const char *queue, uint64_t from)
{
    struct seen seen = {0};
    cr_assert_eq(machine_kept(f->machine, fixture_queue(f, queue).id, from, see, &seen), 0);
    return seen;
}

static const char *kept_body(struct fixture *f, const char *queue, uint64_t position)
{
    static char text[64];
    struct machine_content content;
    cr_assert_eq(machine_kept_content(f->machine, fixture_queue(f, queue).id, position, &content), 0);
    memcpy(text, content.body.data, content.body.len);
    text[content.body.len] = 0;
    machine_content_done(&content);
    return text;
}

/* Accepted, rejected, pushed out, expired: 1 to 4 of "q". */
static uint64_t four_gone(struct fixture *f, struct client *a)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    publish_fixture_init(f, a);
    options.keep_settled_ms = 1000;
    options.has_max_length = true;
    options.max_length = 1;
    leaving_declare(f, a, "q", &options);
    leaving_declare(f, a, "other", NULL);
    cr_assert_eq(client_subscribe(f, a, "q", 1, 2).error, 0u);
    leaving_publish(f, a, "q", "accepted", UINT64_MAX);
    leaving_publish(f, a, "q", "rejected", UINT64_MAX);
    leaving_publish(f, a, "q", "dropped", UINT64_MAX);
    leaving_publish(f, a, "q", "expired", 5);
    uint64_t at_ms = f->time_ms;
    cr_assert_eq(client_set_credit(f, a, 1, 0).error, 0u);
    fixture_tick(f, at_ms + 20);
    cr_assert_eq(client_settle(f, a, 1, ACCEPT, 1, 1).count, 1u);
    cr_assert_eq(client_settle(f, a, 1, REJECT, 2, 2).count, 1u);
    cr_assert_eq(ready(f, "q"), 0u);
    return at_ms;
}

Test(kept, whatever_way_it_left)
{
    for (int disturb = 0; disturb < 2; disturb++) {
        struct fixture f;
        struct client a;
        uint64_t at_ms = four_gone(&f, &a);
        leaving_disturb(&f, disturb);
        struct seen seen = look(&f, "q", 0);
        cr_assert_eq(seen.len, 4u);
        enum machine_kept_outcome outcomes[] = {KEPT_ACCEPTED, KEPT_REJECTED, KEPT_DROPPED, KEPT_EXPIRED};
        const char *bodies[] = {"accepted", "rejected", "dropped", "expired"};
        for (size_t i = 0; i < 4; i++) {
            cr_assert_eq(seen.kept[i].position, i + 1);
            cr_assert_eq(seen.kept[i].outcome, outcomes[i]);
            cr_assert_str_eq(kept_body(&f, "q", i + 1), bodies[i]);
            cr_assert_eq(seen.kept[i].body_len, strlen(bodies[i]));
        }
        cr_assert_eq(seen.kept[3].left_ms, at_ms + 20);
        cr_assert_eq(look(&f, "q", 3).len, 2u);
        fixture_done(&f);
    }
}

Test(kept, for_so_long)
{
    struct fixture f;
    struct client a;
    four_gone(&f, &a);
    leaving_disturb(&f, true);
    fixture_tick(&f, look(&f, "q", 0).kept[0].left_ms + 1000);
    struct seen seen = look(&f, "q", 0);
    cr_assert_eq(seen.len, 1u);
    cr_assert_eq(seen.kept[0].outcome, KEPT_REJECTED);
    leaving_disturb(&f, true);
    fixture_tick(&f, f.time_ms + 10);
    cr_assert_eq(look(&f, "q", 0).len, 0u);
    cr_assert_eq(machine_due_ms(f.machine), UINT64_MAX);
    struct machine_content content;
    cr_assert_eq(machine_kept_content(f.machine, fixture_queue(&f, "q").id, 1, &content), ERR_NOT_FOUND);
    cr_assert_eq(machine_kept(f.machine, 99, 0, see, &seen), ERR_NOT_FOUND);
    fixture_done(&f);
}

Test(kept, when_it_was_settled_as_it_was_delivered)
{
    struct fixture f;
    struct client a;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__Subscribe subscribe = HOLDFAST__SUBSCRIBE__INIT;
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    publish_fixture_init(&f, &a);
    options.keep_settled_ms = 1000;
    leaving_declare(&f, &a, "q", &options);
    leaving_publish(&f, &a, "q", "body", UINT64_MAX);
    leaving_disturb(&f, true);
    subscribe.queue = "q";
    subscribe.consumer = 1;
    subscribe.credit = 1;
    subscribe.auto_accept = true;
    command.kind_case = HOLDFAST__COMMAND__KIND_SUBSCRIBE;
    command.subscribe = &subscribe;
    cr_assert_eq(client_command(&f, &a, &command, NULL, 0).error, 0u);
    cr_assert_eq(fixture_count(&f, EFFECT_DELIVER), 1u);
    cr_assert_eq(look(&f, "q", 0).len, 1u);
    cr_assert_str_eq(kept_body(&f, "q", 1), "body");
    fixture_done(&f);
}

Test(kept, can_be_replayed)
{
    for (int disturb = 0; disturb < 2; disturb++) {
        struct fixture f;
        struct client a;
        four_gone(&f, &a);
        leaving_disturb(&f, disturb);
        struct effect_reply reply = leaving_replay(&f, &a, "q", "other", 2, 100, 2);
        cr_assert_eq(reply.error, 0u, "%s", reply.detail);
        cr_assert_eq(reply.count, 2u);
        cr_assert_eq(reply.repeated_count, 4u);
        reply = leaving_replay(&f, &a, "q", "other", 4, 100, 2);
        cr_assert_eq(reply.count, 1u);
        cr_assert_eq(reply.repeated_count, 0u);
        leaving_disturb(&f, disturb);
        const char *bodies[] = {"rejected", "dropped", "expired"};
        for (uint64_t i = 0; i < 2; i++) {
            cr_assert_str_eq(body_at(&f, "other", i + 1), bodies[i]);
        }
        cr_assert_eq(look(&f, "q", 0).len, 4u);
        cr_assert_eq(ready(&f, "other"), 3u);
        fixture_done(&f);
    }
}

Test(kept, can_be_replayed_in_its_own_queue)
{
    struct fixture f;
    struct client a;
    four_gone(&f, &a);
    cr_assert_eq(leaving_replay(&f, &a, "q", "", 1, 1, 0).count, 1u);
    cr_assert_str_eq(body_at(&f, "q", 5), "accepted");
    cr_assert_eq(leaving_replay(&f, &a, "q", "", 1, UINT64_MAX, 0).count, 4u);
    cr_assert_eq(look(&f, "q", 5).len, 4u, "each pushed out by the next");
    cr_assert_eq(ready(&f, "q"), 1u);
    cr_assert_eq(leaving_replay(&f, &a, "q", "", 2, 1, 0).error, E(INVALID));
    cr_assert_eq(leaving_replay(&f, &a, "q", "", 1, 2, 1025).error, E(INVALID));
    cr_assert_eq(leaving_replay(&f, &a, "no", "", 1, 2, 0).error, E(NOT_FOUND));
    cr_assert_eq(leaving_replay(&f, &a, "q", "no", 1, 2, 0).error, E(NOT_FOUND));
    fixture_done(&f);
}

Test(kept, goes_with_its_queue)
{
    struct fixture f;
    struct client a;
    four_gone(&f, &a);
    leaving_disturb(&f, true);
    cr_assert_eq(client_delete(&f, &a, "q", false).error, 0u);
    leaving_disturb(&f, true);
    fixture_tick(&f, f.time_ms + 5000);
    cr_assert_eq(machine_due_ms(f.machine), UINT64_MAX);
    fixture_done(&f);
}
