/* The numbers of a configuration: their defaults, their ranges, and how they must fit each other. */

#include "node/config_private.h"
#include "proto/base/check.h"
#include "statemachine/machine.h"

/* Upper bound of the sizes that have none of their own: far from where arithmetic on them could wrap. */
#define SIZE_MIB_MAX (UINT64_C(1) << 20)

_Static_assert(CONFIG_SCRUB_INTERVAL_MS_DEFAULT % 1000 == 0 && CONFIG_SCRUB_INTERVAL_MS_MAX % 1000 == 0,
               "whole seconds");

/* How many election timeouts others are waited for, unless the file says. */
#define PATIENCE_ELECTIONS 5u

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Takes a number that may be left out, and multiplies it by its unit. */
static int take_number(const struct config_loading *loading, const char *key, const uint64_t *given, uint64_t unit,
                       uint64_t min, uint64_t max, uint64_t *number)
{
    if (given == NULL) {
        return 0;
    }
    if (*given < min || *given > max) {
        return config_wrong(loading, key, "must be from %llu to %llu", (unsigned long long)min,
                            (unsigned long long)max);
    }
    *number = *given * unit;
    return 0;
}

/* Several heartbeats must fit into an election timeout, so that one that is lost does not start an election. */
static unsigned heartbeat_default(uint64_t election_timeout_ms)
{
    uint64_t tenth = election_timeout_ms / 10;
    return tenth < CONFIG_HEARTBEAT_MS_DEFAULT ? (unsigned)tenth : CONFIG_HEARTBEAT_MS_DEFAULT;
}

/* An election takes one to two timeouts (Raft §5.2): whoever is given up sooner is given up for nothing. */
static int take_patience(const struct config_loading *loading, const char *key, const uint64_t *given,
                         unsigned election_ms, unsigned *patience_ms)
{
    uint64_t number = PATIENCE_ELECTIONS * (uint64_t)election_ms;
    int err = 0;
    if (given != NULL && *given != 0) {
        err = take_number(loading, key, given, 1, 2 * (uint64_t)election_ms, CONFIG_TIMEOUT_MS_MAX, &number);
    }
    *patience_ms = (unsigned)number;
    return err;
}

static int take_timeouts(const struct config_loading *loading, struct config *config)
{
    const struct config_file *file = loading->file;
    uint64_t stall = config->disk_stall_ms;
    uint64_t skew = config->clock_skew_ms;
    int err = take_patience(loading, "presence_timeout_ms", file->presence_timeout_ms, config->election_timeout_ms,
                            &config->presence_timeout_ms);
    if (err == 0) {
        err = take_patience(loading, "isolation_timeout_ms", file->isolation_timeout_ms, config->election_timeout_ms,
                            &config->isolation_timeout_ms);
    }
    if (err == 0) {
        err = take_number(loading, "disk_stall_ms", file->disk_stall_ms, 1, CONFIG_DISK_STALL_MS_MIN,
                          CONFIG_TIMEOUT_MS_MAX, &stall);
    }
    if (err == 0) {
        bool compared = file->clock_skew_ms == NULL || *file->clock_skew_ms != 0;
        err = take_number(loading, "clock_skew_ms", file->clock_skew_ms, 1, compared ? CONFIG_CLOCK_SKEW_MS_MIN : 0,
                          CONFIG_CLOCK_SKEW_MS_MAX, &skew);
    }
    config->disk_stall_ms = (unsigned)stall;
    config->clock_skew_ms = (unsigned)skew;
    return err;
}

static int take_times(const struct config_loading *loading, struct config *config)
{
    const struct config_file *file = loading->file;
    uint64_t election = config->election_timeout_ms;
    int err = take_number(loading, "election_timeout_ms", file->election_timeout_ms, 1, CONFIG_ELECTION_TIMEOUT_MS_MIN,
                          CONFIG_ELECTION_TIMEOUT_MS_MAX, &election);
    if (err != 0) {
        return err;
    }
    uint64_t heartbeat = heartbeat_default(election);
    err =
        take_number(loading, "heartbeat_ms", file->heartbeat_ms, 1, CONFIG_HEARTBEAT_MS_MIN, election / 3, &heartbeat);
    config->election_timeout_ms = (unsigned)election;
    config->heartbeat_ms = (unsigned)heartbeat;
    return err == 0 ? take_timeouts(loading, config) : err;
}

static int take_sizes(const struct config_loading *loading, struct config *config)
{
    const struct config_file *file = loading->file;
    uint64_t connections = config->connections_max;
    uint64_t machine_version = config->machine_version;
    const struct {
        const char *key;
        const uint64_t *given;
        uint64_t unit;
        uint64_t min;
        uint64_t max;
        uint64_t *number;
    } sizes[] = {
        {"checkpoint_mib", file->checkpoint_mib, MIB, CONFIG_CHECKPOINT_BYTES_MIN / MIB,
         CONFIG_CHECKPOINT_BYTES_MAX / MIB, &config->checkpoint_bytes},
        {"retain_mib", file->retain_mib, MIB, 1, SIZE_MIB_MAX, &config->retain_bytes},
        {"rebuild_mib_per_s", file->rebuild_mib_per_s, MIB, 1, SIZE_MIB_MAX, &config->rebuild_rate},
        {"segment_mib", file->segment_mib, MIB, CONFIG_SEGMENT_BYTES_MIN / MIB, CONFIG_SEGMENT_BYTES_MAX / MIB,
         &config->segment_bytes},
        {"cache_mib", file->cache_mib, MIB, CONFIG_CACHE_BYTES_MIN / MIB, SIZE_MIB_MAX, &config->cache_bytes},
        {"body_mib", file->body_mib, MIB, 1, BODY_LEN_MAX / MIB, &config->body_bytes_max},
        {"disk_free_mib", file->disk_free_mib, MIB, 0, SIZE_MIB_MAX, &config->disk_free_bytes_min},
        {"scrub_mib_per_s", file->scrub_mib_per_s, MIB, 1, CONFIG_SCRUB_RATE_MAX / MIB, &config->scrub_rate},
        {"scrub_interval_s", file->scrub_interval_s, 1000, 0, CONFIG_SCRUB_INTERVAL_MS_MAX / 1000,
         &config->scrub_interval_ms},
        {"connections_max", file->connections_max, 1, 1, CONFIG_CONNECTIONS_MAX_MAX, &connections},
        {"machine_version", file->machine_version, 1, 1, MACHINE_VERSION_MAX, &machine_version},
    };
    int err = 0;
    for (size_t i = 0; err == 0 && i < ARRAY_LEN(sizes); i++) {
        err = take_number(loading, sizes[i].key, sizes[i].given, sizes[i].unit, sizes[i].min, sizes[i].max,
                          sizes[i].number);
    }
    config->connections_max = (unsigned)connections;
    config->machine_version = (unsigned)machine_version;
    return err;
}

/* A reserve of less than a segment could not hold one. Of the clients' memory one half is for what they send, the other
 * for what they are sent: the largest command must fit into each, with a neighbour. The memory must hold what it is for. */
static int take_reserves(const struct config_loading *loading, struct config *config)
{
    const struct config_file *file = loading->file;
    uint64_t reserve_min = larger(CONFIG_RESERVE_BYTES_MIN, config->segment_bytes);
    config->reserve_bytes = larger(CONFIG_RESERVE_BYTES_DEFAULT, 2 * config->segment_bytes);
    int err = take_number(loading, "reserve_mib", file->reserve_mib, MIB, reserve_min / MIB,
                          CONFIG_RESERVE_BYTES_MAX / MIB, &config->reserve_bytes);
    if (err == 0) {
        err = take_number(loading, "client_memory_mib", file->client_memory_mib, MIB,
                          CONFIG_CLIENT_MEMORY_BYTES_MIN / MIB, SIZE_MIB_MAX, &config->client_memory_bytes);
    }
    if (err == 0 && file->memory_mib != NULL && *file->memory_mib != 0) {
        uint64_t needed = config->cache_bytes + config->client_memory_bytes;
        err = take_number(loading, "memory_mib", file->memory_mib, MIB, needed / MIB + 1, SIZE_MIB_MAX,
                          &config->memory_bytes_max);
    }
    return err;
}

void config_numbers_default(struct config *config)
{
    *config = (struct config){
        .log_level = JOURNAL_INFO,
        .election_timeout_ms = CONFIG_ELECTION_TIMEOUT_MS_DEFAULT,
        .heartbeat_ms = heartbeat_default(CONFIG_ELECTION_TIMEOUT_MS_DEFAULT),
        .presence_timeout_ms = PATIENCE_ELECTIONS * CONFIG_ELECTION_TIMEOUT_MS_DEFAULT,
        .isolation_timeout_ms = PATIENCE_ELECTIONS * CONFIG_ELECTION_TIMEOUT_MS_DEFAULT,
        .disk_stall_ms = CONFIG_DISK_STALL_MS_DEFAULT,
        .checkpoint_bytes = CONFIG_CHECKPOINT_BYTES_DEFAULT,
        .retain_bytes = CONFIG_RETAIN_BYTES_DEFAULT,
        .rebuild_rate = CONFIG_REBUILD_RATE_DEFAULT,
        .segment_bytes = CONFIG_SEGMENT_BYTES_DEFAULT,
        .cache_bytes = CONFIG_CACHE_BYTES_DEFAULT,
        .reserve_bytes = CONFIG_RESERVE_BYTES_DEFAULT,
        .disk_free_bytes_min = CONFIG_DISK_FREE_BYTES_DEFAULT,
        .client_memory_bytes = CONFIG_CLIENT_MEMORY_BYTES_DEFAULT,
        .body_bytes_max = BODY_LEN_MAX,
        .connections_max = CONFIG_CONNECTIONS_MAX_DEFAULT,
        .clock_skew_ms = CONFIG_CLOCK_SKEW_MS_DEFAULT,
        .scrub_rate = CONFIG_SCRUB_RATE_DEFAULT,
        .scrub_interval_ms = CONFIG_SCRUB_INTERVAL_MS_DEFAULT,
    };
}

int config_numbers_take(const struct config_loading *loading, struct config *config)
{
    int err = take_times(loading, config);
    if (err == 0) {
        err = take_sizes(loading, config);
    }
    return err == 0 ? take_reserves(loading, config) : err;
}
