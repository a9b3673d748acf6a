/* What the commands of an entry did, by their answers. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "proto/wire/entry.h"
#include "sim_ledger_private.h"
#include "sim_world.h"

static struct sim_ledger_session *look_session(struct sim_ledger *ledger, uint64_t id)
{
    for (size_t i = ledger->sessions_len; i > 0; i--) {
        if (ledger->sessions[i - 1].id == id) {
            return &ledger->sessions[i - 1];
        }
    }
    if (ledger->sessions_len == ledger->sessions_cap) {
        ledger->sessions_cap = ledger->sessions_cap * 2 + 16;
        ledger->sessions = realloc(ledger->sessions, ledger->sessions_cap * sizeof *ledger->sessions);
        CHECK(ledger->sessions != NULL);
    }
    ledger->sessions[ledger->sessions_len] = (struct sim_ledger_session){.id = id};
    return &ledger->sessions[ledger->sessions_len++];
}

void look_route(struct look *look, uint64_t id, struct sim_parcel *parcel)
{
    parcel->routed = true;
    for (unsigned queue = 0; queue < SIM_FEATURE_QUEUES; queue++) {
        if ((parcel->routes >> queue & 1) != 0 && look->expected_len < LOOK_MOVES_MAX * 4) {
            look->expected[look->expected_len++] = (struct look_expected){.parcel = id, .queue = queue};
        }
    }
}

/* ---- Publishing ---- */

static int look_producer(const struct look *look, const char *name)
{
    unsigned actor = 0;
    (void)look;
    if (sscanf(name, "f-actor-%u", &actor) == 1 && actor < SIM_ACTORS_MAX) {
        return (int)actor;
    }
    return strcmp(name, "f-shared") == 0 ? (int)SIM_ACTORS_MAX : -1;
}

static void publish_taken(struct look *look, uint64_t id, const Holdfast__Publish *publish)
{
    struct sim_parcel *parcel = sim_ledger_parcel(look->world, id);
    if (parcel == NULL) {
        sim_world_violation(look->world, "entry %" PRIu64 " takes a message that nobody sent", look->index);
        return;
    }
    if (parcel->taken) {
        sim_world_violation(look->world, "message %" PRIx64 " was taken twice", id);
    }
    parcel->taken = true;
    sim_world_count(look->world, SIM_STAT_F_TAKEN, 1);
    if (publish->prepare != NULL) {
        parcel->due_ms = look->time_ms + publish->prepare->deadline_ms;
        look->ledger->pending++;
        sim_world_count(look->world, SIM_STAT_F_PREPARED, 1);
    } else if (parcel->delay_ms > 0) {
        parcel->due_ms = look->time_ms + parcel->delay_ms;
        look->ledger->pending++;
        sim_world_count(look->world, SIM_STAT_F_DELAYED, 1);
    } else {
        look_route(look, id, parcel);
    }
}

/* A publish that was carried out: its sequences, and each of its messages. Gives the number of those that are new. */
static uint64_t publish_done(struct look *look, const Holdfast__Publish *publish, struct slice bodies)
{
    size_t at = 0;
    uint64_t taken = 0;
    int producer = look_producer(look, publish->producer);
    uint64_t *last = producer < 0 ? NULL : &look->ledger->producers[producer].sequence;
    if (producer >= 0 && publish->producer_epoch != 0 &&
        publish->producer_epoch < look->ledger->producers[producer].epoch) {
        sim_world_violation(look->world,
                            "entry %" PRIu64 ": a producer of epoch %" PRIu64 " publishes in epoch %" PRIu64,
                            look->index, publish->producer_epoch, look->ledger->producers[producer].epoch);
    }
    for (size_t i = 0; i < publish->n_body_len; i++) {
        size_t body = at + (i < publish->n_head_len ? publish->head_len[i] : 0);
        at = body + publish->body_len[i];
        if (at > bodies.len || publish->body_len[i] < 8) {
            return taken;
        }
        if (last != NULL && publish->first_sequence + i <= *last) {
            sim_world_count(look->world, SIM_STAT_F_REPEATED, 1);
            continue;
        }
        if (last != NULL) {
            *last = publish->first_sequence + i;
        }
        publish_taken(look, get_u64(bodies.data + body), publish);
        taken++;
    }
    return taken;
}

/* Rovers' messages are none of the ledger's: they are in another virtual host. */
static bool publish_of_rover(const Holdfast__Publish *publish, struct slice bodies)
{
    size_t at = publish->n_head_len > 0 ? publish->head_len[0] : 0;
    return publish->n_head_len > 0 && at + 8 <= bodies.len && get_u64(bodies.data + at) >> 56 == SIM_ROVER_MARK;
}

static void look_publish(struct look *look, const struct look_command *command)
{
    const Holdfast__Publish *publish = command->command->publish;
    sim_world_count(look->world, SIM_STAT_F_FENCED, command->error == (uint32_t)-ERR_FENCED);
    sim_world_count(look->world, SIM_STAT_F_FULL, command->error == (uint32_t)-ERR_FULL);
    if (publish->n_head_len == 0 || command->error != 0 || publish_of_rover(publish, command->bodies)) {
        return;
    }
    (void)publish_done(look, publish, command->bodies);
    if (command->count + command->repeated_count != publish->n_body_len) {
        sim_world_violation(look->world,
                            "entry %" PRIu64 ": of %zu messages %" PRIu64 " were taken and %" PRIu64 " were repeats",
                            look->index, publish->n_body_len, command->count, command->repeated_count);
    }
}

static uint64_t settle_numbers(const Holdfast__Settle *settle)
{
    uint64_t numbers = 0;
    for (size_t i = 0; i < settle->n_first; i++) {
        numbers += settle->last[i] - settle->first[i] + 1;
    }
    return numbers;
}

static void look_transact(struct look *look, const struct look_command *command)
{
    const Holdfast__Transact *transact = command->command->transact;
    if (publish_of_rover(transact->publish[0], command->bodies)) {
        return;
    }
    sim_world_count(look->world, SIM_STAT_F_TRANSACT_REFUSED, command->error != 0);
    if (command->error != 0) {
        return;
    }
    sim_world_count(look->world, SIM_STAT_F_TRANSACT, 1);
    uint64_t parts = publish_done(look, transact->publish[0], command->bodies);
    for (size_t i = 0; i < transact->n_settle; i++) {
        parts += settle_numbers(transact->settle[i]);
    }
    if (command->count + command->repeated_count != parts) {
        sim_world_violation(look->world,
                            "entry %" PRIu64 ": of a transaction of %" PRIu64 " messages and settlements %" PRIu64
                            " were done",
                            look->index, parts, command->count + command->repeated_count);
    }
}

/* What was prepared under an id is committed, or dropped. */
static void look_resolve(struct look *look, const struct look_command *command)
{
    const Holdfast__ResolvePrepared *resolve = command->command->resolve_prepared;
    uint64_t prepared = 0;
    if (command->error != 0 || sscanf(resolve->id, "p-%" SCNx64, &prepared) != 1) {
        return;
    }
    unsigned actor = (unsigned)(prepared >> 32) - 1;
    uint64_t found = 0;
    for (uint64_t i = 0; i < look->ledger->senders[actor].len; i++) {
        struct sim_parcel *parcel = &look->ledger->senders[actor].parcels[i];
        bool over = parcel->due_ms <= look->time_ms; /* Its deadline came first, unless the machine is behind. */
        if (parcel->prepared != prepared || !parcel->taken || parcel->routed || parcel->dropped ||
            (over && !(look->world->features.little && command->count > 0))) {
            continue;
        }
        found++;
        if (resolve->commit && look->late) {
            parcel->prepared = 0; /* Some of them may come with the next entries. */
            parcel->due_ms = look->time_ms;
            parcel->resolved = true;
            continue;
        }
        if (resolve->commit && parcel->delay_ms > 0) {
            parcel->prepared = 0; /* From here on it is one that is delayed. */
            parcel->due_ms = look->time_ms + parcel->delay_ms;
            continue;
        }
        look->ledger->pending--;
        parcel->dropped = !resolve->commit;
        if (resolve->commit) {
            look_route(look, (uint64_t)(actor + 1) << 48 | (i + 1), parcel);
        }
    }
    sim_world_count(look->world, resolve->commit ? SIM_STAT_F_COMMITTED : SIM_STAT_F_ROLLED_BACK, found);
    if (found != command->count) {
        sim_world_violation(
            look->world, "entry %" PRIu64 ": %" PRIu64 " prepared messages were resolved, and %" PRIu64 " were there",
            look->index, command->count, found);
    }
}

static void look_open(struct look *look, const struct look_command *command)
{
    const Holdfast__OpenProducer *open = command->command->open_producer;
    int producer = look_producer(look, open->producer);
    if (command->error != 0 || producer < 0) {
        return;
    }
    sim_world_count(look->world, SIM_STAT_F_OPENED, 1);
    if (command->count != look->ledger->producers[producer].epoch + 1 ||
        command->repeated_count != look->ledger->producers[producer].sequence) {
        sim_world_violation(look->world,
                            "entry %" PRIu64 ": a producer was opened with epoch %" PRIu64 " and sequence %" PRIu64
                            ", after epoch %" PRIu64 " and sequence %" PRIu64,
                            look->index, command->count, command->repeated_count,
                            look->ledger->producers[producer].epoch, look->ledger->producers[producer].sequence);
    }
    look->ledger->producers[producer].epoch = command->count;
}

/* What it holds it keeps, and is given nothing more. */
static void look_drain(struct look *look, const struct look_command *command)
{
    const Holdfast__Unsubscribe *unsubscribe = command->command->unsubscribe;
    struct sim_ledger *ledger = look->ledger;
    if (!unsubscribe->drain || command->error != 0) {
        return;
    }
    uint64_t slot = ledger->drains_made++ % SIM_LEDGER_DRAINS;
    ledger->drains[slot].session = command->session;
    ledger->drains[slot].consumer = unsubscribe->consumer;
    sim_world_count(look->world, SIM_STAT_F_DRAINED, command->count > 0);
}

/* ---- All of an entry ---- */

static void look_command(struct look *look, const struct look_command *command)
{
    switch (command->command->kind_case) {
    case HOLDFAST__COMMAND__KIND_PUBLISH: look_publish(look, command); break;
    case HOLDFAST__COMMAND__KIND_TRANSACT: look_transact(look, command); break;
    case HOLDFAST__COMMAND__KIND_RESOLVE_PREPARED: look_resolve(look, command); break;
    case HOLDFAST__COMMAND__KIND_OPEN_PRODUCER: look_open(look, command); break;
    case HOLDFAST__COMMAND__KIND_UNSUBSCRIBE: look_drain(look, command); break;
    case HOLDFAST__COMMAND__KIND_CHANGE_EXCHANGE:
    case HOLDFAST__COMMAND__KIND_DELETE_EXCHANGE:
        sim_rover_exchange_command(look->world, look->index, command->command, -(int)command->error);
        break;
    case HOLDFAST__COMMAND__KIND_SET_LIMITS: look->world->rovers.limits_index = look->index; break;
    case HOLDFAST__COMMAND__KIND_EXTEND:
        sim_world_count(look->world, SIM_STAT_F_EXTENDED, command->error == 0 ? command->count : 0);
        break;
    case HOLDFAST__COMMAND__KIND_SETTLE:
        sim_world_count(look->world, SIM_STAT_F_STALE, command->error == 0 ? command->repeated_count : 0);
        break;
    default: break;
    }
}

/* One that is to keep its order must not be let in behind one that failed, if its sender did not know of that. */
static void look_order(struct look *look, struct sim_ledger_session *session, const struct look_command *command,
                       const struct entry_command *from)
{
    bool behind = from->answered < session->failed;
    if (command->command->kind_case == HOLDFAST__COMMAND__KIND_REFUSED) {
        session->failed = from->number; /* The leader kept it out. */
        return;
    }
    const Holdfast__Publish *publish = command->command->publish;
    if (command->command->kind_case != HOLDFAST__COMMAND__KIND_PUBLISH || !publish->in_order ||
        machine_version(look->machine) < 2) {
        return;
    }
    if (command->error == 0 && behind) {
        sim_world_violation(look->world,
                            "entry %" PRIu64 ": publish %" PRIu64 " of session %" PRIu64 " was let in behind %" PRIu64,
                            look->index, from->number, from->session, session->failed);
    }
    sim_world_count(look->world, SIM_STAT_F_ORDER_KEPT, command->error == (uint32_t)-ERR_REFUSED && behind);
    /* What failed as a whole may come again message by message. A quota is said of each. */
    bool several = publish->n_body_len > 1 && command->error != (uint32_t)-ERR_LIMIT;
    if (command->error != 0 && (several || behind)) {
        session->failed = from->number;
    }
}

/* The answer says whether it was carried out here; one that was sent again is answered as before. */
static void look_answer(struct look *look, struct look_command *command, const struct entry_command *from, uint32_t at)
{
    struct sim_ledger_session *session = look_session(look->ledger, from->session);
    for (size_t i = 0; i < look->effects->len; i++) {
        const struct effect *effect = &look->effects->items[i];
        if (effect->kind != EFFECT_REPLY || effect->session != from->session || effect->reply.command != at) {
            continue;
        }
        command->error = effect->reply.error;
        command->count = effect->reply.count;
        command->repeated_count = effect->reply.repeated_count;
        command->done = from->number == session->number + 1 && effect->reply.error != (uint32_t)-ERR_DISPLACED &&
                        effect->reply.error != (uint32_t)-ERR_SESSION_EXPIRED;
        session->number += command->done;
        if (command->done) {
            look_order(look, session, command, from);
        }
        return;
    }
}

void look_commands(struct look *look, struct slice payload)
{
    struct entry_head head;
    size_t offset = ENTRY_HEAD_LEN;
    int err = entry_head_decode(payload, &head);
    CHECK(err == 0);
    look->commands = calloc(head.commands + 1, sizeof *look->commands);
    CHECK(look->commands != NULL);
    for (uint32_t i = 0; i < head.commands; i++) {
        struct entry_command from;
        err = entry_command_decode(payload, &offset, &from);
        CHECK(err == 0);
        struct look_command *command = &look->commands[look->commands_len];
        command->command = holdfast__command__unpack(NULL, from.header.len, from.header.data);
        command->session = from.session;
        command->bodies = from.bodies;
        if (from.session == 0 || command->command == NULL) {
            if (command->command != NULL) {
                holdfast__command__free_unpacked(command->command, NULL);
            }
            continue;
        }
        look->commands_len++;
        look_answer(look, command, &from, i);
        if (command->done) {
            look_command(look, command);
        }
    }
}

void look_commands_done(struct look *look)
{
    for (size_t i = 0; i < look->commands_len; i++) {
        holdfast__command__free_unpacked(look->commands[i].command, NULL);
    }
    free(look->commands);
}
