/* Membership as bytes: the round trip with the engine's own encoding, and everything that must be refused. */

#include "consensus/configuration.h"

#include <criterion/criterion.h>
#include <string.h>

#include "proto/base/bytes.h"

static struct slice sample(void)
{
    struct raft_configuration configuration;
    struct slice bytes;
    raft_configuration_init(&configuration);
    cr_assert_eq(raft_configuration_add(&configuration, 1, "10.0.0.1:7471", RAFT_VOTER), 0);
    cr_assert_eq(raft_configuration_add(&configuration, 2, "10.0.0.2:7471", RAFT_STANDBY), 0);
    cr_assert_eq(configuration_encode(&configuration, &bytes), 0);
    raft_configuration_close(&configuration);
    return bytes;
}

Test(configuration, round_trip)
{
    struct slice bytes = sample();
    struct raft_configuration configuration;
    cr_assert_eq(configuration_decode(bytes.data, bytes.len, &configuration), 0);
    cr_assert_eq(configuration.n, 2u);
    cr_assert_str_eq(configuration.servers[1].address, "10.0.0.2:7471");
    cr_assert_eq(configuration.servers[1].role, RAFT_STANDBY);
    cr_assert_eq(configuration_voters(&configuration), 1u);
    cr_assert_null(configuration_find(&configuration, 3));
    raft_configuration_close(&configuration);
    slice_unref(&bytes);
}

Test(configuration, every_truncation_is_refused_or_complete)
{
    struct slice bytes = sample();
    struct raft_configuration configuration;
    size_t whole = 9 + 2 * (8 + strlen("10.0.0.1:7471") + 2);
    for (size_t len = 0; len < whole; len++) {
        cr_assert_eq(configuration_decode(bytes.data, len, &configuration), ERR_INVALID, "at %zu", len);
    }
    slice_unref(&bytes);
}

Test(configuration, counts_duplicates_and_roles_that_cannot_be)
{
    struct slice bytes = sample();
    struct raft_configuration configuration;
    uint8_t copy[256];
    memcpy(copy, bytes.data, bytes.len);
    put_u64(copy + 1, UINT64_MAX);
    cr_assert_eq(configuration_decode(copy, bytes.len, &configuration), ERR_INVALID);
    put_u64(copy + 1, 0);
    cr_assert_eq(configuration_decode(copy, bytes.len, &configuration), ERR_INVALID);
    memcpy(copy, bytes.data, bytes.len);
    put_u64(copy + 9 + 8 + strlen("10.0.0.1:7471") + 2, 1);
    cr_assert_eq(configuration_decode(copy, bytes.len, &configuration), ERR_INVALID, "the same id twice");
    memcpy(copy, bytes.data, bytes.len);
    copy[9 + 8 + strlen("10.0.0.1:7471") + 1] = 77;
    cr_assert_eq(configuration_decode(copy, bytes.len, &configuration), ERR_INVALID, "a role that does not exist");
    copy[9 + 8 + strlen("10.0.0.1:7471") + 1] = RAFT_SPARE;
    cr_assert_eq(configuration_decode(copy, bytes.len, &configuration), ERR_INVALID, "a role that nobody gives");
    memcpy(copy, bytes.data, bytes.len);
    put_u64(copy + 9, 0);
    cr_assert_eq(configuration_decode(copy, bytes.len, &configuration), ERR_INVALID, "no id");
    copy[0] = 2;
    cr_assert_eq(configuration_decode(copy, bytes.len, &configuration), ERR_INVALID, "another format");
    slice_unref(&bytes);
}
