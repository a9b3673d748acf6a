/* Exchanges, one by one. */

#include "statemachine/exchange/exchange.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "statemachine/exchange/binding.h"
#include "statemachine/state.h"

enum exchange_flag {
    FLAG_AUTO_DELETE = 1,
    FLAG_INTERNAL = 2,
    FLAG_PROTECTED = 4,
    FLAG_DELAYED = 8,
    FLAG_ALTERNATE = 16,
    FLAG_GOING = 32,
};

_Static_assert(offsetof(struct exchange, name) == offsetof(struct exchange, virtual_host) + sizeof(uint64_t),
               "the key is one piece");

static int exchange_compare_names(const struct exchange *a, const struct exchange *b)
{
    int order = (a->virtual_host > b->virtual_host) - (a->virtual_host < b->virtual_host);
    return order != 0 ? order : strcmp(a->name, b->name);
}

static int exchange_compare_ids(const struct exchange *a, const struct exchange *b)
{
    return (a->id > b->id) - (a->id < b->id);
}

RB_GENERATE(exchange_names, exchange, by_name, exchange_compare_names)
RB_GENERATE(exchange_ids, exchange, by_id, exchange_compare_ids)

/* ---- Finding ---- */

/* What exchanges are found with. */
struct exchange_key {
    uint64_t virtual_host;
    char name[NAME_LEN_MAX];
};

static struct exchange *exchange_look(const struct exchanges *exchanges, uint64_t virtual_host, const char *name,
                                      size_t name_len)
{
    struct exchange_key key = {.virtual_host = virtual_host};
    struct exchange *exchange = NULL;
    if (name_len > NAME_LEN_MAX) {
        return NULL;
    }
    if (name_len > 0) {
        memcpy(key.name, name, name_len);
    }
    HASH_FIND(by_key, exchanges->by_key, &key, sizeof virtual_host + name_len, exchange);
    return exchange;
}

bool exchange_name_is_reserved(const char *name, size_t name_len)
{
    return name_len == 0 || (name_len >= strlen("amq.") && memcmp(name, "amq.", strlen("amq.")) == 0);
}

int exchange_find(struct machine *machine, uint64_t virtual_host, const char *name, size_t name_len,
                  struct exchange **ret_exchange)
{
    struct exchange *exchange = exchange_look(&machine->exchanges, virtual_host, name, name_len);
    if (exchange == NULL && exchange_name_is_reserved(name, name_len)) {
        struct exchange_host *host;
        int err = exchange_host_get(machine, virtual_host, &host);
        if (err != 0) {
            return err;
        }
        exchange = exchange_look(&machine->exchanges, virtual_host, name, name_len);
    }
    if (exchange == NULL) {
        return ERR_NOT_FOUND;
    }
    *ret_exchange = exchange;
    return 0;
}

struct exchange *exchange_after(struct machine *machine, uint64_t virtual_host, const char *after)
{
    struct exchange *found = NULL;
    struct exchange *exchange = RB_ROOT(&machine->exchanges.names);
    while (exchange != NULL) {
        bool is_after = exchange->virtual_host > virtual_host || (exchange->virtual_host == virtual_host &&
                                                                  (after == NULL || strcmp(exchange->name, after) > 0));
        found = is_after ? exchange : found;
        exchange = is_after ? RB_LEFT(exchange, by_name) : RB_RIGHT(exchange, by_name);
    }
    return found != NULL && found->virtual_host == virtual_host ? found : NULL;
}

bool exchange_has(const struct exchange *exchange, const struct exchange_properties *properties)
{
    const struct exchange_properties *has = &exchange->properties;
    bool same_alternate = has->has_alternate == properties->has_alternate;
    if (same_alternate && has->has_alternate) {
        same_alternate = has->alternate.len == properties->alternate.len &&
                         memcmp(has->alternate.data, properties->alternate.data, has->alternate.len) == 0;
    }
    return same_alternate && has->type == properties->type && has->auto_delete == properties->auto_delete &&
           has->internal == properties->internal && has->delayed == properties->delayed;
}

/* ---- Making and freeing ---- */

/* Copies a string to `*at`, which moves behind it. */
static struct slice keep_string(char **at, struct slice string)
{
    struct slice kept = {.data = (uint8_t *)*at, .len = string.len};
    if (string.len > 0) {
        memcpy(*at, string.data, string.len);
    }
    *at += string.len;
    return kept;
}

/* Enters an exchange into the machine. */
static int exchange_enter(struct machine *machine, struct exchange_host *host, uint64_t id, const char *name,
                          size_t name_len, const struct exchange_properties *properties, struct exchange **ret_exchange)
{
    struct exchanges *exchanges = &machine->exchanges;
    size_t strings_len = name_len + 1 + properties->alternate.len + properties->note.len;
    struct exchange *exchange = calloc(1, sizeof *exchange + strings_len);
    if (exchange == NULL) {
        return ERR_NOMEM;
    }
    route_cache_outdate(&exchanges->route_cache);
    exchange->id = id;
    exchange->host = host;
    exchange->virtual_host = host->virtual_host;
    exchange->properties = *properties;
    exchange->name_len = name_len;
    memcpy(exchange->name, name, name_len);
    char *at = exchange->name + name_len + 1;
    exchange->properties.alternate = keep_string(&at, properties->alternate);
    exchange->properties.note = keep_string(&at, properties->note);
    list_init(&exchange->bindings);
    if (RB_INSERT(exchange_names, &exchanges->names, exchange) != NULL ||
        (!exchange_is_built_in(exchange) && RB_INSERT(exchange_ids, &exchanges->ids, exchange) != NULL)) {
        CHECK(false); /* The callers have looked. */
    }
    HASH_ADD_KEYPTR(by_key, exchanges->by_key, &exchange->virtual_host, sizeof(uint64_t) + name_len, exchange);
    if (!exchange_is_built_in(exchange)) {
        exchanges->exchanges_len++;
        host->exchanges_len++;
    }
    *ret_exchange = exchange;
    return 0;
}

static void exchange_unlink(struct exchanges *exchanges, struct exchange *exchange)
{
    RB_REMOVE(exchange_names, &exchanges->names, exchange);
    HASH_DELETE(by_key, exchanges->by_key, exchange);
    if (!exchange_is_built_in(exchange)) {
        RB_REMOVE(exchange_ids, &exchanges->ids, exchange);
    }
}

static void exchange_doom(struct exchanges *exchanges, struct exchange *exchange)
{
    route_cache_outdate(&exchanges->route_cache);
    exchange_unlink(exchanges, exchange);
    exchange->going = true;
    exchange->route_mark = ROUTE_NEVER;
    RB_INSERT(exchange_ids, &exchanges->going, exchange);
}

void exchange_discard(struct machine *machine, struct exchange *exchange)
{
    struct exchanges *exchanges = &machine->exchanges;
    CHECK(list_empty(&exchange->bindings) && exchange->bound == NULL);
    route_cache_outdate(&exchanges->route_cache);
    if (exchange->going) {
        RB_REMOVE(exchange_ids, &exchanges->going, exchange);
    } else {
        exchange_unlink(exchanges, exchange);
    }
    if (!exchange_is_built_in(exchange)) {
        exchanges->exchanges_len--;
        exchange->host->exchanges_len--;
    }
    topic_done(&exchange->topic);
    free(exchange->changed_note);
    free(exchange);
}

static const struct {
    uint64_t id;
    const char *name;
    enum exchange_type type;
} built_in[] = {
    {EXCHANGE_ID_DEFAULT, "", EXCHANGE_DIRECT},
    {EXCHANGE_ID_AMQ_DIRECT, "amq.direct", EXCHANGE_DIRECT},
    {EXCHANGE_ID_AMQ_FANOUT, "amq.fanout", EXCHANGE_FANOUT},
    {EXCHANGE_ID_AMQ_TOPIC, "amq.topic", EXCHANGE_TOPIC},
    {EXCHANGE_ID_AMQ_HEADERS, "amq.headers", EXCHANGE_HEADERS},
    {EXCHANGE_ID_AMQ_MATCH, "amq.match", EXCHANGE_HEADERS},
};

struct exchange *exchange_by_id(struct machine *machine, uint64_t virtual_host, uint64_t id)
{
    if (id >= EXCHANGE_ID_FIRST) {
        struct exchange like = {.id = id};
        struct exchange *exchange = RB_FIND(exchange_ids, &machine->exchanges.ids, &like);
        exchange = exchange != NULL ? exchange : RB_FIND(exchange_ids, &machine->exchanges.going, &like);
        return exchange != NULL && exchange->virtual_host == virtual_host ? exchange : NULL;
    }
    for (size_t i = 0; i < ARRAY_LEN(built_in); i++) {
        if (built_in[i].id == id) {
            return exchange_look(&machine->exchanges, virtual_host, built_in[i].name, strlen(built_in[i].name));
        }
    }
    return NULL;
}

int exchange_host_get(struct machine *machine, uint64_t virtual_host, struct exchange_host **ret_host)
{
    struct exchange_host *host = NULL;
    HASH_FIND(by_id, machine->exchanges.hosts, &virtual_host, sizeof virtual_host, host);
    if (host != NULL) {
        *ret_host = host;
        return 0;
    }
    host = calloc(1, sizeof *host);
    if (host == NULL) {
        return ERR_NOMEM;
    }
    host->virtual_host = virtual_host;
    list_init(&host->bindings);
    HASH_ADD(by_id, machine->exchanges.hosts, virtual_host, sizeof host->virtual_host, host);
    for (size_t i = 0; i < ARRAY_LEN(built_in); i++) {
        struct exchange_properties properties = {.type = built_in[i].type};
        struct exchange *exchange;
        int err = exchange_enter(machine, host, built_in[i].id, built_in[i].name, strlen(built_in[i].name), &properties,
                                 &exchange);
        if (err != 0) {
            return err;
        }
    }
    *ret_host = host;
    return 0;
}

static int exchange_put(struct machine *machine, const struct exchange *exchange)
{
    int err = exchange_row(exchange, &machine->row);
    return err != 0 ? err : table_put(machine, &machine->row, (struct slice){0});
}

static uint64_t exchange_next_id(struct exchanges *exchanges)
{
    const struct exchange *last = RB_MAX(exchange_ids, &exchanges->ids);
    const struct exchange *going = RB_MAX(exchange_ids, &exchanges->going);
    uint64_t highest = last != NULL ? last->id : EXCHANGE_ID_FIRST - 1;
    return (going != NULL && going->id > highest ? going->id : highest) + 1;
}

int exchange_new(struct machine *machine, uint64_t virtual_host, const char *name, size_t name_len,
                 const struct exchange_properties *properties, struct exchange **ret_exchange)
{
    uint64_t id = exchange_next_id(&machine->exchanges);
    struct exchange_host *host;
    int err = exchange_host_get(machine, virtual_host, &host);
    if (err == 0) {
        err = exchange_enter(machine, host, id, name, name_len, properties, ret_exchange);
    }
    return err != 0 ? err : exchange_put(machine, *ret_exchange);
}

int exchange_change(struct machine *machine, struct exchange *exchange, bool is_protected, const struct slice *note)
{
    CHECK(!exchange_is_built_in(exchange));
    if (note != NULL) {
        uint8_t *kept = malloc(note->len + 1);
        if (kept == NULL) {
            return ERR_NOMEM;
        }
        if (note->len > 0) {
            memcpy(kept, note->data, note->len);
        }
        free(exchange->changed_note);
        exchange->changed_note = kept;
        exchange->properties.note = (struct slice){.data = kept, .len = note->len};
    }
    exchange->properties.is_protected = is_protected;
    return exchange_put(machine, exchange);
}

int exchange_delete(struct machine *machine, struct exchange *exchange)
{
    int err = exchange_goes(machine, exchange);
    return err != 0 ? err : exchanges_sweep(machine);
}

int exchange_goes(struct machine *machine, struct exchange *exchange)
{
    CHECK(!exchange_is_built_in(exchange));
    if (exchange->going) {
        return 0;
    }
    exchange_doom(&machine->exchanges, exchange);
    return exchange_put(machine, exchange);
}

/* ---- Rows ---- */

static void put_string(struct row *row, struct slice string)
{
    CHECK(string.len <= UINT8_MAX);
    row_put_u8(row, (uint8_t)string.len);
    row_put_bytes(row, string.data, string.len);
}

int exchange_row(const struct exchange *exchange, struct row *row)
{
    const struct exchange_properties *properties = &exchange->properties;
    unsigned flags = 0;
    flags |= properties->auto_delete ? FLAG_AUTO_DELETE : 0u;
    flags |= properties->internal ? FLAG_INTERNAL : 0u;
    flags |= properties->is_protected ? FLAG_PROTECTED : 0u;
    flags |= properties->delayed ? FLAG_DELAYED : 0u;
    flags |= properties->has_alternate ? FLAG_ALTERNATE : 0u;
    flags |= exchange->going ? FLAG_GOING : 0u;
    row_begin_new(row, row_key_one(ROW_EXCHANGE, exchange->id));
    row_put_u64(row, exchange->virtual_host);
    row_put_u8(row, (uint8_t)properties->type);
    row_put_u8(row, (uint8_t)flags);
    put_string(row, (struct slice){.data = (const uint8_t *)exchange->name, .len = exchange->name_len});
    put_string(row, properties->alternate);
    put_string(row, properties->note);
    return row_seal(row);
}

static struct slice get_string(struct row_reader *reader)
{
    struct slice string = {.len = row_get_u8(reader)};
    string.data = row_get_bytes(reader, string.len);
    return string.data != NULL ? string : (struct slice){0};
}

int exchange_load(struct machine *machine, const struct row_key *key, struct slice value)
{
    struct row_reader reader;
    int err = row_open(&reader, key, value);
    if (err != 0) {
        return err;
    }
    uint64_t virtual_host = row_get_u64(&reader);
    uint8_t type = row_get_u8(&reader);
    unsigned flags = row_get_u8(&reader);
    struct slice name = get_string(&reader);
    struct exchange_properties properties = {
        .type = (enum exchange_type)type,
        .auto_delete = (flags & FLAG_AUTO_DELETE) != 0,
        .internal = (flags & FLAG_INTERNAL) != 0,
        .is_protected = (flags & FLAG_PROTECTED) != 0,
        .delayed = (flags & FLAG_DELAYED) != 0,
        .has_alternate = (flags & FLAG_ALTERNATE) != 0,
        .alternate = get_string(&reader),
        .note = get_string(&reader),
    };
    uint64_t id = key->len == ROW_KEY_ONE_LEN ? get_be64(key->data + 1) : 0;
    if (row_end(&reader) != 0 || id < EXCHANGE_ID_FIRST || type > EXCHANGE_TYPE_MAX ||
        name_check(name.data, name.len) != 0) {
        return ERR_CORRUPT;
    }
    struct exchange_host *host;
    struct exchange *exchange;
    err = exchange_host_get(machine, virtual_host, &host);
    if (err != 0) {
        return err;
    }
    struct exchange like = {.id = id};
    if (RB_FIND(exchange_ids, &machine->exchanges.ids, &like) != NULL ||
        RB_FIND(exchange_ids, &machine->exchanges.going, &like) != NULL ||
        exchange_look(&machine->exchanges, virtual_host, (const char *)name.data, name.len) != NULL) {
        return ERR_CORRUPT;
    }
    err = exchange_enter(machine, host, id, (const char *)name.data, name.len, &properties, &exchange);
    if (err == 0 && (flags & FLAG_GOING) != 0) {
        exchange_doom(&machine->exchanges, exchange);
    }
    return err;
}
