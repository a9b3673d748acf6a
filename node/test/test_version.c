/* The version of the machine's rules: the leader raises it when all members know the newer one. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "three_nodes.h"

static struct three three;

static uint32_t version_of(struct three_node *node)
{
    return three_status(node).machine_version;
}

static void expect_versions(uint32_t version)
{
    for (unsigned i = 0; i < THREE; i++) {
        cr_assert_eq(version_of(&three.nodes[i]), version, "node %u has %u", i + 1, version_of(&three.nodes[i]));
    }
}

static void start(uint32_t version)
{
    struct shard_options options = {.segment_len = 64 * 1024, .machine_version = version};
    three_start(&three, &options);
}

static void restart_as(struct three_node *node, uint32_t version)
{
    three_crash(node);
    node->options.machine_version = version;
    three_restart(node);
}

Test(version, a_new_cluster_has_the_newest_at_once)
{
    start(0);
    three_wait(&three, THREE_PRESENCE_MS / 4);
    expect_versions(MACHINE_VERSION_MAX);
    three_stop(&three);
}

Test(version, one_node_alone_has_the_newest_at_once)
{
    struct one_node node;
    one_node_start(&node, NULL);
    one_node_settle(&node);
    cr_assert_eq(machine_version(shard_machine(node.shard)), MACHINE_VERSION_MAX);
    one_node_stop(&node);
}

Test(version, it_stays_as_long_as_one_member_does_not_know_the_newer_one)
{
    start(1);
    three_wait(&three, 2 * THREE_PRESENCE_MS);
    expect_versions(1);
    restart_as(three.a, 0);
    three_wait(&three, 2 * THREE_PRESENCE_MS);
    struct three_node *old = three.leader;
    restart_as(old, 0); /* The next leader is of either build. */
    three_find_leader(&three);
    three_wait(&three, 2 * THREE_PRESENCE_MS);
    expect_versions(1);
    for (unsigned i = 0; i < THREE; i++) {
        if (three.nodes[i].options.machine_version == 1) {
            restart_as(&three.nodes[i], 0);
        }
    }
    three_find_leader(&three);
    three_wait(&three, THREE_PRESENCE_MS);
    expect_versions(MACHINE_VERSION_MAX);
    three_stop(&three);
}

Test(version, a_member_that_is_silent_is_waited_for)
{
    start(1);
    three.a->paused = true; /* It knows the newer one, and has not said so. */
    three.a->options.machine_version = 0;
    restart_as(three.leader, 0);
    restart_as(three.b, 0);
    three_find_leader(&three);
    three_wait(&three, 3 * THREE_PRESENCE_MS);
    cr_assert_eq(version_of(three.leader), 1u);
    struct three_node *silent = &three.nodes[0];
    while (!silent->paused) {
        silent++;
    }
    three_crash(silent);
    silent->paused = false;
    three_restart(silent);
    three_wait(&three, THREE_PRESENCE_MS);
    expect_versions(MACHINE_VERSION_MAX);
    three_stop(&three);
}

/* ---- What operators are told ---- */

/* The alarm of a node that begins as this one does; NULL: there is none. Valid until the next status. */
static const char *alarm_of(struct three_node *node, const char *begins)
{
    static struct gateway_status status;
    status = three_status(node);
    for (unsigned i = 0; i < status.alarms_len; i++) {
        if (strncmp(status.alarms[i], begins, strlen(begins)) == 0) {
            return status.alarms[i];
        }
    }
    return NULL;
}

static const char *waiting_alarm(void)
{
    return alarm_of(three.leader, "version ");
}

Test(version, members_that_hold_it_back_are_named)
{
    start(1);
    three_wait(&three, 2 * THREE_PRESENCE_MS);
    cr_assert_null(waiting_alarm(), "nobody knows a newer one");
    three.a->paused = true;
    uint64_t silent = three.a->id;
    uint64_t old = three.b->id;
    restart_as(three.leader, 2);
    three_find_leader(&three);
    three_wait(&three, THREE_PRESENCE_MS / 2);
    cr_assert_null(waiting_alarm(), "it is early");
    three_wait(&three, 3 * THREE_PRESENCE_MS);
    const char *alarm = waiting_alarm();
    cr_assert_not_null(alarm);
    char part[64];
    snprintf(part, sizeof part, "node %llu is silent", (unsigned long long)silent);
    cr_assert_not_null(strstr(alarm, part), "%s", alarm);
    snprintf(part, sizeof part, "node %llu knows version 1 only", (unsigned long long)old);
    cr_assert_not_null(strstr(alarm, part), "%s", alarm);
    cr_assert_null(strstr(alarm, "knows version 2"), "%s", alarm);
    for (unsigned i = 0; i < THREE; i++) {
        three.nodes[i].paused = false;
        if (three.nodes[i].options.machine_version == 1) {
            restart_as(&three.nodes[i], 0);
        }
    }
    three_find_leader(&three);
    three_wait(&three, 2 * THREE_PRESENCE_MS);
    expect_versions(MACHINE_VERSION_MAX);
    cr_assert_null(waiting_alarm());
    three_stop(&three);
}
