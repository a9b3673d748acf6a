/* What an operator says about a node: one file, read once at the start.
 *
 * config_load() checks everything that can be checked without opening a socket or a directory; a `struct config` that
 * it returns is complete, with every default filled in, and consistent: the node itself is among the members, ids are
 * unique, addresses have the form host:port, and every limit is in its range. */

#ifndef HOLDFAST_NODE_CONFIG_H
#define HOLDFAST_NODE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/base/journal.h"
#include "proto/base/limits.h"

/* Ranges and defaults. Times are milliseconds, sizes bytes. */
#define CONFIG_PORT_CLIENT_DEFAULT 7470u
#define CONFIG_PORT_PEER_DEFAULT 7471u
#define CONFIG_PORT_AMQP_DEFAULT 5672u
#define CONFIG_ELECTION_TIMEOUT_MS_DEFAULT 300u
#define CONFIG_ELECTION_TIMEOUT_MS_MIN 50u
#define CONFIG_ELECTION_TIMEOUT_MS_MAX 60000u
#define CONFIG_HEARTBEAT_MS_DEFAULT 50u /* Or a tenth of the election timeout, when that is less. */
#define CONFIG_HEARTBEAT_MS_MIN 5u
#define CONFIG_CHECKPOINT_BYTES_DEFAULT (64 * MIB)
#define CONFIG_CHECKPOINT_BYTES_MIN (1 * MIB)
#define CONFIG_CHECKPOINT_BYTES_MAX (16 * GIB)
#define CONFIG_RETAIN_BYTES_DEFAULT (1 * GIB)
#define CONFIG_REBUILD_RATE_DEFAULT (64 * MIB)
#define CONFIG_SEGMENT_BYTES_DEFAULT (64 * MIB)
#define CONFIG_SEGMENT_BYTES_MIN (1 * MIB)
#define CONFIG_SEGMENT_BYTES_MAX (1 * GIB)
#define CONFIG_CACHE_BYTES_DEFAULT (64 * MIB)
#define CONFIG_CACHE_BYTES_MIN (1 * MIB)
#define CONFIG_RESERVE_BYTES_DEFAULT (128 * MIB) /* Or two segments, when that is more. */
#define CONFIG_RESERVE_BYTES_MIN (2 * MIB)       /* Or one segment, when that is more. */
#define CONFIG_RESERVE_BYTES_MAX (16 * GIB)
#define CONFIG_DISK_FREE_BYTES_DEFAULT (512 * MIB)
#define CONFIG_CLIENT_MEMORY_BYTES_DEFAULT (256 * MIB)
#define CONFIG_CLIENT_MEMORY_BYTES_MIN (4 * COMMAND_BODIES_LEN_MAX)
#define CONFIG_DISK_STALL_MS_DEFAULT 2000u
#define CONFIG_DISK_STALL_MS_MIN 100u
#define CONFIG_TIMEOUT_MS_MAX 600000u
#define CONFIG_CONNECTIONS_MAX_DEFAULT 16384u
#define CONFIG_CONNECTIONS_MAX_MAX 65536u
#define CONFIG_CLOCK_SKEW_MS_DEFAULT 5000u
#define CONFIG_CLOCK_SKEW_MS_MIN 100u
#define CONFIG_CLOCK_SKEW_MS_MAX 3600000u
#define CONFIG_SCRUB_RATE_DEFAULT (16 * MIB)
#define CONFIG_SCRUB_RATE_MAX (1 * GIB)
#define CONFIG_SCRUB_INTERVAL_MS_DEFAULT (UINT64_C(86400) * 1000)
#define CONFIG_SCRUB_INTERVAL_MS_MAX (UINT64_C(366) * 86400 * 1000)

struct config_member {
    uint64_t id;          /* Not 0. */
    char *peer_address;   /* host:port at which the other nodes reach it. */
    char *client_address; /* host:port at which clients reach it. */
    char *zone;           /* Where it stands, as the operator calls it: at most ZONE_LEN_MAX bytes; "" when not said. */
    bool preferred;       /* It is to lead, when it can. */
};

struct config {
    uint64_t node; /* Our own id: that of one of the members. */
    char *cluster; /* Name of the cluster. */
    char *data_dir;
    char *listen_client;           /* host:port; the default is our own client address. */
    char *listen_peer;             /* host:port; the default is our own peer address. */
    char *listen_amqp;             /* host:port for clients that speak AMQP 0-9-1; NULL: none may. */
    bool amqp_guest_from_anywhere; /* AMQP's user "guest" may come from other hosts as well. */
    enum journal_level log_level;
    struct config_member *members; /* The first start of a cluster; the log knows them afterwards. */
    unsigned members_len;          /* 1 to MEMBERS_MAX. */
    bool
        join; /* With an empty directory: the node is new in a cluster that runs, and not one of those that begin it. */
    unsigned election_timeout_ms;
    unsigned heartbeat_ms;
    unsigned presence_timeout_ms;  /* A node that is not heard of for so long is taken for lost. */
    unsigned isolation_timeout_ms; /* Clients of a node that has had no leader for so long are told to go elsewhere. */
    unsigned disk_stall_ms;        /* A leader whose disk has not answered for so long hands over. */
    unsigned machine_version; /* The newest rules of the machine that this node says to know; 0: all that it does. */
    unsigned clock_skew_ms;   /* A wall clock further from the majority's is told of; 0: they are not compared. */
    uint64_t checkpoint_bytes;
    uint64_t retain_bytes;
    uint64_t rebuild_rate; /* Bytes a second. */
    uint64_t segment_bytes;
    uint64_t cache_bytes;
    uint64_t reserve_bytes;       /* Of log, kept allocated ahead of need. */
    uint64_t disk_free_bytes_min; /* Below it new messages are refused; 0: no such watermark. */
    uint64_t memory_bytes_max;    /* Above it new messages are refused; 0: half of the machine's memory. */
    uint64_t client_memory_bytes; /* For what clients send and are sent, all together. */
    uint64_t body_bytes_max;      /* Of one message; at most BODY_LEN_MAX. */
    unsigned connections_max;     /* Clients at a time. */
    uint64_t scrub_rate;          /* Bytes a second at which what is stored is read and checked. */
    uint64_t scrub_interval_ms;   /* From one beginning of that to the next; 0: never. */
};

/* Reads a file. `detail` gets one line on error, with file, line and what is wrong there.
 * ERR_NOT_FOUND, ERR_IO, ERR_INVALID, ERR_NOMEM. The caller owns the configuration. */
int config_load(const char *path, struct config **ret_config, char *detail, size_t detail_len) NODISCARD;

/* What `holdfastd --dev` runs with: node 1 of one, cluster "dev", on 127.0.0.1 and the default ports. `listen_amqp`: as in a file, NULL
 * is the default port. Both are copied. ERR_INVALID: `listen_amqp` is no address. ERR_NOMEM. */
int config_dev(const char *data_dir, const char *listen_amqp, struct config **ret_config) NODISCARD;

/* The member of that id, or NULL. */
const struct config_member *config_member(const struct config *config, uint64_t id);

/* NULL is allowed. */
void config_free(struct config *config);

#endif
