/* Random histories. Each uses some features and not others, so that they are seen alone and together. */

#include <string.h>

#include "step.h"

struct dice {
    uint64_t state;
    unsigned version;
    unsigned weights[OP_COUNT];
    /* In 256: how often the argument is not 0. */
    unsigned odds[OP_COUNT][STEP_ARGS_MAX];
};

/* SplitMix64. */
static uint64_t below(struct dice *dice, uint64_t limit)
{
    uint64_t z = dice->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % limit;
}

/* Things that go wrong are to stay rare, or nothing else is reached. */
static bool is_trouble(const char *name)
{
    static const char *const names[] = {"odd",  "wrong",  "stale",     "zero",    "key",       "name",  "origin",
                                        "host", "paused", "protected", "unknown", "exclusive", "astray"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void dice_choose(struct dice *dice)
{
    static const unsigned factors[] = {0, 1, 2, 2, 4};
    static const unsigned odds[] = {0, 0, 12, 40, 160};
    static const unsigned rare[] = {0, 3, 10};
    for (enum op op = 0; op < OP_COUNT; op++) {
        const struct op_spec *spec = op_spec(op);
        dice->weights[op] = spec->version > dice->version ? 0 : spec->weight * factors[below(dice, 5)];
        for (unsigned i = 0; i < STEP_ARGS_MAX && spec->args[i].name != NULL; i++) {
            bool trouble = is_trouble(spec->args[i].name);
            unsigned chosen = trouble ? rare[below(dice, 3)] : odds[below(dice, 5)];
            dice->odds[op][i] = spec->args[i].version > dice->version ? 0 : chosen;
        }
    }
    /* Without these there is nothing to see. */
    static const enum op needed[] = {OP_ATTACH, OP_PRESENT, OP_DECLARE, OP_PUBLISH, OP_SUBSCRIBE};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        dice->weights[needed[i]] += op_spec(needed[i])->weight;
    }
}

/* The last of the queues is none. */
static uint32_t choice_random(struct dice *dice, const struct arg_spec *arg)
{
    bool queue = strcmp(arg->name, "queue") == 0 && below(dice, 6) != 0;
    return (uint32_t)below(dice, (uint64_t)arg->max + !queue);
}

static struct step step_random(struct dice *dice, enum op op)
{
    const struct op_spec *spec = op_spec(op);
    struct step step = {.op = op};
    for (unsigned i = 0; i < STEP_ARGS_MAX && spec->args[i].name != NULL; i++) {
        const struct arg_spec *arg = &spec->args[i];
        if (arg->version > dice->version) {
            continue;
        }
        if (arg->kind == ARG_CHOICE) {
            step.args[i] = choice_random(dice, arg);
        } else if (below(dice, 256) < dice->odds[op][i]) {
            uint64_t once = below(dice, arg->max);
            uint64_t again = below(dice, arg->max);
            step.args[i] = 1 + (uint32_t)(once < again ? once : again);
        }
    }
    return step;
}

static enum op op_random(struct dice *dice)
{
    unsigned sum = 0;
    for (enum op op = 0; op < OP_COUNT; op++) {
        sum += dice->weights[op];
    }
    uint64_t at = below(dice, sum);
    enum op op = 0;
    while (at >= dice->weights[op]) {
        at -= dice->weights[op++];
    }
    return op;
}

static void add_with(struct history *history, enum op op, uint32_t first, const char *name, uint32_t value)
{
    struct step step = {.op = op};
    step.args[0] = first;
    if (name != NULL) {
        step.args[op_arg(op, name)] = value;
    }
    history_add(history, &step);
}

/* In some histories one client or two live in a virtual host of their own. */
static void add_host(struct history *history, struct dice *dice)
{
    uint64_t clients = dice->version >= 2 ? below(dice, 6) : 0;
    if (clients != 1 && clients != 2) {
        return;
    }
    add_with(history, OP_HOST, 0, "host", 0);
    for (uint32_t i = 0; i < clients; i++) {
        add_with(history, OP_CLOSE, 3 - i, NULL, 0);
    }
    history_add(history, &(struct step){.op = OP_ENTRY});
    for (uint32_t i = 0; i < clients; i++) {
        add_with(history, OP_ATTACH, 3 - i, "host", 1);
    }
    history_add(history, &(struct step){.op = OP_ENTRY});
    for (uint32_t i = 0; i < 2; i++) {
        struct step step = step_random(dice, OP_DECLARE);
        step.args[op_arg(OP_DECLARE, "client")] = 3;
        step.args[op_arg(OP_DECLARE, "queue")] = i;
        history_add(history, &step);
    }
}

/* Exchanges, and where they lead. */
static void add_ways(struct history *history, struct dice *dice)
{
    for (uint32_t i = 0; i < 3 && dice->weights[OP_EXCHANGE] > 0; i++) {
        struct step step = step_random(dice, OP_EXCHANGE);
        step.args[op_arg(OP_EXCHANGE, "to")] = i;
        step.args[op_arg(OP_EXCHANGE, "client")] = i % 2;
        history_add(history, &step);
    }
    for (uint32_t i = 0; i < 6 && dice->weights[OP_BIND] > 0; i++) {
        struct step step = step_random(dice, OP_BIND);
        step.args[op_arg(OP_BIND, "to")] = i;
        step.args[op_arg(OP_BIND, "client")] = i % 2;
        history_add(history, &step);
    }
}

/* Everybody is there, and most queues: from nothing it would take long until something can be settled. */
static void add_first(struct history *history, struct dice *dice)
{
    if (dice->version >= 2) {
        add_with(history, OP_RAISE, 1, "new", 1);
    }
    for (uint32_t i = 0; i < 3; i++) {
        add_with(history, OP_PRESENT, i, NULL, 0);
    }
    for (uint32_t i = 0; i < 4; i++) {
        add_with(history, OP_ATTACH, i, "node", i % 3);
    }
    history_add(history, &(struct step){.op = OP_ENTRY});
    add_host(history, dice);
    for (uint32_t i = 0; i < 4; i++) {
        struct step step = step_random(dice, OP_DECLARE);
        step.args[op_arg(OP_DECLARE, "client")] = i % 2;
        step.args[op_arg(OP_DECLARE, "queue")] = i;
        history_add(history, &step);
    }
    for (uint32_t i = 0; i < 4; i++) {
        struct step step = step_random(dice, OP_SUBSCRIBE);
        step.args[op_arg(OP_SUBSCRIBE, "client")] = i;
        step.args[op_arg(OP_SUBSCRIBE, "queue")] = (uint32_t)below(dice, 3);
        history_add(history, &step);
    }
    add_ways(history, dice);
    history_add(history, &(struct step){.op = OP_ENTRY});
}

/* One that fetches more needs one that fetches: by chance that is rarely there. */
static void add_fetch_before(struct history *history, struct step *step)
{
    unsigned more = op_arg(OP_SUBSCRIBE, "more");
    if (step->op == OP_SUBSCRIBE && step->args[more] != 0) {
        step->args[op_arg(OP_SUBSCRIBE, "fetch")] = 1;
        struct step before = *step;
        before.args[more] = 0;
        history_add(history, &before);
    }
}

static void add_entries(struct history *history, struct dice *dice, unsigned entries)
{
    for (unsigned i = 0; i < entries; i++) {
        for (uint64_t commands = 1 + below(dice, 4); commands > 0; commands--) {
            struct step step = step_random(dice, op_random(dice));
            add_fetch_before(history, &step);
            history_add(history, &step);
        }
        struct step entry = step_random(dice, OP_ENTRY);
        history_add(history, &entry);
    }
}

void history_random(struct history *history, uint64_t seed, unsigned rules, unsigned entries)
{
    struct dice dice = {.state = seed, .version = rules == RULES_UPGRADE ? 1 : rules};
    dice_choose(&dice);
    add_first(history, &dice);
    if (rules != RULES_UPGRADE) {
        add_entries(history, &dice, entries);
        return;
    }
    add_entries(history, &dice, entries / 2);
    dice.version = 2;
    dice_choose(&dice);
    add_with(history, OP_RAISE, 1, "new", 1);
    add_entries(history, &dice, entries - entries / 2);
}
