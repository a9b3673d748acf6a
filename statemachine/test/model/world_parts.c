/* What commands are made of: names, options, heads. */

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "world.h"

char *text_of(const char *text)
{
    return (char *)(uintptr_t)text;
}

const char *queue_name(uint32_t queue)
{
    static const char *const names[] = {"a", "b", "c", "d", ""};
    return names[queue];
}

const char *exchange_name(uint32_t exchange)
{
    static const char *const names[] = {"e",          "f",           "g",           "amq.topic", "amq.direct",
                                        "amq.fanout", "amq.headers", "amq.nothing", "",          "not there"};
    return names[exchange];
}

/* Where clients live; the last one is not there. */
const char *host_name(uint32_t host)
{
    static const char *const names[] = {"", "v", "w", "/", "none"};
    return names[host];
}

/* Routing keys; those from 6 on only bind. */
static const char *const keys[] = {"a", "b", "", "x.y", "x.z.y", "c", "k", "x.*", "#", "#.y", "*.#.y"};

static void set_limits(Holdfast__QueueOptions *options, const struct step *step)
{
    static const uint64_t lengths[] = {0, 1, 3, 8, 0};
    static const uint64_t bytes[] = {0, 6, 40, 120};
    uint32_t length = step_arg(step, "length");
    options->has_max_length = length != 0;
    options->max_length = lengths[length];
    options->has_max_bytes = step_arg(step, "bytes") != 0;
    options->max_bytes = bytes[step_arg(step, "bytes")];
    options->overflow = (Holdfast__QueueOptions__Overflow)step_arg(step, "overflow");
}

static void set_times(Holdfast__QueueOptions *options, const struct step *step)
{
    static const uint64_t expiries[] = {0, 300, 5000};
    static const uint64_t ttls[] = {0, 60, 1000, 20000, 0};
    static const uint64_t delays[] = {0, 30, 400, 3000};
    static const uint64_t longest[] = {0, 100, 5000};
    static const uint64_t locks[] = {0, 20, 500, 5000};
    static const uint64_t windows[] = {0, 200, 10000};
    static const uint64_t kept[] = {0, 4000, 150};
    options->expires_ms = expiries[step_arg(step, "expires")];
    options->has_ttl = step_arg(step, "ttl") != 0;
    options->ttl_ms = ttls[step_arg(step, "ttl")];
    options->redelivery_delay_ms = delays[step_arg(step, "delay")];
    /* The plainest delay is one that is doubled. */
    bool doubled = step_arg(step, "delay") == 1 && step_arg(step, "delay_max") == 0;
    options->redelivery_delay_max_ms = doubled ? 5000 : longest[step_arg(step, "delay_max")];
    options->lock_ms = locks[step_arg(step, "lock")];
    options->id_window_ms = windows[step_arg(step, "ids")];
    options->keep_settled_ms = kept[step_arg(step, "keep")];
    options->keep_life_ms = kept[step_arg(step, "life")];
}

/* To the default exchange, to others, with a key of its own or without. */
static void set_dead_letters(Holdfast__QueueOptions *options, uint32_t dead)
{
    static const char *const exchanges[] = {"", "", "", "e", "f", "amq.fanout", "f"};
    static const char *const letter_keys[] = {"", "d", "b", "", "x.y", "", ""};
    options->has_dead_letter = dead != 0;
    options->has_dead_letter_key = dead == 6; /* An empty one; else it is there when it is not empty. */
    options->dead_letter_exchange = text_of(exchanges[dead]);
    options->dead_letter_key = text_of(letter_keys[dead]);
}

void set_options(Holdfast__QueueOptions *options, const struct step *step)
{
    static const uint32_t priorities[] = {0, 1, 3, 255};
    options->exclusive = step_arg(step, "exclusive") != 0;
    options->auto_delete = step_arg(step, "auto_delete") != 0;
    options->max_priority = priorities[step_arg(step, "priorities")];
    options->groups = step_arg(step, "groups") != 0;
    options->single_active = step_arg(step, "single") != 0;
    options->max_deliveries = step_arg(step, "deliveries");
    options->paused = step_arg(step, "paused") != 0;
    options->protected_ = step_arg(step, "protected") != 0;
    set_limits(options, step);
    set_times(options, step);
    set_dead_letters(options, step_arg(step, "dead"));
    uint32_t wrong = step_arg(step, "wrong");
    options->max_priority = wrong == 1 ? 256 : options->max_priority;
    options->lock_ms = wrong == 2 ? UINT64_MAX : options->lock_ms;
    options->max_deliveries = wrong == 3 ? UINT64_C(1) << 40 : options->max_deliveries;
}

static const char *const head_args[] = {"to",    "key",   "also", "hidden",    "priority", "own_ttl",
                                        "later", "group", "id",   "mandatory", "header"};

static bool has_head(const struct step *step)
{
    for (size_t i = 0; i < sizeof head_args / sizeof head_args[0]; i++) {
        if (step_arg(step, head_args[i]) != 0) {
            return true;
        }
    }
    return false;
}

static Holdfast__Header *header_new(const char *name, uint32_t value)
{
    Holdfast__Header *header = calloc(1, sizeof *header);
    Holdfast__Value *content = calloc(1, sizeof *content);
    model_require(header != NULL && content != NULL, "memory");
    *header = (Holdfast__Header)HOLDFAST__HEADER__INIT;
    *content = (Holdfast__Value)HOLDFAST__VALUE__INIT;
    header->name = text_of(name);
    header->value = content;
    if (value == 0) {
        content->kind_case = HOLDFAST__VALUE__KIND_VOID;
        content->void_ = true;
    } else if (value == 1) {
        content->kind_case = HOLDFAST__VALUE__KIND_INT32;
        content->int32 = 7;
    } else if (value == 2) {
        content->kind_case = HOLDFAST__VALUE__KIND_UINT64;
        content->uint64 = 7;
    } else {
        static const char *const texts[] = {"text", "all", "any", "all-with-x", "any-with-x"};
        content->kind_case = HOLDFAST__VALUE__KIND_STRING;
        content->string.data = (uint8_t *)text_of(texts[value - 3]);
        content->string.len = strlen(texts[value - 3]);
    }
    return header;
}

static void headers_free(Holdfast__Header **headers, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        free(headers[i]->value);
        free(headers[i]);
    }
}

size_t set_arguments(Holdfast__Header ***ret_arguments, uint32_t match)
{
    Holdfast__Header **arguments = calloc(4, sizeof(Holdfast__Header *));
    size_t len = 0;
    model_require(arguments != NULL, "memory");
    if (match > 0) {
        arguments[len++] = header_new("size", match == 5 ? 0 : 1);
        arguments[len++] = header_new(match == 1 || match == 4 ? "x-color" : "color", 3);
        arguments[len++] = header_new("x-match", match <= 4 ? 3 + match : 4);
    }
    *ret_arguments = arguments;
    return len;
}

void arguments_free(Holdfast__Header **arguments, size_t len)
{
    headers_free(arguments, len);
    free(arguments);
}

static size_t set_headers(Holdfast__Header *headers[2], uint32_t header)
{
    size_t len = 0;
    if (header > 0) {
        headers[len++] = header_new("size", header == 2 ? 3 : 2);
    }
    if (header > 2) {
        headers[len++] = header_new("color", 3);
    }
    return len;
}

static void set_head(const struct world *world, const struct step *step, size_t nth, Holdfast__MessageHead *head)
{
    static const uint64_t ttls[] = {0, 0, 100, 1500, 50000};
    static const uint64_t delays[] = {0, 10, 300, 4000, 3, 0};
    static const char *const groups[] = {"", "red", "blue"};
    static const char *const ids[] = {"", "one", "two", "three"};
    uint32_t to = step_arg(step, "to");
    head->exchange = text_of(to == 0 ? "" : exchange_name(to - 1));
    head->routing_key = text_of(keys[step_arg(step, "key")]);
    if (to == 0) {
        head->routing_key = text_of(queue_name(step_arg(step, "queue")));
    }
    head->priority = step_arg(step, "priority");
    head->has_ttl = step_arg(step, "own_ttl") != 0;
    head->ttl_ms = ttls[step_arg(step, "own_ttl")];
    head->delay_ms = delays[step_arg(step, "later")];
    head->deliver_at_ms = step_arg(step, "later") == 5 ? world->time_ms + 150 : 0;
    head->group = text_of(groups[step_arg(step, "group") == 0 ? 0 : 1 + (step_arg(step, "group") + nth) % 2]);
    head->message_id = text_of(ids[step_arg(step, "id") == 0 ? 0 : 1 + (step_arg(step, "id") + nth) % 3]);
    head->mandatory = step_arg(step, "mandatory") != 0;
}

/* Further keys go with it only for the first message. */
static void add_head(const struct world *world, struct parts *parts, const struct step *step, size_t nth)
{
    Holdfast__MessageHead head = HOLDFAST__MESSAGE_HEAD__INIT;
    Holdfast__Header *headers[2];
    char *also = text_of(keys[step_arg(step, "also")]);
    char *hidden = text_of(keys[step_arg(step, "hidden")]);
    set_head(world, step, nth, &head);
    head.n_also_key = nth == 0 && step_arg(step, "also") != 0;
    head.also_key = &also;
    head.n_hidden_key = nth == 0 && step_arg(step, "hidden") != 0;
    head.hidden_key = &hidden;
    head.n_header = set_headers(headers, step_arg(step, "header"));
    head.header = headers;
    uint8_t data[512];
    model_require(holdfast__message_head__get_packed_size(&head) <= sizeof data, "heads are small");
    parts->head_lens[nth] = (uint32_t)holdfast__message_head__pack(&head, data);
    model_require(bytes_append(&parts->bodies, data, parts->head_lens[nth]) == 0, "memory");
    headers_free(headers, head.n_header);
}

void set_messages(struct world *world, const struct step *step, Holdfast__Publish *publish, struct parts *parts)
{
    size_t len = 1 + step_arg(step, "messages");
    bool heads = world->model->version >= 2 && has_head(step);
    for (size_t i = 0; i < len; i++) {
        char body[64];
        size_t from = parts->bodies.len;
        int body_len = snprintf(body, sizeof body, "%llu", (unsigned long long)++world->published);
        parts->lens[i] = (uint32_t)body_len;
        for (uint32_t more = step_arg(step, "size"); more > 0; more--) {
            memset(body + parts->lens[i], '.', 8);
            parts->lens[i] += 8;
        }
        if (heads) {
            add_head(world, parts, step, i);
        }
        model_require(bytes_append(&parts->bodies, body, parts->lens[i]) == 0, "memory");
        parts->hashes[i] = XXH3_64bits(parts->bodies.data + from, parts->bodies.len - from);
    }
    bool by_heads = heads && (step_arg(step, "to") != 0 || step_arg(step, "key") % 2 == 1);
    publish->queue = text_of(by_heads ? "" : queue_name(step_arg(step, "queue")));
    publish->n_body_len = publish->n_body_hash = len;
    publish->n_head_len = heads ? len : 0;
    publish->head_len = parts->head_lens;
    publish->body_len = parts->lens;
    publish->body_hash = parts->hashes;
}
