/* Producers and their last sequence numbers. */

#include "statemachine/producer.h"

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

static int producer_read(struct machine *machine, const char *name, size_t name_len, uint64_t *ret_last)
{
    struct row_key key = row_key_name(ROW_PRODUCER, name, name_len);
    struct slice value;
    int err = machine->store->ops->get(machine->store, key.data, key.len, &value);
    if (err != 0) {
        if (err == ERR_NOT_FOUND) {
            *ret_last = 0;
        }
        return err == ERR_NOT_FOUND ? 0 : err;
    }
    struct row_reader reader;
    uint64_t last = 0;
    err = row_open(&reader, &key, value);
    if (err == 0) {
        last = row_get_u64(&reader);
        err = row_end(&reader);
    }
    slice_unref(&value);
    if (err == 0) {
        *ret_last = last;
    }
    return state_blame(machine, &key, err, err_text(err));
}

int producer_get(struct machine *machine, const char *name, size_t name_len, struct producer **ret_producer)
{
    struct producers *producers = &machine->producers;
    struct producer *producer = NULL;
    HASH_FIND(by_name, producers->by_name, name, name_len, producer);
    if (producer != NULL) {
        *ret_producer = producer;
        return 0;
    }
    uint64_t last;
    int err = producer_read(machine, name, name_len, &last);
    if (err != 0) {
        return err;
    }
    producers_trim(producers);
    producer = calloc(1, sizeof *producer + name_len);
    if (producer == NULL) {
        return ERR_NOMEM;
    }
    producer->last = last;
    producer->name_len = name_len;
    memcpy(producer->name, name, name_len);
    HASH_ADD_KEYPTR(by_name, producers->by_name, producer->name, name_len, producer);
    list_init(&producer->state);
    list_push_back(&producers->cached, &producer->state);
    producers->cached_len++;
    *ret_producer = producer;
    return 0;
}

void producer_advance(struct machine *machine, struct producer *producer, uint64_t last)
{
    struct producers *producers = &machine->producers;
    if (last <= producer->last) {
        return;
    }
    producer->last = last;
    if (producer->where == PRODUCER_CACHED) {
        producers->cached_len--;
    }
    if (producer->where != PRODUCER_CHANGED) {
        list_remove(&producer->state);
        list_push_back(&producers->changed, &producer->state);
        producer->where = PRODUCER_CHANGED;
    }
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

int producer_row(const struct producer *producer, struct row *row)
{
    row_begin(row, row_key_name(ROW_PRODUCER, producer->name, producer->name_len));
    row_put_u64(row, producer->last);
    return row_seal(row);
}
