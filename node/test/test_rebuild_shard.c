/* When a copy that has come takes the place of a shard's state, and when it does not. The source is the test. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "node/core/gateway.h"
#include "node/core/rebuild.h"
#include "node/core/rebuild_message.h"
#include "node/core/state_dir.h"
#include "one_node.h"

#define SOURCE 2u
#define COPY 7u
#define PATIENT 3u

struct asked {
    struct one_node node;
    struct shard_options options;
    struct rebuild rebuild;
    unsigned questions;
    unsigned refusals;
    unsigned opened;
    unsigned admissions;
    uint64_t min_index;
    unsigned replaced;
    char name[STATE_DIR_NAME_LEN_MAX];
};

static struct asked asked;

static void take_answer(struct asked *self, const struct frame_out *out)
{
    struct arena arena;
    const Holdfast__PeerRebuild *message;
    const struct frame frame = {
        .type = FRAME_PEER_REBUILD,
        .header = {.data = out->head->data + FRAME_PREFIX_LEN, .len = out->head->len - FRAME_PREFIX_LEN}};
    arena_init(&arena, REBUILD_MESSAGE_MEMORY_MAX);
    cr_assert_eq(rebuild_message_decode(&frame, &arena, &message), 0);
    self->refusals += message->kind_case == HOLDFAST__PEER_REBUILD__KIND_REFUSED;
    self->opened += message->kind_case == HOLDFAST__PEER_REBUILD__KIND_OPENED;
    arena_done(&arena);
}

static bool take_bulk(void *arg, uint64_t node, bool asking, struct frame_out *frame)
{
    struct asked *self = arg;
    cr_assert_eq(node, asking ? SOURCE : PATIENT);
    self->questions += asking;
    if (!asking) {
        take_answer(self, frame);
    }
    frame_out_done(frame);
    return true;
}

static void hang_up(void *arg, uint64_t node)
{
    (void)arg;
    cr_assert_eq(node, SOURCE);
}

static void take_replaced(void *arg, const char *name)
{
    struct asked *self = arg;
    self->replaced++;
    snprintf(self->name, sizeof self->name, "%s", name);
}

static void setup(void)
{
    asked = (struct asked){0};
    one_node_start(&asked.node, NULL);
    asked.options = asked.node.options;
    asked.options.arg = &asked;
    asked.options.wake = NULL;
    asked.options.bulk_send = take_bulk;
    asked.options.bulk_hang_up = hang_up;
    asked.options.replaced = take_replaced;
    cr_assert_eq(rebuild_open(&asked.rebuild, &asked.options, shard_driver(asked.node.shard)), 0);
}

static void teardown(void)
{
    rebuild_close(&asked.rebuild);
    one_node_stop(&asked.node);
}

TestSuite(rebuild_shard, .init = setup, .fini = teardown);

static void turn(void)
{
    for (unsigned i = 0; i < 10; i++) {
        rebuild_step(&asked.rebuild);
        sim_disk_complete_all(asked.node.disk);
    }
}

/* Says that the copy is one file; an empty one is here at once. */
static int tell_opened_of(uint64_t index, uint64_t term, uint64_t size)
{
    Holdfast__RebuildFile file = HOLDFAST__REBUILD_FILE__INIT;
    Holdfast__RebuildFile *files[] = {&file};
    Holdfast__RebuildOpened opened = HOLDFAST__REBUILD_OPENED__INIT;
    Holdfast__PeerRebuild message = HOLDFAST__PEER_REBUILD__INIT;
    file.name = (char *)"CURRENT";
    file.size = size;
    opened.copy = COPY;
    opened.index = index;
    opened.term = term;
    opened.n_files = 1;
    opened.files = files;
    message.kind_case = HOLDFAST__PEER_REBUILD__KIND_OPENED;
    message.opened = &opened;
    struct frame_out out;
    cr_assert_eq(rebuild_message_encode(&message, (struct slice){0}, &out), 0);
    struct frame frame = {
        .type = FRAME_PEER_REBUILD,
        .header = {.data = out.head->data + FRAME_PREFIX_LEN, .len = out.head->len - FRAME_PREFIX_LEN}};
    int err = rebuild_receive(&asked.rebuild, SOURCE, true, &frame);
    frame_out_done(&out);
    return err;
}

static int tell_opened(uint64_t index, uint64_t term)
{
    return tell_opened_of(index, term, 0);
}

static void count_incoming(void *arg, const char *name)
{
    unsigned *count = arg;
    *count += strncmp(name, "incoming-", 9) == 0;
}

static unsigned incoming_there(void)
{
    struct disk *disk = sim_disk_ops(asked.node.disk);
    unsigned count = 0;
    cr_assert_eq(disk->ops->list(disk, "shard-0", count_incoming, &count), 0);
    return count;
}

static void fetch(uint64_t index, uint64_t term)
{
    rebuild_behind(&asked.rebuild, SOURCE);
    turn();
    cr_assert_gt(asked.questions, 0u);
    cr_assert(rebuild_running(&asked.rebuild));
    cr_assert_not_null(rebuild_text(&asked.rebuild));
    cr_assert_eq(tell_opened(index, term), 0);
    turn();
}

Test(rebuild_shard, a_copy_that_the_log_cannot_reach_takes_the_states_place)
{
    uint64_t last = log_last_index(driver_log(shard_driver(asked.node.shard)));
    fetch(last + 100, 9);
    cr_assert_eq(asked.replaced, 1u);
    cr_assert_eq(strncmp(asked.name, "incoming-2-", 11), 0, "%s", asked.name);
    cr_assert_eq(incoming_there(), 1u);
    cr_assert_eq(rebuild_deadline_ms(&asked.rebuild), UINT64_MAX);
    unsigned questions = asked.questions;
    cr_assert_eq(tell_opened(last + 200, 9), 0);
    rebuild_behind(&asked.rebuild, SOURCE);
    turn();
    cr_assert_eq(asked.replaced, 1u, "once");
    cr_assert_eq(asked.questions, questions, "nothing goes on in a shard that is to be closed");
}

/* It has caught up while the copy came: others may count on what its log holds. */
Test(rebuild_shard, a_copy_whose_last_entry_the_log_has_does_not)
{
    struct log *log = driver_log(shard_driver(asked.node.shard));
    uint64_t last = log_last_index(log);
    fetch(last, log_term(log, last));
    cr_assert_eq(asked.replaced, 0u);
    cr_assert_not(rebuild_running(&asked.rebuild));
    cr_assert_null(rebuild_text(&asked.rebuild));
    cr_assert_eq(incoming_there(), 0u);
}

/* Operators see it in status, not in the journal alone. */
Test(rebuild_shard, a_copy_for_which_there_is_no_room_is_an_alarm)
{
    sim_disk_set_capacity(asked.node.disk, sim_disk_used(asked.node.disk) + 1);
    cr_assert_str_eq(rebuild_alarm(&asked.rebuild), "");
    rebuild_behind(&asked.rebuild, SOURCE);
    turn();
    cr_assert_eq(tell_opened_of(9, 9, 3 * MIB), 0);
    turn();
    cr_assert_str_eq(rebuild_alarm(&asked.rebuild),
                     "is too far behind; there is no room for a copy of the state beside what is there: it needs 3 MiB "
                     "more, and 0 MiB may be used; nothing is removed to make room");
    rebuild_sink_cancel(asked.rebuild.sink);
    turn();
    cr_assert_str_eq(rebuild_alarm(&asked.rebuild), "");
}

Test(rebuild_shard, what_an_earlier_process_left_goes_when_it_is_not_needed)
{
    struct disk *disk = sim_disk_ops(asked.node.disk);
    rebuild_close(&asked.rebuild);
    cr_assert_eq(disk->ops->make_dir(disk, "shard-0/incoming-2-0000000000000007"), 0);
    cr_assert_eq(rebuild_open(&asked.rebuild, &asked.options, shard_driver(asked.node.shard)), 0);
    turn();
    cr_assert_eq(incoming_there(), 1u, "it may still be needed");
    asked.node.clock.now_ms += 60000;
    turn();
    cr_assert_eq(incoming_there(), 0u);
}

/* A large one is not fetched to its end, when the leader finds in time what this node lacks. */
Test(rebuild_shard, a_copy_that_is_not_needed_any_more_is_not_fetched_to_its_end)
{
    struct driver *driver = shard_driver(asked.node.shard);
    uint64_t last = log_last_index(driver_log(driver));
    rebuild_behind(&asked.rebuild, SOURCE);
    turn();
    cr_assert_eq(tell_opened_of(last + 1, 1, 1000000), 0);
    turn();
    asked.node.clock.now_ms += 1000;
    turn();
    cr_assert(rebuild_running(&asked.rebuild));
    cr_assert_eq(incoming_there(), 1u);
    gateway_core_tick(gateway_core_of(asked.node.gateway)); /* An entry comes. */
    one_node_settle(&asked.node);
    cr_assert_eq(log_last_index(driver_log(driver)), last + 1);
    turn();
    cr_assert(rebuild_running(&asked.rebuild), "it does not look all the time");
    asked.node.clock.now_ms += 1000;
    turn();
    cr_assert_not(rebuild_running(&asked.rebuild));
    cr_assert_eq(incoming_there(), 0u);
    cr_assert_eq(asked.replaced, 0u);
}

/* ---- Patients ---- */

static int admit(void *arg, const struct rebuild_asks *asks, struct rebuild_says *ret_says)
{
    struct asked *self = arg;
    cr_assert_eq(asks->node, PATIENT);
    cr_assert_str_eq(asks->reason, "new disk");
    ret_says->min_index = self->min_index;
    self->admissions++;
    return 0;
}

static void ask_join(void)
{
    Holdfast__RebuildOpen open = HOLDFAST__REBUILD_OPEN__INIT;
    Holdfast__PeerRebuild message = HOLDFAST__PEER_REBUILD__INIT;
    struct frame_out out;
    open.join = true;
    open.question = 5;
    open.reason = (char *)"new disk";
    message.kind_case = HOLDFAST__PEER_REBUILD__KIND_OPEN;
    message.open = &open;
    cr_assert_eq(rebuild_message_encode(&message, (struct slice){0}, &out), 0);
    struct frame frame = {
        .type = FRAME_PEER_REBUILD,
        .header = {.data = out.head->data + FRAME_PREFIX_LEN, .len = out.head->len - FRAME_PREFIX_LEN}};
    cr_assert_eq(rebuild_receive(&asked.rebuild, PATIENT, false, &frame), 0);
    frame_out_done(&out);
}

Test(rebuild_shard, without_a_word_on_who_is_admitted_nobody_is)
{
    ask_join();
    cr_assert_eq(asked.refusals, 1u);
    one_node_settle(&asked.node);
    cr_assert_eq(asked.refusals + asked.opened, 1u);
}

Test(rebuild_shard, a_patient_is_admitted_when_a_read_has_shown_who_leads)
{
    struct checkpointer checkpointer = {0};
    const struct rebuild_admission admission = {
        .arg = &asked, .admits = admit, .gateway = asked.node.gateway, .checkpointer = &checkpointer};
    rebuild_admit_with(&asked.rebuild, &admission);
    asked.min_index = 77;
    ask_join();
    cr_assert_eq(asked.admissions, 1u);
    cr_assert_eq(asked.refusals + asked.opened, 0u);
    ask_join();
    cr_assert_eq(asked.admissions, 1u, "it is being looked into");
    one_node_settle(&asked.node);
    cr_assert_eq(asked.admissions, 2u);
    cr_assert_eq(asked.refusals, 1u, "there is no checkpoint yet");
    cr_assert_eq(checkpointer.wanted, 77u);
    ask_join();
    cr_assert_eq(asked.admissions, 3u);
    rebuild_close(&asked.rebuild); /* With the read under way. */
    one_node_settle(&asked.node);
    cr_assert_eq(asked.admissions, 3u);
}
