/* What there is in worlds of version 2. */

#include "sim_features.h"

#include "proto/base/check.h"
#include "sim_world.h"

#define STREAM_FEATURES 73u
#define STREAM_FEATURES_CHOSEN 74u
#define STREAM_LITTLE_WORK 77u

#define FEATURES_ONE_IN 8u

/* Of worlds with features: those in which an entry does little of what may take several (statemachine/work.h). */
#define LITTLE_WORK_ONE_IN 3u
#define LITTLE_WORK_MIN 6u
#define LITTLE_WORK_SPREAD 30u

#define ON(queue) (1u << (queue))

const struct sim_route sim_routes[] = {
    {"", "f-priority", ON(SIM_Q_PRIORITY)},
    {"", "f-groups", ON(SIM_Q_GROUPS)},
    {"", "f-ttl", ON(SIM_Q_TTL)},
    {"", "f-short", ON(SIM_Q_SHORT)},
    {"", "f-limit", ON(SIM_Q_LIMIT)},
    {"", "f-single", ON(SIM_Q_SINGLE)},
    {"f-all", "anything", ON(SIM_Q_PRIORITY) | ON(SIM_Q_GROUPS) | ON(SIM_Q_TTL)},
    {"f-topic", "a.b", ON(SIM_Q_GROUPS) | ON(SIM_Q_LIMIT)},
    {"f-topic", "a.x", ON(SIM_Q_GROUPS) | ON(SIM_Q_SHORT)},
    {"f-topic", "c.d.x", ON(SIM_Q_SHORT)},
    {"f-topic", "c.b.x", ON(SIM_Q_SHORT) | ON(SIM_Q_LIMIT)},
    {"f-topic", "a", 0},
};
const size_t sim_routes_len = sizeof sim_routes / sizeof sim_routes[0];

static const struct {
    const char *exchange;
    const char *key;
    enum sim_feature_queue queue;
} bindings[] = {
    {"f-all", "", SIM_Q_PRIORITY},    {"f-all", "other", SIM_Q_GROUPS},  {"f-all", "", SIM_Q_TTL},
    {"f-topic", "a.*", SIM_Q_GROUPS}, {"f-topic", "*.b.#", SIM_Q_LIMIT}, {"f-topic", "#.x", SIM_Q_SHORT},
    {"f-topic", "*.b", SIM_Q_LIMIT}, /* Twice for a.b: once all the same. */
    {"f-deaths", "", SIM_Q_DEAD},
};
#define BINDINGS (sizeof bindings / sizeof bindings[0])

static const struct {
    const char *name;
    Holdfast__DeclareExchange__Type type;
} exchanges[] = {{"f-all", HOLDFAST__DECLARE_EXCHANGE__TYPE__FANOUT},
                 {"f-topic", HOLDFAST__DECLARE_EXCHANGE__TYPE__TOPIC},
                 {"f-deaths", HOLDFAST__DECLARE_EXCHANGE__TYPE__FANOUT}};
#define EXCHANGES (sizeof exchanges / sizeof exchanges[0])

static void features_draw(struct sim_features *features)
{
    struct sim_random *random = &features->random;
    struct sim_feature_options *queues = features->queues;
    queues[SIM_Q_PRIORITY] = (struct sim_feature_options){.name = "f-priority",
                                                          .max_priority = (unsigned)sim_random_between(random, 1, 9),
                                                          .groups = sim_random_chance(random, 300000)};
    queues[SIM_Q_GROUPS] = (struct sim_feature_options){
        .name = "f-groups", .groups = true, .lock_ms = sim_random_chance(random, 500000) ? 400 : 0};
    queues[SIM_Q_TTL] = (struct sim_feature_options){.name = "f-ttl",
                                                     .has_ttl = true,
                                                     .ttl_ms = sim_random_between(random, 20, 900),
                                                     .dead_letters = true,
                                                     .by_exchange = sim_random_chance(random, 500000)};
    queues[SIM_Q_SHORT] = (struct sim_feature_options){.name = "f-short",
                                                       .has_max_length = true,
                                                       .max_length = sim_random_between(random, 1, 6),
                                                       .overflow = (int)sim_random_between(random, 0, 2),
                                                       .dead_letters = sim_random_chance(random, 700000),
                                                       .by_exchange = sim_random_chance(random, 500000)};
    queues[SIM_Q_LIMIT] = (struct sim_feature_options){
        .name = "f-limit",
        .dead_letters = true,
        .by_exchange = sim_random_chance(random, 500000),
        .max_deliveries = sim_random_between(random, 1, 4),
        .redelivery_delay_ms = sim_random_between(random, 0, 200),
        .redelivery_delay_max_ms = sim_random_chance(random, 500000) ? sim_random_between(random, 200, 800) : 0,
        .lock_ms = sim_random_between(random, 100, 900)};
    queues[SIM_Q_SINGLE] = (struct sim_feature_options){
        .name = "f-single", .single_active = true, .id_window_ms = sim_random_between(random, 200, 4000)};
    queues[SIM_Q_DEAD] = (struct sim_feature_options){.name = "f-dead"};
}

void sim_features_init(struct sim_world *world)
{
    struct sim_features *features = &world->features;
    sim_random_init(&features->random, world->options.seed, STREAM_FEATURES);
    /* What a damaged node applies need not be what the others do. */
    features->chosen = (world->options.features ||
                        sim_random_mix(world->options.seed, STREAM_FEATURES_CHOSEN) % FEATURES_ONE_IN == 0) &&
                       !sim_damage_chosen(world->options.seed);
    sim_world_count(world, SIM_STAT_FEATURE_WORLDS, features->chosen);
    features_draw(features);
    uint64_t little = sim_random_mix(world->options.seed, STREAM_LITTLE_WORK);
    features->little = features->chosen && little % LITTLE_WORK_ONE_IN == 0;
    features->work_max = LITTLE_WORK_MIN + little / LITTLE_WORK_ONE_IN % LITTLE_WORK_SPREAD;
    sim_world_count(world, SIM_STAT_LITTLE_WORLDS, features->little);
    features->narrow = sim_random_chance(&features->random, 250000);
}

struct slice sim_features_pack(const Holdfast__Command *command)
{
    struct blob *blob = blob_new(holdfast__command__get_packed_size(command));
    CHECK(blob != NULL);
    holdfast__command__pack(command, blob->data);
    return slice_of_blob(blob);
}

static struct slice setup_queue(const struct sim_feature_options *from)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    Holdfast__DeclareQueue declare = HOLDFAST__DECLARE_QUEUE__INIT;
    options.max_priority = from->max_priority;
    options.groups = from->groups;
    options.single_active = from->single_active;
    options.has_ttl = from->has_ttl;
    options.ttl_ms = from->ttl_ms;
    options.has_max_length = from->has_max_length;
    options.max_length = from->max_length;
    options.overflow = (Holdfast__QueueOptions__Overflow)from->overflow;
    options.has_dead_letter = from->dead_letters;
    options.dead_letter_exchange = from->dead_letters && from->by_exchange ? "f-deaths" : "";
    options.has_dead_letter_key = from->dead_letters && !from->by_exchange;
    options.dead_letter_key = from->dead_letters && !from->by_exchange ? "f-dead" : "";
    options.max_deliveries = from->max_deliveries;
    options.redelivery_delay_ms = from->redelivery_delay_ms;
    options.redelivery_delay_max_ms = from->redelivery_delay_max_ms;
    options.lock_ms = from->lock_ms;
    options.id_window_ms = from->id_window_ms;
    declare.queue = (char *)from->name;
    declare.options = &options;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_QUEUE;
    command.declare_queue = &declare;
    return sim_features_pack(&command);
}

static struct slice setup_exchange(size_t i)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__DeclareExchange declare = HOLDFAST__DECLARE_EXCHANGE__INIT;
    declare.exchange = (char *)exchanges[i].name;
    declare.type = exchanges[i].type;
    command.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_EXCHANGE;
    command.declare_exchange = &declare;
    return sim_features_pack(&command);
}

static struct slice setup_binding(const struct sim_features *features, size_t i)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__Bind bind = HOLDFAST__BIND__INIT;
    bind.source = (char *)bindings[i].exchange;
    bind.key = (char *)bindings[i].key;
    bind.queue = (char *)features->queues[bindings[i].queue].name;
    command.kind_case = HOLDFAST__COMMAND__KIND_BIND;
    command.bind = &bind;
    return sim_features_pack(&command);
}

bool sim_features_setup(const struct sim_features *features, unsigned step, struct slice *ret_header)
{
    if (step < SIM_FEATURE_QUEUES) {
        *ret_header = setup_queue(&features->queues[step]);
    } else if (step < SIM_FEATURE_QUEUES + EXCHANGES) {
        *ret_header = setup_exchange(step - SIM_FEATURE_QUEUES);
    } else if (step < SIM_FEATURE_QUEUES + EXCHANGES + BINDINGS) {
        *ret_header = setup_binding(features, step - SIM_FEATURE_QUEUES - EXCHANGES);
    } else {
        return sim_rover_setup((unsigned)(step - SIM_FEATURE_QUEUES - EXCHANGES - BINDINGS), ret_header);
    }
    return true;
}
