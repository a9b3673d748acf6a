/* Random logs of version 2: queues, exchanges, virtual hosts and limits. */

#include <string.h>

#include "log_maker.h"

static void set_limits(struct log_maker *maker, Holdfast__QueueOptions *options)
{
    static const uint64_t lengths[] = {0, 1, 3, 8};
    static const uint64_t bytes[] = {0, 6, 40, 200};
    options->has_max_length = maker_may(maker, USES_LENGTH, 2);
    options->max_length = MAKER_PICK(maker, lengths);
    options->has_max_bytes = maker_may(maker, USES_BYTES, 2);
    options->max_bytes = MAKER_PICK(maker, bytes);
    options->overflow = (Holdfast__QueueOptions__Overflow)maker_below(maker, 3);
}

static void set_dead_letters(struct log_maker *maker, Holdfast__QueueOptions *options)
{
    static const char *const keys[] = {"d", "e", "a", "b", "x.y", ""};
    options->has_dead_letter = maker_may(maker, USES_DEAD_LETTERS, 2);
    options->dead_letter_exchange = maker_below(maker, 3) == 0 ? maker_exchange(maker) : maker_text("");
    options->dead_letter_key = maker_text(MAKER_PICK(maker, keys));
    options->has_dead_letter_key = maker_below(maker, 2) == 0;
    options->max_deliveries = maker_may(maker, USES_MAX_DELIVERIES, 2) ? 1 + maker_below(maker, 3) : 0;
}

/* What can be changed. */
static void set_changeable(struct log_maker *maker, Holdfast__QueueOptions *options)
{
    set_limits(maker, options);
    set_dead_letters(maker, options);
    options->expires_ms = maker_may(maker, USES_QUEUE_EXPIRY, 3) ? maker_time(maker) : 0;
    options->has_ttl = maker_may(maker, USES_TTL, 2);
    options->ttl_ms = maker_below(maker, 6) == 0 ? 0 : maker_time(maker);
    options->redelivery_delay_ms = maker_may(maker, USES_DELAYS, 2) ? maker_time(maker) : 0;
    options->redelivery_delay_max_ms = maker_below(maker, 2) == 0 ? maker_time(maker) : 0;
    options->lock_ms = maker_may(maker, USES_LOCKS, 2) ? maker_time(maker) : 0;
    options->keep_settled_ms = maker_may(maker, USES_KEPT, 2) ? maker_time(maker) : 0;
    options->keep_life_ms = maker_may(maker, USES_LIFE, 2) ? maker_time(maker) : 0;
    options->id_window_ms = maker_may(maker, USES_IDS, 2) ? maker_time(maker) : 0;
    options->paused = maker_may(maker, USES_PAUSES, 4);
    options->protected_ = maker_may(maker, USES_PAUSES, 8);
    options->note = maker_text(maker_below(maker, 8) == 0 ? "a note" : "");
}

/* Of a queue always the same, so that most declarations of it agree. */
static void set_fixed(struct log_maker *maker, const char *queue, Holdfast__QueueOptions *options)
{
    unsigned at = (unsigned char)queue[0];
    options->max_priority = (maker->uses >> USES_PRIORITIES & 1) != 0 && at % 2 == 1 ? (at % 4 == 1 ? 3 : 255) : 0;
    options->groups = (maker->uses >> USES_GROUPS & 1) != 0 && at % 3 != 0;
    options->single_active = (maker->uses >> USES_SINGLE_ACTIVE & 1) != 0 && at % 2 == 0;
    options->exclusive = (maker->uses >> USES_EXCLUSIVE & 1) != 0 && at % 5 == 1;
    options->auto_delete = (maker->uses >> USES_AUTO_DELETE & 1) != 0 && at % 3 == 1;
}

static void add_declare(struct log_maker *maker, const struct entry_command *from)
{
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    Holdfast__DeclareQueue declare = HOLDFAST__DECLARE_QUEUE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_QUEUE;
    command.declare_queue = &declare;
    declare.queue = maker_queue(maker);
    declare.passive = maker_below(maker, 10) == 0;
    if (maker_below(maker, 8) != 0) {
        set_fixed(maker, declare.queue, &options);
        set_changeable(maker, &options);
        options.max_priority += maker_may(maker, USES_ODDITIES, 20) ? 300 : 0;
        declare.options = &options;
    }
    maker_add(maker, from, &command, (struct slice){0});
}

static void add_change(struct log_maker *maker, const struct entry_command *from)
{
    static const uint32_t fields[] = {10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                      22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 3,  9};
    uint32_t chosen[3];
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    Holdfast__ChangeQueue change = HOLDFAST__CHANGE_QUEUE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_CHANGE_QUEUE;
    command.change_queue = &change;
    change.queue = maker_queue(maker);
    set_fixed(maker, change.queue, &options);
    set_changeable(maker, &options);
    change.options = &options;
    change.n_field = maker_below(maker, 3) == 0 ? 0 : 1 + maker_below(maker, 3);
    change.field = chosen;
    for (size_t i = 0; i < change.n_field; i++) {
        uint64_t odd = maker_may(maker, USES_ODDITIES, 10) ? 0 : 2;
        chosen[i] = fields[maker_below(maker, sizeof fields / sizeof *fields - odd)];
    }
    maker_add(maker, from, &command, (struct slice){0});
}

void maker_add_queue(struct log_maker *maker, const struct entry_command *from)
{
    Holdfast__DeleteQueue delete = HOLDFAST__DELETE_QUEUE__INIT;
    Holdfast__PurgeQueue purge = HOLDFAST__PURGE_QUEUE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    uint64_t kind = maker_below(maker, 24);
    if (kind < 14) {
        add_declare(maker, from);
        return;
    }
    if (kind < 18 && (maker->uses >> USES_CHANGES & 1) != 0) {
        add_change(maker, from);
        return;
    }
    if (kind < 21) {
        command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_QUEUE;
        command.delete_queue = &delete;
        delete.queue = maker_queue(maker);
        delete.if_empty = maker_below(maker, 3) == 0;
        delete.if_unused = maker_below(maker, 3) == 0;
    } else {
        command.kind_case = HOLDFAST__COMMAND__KIND_PURGE_QUEUE;
        command.purge_queue = &purge;
        purge.queue = maker_queue(maker);
    }
    maker_add(maker, from, &command, (struct slice){0});
}

/* ---- Exchanges ---- */

/* Of an exchange mostly the same, as with queues. */
static void add_declare_exchange(struct log_maker *maker, const struct entry_command *from)
{
    Holdfast__DeclareExchange declare = HOLDFAST__DECLARE_EXCHANGE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_EXCHANGE;
    command.declare_exchange = &declare;
    declare.exchange = maker_exchange(maker);
    unsigned at = (unsigned char)declare.exchange[0];
    declare.type = (Holdfast__DeclareExchange__Type)(at % 4);
    declare.auto_delete = at % 3 == 0 && (maker->uses >> USES_AUTO_DELETE & 1) != 0;
    declare.internal = maker_may(maker, USES_ODDITIES, 6);
    declare.has_alternate = maker_below(maker, 4) == 0;
    declare.alternate = declare.has_alternate ? maker_exchange(maker) : maker_text("");
    declare.protected_ = maker_may(maker, USES_PAUSES, 8);
    declare.passive = maker_below(maker, 8) == 0;
    declare.note = maker_text(maker_below(maker, 8) == 0 ? "a note" : "");
    maker_add(maker, from, &command, (struct slice){0});
}

static void set_value(struct log_maker *maker, Holdfast__Value *value)
{
    static const char *const texts[] = {"all", "any", "all-with-x", "text"};
    uint64_t number = maker_below(maker, 3);
    switch (maker_below(maker, 6)) {
    case 0:
        value->kind_case = HOLDFAST__VALUE__KIND_INT32;
        value->int32 = (int64_t)number - 1;
        break;
    case 1:
        value->kind_case = HOLDFAST__VALUE__KIND_UINT64;
        value->uint64 = number;
        break;
    case 2:
        value->kind_case = HOLDFAST__VALUE__KIND_FLOAT64;
        value->float64 = (double)number / 2;
        break;
    case 3:
        value->kind_case = HOLDFAST__VALUE__KIND_BOOLEAN;
        value->boolean = number == 0;
        break;
    case 4: value->kind_case = HOLDFAST__VALUE__KIND_VOID; break;
    default:
        value->kind_case = HOLDFAST__VALUE__KIND_STRING;
        value->string.data = (uint8_t *)maker_text(texts[number]);
        value->string.len = strlen(texts[number]);
    }
}

size_t maker_headers(struct log_maker *maker, size_t max, Holdfast__Header ***ret_headers)
{
    static const char *const names[] = {"h", "g", "x-match"};
    static Holdfast__Header headers[3];
    static Holdfast__Value values[3];
    static Holdfast__Header *list[3];
    size_t len = maker_below(maker, max + 1);
    for (size_t i = 0; i < len; i++) {
        headers[i] = (Holdfast__Header)HOLDFAST__HEADER__INIT;
        values[i] = (Holdfast__Value)HOLDFAST__VALUE__INIT;
        headers[i].name = maker_text(names[i]);
        headers[i].value = &values[i];
        set_value(maker, &values[i]);
        list[i] = &headers[i];
    }
    if (len == 3) {
        values[2] = (Holdfast__Value)HOLDFAST__VALUE__INIT;
        values[2].kind_case = HOLDFAST__VALUE__KIND_STRING;
        values[2].string = (ProtobufCBinaryData){.len = 3, .data = (uint8_t *)maker_text("any")};
    }
    *ret_headers = list;
    return len;
}

static void add_binding(struct log_maker *maker, const struct entry_command *from)
{
    Holdfast__Bind bind = HOLDFAST__BIND__INIT;
    Holdfast__Unbind unbind = HOLDFAST__UNBIND__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    bind.source = maker_exchange(maker);
    bind.to_exchange = maker_below(maker, 4) == 0;
    bind.queue = bind.to_exchange ? maker_text("") : maker_queue(maker);
    bind.exchange = bind.to_exchange ? maker_exchange(maker) : maker_text("");
    bind.key = maker_key(maker);
    bind.n_argument = maker_headers(maker, 3, &bind.argument);
    if (maker_below(maker, 4) != 0) {
        command.kind_case = HOLDFAST__COMMAND__KIND_BIND;
        command.bind = &bind;
    } else {
        unbind.source = bind.source;
        unbind.to_exchange = bind.to_exchange;
        unbind.queue = bind.queue;
        unbind.exchange = bind.exchange;
        unbind.key = bind.key;
        unbind.n_argument = bind.n_argument;
        unbind.argument = bind.argument;
        command.kind_case = HOLDFAST__COMMAND__KIND_UNBIND;
        command.unbind = &unbind;
    }
    maker_add(maker, from, &command, (struct slice){0});
}

static void add_change_exchange(struct log_maker *maker, const struct entry_command *from)
{
    Holdfast__ChangeExchange change = HOLDFAST__CHANGE_EXCHANGE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_CHANGE_EXCHANGE;
    command.change_exchange = &change;
    change.exchange = maker_exchange(maker);
    change.has_note = maker_below(maker, 2) == 0;
    change.note = maker_text(maker_below(maker, 2) == 0 ? "another note" : "");
    change.has_protected = maker_below(maker, 2) == 0;
    change.protected_ = maker_may(maker, USES_PAUSES, 2);
    maker_add(maker, from, &command, (struct slice){0});
}

void maker_add_exchange(struct log_maker *maker, const struct entry_command *from)
{
    Holdfast__DeleteExchange delete = HOLDFAST__DELETE_EXCHANGE__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    uint64_t kind = maker_below(maker, 18);
    if (kind < 4) {
        add_declare_exchange(maker, from);
    } else if (kind < 15) {
        add_binding(maker, from);
    } else if (kind < 16) {
        add_change_exchange(maker, from);
    } else {
        command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_EXCHANGE;
        command.delete_exchange = &delete;
        delete.exchange = maker_exchange(maker);
        delete.if_unused = maker_below(maker, 3) == 0;
        delete.if_exists = maker_below(maker, 3) == 0;
        maker_add(maker, from, &command, (struct slice){0});
    }
}

/* ---- Virtual hosts ---- */

static void add_limits(struct log_maker *maker, const struct entry_command *from)
{
    static const uint64_t values[] = {1, 3, 5, 10, 20, 100, 100, UINT64_MAX};
    Holdfast__Limit limits[3];
    Holdfast__Limit *list[3];
    Holdfast__Limits all = HOLDFAST__LIMITS__INIT;
    Holdfast__SetLimits set = HOLDFAST__SET_LIMITS__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_SET_LIMITS;
    command.set_limits = &set;
    bool user = maker_below(maker, 3) == 0;
    set.user = maker_text(user ? "user" : "");
    set.virtual_host = maker_text(user ? "" : maker_below(maker, 2) == 0 ? "/" : "v");
    set.limits = &all;
    all.limit = list;
    all.n_limit = maker_may(maker, USES_LIMITS, 1) ? maker_below(maker, 4) : 0;
    for (size_t i = 0; i < all.n_limit; i++) {
        limits[i] = (Holdfast__Limit)HOLDFAST__LIMIT__INIT;
        limits[i].what = (Holdfast__Limit__What)maker_below(maker, 7);
        limits[i].value = MAKER_PICK(maker, values);
        list[i] = &limits[i];
    }
    maker_add(maker, from, &command, (struct slice){0});
}

void maker_add_host(struct log_maker *maker, const struct entry_command *from)
{
    static const char *const hosts[] = {"v", "w", "/", "new"};
    Holdfast__CreateVirtualHost create = HOLDFAST__CREATE_VIRTUAL_HOST__INIT;
    Holdfast__DeleteVirtualHost delete = HOLDFAST__DELETE_VIRTUAL_HOST__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    uint64_t kind = maker_below(maker, 8);
    if (kind < 3) {
        add_limits(maker, from);
        return;
    }
    if (kind < 7) {
        command.kind_case = HOLDFAST__COMMAND__KIND_CREATE_VIRTUAL_HOST;
        command.create_virtual_host = &create;
        create.virtual_host = maker_text(MAKER_PICK(maker, hosts));
        create.note = maker_text("made");
    } else {
        command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_VIRTUAL_HOST;
        command.delete_virtual_host = &delete;
        delete.virtual_host = maker_text(MAKER_PICK(maker, hosts));
        delete.force = maker_below(maker, 2) == 0;
    }
    maker_add(maker, from, &command, (struct slice){0});
}
