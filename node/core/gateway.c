/* The gateway's ops: links come, submit, pause and go. */

#include "node/core/gateway.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"

static struct link *link_of(struct gateway_link *link)
{
    return container_of(link, struct link, base);
}

uint64_t gateway_now_ms(const struct gateway_core *core)
{
    return core->clock->monotonic_ms(core->clock);
}

void gateway_machine_failed(struct gateway_core *core, int err, const char *what)
{
    char said[160] = "";
    char text[240];
    machine_explain(core->machine, said, sizeof said);
    (void)snprintf(text, sizeof text, "%s: %s", what, said[0] != '\0' ? said : err_text(err));
    bool damage = err == ERR_CORRUPT || err == ERR_CHECKSUM || err == ERR_NOT_FOUND;
    if (damage && core->options.repair != NULL) {
        core->options.repair(core->options.arg, text, false);
        return;
    }
    core->options.fatal(core->options.arg, err, text);
}

struct gateway_leader gateway_where(const struct gateway_core *core)
{
    return (struct gateway_leader){
        .node = core->leader,
        .address = core->leader == 0 ? "" : peers_client_address(core->options.peers, core->leader),
    };
}

static int gateway_leader(struct gateway *gateway, struct gateway_leader *ret_leader)
{
    struct gateway_core *core = gateway_core_of(gateway);
    *ret_leader = gateway_where(core);
    return core->leader != 0 ? 0 : ERR_UNAVAILABLE;
}

/* Whether commands can be hoped to be answered. Without a leader they wait for the next one, as everything does, until this
 * node counts as cut off. */
static bool gateway_hopes(const struct gateway_core *core)
{
    return !core->stalled && !core->stuck && !gateway_digests_unsure(core) &&
           (core->leader != 0 || gateway_now_ms(core) < core->leaderless_since_ms + core->options.isolation_timeout_ms);
}

static bool gateway_serves(const struct gateway_core *core)
{
    return !core->stopping && gateway_hopes(core);
}

/* Notes what the client says to have seen, so that the rest is sent again. */
static int gateway_note_seen(struct link *link, const struct gateway_attach *attach)
{
    if (attach->consumers_len > SESSION_CONSUMERS_MAX) {
        return ERR_LIMIT;
    }
    for (size_t i = 0; i < attach->consumers_len; i++) {
        struct link_consumer *consumer;
        int err = link_consumer_get(link, attach->consumers[i], &consumer);
        if (err != 0) {
            return err;
        }
        consumer->sent = attach->seen[i];
        consumer->named = true;
    }
    return 0;
}

void gateway_link_free(struct gateway_core *core, struct link *link)
{
    struct list_node *node;
    while ((node = list_first(&link->pending)) != NULL) {
        outgoing_drop(&core->outgoing, container_of(node, struct outgoing_command, of_link));
    }
    links_remove(&core->links, link);
}

static int gateway_attach(struct gateway *gateway, const struct gateway_attach *attach, const struct gateway_sink *sink,
                          struct gateway_link **ret_link)
{
    struct gateway_core *core = gateway_core_of(gateway);
    if (!gateway_serves(core)) {
        return ERR_UNAVAILABLE;
    }
    if (core->outgoing.len >= OUTGOING_COMMANDS_MAX) {
        return ERR_LIMIT;
    }
    struct link *link;
    int err = links_add(&core->links, sink, &link);
    if (err != 0) {
        return err;
    }
    struct outgoing_command *command = NULL;
    link->base.gateway = gateway;
    err = gateway_note_seen(link, attach);
    if (err == 0) {
        err = gateway_farewell_new(&link->farewell);
    }
    if (err == 0) {
        err = gateway_attach_command(core, attach, link->id, &command);
    }
    if (err != 0) {
        gateway_link_free(core, link);
        return err;
    }
    outgoing_push(&core->outgoing, command);
    *ret_link = &link->base;
    return 0;
}

static bool gateway_has_room(const struct gateway_core *core, const struct link *link,
                             const struct entry_command *command)
{
    if (core->outgoing.len >= OUTGOING_COMMANDS_MAX || core->outgoing.bytes >= OUTGOING_BYTES_MAX) {
        return false;
    }
    if (link->slow_until_ms != 0 && batch_command_publishes(command) && gateway_now_ms(core) < link->slow_until_ms) {
        return false;
    }
    return link->pending_commands == 0 || (link->pending_commands < LINK_PENDING_COMMANDS_MAX &&
                                           link->pending_bytes + batch_command_len(command) <= LINK_PENDING_BYTES_MAX);
}

void gateway_resume_at(struct gateway_core *core, const struct link *link)
{
    uint64_t now_ms = gateway_now_ms(core);
    uint64_t at_ms = UINT64_MAX;
    if (link->slow_until_ms > now_ms) {
        at_ms = link->slow_until_ms;
    } else if (link->pending_commands == 0) {
        at_ms = now_ms + LINK_SLOW_MS;
    }
    core->resume_ms = at_ms < core->resume_ms ? at_ms : core->resume_ms;
}

static int gateway_take_command(struct gateway_core *core, struct link *link, const struct entry_command *command)
{
    struct outgoing_command *made = gateway_has_room(core, link, command) ? outgoing_command_new(command) : NULL;
    if (made == NULL) {
        if (!list_linked(&link->busy)) {
            list_push_back(&core->busy, &link->busy);
        }
        gateway_resume_at(core, link);
        return ERR_BUSY;
    }
    list_push_back(&link->pending, &made->of_link);
    outgoing_push(&core->outgoing, made);
    link->last_number = command->number;
    link->pending_commands++;
    link->pending_bytes += batch_command_len(command);
    return 0;
}

static int gateway_submit(struct gateway_link *base, uint64_t number, uint64_t answered, struct slice header,
                          struct slice bodies)
{
    struct link *link = link_of(base);
    if (header.len > HEADER_LEN_MAX || bodies.len > COMMAND_BODIES_LEN_MAX) {
        return ERR_TOO_BIG;
    }
    if (link->state != LINK_ATTACHED) {
        return ERR_BUSY; /* It is over, and will be told so at the end of the turn. */
    }
    if (number <= link->last_number) {
        return ERR_INVALID;
    }
    struct entry_command command = {
        .session = link->session,
        .number = number,
        .attachment = link->attachment,
        .answered = answered,
        .header = header,
        .bodies = bodies,
    };
    return gateway_take_command(gateway_core_of(base->gateway), link, &command);
}

void gateway_answered(struct gateway_core *core)
{
    core->answers++;
    core->stuck = false;
}

void gateway_link_answered(struct gateway_core *core, struct link *link, struct outgoing_command *command)
{
    CHECK(link->pending_commands > 0);
    gateway_answered(core);
    link->pending_commands--;
    link->pending_bytes -= batch_command_len(&command->command);
    outgoing_drop(&core->outgoing, command);
}

static void gateway_pause(struct gateway_link *base, bool paused)
{
    struct link *link = link_of(base);
    struct gateway_core *core = gateway_core_of(base->gateway);
    link->paused = paused;
    if (!paused && link->state == LINK_ATTACHED && !list_empty(&link->consumers_behind) &&
        !list_linked(&link->behind)) {
        list_push_back(&core->behind, &link->behind);
        core->more = true;
    }
}

void gateway_link_farewell(struct gateway_core *core, struct link *link, uint64_t session, uint64_t attachment)
{
    struct outgoing_command *farewell = link->farewell;
    if (farewell != NULL) {
        link->farewell = NULL;
        gateway_farewell_fill(core, farewell, session, attachment, ++core->links.id_last);
        outgoing_push(&core->outgoing, farewell);
        core->more = true;
    }
}

/* Whether the answer to its attach command has to be waited for: the session may be attached by then. */
static bool gateway_attach_may_come(struct gateway_core *core, struct link *link)
{
    struct outgoing_command *command = outgoing_find(&core->outgoing, link->id);
    if (link->state != LINK_ATTACHING || command == NULL) {
        return false;
    }
    if (!command->tried) {
        outgoing_drop(&core->outgoing, command);
        return false;
    }
    return true;
}

static void gateway_detach(struct gateway_link *base)
{
    struct link *link = link_of(base);
    struct gateway_core *core = gateway_core_of(base->gateway);
    if (link->session != 0) {
        gateway_link_farewell(core, link, link->session, link->attachment);
        links_unbind(&core->links, link);
    }
    list_remove(&link->touched);
    list_remove(&link->behind);
    list_remove(&link->busy);
    if (link->doom_orphans || gateway_attach_may_come(core, link)) {
        link->state = LINK_ORPHAN;
        return;
    }
    link->state = LINK_GONE;
    if (!core->in_turn) {
        gateway_link_free(core, link);
    } else if (!list_linked(&link->ending)) {
        list_push_back(&core->ending, &link->ending);
    }
}

static const struct gateway_ops gateway_core_ops = {
    .leader = gateway_leader,
    .attach = gateway_attach,
    .submit = gateway_submit,
    .pause = gateway_pause,
    .detach = gateway_detach,
    .read = gateway_read,
    .read_cancel = gateway_read_cancel,
    .queues = gateway_queues,
    .queue = gateway_queue,
    .browse = gateway_browse,
    .machine_version = gateway_machine_version,
    .exchanges = gateway_exchanges,
    .bindings = gateway_bindings,
    .virtual_hosts = gateway_virtual_hosts,
    .life = gateway_life,
    .consumers = gateway_consumers,
    .limits = gateway_limits,
    .producer = gateway_producer,
    .prepared = gateway_prepared,
    .transfer = gateway_transfer,
    .change = gateway_change,
    .change_cancel = gateway_change_cancel,
    .repair = gateway_repair,
    .status = gateway_fill_status,
};

static uint64_t gateway_draw_run(struct clock *clock)
{
    uint64_t run;
    do {
        run = clock->random(clock);
    } while (run == 0);
    return run;
}

void gateway_core_init(struct gateway_core *core, const struct gateway_core_options *options)
{
    *core = (struct gateway_core){
        .base = {.ops = &gateway_core_ops, .body_len_max = options->body_len_max},
        .options = *options,
        .machine = options->machine,
        .clock = options->clock,
        .journal = options->journal,
        .node = options->node,
        .run = gateway_draw_run(options->clock),
        .resume_ms = UINT64_MAX,
    };
    core->leaderless_since_ms = gateway_now_ms(core);
    core->applied_ms = gateway_now_ms(core);
    outgoing_init(&core->outgoing);
    reads_init(&core->reads, core->run >> 16); /* Not what an earlier process of this node has asked. */
    gateway_digests_init(core);
    gateway_clocks_init(core);
    gateway_time_init(core);
    gateway_members_init(core);
    arena_init(&core->arena, PEER_HEADER_UNPACKED_MAX);
    list_init(&core->touched);
    list_init(&core->behind);
    list_init(&core->busy);
    list_init(&core->ending);
}

void gateway_core_set_driver(struct gateway_core *core, struct driver *driver)
{
    core->driver = driver;
    core->members.options.driver = driver;
    driver_status(driver, &core->status);
    core->entry_term = core->status.applied_term; /* A checkpoint is made right after an entry of the machine's. */
}

void gateway_core_done(struct gateway_core *core)
{
    for (struct link *link = links_first(&core->links); link != NULL; link = links_first(&core->links)) {
        gateway_link_free(core, link);
    }
    outgoing_done(&core->outgoing);
    batch_done(&core->batch);
    gateway_members_done(core);
    arena_done(&core->arena);
}

/* Whether the session stays attached here in the machine although its link ends. */
static bool doom_leaves_attached(int err)
{
    return err != ERR_DISPLACED && err != ERR_SESSION_EXPIRED && err != ERR_CLOSED;
}

void gateway_link_doom(struct gateway_core *core, struct link *link, int err, const char *detail)
{
    if (link->state == LINK_DOOMED || link->state == LINK_GONE || link->state == LINK_ORPHAN) {
        return;
    }
    if (link->session != 0 && doom_leaves_attached(err)) {
        gateway_link_farewell(core, link, link->session, link->attachment);
    }
    link->doom_orphans = gateway_attach_may_come(core, link);
    links_unbind(&core->links, link);
    link->state = LINK_DOOMED;
    link->doom_err = err;
    (void)snprintf(link->doom_detail, sizeof link->doom_detail, "%s", detail == NULL ? "" : detail);
    list_push_back(&core->ending, &link->ending);
}

void gateway_doom_all(struct gateway_core *core, const char *detail)
{
    for (struct link *link = links_first(&core->links); link != NULL; link = links_next(link)) {
        gateway_link_doom(core, link, ERR_UNAVAILABLE, detail);
    }
}

void gateway_core_stop(struct gateway_core *core)
{
    core->stopping = true;
    gateway_doom_all(core, "this node is stopping");
    core->more = true;
}

bool gateway_core_finished(const struct gateway_core *core)
{
    return core->outgoing.len == 0 || !gateway_hopes(core);
}

void gateway_link_touch(struct gateway_core *core, struct link *link)
{
    if (link->state == LINK_ATTACHED && !list_linked(&link->touched)) {
        list_push_back(&core->touched, &link->touched);
    }
}

void gateway_consumer_behind(struct gateway_core *core, struct link *link, struct link_consumer *consumer)
{
    if (!list_linked(&consumer->behind)) {
        list_push_back(&link->consumers_behind, &consumer->behind);
    }
    if (!link->paused && !list_linked(&link->behind)) {
        list_push_back(&core->behind, &link->behind);
    }
}
