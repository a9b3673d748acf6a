/* How a node becomes one that may not count on what it has: what is noted, and when it is not. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node_fixture.h"
#include "proto/base/check.h"

static struct node_fixture fixture;
static struct node *node;

static void setup(void)
{
    char dir[128];
    node_fixture_start(&fixture);
    node = &fixture.node;
    const struct posix_disk_options options = {.loop = &fixture.loop, .root = fixture.path};
    cr_assert_eq(posix_disk_open(&options, &node->disk), 0);
    snprintf(dir, sizeof dir, "%s/" SHARD_DIR, fixture.path);
    cr_assert(mkdir(dir, 0700) == 0 || access(dir, F_OK) == 0);
    node->members[0] = (struct data_dir_member){.id = 1, .address = "127.0.0.1:1", .voter = true};
    node->members[1] = (struct data_dir_member){.id = 2, .address = "127.0.0.1:2", .voter = true};
    node->members_len = 2;
}

static void teardown(void)
{
    posix_disk_close(node->disk);
    node_fixture_stop(&fixture);
}

TestSuite(node_patient, .init = setup, .fini = teardown);

static struct repair_mark noted(void)
{
    struct repair_mark mark;
    cr_assert_eq(repair_mark_read(posix_disk_base(node->disk), SHARD_DIR, &mark), 0);
    return mark;
}

Test(node_patient, damage_is_noted_once_with_its_reason)
{
    node_damaged(node, "its log is damaged", false);
    cr_assert(node->damaged);
    struct repair_mark mark = noted();
    cr_assert_eq(mark.state, REPAIR_NEEDED);
    cr_assert(mark.voter);
    cr_assert_str_eq(mark.reason, "its log is damaged");
    node_damaged(node, "something else", false);
    cr_assert_str_eq(noted().reason, "its log is damaged");
}

Test(node_patient, a_node_that_is_being_closed_notes_nothing)
{
    node->closing = true;
    node_damaged(node, "its log is damaged", false);
    cr_assert_not(node->damaged);
    cr_assert_eq(noted().state, REPAIR_NONE);
}

Test(node_patient, whether_it_had_a_vote_is_as_last_known)
{
    node->shard = NULL;
    node->members[0].voter = false;
    cr_assert(node_note_damage(node, "its log is damaged", false));
    cr_assert_not(noted().voter);
}

/* Nobody has what it has lost, so nothing of it is given up. */
Test(node_patient, one_that_is_alone_does_not_begin_anew)
{
    char detail[256] = "its log is damaged";
    node->members_len = 1;
    cr_assert_not(node_note_damage(node, "its log is damaged", false));
    cr_assert_eq(node_start_failed(node, ERR_CORRUPT, detail, sizeof detail), ERR_CORRUPT);
    cr_assert_eq(noted().state, REPAIR_NONE);
    cr_assert_not(node->plan.patient);
}

Test(node_patient, a_start_that_fails_for_damage_is_one_as_a_patient)
{
    static const int damage[] = {ERR_CORRUPT, ERR_CHECKSUM};
    for (unsigned i = 0; i < ARRAY_LEN(damage); i++) {
        char detail[256] = "its state is damaged";
        node->plan = (struct repair_plan){0};
        cr_assert_eq(repair_mark_clear(posix_disk_base(node->disk), SHARD_DIR), 0);
        cr_assert_eq(node_start_failed(node, damage[i], detail, sizeof detail), 0, "%s", detail);
        cr_assert(node->plan.patient);
        cr_assert_eq(node->mark.state, REPAIR_NEEDED);
        cr_assert_str_eq(noted().reason, "its state is damaged");
    }
}

Test(node_patient, a_start_that_fails_for_something_else_fails)
{
    static const int other[] = {ERR_IO, ERR_NO_SPACE, ERR_NOMEM, ERR_REFUSED, ERR_LOCKED};
    for (unsigned i = 0; i < ARRAY_LEN(other); i++) {
        char detail[256] = "";
        cr_assert_eq(node_start_failed(node, other[i], detail, sizeof detail), other[i]);
        cr_assert_not(node->plan.patient);
    }
    cr_assert_eq(noted().state, REPAIR_NONE);
}

/* As when it votes in the membership of the copy. */
Test(node_patient, one_that_cannot_begin_anew_with_its_copy_fetches_another)
{
    char detail[256] = "it had a vote";
    node->plan = (struct repair_plan){.rejoin = true, .discard = true};
    cr_assert_eq(node_start_failed(node, ERR_REFUSED, detail, sizeof detail), 0, "%s", detail);
    cr_assert(node->plan.patient);
}
