/* The parts of reading a configuration: the file itself (config.c), what may stand in it (config_check.c), and its numbers
 * (config_numbers.c). */

#ifndef HOLDFAST_NODE_CONFIG_PRIVATE_H
#define HOLDFAST_NODE_CONFIG_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/config.h"
#include "node/config_text.h"

/* The file as it is written: numbers that may be left out are pointers. */
struct config_file_member {
    uint64_t id;
    char *peer;
    char *client;
    char *zone; /* NULL: not said. */
    int preferred;
};

struct config_file {
    char *cluster;
    uint64_t node;
    char *data;
    struct config_file_member *members;
    unsigned members_count;
    char *listen_client;
    char *listen_peer;
    char *listen_amqp;
    int amqp_guest_from_anywhere;
    int *log_level;
    int join;
    uint64_t *election_timeout_ms;
    uint64_t *heartbeat_ms;
    uint64_t *checkpoint_mib;
    uint64_t *retain_mib;
    uint64_t *rebuild_mib_per_s;
    uint64_t *segment_mib;
    uint64_t *cache_mib;
    uint64_t *body_mib;
    uint64_t *connections_max;
    uint64_t *reserve_mib;
    uint64_t *disk_free_mib;
    uint64_t *memory_mib;
    uint64_t *client_memory_mib;
    uint64_t *presence_timeout_ms;
    uint64_t *isolation_timeout_ms;
    uint64_t *disk_stall_ms;
    uint64_t *clock_skew_ms;
    uint64_t *machine_version;
    uint64_t *scrub_mib_per_s;
    uint64_t *scrub_interval_s;
};

/* What one call of config_load() works on. */
struct config_loading {
    const char *path;
    char *text;
    size_t text_len;
    const struct config_file *file;
    char *detail;
    size_t detail_len;
    char message[256]; /* The first line that libcyaml logged. */
    char place[256];   /* The first line of its backtrace. */
    char field[256];   /* The first line of its backtrace that names a key. */
};

/* Writes the one line of `detail`: file, line, key and what is wrong there. Returns ERR_INVALID. */
__attribute__((format(printf, 4, 5))) int config_wrong_at(const struct config_loading *loading, unsigned line,
                                                          const char *key, const char *format, ...);

#define config_wrong(loading, key, ...)                                                                                \
    config_wrong_at(loading, config_text_line((loading)->text, key), key, __VA_ARGS__)

/* Checks names, ids and addresses. ERR_INVALID. */
int config_check_file(const struct config_loading *loading) NODISCARD;
/* Whether what stands at `listen_amqp` (NULL: nothing) means that AMQP is not spoken. */
bool config_amqp_is_off(const char *listen_amqp);

/* The numbers that hold when the file gives none. */
void config_numbers_default(struct config *config);

/* Takes what the file gives, checks it, and fills in what depends on it. ERR_INVALID. */
int config_numbers_take(const struct config_loading *loading, struct config *config) NODISCARD;

#endif
