/* Random logs of version 2: publishes of all kinds, transactions, producers. */

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "log_maker.h"

#define BODY_LARGE 20000u

static const char *const producers[MAKER_PRODUCERS] = {"x", "y", "z"};

/* What a publish points to. */
struct messages {
    uint32_t lens[MAKER_MESSAGES_MAX];
    uint32_t heads[MAKER_MESSAGES_MAX];
    uint64_t hashes[MAKER_MESSAGES_MAX];
    Holdfast__Prepare prepare;
    char id[16];
};

static void append(struct bytes *bytes, const void *data, size_t len)
{
    if (bytes_append(bytes, data, len) != 0) {
        abort();
    }
}

static void set_times(struct log_maker *maker, Holdfast__MessageHead *head)
{
    head->has_ttl = maker_may(maker, USES_TTL, 3);
    head->ttl_ms = maker_below(maker, 6) == 0 ? 0 : maker_time(maker);
    if (maker_may(maker, USES_DELAYS, 4)) {
        head->delay_ms = maker_below(maker, 2) == 0 ? maker_time(maker) : 0;
        head->deliver_at_ms = head->delay_ms == 0 ? maker->time_ms + maker_below(maker, 300) : 0;
    }
}

/* Returns its length. */
static uint32_t add_head(struct log_maker *maker, struct bytes *bodies)
{
    static const char *const groups[] = {"", "red", "blue", "green"};
    static const char *const ids[] = {"", "one", "two", "three"};
    uint8_t packed[1024];
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    char *also[] = {maker_key(maker), maker_key(maker)};
    head.exchange =
        maker_may(maker, USES_EXCHANGES, 1) && maker_below(maker, 3) != 0 ? maker_exchange(maker) : maker_text("");
    head.routing_key = head.exchange[0] == '\0' ? maker_queue(maker) : maker_key(maker);
    head.n_also_key = maker_may(maker, USES_EXCHANGES, 3) ? maker_below(maker, 3) : 0;
    head.also_key = also;
    head.n_hidden_key = maker_may(maker, USES_EXCHANGES, 6);
    head.hidden_key = also;
    head.priority = maker_may(maker, USES_PRIORITIES, 1) ? (uint32_t)maker_below(maker, 6) * 51 : 0;
    head.group = maker_text((maker->uses >> USES_GROUPS & 1) != 0 ? MAKER_PICK(maker, groups) : "");
    head.message_id = maker_text((maker->uses >> USES_IDS & 1) != 0 ? MAKER_PICK(maker, ids) : "");
    head.mandatory = maker_below(maker, 4) == 0;
    head.n_header = maker_headers(maker, 2, &head.header);
    head.reply_to = maker_text(maker_below(maker, 4) == 0 ? "r" : "");
    set_times(maker, &head);
    size_t len = holdfast__message_head__pack(&head, packed);
    append(bodies, packed, len);
    return (uint32_t)len;
}

static void add_message(struct log_maker *maker, struct messages *messages, size_t nth, bool head, struct bytes *bodies)
{
    size_t from = bodies->len;
    messages->heads[nth] = head ? add_head(maker, bodies) : 0;
    messages->lens[nth] = (uint32_t)maker_below(maker, 12);
    messages->lens[nth] += maker_may(maker, USES_LARGE, 10) ? BODY_LARGE : 0;
    uint8_t byte = (uint8_t)maker_below(maker, 256);
    for (uint32_t i = 0; i < messages->lens[nth]; i++) {
        append(bodies, &byte, 1);
    }
    messages->hashes[nth] =
        bodies->len > from ? XXH3_64bits(bodies->data + from, bodies->len - from) : XXH3_64bits("", 0);
    messages->hashes[nth] += maker_may(maker, USES_ODDITIES, 200);
}

/* The producer goes on where it was, or begins a little earlier or later. */
static void set_producer(struct log_maker *maker, Holdfast__Publish *publish)
{
    uint64_t at = maker_below(maker, MAKER_PRODUCERS);
    uint64_t back = maker_below(maker, 4) == 0 ? maker_below(maker, 6) : 0;
    if (!maker_may(maker, USES_PRODUCERS, 1) || maker_below(maker, 2) == 0) {
        return;
    }
    publish->producer = maker_text(producers[at]);
    publish->first_sequence = maker->sequences[at] + 1 > back ? maker->sequences[at] + 1 - back : 1;
    publish->first_sequence += maker_below(maker, 10) == 0 ? maker_below(maker, 3) : 0;
    publish->producer_epoch = maker_below(maker, 3) == 0 ? maker->epochs[at] : 0;
    publish->no_gaps = maker_below(maker, 4) == 0;
    maker->sequences[at] = publish->first_sequence + publish->n_body_len - 1;
}

static void set_prepare(struct log_maker *maker, struct messages *messages, Holdfast__Publish *publish)
{
    messages->prepare = (Holdfast__Prepare)HOLDFAST__PREPARE__INIT;
    maker->prepared += maker_below(maker, 4) != 0;
    messages->id[0] = 'p';
    messages->id[1] = (char)('0' + maker->prepared / 10 % 10);
    messages->id[2] = (char)('0' + maker->prepared % 10);
    messages->id[3] = '\0';
    messages->prepare.id = messages->id;
    messages->prepare.group = maker_text(producers[maker_below(maker, MAKER_PRODUCERS)]);
    messages->prepare.ask_after_ms = maker_below(maker, 2) == 0 ? maker_time(maker) : 0;
    messages->prepare.deadline_ms = maker_below(maker, 2) == 0 ? maker_time(maker) : 0;
    messages->prepare.commit_at_deadline = maker_below(maker, 2) == 0;
    publish->prepare = &messages->prepare;
}

static void set_publish(struct log_maker *maker, struct messages *messages, Holdfast__Publish *publish,
                        struct bytes *bodies)
{
    size_t len = 1 + maker_below(maker, MAKER_MESSAGES_MAX);
    bool heads = maker_below(maker, 4) != 0;
    for (size_t i = 0; i < len; i++) {
        add_message(maker, messages, i, heads, bodies);
    }
    publish->queue = heads && maker_below(maker, 2) == 0 ? maker_text("") : maker_queue(maker);
    publish->n_body_len = publish->n_body_hash = len;
    publish->n_head_len = heads ? len : 0;
    publish->body_len = messages->lens;
    publish->body_hash = messages->hashes;
    publish->head_len = messages->heads;
    set_producer(maker, publish);
}

void maker_add_publish(struct log_maker *maker, const struct entry_command *from)
{
    struct messages messages;
    struct bytes bodies = {0};
    Holdfast__Publish publish = HOLDFAST__PUBLISH__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
    command.publish = &publish;
    set_publish(maker, &messages, &publish, &bodies);
    publish.each = maker_below(maker, 5) == 0;
    if (maker_may(maker, USES_PREPARE, 4)) {
        set_prepare(maker, &messages, &publish);
    }
    maker_add(maker, from, &command, (struct slice){.data = bodies.data, .len = bodies.len});
    bytes_done(&bodies);
}

void maker_add_transact(struct log_maker *maker, const struct entry_command *from,
                        const struct log_maker_client *client)
{
    struct messages messages[2];
    uint64_t firsts[2][3];
    uint64_t lasts[2][3];
    struct bytes bodies = {0};
    Holdfast__Publish publishes[2] = {HOLDFAST__PUBLISH__INIT, HOLDFAST__PUBLISH__INIT};
    Holdfast__Settle settles[2] = {HOLDFAST__SETTLE__INIT, HOLDFAST__SETTLE__INIT};
    Holdfast__Publish *publish_list[2] = {&publishes[0], &publishes[1]};
    Holdfast__Settle *settle_list[2] = {&settles[0], &settles[1]};
    Holdfast__Transact transact = HOLDFAST__TRANSACT__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_TRANSACT;
    command.transact = &transact;
    transact.publish = publish_list;
    transact.settle = settle_list;
    transact.n_publish = maker_below(maker, 3);
    transact.n_settle = maker_below(maker, 3);
    for (size_t i = 0; i < transact.n_publish; i++) {
        set_publish(maker, &messages[i], &publishes[i], &bodies);
    }
    for (size_t i = 0; i < transact.n_settle; i++) {
        maker_set_settle(maker, client, &settles[i], firsts[i], lasts[i]);
    }
    maker_add(maker, from, &command, (struct slice){.data = bodies.data, .len = bodies.len});
    bytes_done(&bodies);
}

void maker_add_producer(struct log_maker *maker, const struct entry_command *from)
{
    char id[4] = {'p', '0', '0', '\0'};
    Holdfast__OpenProducer open = HOLDFAST__OPEN_PRODUCER__INIT;
    Holdfast__ResolvePrepared resolve = HOLDFAST__RESOLVE_PREPARED__INIT;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    if (maker_below(maker, 3) == 0) {
        uint64_t at = maker_below(maker, MAKER_PRODUCERS);
        command.kind_case = HOLDFAST__COMMAND__KIND_OPEN_PRODUCER;
        command.open_producer = &open;
        open.producer = maker_text(producers[at]);
        open.keep_epoch = maker_below(maker, 3) == 0;
        maker->epochs[at] += open.keep_epoch ? 0 : 1;
    } else {
        uint64_t back = maker_below(maker, 4);
        uint64_t nth = maker->prepared > back ? maker->prepared - back : 0;
        command.kind_case = HOLDFAST__COMMAND__KIND_RESOLVE_PREPARED;
        command.resolve_prepared = &resolve;
        id[1] = (char)('0' + nth / 10 % 10);
        id[2] = (char)('0' + nth % 10);
        resolve.id = id;
        resolve.commit = maker_below(maker, 3) != 0;
    }
    maker_add(maker, from, &command, (struct slice){0});
}
