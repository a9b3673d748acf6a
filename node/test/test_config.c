/* A configuration is complete and consistent, or refused with its file, line and key. */

#include "node/config.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MEMBERS                                                                                                        \
    "members:\n"                                                                                                       \
    "  - {id: 1, peer: 127.0.0.1:7471, client: 127.0.0.1:7470}\n"                                                      \
    "  - {id: 2, peer: 127.0.0.1:7481, client: 127.0.0.1:7480}\n"                                                      \
    "  - id: 3\n"                                                                                                      \
    "    peer: \"[::1]:7491\"\n"                                                                                       \
    "    client: node3.example:7490 # where applications connect\n"
#define GOOD "cluster: orders\nnode: 2\ndata: /var/lib/holdfast\n" MEMBERS

struct loaded {
    int err;
    struct config *config;
    char path[64];
    char detail[512];
};

static struct loaded load_text(const char *text)
{
    struct loaded loaded = {.path = "/tmp/holdfast-config-XXXXXX"};
    int fd = mkstemp(loaded.path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    loaded.err = config_load(loaded.path, &loaded.config, loaded.detail, sizeof(loaded.detail));
    unlink(loaded.path);
    return loaded;
}

/* The text is refused, at that line, with a sentence that holds `what`. */
static void refused(const char *text, unsigned line, const char *what)
{
    char place[96];
    struct loaded loaded = load_text(text);
    cr_assert_eq(loaded.err, ERR_INVALID, "accepted, or %d (%s): %s", loaded.err, loaded.detail, text);
    cr_assert_null(loaded.config, "the output is untouched on failure");
    snprintf(place, sizeof(place), "%s:%u: ", loaded.path, line);
    cr_assert_eq(strncmp(loaded.detail, place, strlen(place)), 0, "not at line %u: %s", line, loaded.detail);
    cr_assert_not_null(strstr(loaded.detail, what), "'%s' does not say '%s'", loaded.detail, what);
    cr_assert_null(strchr(loaded.detail, '\n'), "one line");
}

Test(config, is_complete_with_defaults)
{
    struct loaded loaded = load_text(GOOD);
    cr_assert_eq(loaded.err, 0, "%s", loaded.detail);
    struct config *config = loaded.config;
    cr_assert_str_eq(config->cluster, "orders");
    cr_assert_eq(config->node, 2u);
    cr_assert_str_eq(config->data_dir, "/var/lib/holdfast");
    cr_assert_eq(config->members_len, 3u);
    cr_assert_str_eq(config->members[2].peer_address, "[::1]:7491");
    cr_assert_str_eq(config->members[2].client_address, "node3.example:7490");
    cr_assert_str_eq(config->listen_client, "127.0.0.1:7480");
    cr_assert_str_eq(config->listen_peer, "127.0.0.1:7481");
    cr_assert_null(config->listen_amqp);
    cr_assert_not(config->amqp_guest_from_anywhere);
    cr_assert_eq(config->log_level, JOURNAL_INFO);
    cr_assert_eq(config->election_timeout_ms, CONFIG_ELECTION_TIMEOUT_MS_DEFAULT);
    cr_assert_eq(config->heartbeat_ms, 30u);
    cr_assert_eq(config->checkpoint_bytes, CONFIG_CHECKPOINT_BYTES_DEFAULT);
    cr_assert_eq(config->retain_bytes, CONFIG_RETAIN_BYTES_DEFAULT);
    cr_assert_eq(config->segment_bytes, CONFIG_SEGMENT_BYTES_DEFAULT);
    cr_assert_eq(config->cache_bytes, CONFIG_CACHE_BYTES_DEFAULT);
    cr_assert_eq(config->body_bytes_max, BODY_LEN_MAX);
    cr_assert_eq(config->connections_max, 16384u);
    cr_assert_eq(config->reserve_bytes, 128 * MIB);
    cr_assert_eq(config->disk_free_bytes_min, 512 * MIB);
    cr_assert_eq(config->memory_bytes_max, 0u);
    cr_assert_eq(config->client_memory_bytes, 256 * MIB);
    cr_assert_eq(config->presence_timeout_ms, 1500u);
    cr_assert_eq(config->isolation_timeout_ms, 1500u);
    cr_assert_eq(config->disk_stall_ms, 2000u);
    cr_assert_eq(config->clock_skew_ms, 5000u);
    cr_assert_eq(config->scrub_rate, 16 * MIB);
    cr_assert_eq(config->scrub_interval_ms, 86400000u);
    cr_assert_not(config->join);
    cr_assert_str_eq(config->members[0].zone, "");
    cr_assert_not(config->members[0].preferred);
    cr_assert_eq(config_member(config, 3), &config->members[2]);
    cr_assert_null(config_member(config, 4));
    config_free(config);
}

Test(config, takes_every_option)
{
    struct loaded loaded = load_text(GOOD "listen_client: 0.0.0.0:1\nlisten_peer: 0.0.0.0:2\nlog_level: debug\n"
                                          "listen_amqp: 0.0.0.0:3\namqp_guest_from_anywhere: true\n"
                                          "election_timeout_ms: 300\nheartbeat_ms: 100\ncheckpoint_mib: 2\n"
                                          "retain_mib: 3\nsegment_mib: 4\ncache_mib: 5\nbody_mib: 6\n"
                                          "connections_max: 7\nreserve_mib: 8\ndisk_free_mib: 9\nmemory_mib: 100\n"
                                          "client_memory_mib: 65\npresence_timeout_ms: 700\n"
                                          "isolation_timeout_ms: 800\ndisk_stall_ms: 900\nrebuild_mib_per_s: 11\n"
                                          "join: true\nclock_skew_ms: 100\nscrub_mib_per_s: 12\n"
                                          "scrub_interval_s: 13\nmachine_version: 1\n");
    cr_assert_eq(loaded.err, 0, "%s", loaded.detail);
    struct config *config = loaded.config;
    cr_assert_str_eq(config->listen_client, "0.0.0.0:1");
    cr_assert_str_eq(config->listen_peer, "0.0.0.0:2");
    cr_assert_str_eq(config->listen_amqp, "0.0.0.0:3");
    cr_assert(config->amqp_guest_from_anywhere);
    cr_assert_eq(config->log_level, JOURNAL_DEBUG);
    cr_assert_eq(config->election_timeout_ms, 300u);
    cr_assert_eq(config->heartbeat_ms, 100u);
    cr_assert_eq(config->checkpoint_bytes, 2 * MIB);
    cr_assert_eq(config->retain_bytes, 3 * MIB);
    cr_assert_eq(config->segment_bytes, 4 * MIB);
    cr_assert_eq(config->cache_bytes, 5 * MIB);
    cr_assert_eq(config->body_bytes_max, 6 * MIB);
    cr_assert_eq(config->connections_max, 7u);
    cr_assert_eq(config->reserve_bytes, 8 * MIB);
    cr_assert_eq(config->disk_free_bytes_min, 9 * MIB);
    cr_assert_eq(config->memory_bytes_max, 100 * MIB);
    cr_assert_eq(config->client_memory_bytes, 65 * MIB);
    cr_assert_eq(config->presence_timeout_ms, 700u);
    cr_assert_eq(config->isolation_timeout_ms, 800u);
    cr_assert_eq(config->disk_stall_ms, 900u);
    cr_assert_eq(config->rebuild_rate, 11 * MIB);
    cr_assert(config->join);
    cr_assert_eq(config->clock_skew_ms, 100u);
    cr_assert_eq(config->scrub_rate, 12 * MIB);
    cr_assert_eq(config->scrub_interval_ms, 13000u);
    cr_assert_eq(config->machine_version, 1u);
    config_free(config);
}

Test(config, says_where_members_stand_and_who_is_to_lead)
{
    struct loaded loaded = load_text("cluster: orders\nnode: 2\ndata: /d\njoin: false\nmembers:\n"
                                     "  - {id: 1, peer: a:1, client: a:2, zone: eu-west_1.a, preferred: true}\n"
                                     "  - {id: 2, peer: b:1, client: b:2, preferred: false}\n"
                                     "  - {id: 3, peer: c:1, client: c:2, zone: 0123456789abcdefABCDEFghijklmnop}\n");
    cr_assert_eq(loaded.err, 0, "%s", loaded.detail);
    const struct config_member *members = loaded.config->members;
    cr_assert_not(loaded.config->join);
    cr_assert_str_eq(members[0].zone, "eu-west_1.a");
    cr_assert(members[0].preferred);
    cr_assert_str_eq(members[1].zone, "");
    cr_assert_not(members[1].preferred);
    cr_assert_str_eq(members[2].zone, "0123456789abcdefABCDEFghijklmnop");
    config_free(loaded.config);
}

Test(config, what_may_be_switched_off_is_off_with_0)
{
    struct loaded loaded = load_text(GOOD "clock_skew_ms: 0\nscrub_interval_s: 0\n");
    cr_assert_eq(loaded.err, 0, "%s", loaded.detail);
    cr_assert_eq(loaded.config->clock_skew_ms, 0u);
    cr_assert_eq(loaded.config->scrub_interval_ms, 0u);
    config_free(loaded.config);
}

Test(config, heartbeat_is_a_tenth_of_a_short_election_timeout)
{
    struct loaded loaded = load_text(GOOD "election_timeout_ms: 150\n");
    cr_assert_eq(loaded.err, 0, "%s", loaded.detail);
    cr_assert_eq(loaded.config->heartbeat_ms, 15u);
    config_free(loaded.config);
    loaded = load_text(GOOD "election_timeout_ms: 60000\n");
    cr_assert_eq(loaded.err, 0, "%s", loaded.detail);
    cr_assert_eq(loaded.config->heartbeat_ms, CONFIG_HEARTBEAT_MS_DEFAULT);
    config_free(loaded.config);
}

Test(config, what_is_not_said_follows_from_what_is)
{
    struct loaded loaded = load_text(GOOD "election_timeout_ms: 2000\nsegment_mib: 256\npresence_timeout_ms: 0\n");
    cr_assert_eq(loaded.err, 0, "%s", loaded.detail);
    cr_assert_eq(loaded.config->presence_timeout_ms, 10000u);
    cr_assert_eq(loaded.config->isolation_timeout_ms, 10000u);
    cr_assert_eq(loaded.config->reserve_bytes, 512 * MIB);
    config_free(loaded.config);
}

Test(config, small_disks_are_allowed)
{
    struct loaded loaded = load_text(GOOD "segment_mib: 1\nreserve_mib: 2\ndisk_free_mib: 0\ncheckpoint_mib: 1\n"
                                          "memory_mib: 0\nbody_mib: 1\nclient_memory_mib: 64\n");
    cr_assert_eq(loaded.err, 0, "%s", loaded.detail);
    cr_assert_eq(loaded.config->reserve_bytes, 2 * MIB);
    cr_assert_eq(loaded.config->disk_free_bytes_min, 0u);
    cr_assert_eq(loaded.config->client_memory_bytes, 64 * MIB);
    config_free(loaded.config);
}

Test(config, names_line_and_key_of_what_the_schema_refuses)
{
    refused(GOOD "chekpoint_mib: 3\n", 10, "chekpoint_mib: unknown key");
    refused("cluster: orders\nnode: two\ndata: /d\n" MEMBERS, 2, "node: not a whole number: 'two'");
    refused("cluster: orders\nnode: 1\ndata: /d\n", 3, "members: is missing");
    refused("cluster: orders\nnode: 1\n" MEMBERS, 4, "data: is missing");
    refused("cluster: orders\nnode: 1\ndata: /d\nmembers: 3\n", 4, "members: ");
    refused("cluster: orders\nnode: 1\ndata: /d\nmembers: []\n", 4, "Insufficient");
    refused("cluster: orders\ncluster: orders\n", 1, "cluster: is there twice");
    refused("cluster: ''\nnode: 1\ndata: /d\n" MEMBERS, 1, "cluster: must not be empty");
    refused(GOOD "log_level: loud\n", 10, "log_level: not one of error, warning, info, debug: loud");
    refused("cluster: orders\nnode: 1\ndata: /d\nmembers:\n  - {id: 1, peer: a:1}\n", 5, "client: is missing");
    refused(GOOD "join: yess\n", 10, "join: not one of true, false: yess");
    refused("cluster: orders\nnode: 1\ndata: /d\nmembers:\n  - {id: 1, peer: a:1, client: a:2, preferred: 1}\n", 5,
            "preferred: not one of true, false: 1");
    refused("cluster: orders\nnode: 1\ndata: /d\nmembers:\n  - {id: 1, peer: a:1, client: a:2, zone: ''}\n", 5,
            "zone: must not be empty");
    /* What is wrong with this is said in other words by each version of libcyaml, but of the same line. */
    refused("cluster: orders\nnode: 1\n  data: [\n", 2, "");
    refused("", 1, "is empty");
    refused("- 1\n", 1, "");
}

Test(config, names_line_and_key_of_what_does_not_fit_together)
{
    refused("cluster: orders\nnode: 4\ndata: /d\n" MEMBERS, 2, "node: 4 is not the id of one of the members");
    refused("cluster: orders\nnode: 1\ndata: /d\nmembers:\n"
            "  - {id: 1, peer: a:1, client: a:2}\n  - {id: 1, peer: a:3, client: a:4}\n",
            6, "id: two members have id 1");
    refused("cluster: orders\nnode: 1\ndata: /d\nmembers:\n  - {id: 0, peer: a:1, client: a:2}\n", 5, "id: must be");
    refused("cluster: orders\nnode: 1\ndata: /d\nmembers:\n"
            "  - id: 1\n    peer: a:1\n    client: a:2\n  - id: 2\n    client: a:3\n    peer: a:2\n",
            10, "peer: a:2 is also an address of member 1");
    refused("cluster: orders\nnode: 1\ndata: /d\nmembers: [{id: 1, peer: a:1, client: a:1}]\n", 4,
            "client: a:1 is also the address for peers");
    refused("cluster: orders\nnode: 1\ndata: /d\nmembers:\n  - {id: 1, peer: a, client: a:1}\n", 5,
            "peer: not host:port");
    refused("cluster: orders\nnode: 1\ndata: /d\nmembers:\n  - {id: 1, peer: a:1, client: a:0}\n", 5,
            "client: not host:port");
    refused("cluster: orders\nnode: 1\ndata: /d\njoin: true\nmembers: [{id: 1, peer: a:1, client: a:2}]\n", 4,
            "join: a node that joins needs those that are there");
    refused("cluster: orders\nnode: 1\ndata: /d\nmembers:\n  - {id: 1, peer: a:1, client: a:2}\n"
            "  - {id: 2, peer: a:3, client: a:4, zone: a b}\n",
            6, "zone: must be 1 to 32 of the letters, digits, '.', '_' and '-': 'a b'");
    refused("cluster: orders\nnode: 1\ndata: /d\nmembers:\n"
            "  - {id: 1, peer: a:1, client: a:2, zone: 0123456789abcdefABCDEFghijklmnopq}\n",
            5, "zone: must be 1 to 32");
    refused(GOOD "listen_peer: here\n", 10, "listen_peer: not host:port");
    refused("cluster: \"a\\tb\"\nnode: 2\ndata: /d\n" MEMBERS, 1, "cluster: must be");
}

Test(config, names_line_and_range_of_a_number_out_of_range)
{
    refused(GOOD "election_timeout_ms: 49\n", 10, "election_timeout_ms: must be from 50 to 60000");
    refused(GOOD "election_timeout_ms: 300\nheartbeat_ms: 101\n", 11, "heartbeat_ms: must be from 5 to 100");
    refused(GOOD "\ncheckpoint_mib: 0\n", 11, "checkpoint_mib: must be from 1 to 16384");
    refused(GOOD "segment_mib: 1025\n", 10, "segment_mib: must be");
    refused(GOOD "cache_mib: -1\n", 10, "cache_mib: must be");
    refused(GOOD "retain_mib: 18446744073709551615\n", 10, "retain_mib: must be");
    refused(GOOD "body_mib: 17\n", 10, "body_mib: must be from 1 to 16");
    refused(GOOD "reserve_mib: 1\nsegment_mib: 1\n", 10, "reserve_mib: must be from 2 to 16384");
    refused(GOOD "segment_mib: 65\nreserve_mib: 64\n", 11, "reserve_mib: must be from 65 to");
    refused(GOOD "disk_free_mib: -1\n", 10, "disk_free_mib: must be");
    refused(GOOD "client_memory_mib: 63\n", 10, "client_memory_mib: must be from 64 to");
    refused(GOOD "cache_mib: 100\nmemory_mib: 356\n", 11, "memory_mib: must be from 357 to");
    refused(GOOD "presence_timeout_ms: 599\n", 10, "presence_timeout_ms: must be from 600 to 600000");
    refused(GOOD "election_timeout_ms: 1000\nisolation_timeout_ms: 1999\n", 11,
            "isolation_timeout_ms: must be from 2000 to 600000");
    refused(GOOD "disk_stall_ms: 99\n", 10, "disk_stall_ms: must be from 100 to 600000");
    refused(GOOD "clock_skew_ms: 99\n", 10, "clock_skew_ms: must be from 100 to 3600000");
    refused(GOOD "clock_skew_ms: 3600001\n", 10, "clock_skew_ms: must be");
    refused(GOOD "scrub_mib_per_s: 0\n", 10, "scrub_mib_per_s: must be from 1 to 1024");
    refused(GOOD "scrub_interval_s: 31622401\n", 10, "scrub_interval_s: must be from 0 to 31622400");
    refused(GOOD "machine_version: 0\n", 10, "machine_version: must be from 1 to");
    refused(GOOD "machine_version: 1000\n", 10, "machine_version: must be");
    refused(GOOD "connections_max: 65537\n", 10, "connections_max: must be from 1 to 65536");
    refused(GOOD "# cache_mib: 0 is not read\nconnections_max: 0\n", 11, "connections_max: must be");
}

Test(config, refuses_more_members_than_a_cluster_may_have)
{
    char text[2048] = "cluster: orders\nnode: 1\ndata: /d\nmembers:\n";
    for (unsigned i = 1; i <= MEMBERS_MAX + 1; i++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof(text) - len, "  - {id: %u, peer: a:%u, client: b:%u}\n", i, i, i);
    }
    struct loaded loaded = load_text(text);
    cr_assert_eq(loaded.err, ERR_INVALID);
    cr_assert_not_null(strstr(loaded.detail, ": members: Excessive"), "%s", loaded.detail);
}

Test(config, says_what_is_wrong_with_the_file_itself)
{
    char detail[256];
    struct config *config = NULL;
    cr_assert_eq(config_load("/nonexistent/holdfast.yml", &config, detail, sizeof(detail)), ERR_NOT_FOUND);
    cr_assert_not_null(strstr(detail, "/nonexistent/holdfast.yml"));
    cr_assert_eq(config_load("/", &config, detail, sizeof(detail)), ERR_IO);
    cr_assert_eq(config_load("/dev/zero", &config, detail, sizeof(detail)), ERR_INVALID);
    cr_assert_null(config);
}

Test(config, dev_is_one_node_on_the_default_ports)
{
    struct config *config = NULL;
    cr_assert_eq(config_dev("/tmp/somewhere", NULL, &config), 0);
    cr_assert_str_eq(config->listen_amqp, "localhost:5672");
    cr_assert_eq(config->node, 1u);
    cr_assert_eq(config->members_len, 1u);
    cr_assert_str_eq(config->cluster, "dev");
    cr_assert_str_eq(config->data_dir, "/tmp/somewhere");
    cr_assert_str_eq(config->listen_client, "127.0.0.1:7470");
    cr_assert_str_eq(config->listen_peer, "127.0.0.1:7471");
    cr_assert_eq(config->heartbeat_ms, 30u);
    config_free(config);
    config_free(NULL);
}

Test(config, amqp_is_off_or_an_address)
{
    struct loaded loaded = load_text(GOOD "listen_amqp: off\n");
    cr_assert_eq(loaded.err, 0, "%s", loaded.detail);
    cr_assert_null(loaded.config->listen_amqp);
    config_free(loaded.config);
    refused(GOOD "listen_amqp: on\n", 10, "listen_amqp: neither off nor host:port, with a port from 1 to 65535: 'on'");
    refused(GOOD "listen_amqp: 127.0.0.1:0\n", 10, "listen_amqp: neither off nor host:port");
    refused(GOOD "amqp_guest_from_anywhere: yes\n", 10, "amqp_guest_from_anywhere: not one of true, false: yes");
    struct config *config = NULL;
    cr_assert_eq(config_dev("d", "off", &config), 0);
    cr_assert_null(config->listen_amqp);
    config_free(config);
    cr_assert_eq(config_dev("d", "[::1]:99", &config), 0);
    cr_assert_str_eq(config->listen_amqp, "[::1]:99");
    config_free(config);
    config = NULL;
    cr_assert_eq(config_dev("d", "99", &config), ERR_INVALID);
    cr_assert_null(config);
}
