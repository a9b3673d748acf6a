/* Producers: epochs, gaps, and names of virtual hosts. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "publish_fixture.h"
#include "statemachine/state.h"

static struct posts *named(uint64_t first, uint64_t epoch)
{
    struct posts *posts = posts_new("q");
    posts_add(posts, NULL, "m");
    posts_add(posts, NULL, "n");
    posts->publish.producer = (char *)(uintptr_t) "p";
    posts->publish.first_sequence = first;
    posts->publish.producer_epoch = epoch;
    return posts;
}

Test(producer, who_opens_it_fences_off_those_before)
{
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    cr_assert_eq(producer_open_epoch(&f, &a, "p", true).count, 0u);
    struct effect_reply reply = producer_open_epoch(&f, &a, "p", false);
    cr_assert_eq(reply.count, 1u);
    cr_assert_eq(reply.repeated_count, 0u);
    cr_assert_eq(posts_send_once(&f, &a, named(1, 1)).count, 2u);
    reply = producer_open_epoch(&f, &a, "p", false);
    cr_assert_eq(reply.count, 2u);
    cr_assert_eq(reply.repeated_count, 2u);
    for (int round = 0; round < 3; round++) {
        struct posts *posts = named(3, 1);
        posts_refused(&f, &a, posts, E(FENCED));
        posts_free(posts);
        if (round == 0) {
            fixture_reopen(&f);
        } else {
            fixture_checkpoint(&f);
        }
    }
    cr_assert_eq(posts_send_once(&f, &a, named(3, 2)).count, 2u);
    cr_assert_eq(posts_send_once(&f, &a, named(5, 0)).count, 2u, "who does not ask is not fenced off");
    cr_assert_eq(producer_open_epoch(&f, &a, "", false).error, E(NAME));
    fixture_done(&f);
}

Test(producer, gaps_are_refused_when_asked)
{
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    struct posts *posts = named(2, 0);
    posts->publish.no_gaps = true;
    posts_refused(&f, &a, posts, E(GAP));
    posts->publish.first_sequence = 1;
    cr_assert_eq(posts_send(&f, &a, posts).count, 2u);
    posts->publish.first_sequence = 4;
    posts_refused(&f, &a, posts, E(GAP));
    posts->publish.first_sequence = 2;
    struct effect_reply reply = posts_send(&f, &a, posts);
    cr_assert_eq(reply.count, 1u);
    cr_assert_eq(reply.repeated_count, 1u);
    posts->publish.first_sequence = 9;
    posts->publish.no_gaps = false;
    cr_assert_eq(posts_send_once(&f, &a, posts).count, 2u);
    fixture_done(&f);
}

Test(producer, rows_of_version_1_are_read_and_written_again)
{
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    f.machine->version = 1;
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    cr_assert_eq(client_publish(&f, &a, "q", "p", 1, 2).count, 2u);
    cr_assert_eq(client_publish(&f, &a, "q", "other", 1, 1).count, 1u);
    fixture_reopen(&f);
    uint64_t under_1 = fixture_digest(&f);
    f.machine->version = 2;
    uint64_t before = fixture_digest(&f);
    cr_assert_neq(before, under_1);
    struct producer *producer;
    cr_assert_eq(producer_get(f.machine, VIRTUAL_HOST_ROOT, "p", 1, &producer), 0);
    cr_assert_eq(producer->last, 2u);
    cr_assert_eq(fixture_digest(&f), before, "wherever it is");
    cr_assert_eq(producer_open_epoch(&f, &a, "p", false).count, 1u);
    fixture_reopen(&f);
    cr_assert_eq(producer_open_epoch(&f, &a, "p", false).repeated_count, 2u);
    fixture_done(&f);
}

Test(producer, a_virtual_host_has_its_own_and_takes_them_with_it)
{
    struct fixture f;
    struct client a;
    publish_fixture_init(&f, &a);
    struct virtual_host *host;
    cr_assert_eq(virtual_host_new(f.machine, "other", &host), 0);
    cr_assert_eq(virtual_host_put(f.machine, host), 0);
    struct producer *producer;
    for (unsigned i = 0; i < 3; i++) {
        char name[8];
        int len = snprintf(name, sizeof name, "p%u", i);
        cr_assert_eq(producer_get(f.machine, host->id, name, (size_t)len, &producer), 0);
        producer_advance(f.machine, producer, 7);
        cr_assert_eq(producer_get(f.machine, VIRTUAL_HOST_ROOT, name, (size_t)len, &producer), 0);
        cr_assert_eq(producer->last, 0u);
        producer_advance(f.machine, producer, 5);
        if (i == 0) {
            fixture_reopen(&f);
            host = virtual_host_by_name(f.machine, "other");
            cr_assert_not_null(host);
        }
    }
    fixture_checkpoint(&f);
    uint64_t id = host->id;
    cr_assert_eq(virtual_host_delete(f.machine, host, NULL), 0);
    fixture_reopen(&f);
    cr_assert_eq(producer_get(f.machine, id, "p1", 2, &producer), 0);
    cr_assert_eq(producer->last, 0u);
    cr_assert_eq(producer_get(f.machine, VIRTUAL_HOST_ROOT, "p1", 2, &producer), 0);
    cr_assert_eq(producer->last, 5u);
    fixture_done(&f);
}

/* Whose last sequence is not known must not go on: what it sends again would be taken twice. */
Test(producer, a_row_that_is_damaged_is_not_believed)
{
    struct fixture f;
    struct client a;
    struct producer *producer;
    publish_fixture_init(&f, &a);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0u);
    cr_assert_eq(posts_send_once(&f, &a, named(1, 0)).count, 2u);
    fixture_reopen(&f);
    struct row_key key = row_key_host_name(ROW_PRODUCER, VIRTUAL_HOST_ROOT, "p", 1);
    struct slice value;
    cr_assert_eq(f.machine->store->ops->get(f.machine->store, key.data, key.len, &value), 0);
    uint8_t damaged[64];
    cr_assert_leq(value.len, sizeof damaged);
    memcpy(damaged, value.data, value.len);
    damaged[1] ^= 1;
    struct store_change change = {
        .kind = STORE_PUT, .key = {.data = key.data, .len = key.len}, .value = {.data = damaged, .len = value.len}};
    cr_assert_eq(f.machine->store->ops->write(f.machine->store, &change, 1), 0);
    slice_unref(&value);
    cr_assert_eq(producer_get(f.machine, VIRTUAL_HOST_ROOT, "p", 1, &producer), ERR_CORRUPT);
    fixture_done(&f);
}
