/* Reads the configuration of a node with libcyaml. */

#include <cyaml/cyaml.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/config_private.h"
#include "proto/base/check.h"
#include "rpc/address.h"

static const cyaml_strval_t log_level_words[] = {
    {"error", JOURNAL_ERROR},
    {"warning", JOURNAL_WARNING},
    {"info", JOURNAL_INFO},
    {"debug", JOURNAL_DEBUG},
};

/* Not CYAML_BOOL: that takes every word it does not know for true. */
static const cyaml_strval_t bool_words[] = {
    {"false", false},
    {"true", true},
};

#define OPTIONAL (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)
#define OPTIONAL_BOOL (CYAML_FLAG_OPTIONAL | CYAML_FLAG_STRICT)

static const cyaml_schema_field_t member_fields[] = {
    CYAML_FIELD_UINT("id", CYAML_FLAG_DEFAULT, struct config_file_member, id),
    CYAML_FIELD_STRING_PTR("peer", CYAML_FLAG_POINTER, struct config_file_member, peer, 1, CYAML_UNLIMITED),
    CYAML_FIELD_STRING_PTR("client", CYAML_FLAG_POINTER, struct config_file_member, client, 1, CYAML_UNLIMITED),
    CYAML_FIELD_STRING_PTR("zone", OPTIONAL, struct config_file_member, zone, 1, CYAML_UNLIMITED),
    CYAML_FIELD_ENUM("preferred", OPTIONAL_BOOL, struct config_file_member, preferred, bool_words,
                     CYAML_ARRAY_LEN(bool_words)),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t member_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_file_member, member_fields),
};

static const cyaml_schema_field_t file_fields[] = {
    CYAML_FIELD_STRING_PTR("cluster", CYAML_FLAG_POINTER, struct config_file, cluster, 1, CYAML_UNLIMITED),
    CYAML_FIELD_UINT("node", CYAML_FLAG_DEFAULT, struct config_file, node),
    CYAML_FIELD_STRING_PTR("data", CYAML_FLAG_POINTER, struct config_file, data, 1, CYAML_UNLIMITED),
    CYAML_FIELD_SEQUENCE("members", CYAML_FLAG_POINTER, struct config_file, members, &member_value, 1, MEMBERS_MAX),
    CYAML_FIELD_ENUM("join", OPTIONAL_BOOL, struct config_file, join, bool_words, CYAML_ARRAY_LEN(bool_words)),
    CYAML_FIELD_STRING_PTR("listen_client", OPTIONAL, struct config_file, listen_client, 1, CYAML_UNLIMITED),
    CYAML_FIELD_STRING_PTR("listen_peer", OPTIONAL, struct config_file, listen_peer, 1, CYAML_UNLIMITED),
    CYAML_FIELD_STRING_PTR("listen_amqp", OPTIONAL, struct config_file, listen_amqp, 1, CYAML_UNLIMITED),
    CYAML_FIELD_ENUM("amqp_guest_from_anywhere", OPTIONAL_BOOL, struct config_file, amqp_guest_from_anywhere,
                     bool_words, CYAML_ARRAY_LEN(bool_words)),
    CYAML_FIELD_ENUM_PTR("log_level", OPTIONAL | CYAML_FLAG_STRICT, struct config_file, log_level, log_level_words,
                         CYAML_ARRAY_LEN(log_level_words)),
    CYAML_FIELD_UINT_PTR("election_timeout_ms", OPTIONAL, struct config_file, election_timeout_ms),
    CYAML_FIELD_UINT_PTR("heartbeat_ms", OPTIONAL, struct config_file, heartbeat_ms),
    CYAML_FIELD_UINT_PTR("checkpoint_mib", OPTIONAL, struct config_file, checkpoint_mib),
    CYAML_FIELD_UINT_PTR("retain_mib", OPTIONAL, struct config_file, retain_mib),
    CYAML_FIELD_UINT_PTR("rebuild_mib_per_s", OPTIONAL, struct config_file, rebuild_mib_per_s),
    CYAML_FIELD_UINT_PTR("segment_mib", OPTIONAL, struct config_file, segment_mib),
    CYAML_FIELD_UINT_PTR("cache_mib", OPTIONAL, struct config_file, cache_mib),
    CYAML_FIELD_UINT_PTR("body_mib", OPTIONAL, struct config_file, body_mib),
    CYAML_FIELD_UINT_PTR("connections_max", OPTIONAL, struct config_file, connections_max),
    CYAML_FIELD_UINT_PTR("reserve_mib", OPTIONAL, struct config_file, reserve_mib),
    CYAML_FIELD_UINT_PTR("disk_free_mib", OPTIONAL, struct config_file, disk_free_mib),
    CYAML_FIELD_UINT_PTR("memory_mib", OPTIONAL, struct config_file, memory_mib),
    CYAML_FIELD_UINT_PTR("client_memory_mib", OPTIONAL, struct config_file, client_memory_mib),
    CYAML_FIELD_UINT_PTR("presence_timeout_ms", OPTIONAL, struct config_file, presence_timeout_ms),
    CYAML_FIELD_UINT_PTR("isolation_timeout_ms", OPTIONAL, struct config_file, isolation_timeout_ms),
    CYAML_FIELD_UINT_PTR("disk_stall_ms", OPTIONAL, struct config_file, disk_stall_ms),
    CYAML_FIELD_UINT_PTR("clock_skew_ms", OPTIONAL, struct config_file, clock_skew_ms),
    CYAML_FIELD_UINT_PTR("machine_version", OPTIONAL, struct config_file, machine_version),
    CYAML_FIELD_UINT_PTR("scrub_mib_per_s", OPTIONAL, struct config_file, scrub_mib_per_s),
    CYAML_FIELD_UINT_PTR("scrub_interval_s", OPTIONAL, struct config_file, scrub_interval_s),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t file_value = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct config_file, file_fields),
};

int config_wrong_at(const struct config_loading *loading, unsigned line, const char *key, const char *format, ...)
{
    char what[512];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    snprintf(loading->detail, loading->detail_len, "%s:%u: %s%s%s", loading->path, line == 0 ? 1 : line, key,
             *key != 0 ? ": " : "", what);
    return ERR_INVALID;
}

/* libcyaml tells what is wrong in one line and where in the lines after "Backtrace:", innermost first. */
__attribute__((format(printf, 3, 0))) static void on_cyaml_log(cyaml_log_t level, void *arg, const char *format,
                                                               va_list args)
{
    struct config_loading *loading = arg;
    char line[sizeof(loading->message)];
    vsnprintf(line, sizeof(line), format, args);
    line[strcspn(line, "\n")] = 0;
    const char *text = strncmp(line, "Load: ", 6) == 0 ? line + 6 : line;
    if (level < CYAML_LOG_ERROR || strcmp(text, "Backtrace:") == 0) {
        return;
    }
    if (loading->message[0] == 0) {
        memcpy(loading->message, text, strlen(text) + 1);
        return;
    }
    if (loading->place[0] == 0) {
        memcpy(loading->place, text, strlen(text) + 1);
    }
    if (loading->field[0] == 0 && strstr(text, "mapping field '") != NULL) {
        memcpy(loading->field, text, strlen(text) + 1);
    }
}

/* Writes `what` in words of ours for the mistakes that people make, and libcyaml's own words for the rest. */
static int wrong_yaml(struct config_loading *loading, cyaml_err_t err)
{
    static const struct {
        const char *theirs;
        const char *ours; /* NULL: the words that the key takes. */
        bool names_key;   /* What follows is the key that it is about, not the value. */
    } words[] = {
        {"Unexpected key: ", "unknown key", true},
        {"Missing required mapping field: ", "is missing", true},
        {"Mapping field already seen: ", "is there twice", true},
        {"Invalid uint64_t value: ", "not a whole number: ", false},
        {"Invalid ENUM value: ", NULL, false},
        {"Invalid enumeration value: ", NULL, false},
        {"STRING length < 1", "must not be empty", false},
    };
    char key[64] = "";
    unsigned line = 1;
    const char *mark = strstr(loading->place, "line: ");
    if (mark != NULL) {
        line = (unsigned)strtoul(mark + 6, NULL, 10);
    }
    (void)sscanf(loading->field, " in mapping field '%63[^']'", key);
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        size_t len = strlen(words[i].theirs);
        if (strncmp(loading->message, words[i].theirs, len) != 0) {
            continue;
        }
        const char *rest = loading->message + len;
        if (words[i].names_key) {
            /* The backtrace stops at what was read before: the line of the key itself is found in the text. */
            unsigned found = words[i].ours[0] == 'u' ? config_text_line(loading->text, rest) : 0;
            return config_wrong_at(loading, found == 0 ? line : found, rest, "%s", words[i].ours);
        }
        if (words[i].ours == NULL) {
            const char *taken = strcmp(key, "log_level") == 0 ? "error, warning, info, debug" : "true, false";
            return config_wrong_at(loading, line, key, "not one of %s: %s", taken, rest);
        }
        bool with_value = words[i].ours[strlen(words[i].ours) - 1] == ' ';
        return config_wrong_at(loading, line, key, "%s%s", words[i].ours, with_value ? rest : "");
    }
    return config_wrong_at(loading, line, key, "%s", loading->message[0] != 0 ? loading->message : cyaml_strerror(err));
}

/* Copies the names and addresses, which have been checked. What was copied before an ERR_NOMEM, config_free() frees. */
static int config_copy(struct config *config, const struct config_file *file)
{
    config->members = calloc(file->members_count, sizeof(*config->members));
    if (config->members == NULL) {
        return ERR_NOMEM;
    }
    config->members_len = file->members_count;
    bool copied = true;
    for (unsigned i = 0; i < file->members_count; i++) {
        struct config_member *member = &config->members[i];
        member->id = file->members[i].id;
        member->peer_address = strdup(file->members[i].peer);
        member->client_address = strdup(file->members[i].client);
        member->zone = strdup(file->members[i].zone != NULL ? file->members[i].zone : "");
        member->preferred = file->members[i].preferred != 0;
        copied = copied && member->peer_address != NULL && member->client_address != NULL && member->zone != NULL;
    }
    config->node = file->node;
    config->join = file->join != 0;
    const struct config_member *self = config_member(config, config->node);
    CHECK(self != NULL);
    if (!copied) {
        return ERR_NOMEM;
    }
    config->cluster = strdup(file->cluster);
    config->data_dir = strdup(file->data);
    config->listen_client = strdup(file->listen_client != NULL ? file->listen_client : self->client_address);
    config->listen_peer = strdup(file->listen_peer != NULL ? file->listen_peer : self->peer_address);
    config->amqp_guest_from_anywhere = file->amqp_guest_from_anywhere != 0;
    copied = config->cluster != NULL && config->data_dir != NULL;
    if (!config_amqp_is_off(file->listen_amqp)) {
        config->listen_amqp = strdup(file->listen_amqp);
        copied = copied && config->listen_amqp != NULL;
    }
    return copied && config->listen_client != NULL && config->listen_peer != NULL ? 0 : ERR_NOMEM;
}

static int config_make(const struct config_loading *loading, struct config **ret_config)
{
    struct config *config = malloc(sizeof(*config));
    if (config == NULL) {
        return ERR_NOMEM;
    }
    config_numbers_default(config);
    int err = config_check_file(loading);
    if (err == 0) {
        err = config_numbers_take(loading, config);
    }
    if (err == 0) {
        err = config_copy(config, loading->file);
    }
    if (err != 0) {
        config_free(config);
        return err;
    }
    if (loading->file->log_level != NULL) {
        config->log_level = (enum journal_level) * loading->file->log_level;
    }
    *ret_config = config;
    return 0;
}

int config_load(const char *path, struct config **ret_config, char *detail, size_t detail_len)
{
    struct config_loading loading = {.path = path, .detail = detail, .detail_len = detail_len};
    const cyaml_config_t cyaml = {
        .log_fn = on_cyaml_log,
        .log_ctx = &loading,
        .log_level = CYAML_LOG_ERROR,
        .mem_fn = cyaml_mem,
        .flags = CYAML_CFG_NO_ALIAS,
    };
    int err = config_text_read(path, &loading.text, &loading.text_len, detail, detail_len);
    if (err != 0) {
        return err;
    }
    cyaml_data_t *data = NULL;
    cyaml_err_t yaml_err =
        cyaml_load_data((const uint8_t *)loading.text, loading.text_len, &cyaml, &file_value, &data, NULL);
    if (yaml_err != CYAML_OK) {
        err = wrong_yaml(&loading, yaml_err);
    } else if (data == NULL) {
        err = config_wrong_at(&loading, 1, "", "is empty; needed are cluster, node, data and members");
    } else {
        loading.file = data;
        err = config_make(&loading, ret_config);
        cyaml_free(&cyaml, &file_value, data, 0);
    }
    if (err == ERR_NOMEM) {
        snprintf(detail, detail_len, "%s: %s", path, err_text(err));
    }
    free(loading.text);
    return err;
}

int config_dev(const char *data_dir, const char *listen_amqp, struct config **ret_config)
{
    char peer[32];
    char client[32];
    char amqp[ADDRESS_LEN_MAX + 1];
    char cluster[] = "dev";
    struct address address;
    if (!config_amqp_is_off(listen_amqp) && address_parse(listen_amqp, &address) != 0) {
        return ERR_INVALID;
    }
    char *data = strdup(data_dir);
    struct config *config = malloc(sizeof(*config));
    struct config_file_member member = {.id = 1, .peer = peer, .client = client};
    const struct config_file file = {
        .cluster = cluster, .node = 1, .data = data, .members = &member, .members_count = 1, .listen_amqp = amqp};
    snprintf(peer, sizeof(peer), "127.0.0.1:%u", CONFIG_PORT_PEER_DEFAULT);
    snprintf(client, sizeof(client), "127.0.0.1:%u", CONFIG_PORT_CLIENT_DEFAULT);
    snprintf(amqp, sizeof(amqp), "localhost:%u", CONFIG_PORT_AMQP_DEFAULT);
    if (listen_amqp != NULL) {
        snprintf(amqp, sizeof(amqp), "%s", listen_amqp);
    }
    int err = ERR_NOMEM;
    if (data != NULL && config != NULL) {
        config_numbers_default(config);
        err = config_copy(config, &file);
        if (err == 0) {
            *ret_config = config;
        } else {
            config_free(config);
        }
        config = NULL;
    }
    free(config);
    free(data);
    return err;
}

const struct config_member *config_member(const struct config *config, uint64_t id)
{
    for (unsigned i = 0; i < config->members_len; i++) {
        if (config->members[i].id == id) {
            return &config->members[i];
        }
    }
    return NULL;
}

void config_free(struct config *config)
{
    if (config == NULL) {
        return;
    }
    for (unsigned i = 0; i < config->members_len; i++) {
        free(config->members[i].peer_address);
        free(config->members[i].client_address);
        free(config->members[i].zone);
    }
    free(config->members);
    free(config->cluster);
    free(config->data_dir);
    free(config->listen_client);
    free(config->listen_peer);
    free(config->listen_amqp);
    free(config);
}
