/* Whom a patient asks, and what it says about it. */

#include "node/core/patient.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/core/rebuild_message.h"
#include "node/core/rebuild_sink.h"
#include "node/core/repair_mark.h"
#include "proto/base/arena.h"
#include "proto/base/limits.h"

/* Between two rounds, or two questions to the one that leads: so long, by chance. */
#define PAUSE_MS_MIN 500u
#define PAUSE_MS_MAX 2000u

/* So long, and over so many rounds, nobody leads before an operator's order is taken for withdrawn: several elections. */
#define WITHDRAW_MS 30000u

/* So long nobody leads, by all who answer, before that is said to be what the copy waits for: more than an election. */
#define HELPLESS_MS 6000u

/* Before another member is asked in the same round. */
#define NEXT_MS 50u

#define REFUSAL_LEN_MAX 400u

/* For so long the journal is told of no refusal of a kind that it has been told of. */
#define SAID_MS 60000u

struct patient {
    struct patient_options options;
    char reason[REPAIR_REASON_LEN_MAX + 1];
    uint64_t members[MEMBERS_MAX];
    unsigned members_len;
    struct rebuild_sink *sink;
    struct arena arena;            /* For questions of others. */
    uint64_t target;               /* Whom it asks next; 0: there is nobody. */
    unsigned tries;                /* Of this round. */
    uint64_t leaderless_ms;        /* Since when all who answered know no leader; UINT64_MAX: not so. */
    bool told;                     /* Just now, whether it votes: what it wants next is to ask again. */
    bool unnoted;                  /* It was told, and there was no room to note that. */
    bool over;                     /* replaced() or withdraw() has been called. */
    char refusal[REFUSAL_LEN_MAX]; /* The last one; "": none. */
    uint64_t turned_away_by;       /* Who does not even let this node connect; 0: nobody, as far as is known. */
    char turned_away[REFUSAL_LEN_MAX - 64]; /* Its words. */
    uint64_t said_kinds;                    /* Of refusals, a bit for each error, that are in the journal, */
    uint64_t said_ms;                       /* since this time. */
    char text[REPAIR_REASON_LEN_MAX + REFUSAL_LEN_MAX + 300];
};

/* ---- Whom ---- */

static unsigned member_at(const struct patient *patient, uint64_t node)
{
    unsigned at = 0;
    while (at < patient->members_len && patient->members[at] != node) {
        at++;
    }
    return at;
}

static bool is_member(const struct patient *patient, uint64_t node)
{
    return member_at(patient, node) < patient->members_len;
}

/* The one after it; whoever comes first when it is none of them. */
static uint64_t member_after(const struct patient *patient, uint64_t node)
{
    unsigned at = member_at(patient, node);
    if (patient->members_len == 0) {
        return 0;
    }
    return patient->members[at < patient->members_len ? (at + 1) % patient->members_len : 0];
}

static void members_take(struct patient *patient, const uint64_t *members, unsigned members_len)
{
    patient->members_len = 0;
    for (unsigned i = 0; i < members_len && patient->members_len < MEMBERS_MAX; i++) {
        if (members[i] != patient->options.node && members[i] != 0 && !is_member(patient, members[i])) {
            patient->members[patient->members_len++] = members[i];
        }
    }
}

void patient_set_members(struct patient *patient, const uint64_t *members, unsigned members_len)
{
    members_take(patient, members, members_len);
    patient->tries = 0;
    if (!is_member(patient, patient->target)) {
        patient->target = member_after(patient, 0);
    }
}

static uint64_t pause_ms(const struct patient *patient)
{
    struct clock *clock = patient->options.clock;
    return PAUSE_MS_MIN + clock->random(clock) % (PAUSE_MS_MAX - PAUSE_MS_MIN + 1);
}

/* ---- What the sink says ---- */

static bool sink_send(void *arg, uint64_t node, struct frame_out *frame)
{
    struct patient *patient = arg;
    return patient->options.bulk_send(patient->options.arg, node, true, frame);
}

static void sink_hang_up(void *arg, uint64_t node)
{
    struct patient *patient = arg;
    patient->options.bulk_hang_up(patient->options.arg, node);
}

static void sink_ready(void *arg, const char *name, uint64_t index, uint64_t term)
{
    struct patient *patient = arg;
    journal_info(patient->options.journal, "repair",
                 "a copy of the state is here, up to entry %" PRIu64 " (term %" PRIu64 ") or later", index, term);
    patient->over = true;
    patient->options.replaced(patient->options.arg, name);
}

/* Where there is no place for one more, the one that named it has to do: it stays, and is asked again. */
static void sink_leader_at(void *arg, uint64_t leader, const char *address)
{
    struct patient *patient = arg;
    const struct patient_options *options = &patient->options;
    if (options->reach != NULL && leader != options->node && !is_member(patient, leader) &&
        patient->members_len < MEMBERS_MAX && options->reach(options->arg, leader, address)) {
        journal_info(options->journal, "repair", "node %" PRIu64 " at %s has become a member, and leads", leader,
                     address);
        patient->members[patient->members_len++] = leader;
    }
}

static void sink_told_vote(void *arg, bool voter)
{
    struct patient *patient = arg;
    const struct patient_options *options = &patient->options;
    int err = options->note_vote(options->arg, voter);
    if (err == ERR_NO_SPACE) {
        if (!patient->unnoted) {
            journal_warning(options->journal, "repair", "%s/repair: there is no room to note whether this node votes",
                            options->dir);
        }
        patient->unnoted = true;
        return;
    }
    if (err != 0) {
        options->fatal(options->arg, err, "whether this node votes could not be noted");
        return;
    }
    journal_info(options->journal, "repair", "the leader says that this node %s",
                 voter ? "votes: it is to vote again when it has a copy of the state" : "has no vote");
    rebuild_sink_set_vote(patient->sink, voter ? REBUILD_VOTE_HAD : REBUILD_VOTE_NONE);
    patient->told = true;
    patient->unnoted = false;
}

/* Somebody who leads, or knows who does, has answered; the others have not, or cannot. */
static bool knows(int err)
{
    return err != ERR_NOT_LEADER && err != ERR_TIMEOUT && err != ERR_UNAVAILABLE;
}

/* Whoever cannot be reached says nothing about who leads. */
static void note_leader(struct patient *patient, int err, uint64_t leader)
{
    struct clock *clock = patient->options.clock;
    if (knows(err) || leader != 0) {
        patient->leaderless_ms = UINT64_MAX;
    } else if (err == ERR_NOT_LEADER && patient->leaderless_ms == UINT64_MAX) {
        patient->leaderless_ms = clock->monotonic_ms(clock);
    }
}

/* By its kind: several members may say the same, each in its own words, again and again. */
static bool is_news(struct patient *patient, int err)
{
    struct clock *clock = patient->options.clock;
    uint64_t now_ms = clock->monotonic_ms(clock);
    uint64_t kind = UINT64_C(1) << ((unsigned)-err % 64u);
    if (patient->said_kinds == 0 || now_ms - patient->said_ms >= SAID_MS) {
        patient->said_kinds = 0;
        patient->said_ms = now_ms;
    }
    bool news = (patient->said_kinds & kind) == 0;
    patient->said_kinds |= kind;
    return news;
}

/* Whoever does not let this node connect cannot be asked, and has said why. */
static void say_refusal(struct patient *patient, uint64_t source, int err, const char *detail)
{
    bool turned_away = err == ERR_UNAVAILABLE && patient->turned_away_by != 0;
    (void)snprintf(patient->refusal, sizeof patient->refusal, "node %" PRIu64 "%s: %s",
                   turned_away ? patient->turned_away_by : source, turned_away ? " refuses this node" : "",
                   turned_away         ? patient->turned_away
                   : detail[0] != '\0' ? detail
                                       : err_text(err));
    if (is_news(patient, turned_away ? ERR_REFUSED : err)) {
        journal_info(patient->options.journal, "repair", "no copy of the state yet: %s", patient->refusal);
    }
}

/* Who leads is asked again and again; who does not names the leader, or the next one is asked. After as many tries as there are
 * members without a word from the leader there is a pause: two that name each other are not asked without an end. */
static uint64_t sink_refused(void *arg, uint64_t source, int err, const char *detail, uint64_t leader)
{
    struct patient *patient = arg;
    note_leader(patient, err, leader);
    if (patient->told) {
        patient->told = false;
        rebuild_sink_want(patient->sink, source);
        return NEXT_MS;
    }
    say_refusal(patient, source, err, detail);
    bool stays = knows(err) && is_member(patient, source);
    bool named = err == ERR_NOT_LEADER && leader != source && is_member(patient, leader);
    patient->tries++;
    if (!stays) {
        patient->target = named ? leader : member_after(patient, source);
    }
    if (patient->target != 0) {
        rebuild_sink_want(patient->sink, patient->target);
    }
    if (!stays && patient->tries < patient->members_len) {
        return NEXT_MS;
    }
    patient->tries = 0;
    return pause_ms(patient);
}

static void sink_wake(void *arg)
{
    struct patient *patient = arg;
    if (patient->options.wake != NULL) {
        patient->options.wake(patient->options.arg);
    }
}

static void sink_fatal(void *arg, int err, const char *what)
{
    struct patient *patient = arg;
    patient->options.fatal(patient->options.arg, err, what);
}

/* ---- Questions of others ---- */

static int answer_question(struct patient *patient, uint64_t from, const struct frame *frame)
{
    const Holdfast__PeerRebuild *question;
    struct frame_out out;
    int err = rebuild_message_decode(frame, &patient->arena, &question);
    if (err != 0 || question->kind_case == HOLDFAST__PEER_REBUILD__KIND_CLOSE) {
        return err;
    }
    if (question->kind_case != HOLDFAST__PEER_REBUILD__KIND_OPEN &&
        question->kind_case != HOLDFAST__PEER_REBUILD__KIND_READ) {
        return ERR_BROKEN;
    }
    Holdfast__RebuildRefused refused = HOLDFAST__REBUILD_REFUSED__INIT;
    Holdfast__PeerRebuild message = HOLDFAST__PEER_REBUILD__INIT;
    refused.error = (uint32_t)-ERR_NOT_LEADER;
    refused.detail = (char *)(uintptr_t) "this node has no state itself, and fetches a copy";
    message.kind_case = HOLDFAST__PEER_REBUILD__KIND_REFUSED;
    message.refused = &refused;
    if (rebuild_message_encode(&message, (struct slice){0}, &out) == 0) {
        (void)patient->options.bulk_send(patient->options.arg, from, false, &out);
    }
    return 0;
}

int patient_receive_bulk(struct patient *patient, uint64_t from, bool asking, const struct frame *frame)
{
    if (patient->over) {
        return 0;
    }
    return asking ? rebuild_sink_receive(patient->sink, from, frame) : answer_question(patient, from, frame);
}

void patient_bulk_lost(struct patient *patient, uint64_t node)
{
    if (!patient->over) {
        rebuild_sink_disconnected(patient->sink, node);
    }
}

void patient_turned_away(struct patient *patient, uint64_t node, const char *why)
{
    patient->turned_away_by = node;
    (void)snprintf(patient->turned_away, sizeof patient->turned_away, "%s", why);
}

void patient_bulk_connected(struct patient *patient, uint64_t node)
{
    patient->turned_away_by = 0;
    rebuild_sink_connected(patient->sink, node);
}

/* ---- Turns ---- */

static bool leaderless_for(const struct patient *patient, uint64_t ms)
{
    struct clock *clock = patient->options.clock;
    return patient->leaderless_ms != UINT64_MAX && clock->monotonic_ms(clock) >= patient->leaderless_ms + ms;
}

/* Whether the cluster may be waiting for what this node has put aside. */
static bool is_missed(struct patient *patient)
{
    const struct patient_options *options = &patient->options;
    struct rebuild_sink_status status;
    rebuild_sink_status(patient->sink, &status);
    if (status.fetching) {
        patient->leaderless_ms = UINT64_MAX;
    }
    return options->ordered && options->withdraw != NULL && leaderless_for(patient, WITHDRAW_MS);
}

void patient_step(struct patient *patient)
{
    if (patient->over) {
        return;
    }
    if (is_missed(patient)) {
        journal_warning(
            patient->options.journal, "repair",
            "nobody leads without this node: the operator's order is withdrawn, and it takes part with what it has");
        patient->over = true;
        patient->options.withdraw(patient->options.arg);
        return;
    }
    if (patient->target != 0) {
        rebuild_sink_want(patient->sink, patient->target);
    }
    rebuild_sink_step(patient->sink);
}

uint64_t patient_deadline_ms(const struct patient *patient)
{
    return patient->over ? UINT64_MAX : rebuild_sink_deadline_ms(patient->sink);
}

bool patient_idle(const struct patient *patient)
{
    return rebuild_sink_idle(patient->sink);
}

/* ---- Text ---- */

bool patient_is_new(const struct patient *patient)
{
    return patient->reason[0] == '\0';
}

bool patient_is_founding(const struct patient *patient)
{
    return patient->options.founding;
}

static uint64_t mib_up(uint64_t bytes)
{
    return (bytes + MIB - 1) / MIB;
}

/* The others that answer are patients too, or too few: that does not pass by itself. One that is new has nothing to do with it, and
 * an order is withdrawn. */
static bool is_helpless(const struct patient *patient)
{
    return !patient_is_new(patient) && !patient->options.ordered && leaderless_for(patient, HELPLESS_MS);
}

const char *patient_text(struct patient *patient)
{
    struct rebuild_sink_status status;
    char *out = patient->text;
    size_t size = sizeof patient->text;
    if (patient->options.founding) {
        return patient->reason;
    }
    rebuild_sink_status(patient->sink, &status);
    int len = snprintf(out, size, "%s%s", patient->reason, patient_is_new(patient) ? "" : "; ");
    size_t at = len > 0 && (size_t)len < size ? (size_t)len : 0;
    if (status.room_needed > 0) {
        char room[REBUILD_SINK_ROOM_LEN];
        rebuild_sink_room_text(&status, room);
        (void)snprintf(out + at, size - at, "%s", room);
    } else if (status.fetching) {
        (void)snprintf(out + at, size - at,
                       "fetches a copy of the state of node %" PRIu64 ", %" PRIu64 " of %" PRIu64 " MiB are here",
                       status.source, status.bytes_here / MIB, mib_up(status.bytes_total));
    } else if (is_helpless(patient)) {
        (void)snprintf(out + at, size - at,
                       "no node that answers can give a copy of the state, because none leads (%s): start the nodes "
                       "that are down; if there are none, holdfast cluster recover on one whose state is whole",
                       patient->refusal);
    } else if (patient->unnoted) {
        (void)snprintf(out + at, size - at, "there is no room on its disk to note whether it votes (%s/repair)",
                       patient->options.dir);
    } else if (patient->refusal[0] != '\0') {
        (void)snprintf(out + at, size - at, "waits for a copy of the state; %s", patient->refusal);
    } else {
        (void)snprintf(out + at, size - at,
                       patient->target != 0 ? "asks node %" PRIu64 " for a copy of the state"
                                            : "knows no member that it could ask for a copy",
                       patient->target);
    }
    return out;
}

/* ---- Life ---- */

static int sink_open_copy(void *arg, const char *name, struct store **ret_store, char *detail, size_t detail_len)
{
    struct patient *patient = arg;
    return patient->options.open_copy(patient->options.arg, name, ret_store, detail, detail_len);
}

static int open_sink(struct patient *patient)
{
    const struct patient_options *options = &patient->options;
    const struct rebuild_sink_options sink = {
        .disk = options->disk,
        .clock = options->clock,
        .journal = options->journal,
        .dir = options->dir,
        .rate = options->rate,
        .disk_free_min = options->disk_free_min,
        .join = true,
        .reason = patient->reason,
        .vote = options->vote,
        .arg = patient,
        .open_copy = options->open_copy == NULL ? NULL : sink_open_copy,
        .send = sink_send,
        .hang_up = sink_hang_up,
        .ready = sink_ready,
        .refused = sink_refused,
        .leader_at = sink_leader_at,
        .told_vote = sink_told_vote,
        .wake = sink_wake,
        .fatal = sink_fatal,
    };
    return rebuild_sink_open(&sink, &patient->sink);
}

int patient_open(const struct patient_options *options, struct patient **ret_patient, char *detail, size_t detail_len)
{
    struct patient *patient = calloc(1, sizeof *patient);
    int err = patient == NULL ? ERR_NOMEM : 0;
    if (err == 0) {
        patient->options = *options;
        patient->leaderless_ms = UINT64_MAX;
        repair_reason(patient->reason, options->reason);
        arena_init(&patient->arena, REBUILD_MESSAGE_MEMORY_MAX);
        err = open_sink(patient);
    }
    if (err != 0) {
        (void)snprintf(detail, detail_len, "%s: what belongs to a copy of the state: %s", options->dir, err_text(err));
        patient_close(patient);
        return err;
    }
    members_take(patient, options->members, options->founding ? 0 : options->members_len);
    if (patient->members_len > 0) {
        patient->target = patient->members[options->clock->random(options->clock) % patient->members_len];
    }
    journal_warning(options->journal, "repair", "this node takes no part %s: %s",
                    options->founding ? "yet" : "until it has a copy of the state",
                    patient_is_new(patient) ? "it is new" : patient->reason);
    *ret_patient = patient;
    return 0;
}

void patient_close(struct patient *patient)
{
    if (patient == NULL) {
        return;
    }
    rebuild_sink_close(patient->sink);
    arena_done(&patient->arena);
    free(patient);
}
