/* A binding: from an exchange to a queue or to another exchange. */

#include "statemachine/exchange/binding.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "statemachine/state.h"

/* Places in the fields. */
enum { AT_VIRTUAL_HOST = 0, AT_SOURCE = 8, AT_TO_EXCHANGE = 16, AT_TO = 17, AT_KEY_LEN = 25, AT_KEY = 26 };

static int binding_compare_ids(const struct binding *a, const struct binding *b)
{
    return (a->id > b->id) - (a->id < b->id);
}

RB_GENERATE(binding_ids, binding, by_id, binding_compare_ids)

struct slice binding_key(const struct binding *binding)
{
    return (struct slice){.data = binding->fields + AT_KEY, .len = binding->fields[AT_KEY_LEN]};
}

struct slice binding_arguments(const struct binding *binding)
{
    size_t at = AT_KEY + binding->fields[AT_KEY_LEN];
    return (struct slice){.data = binding->fields + at, .len = binding->fields_len - at};
}

/* ---- Finding ---- */

/* What is to be bound, as it would be in the row: in the machine's scratch. */
static int fields_make(struct machine *machine, const struct binding_ends *ends)
{
    struct bytes *fields = &machine->exchanges.fields;
    uint8_t head[AT_KEY];
    CHECK(ends->key.len <= TOPIC_LEN_MAX && (ends->to_exchange != NULL) != (ends->to_queue != NULL));
    put_u64(head + AT_VIRTUAL_HOST, ends->source->virtual_host);
    put_u64(head + AT_SOURCE, ends->source->id);
    head[AT_TO_EXCHANGE] = ends->to_exchange != NULL;
    put_u64(head + AT_TO, ends->to_exchange != NULL ? ends->to_exchange->id : ends->to_queue->id);
    head[AT_KEY_LEN] = (uint8_t)ends->key.len;
    fields->len = 0;
    int err = bytes_append(fields, head, sizeof head);
    if (err == 0) {
        err = bytes_append(fields, ends->key.data, ends->key.len);
    }
    return err != 0 ? err : arguments_encode(ends->arguments, fields);
}

static struct binding *binding_look(struct machine *machine, const uint8_t *fields, size_t len)
{
    struct binding *binding = NULL;
    HASH_FIND(by_fields, machine->exchanges.bindings, fields, len, binding);
    return binding;
}

int binding_find(struct machine *machine, const struct binding_ends *ends, struct binding **ret_binding)
{
    int err = fields_make(machine, ends);
    if (err == 0) {
        *ret_binding = binding_look(machine, machine->exchanges.fields.data, machine->exchanges.fields.len);
    }
    return err;
}

/* ---- Making ---- */

/* Where messages find it, as its source is of a type. */
static int binding_enter_source(struct binding *binding)
{
    struct exchange *source = binding->source;
    struct slice key = binding_key(binding);
    struct slice arguments = binding_arguments(binding);
    int err;
    switch (source->properties.type) {
    case EXCHANGE_FANOUT: return 0;
    case EXCHANGE_HEADERS: return headers_match_new(arguments.data, arguments.len, &binding->match);
    case EXCHANGE_TOPIC: err = topic_node(&source->topic, (const char *)key.data, key.len, &binding->node); break;
    default: err = topic_node_exact(&source->topic, (const char *)key.data, key.len, &binding->node); break;
    }
    if (err == 0) {
        list_push_back(&binding->node->items, &binding->at_node);
    }
    return err;
}

static struct binding **bound_of(const struct binding *binding)
{
    return binding->to_exchange != NULL ? &binding->to_exchange->bound : &binding->to_queue->bound;
}

static void binding_enter(struct machine *machine, struct binding *binding)
{
    struct exchanges *exchanges = &machine->exchanges;
    route_cache_outdate(&exchanges->route_cache);
    struct binding **bound = bound_of(binding);
    binding->bound_next = *bound;
    binding->bound_before = bound;
    if (*bound != NULL) {
        (*bound)->bound_before = &binding->bound_next;
    }
    *bound = binding;
    list_push_back(&binding->source->bindings, &binding->from);
    list_push_back(&binding->source->host->bindings, &binding->of_host);
    binding->source->bindings_len++;
    binding->source->host->bindings_len++;
    exchanges->bindings_len++;
    RB_INSERT(binding_ids, &exchanges->binding_ids, binding);
    HASH_ADD_KEYPTR(by_fields, exchanges->bindings, binding->fields, binding->fields_len, binding);
}

/* Makes the binding that the fields speak of. */
static int binding_make(struct machine *machine, uint64_t id, const struct binding_ends *ends, struct slice fields,
                        struct binding **ret_binding)
{
    struct binding *binding = calloc(1, sizeof *binding + fields.len);
    if (binding == NULL) {
        return ERR_NOMEM;
    }
    binding->id = id;
    binding->source = ends->source;
    binding->to_exchange = ends->to_exchange;
    binding->to_queue = ends->to_queue;
    list_init(&binding->from);
    list_init(&binding->at_node);
    binding->fields_len = (uint32_t)fields.len;
    memcpy(binding->fields, fields.data, fields.len);
    int err = binding_enter_source(binding);
    if (err != 0) {
        free(binding);
        return err;
    }
    binding_enter(machine, binding);
    *ret_binding = binding;
    return 0;
}

int binding_new(struct machine *machine, const struct binding_ends *ends)
{
    struct bytes *fields = &machine->exchanges.fields;
    struct binding *last = RB_MAX(binding_ids, &machine->exchanges.binding_ids);
    struct binding *binding;
    int err = binding_make(machine, last != NULL ? last->id + 1 : 1, ends,
                           (struct slice){.data = fields->data, .len = fields->len}, &binding);
    if (err == 0) {
        err = binding_row(binding, &machine->row);
    }
    return err != 0 ? err : table_put(machine, &machine->row, (struct slice){0});
}

/* ---- Going ---- */

void binding_discard(struct machine *machine, struct binding *binding)
{
    struct exchanges *exchanges = &machine->exchanges;
    route_cache_outdate(&exchanges->route_cache);
    HASH_DELETE(by_fields, exchanges->bindings, binding);
    RB_REMOVE(binding_ids, &exchanges->binding_ids, binding);
    exchanges->bindings_len--;
    binding->source->host->bindings_len--;
    binding->source->bindings_len--;
    list_remove(&binding->from);
    list_remove(&binding->of_host);
    *binding->bound_before = binding->bound_next;
    if (binding->bound_next != NULL) {
        binding->bound_next->bound_before = binding->bound_before;
    }
    if (binding->node != NULL) {
        list_remove(&binding->at_node);
        topic_drop(&binding->source->topic, binding->node);
    }
    free(binding->match);
    free(binding);
}

int binding_delete(struct machine *machine, struct binding *binding)
{
    struct exchange *source = binding->source;
    struct row_key key = row_key_one(ROW_BINDING, binding->id);
    int err = table_remove(machine, &key);
    if (err != 0) {
        return err;
    }
    binding_discard(machine, binding);
    work_spend(&machine->work, 1);
    bool goes = source->properties.auto_delete && source->bindings_len == 0 && !fault_fires(FAULT_SKIP_EXCHANGE_END);
    return goes ? exchange_goes(machine, source) : 0;
}

/* ---- Rows ---- */

int binding_row(const struct binding *binding, struct row *row)
{
    row_begin_new(row, row_key_one(ROW_BINDING, binding->id));
    row_put_bytes(row, binding->fields, binding->fields_len);
    return row_seal(row);
}

/* What the fields speak of. */
static int load_ends(struct machine *machine, struct slice fields, struct binding_ends *ret_ends)
{
    struct binding_ends ends = {0};
    if (fields.len < AT_KEY || fields.len < (size_t)AT_KEY + fields.data[AT_KEY_LEN]) {
        return ERR_CORRUPT;
    }
    uint64_t virtual_host = get_u64(fields.data + AT_VIRTUAL_HOST);
    struct exchange_host *host;
    int err = exchange_host_get(machine, virtual_host, &host);
    if (err != 0) {
        return err;
    }
    uint64_t to = get_u64(fields.data + AT_TO);
    ends.source = exchange_by_id(machine, virtual_host, get_u64(fields.data + AT_SOURCE));
    if (fields.data[AT_TO_EXCHANGE] != 0) {
        ends.to_exchange = exchange_by_id(machine, virtual_host, to);
    } else {
        ends.to_queue = queue_by_id_doomed_too(machine, to);
    }
    bool found = ends.source != NULL &&
                 (ends.to_exchange != NULL || (ends.to_queue != NULL && ends.to_queue->virtual_host == virtual_host));
    *ret_ends = ends;
    return found ? 0 : ERR_CORRUPT;
}

int binding_load(struct machine *machine, const struct row_key *key, struct slice value)
{
    struct row_reader reader;
    int err = row_open(&reader, key, value);
    if (err != 0) {
        return err;
    }
    struct slice fields = {.len = reader.left};
    fields.data = row_get_bytes(&reader, fields.len);
    struct binding_ends ends;
    err = key->len == ROW_KEY_ONE_LEN ? load_ends(machine, fields, &ends) : ERR_CORRUPT;
    if (err != 0) {
        return err;
    }
    uint64_t id = get_be64(key->data + 1);
    struct binding like = {.id = id};
    if (id == 0 || binding_look(machine, fields.data, fields.len) != NULL ||
        RB_FIND(binding_ids, &machine->exchanges.binding_ids, &like) != NULL) {
        return ERR_CORRUPT;
    }
    struct binding *binding;
    err = binding_make(machine, id, &ends, fields, &binding);
    return err == ERR_INVALID ? ERR_CORRUPT : err;
}
