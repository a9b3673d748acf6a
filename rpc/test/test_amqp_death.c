/* x-death and its like. */

#include "rpc/amqp/amqp_death.h"

#include <criterion/criterion.h>
#include <string.h>

#include "rpc/amqp/amqp_table.h"

static struct arena arena;
static Holdfast__MessageHead head;
static Holdfast__Trail trail;
static Holdfast__Death deaths[3];
static Holdfast__Death *pointers[3];
static char *keys[] = {(char *)(uintptr_t) "key", (char *)(uintptr_t) "also"};

static Holdfast__Header *made[AMQP_DEATH_HEADERS_MAX];
static struct amqp_headers headers;

static void add_death(const char *queue, Holdfast__Death__Reason reason, uint64_t count, uint64_t time_ms)
{
    Holdfast__Death *death = &deaths[trail.n_death];
    holdfast__death__init(death);
    death->queue = (char *)(uintptr_t)queue;
    death->reason = reason;
    death->count = count;
    death->time_ms = time_ms;
    death->exchange = (char *)(uintptr_t) "x";
    death->routing_key = keys;
    death->n_routing_key = 2;
    pointers[trail.n_death++] = death;
    trail.death = pointers;
}

/* It has died of age in "last", and of being rejected, twice, in "first". */
static void setup(void)
{
    arena_init(&arena, 1 << 20);
    holdfast__message_head__init(&head);
    holdfast__trail__init(&trail);
    add_death("last", HOLDFAST__DEATH__REASON__EXPIRED, 1, 7999);
    add_death("first", HOLDFAST__DEATH__REASON__REJECTED, 2, 3000);
    trail.first_queue = (char *)(uintptr_t) "first";
    trail.first_reason = (char *)(uintptr_t) "rejected";
    trail.first_exchange = (char *)(uintptr_t) "x1";
}

static void teardown(void)
{
    arena_done(&arena);
}

TestSuite(amqp_death, .init = setup, .fini = teardown);

static void make(void)
{
    headers.entries = made;
    cr_assert_eq(amqp_death_headers(&trail, &head, &arena, made, &headers.len), 0);
}

static bool is_text(const Holdfast__Value *value, const char *text)
{
    return value != NULL && value->kind_case == HOLDFAST__VALUE__KIND_STRING && value->string.len == strlen(text) &&
           memcmp(value->string.data, text, value->string.len) == 0;
}

static const Holdfast__Array *x_death(void)
{
    const Holdfast__Value *value = amqp_headers_find(&headers, "x-death");
    cr_assert(value != NULL && value->kind_case == HOLDFAST__VALUE__KIND_ARRAY);
    return value->array;
}

static const Holdfast__Value *field(size_t i, const char *name)
{
    const Holdfast__Array *array = x_death();
    cr_assert_lt(i, array->n_item);
    cr_assert_eq(array->item[i]->kind_case, HOLDFAST__VALUE__KIND_TABLE);
    const Holdfast__Table *table = array->item[i]->table;
    const struct amqp_headers fields = {.entries = table->entry, .len = table->n_entry};
    return amqp_headers_find(&fields, name);
}

static void expect_count(size_t i, int64_t count)
{
    const Holdfast__Value *value = field(i, "count");
    cr_assert(value != NULL && value->kind_case == HOLDFAST__VALUE__KIND_INT64);
    cr_assert_eq(value->int64, count);
}

Test(amqp_death, fields)
{
    make();
    cr_assert_eq(headers.len, 4u);
    cr_assert_eq(x_death()->n_item, 2u);
    expect_count(0, 1);
    cr_assert(is_text(field(0, "reason"), "expired"));
    cr_assert(is_text(field(0, "queue"), "last"));
    cr_assert(is_text(field(0, "exchange"), "x"));
    cr_assert_eq(field(0, "time")->kind_case, HOLDFAST__VALUE__KIND_TIMESTAMP_S);
    cr_assert_eq(field(0, "time")->timestamp_s, 7u);
    const Holdfast__Value *routing_keys = field(0, "routing-keys");
    cr_assert_eq(routing_keys->kind_case, HOLDFAST__VALUE__KIND_ARRAY);
    cr_assert_eq(routing_keys->array->n_item, 2u);
    cr_assert(is_text(routing_keys->array->item[0], "key"));
    cr_assert(is_text(routing_keys->array->item[1], "also"));
    cr_assert_null(field(0, "original-expiration"));
    expect_count(1, 2);
    cr_assert(is_text(field(1, "reason"), "rejected"));
    cr_assert(is_text(amqp_headers_find(&headers, "x-first-death-queue"), "first"));
    cr_assert(is_text(amqp_headers_find(&headers, "x-first-death-reason"), "rejected"));
    cr_assert(is_text(amqp_headers_find(&headers, "x-first-death-exchange"), "x1"));
}

Test(amqp_death, reasons)
{
    const struct {
        Holdfast__Death__Reason reason;
        const char *text;
    } reasons[] = {{HOLDFAST__DEATH__REASON__REJECTED, "rejected"},
                   {HOLDFAST__DEATH__REASON__EXPIRED, "expired"},
                   {HOLDFAST__DEATH__REASON__MAXLEN, "maxlen"},
                   {HOLDFAST__DEATH__REASON__DELIVERY_LIMIT, "delivery_limit"}};
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        deaths[0].reason = reasons[i].reason;
        make();
        cr_assert(is_text(field(0, "reason"), reasons[i].text));
    }
}

/* RabbitMQ takes it away with the first death, and says what it was. */
Test(amqp_death, expiration)
{
    head.expiration = (char *)(uintptr_t) "60000";
    make();
    cr_assert_null(field(0, "original-expiration"));
    cr_assert(is_text(field(1, "original-expiration"), "60000"));
    head.expiration = (char *)(uintptr_t) "";
    deaths[0].has_expiration = true; /* That came by another protocol. */
    deaths[0].expiration_ms = 18446744073709551615ull;
    make();
    cr_assert(is_text(field(0, "original-expiration"), "18446744073709551615"));
    cr_assert_null(field(1, "original-expiration"));
}

/* ---- With the history that its publisher has sent ---- */

static Holdfast__Value texts[8];
static Holdfast__Header entries[8];
static Holdfast__Header *entry_pointers[2][4];
static Holdfast__Table tables[2];
static Holdfast__Value items[2];
static Holdfast__Value *item_pointers[2] = {&items[0], &items[1]};
static Holdfast__Array array;
static Holdfast__Value history;
static Holdfast__Header header;
static Holdfast__Header *header_pointers[] = {&header};

static void set_field(unsigned i, unsigned j, const char *name, const char *text, int64_t number)
{
    Holdfast__Value *value = &texts[i * 4 + j];
    Holdfast__Header *entry = &entries[i * 4 + j];
    holdfast__value__init(value);
    holdfast__header__init(entry);
    entry->name = (char *)(uintptr_t)name;
    entry->value = value;
    value->kind_case = text != NULL ? HOLDFAST__VALUE__KIND_STRING : HOLDFAST__VALUE__KIND_INT64;
    if (text != NULL) {
        value->string = (ProtobufCBinaryData){.len = strlen(text), .data = (uint8_t *)(uintptr_t)text};
    } else {
        value->int64 = number;
    }
    entry_pointers[i][j] = entry;
}

static void set_history(unsigned i, const char *queue, const char *reason, int64_t count)
{
    set_field(i, 0, "count", NULL, count);
    set_field(i, 1, "queue", queue, 0);
    set_field(i, 2, "reason", reason, 0);
    holdfast__table__init(&tables[i]);
    tables[i].entry = entry_pointers[i];
    tables[i].n_entry = 3;
    holdfast__value__init(&items[i]);
    items[i].kind_case = HOLDFAST__VALUE__KIND_TABLE;
    items[i].table = &tables[i];
    holdfast__array__init(&array);
    array.item = item_pointers;
    array.n_item = i + 1;
    holdfast__value__init(&history);
    history.kind_case = HOLDFAST__VALUE__KIND_ARRAY;
    history.array = &array;
    holdfast__header__init(&header);
    header.name = (char *)(uintptr_t) "x-death";
    header.value = &history;
    head.header = header_pointers;
    head.n_header = 1;
}

/* Who tries again by publishing a dead letter anew finds that counted on. */
Test(amqp_death, a_history_goes_on)
{
    set_history(0, "first", "rejected", 5);
    set_history(1, "older", "expired", 9);
    cr_assert_not(amqp_death_replaces(&head, "x-first-death-queue"));
    cr_assert(amqp_death_replaces(&head, "x-death"));
    make();
    cr_assert_eq(headers.len, 1u);
    cr_assert_null(amqp_headers_find(&headers, "x-first-death-queue"), "the publisher's own stays");
    cr_assert_eq(x_death()->n_item, 3u);
    expect_count(0, 1);
    expect_count(1, 7);
    expect_count(2, 9);
    cr_assert(is_text(field(2, "queue"), "older"));
}

/* What is called so, and is none. */
Test(amqp_death, no_history)
{
    set_history(0, "first", "rejected", 5);
    history.kind_case = HOLDFAST__VALUE__KIND_BOOLEAN;
    cr_assert(amqp_death_replaces(&head, "x-first-death-queue"));
    cr_assert_not(amqp_death_replaces(&head, "x-other"));
    make();
    cr_assert_eq(x_death()->n_item, 2u);
    expect_count(1, 2);
    history.kind_case = HOLDFAST__VALUE__KIND_ARRAY;
    items[0].kind_case = HOLDFAST__VALUE__KIND_BOOLEAN; /* An entry that is no table stays where it is. */
    make();
    cr_assert_eq(x_death()->n_item, 3u);
    expect_count(1, 2);
}

Test(amqp_death, out_of_memory)
{
    size_t len;
    struct arena small;
    arena_init(&small, 600);
    cr_assert_eq(amqp_death_headers(&trail, &head, &small, made, &len), ERR_NOMEM);
    arena_done(&small);
}
