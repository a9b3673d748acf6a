/* Who is a member, for a node's links and for its next start. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node_fixture.h"

/* What a node that was removed is given to hear of it: 24 election timeouts. */
#define LEAVING_MS (24u * 300u)

static struct node_fixture fixture;
static struct node *node;

static void setup(void)
{
    node_fixture_start(&fixture);
    node = &fixture.node;
}

static void teardown(void)
{
    node_fixture_stop(&fixture);
}

TestSuite(node_members, .init = setup, .fini = teardown);

static unsigned noted(struct data_dir_member members[MEMBERS_MAX])
{
    unsigned len = 0;
    char detail[256] = "";
    cr_assert_eq(data_dir_members_read(node->data_dir, members, &len, detail, sizeof detail), 0, "%s", detail);
    return len;
}

Test(node_members, one_that_is_added_is_dialled_and_noted)
{
    struct data_dir_member members[MEMBERS_MAX];
    node_fixture_change(&fixture, DRIVER_ADD, 4);
    cr_assert_leq(node_members_deadline_ms(node), fixture.one.clock.now_ms);
    cr_assert_not(node_fixture_has_link(&fixture, 4));
    node_fixture_members_wait(&fixture, 0);
    cr_assert(node_fixture_has_link(&fixture, 4));
    cr_assert_not(node_fixture_has_link(&fixture, 1), "no link to itself");
    cr_assert_eq(noted(members), 2u);
    cr_assert_eq(members[0].id, 1u);
    cr_assert(members[0].voter);
    cr_assert_eq(members[1].id, 4u);
    cr_assert_not(members[1].voter);
    cr_assert_str_eq(members[1].address, "127.0.0.1:4");
    cr_assert_not_null(node_member(node, 4));
    cr_assert_null(node_member(node, 5));
    cr_assert_eq(node_members_deadline_ms(node), UINT64_MAX);
}

Test(node_members, the_link_of_one_that_is_removed_stays_for_the_last_words)
{
    struct data_dir_member members[MEMBERS_MAX];
    node_fixture_change(&fixture, DRIVER_ADD, 4);
    node_fixture_members_wait(&fixture, 0);
    node_fixture_change(&fixture, DRIVER_REMOVE, 4);
    node_fixture_members_wait(&fixture, 0);
    uint64_t now_ms = fixture.one.clock.now_ms;
    cr_assert_eq(noted(members), 1u);
    cr_assert_null(node_member(node, 4));
    cr_assert(node_fixture_has_link(&fixture, 4));
    cr_assert_eq(node_members_deadline_ms(node), now_ms + LEAVING_MS);
    node_fixture_members_wait(&fixture, LEAVING_MS - 1);
    cr_assert(node_fixture_has_link(&fixture, 4));
    node_fixture_members_wait(&fixture, 1);
    cr_assert_not(node_fixture_has_link(&fixture, 4));
    cr_assert_eq(node_members_deadline_ms(node), UINT64_MAX);
}

Test(node_members, one_that_is_added_again_meanwhile_keeps_its_link)
{
    node_fixture_change(&fixture, DRIVER_ADD, 4);
    node_fixture_members_wait(&fixture, 0);
    node_fixture_change(&fixture, DRIVER_REMOVE, 4);
    node_fixture_members_wait(&fixture, 0);
    node_fixture_change(&fixture, DRIVER_ADD, 4);
    node_fixture_members_wait(&fixture, 10);
    node_fixture_members_wait(&fixture, LEAVING_MS);
    cr_assert(node_fixture_has_link(&fixture, 4));
    cr_assert_eq(node_members_deadline_ms(node), UINT64_MAX);
}

/* Who comes is needed; who has left is told at its next start, too. */
Test(node_members, who_comes_has_a_link_although_those_who_left_still_have_theirs)
{
    for (uint64_t id = 10; id <= 10 + MEMBERS_MAX; id++) {
        node_fixture_change(&fixture, DRIVER_ADD, id);
        node_fixture_members_wait(&fixture, 0);
        cr_assert(node_fixture_has_link(&fixture, id));
        node_fixture_change(&fixture, DRIVER_REMOVE, id);
        node_fixture_members_wait(&fixture, 0);
    }
    cr_assert_not(node_fixture_has_link(&fixture, 10));
    cr_assert(node_fixture_has_link(&fixture, 10 + MEMBERS_MAX));
    node_fixture_members_wait(&fixture, LEAVING_MS);
    for (uint64_t id = 10; id <= 10 + MEMBERS_MAX; id++) {
        cr_assert_not(node_fixture_has_link(&fixture, id));
    }
}

Test(node_members, what_could_not_be_noted_is_noted_later)
{
    char file[128];
    char inside[160];
    struct data_dir_member members[MEMBERS_MAX];
    snprintf(file, sizeof file, "%s/members", fixture.path);
    snprintf(inside, sizeof inside, "%s/inside", file);
    cr_assert(mkdir(file, 0700) == 0 && mkdir(inside, 0700) == 0); /* No file takes its place. */
    node_fixture_change(&fixture, DRIVER_ADD, 4);
    node_fixture_members_wait(&fixture, 0);
    cr_assert(node_fixture_has_link(&fixture, 4), "its link does not wait for that");
    cr_assert_eq(node_members_deadline_ms(node), fixture.one.clock.now_ms + 1000);
    cr_assert(rmdir(inside) == 0 && rmdir(file) == 0);
    node_fixture_members_wait(&fixture, 999);
    cr_assert_neq(access(file, F_OK), 0);
    node_fixture_members_wait(&fixture, 1);
    cr_assert_eq(noted(members), 2u);
    cr_assert_eq(node_members_deadline_ms(node), UINT64_MAX);
}

/* ---- At a start ---- */

Test(node_members, are_those_of_the_configuration_until_others_are_noted)
{
    char detail[256] = "";
    struct data_dir_member other = {.id = 1, .address = "127.0.0.1:9"};
    cr_assert_eq(node_members_load(node, detail, sizeof detail), 0, "%s", detail);
    cr_assert_eq(node->members_len, 3u);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(node->members[i].id, i + 1);
        cr_assert(node->members[i].voter);
        cr_assert_str_eq(node->members[i].address, fixture.addresses[i]);
    }
    cr_assert_eq(data_dir_members_write(node->data_dir, &other, 1, detail, sizeof detail), 0, "%s", detail);
    cr_assert_eq(node_members_load(node, detail, sizeof detail), 0, "%s", detail);
    cr_assert_eq(node->members_len, 1u);
    cr_assert_str_eq(node->members[0].address, "127.0.0.1:9");
    cr_assert_not(node->members[0].voter);
}

Test(node_members, one_that_joins_does_not_vote)
{
    char detail[256] = "";
    fixture.config.join = true;
    cr_assert_eq(node_members_load(node, detail, sizeof detail), 0, "%s", detail);
    cr_assert_not(node_member(node, 1)->voter);
    cr_assert(node_member(node, 2)->voter);
    cr_assert(node_member(node, 3)->voter);
}

Test(node_members, a_damaged_note_gives_way_to_the_configuration)
{
    char file[128];
    char detail[256] = "";
    snprintf(file, sizeof file, "%s/members", fixture.path);
    FILE *out = fopen(file, "w");
    cr_assert_not_null(out);
    cr_assert_geq(fputs("holdfast-members 1\nmember 7 127.0.0.1:7 voter\nchecksum 0000000000000000\n", out), 0);
    cr_assert_eq(fclose(out), 0);
    cr_assert_eq(node_members_load(node, detail, sizeof detail), 0, "%s", detail);
    cr_assert_eq(node->members_len, 3u);
}

/* ---- This node ---- */

Test(node_members, one_that_is_a_member_again_does_not_stop)
{
    node_removed(node);
    cr_assert_not(node->stopping);
    char file[128];
    snprintf(file, sizeof file, "%s/removed", fixture.path);
    cr_assert_neq(access(file, F_OK), 0);
}
