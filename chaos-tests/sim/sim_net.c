/* Frames between nodes. */

#include "sim_net.h"

#include "sim_frame.h"
#include "sim_world.h"

/* How long a sender goes on talking to nobody: a process that ends is noticed at once, a silent network after a while. */
#define NOTICE_QUICK_US 5000u
#define NOTICE_SLOW_US 300000u
#define DIAL_US 60000u

void sim_net_init(struct sim_world *world)
{
    struct sim_net *net = &world->net;
    struct sim_random *random = &net->random;
    sim_random_init(random, world->options.seed, 2);
    bool rough = sim_random_chance(random, 600000);
    net->delay_us = sim_random_between(random, 100, 3000);
    net->broken = sim_random_chance(random, 500000) ? sim_random_between(random, 0, 200) : 0;
    net->lost = rough && sim_random_chance(random, 800000) ? sim_random_between(random, 0, 20000) : 0;
    net->repeated = rough && sim_random_chance(random, 800000) ? sim_random_between(random, 0, 30000) : 0;
    net->reordered = rough && sim_random_chance(random, 700000) ? sim_random_between(random, 0, 50000) : 0;
    for (unsigned i = 0; i < SIM_NODES_MAX; i++) {
        for (unsigned j = 0; j < SIM_NODES_MAX; j++) {
            net->links[i][j] = (struct sim_link){.world = world, .from = i, .to = j};
        }
    }
}

void sim_net_heal(struct sim_world *world)
{
    struct sim_net *net = &world->net;
    net->broken = 0;
    net->lost = 0;
    net->repeated = 0;
    net->reordered = 0;
    for (unsigned i = 0; i < SIM_NODES_MAX; i++) {
        for (unsigned j = 0; j < SIM_NODES_MAX; j++) {
            net->links[i][j].cut = false;
        }
        for (unsigned c = 0; c < SIM_CLIENTS_MAX; c++) {
            net->client_cut[c][i] = false;
            net->alone_until_us[c] = 0;
        }
    }
}

static struct sim_node *link_sender(const struct sim_link *link)
{
    return &link->world->nodes[link->from];
}

static struct sim_node *link_receiver(const struct sim_link *link)
{
    return &link->world->nodes[link->to];
}

static void link_push(struct sim_link *link, uint64_t delay_us, void (*fire)(struct sim_event *event))
{
    sim_queue_push(&link->world->queue, (struct sim_event){.at_us = sim_world_now(link->world) + delay_us,
                                                           .fire = fire,
                                                           .object = link,
                                                           .a = link->dial,
                                                           .b = link_sender(link)->life});
}

static bool link_event_void(struct sim_link *link, struct sim_event *event)
{
    struct sim_node *sender = link_sender(link);
    return sender->shard == NULL || event->b != sender->life || event->a != link->dial || sim_node_defer(sender, event);
}

static void link_changed(struct sim_link *link)
{
    struct sim_node *sender = link_sender(link);
    struct sim_node *receiver = link_receiver(link);
    sim_world_note(link->world, 14, sender->id << 8 | receiver->id, link->up);
    shard_peer_changed(sender->shard, receiver->id, link->up, receiver->address);
    sim_node_wake(sender);
}

/* A handshake: there and back. */
static void link_dial(struct sim_event *event)
{
    struct sim_link *link = event->object;
    struct sim_net *net = &link->world->net;
    if (link_event_void(link, event)) {
        return;
    }
    link->dial++;
    if (link->cut || net->links[link->to][link->from].cut || link_receiver(link)->shard == NULL ||
        sim_world_now(link->world) < link_receiver(link)->paused_until_us) {
        link_push(link, sim_random_delay(&net->random, DIAL_US), link_dial);
        return;
    }
    link->epoch++;
    link->last_us = 0;
    link->up = true;
    link->lost = false;
    link_changed(link);
}

/* The sender hears that its connection has ended. */
static void link_down(struct sim_event *event)
{
    struct sim_link *link = event->object;
    if (link_event_void(link, event)) {
        return;
    }
    link->dial++;
    link->up = false;
    link_changed(link);
    link_push(link, sim_random_delay(&link->world->net.random, DIAL_US), link_dial);
}

/* The connection ends; what is under way is lost. */
static void link_end(struct sim_link *link, uint64_t notice_us)
{
    if (link->up && !link->lost) {
        link->lost = true;
        link->epoch++;
        link->dial++;
        sim_world_count(link->world, SIM_STAT_PEER_ENDS, 1);
        link_push(link, sim_random_delay(&link->world->net.random, notice_us), link_down);
    }
}

void sim_net_notice(struct sim_world *world)
{
    for (unsigned i = 0; i < world->nodes_len; i++) {
        for (unsigned j = 0; j < world->nodes_len; j++) {
            struct sim_link *link = &world->net.links[i][j];
            if (link->up && link->lost) {
                link->dial++; /* Instead of the end that it would hear of some time. */
                link_push(link, sim_random_delay(&world->net.random, NOTICE_QUICK_US), link_down);
            }
        }
    }
}

void sim_net_break(struct sim_world *world, unsigned from, unsigned to)
{
    link_end(&world->net.links[from][to], NOTICE_QUICK_US);
}

void sim_net_cut(struct sim_world *world, unsigned from, unsigned to, bool cut)
{
    world->net.links[from][to].cut = cut;
}

void sim_net_node_down(struct sim_world *world, unsigned node)
{
    for (unsigned i = 0; i < world->nodes_len; i++) {
        struct sim_link *out = &world->net.links[node][i];
        out->up = false;
        out->lost = false;
        out->epoch++;
        out->dial++;
        bool silent = sim_random_chance(&world->net.random, 300000); /* The machine is gone, not the process alone. */
        link_end(&world->net.links[i][node], silent ? NOTICE_SLOW_US : NOTICE_QUICK_US);
    }
}

void sim_net_node_up(struct sim_world *world, unsigned node)
{
    for (unsigned i = 0; i < world->nodes_len; i++) {
        if (i != node) {
            link_push(&world->net.links[node][i], sim_random_delay(&world->net.random, 1000), link_dial);
        }
    }
}

void sim_net_node_new(struct sim_world *world, unsigned node)
{
    for (unsigned i = 0; i < world->nodes_len; i++) {
        if (i != node && world->nodes[i].shard != NULL) {
            link_push(&world->net.links[i][node], sim_random_delay(&world->net.random, 1000), link_dial);
        }
    }
}

static void net_arrive(struct sim_event *event)
{
    struct sim_link *link = event->object;
    struct sim_world *world = link->world;
    struct sim_node *node = link_receiver(link);
    if (event->b == link->epoch && (link->cut || node->shard == NULL)) {
        link_end(link, NOTICE_SLOW_US);
    }
    if (event->b != link->epoch) {
        sim_world_count(world, SIM_STAT_PEER_LOST, 1);
        return;
    }
    if (sim_node_defer(node, event)) {
        return;
    }
    struct frame frame;
    int err = sim_frame_unpack(event->blob, &frame);
    if (err != 0) {
        sim_world_violation(world, "node %u sent a frame with a bad prefix: %s", link->from + 1, err_name(err));
        return;
    }
    sim_node_receive(node, link->from + 1, &frame);
}

static void net_push(struct sim_link *link, struct blob *blob, bool ordered)
{
    struct sim_net *net = &link->world->net;
    uint64_t at = sim_world_now(link->world) + sim_random_delay(&net->random, net->delay_us);
    if (ordered) {
        at = at > link->last_us ? at : link->last_us;
        link->last_us = at;
    } else {
        at += sim_random_between(&net->random, 0, 20 * net->delay_us);
    }
    sim_queue_push(&link->world->queue,
                   (struct sim_event){.at_us = at, .fire = net_arrive, .object = link, .b = link->epoch, .blob = blob});
}

/* A rough network has its way with frames of consensus. Whether the frame is gone. */
static bool net_roughen(struct sim_link *link, struct blob *blob, bool *ret_ordered)
{
    struct sim_world *world = link->world;
    struct sim_net *net = &world->net;
    if (sim_random_chance(&net->random, net->lost)) {
        sim_world_count(world, SIM_STAT_PEER_LOST, 1);
        return true;
    }
    if (sim_random_chance(&net->random, net->repeated)) {
        sim_world_count(world, SIM_STAT_PEER_REPEATED, 1);
        net_push(link, blob_ref(blob), false);
    }
    *ret_ordered = !sim_random_chance(&net->random, net->reordered);
    sim_world_count(world, SIM_STAT_PEER_REORDERED, !*ret_ordered);
    return false;
}

bool sim_net_send(struct sim_world *world, unsigned from, unsigned to, struct frame_out *frame)
{
    struct sim_net *net = &world->net;
    struct sim_link *link = &net->links[from][to];
    if (!link->up) {
        sim_world_count(world, SIM_STAT_PEER_REFUSED, 1);
        frame_out_done(frame);
        return false;
    }
    sim_world_count(world, SIM_STAT_PEER_FRAMES, 1);
    if (sim_random_chance(&net->random, net->broken)) {
        link_end(link, NOTICE_SLOW_US);
    }
    if (link->lost) {
        sim_world_count(world, SIM_STAT_PEER_LOST, 1);
        frame_out_done(frame);
        return true;
    }
    struct blob *blob = sim_frame_pack(frame);
    bool ordered = true;
    if (blob->data[3] == FRAME_PEER_RAFT && net_roughen(link, blob, &ordered)) {
        blob_unref(blob);
        return true;
    }
    net_push(link, blob, ordered);
    return true;
}
