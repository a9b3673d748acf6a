/* Producers and their last sequence numbers. */

#include "statemachine/publish/producer.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "statemachine/state.h"

void producers_init(struct producers *producers)
{
    *producers = (struct producers){.cached_len_max = PRODUCERS_CACHED_MAX};
    list_init(&producers->changed);
    list_init(&producers->collected);
    list_init(&producers->cached);
}

static void producer_free(struct producers *producers, struct producer *producer)
{
    list_remove(&producer->state);
    HASH_DELETE(by_name, producers->by_name, producer);
    free(producer);
}

void producers_done(struct producers *producers)
{
    struct producer *producer;
    struct producer *next;
    HASH_ITER (by_name, producers->by_name, producer, next) {
        producer_free(producers, producer);
    }
}

static void producers_trim(struct producers *producers)
{
    while (producers->cached_len > producers->cached_len_max) {
        producer_free(producers, container_of(list_first(&producers->cached), struct producer, state));
        producers->cached_len--;
    }
}

/* What a row says. */
struct producer_fields {
    uint64_t last;
    uint64_t epoch;
    uint64_t session;
};

static int producer_decode(const struct row_key *key, struct slice value, struct producer_fields *ret_fields)
{
    struct row_reader reader;
    int err = row_open(&reader, key, value);
    if (err != 0) {
        return err;
    }
    struct producer_fields fields = {.last = row_get_u64(&reader)};
    if (reader.version >= ROW_VERSION_NEW) {
        fields.epoch = row_get_u64(&reader);
        fields.session = row_get_u64(&reader);
    }
    err = row_end(&reader);
    if (err == 0) {
        *ret_fields = fields;
    }
    return err;
}

static int producer_read(struct machine *machine, const struct row_key *key, struct producer_fields *ret_fields)
{
    struct slice value;
    int err = machine->store->ops->get(machine->store, key->data, key->len, &value);
    if (err == ERR_NOT_FOUND) {
        *ret_fields = (struct producer_fields){0};
        return 0;
    }
    if (err != 0) {
        return err;
    }
    err = producer_decode(key, value, ret_fields);
    slice_unref(&value);
    return state_blame(machine, key, err, err_text(err));
}

int producer_get(struct machine *machine, uint64_t virtual_host, const char *host_name, size_t host_name_len,
                 struct producer **ret_producer)
{
    struct producers *producers = &machine->producers;
    struct producer *producer = NULL;
    struct row_key key = row_key_host_name(ROW_PRODUCER, virtual_host, host_name, host_name_len);
    const uint8_t *name = key.data + 1;
    size_t name_len = key.len - 1;
    HASH_FIND(by_name, producers->by_name, name, name_len, producer);
    if (producer != NULL) {
        *ret_producer = producer;
        return 0;
    }
    struct producer_fields fields = {0};
    int err = producer_read(machine, &key, &fields);
    if (err != 0) {
        return err;
    }
    producers_trim(producers);
    producer = calloc(1, sizeof *producer + name_len);
    if (producer == NULL) {
        return ERR_NOMEM;
    }
    producer->last = fields.last;
    producer->epoch = fields.epoch;
    producer->session = fields.session;
    producer->name_len = name_len;
    memcpy(producer->name, name, name_len);
    HASH_ADD_KEYPTR(by_name, producers->by_name, producer->name, name_len, producer);
    list_init(&producer->state);
    list_push_back(&producers->cached, &producer->state);
    producers->cached_len++;
    *ret_producer = producer;
    return 0;
}

int producer_look(struct machine *machine, uint64_t virtual_host, const char *name, size_t name_len, uint64_t *ret_last,
                  uint64_t *ret_epoch, uint64_t *ret_session)
{
    const struct producer *producer = NULL;
    struct row_key key = row_key_host_name(ROW_PRODUCER, virtual_host, name, name_len);
    struct producer_fields fields = {0};
    HASH_FIND(by_name, machine->producers.by_name, key.data + 1, key.len - 1, producer);
    int err = 0;
    if (producer != NULL) {
        fields = (struct producer_fields){producer->last, producer->epoch, producer->session};
    } else {
        err = producer_read(machine, &key, &fields);
    }
    if (err != 0) {
        return err;
    }
    *ret_last = fields.last;
    *ret_epoch = fields.epoch;
    *ret_session = fields.session;
    return fields.last > 0 || fields.epoch > 0 ? 0 : ERR_NOT_FOUND;
}

static void producer_changed(struct producers *producers, struct producer *producer)
{
    if (producer->where == PRODUCER_CACHED) {
        producers->cached_len--;
    }
    if (producer->where != PRODUCER_CHANGED) {
        list_remove(&producer->state);
        list_push_back(&producers->changed, &producer->state);
        producer->where = PRODUCER_CHANGED;
    }
}

void producer_advance(struct machine *machine, struct producer *producer, uint64_t last)
{
    if (last > producer->last) {
        producer->last = last;
        producer_changed(&machine->producers, producer);
    }
}

void producer_open(struct machine *machine, struct producer *producer, uint64_t session)
{
    producer->epoch++;
    producer->session = session;
    producer_changed(&machine->producers, producer);
}

void producers_host_gone(struct machine *machine, uint64_t virtual_host)
{
    struct producers *producers = &machine->producers;
    struct row_key prefix = row_key_host(ROW_PRODUCER, virtual_host);
    struct producer *producer;
    struct producer *next;
    HASH_ITER (by_name, producers->by_name, producer, next) {
        if (producer->name_len >= prefix.len && memcmp(producer->name, prefix.data + 1, prefix.len - 1) == 0) {
            producers->cached_len -= producer->where == PRODUCER_CACHED;
            producer_free(producers, producer);
        }
    }
    state_forget_row(machine, ROW_PRODUCER, virtual_host, 0);
}

void producers_collected(struct producers *producers, struct producer *producer)
{
    CHECK(producer->where == PRODUCER_CHANGED);
    list_remove(&producer->state);
    list_push_back(&producers->collected, &producer->state);
    producer->where = PRODUCER_COLLECTED;
}

void producers_settle(struct producers *producers, bool stored)
{
    struct list_node *node;
    while ((node = list_first(&producers->collected)) != NULL) {
        struct producer *producer = container_of(node, struct producer, state);
        list_remove(node);
        list_push_back(stored ? &producers->cached : &producers->changed, node);
        producer->where = stored ? PRODUCER_CACHED : PRODUCER_CHANGED;
        producers->cached_len += stored;
    }
    producers_trim(producers);
}

static int producer_put(const struct machine *machine, const struct row_key *key, const struct producer_fields *fields,
                        struct row *row)
{
    if (machine->version < 2) {
        row_begin(row, *key);
        row_put_u64(row, fields->last);
    } else {
        row_begin_new(row, *key);
        row_put_u64(row, fields->last);
        row_put_u64(row, fields->epoch);
        row_put_u64(row, fields->session);
    }
    return row_seal(row);
}

int producer_row(const struct machine *machine, const struct producer *producer, struct row *row)
{
    struct row_key key = row_key_plain(ROW_PRODUCER);
    struct producer_fields fields = {.last = producer->last, .epoch = producer->epoch, .session = producer->session};
    memcpy(key.data + 1, producer->name, producer->name_len);
    key.len += producer->name_len;
    return producer_put(machine, &key, &fields, row);
}

int producer_row_again(const struct machine *machine, const struct row_key *key, struct slice value, struct row *row)
{
    struct producer_fields fields = {0};
    bool is_of_host = key->len >= ROW_KEY_HOST_LEN && key->data[1] == 0;
    if (is_of_host && virtual_host_by_id_going_too(machine, get_be64(key->data + 2)) == NULL) {
        return ERR_NOT_FOUND;
    }
    int err = producer_decode(key, value, &fields);
    return err != 0 ? err : producer_put(machine, key, &fields, row);
}
