/* Opening and closing the machine: reading back what the last checkpoint wrote. Message bodies stay where they are. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"
#include "statemachine/queue/sweep.h"
#include "statemachine/session/consumer.h"
#include "statemachine/store/checkpoint.h"

/* What a header may unpack to: more than any within its limits. */
#define DECODED_LEN_MAX (16 * MIB)

static struct machine *machine_new(struct store *store)
{
    struct machine *machine = calloc(1, sizeof *machine);
    if (machine == NULL) {
        return NULL;
    }
    machine->store = store;
    machine->version = 1;
    machine->sessions_max = SESSIONS_MAX;
    machine->consumers_max = CONSUMERS_MAX;
    machine->next_session = 1;
    machine->next_queue = 1;
    machine->next_body = 1;
    RB_INIT(&machine->queue_names);
    RB_INIT(&machine->due_queues);
    RB_INIT(&machine->leases);
    RB_INIT(&machine->ending_sessions);
    RB_INIT(&machine->ending_consumers);
    machine->work = (struct work){.left = UINT64_MAX, .max = WORK_PER_ENTRY_MAX};
    list_init(&machine->presences);
    producers_init(&machine->producers);
    table_init(&machine->table);
    timers_init(&machine->timers);
    list_init(&machine->changed_queues);
    list_init(&machine->changed_presences);
    list_init(&machine->changed_sessions);
    list_init(&machine->changed_consumers);
    list_init(&machine->unstored_returns);
    effect_list_init(&machine->effects);
    publishing_init(&machine->publishing);
    machine->next_pending = 1;
    arena_init(&machine->arena, DECODED_LEN_MAX);
    if (virtual_hosts_init(&machine->virtual_hosts) != 0) {
        free(machine);
        return NULL;
    }
    return machine;
}

/* All but the store. */
static void machine_free(struct machine *machine)
{
    struct session *session;
    struct session *next_session;
    HASH_ITER (by_id, machine->sessions, session, next_session) {
        session_discard(machine, session);
    }
    struct list_node *presence;
    while ((presence = list_first(&machine->presences)) != NULL) {
        presence_discard(container_of(presence, struct presence, by_node));
    }
    exchanges_done(machine);
    struct queue *queue;
    struct queue *next_queue;
    HASH_ITER (by_id, machine->queues, queue, next_queue) {
        queue_free(machine, queue);
    }
    HASH_ITER (by_id, machine->doomed, queue, next_queue) {
        queue_free(machine, queue);
    }
    checkpoint_free(machine->failed);
    virtual_hosts_done(&machine->virtual_hosts);
    publishing_done(&machine->publishing);
    producers_done(&machine->producers);
    table_done(&machine->table);
    free(machine->forgotten);
    effect_list_done(&machine->effects);
    arena_done(&machine->arena);
    row_done(&machine->row);
    body_cache_done(&machine->bodies);
    partings_done(&machine->partings);
    expiries_done(&machine->undelivered);
    free(machine);
}

void machine_close(struct machine *machine)
{
    if (machine == NULL) {
        return;
    }
    CHECK(machine->checkpoint == NULL);
    struct store *store = machine->store;
    machine_free(machine);
    store->ops->close(store);
}

/* `ret_consensus` borrows from the value. */
static int machine_load_globals(struct machine *machine, struct slice value, struct slice *ret_consensus)
{
    struct row_key key = row_key_plain(ROW_GLOBALS);
    struct row_reader reader;
    int err = row_open(&reader, &key, value);
    if (err != 0) {
        return err;
    }
    machine->applied_index = row_get_u64(&reader);
    machine->time_ms = row_get_u64(&reader);
    machine->version = row_get_u32(&reader);
    machine->next_session = row_get_u64(&reader);
    machine->next_queue = row_get_u64(&reader);
    machine->due_cursor = row_get_u64(&reader);
    machine->running_digest = row_get_u64(&reader);
    if (reader.version >= ROW_VERSION_NEW) {
        machine->timers.next_ms = row_get_u64(&reader);
        machine->next_body = row_get_u64(&reader);
        machine->virtual_hosts.next_id = row_get_u64(&reader);
        machine->next_pending = row_get_u64(&reader);
    }
    size_t len = row_get_u32(&reader);
    const uint8_t *consensus = row_get_bytes(&reader, len);
    err = row_end(&reader);
    if (err != 0) {
        return err;
    }
    if (machine->version > MACHINE_VERSION_MAX) {
        return ERR_VERSION;
    }
    *ret_consensus = (struct slice){.data = consensus, .len = len};
    return 0;
}

struct load {
    struct machine *machine;
    int (*row)(struct load *load, const struct row_key *key, struct slice value);
};

static int load_queue(struct load *load, const struct row_key *key, struct slice value)
{
    return queue_load(load->machine, key, value);
}

static int load_presence(struct load *load, const struct row_key *key, struct slice value)
{
    return presence_load(load->machine, key, value);
}

static int load_session(struct load *load, const struct row_key *key, struct slice value)
{
    return session_load(load->machine, key, value);
}

static int load_consumer(struct load *load, const struct row_key *key, struct slice value)
{
    return consumer_load(load->machine, key, value);
}

static int load_returned(struct load *load, const struct row_key *key, struct slice value)
{
    return returned_load(load->machine, key, value);
}

static int load_each(void *arg, struct slice key, struct slice value)
{
    struct load *load = arg;
    struct row_key row_key = {.len = key.len};
    if (key.len == 0 || key.len > ROW_KEY_LEN_MAX) {
        return ERR_CORRUPT;
    }
    memcpy(row_key.data, key.data, key.len);
    int err = load->row(load, &row_key, value);
    return state_blame(load->machine, &row_key, err, err_text(err));
}

static const struct {
    enum row_kind kind;
    const char *what;
    int (*row)(struct load *load, const struct row_key *key, struct slice value);
} load_kinds[] = {
    {ROW_QUEUE, "queues", load_queue},          {ROW_RETURNED, "returned messages", load_returned},
    {ROW_PRESENCE, "nodes", load_presence},     {ROW_SESSION, "sessions", load_session},
    {ROW_CONSUMER, "consumers", load_consumer},
};

static int machine_load_rows(struct machine *machine, const char **ret_what)
{
    for (size_t i = 0; i < ARRAY_LEN(load_kinds); i++) {
        struct load load = {.machine = machine, .row = load_kinds[i].row};
        struct row_key first = row_key_plain(load_kinds[i].kind);
        struct row_key end = first;
        end.data[0]++;
        int err =
            machine->store->ops->scan(machine->store, row_key_slice(&first), row_key_slice(&end), load_each, &load);
        if (err != 0) {
            *ret_what = load_kinds[i].what;
            return err;
        }
    }
    return 0;
}

/* An exclusive queue belongs to a session that is there. */
static int queue_load_owner(struct machine *machine, struct queue *queue)
{
    if (queue->owner == 0) {
        return 0;
    }
    struct session *session = session_by_id_ending_too(machine, queue->owner);
    if (session == NULL) {
        return ERR_CORRUPT;
    }
    list_push_back(&session->queues, &queue->owned);
    return 0;
}

/* Ids given out must be below the next ones, and every queue looks for something to
 * deliver. */
static int machine_load_finish(struct machine *machine)
{
    for (struct queue *queue = machine->queues; queue != NULL; queue = queue->by_id.next) {
        if (queue->id == 0 || queue->id >= machine->next_queue) {
            return ERR_CORRUPT;
        }
        int err = queue_load_owner(machine, queue);
        if (err != 0) {
            return err;
        }
        queue_due(machine, queue);
    }
    for (struct session *session = machine->sessions; session != NULL; session = session->by_id.next) {
        if (session->id == 0 || session->id >= machine->next_session) {
            return ERR_CORRUPT;
        }
    }
    return 0;
}

static int machine_load(struct machine *machine, struct slice *ret_consensus, const char **ret_what)
{
    struct row_key key = row_key_plain(ROW_GLOBALS);
    struct slice value = {0};
    struct slice consensus = {0};
    *ret_what = "globals";
    int err = machine->store->ops->get(machine->store, key.data, key.len, &value);
    if (err == 0) {
        err = machine_load_globals(machine, value, &consensus);
        err = state_blame(machine, &key, err, err_text(err));
    } else if (err == ERR_NOT_FOUND) {
        err = 0;
    }
    if (err == 0) {
        *ret_what = "virtual hosts";
        err = virtual_hosts_load(machine);
    }
    if (err == 0) {
        err = machine_load_rows(machine, ret_what);
    }
    if (err == 0) {
        err = machine_load_finish(machine);
    }
    if (err == 0) {
        *ret_what = "exchanges";
        err = exchanges_load(machine);
    }
    if (err == 0) {
        *ret_what = "timers";
        err = timers_load(machine);
    }
    if (err == 0) {
        *ret_what = "messages to be dropped";
        err = sweeps_load(machine);
    }
    if (err == 0) {
        *ret_what = "consensus state";
        err = slice_copy(consensus.data, consensus.len, ret_consensus);
    }
    slice_unref(&value);
    return err;
}

int machine_open(struct store *store, struct machine **ret_machine, uint64_t *ret_applied_index,
                 struct slice *ret_consensus, char *detail, size_t detail_len)
{
    struct machine *machine = machine_new(store);
    if (machine == NULL) {
        (void)snprintf(detail, detail_len, "%s", err_text(ERR_NOMEM));
        return ERR_NOMEM;
    }
    struct slice consensus;
    const char *what;
    int err = machine_load(machine, &consensus, &what);
    if (err != 0) {
        machine_explain(machine, detail, detail_len);
        if (detail_len > 0 && detail[0] == '\0') {
            (void)snprintf(detail, detail_len, "the store's rows of %s: %s", what, err_text(err));
        }
        machine_free(machine);
        return err;
    }
    *ret_machine = machine;
    *ret_applied_index = machine->applied_index;
    *ret_consensus = consensus;
    return 0;
}
