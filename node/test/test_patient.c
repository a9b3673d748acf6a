/* A node without a state of its own gets one, from whoever leads, whatever happens on the way. */

#include "node/core/patient.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "node/core/repair.h"
#include "rebuild_pair.h"
#include "stopping_disk.h"

#define REASON "shard-0/log/000001: entry 7: the checksum does not match"

static struct pair pair;

static void setup(void)
{
    pair_start(&pair, 1);
    pair_open_patient(&pair, REASON);
}

static void teardown(void)
{
    pair_stop(&pair);
}

TestSuite(patient, .init = setup, .fini = teardown);

static struct disk *patient_disk(void)
{
    return sim_disk_ops(pair.sink_disk);
}

static void run_for(uint64_t ms)
{
    uint64_t until_ms = pair.now_ms + ms;
    while (pair.now_ms < until_ms) {
        pair_run_one(&pair);
    }
}

static bool says(const char *text)
{
    return strstr(patient_text(pair.patient), text) != NULL;
}

static void run_until_it_says(const char *text)
{
    uint64_t until_ms = pair.now_ms + 60000;
    while (!says(text)) {
        cr_assert_lt(pair.now_ms, until_ms, "%s", patient_text(pair.patient));
        pair_run_one(&pair);
    }
}

Test(patient, fetches_a_copy_and_says_so_once)
{
    cr_assert(says(REASON));
    cr_assert_not(patient_is_new(pair.patient));
    pair_run(&pair);
    pair_expect_copy(&pair);
    sim_disk_crash_losing_all(pair.sink_disk);
    pair_expect_copy(&pair);
    cr_assert_eq(patient_deadline_ms(pair.patient), UINT64_MAX);
    cr_assert(patient_idle(pair.patient));
    for (unsigned i = 0; i < 100; i++) {
        pair_run_one(&pair);
    }
    cr_assert_eq(pair.readies, 1u);
    cr_assert_str_eq(pair.members.reason, REASON);
    cr_assert_eq(pair_files_below(pair.sink_disk, PAIR_DIR "/state/rows"), 1u, "what it had is kept");
}

/* Whoever it begins with: over many seeds both. */
Test(patient, finds_the_leader_by_asking_the_others)
{
    unsigned asked_other = 0;
    for (uint64_t seed = 1; seed < 20; seed++) {
        pair_stop(&pair);
        pair_start(&pair, seed);
        pair_open_patient(&pair, "");
        uint64_t from_ms = pair.now_ms;
        pair_run(&pair);
        pair_expect_copy(&pair);
        cr_assert_lt(pair.now_ms - from_ms, 1000u, "without a pause");
        asked_other += pair.members.asked_other;
        cr_assert_leq(pair.members.asked_other, 1u);
        cr_assert_str_eq(pair.members.reason, "");
        cr_assert(patient_is_new(pair.patient));
    }
    cr_assert_gt(asked_other, 3u);
    cr_assert_lt(asked_other, 16u);
}

/* Whom it asks first names the leader: nobody else is asked in between. */
Test(patient, turns_to_the_leader_that_it_is_told_of)
{
    static const uint64_t many[] = {PAIR_OTHER, 4, 5, PAIR_SOURCE, 6, 7};
    for (uint64_t seed = 1; seed < 10; seed++) {
        pair_stop(&pair);
        pair_start(&pair, seed);
        pair_open_patient(&pair, REASON);
        patient_set_members(pair.patient, many, 6);
        pair_run(&pair);
        pair_expect_copy(&pair);
        cr_assert_leq(pair.members.asked_other, 1u);
    }
}

/* The leader became a member while the patient took no part. */
Test(patient, reaches_a_leader_that_it_did_not_know)
{
    static const uint64_t other = PAIR_OTHER;
    patient_set_members(pair.patient, &other, 1);
    run_for(10000);
    cr_assert_eq(pair.readies, 0u);
    cr_assert_eq(pair.members.reached, 0u);
    pair.members.leader_address = "";
    run_for(10000);
    pair.members.leader_address = "a name\nthat is none";
    run_for(10000);
    cr_assert_eq(pair.members.reached, 0u);
    pair.members.leader_address = "node-1:7471";
    pair_run(&pair);
    pair_expect_copy(&pair);
    cr_assert_eq(pair.members.reached, 1u, "told once");
}

/* An election: nobody leads, and they name each other. It asks on, and not without an end at once. */
Test(patient, pauses_when_nobody_leads)
{
    pair.members.err = ERR_NOT_LEADER;
    run_for(60000);
    cr_assert_eq(pair.readies, 0u);
    unsigned asked = pair.members.admissions + pair.members.asked_other;
    cr_assert_gt(asked, 40u);
    cr_assert_lt(asked, 300u);
    cr_assert(says("waits for a copy"));
    pair.members.other_leader = 0;
    run_for(60000);
    cr_assert_gt(pair.members.admissions + pair.members.asked_other, asked + 40);
    pair.members.err = 0;
    pair_run(&pair);
    pair_expect_copy(&pair);
}

static void asks_for_its_vote(void)
{
    char detail[200];
    patient_close(pair.patient);
    pair.patient_options.vote = REBUILD_VOTE_ASKED;
    cr_assert_eq(patient_open(&pair.patient_options, &pair.patient, detail, sizeof detail), 0, "%s", detail);
}

static void is_told(bool voter, enum rebuild_vote then)
{
    asks_for_its_vote();
    pair.members.voter = voter;
    pair_run(&pair);
    pair_expect_copy(&pair);
    cr_assert_eq(pair.members.noted, 1u);
    cr_assert_eq(pair.members.vote, then);
}

Test(patient, is_told_that_it_votes_before_its_vote_is_taken_away)
{
    is_told(true, REBUILD_VOTE_HAD);
}

Test(patient, is_told_that_it_has_no_vote)
{
    is_told(false, REBUILD_VOTE_NONE);
}

Test(patient, does_not_go_on_before_it_has_noted_that)
{
    asks_for_its_vote();
    pair.members.note_err = ERR_NO_SPACE;
    run_for(30000);
    cr_assert_gt(pair.members.noted, 3u);
    cr_assert(says("there is no room on its disk to note whether it votes"));
    cr_assert_eq(pair.members.vote, REBUILD_VOTE_ASKED);
    cr_assert_eq(pair.readies + pair.fatals, 0u);
    pair.members.note_err = 0;
    pair_run(&pair);
    pair_expect_copy(&pair);
    asks_for_its_vote();
    pair.members.note_err = ERR_IO;
    run_for(10000);
    cr_assert_gt(pair.fatals, 0u);
}

static void order(void)
{
    pair_stop(&pair);
    pair_start(&pair, 1);
    pair_open_patient(&pair, "asked for by an operator");
    patient_close(pair.patient);
    pair.patient_options.ordered = true;
    char detail[200];
    cr_assert_eq(patient_open(&pair.patient_options, &pair.patient, detail, sizeof detail), 0, "%s", detail);
}

static void nobody_leads(void)
{
    pair.members.err = ERR_NOT_LEADER;
    pair.members.nobody = true;
    pair.members.other_leader = 0;
}

/* Two of four were told to begin anew at a time: the other two are no majority, and wait for what these have put aside. */
Test(patient, an_order_is_withdrawn_when_nobody_leads_for_a_while)
{
    order();
    nobody_leads();
    run_for(25000);
    cr_assert_eq(pair.members.withdrawn, 0u, "there may be an election");
    run_for(15000);
    cr_assert_eq(pair.members.withdrawn, 1u);
    cr_assert_eq(patient_deadline_ms(pair.patient), UINT64_MAX);
    run_for(60000);
    cr_assert_eq(pair.members.withdrawn, 1u, "once");
    cr_assert_eq(pair.readies, 0u);
}

Test(patient, damage_is_not_withdrawn)
{
    nobody_leads();
    run_for(120000);
    cr_assert_eq(pair.members.withdrawn, 0u);
}

/* All who answer are patients too, or too few: an operator is told what to do, and not that it waits. */
Test(patient, says_what_to_do_when_nobody_who_answers_leads)
{
    nobody_leads();
    run_for(4000);
    cr_assert(says("waits for a copy"), "there may be an election");
    run_for(10000);
    cr_assert(says(REASON "; no node that answers can give a copy of the state, because none leads (node "));
    cr_assert(says("holdfast cluster recover on one whose state is whole"));
    pair.members.err = ERR_BUSY; /* It leads again. */
    run_for(5000);
    cr_assert(says("waits for a copy"));
    pair.members.err = 0;
    pair.members.nobody = false;
    pair.members.other_leader = PAIR_SOURCE;
    pair_run(&pair);
    pair_expect_copy(&pair);
}

/* Who does not answer says nothing; a new node has nothing that its cluster could wait for. */
Test(patient, does_not_send_an_operator_to_recover_without_a_reason)
{
    pair.apart = true;
    pair.members.other_apart = true;
    run_for(60000);
    cr_assert_not(says("cluster recover"));
    pair_stop(&pair);
    pair_start(&pair, 1);
    pair_open_patient(&pair, "");
    nobody_leads();
    run_for(60000);
    cr_assert_not(says("cluster recover"));
    order();
    nobody_leads();
    run_for(25000);
    cr_assert_not(says("cluster recover"));
}

Test(patient, an_order_stays_while_somebody_is_said_to_lead)
{
    order();
    nobody_leads();
    pair.members.other_leader = 9;
    run_for(120000);
    cr_assert_eq(pair.members.withdrawn, 0u);
    pair.members.other_leader = 0;
    pair.members.err = ERR_BUSY; /* It leads, and cannot give a copy now. */
    run_for(120000);
    cr_assert_eq(pair.members.withdrawn, 0u);
    pair.members.err = 0;
    pair_run(&pair);
    pair_expect_copy(&pair);
}

/* It is cut off: the others may do well without it. */
Test(patient, an_order_stays_when_nobody_answers)
{
    order();
    pair.apart = true;
    pair.members.other_apart = true;
    run_for(120000);
    cr_assert_eq(pair.members.withdrawn, 0u);
}

/* A leader for a moment is enough to begin to count anew. */
Test(patient, an_order_is_counted_from_when_nobody_led_any_more)
{
    order();
    nobody_leads();
    run_for(25000);
    pair.members.err = ERR_BUSY;
    run_for(5000);
    pair.members.err = ERR_NOT_LEADER;
    run_for(25000);
    cr_assert_eq(pair.members.withdrawn, 0u);
    run_for(15000);
    cr_assert_eq(pair.members.withdrawn, 1u);
}

Test(patient, asks_the_next_when_one_cannot_be_reached)
{
    pair.members.other_apart = true;
    uint64_t from_ms = pair.now_ms;
    pair_run(&pair);
    cr_assert_lt(pair.now_ms - from_ms, 3000u);
    pair_expect_copy(&pair);
}

Test(patient, waits_for_members_that_cannot_be_reached)
{
    pair.apart = true;
    pair.members.other_apart = true;
    run_for(120000);
    cr_assert_eq(pair.readies, 0u);
    cr_assert_gt(pair.members.asked_other, 5u);
    cr_assert_lt(pair.members.asked_other + pair.dialled, 2000u);
    cr_assert(says("node 1: it does not answer") || says("node 3: it cannot be reached"), "%s",
              patient_text(pair.patient));
    pair.apart = false;
    pair_run(&pair);
    pair_expect_copy(&pair);
}

/* Who has said why is not taken for one that cannot be reached. */
Test(patient, says_who_turns_it_away)
{
    pair.apart = true;
    pair.members.other_apart = true;
    patient_turned_away(pair.patient, PAIR_OTHER, "node 2 is not a member that node 3 knows");
    run_until_it_says("node 3 refuses this node: node 2 is not a member that node 3 knows");
    patient_bulk_connected(pair.patient, PAIR_OTHER);
    run_until_it_says("node 3: it cannot be reached");
}

/* The leader first takes the node out of the votes, or an operator adds it. */
Test(patient, waits_until_it_is_admitted)
{
    pair.members.err = ERR_NOT_FOUND;
    run_for(30000);
    cr_assert_eq(pair.readies, 0u);
    cr_assert_gt(pair.members.admissions, 10u);
    cr_assert_lt(pair.members.admissions, 100u);
    cr_assert_leq(pair.members.asked_other, 1u, "who leads has spoken");
    cr_assert(says("node 1: not yet"), "%s", patient_text(pair.patient));
    cr_assert_eq(pair.copies_len, 0u);
    pair.members.err = 0;
    pair_run(&pair);
    pair_expect_copy(&pair);
}

Test(patient, waits_for_a_copy_that_is_new_enough)
{
    pair.members.min_index = 600;
    run_for(10000);
    cr_assert_eq(pair.readies, 0u);
    cr_assert_eq(pair.members.store_soon, 600u);
    cr_assert(says("a checkpoint is being made"));
    pair_change(&pair);
    pair_run(&pair);
    pair_expect_copy(&pair);
    cr_assert_eq(pair.copies[pair.copies_len - 1], pair.version);
}

/* A copy that was made for a node which was merely behind may be one in which it votes. */
Test(patient, takes_no_copy_that_was_not_granted_to_it)
{
    pair.members.silent = true;
    for (unsigned i = 0; i < 100000 && !pair.members.confirming; i++) {
        pair_run_one(&pair);
    }
    cr_assert(pair.members.confirming, "it is asked whether the node is still granted the copy");
    cr_assert_eq(pair_ask_open(&pair, PAIR_SINK, 0), 0);
    run_for(2000);
    cr_assert_eq(pair.copies_len, 1u);
    cr_assert_eq(pair_incoming_there(&pair), 0u);
    pair.members.silent = false;
    pair_run(&pair);
    pair_expect_copy(&pair);
}

static uint64_t fetched(void)
{
    unsigned long long here = 0;
    const char *at = strstr(patient_text(pair.patient), "fetches");
    return at != NULL && sscanf(at, "fetches a copy of the state of node 1, %llu of", &here) == 1;
}

/* What was fetched for a node that was behind is read on only if the leader grants just that. */
Test(patient, what_is_here_is_used_if_the_leader_grants_it)
{
    for (unsigned old = 0; old < 2; old++) {
        pair_stop(&pair);
        pair_start(&pair, 11);
        rebuild_sink_want(pair.sink, PAIR_SOURCE);
        PAIR_RUN_UNTIL(&pair, pair_incoming_there(&pair) > 0);
        unsigned copies = pair.copies_len;
        pair_disconnect(&pair);
        sim_disk_kill(pair.sink_disk);
        pair_open_patient(&pair, REASON);
        pair.members.min_index = 500 + old;
        pair.stored_index += 100;
        pair_run(&pair);
        pair_expect_copy(&pair);
        cr_assert_eq(pair.copies_len, copies + old);
    }
}

Test(patient, says_how_far_it_has_come_and_what_it_lacks)
{
    PAIR_RUN_UNTIL(&pair, fetched());
    pair_stop(&pair);
    pair_start(&pair, 1);
    pair.sink_options.disk_free_min = 1000000;
    sim_disk_set_capacity(pair.sink_disk, sim_disk_used(pair.sink_disk) + 1000000);
    pair_open_patient(&pair, REASON);
    run_for(60000);
    cr_assert_eq(pair.readies + pair.fatals, 0u);
    cr_assert(says("no room") && says("1 MiB more, and 0 MiB may be used"), "%s", patient_text(pair.patient));
    cr_assert_eq(pair_files_below(pair.sink_disk, PAIR_DIR "/state/rows"), 1u, "it makes no room by itself");
    sim_disk_set_capacity(pair.sink_disk, 0);
    pair_run(&pair);
    pair_expect_copy(&pair);
    cr_assert_not(says("no room"));
}

Test(patient, asks_whoever_is_a_member_now)
{
    static const uint64_t nobody[] = {PAIR_SINK, 0};
    static const uint64_t source[] = {PAIR_SOURCE, PAIR_SOURCE};
    patient_set_members(pair.patient, nobody, 2);
    run_for(10000);
    unsigned asked = pair.members.admissions + pair.members.asked_other;
    cr_assert(says("knows no member"), "%s", patient_text(pair.patient));
    run_for(10000);
    cr_assert_eq(pair.members.admissions + pair.members.asked_other, asked);
    cr_assert_eq(pair.readies, 0u);
    patient_set_members(pair.patient, source, 2);
    pair_run(&pair);
    pair_expect_copy(&pair);
}

/* ---- Questions of others ---- */

static int ask_patient(Holdfast__PeerRebuild *message)
{
    struct frame frame = pair_frame(message, (struct slice){0});
    int err = patient_receive_bulk(pair.patient, PAIR_OTHER, false, &frame);
    pair_frame_done(&frame);
    return err;
}

Test(patient, gives_nobody_a_copy)
{
    Holdfast__RebuildOpen open = HOLDFAST__REBUILD_OPEN__INIT;
    Holdfast__RebuildClose close = HOLDFAST__REBUILD_CLOSE__INIT;
    Holdfast__PeerRebuild message = HOLDFAST__PEER_REBUILD__INIT;
    message.kind_case = HOLDFAST__PEER_REBUILD__KIND_OPEN;
    message.open = &open;
    cr_assert_eq(ask_patient(&message), 0);
    struct pair_answer answer = pair_take_answer(&pair);
    cr_assert_eq(answer.error, (uint32_t)-ERR_NOT_LEADER);
    cr_assert_eq(answer.leader, 0u);
    message.kind_case = HOLDFAST__PEER_REBUILD__KIND_CLOSE;
    message.close = &close;
    close.copy = 1;
    cr_assert_eq(ask_patient(&message), 0);
    cr_assert_eq(pair.answers.len, 0u);
    Holdfast__RebuildRefused refused = HOLDFAST__REBUILD_REFUSED__INIT;
    message.kind_case = HOLDFAST__PEER_REBUILD__KIND_REFUSED;
    message.refused = &refused;
    cr_assert_eq(ask_patient(&message), ERR_BROKEN);
    pair_run(&pair);
    cr_assert_eq(ask_patient(&message), 0, "nothing is taken when the copy is here");
}

/* ---- Damage ---- */

static void note_copy(void *arg, const char *path, const uint8_t *data, uint64_t len)
{
    (void)data;
    if (len > 0 && strstr(path, REBUILD_COPY) != NULL) {
        (void)snprintf(arg, REBUILD_PATH_LEN_MAX, "%s", path);
    }
}

/* It says so, and asks for another. */
Test(patient, does_not_begin_anew_with_a_damaged_copy)
{
    char path[REBUILD_PATH_LEN_MAX] = "";
    PAIR_RUN_UNTIL(&pair, pair.copies_len > 0 && sim_disk_pending(pair.source_disk) == 0);
    sim_disk_each_file(pair.source_disk, note_copy, path);
    cr_assert_eq(sim_disk_corrupt(pair.source_disk, path, 0, 1), 0);
    PAIR_RUN_UNTIL(&pair, pair.suspected == 1);
    cr_assert_eq(pair.readies, 0u);
    PAIR_RUN_UNTIL(&pair, says("node 1: the copy that it gave is damaged"));
    pair_run(&pair);
    pair_expect_copy(&pair);
    cr_assert_eq(pair.copies_len, 2u);
}

/* ---- Everything at once ---- */

static void fill_disk(struct sim_disk *disk)
{
    sim_disk_set_capacity(disk, sim_disk_used(disk) + pair_random(&pair, 20000));
}

static void bad_luck(void)
{
    switch (pair_random(&pair, 14)) {
    case 0: pair_restart_sink(&pair, (enum pair_end)pair_random(&pair, 3)); break;
    case 1: pair_restart_source(&pair, (enum pair_end)pair_random(&pair, 3)); break;
    case 2: pair.now_ms += pair_random(&pair, 2) == 0 ? 4000 : 70000; break;
    case 3: fill_disk(pair.sink_disk); break;
    case 4: fill_disk(pair.source_disk); break;
    case 5: sim_disk_set_capacity(pair.sink_disk, 0); break;
    case 6: sim_disk_set_capacity(pair.source_disk, 0); break;
    case 7: pair.copy_err = ERR_IO; break;
    case 8: pair_change(&pair); break;
    case 9: pair.members.err = pair_random(&pair, 2) == 0 ? ERR_NOT_LEADER : ERR_BUSY; break;
    case 10: pair.members.silent = !pair.members.silent; break;
    case 11: pair.members.min_index = pair.stored_index + pair_random(&pair, 2) * 50; break;
    case 12: pair.apart = !pair.apart; break;
    default: pair_disconnect(&pair); break;
    }
}

static void end_bad_luck(void)
{
    sim_disk_set_capacity(pair.sink_disk, 0);
    sim_disk_set_capacity(pair.source_disk, 0);
    pair.apart = false;
    pair.copy_err = 0;
    pair.members.err = 0;
    pair.members.silent = false;
    if (pair.stored_index < pair.members.min_index) {
        pair_change(&pair);
    }
}

/* The copy is one that holds what it had to when it was granted: no older one comes through. */
static void expect_new_enough(uint64_t min_index)
{
    uint64_t copy = 0;
    uint64_t source = 0;
    cr_assert_eq(sscanf(pair.name, "incoming-%" SCNu64 "-%" SCNx64, &source, &copy), 2);
    for (unsigned i = 0; i < pair.copies_len; i++) {
        if (pair.copy_ids[i] == copy) {
            cr_assert_geq((pair.copies[i] - pair.copies[0]) * 100 + 500, min_index);
        }
    }
}

static void go_through(uint64_t seed)
{
    pair_stop(&pair);
    pair_start(&pair, seed);
    pair_open_patient(&pair, REASON);
    uint64_t min_index = pair_random(&pair, 2) * 500;
    pair.members.min_index = min_index;
    unsigned turns = (unsigned)pair_random(&pair, 400);
    for (unsigned i = 0; i < turns && pair.readies == 0; i++) {
        pair_some_turn(&pair);
        if (pair_random(&pair, 25) == 0) {
            bad_luck();
        }
    }
    end_bad_luck();
    if (pair.readies == 0) {
        pair_run(&pair);
    }
    cr_assert_eq(pair.fatals, 0u);
    pair_expect_copy(&pair);
    expect_new_enough(min_index);
    sim_disk_crash_losing_all(pair.sink_disk);
    pair_expect_copy(&pair);
    cr_assert_eq(pair_files_below(pair.sink_disk, PAIR_DIR "/state/rows"), 1u);
}

#define SEEDS 300u

Test(patient, whatever_happens_the_copy_comes_whole, .timeout = 120)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        go_through(seed);
    }
}

/* ---- Crashes ---- */

/* From the mark to the switch, through a disk that stops after so many operations; then the node starts again. */
static bool stop_after(uint64_t operations, enum pair_end end)
{
    struct stopping_disk stopping;
    struct state_dir current;
    struct repair_mark mark;
    struct repair_plan plan;
    char detail[200];
    pair_stop(&pair);
    pair_start(&pair, 5);
    stopping_disk_init(&stopping, patient_disk(), operations);
    bool marked = repair_mark_needed(&stopping.base, PAIR_DIR, REASON, true, false) == 0;
    bool begun =
        marked && repair_begin(&stopping.base, PAIR_DIR, false, &current, &mark, &plan, detail, sizeof detail) == 0;
    bool switched = false;
    if (begun && stopping.left > 4) { /* A start that fails is none. */
        pair.sink_options.disk = &stopping.base;
        pair_open_patient(&pair, mark.reason);
        for (unsigned i = 0; i < 20000 && pair.readies == 0 && pair.fatals == 0; i++) {
            pair_run_one(&pair);
        }
        cr_assert_eq(pair.readies + pair.fatals, 1u);
        switched = pair.readies == 1 && state_dir_switch(&stopping.base, PAIR_DIR, pair.name) == 0;
    }
    pair.sink_options.disk = patient_disk();
    pair_restart_sink(&pair, end);
    cr_assert_eq(repair_begin(patient_disk(), PAIR_DIR, false, &current, &mark, &plan, detail, sizeof detail), 0);
    cr_assert_eq(pair_files_below(pair.sink_disk, PAIR_DIR "/state/rows"), 1u, "what it had is kept");
    cr_assert(mark.state == REPAIR_NEEDED || !marked);
    cr_assert(!switched || current.fresh);
    if (current.fresh) {
        cr_assert(plan.rejoin && plan.discard && !plan.patient);
        cr_assert_str_eq(current.name, pair.name);
        pair_expect_copy(&pair);
    } else {
        cr_assert_eq(plan.patient, mark.state == REPAIR_NEEDED);
    }
    return stopping.stopped || stopping.left <= 4;
}

Test(patient, a_crash_at_any_operation_leaves_a_patient_or_the_copy, .timeout = 120)
{
    for (enum pair_end end = PAIR_KILL; end <= PAIR_CRASH_LOSING_ALL; end++) {
        uint64_t operations = 0;
        while (stop_after(operations, end)) {
            operations++;
        }
        cr_assert_gt(operations, 40u);
    }
}
