/* Prepared messages: kept aside, asked about, and published or dropped. */

#include "statemachine/publish/prepared.h"

#include <string.h>

#include "proto/base/fault.h"
#include "statemachine/publish/pending.h"
#include "statemachine/publish/prepared_row.h"
#include "statemachine/state.h"

static uint64_t earlier(uint64_t a_ms, uint64_t b_ms)
{
    return b_ms != 0 && b_ms < a_ms ? b_ms : a_ms;
}

/* When it is to be looked at next. */
static int prepared_set_timer(struct machine *machine, const struct prepared *prepared)
{
    uint64_t at_ms = timer_after(machine->time_ms, PREPARED_REMEMBERED_MS);
    if (prepared->state == PREPARED_OPEN) {
        at_ms = earlier(earlier(at_ms, prepared->next_ask_ms), prepared->deadline_ms);
    } else if (prepared->state == PREPARED_COMMITTED && prepared->done < prepared->count) {
        at_ms = machine->time_ms;
    } else {
        at_ms = prepared->until_ms;
    }
    struct timer timer = {.at_ms = at_ms, .kind = TIMER_PREPARED, .a = prepared->id};
    return timer_set(machine, &timer);
}

int prepared_check_new(struct machine *machine, uint64_t virtual_host, const char *name, struct reply *reply)
{
    uint64_t id;
    struct prepared prepared;
    int err = prepared_find(machine, virtual_host, name, &id);
    if (err == 0) {
        err = prepared_get(machine, id, &prepared);
    }
    if (err != 0) {
        return err == ERR_NOT_FOUND ? 0 : err;
    }
    if (prepared.until_ms == 0 || prepared.until_ms > machine->time_ms) { /* Its timer may be late. */
        reply_fail(reply, ERR_EXISTS, DETAIL_PREPARED_EXISTS);
    }
    return 0;
}

/* ---- The first phase ---- */

int prepared_begin(struct machine *machine, uint64_t virtual_host, const Holdfast__Publish *publish,
                   struct prepared *ret_prepared)
{
    const Holdfast__Prepare *prepare = publish->prepare;
    struct prepared prepared = {
        .id = machine->next_pending++,
        .virtual_host = virtual_host,
        .commit_at_deadline = prepare->commit_at_deadline,
        .ask_after_ms = prepare->ask_after_ms,
        .next_ask_ms = prepare->ask_after_ms != 0 ? timer_after(machine->time_ms, prepare->ask_after_ms) : 0,
        .deadline_ms = prepare->deadline_ms != 0 ? timer_after(machine->time_ms, prepare->deadline_ms) : 0,
    };
    memcpy(prepared.name, prepare->id, strlen(prepare->id));
    memcpy(prepared.group, prepare->group, strlen(prepare->group));
    memcpy(prepared.queue, publish->queue, strlen(publish->queue)); /* Empty, or that of a queue that is there. */
    *ret_prepared = prepared;
    return prepared_put_name(machine, &prepared);
}

int prepared_add(struct machine *machine, struct prepared *prepared, const struct message *message)
{
    return prepared_put_message(machine, prepared->id, ++prepared->count, message);
}

int prepared_end(struct machine *machine, const struct prepared *prepared)
{
    int err = prepared_put(machine, prepared);
    return err != 0 ? err : prepared_set_timer(machine, prepared);
}

/* ---- The second ---- */

/* As if it were published now: one that is to be delayed is, from now on. */
static int prepared_publish_one(struct machine *machine, const struct prepared *prepared, uint64_t number)
{
    struct internal internal = {
        .virtual_host = prepared->virtual_host,
        .queue = prepared->queue[0] != 0 ? prepared->queue : NULL,
        .how = ENQUEUE_DUE,
    };
    struct head_facts facts;
    struct message *message = &internal.message;
    int err = prepared_get_message(machine, prepared->id, number, message);
    if (err != 0) {
        return err;
    }
    err = head_read((struct slice){.data = message->data, .len = message->head_len}, &facts);
    if (err != 0) {
        message_unref(message);
        return ERR_CORRUPT;
    }
    uint64_t delay_ms = head_delay_ms(&facts, machine->time_ms);
    if (delay_ms == 0) {
        return publish_internal(machine, &internal, NULL);
    }
    err = pending_add(machine, &internal, timer_after(machine->time_ms, delay_ms));
    message_unref(message);
    return err;
}

static int prepared_remove_message(struct machine *machine, const struct prepared *prepared, uint64_t number)
{
    struct row_key key = row_key_pair(ROW_PREPARED, prepared->id, number);
    return table_remove(machine, &key);
}

/* Publishes or drops the next ones, at most `max`; of those that go to many queues as many as one entry may. */
static int prepared_go_on(struct machine *machine, struct prepared *prepared, uint64_t max, bool publish)
{
    for (uint64_t i = 0; i < max && prepared->done < prepared->count; i++) {
        if (publish && i > 0 && work_is_done(&machine->work)) {
            if (!fault_fires(FAULT_SKIP_LATE_COMMIT)) {
                return 0;
            }
            publish = false;
        }
        uint64_t number = ++prepared->done;
        int err = publish && !fault_fires(FAULT_SKIP_COMMIT) ? prepared_publish_one(machine, prepared, number) : 0;
        if (err == 0) {
            err = prepared_remove_message(machine, prepared, number);
        }
        if (err != 0) {
            return err;
        }
    }
    return 0;
}

static int prepared_settle(struct machine *machine, struct prepared *prepared, bool commit, uint64_t max)
{
    prepared->state = commit ? PREPARED_COMMITTED : PREPARED_DROPPED;
    prepared->until_ms = timer_after(machine->time_ms, PREPARED_REMEMBERED_MS);
    int err = prepared_go_on(machine, prepared, commit ? max : prepared->count, commit);
    return err != 0 ? err : prepared_end(machine, prepared);
}

int prepared_resolve(struct machine *machine, uint64_t virtual_host, const char *name, bool commit, struct reply *reply)
{
    uint64_t id;
    struct prepared prepared;
    int err = prepared_find(machine, virtual_host, name, &id);
    if (err == 0) {
        err = prepared_get(machine, id, &prepared);
    }
    bool forgotten = err == 0 && prepared.until_ms != 0 && prepared.until_ms <= machine->time_ms;
    if (err == ERR_NOT_FOUND || forgotten) {
        reply_fail(reply, ERR_NOT_FOUND, DETAIL_PREPARED);
        return 0;
    }
    if (err != 0) {
        return err;
    }
    if (prepared.state != PREPARED_OPEN) {
        if (commit != (prepared.state == PREPARED_COMMITTED)) {
            reply_fail(reply, ERR_REFUSED, DETAIL_PREPARED_OTHERWISE);
        }
        return 0;
    }
    reply->count = prepared.count;
    return prepared_settle(machine, &prepared, commit, prepared.count);
}

/* ---- Time ---- */

/* Asks the session that opened the group's producer last, if it is there. */
static int prepared_ask(struct machine *machine, struct prepared *prepared)
{
    struct producer *producer = NULL;
    prepared->next_ask_ms =
        fault_fires(FAULT_SKIP_ASK_AGAIN) ? 0 : timer_after(machine->time_ms, prepared->ask_after_ms);
    int err = prepared->group[0] != 0
                  ? producer_get(machine, prepared->virtual_host, prepared->group, strlen(prepared->group), &producer)
                  : 0;
    if (err != 0 || producer == NULL) {
        return err;
    }
    const struct session *session = session_by_id(machine, producer->session);
    if (session == NULL || session->place == NULL || session->virtual_host_id != prepared->virtual_host) {
        return 0;
    }
    return effect_list_prepared_ask(&machine->effects, session->id, prepared->name, strlen(prepared->name));
}

static int prepared_look(struct machine *machine, struct prepared *prepared)
{
    uint64_t now_ms = machine->time_ms;
    if (prepared->deadline_ms != 0 && prepared->deadline_ms <= now_ms) {
        bool commit = prepared->commit_at_deadline && !fault_fires(FAULT_SKIP_DEADLINE);
        return prepared_settle(machine, prepared, commit, PREPARED_AT_ONCE);
    }
    int err = prepared->next_ask_ms != 0 && prepared->next_ask_ms <= now_ms ? prepared_ask(machine, prepared) : 0;
    return err != 0 ? err : prepared_end(machine, prepared);
}

static int prepared_abandon(struct machine *machine, struct prepared *prepared)
{
    int err = prepared_go_on(machine, prepared, prepared->count, false);
    return err != 0 ? err : prepared_forget(machine, prepared);
}

int prepared_fired(struct machine *machine, const struct timer *timer)
{
    struct prepared prepared;
    int err = prepared_get(machine, timer->a, &prepared);
    if (err != 0) {
        return err == ERR_NOT_FOUND ? 0 : err;
    }
    if (virtual_host_by_id(machine, prepared.virtual_host) == NULL) {
        return prepared_abandon(machine, &prepared);
    }
    if (prepared.state == PREPARED_OPEN) {
        return prepared_look(machine, &prepared);
    }
    if (prepared.done < prepared.count) {
        err = prepared_go_on(machine, &prepared, PREPARED_AT_ONCE, true);
        return err != 0 ? err : prepared_end(machine, &prepared);
    }
    return prepared.until_ms <= machine->time_ms ? prepared_forget(machine, &prepared) : 0;
}

int prepared_host_gone(struct machine *machine, uint64_t virtual_host)
{
    struct row_key prefix = row_key_one(ROW_PREPARED_NAME, virtual_host);
    return table_remove_all(machine, &prefix);
}
