/* The digest of what is kept in memory: the same for the same state, and taken at the same entries everywhere. */

#include <criterion/criterion.h>

#include "fixture.h"
#include "proto/base/fault.h"
#include "statemachine/state.h"

static struct fixture f;
static struct client a;

static void setup(void)
{
    fault_reset();
    fixture_init(&f);
    client_attach(&f, &a, 1, false);
    cr_assert_eq(client_declare(&f, &a, "q").error, 0);
}

static void teardown(void)
{
    fault_reset();
    fixture_done(&f);
}

TestSuite(digest_memory, .init = setup, .fini = teardown);

static uint64_t digest_of(struct fixture *of)
{
    uint64_t digest;
    cr_assert_eq(machine_memory_digest(of->machine, &digest), 0);
    return digest;
}

/* The replies, and with them the running digest, say nothing of it. */
Test(digest_memory, shows_a_lost_message_that_nothing_has_come_of)
{
    struct fixture g;
    struct client b;
    fixture_init(&g);
    client_attach(&g, &b, 1, false);
    cr_assert_eq(client_declare(&g, &b, "q").error, 0);
    cr_assert_eq(digest_of(&f), digest_of(&g));
    cr_assert_eq(client_publish(&f, &a, "q", NULL, 1, 2).count, 2u);
    fault_set_nth(FAULT_DIVERGE_QUIETLY, 0);
    cr_assert_eq(client_publish(&g, &b, "q", NULL, 1, 2).count, 2u);
    cr_assert_eq(machine_running_digest(f.machine), machine_running_digest(g.machine));
    cr_assert_neq(digest_of(&f), digest_of(&g));
    fixture_done(&g);
}

/* Whether a changed bit shows; it is put back. */
static bool shows(uint64_t *word)
{
    uint64_t before = digest_of(&f);
    *word ^= 4;
    uint64_t after = digest_of(&f);
    *word ^= 4;
    cr_assert_eq(digest_of(&f), before);
    return after != before;
}

Test(digest_memory, shows_a_flipped_bit_in_anything_that_is_state)
{
    cr_assert_eq(client_publish(&f, &a, "q", NULL, 1, 3).error, 0);
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, 3).error, 0);
    cr_assert_eq(client_set_credit(&f, &a, 1, 1).error, 0);
    cr_assert_eq(client_settle(&f, &a, 1, HOLDFAST__SETTLE__OUTCOME__RELEASE, 1, 1).error, 0);
    struct queue *queue = queue_by_name(f.machine, VIRTUAL_HOST_ROOT, "q");
    struct session *session = session_by_id(f.machine, a.session);
    struct consumer *consumer = consumer_find(session, 1);
    struct returned *returned = RB_MIN(returned_tree, &queue->returned);
    struct presence *presence = container_of(list_first(&f.machine->presences), struct presence, by_node);
    cr_assert(returned != NULL && consumer->deliveries.held > 0);
    cr_assert(shows(&f.machine->next_queue));
    cr_assert(shows(&queue->lane.tail) && shows(&queue->counters.settled));
    cr_assert(shows(&returned->position));
    cr_assert(shows(&session->attempt) && shows(&session->replies.items[1].count));
    cr_assert(shows(&consumer->last_number));
    cr_assert(shows(&consumer->deliveries.items[consumer->deliveries.last - 1].position));
    cr_assert(shows(&presence->run));
    cr_assert_not(shows(&queue->oldest_ms), "this is none");
}

static bool due(uint64_t before, uint64_t index)
{
    f.machine->applied_index = index;
    return machine_memory_digest_due(f.machine, before);
}

Test(digest_memory, is_due_at_the_first_entry_at_or_after_a_multiple)
{
    cr_assert_not(due(1, 1023));
    cr_assert(due(1023, 1024));
    cr_assert_not(due(1024, 1025));
    cr_assert(due(1000, 1030), "indexes may be skipped");
    cr_assert(due(2047, 2048));
}

/* What is counted is made up here: a machine that is so large takes long to make. */
Test(digest_memory, is_due_less_often_the_more_there_is)
{
    struct queue *queue = queue_by_name(f.machine, VIRTUAL_HOST_ROOT, "q");
    f.machine->consumers_len = 5000;
    cr_assert_not(due(1023, 1024));
    cr_assert_not(due(4095, 4096));
    cr_assert(due(8191, 8192));
    f.machine->consumers_len = 0;
    queue->unsettled = 8 * 3000;
    cr_assert_not(due(1023, 1024));
    cr_assert(due(4095, 4096));
    queue->unsettled = 0;
    queue->returned_len = 3000;
    cr_assert_not(due(1023, 1024));
    cr_assert(due(4095, 4096));
    queue->returned_len = 1u << 20;
    cr_assert_not(due((1u << 20) - 1, 1u << 20), "it would take too long");
    cr_assert_not(due((1u << 22) - 1, 1u << 22));
    queue->returned_len = 0;
    cr_assert(due(1023, 1024));
}

/* However the state came to be what it is, the same entries are chosen. */
Test(digest_memory, is_the_same_after_a_restart)
{
    cr_assert_eq(client_publish(&f, &a, "q", NULL, 1, 3).error, 0);
    cr_assert_eq(client_subscribe(&f, &a, "q", 1, 2).error, 0);
    uint64_t before = digest_of(&f);
    fixture_reopen(&f);
    cr_assert_eq(digest_of(&f), before);
}
