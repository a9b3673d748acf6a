/* The connections between nodes for what is large. */

#include "sim_bulk.h"

#include "proto/base/check.h"
#include "sim_frame.h"
#include "sim_world.h"

#define DIAL_US 5000u
#define NOTICE_US 100000u
/* A part of some kilobytes takes longer than a message. */
#define FRAME_US 2000u

void sim_bulk_init(struct sim_world *world)
{
    struct sim_bulk *bulk = &world->bulk;
    sim_random_init(&bulk->random, world->options.seed, 3);
    bulk->broken = sim_random_chance(&bulk->random, 400000) ? sim_random_between(&bulk->random, 0, 50000) : 0;
    bulk->flipped = sim_random_chance(&bulk->random, 300000) ? sim_random_between(&bulk->random, 0, 300000) : 0;
    for (unsigned i = 0; i < SIM_NODES_MAX; i++) {
        for (unsigned j = 0; j < SIM_NODES_MAX; j++) {
            bulk->links[i][j] = (struct sim_bulk_link){.world = world, .asker = i, .source = j};
        }
    }
}

void sim_bulk_heal(struct sim_world *world)
{
    world->bulk.broken = 0;
    world->bulk.flipped = 0;
}

static struct sim_node *link_asker(const struct sim_bulk_link *link)
{
    return &link->world->nodes[link->asker];
}

static bool link_passes(const struct sim_bulk_link *link)
{
    const struct sim_net *net = &link->world->net;
    const struct sim_node *asker = link_asker(link);
    const struct sim_node *source = &link->world->nodes[link->source];
    return sim_node_up(asker) && sim_node_up(source) && !net->links[link->asker][link->source].cut &&
           !net->links[link->source][link->asker].cut;
}

/* Events carry the connection in `a`, and the asker's life or the direction in `b`. */
static void link_push(struct sim_bulk_link *link, uint64_t delay_us, uint64_t b, void (*fire)(struct sim_event *event))
{
    sim_queue_push(
        &link->world->queue,
        (struct sim_event){
            .at_us = sim_world_now(link->world) + delay_us, .fire = fire, .object = link, .a = link->epoch, .b = b});
}

static void link_told(struct sim_event *event)
{
    struct sim_bulk_link *link = event->object;
    struct sim_node *asker = link_asker(link);
    if (!sim_node_up(asker) || event->b != asker->life || sim_node_defer(asker, event)) {
        return;
    }
    sim_node_bulk_changed(asker, link->source + 1, false);
}

static void link_end(struct sim_bulk_link *link)
{
    bool known = link->up || link->dialling;
    link->up = false;
    link->dialling = false;
    link->epoch++;
    if (known && sim_node_up(link_asker(link))) {
        sim_world_count(link->world, SIM_STAT_BULK_ENDS, 1);
        link_push(link, sim_random_delay(&link->world->bulk.random, NOTICE_US), link_asker(link)->life, link_told);
    }
}

static void link_dialled(struct sim_event *event)
{
    struct sim_bulk_link *link = event->object;
    if (event->a != link->epoch || sim_node_defer(link_asker(link), event)) {
        return;
    }
    if (!link_passes(link)) {
        link_end(link);
        return;
    }
    link->dialling = false;
    link->up = true;
    link->last_us[0] = 0;
    link->last_us[1] = 0;
    sim_node_bulk_changed(link_asker(link), link->source + 1, true);
}

static void link_arrive(struct sim_event *event)
{
    struct sim_bulk_link *link = event->object;
    struct sim_world *world = link->world;
    bool question = event->b == 0;
    struct sim_node *node = &world->nodes[question ? link->source : link->asker];
    if (event->a != link->epoch || (!question && !link->up)) {
        return;
    }
    if (!link_passes(link)) {
        link_end(link);
        return;
    }
    if (sim_node_defer(node, event)) {
        return;
    }
    struct frame frame;
    int err = sim_frame_unpack(event->blob, &frame);
    CHECK(err == 0);
    sim_world_note(world, 15, node->id, frame.header.len + frame.body.len);
    sim_node_receive_bulk(node, (question ? link->asker : link->source) + 1, !question, &frame);
}

bool sim_bulk_send(struct sim_world *world, unsigned from, unsigned to, bool asking, struct frame_out *frame)
{
    struct sim_bulk *bulk = &world->bulk;
    struct sim_bulk_link *link = asking ? &bulk->links[from][to] : &bulk->links[to][from];
    if (asking && !link->up && !link->dialling) {
        link->dialling = true;
        link->epoch++;
        link_push(link, sim_random_delay(&bulk->random, DIAL_US), 0, link_dialled);
    }
    if (!link->up) {
        frame_out_done(frame);
        return false;
    }
    sim_world_count(world, SIM_STAT_BULK_FRAMES, 1);
    struct blob *blob = sim_frame_pack(frame);
    if (sim_random_chance(&bulk->random, bulk->broken)) {
        blob_unref(blob);
        link_end(link);
        return true;
    }
    struct frame_prefix prefix;
    int err = frame_prefix_decode(blob->data, &prefix);
    CHECK(err == 0);
    if (prefix.body_len > 0 && sim_random_chance(&bulk->random, bulk->flipped)) {
        size_t at = FRAME_PREFIX_LEN + prefix.header_len + sim_random_between(&bulk->random, 0, prefix.body_len - 1);
        blob->data[at] = (uint8_t)(blob->data[at] ^ (1u << sim_random_between(&bulk->random, 0, 7)));
        sim_world_count(world, SIM_STAT_BULK_FLIPPED, 1);
    }
    uint64_t *last_us = &link->last_us[asking ? 0 : 1];
    uint64_t at = sim_world_now(world) + sim_random_delay(&bulk->random, FRAME_US);
    *last_us = at > *last_us ? at : *last_us;
    sim_queue_push(&world->queue, (struct sim_event){.at_us = *last_us,
                                                     .fire = link_arrive,
                                                     .object = link,
                                                     .a = link->epoch,
                                                     .b = asking ? 0 : 1,
                                                     .blob = blob});
    return true;
}

void sim_bulk_hang_up(struct sim_world *world, unsigned asker, unsigned source)
{
    struct sim_bulk_link *link = &world->bulk.links[asker][source];
    link->epoch += link->dialling;
    link->up = false;
    link->dialling = false;
}

void sim_bulk_node_down(struct sim_world *world, unsigned node)
{
    for (unsigned i = 0; i < world->nodes_len; i++) {
        link_end(&world->bulk.links[i][node]);
        sim_bulk_hang_up(world, node, i);
        world->bulk.links[node][i].epoch++;
    }
}
