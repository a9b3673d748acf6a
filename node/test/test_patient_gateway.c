/* What clients and operators hear of a node that takes no part. */

#include "node/core/patient_gateway.h"

#include <criterion/criterion.h>
#include <string.h>

#include "rebuild_pair.h"

#define REASON "shard-0/meta: both copies are damaged"

struct asked {
    struct pair pair;
    struct peers peers;
    struct patient_gateway gateway;
    unsigned wakes;
    unsigned reads;
    unsigned changes;
    bool again; /* A read is asked for from within the answer to the first. */
    struct gateway_read read;
    struct gateway_read other_read;
    struct gateway_change change;
};

static struct asked asked;

static const struct driver_member members[] = {{.id = PAIR_SOURCE, .address = "node:1"},
                                               {.id = PAIR_SINK, .address = "node:2"},
                                               {.id = PAIR_OTHER, .address = "node:3"}};

static void take_wake(void *arg)
{
    ((struct asked *)arg)->wakes++;
}

static void start(const char *reason, unsigned members_len)
{
    pair_start(&asked.pair, 1);
    pair_open_patient(&asked.pair, reason);
    peers_set(&asked.peers, PAIR_SOURCE, true, "client:1");
    peers_set(&asked.peers, PAIR_SINK, false, "client:2");
    const struct patient_gateway_options options = {
        .cluster = "orders",
        .version = "1.2",
        .node = PAIR_SINK,
        .members = members,
        .members_len = members_len,
        .peers = &asked.peers,
        .patient = asked.pair.patient,
        .arg = &asked,
        .wake = take_wake,
    };
    patient_gateway_init(&asked.gateway, &options);
}

static void setup(void)
{
    asked = (struct asked){0};
    start(REASON, 3);
}

static void teardown(void)
{
    patient_gateway_done(&asked.gateway);
    pair_stop(&asked.pair);
}

TestSuite(patient_gateway, .init = setup, .fini = teardown);

static struct gateway *gateway(void)
{
    return &asked.gateway.base;
}

static void on_read(struct gateway_read *read, int err)
{
    cr_assert_eq(err, ERR_UNAVAILABLE);
    asked.reads++;
    if (asked.again) {
        asked.again = false;
        gateway()->ops->read(gateway(), read);
    }
}

static void on_change(struct gateway_change *change, int err, const char *detail)
{
    cr_assert_eq(change, &asked.change);
    cr_assert_eq(err, ERR_UNAVAILABLE);
    cr_assert_not_null(strstr(detail, "takes no part"));
    asked.changes++;
}

Test(patient_gateway, answers_in_the_next_turn_that_another_is_to_be_asked)
{
    asked.read.done = on_read;
    asked.other_read.done = on_read;
    asked.change.done = on_change;
    asked.again = true;
    cr_assert_eq(patient_gateway_deadline_ms(&asked.gateway), UINT64_MAX);
    gateway()->ops->read(gateway(), &asked.read);
    gateway()->ops->read(gateway(), &asked.other_read);
    gateway()->ops->change(gateway(), &asked.change);
    cr_assert_eq(asked.reads + asked.changes, 0u, "not from within the call");
    cr_assert_eq(asked.wakes, 3u);
    cr_assert_eq(patient_gateway_deadline_ms(&asked.gateway), 0u);
    gateway()->ops->read_cancel(gateway(), &asked.other_read);
    patient_gateway_turn(&asked.gateway);
    cr_assert_eq(asked.reads, 1u);
    cr_assert_eq(asked.changes, 1u);
    cr_assert_eq(patient_gateway_deadline_ms(&asked.gateway), 0u, "asked again from within");
    patient_gateway_turn(&asked.gateway);
    cr_assert_eq(asked.reads, 2u);
    gateway()->ops->read_cancel(gateway(), &asked.read);
    gateway()->ops->change_cancel(gateway(), &asked.change);
    gateway()->ops->read(gateway(), &asked.read);
    patient_gateway_done(&asked.gateway);
    gateway()->ops->read_cancel(gateway(), &asked.read);
    cr_assert_eq(patient_gateway_deadline_ms(&asked.gateway), UINT64_MAX);
}

Test(patient_gateway, serves_nobody)
{
    struct gateway_leader leader = {.node = 7};
    const struct gateway_attach attach = {.lease_ms = 1000};
    const struct gateway_sink sink = {0};
    struct gateway_link *link = NULL;
    cr_assert_eq(gateway()->ops->leader(gateway(), &leader), ERR_UNAVAILABLE);
    cr_assert_eq(gateway()->ops->attach(gateway(), &attach, &sink, &link), ERR_UNAVAILABLE);
    cr_assert_null(link);
    cr_assert_eq(gateway()->ops->transfer(gateway(), 0), ERR_UNAVAILABLE);
    cr_assert_eq(gateway()->ops->repair(gateway(), PAIR_SINK), ERR_UNAVAILABLE, "whether it is a member others know");
    cr_assert_eq(gateway()->ops->repair(gateway(), PAIR_SOURCE), ERR_UNAVAILABLE);
}

static void on_founding_change(struct gateway_change *change, int err, const char *detail)
{
    cr_assert_eq(change, &asked.change);
    cr_assert_eq(err, ERR_UNAVAILABLE);
    cr_assert_str_eq(detail, "this cluster has not begun");
    asked.changes++;
}

/* It has nothing to fetch a copy of. */
Test(patient_gateway, of_a_cluster_that_has_not_begun_it_says_just_that)
{
    const struct patient_options *options = &asked.pair.patient_options;
    struct patient_options founding = *options;
    struct gateway_status status;
    char detail[200];
    founding.founding = true;
    founding.reason = "this cluster has not begun";
    patient_close(asked.pair.patient);
    cr_assert_eq(patient_open(&founding, &asked.pair.patient, detail, sizeof detail), 0, "%s", detail);
    asked.gateway.options.patient = asked.pair.patient;
    asked.change.done = on_founding_change;
    gateway()->ops->change(gateway(), &asked.change);
    patient_gateway_turn(&asked.gateway);
    cr_assert_eq(asked.changes, 1u);
    cr_assert_eq(gateway()->ops->repair(gateway(), PAIR_SINK), ERR_UNAVAILABLE);
    gateway()->ops->status(gateway(), &status);
    cr_assert_str_eq(status.refusing, "this cluster has not begun");
    cr_assert_str_eq(status.members[1].role, "founding");
}

Test(patient_gateway, says_how_it_is)
{
    struct gateway_status status;
    gateway()->ops->status(gateway(), &status);
    cr_assert_str_eq(status.cluster, "orders");
    cr_assert_str_eq(status.version, "1.2");
    cr_assert_eq(status.node, PAIR_SINK);
    cr_assert_eq(status.leader, 0u);
    cr_assert_neq(status.refusing[0], '\0');
    cr_assert_eq(status.members_len, 3u);
    cr_assert_str_eq(status.members[0].client_address, "client:1");
    cr_assert(status.members[0].connected && !status.members[2].connected);
    cr_assert_str_eq(status.members[2].client_address, "");
    cr_assert_str_eq(status.members[1].role, "repairing");
    cr_assert_str_eq(status.members[1].peer_address, "node:2");
    cr_assert(status.members[1].connected && !status.members[1].voter);
    cr_assert_not_null(strstr(status.members[1].detail, REASON));
    cr_assert_eq(status.alarms_len, 1u);
    cr_assert_eq(strncmp(status.alarms[0], "node 2: " REASON, strlen("node 2: " REASON)), 0, "%s", status.alarms[0]);
    for (unsigned i = 0; i < status.members_len; i++) {
        cr_assert_not_null(status.members[i].zone);
        cr_assert_not_null(status.members[i].role);
    }
}

Test(patient_gateway, shows_a_new_node_among_those_that_it_knows)
{
    struct gateway_status status;
    teardown();
    asked = (struct asked){0};
    start("", 1);
    gateway()->ops->status(gateway(), &status);
    cr_assert_eq(status.members_len, 2u);
    cr_assert_eq(status.members[1].id, PAIR_SINK);
    cr_assert_str_eq(status.members[1].role, "joining");
    cr_assert_eq(status.alarms_len, 0u, "nothing is wrong");
    patient_gateway_set_members(&asked.gateway, members, 3);
    gateway()->ops->status(gateway(), &status);
    cr_assert_eq(status.members_len, 3u);
}
