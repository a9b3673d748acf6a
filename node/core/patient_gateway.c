/* Everything is refused but the question how it is. */

#include "node/core/patient_gateway.h"

#include <inttypes.h>
#include <stdio.h>

#include "proto/base/check.h"

#define WHY "this node takes no part in the cluster until it has a copy of the state"

/* Why nothing is done here. */
static const char *why(const struct patient_gateway *gateway)
{
    struct patient *patient = gateway->options.patient;
    return patient_is_founding(patient) ? patient_text(patient) : WHY;
}

static struct patient_gateway *patient_gateway_of(struct gateway *gateway)
{
    return container_of(gateway, struct patient_gateway, base);
}

static void patient_gateway_wake(struct patient_gateway *self)
{
    if (self->options.wake != NULL) {
        self->options.wake(self->options.arg);
    }
}

/* Who leads is not asked by a patient: clients are to turn to another node, which knows. */
static int patient_leader(struct gateway *gateway, struct gateway_leader *ret_leader)
{
    (void)gateway;
    (void)ret_leader;
    return ERR_UNAVAILABLE;
}

static int patient_attach(struct gateway *gateway, const struct gateway_attach *attach, const struct gateway_sink *sink,
                          struct gateway_link **ret_link)
{
    (void)gateway;
    (void)attach;
    (void)sink;
    (void)ret_link;
    return ERR_UNAVAILABLE;
}

/* There is never a link. */
static int patient_submit(struct gateway_link *link, uint64_t number, uint64_t answered, struct slice header,
                          struct slice bodies)
{
    (void)link;
    (void)number;
    (void)answered;
    (void)header;
    (void)bodies;
    return ERR_CLOSED;
}

static void patient_pause(struct gateway_link *link, bool paused)
{
    (void)link;
    (void)paused;
}

static void patient_detach(struct gateway_link *link)
{
    (void)link;
}

/* ---- Answered in the next turn ---- */

static void patient_read(struct gateway *gateway, struct gateway_read *read)
{
    struct patient_gateway *self = patient_gateway_of(gateway);
    list_init(&read->node);
    list_push_back(&self->reads, &read->node);
    patient_gateway_wake(self);
}

static void patient_read_cancel(struct gateway *gateway, struct gateway_read *read)
{
    (void)gateway;
    list_remove(&read->node);
}

static void patient_change(struct gateway *gateway, struct gateway_change *change)
{
    struct patient_gateway *self = patient_gateway_of(gateway);
    list_init(&change->link);
    list_push_back(&self->changes, &change->link);
    patient_gateway_wake(self);
}

static void patient_change_cancel(struct gateway *gateway, struct gateway_change *change)
{
    (void)gateway;
    list_remove(&change->link);
}

static void list_take(struct list_node *from, struct list_node *to)
{
    struct list_node *node;
    list_init(to);
    while ((node = list_first(from)) != NULL) {
        list_remove(node);
        list_push_back(to, node);
    }
}

/* What is asked from within is answered in the next turn. */
void patient_gateway_turn(struct patient_gateway *gateway)
{
    struct list_node now;
    struct list_node *node;
    list_take(&gateway->reads, &now);
    while ((node = list_first(&now)) != NULL) {
        struct gateway_read *read = container_of(node, struct gateway_read, node);
        list_remove(node);
        read->done(read, ERR_UNAVAILABLE);
    }
    list_take(&gateway->changes, &now);
    while ((node = list_first(&now)) != NULL) {
        struct gateway_change *change = container_of(node, struct gateway_change, link);
        list_remove(node);
        change->done(change, ERR_UNAVAILABLE, why(gateway));
    }
}

uint64_t patient_gateway_deadline_ms(const struct patient_gateway *gateway)
{
    return list_empty(&gateway->reads) && list_empty(&gateway->changes) ? UINT64_MAX : 0;
}

static int patient_transfer(struct gateway *gateway, uint64_t node)
{
    (void)gateway;
    (void)node;
    return ERR_UNAVAILABLE;
}

/* Not its own either: whether it is a member at all, others know. */
static int patient_repair(struct gateway *gateway, uint64_t node)
{
    (void)gateway;
    (void)node;
    return ERR_UNAVAILABLE;
}

/* ---- How it is ---- */

static const char *role(const struct patient *patient)
{
    return patient_is_founding(patient) ? "founding" : patient_is_new(patient) ? "joining" : "repairing";
}

static struct gateway_status_member own_row(const struct patient_gateway *self)
{
    const struct patient_gateway_options *options = &self->options;
    return (struct gateway_status_member){
        .id = options->node,
        .peer_address = "",
        .client_address = peers_client_address(options->peers, options->node),
        .role = role(options->patient),
        .connected = true,
        .detail = patient_text(options->patient),
        .zone = "",
    };
}

/* What it is to the cluster now, a patient does not know. */
static struct gateway_status_member other_row(const struct patient_gateway *self, const struct driver_member *member)
{
    const struct peers *peers = self->options.peers;
    const struct peer *peer = peers_find(peers, member->id);
    return (struct gateway_status_member){
        .id = member->id,
        .peer_address = member->address,
        .client_address = peers_client_address(peers, member->id),
        .role = "unknown",
        .connected = peer != NULL && peer->connected,
        .detail = "",
        .zone = "",
    };
}

static void patient_status(struct gateway *gateway, struct gateway_status *ret_status)
{
    struct patient_gateway *self = patient_gateway_of(gateway);
    const struct patient_gateway_options *options = &self->options;
    bool has_own = false;
    *ret_status = (struct gateway_status){
        .cluster = options->cluster, .node = options->node, .version = options->version, .refusing = why(self)};
    for (unsigned i = 0; i < options->members_len && i < MEMBERS_MAX; i++) {
        const struct driver_member *member = &options->members[i];
        struct gateway_status_member *row = &ret_status->members[ret_status->members_len++];
        bool own = member->id == options->node;
        *row = own ? own_row(self) : other_row(self, member);
        row->peer_address = member->address;
        has_own = has_own || own;
    }
    if (!has_own) {
        ret_status->members[ret_status->members_len++] = own_row(self);
    }
    if (!patient_is_new(options->patient)) {
        (void)snprintf(self->alarm, sizeof self->alarm, "node %" PRIu64 ": %s", options->node,
                       patient_text(options->patient));
        ret_status->alarms[ret_status->alarms_len++] = self->alarm;
    }
}

/* There is no replica to look at: every read fails, and so nothing is looked at. */
static const struct gateway_ops patient_ops = {
    .leader = patient_leader,
    .attach = patient_attach,
    .submit = patient_submit,
    .pause = patient_pause,
    .detach = patient_detach,
    .read = patient_read,
    .read_cancel = patient_read_cancel,
    .transfer = patient_transfer,
    .change = patient_change,
    .change_cancel = patient_change_cancel,
    .repair = patient_repair,
    .status = patient_status,
};

/* ---- Life ---- */

void patient_gateway_init(struct patient_gateway *gateway, const struct patient_gateway_options *options)
{
    *gateway = (struct patient_gateway){.base = {.ops = &patient_ops}, .options = *options};
    list_init(&gateway->reads);
    list_init(&gateway->changes);
}

void patient_gateway_set_members(struct patient_gateway *gateway, const struct driver_member *members,
                                 unsigned members_len)
{
    gateway->options.members = members;
    gateway->options.members_len = members_len;
}

/* The callers' structs may be cancelled afterwards. */
void patient_gateway_done(struct patient_gateway *gateway)
{
    struct list_node forgotten;
    struct list_node *node;
    list_take(&gateway->reads, &forgotten);
    while ((node = list_first(&forgotten)) != NULL) {
        list_remove(node);
    }
    list_take(&gateway->changes, &forgotten);
    while ((node = list_first(&forgotten)) != NULL) {
        list_remove(node);
    }
}
