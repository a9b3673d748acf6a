/* Headers of dead letters. */

#include "rpc/amqp/amqp_death.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "rpc/amqp/amqp_table.h"

/* ---- Values ---- */

/* What is being made; the first error sticks. */
struct maker {
    struct arena *arena;
    bool failed;
};

static void *make(struct maker *maker, size_t len)
{
    void *made = arena_alloc(maker->arena, len);
    maker->failed = maker->failed || made == NULL;
    return made;
}

static Holdfast__Value *make_value(struct maker *maker, Holdfast__Value__KindCase kind)
{
    Holdfast__Value *value = make(maker, sizeof *value);
    if (value != NULL) {
        holdfast__value__init(value);
        value->kind_case = kind;
    }
    return value;
}

static Holdfast__Value *make_text(struct maker *maker, const char *text)
{
    Holdfast__Value *value = make_value(maker, HOLDFAST__VALUE__KIND_STRING);
    if (value != NULL) {
        value->string = (ProtobufCBinaryData){.len = strlen(text), .data = (uint8_t *)(uintptr_t)text};
    }
    return value;
}

static Holdfast__Header *make_header(struct maker *maker, const char *name, Holdfast__Value *value)
{
    Holdfast__Header *header = make(maker, sizeof *header);
    if (header != NULL) {
        holdfast__header__init(header);
        header->name = (char *)(uintptr_t)name;
        header->value = value;
    }
    return header;
}

static Holdfast__Value *make_array(struct maker *maker, size_t cap)
{
    Holdfast__Value *value = make_value(maker, HOLDFAST__VALUE__KIND_ARRAY);
    Holdfast__Array *array = make(maker, sizeof *array);
    Holdfast__Value **items = make(maker, (cap + 1) * sizeof(Holdfast__Value *));
    if (maker->failed) {
        return NULL;
    }
    holdfast__array__init(array);
    array->item = items;
    value->array = array;
    return value;
}

/* ---- The publisher's history ---- */

/* The array x-death of the head, or NULL. */
static const Holdfast__Array *history_of(const Holdfast__MessageHead *head)
{
    const struct amqp_headers headers = {.entries = head->header, .len = head->n_header};
    const Holdfast__Value *value = amqp_headers_find(&headers, "x-death");
    return value != NULL && value->kind_case == HOLDFAST__VALUE__KIND_ARRAY ? value->array : NULL;
}

static bool is_text(const Holdfast__Value *value, const char *text)
{
    return value != NULL && value->kind_case == HOLDFAST__VALUE__KIND_STRING && value->string.len == strlen(text) &&
           memcmp(value->string.data, text, value->string.len) == 0;
}

/* Whether an entry of a history tells of that queue and reason. */
static bool is_entry_of(const Holdfast__Value *entry, const char *queue, const char *reason)
{
    if (entry->kind_case != HOLDFAST__VALUE__KIND_TABLE) {
        return false;
    }
    const struct amqp_headers fields = {.entries = entry->table->entry, .len = entry->table->n_entry};
    return is_text(amqp_headers_find(&fields, "queue"), queue) && is_text(amqp_headers_find(&fields, "reason"), reason);
}

static int64_t count_of(const Holdfast__Value *entry)
{
    const struct amqp_headers fields = {.entries = entry->table->entry, .len = entry->table->n_entry};
    const Holdfast__Value *count = amqp_headers_find(&fields, "count");
    switch (count == NULL ? HOLDFAST__VALUE__KIND__NOT_SET : count->kind_case) {
    case HOLDFAST__VALUE__KIND_INT64: return count->int64;
    case HOLDFAST__VALUE__KIND_INT32: return count->int32;
    case HOLDFAST__VALUE__KIND_UINT32: return (int64_t)count->uint32;
    case HOLDFAST__VALUE__KIND_INT16: return count->int16;
    case HOLDFAST__VALUE__KIND_INT8: return count->int8;
    default: return 1; /* It was there once. */
    }
}

/* ---- x-death ---- */

static const char *reason_text(Holdfast__Death__Reason reason)
{
    switch (reason) {
    case HOLDFAST__DEATH__REASON__EXPIRED: return "expired";
    case HOLDFAST__DEATH__REASON__MAXLEN: return "maxlen";
    case HOLDFAST__DEATH__REASON__DELIVERY_LIMIT: return "delivery_limit";
    default: return "rejected";
    }
}

static Holdfast__Value *make_keys(struct maker *maker, const Holdfast__Death *death)
{
    Holdfast__Value *value = make_array(maker, death->n_routing_key);
    for (size_t i = 0; value != NULL && i < death->n_routing_key; i++) {
        value->array->item[value->array->n_item++] = make_text(maker, death->routing_key[i]);
    }
    return value;
}

/* The time to live that the message had when it died, and has no more; NULL: none. The first death takes it, whatever the reason. */
static const char *expiration_of(struct maker *maker, const Holdfast__Trail *trail, const Holdfast__Death *death,
                                 const Holdfast__MessageHead *head)
{
    bool first =
        strcmp(death->queue, trail->first_queue) == 0 && strcmp(reason_text(death->reason), trail->first_reason) == 0;
    if (first && head->expiration[0] != '\0') {
        return head->expiration;
    }
    char *text = death->has_expiration ? make(maker, 21) : NULL;
    if (text != NULL) {
        (void)snprintf(text, 21, "%" PRIu64, death->expiration_ms);
    }
    return text;
}

#define DEATH_FIELDS_MAX 7u

static Holdfast__Value *make_death(struct maker *maker, const Holdfast__Trail *trail, const Holdfast__Death *death,
                                   int64_t earlier, const Holdfast__MessageHead *head)
{
    Holdfast__Value *value = make_value(maker, HOLDFAST__VALUE__KIND_TABLE);
    Holdfast__Table *table = make(maker, sizeof *table);
    Holdfast__Header **fields = make(maker, DEATH_FIELDS_MAX * sizeof(Holdfast__Header *));
    Holdfast__Value *count = make_value(maker, HOLDFAST__VALUE__KIND_INT64);
    Holdfast__Value *time = make_value(maker, HOLDFAST__VALUE__KIND_TIMESTAMP_S);
    const char *expiration = expiration_of(maker, trail, death, head);
    if (maker->failed) {
        return NULL;
    }
    count->int64 = (int64_t)death->count + earlier;
    time->timestamp_s = death->time_ms / 1000;
    holdfast__table__init(table);
    table->entry = fields;
    fields[table->n_entry++] = make_header(maker, "count", count);
    fields[table->n_entry++] = make_header(maker, "reason", make_text(maker, reason_text(death->reason)));
    fields[table->n_entry++] = make_header(maker, "queue", make_text(maker, death->queue));
    fields[table->n_entry++] = make_header(maker, "time", time);
    fields[table->n_entry++] = make_header(maker, "exchange", make_text(maker, death->exchange));
    fields[table->n_entry++] = make_header(maker, "routing-keys", make_keys(maker, death));
    if (expiration != NULL) {
        fields[table->n_entry++] = make_header(maker, "original-expiration", make_text(maker, expiration));
    }
    value->table = table;
    return value;
}

/* How often the history tells of that death. */
static int64_t earlier_of(const Holdfast__Array *history, const Holdfast__Death *death)
{
    for (size_t i = 0; history != NULL && i < history->n_item; i++) {
        if (is_entry_of(history->item[i], death->queue, reason_text(death->reason))) {
            return count_of(history->item[i]);
        }
    }
    return 0;
}

static bool trail_has(const Holdfast__Trail *trail, const Holdfast__Value *entry)
{
    for (size_t i = 0; i < trail->n_death; i++) {
        if (is_entry_of(entry, trail->death[i]->queue, reason_text(trail->death[i]->reason))) {
            return true;
        }
    }
    return false;
}

static Holdfast__Value *make_deaths(struct maker *maker, const Holdfast__Trail *trail,
                                    const Holdfast__MessageHead *head)
{
    const Holdfast__Array *history = history_of(head);
    Holdfast__Value *value = make_array(maker, trail->n_death + (history != NULL ? history->n_item : 0));
    for (size_t i = 0; value != NULL && i < trail->n_death; i++) {
        const Holdfast__Death *death = trail->death[i];
        value->array->item[value->array->n_item++] = make_death(maker, trail, death, earlier_of(history, death), head);
    }
    for (size_t i = 0; value != NULL && history != NULL && i < history->n_item; i++) {
        if (!trail_has(trail, history->item[i])) {
            value->array->item[value->array->n_item++] = history->item[i];
        }
    }
    return value;
}

/* ---- All of them ---- */

bool amqp_death_replaces(const Holdfast__MessageHead *head, const char *name)
{
    return strcmp(name, "x-death") == 0 || (strncmp(name, "x-first-death-", 14) == 0 && history_of(head) == NULL);
}

int amqp_death_headers(const Holdfast__Trail *trail, const Holdfast__MessageHead *head, struct arena *arena,
                       Holdfast__Header *ret_headers[AMQP_DEATH_HEADERS_MAX], size_t *ret_len)
{
    struct maker maker = {.arena = arena};
    size_t len = 0;
    ret_headers[len++] = make_header(&maker, "x-death", make_deaths(&maker, trail, head));
    if (history_of(head) == NULL) {
        ret_headers[len++] = make_header(&maker, "x-first-death-exchange", make_text(&maker, trail->first_exchange));
        ret_headers[len++] = make_header(&maker, "x-first-death-queue", make_text(&maker, trail->first_queue));
        ret_headers[len++] = make_header(&maker, "x-first-death-reason", make_text(&maker, trail->first_reason));
    }
    *ret_len = len;
    return maker.failed ? ERR_NOMEM : 0;
}
