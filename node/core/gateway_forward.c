/* Commands on their way to the leader: into our own batch, or to the node that leads; and those that arrive from others. */

#include "node/core/gateway.h"
#include "proto/base/check.h"
#include "rpc/native/native_frame.h"

/* Bytes at which a frame of commands is closed. */
#define FORWARD_LEN_TARGET ENTRY_LEN_TARGET
#define FORWARD_FRAME_COMMANDS_MAX ENTRY_COMMANDS_MAX

/* When a frame could not be sent, it is tried again after this time. */
#define FORWARD_RETRY_MS 20u

_Static_assert(FORWARD_LEN_TARGET + ENTRY_COMMAND_HEAD_LEN + HEADER_LEN_MAX + COMMAND_BODIES_LEN_MAX <=
                   FRAME_BODY_LEN_MAX,
               "the largest command fits a frame behind others");

int gateway_batch_push(struct gateway_core *core, const struct entry_command *command)
{
    if (core->batch.bytes >= BATCH_BYTES_MAX) {
        return ERR_LIMIT;
    }
    struct entry_command taken = *command;
    if (core->refusing[0] != '\0' && batch_command_publishes(command)) {
        taken.header = gateway_refused_header();
        taken.bodies = (struct slice){0};
    }
    return batch_push(&core->batch, &taken);
}

bool gateway_send(struct gateway_core *core, uint64_t to, Holdfast__PeerGateway *message, struct slice body)
{
    message->run = core->run;
    message->term = core->term;
    struct frame_out frame;
    unsigned parts = body.len > 0 ? 1 : 0;
    return native_frame_encode(FRAME_PEER_GATEWAY, &message->base, &body, parts, &frame) == 0 &&
           core->options.send(core->options.arg, to, &frame);
}

/* What can go into the next frame, from the cursor on. */
static uint32_t forward_cut(const struct gateway_core *core, struct outgoing_command *first, uint64_t *ret_len)
{
    const struct outgoing *outgoing = &core->outgoing;
    uint64_t room = outgoing->sent_bytes < FORWARD_BYTES_MAX ? FORWARD_BYTES_MAX - outgoing->sent_bytes : 0;
    uint32_t places = outgoing->sent_len < FORWARD_COMMANDS_MAX ? FORWARD_COMMANDS_MAX - outgoing->sent_len : 0;
    uint64_t len = 0;
    uint32_t count = 0;
    struct list_node *node = &first->node;
    while (node != &outgoing->list && count < places && count < FORWARD_FRAME_COMMANDS_MAX) {
        uint64_t more = batch_command_len(&container_of(node, struct outgoing_command, node)->command);
        bool alone = count == 0 && outgoing->sent_len == 0;
        if (!alone && (len + more > room || (count > 0 && len + more > FORWARD_LEN_TARGET))) {
            break;
        }
        len += more;
        count++;
        node = node->next;
    }
    *ret_len = len;
    return count;
}

static struct blob *forward_build(struct outgoing_command *first, uint32_t count, uint64_t len)
{
    struct blob *blob = blob_new(len);
    if (blob == NULL) {
        return NULL;
    }
    uint8_t *out = blob->data;
    struct list_node *node = &first->node;
    for (uint32_t i = 0; i < count; i++) {
        out = batch_command_encode(&container_of(node, struct outgoing_command, node)->command, out);
        node = node->next;
    }
    CHECK(out == blob->data + len);
    return blob;
}

/* Whether a frame was sent. */
static bool forward_some(struct gateway_core *core)
{
    struct outgoing_command *first = outgoing_next(&core->outgoing);
    uint64_t len;
    uint32_t count = first == NULL ? 0 : forward_cut(core, first, &len);
    if (count == 0) {
        return false;
    }
    Holdfast__Forward forward = HOLDFAST__FORWARD__INIT;
    Holdfast__PeerGateway message = HOLDFAST__PEER_GATEWAY__INIT;
    message.kind_case = HOLDFAST__PEER_GATEWAY__KIND_FORWARD;
    message.forward = &forward;
    forward.commands = count;
    struct blob *blob = forward_build(first, count, len);
    bool sent = blob != NULL && gateway_send(core, core->leader, &message, slice_of_blob(blob));
    blob_unref(blob);
    if (!sent) {
        core->retry_ms = gateway_now_ms(core) + FORWARD_RETRY_MS;
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        outgoing_sent(&core->outgoing);
    }
    return true;
}

static void route_to_batch(struct gateway_core *core)
{
    struct outgoing_command *command;
    if (outgoing_next(&core->outgoing) != NULL) {
        gateway_presence_heard(core, core->node, core->run); /* Before its attachments. */
    }
    while ((command = outgoing_next(&core->outgoing)) != NULL) {
        if (gateway_batch_push(core, &command->command) != 0) {
            core->retry_ms = gateway_now_ms(core) + FORWARD_RETRY_MS;
            break;
        }
        outgoing_sent(&core->outgoing);
    }
}

void gateway_route(struct gateway_core *core)
{
    if (gateway_now_ms(core) < core->retry_ms) {
        return;
    }
    core->retry_ms = 0;
    if (core->leading) {
        route_to_batch(core);
        return;
    }
    const struct peer *peer = core->leader == 0 ? NULL : peers_find(core->options.peers, core->leader);
    while (peer != NULL && peer->connected && forward_some(core)) {
    }
}

/* ---- From other nodes ---- */

/* The fields of Command that are AttachSession and DetachSession, as the tags that begin them. */
#define ATTACH_TAG 0x0au
#define DETACH_TAG 0x62u

/* What a node's process may itself put into the log through another. */
static bool forward_allowed(const struct entry_command *command)
{
    return command->session != 0 || (command->header.len > 0 &&
                                     (command->header.data[0] == ATTACH_TAG || command->header.data[0] == DETACH_TAG));
}

static int take_forward(struct gateway_core *core, const struct roster_node *from, const Holdfast__Forward *forward,
                        struct slice body)
{
    size_t offset = 0;
    for (uint32_t i = 0; i < forward->commands; i++) {
        struct entry_command command;
        if (entry_command_decode(body, &offset, &command) != 0 || !forward_allowed(&command)) {
            return ERR_BROKEN;
        }
        if (gateway_batch_push(core, &command) != 0) {
            journal_warning(core->journal, "gateway",
                            "node %llu: more commands than there is room for; it sends them again",
                            (unsigned long long)from->id);
            return ERR_BROKEN;
        }
    }
    return offset == body.len ? 0 : ERR_BROKEN;
}

static void take_read_index(struct gateway_core *core, uint64_t from, uint64_t id)
{
    struct reads_remote *remote = id == 0 ? NULL : reads_remote(&core->reads, from);
    if (remote != NULL) {
        remote->id = id;
        remote->round = 0;
    }
}

/* What comes of it shows to whoever asked; what does not, they ask again. */
static void take_transfer(struct gateway_core *core, uint64_t to)
{
    if (to != core->node && driver_transfer(core->driver, to) != 0) {
        journal_debug(core->journal, "role", "leadership cannot be handed over as asked");
    }
}

static int take_for_leader(struct gateway_core *core, uint64_t from, const Holdfast__PeerGateway *message,
                           struct slice body)
{
    struct roster_node *node = roster_get(&core->roster, from, gateway_now_ms(core));
    if (node == NULL || message->run == 0) {
        return ERR_BROKEN;
    }
    gateway_presence_heard(core, from, message->run);
    switch (message->kind_case) {
    case HOLDFAST__PEER_GATEWAY__KIND_PRESENCE:
        node->disk_low = message->presence->disk_low;
        node->memory_low = message->presence->memory_low;
        node->wants_vote = message->presence->wants_vote && message->run != node->returned_run;
        node->returning = false; /* It has its copy. */
        node->version = message->presence->machine_version > 0 ? message->presence->machine_version : 1;
        node->version_run = message->run;
        roster_set_alarm(node, message->presence->alarm);
        return 0;
    case HOLDFAST__PEER_GATEWAY__KIND_FORWARD:
        node->commands_ms = gateway_now_ms(core);
        driver_set_prompt(core->driver, from, true);
        return take_forward(core, node, message->forward, body);
    case HOLDFAST__PEER_GATEWAY__KIND_READ_INDEX: take_read_index(core, from, message->read_index->id); return 0;
    case HOLDFAST__PEER_GATEWAY__KIND_TRANSFER_LEADERSHIP:
        take_transfer(core, message->transfer_leadership->node);
        return 0;
    case HOLDFAST__PEER_GATEWAY__KIND_CHANGE_MEMBER: gateway_members_take(core, from, message->change_member); return 0;
    default: return 0;
    }
}

int gateway_core_receive(struct gateway_core *core, uint64_t from, const struct frame *frame)
{
    ProtobufCMessage *base;
    arena_reset(&core->arena);
    if (native_frame_decode(frame, &holdfast__peer_gateway__descriptor, &core->arena, &base) != 0) {
        return ERR_BROKEN;
    }
    const Holdfast__PeerGateway *message = (const void *)base;
    if (message->shard != 0 || (frame->body.len > 0 && message->kind_case != HOLDFAST__PEER_GATEWAY__KIND_FORWARD)) {
        return ERR_BROKEN;
    }
    if (message->kind_case == HOLDFAST__PEER_GATEWAY__KIND_READ_INDEX_RESULT) {
        const Holdfast__ReadIndexResult *result = message->read_index_result;
        if (!core->leading && from == core->leader) {
            reads_answered(&core->reads, result->id, result->index);
        }
        return 0;
    }
    if (message->kind_case == HOLDFAST__PEER_GATEWAY__KIND_DIGESTS) {
        return gateway_digests_take(core, from, message->digests);
    }
    if (message->kind_case == HOLDFAST__PEER_GATEWAY__KIND_WALL_CLOCK) {
        return gateway_clocks_take(core, from, message->wall_clock);
    }
    if (message->kind_case == HOLDFAST__PEER_GATEWAY__KIND_CHANGE_MEMBER_RESULT) {
        gateway_members_take_result(core, from, message->change_member_result);
        return 0;
    }
    if (message->kind_case == HOLDFAST__PEER_GATEWAY__KIND_REPAIR) {
        gateway_repair_take(core, from, message->repair);
        return 0;
    }
    /* What was meant for an earlier leadership may be a later part of what this one has not seen: it is all sent again. */
    return core->leading && message->term == core->term ? take_for_leader(core, from, message, frame->body) : 0;
}
