/* The way of messages: each type of exchange, and random graphs of them beside a naive model. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "exchange_fixture.h"
#include "simple_topic.h"
#include "statemachine/state.h"

static struct world w;

static void setup(void)
{
    world_init(&w);
    cr_assert_eq(world_queue(&w, "q0") + world_queue(&w, "q1") + world_queue(&w, "q2"), 0u);
}

static void teardown(void)
{
    world_done(&w);
}

TestSuite(route, .init = setup, .fini = teardown);

static void declare(const char *name, enum exchange_type type, const char *alternate)
{
    Holdfast__DeclareExchange message = HOLDFAST__DECLARE_EXCHANGE__INIT;
    message.exchange = (char *)(uintptr_t)name;
    message.type = (Holdfast__DeclareExchange__Type)type;
    message.has_alternate = alternate != NULL;
    message.alternate = (char *)(uintptr_t)(alternate != NULL ? alternate : "");
    cr_assert_eq(world_declare_as(&w, &message), 0u);
}

static void bind(const char *source, const char *to, const char *key)
{
    cr_assert_eq(world_bind(&w, source, to, key, NULL), 1);
}

Test(route, direct_by_the_whole_key)
{
    declare("x", EXCHANGE_DIRECT, NULL);
    bind("x", "q2", "a.b");
    bind("x", "q0", "a.b");
    bind("x", "q1", "*");
    bind("x", "q1", "");
    cr_assert_str_eq(world_route(&w, "x", "a.b"), "q0 q2 ", "in order of id");
    cr_assert_str_eq(world_route(&w, "x", "*"), "q1 ");
    cr_assert_str_eq(world_route(&w, "x", ""), "q1 ");
    cr_assert_str_eq(world_route(&w, "x", "a"), "");
}

Test(route, fanout_whatever_the_key)
{
    declare("x", EXCHANGE_FANOUT, NULL);
    cr_assert_str_eq(world_route(&w, "x", "a"), "");
    bind("x", "q2", "a");
    bind("x", "q2", "b");
    bind("x", "q1", "");
    cr_assert_str_eq(world_route(&w, "x", "c"), "q1 q2 ");
}

Test(route, topic_by_words)
{
    declare("x", EXCHANGE_TOPIC, NULL);
    bind("x", "q0", "a.*");
    bind("x", "q1", "#.b");
    bind("x", "q1", "a.b");
    bind("x", "q2", "b.#");
    cr_assert_str_eq(world_route(&w, "x", "a.b"), "q0 q1 ");
    cr_assert_str_eq(world_route(&w, "x", "b"), "q1 q2 ");
    cr_assert_str_eq(world_route(&w, "x", "c"), "");
}

Test(route, headers_by_arguments)
{
    struct pairs one = {0}, any = {0}, has = {0}, other = {0};
    pairs_add(&one, "a", value_int(1));
    pairs_add(&any, "x-match", value_string("any"));
    pairs_add(&any, "a", value_int(2));
    pairs_add(&any, "b", value_void());
    pairs_add(&has, "a", value_int8(1));
    pairs_add(&has, "b", value_string("x"));
    pairs_add(&other, "c", value_int(1));
    declare("x", EXCHANGE_HEADERS, "amq.fanout");
    bind("amq.fanout", "q2", "");
    cr_assert_eq(world_bind(&w, "x", "q0", "", &one), 1);
    cr_assert_eq(world_bind(&w, "x", "q1", "", &any), 1);
    cr_assert_str_eq(world_route_headers(&w, "x", &has), "q0 q1 ");
    cr_assert_str_eq(world_route_headers(&w, "x", &one), "q0 ");
    cr_assert_str_eq(world_route_headers(&w, "x", &other), "q2 ");
    cr_assert_str_eq(world_route(&w, "x", "k"), "q2 ", "a message without a head");
}

Test(route, from_exchange_to_exchange)
{
    declare("x", EXCHANGE_DIRECT, NULL);
    declare("y", EXCHANGE_TOPIC, NULL);
    bind("x", ">y", "a.b");
    bind("y", ">x", "#");
    bind("y", "q1", "a.*");
    bind("x", "q1", "a.b");
    cr_assert_str_eq(world_route(&w, "x", "a.b"), "q1 ");
    cr_assert_str_eq(world_route(&w, "x", "a.c"), "");
    cr_assert_str_eq(world_route(&w, "y", "a.c"), "q1 ");
}

Test(route, to_the_alternate_when_nothing_matched)
{
    declare("x", EXCHANGE_DIRECT, "y");
    declare("y", EXCHANGE_FANOUT, "x");
    declare("to_default", EXCHANGE_FANOUT, "");
    declare("to_none", EXCHANGE_FANOUT, "none");
    declare("empty", EXCHANGE_FANOUT, NULL);
    cr_assert_str_eq(world_route(&w, "x", "a"), "", "round and round");
    bind("y", "q1", "");
    bind("x", "q0", "a");
    bind("x", ">empty", "e");
    cr_assert_str_eq(world_route(&w, "x", "a"), "q0 ");
    cr_assert_str_eq(world_route(&w, "x", "b"), "q1 ");
    cr_assert_str_eq(world_route(&w, "x", "e"), "", "something matched");
    cr_assert_str_eq(world_route(&w, "to_default", "q2"), "q2 ");
    cr_assert_str_eq(world_route(&w, "to_none", "q2"), "");
}

Test(route, several_keys)
{
    const char *keys[] = {"a", "b", "none"};
    declare("x", EXCHANGE_DIRECT, "y");
    declare("y", EXCHANGE_FANOUT, NULL);
    bind("y", "q2", "");
    bind("x", "q0", "a");
    bind("x", "q0", "b");
    bind("x", "q1", "b");
    cr_assert_str_eq(world_route_keys(&w, "x", keys, 3), "q0 q1 ", "one of them matched");
    cr_assert_str_eq(world_route_keys(&w, "x", keys + 2, 1), "q2 ");
    const char *names[] = {"q1", "q0", "q1", ""};
    cr_assert_str_eq(world_route_keys(&w, "", names, 4), "q0 q1 ");
    cr_assert_str_eq(world_route_keys(&w, "", names, 0), "");
}

Test(route, not_further_than_so_many_exchanges)
{
    char name[16] = "x0";
    char next[16];
    declare(name, EXCHANGE_FANOUT, NULL);
    for (unsigned i = 1; i <= ROUTE_EXCHANGES_MAX; i++) {
        (void)snprintf(next, sizeof next, ">x%u", i);
        declare(next + 1, EXCHANGE_FANOUT, NULL);
        bind(name, next, "");
        strcpy(name, next + 1);
    }
    (void)snprintf(next, sizeof next, "x%u", ROUTE_EXCHANGES_MAX - 1);
    bind(next, "q1", "");
    bind(name, "q2", "");
    cr_assert_str_eq(world_route(&w, "x0", ""), "q1 ");
    cr_assert(w.route.cut);
    cr_assert_str_eq(world_route(&w, "x1", ""), "q1 q2 ");
    cr_assert_not(w.route.cut);
}

/* ---- Random graphs beside a naive model ---- */

enum { EXCHANGES = 8, QUEUES = 5, BINDINGS = 400, ARGUMENTS = 6 };
static const char *const keys[] = {"a", "b", "a.b", "a.a", "b.a.b", "", "q1", "#", "*.a", "a.#", "#.b", "*"};
enum { KEYS = sizeof keys / sizeof keys[0], PLAIN_KEYS = 7 };

struct model_binding {
    bool there;
    unsigned source;
    bool to_exchange;
    unsigned to;
    unsigned key;
    unsigned arguments; /* 0: none. */
};

static struct model {
    bool there[EXCHANGES];
    enum exchange_type types[EXCHANGES];
    int alternates[EXCHANGES]; /* -1: none. */
    bool queues[QUEUES];
    struct model_binding bindings[BINDINGS];
    size_t bindings_len;
} model;

static uint64_t state = 7;

static unsigned random_below(unsigned n)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)((state >> 33) % n);
}

static void name_of(char name[8], char kind, unsigned nth)
{
    (void)snprintf(name, 8, "%c%u", kind, nth);
}

/* All combinations of two headers, and what they match: "all" of a==1 and b, or "any". */
static void arguments_of(unsigned nth, struct pairs *pairs)
{
    if (nth >= 4) {
        pairs_add(pairs, "x-match", value_string("any"));
    }
    if (nth == 1 || nth == 3 || nth >= 4) {
        pairs_add(pairs, "a", value_int(1));
    }
    if (nth == 2 || nth == 3 || nth == 5) {
        pairs_add(pairs, "b", value_void());
    }
}

static bool model_fits_headers(unsigned arguments, bool has_a, bool has_b)
{
    switch (arguments) {
    case 1: return has_a;
    case 2: return has_b;
    case 3: return has_a && has_b;
    case 4: return has_a;
    case 5: return has_a || has_b;
    default: return true;
    }
}

struct question {
    const char *keys[3];
    size_t keys_len;
    bool has_a;
    bool has_b;
};

static bool model_fits(const struct model_binding *binding, const struct question *question)
{
    enum exchange_type type = model.types[binding->source];
    bool fits = type == EXCHANGE_FANOUT;
    if (type == EXCHANGE_HEADERS) {
        return model_fits_headers(binding->arguments, question->has_a, question->has_b);
    }
    for (size_t i = 0; i < question->keys_len && !fits; i++) {
        fits = type == EXCHANGE_TOPIC ? simple_topic(keys[binding->key], question->keys[i])
                                      : strcmp(keys[binding->key], question->keys[i]) == 0;
    }
    return fits;
}

static void model_route(unsigned from, const struct question *question, bool seen[EXCHANGES], bool reached[QUEUES])
{
    bool matched = false;
    if (seen[from] || !model.there[from]) {
        return;
    }
    seen[from] = true;
    for (size_t i = 0; i < model.bindings_len; i++) {
        const struct model_binding *binding = &model.bindings[i];
        if (!binding->there || binding->source != from || !model_fits(binding, question)) {
            continue;
        }
        matched = true;
        if (binding->to_exchange) {
            model_route(binding->to, question, seen, reached);
        } else {
            reached[binding->to] = true;
        }
    }
    if (!matched && model.alternates[from] >= 0) {
        model_route((unsigned)model.alternates[from], question, seen, reached);
    }
}

static void declare_one(unsigned nth)
{
    char name[8];
    char alternate[8];
    unsigned other = random_below(2 * EXCHANGES);
    name_of(name, 'x', nth);
    name_of(alternate, 'x', other);
    if (model.there[nth]) {
        return;
    }
    model.there[nth] = true;
    model.types[nth] = (enum exchange_type)random_below(4);
    model.alternates[nth] = other < EXCHANGES ? (int)other : -1;
    declare(name, model.types[nth], other < EXCHANGES ? alternate : NULL);
}

static void delete_exchange(unsigned nth)
{
    char name[8];
    name_of(name, 'x', nth);
    cr_assert_eq(world_delete(&w, name, false, false), model.there[nth] ? 0u : E(NOT_FOUND));
    model.there[nth] = false;
    for (size_t i = 0; i < model.bindings_len; i++) {
        struct model_binding *binding = &model.bindings[i];
        if (binding->source == nth || (binding->to_exchange && binding->to == nth)) {
            binding->there = false;
        }
    }
}

static void toggle_queue(unsigned nth)
{
    char name[8];
    name_of(name, 'q', nth);
    cr_assert_eq(model.queues[nth] ? world_delete_queue(&w, name) : world_queue(&w, name), 0u);
    model.queues[nth] = !model.queues[nth];
    for (size_t i = 0; i < model.bindings_len; i++) {
        struct model_binding *binding = &model.bindings[i];
        if (!binding->to_exchange && binding->to == nth) {
            binding->there = false;
        }
    }
}

static bool same_ends(const struct model_binding *a, const struct model_binding *b)
{
    return a->source == b->source && a->to_exchange == b->to_exchange && a->to == b->to && a->key == b->key &&
           a->arguments == b->arguments;
}

static struct model_binding *model_binding(const struct model_binding *like)
{
    for (size_t i = 0; i < model.bindings_len; i++) {
        if (same_ends(&model.bindings[i], like)) {
            return &model.bindings[i];
        }
    }
    cr_assert_lt(model.bindings_len, BINDINGS);
    model.bindings[model.bindings_len] = *like;
    return &model.bindings[model.bindings_len++];
}

static void bind_or_unbind(bool is_bind)
{
    struct model_binding like = {.source = random_below(EXCHANGES), .to_exchange = random_below(3) == 0};
    like.to = random_below(like.to_exchange ? EXCHANGES : QUEUES);
    like.key = random_below(KEYS);
    like.arguments = model.types[like.source] == EXCHANGE_HEADERS ? random_below(ARGUMENTS) : 0;
    bool ends = model.there[like.source] && (like.to_exchange ? model.there[like.to] : model.queues[like.to]);
    if (model.types[like.source] == EXCHANGE_HEADERS || model.types[like.source] == EXCHANGE_FANOUT) {
        like.key %= 2;
    }
    char source[8];
    char to[9] = ">";
    struct pairs pairs = {0};
    name_of(source, 'x', like.source);
    name_of(to + 1, like.to_exchange ? 'x' : 'q', like.to);
    arguments_of(like.arguments, &pairs);
    const char *where = like.to_exchange ? to : to + 1;
    int expected = ERR_NOT_FOUND;
    if (ends) {
        struct model_binding *binding = model_binding(&like);
        expected = binding->there != is_bind;
        binding->there = is_bind;
    }
    int is = is_bind ? world_bind(&w, source, where, keys[like.key], &pairs)
                     : world_unbind(&w, source, where, keys[like.key], &pairs);
    cr_assert_eq(is, expected);
}

static const char *ask(const char *name, const struct question *question)
{
    struct pairs headers = {0};
    struct bytes head = {0};
    struct slice slices[3];
    static char text[64];
    for (size_t i = 0; i < question->keys_len; i++) {
        slices[i] = (struct slice){.data = (const uint8_t *)question->keys[i], .len = strlen(question->keys[i])};
    }
    pairs_add(&headers, "a", value_int(question->has_a ? 1 : 2));
    if (question->has_b) {
        pairs_add(&headers, "b", value_string("any"));
    }
    pairs_pack_head(&headers, &head);
    struct route_message message = {
        .keys = slices, .keys_len = question->keys_len, .head = {.data = head.data, .len = head.len}};
    cr_assert_eq(route(w.fixture.machine, world_exchange(&w, name), &message, &w.route), 0);
    bytes_done(&head);
    text[0] = 0;
    for (size_t i = 0; i < w.route.len; i++) {
        cr_assert(i == 0 || w.route.queues[i - 1]->id < w.route.queues[i]->id);
        strcat(strcat(text, w.route.queues[i]->name), " ");
    }
    return text;
}

static void check_route(unsigned from)
{
    struct question question = {.keys_len = 1 + random_below(3), .has_a = random_below(2), .has_b = random_below(2)};
    bool seen[EXCHANGES] = {false};
    bool reached[QUEUES] = {false};
    char name[8];
    for (size_t i = 0; i < question.keys_len; i++) {
        question.keys[i] = keys[random_below(PLAIN_KEYS)];
    }
    name_of(name, 'x', from);
    if (!model.there[from]) {
        cr_assert_null(world_exchange(&w, name));
        return;
    }
    model_route(from, &question, seen, reached);
    const char *text = ask(name, &question);
    size_t expected = 0;
    for (unsigned i = 0; i < QUEUES; i++) {
        char queue[9];
        name_of(queue, 'q', i);
        strcat(queue, " ");
        expected += reached[i];
        cr_assert_eq(strstr(text, queue) != NULL, reached[i], "%s of %s: %s", queue, name, text);
    }
    cr_assert_eq(w.route.len, expected);
}

static void random_round(void)
{
    switch (random_below(40)) {
    case 0: delete_exchange(random_below(EXCHANGES)); break;
    case 1: toggle_queue(random_below(QUEUES)); break;
    case 2: world_reopen(&w); break;
    case 3:
    case 4:
    case 5: declare_one(random_below(EXCHANGES)); break;
    default: bind_or_unbind(random_below(3) != 0);
    }
    for (unsigned i = 0; i < EXCHANGES; i++) {
        check_route(i);
    }
}

Test(route, random_graphs_as_a_naive_model)
{
    for (unsigned graph = 0; graph < 40; graph++) {
        model = (struct model){0};
        world_done(&w);
        setup();
        model.queues[0] = model.queues[1] = model.queues[2] = true;
        for (unsigned round = 0; round < 120; round++) {
            random_round();
        }
    }
}
