/* Which way a start goes. */

#include "node/core/repair.h"

#include <stdio.h>
#include <string.h>

#include "node/core/time_keeper.h"
#include "proto/base/check.h"

#define UNKNOWN_REASON "%s/current, which names the directory of the state, is damaged"

struct repair_plan repair_plan(const struct repair_facts *facts, const struct repair_mark *mark)
{
    bool needed = mark->state == REPAIR_NEEDED;
    bool is_new = facts->join && facts->empty && mark->state == REPAIR_NONE;
    if (facts->unknown || mark->damaged || is_new) {
        return (struct repair_plan){.patient = true, .begins = !needed || mark->damaged};
    }
    if (needed && !facts->fresh) {
        return (struct repair_plan){.patient = true};
    }
    return (struct repair_plan){
        .rejoin = facts->fresh,
        .discard = needed,
        .wants_vote = mark->state == REPAIR_RETURNING || (needed && mark->voter),
    };
}

/* ---- A start ---- */

bool repair_is_aside(const char *name)
{
    return strcmp(name, "repair.new") == 0 || strcmp(name, "current.new") == 0 || strcmp(name, TIME_KEEPER_FILE) == 0 ||
           strcmp(name, REPAIR_START_FILE) == 0;
}

/* What is aside counts for nothing: the mark of a new node may have been lost in the writing. */
static void look_for_data(void *arg, const char *name)
{
    bool *empty = arg;
    *empty = *empty && repair_is_aside(name);
}

/* A disk that is full when damage is found must not keep the node from becoming a patient, nor a patient from taking over its
 * copy: what each start may have to note has its space before anything else is asked for. Where there is none it goes without. */
static int begin_reserve(struct disk *disk, const char *dir)
{
    int err = repair_mark_reserve(disk, dir);
    if (err == 0) {
        err = state_dir_reserve(disk, dir);
    }
    return err == ERR_NO_SPACE ? 0 : err;
}

static int begin_look(struct disk *disk, const char *dir, struct repair_facts *facts, struct state_dir *current,
                      struct repair_mark *mark)
{
    char detail[200];
    bool empty = true;
    int err = disk->ops->list(disk, dir, look_for_data, &empty);
    if (err == 0) {
        err = repair_mark_read(disk, dir, mark);
    }
    if (err == 0) {
        err = state_dir_read(disk, dir, current, detail, sizeof detail);
        facts->unknown = err == ERR_CORRUPT;
        err = facts->unknown ? 0 : err;
    }
    facts->fresh = err == 0 && !facts->unknown && current->fresh;
    facts->empty = empty;
    return err;
}

/* Which mark, where there is none that can be relied on. */
static void begin_mark(const char *dir, const struct repair_facts *facts, struct repair_mark *mark)
{
    if (facts->unknown && !mark->damaged) {
        mark->ordered = false;
        mark->voter = mark->voter || mark->state == REPAIR_NONE;
        (void)snprintf(mark->reason, sizeof mark->reason, UNKNOWN_REASON, dir);
    } else if (!mark->damaged) {
        *mark = (struct repair_mark){.state = REPAIR_NEEDED}; /* New. */
    }
    mark->state = REPAIR_NEEDED;
    mark->damaged = false;
}

/* A copy beside a damaged mark may be one that the shard has worked with: it must not be beside a sound one. Of a `current` that
 * is damaged nobody counts on the guess once the mark is there. */
static int begin_write(struct disk *disk, const char *dir, const struct repair_facts *facts,
                       const struct repair_plan *plan, struct state_dir *current, struct repair_mark *mark)
{
    char detail[200];
    int err = mark->damaged && facts->fresh ? state_dir_return(disk, dir) : 0;
    if (err == 0 && plan->begins) {
        begin_mark(dir, facts, mark);
        err = repair_mark_write(disk, dir, mark);
    }
    if (err == 0 && facts->unknown) {
        err = state_dir_mend(disk, dir);
    }
    return err == 0 ? state_dir_read(disk, dir, current, detail, sizeof detail) : err;
}

int repair_begin(struct disk *disk, const char *dir, bool join, struct state_dir *ret_current,
                 struct repair_mark *ret_mark, struct repair_plan *ret_plan, char *detail, size_t detail_len)
{
    struct repair_facts facts = {.join = join};
    struct state_dir current = {0};
    struct repair_mark mark;
    struct repair_plan plan = {0};
    int err = begin_look(disk, dir, &facts, &current, &mark);
    if (err == 0) {
        plan = repair_plan(&facts, &mark);
        err = begin_write(disk, dir, &facts, &plan, &current, &mark);
    }
    if (err == 0) {
        err = begin_reserve(disk, dir);
    }
    if (err != 0) {
        (void)snprintf(detail, detail_len, "%s: what a repair has noted (current, repair): %s", dir, err_text(err));
        return err;
    }
    *ret_current = current;
    *ret_mark = mark;
    *ret_plan = plan;
    return 0;
}

/* ---- What comes of it ---- */

static void mark_reason(struct repair_mark *mark, const char *reason)
{
    repair_reason(mark->reason, reason[0] != '\0' ? reason : "its data is not to be relied on");
}

int repair_mark_needed(struct disk *disk, const char *dir, const char *reason, bool voter, bool ordered)
{
    struct repair_mark mark = {0};
    int err = repair_mark_read(disk, dir, &mark);
    bool worse = mark.ordered && !ordered; /* There may be a copy already: that stays. */
    if (err != 0 || (mark.state == REPAIR_NEEDED && !worse)) {
        return err;
    }
    if (mark.state == REPAIR_NEEDED) {
        mark.ordered = false;
        mark_reason(&mark, reason);
        return repair_mark_write(disk, dir, &mark);
    }
    err = state_dir_keep(disk, dir);
    if (err != 0 && err != ERR_CORRUPT) { /* Nobody believes a damaged one. */
        return err;
    }
    bool returns = mark.state == REPAIR_RETURNING;
    mark.voter = voter || (returns && mark.voter);
    mark.told = returns; /* It may be that it has none, because it waits for it. */
    mark.state = REPAIR_NEEDED;
    mark.ordered = ordered;
    mark_reason(&mark, reason);
    return repair_mark_write(disk, dir, &mark);
}

int repair_note_vote(struct disk *disk, const char *dir, bool voter)
{
    struct repair_mark mark;
    int err = repair_mark_read(disk, dir, &mark);
    if (err != 0 || mark.state != REPAIR_NEEDED || mark.told) {
        return err;
    }
    mark.voter = voter;
    mark.told = true;
    err = repair_mark_write(disk, dir, &mark);
    if (err != 0) {
        return err;
    }
    err = repair_mark_reserve(disk, dir); /* For the next one, which says that the copy is here. */
    return err == ERR_NO_SPACE ? 0 : err;
}

enum rebuild_vote repair_vote(const struct repair_mark *mark)
{
    if (!mark->told) {
        return REBUILD_VOTE_ASKED;
    }
    return mark->voter ? REBUILD_VOTE_HAD : REBUILD_VOTE_NONE;
}

int repair_switch(struct disk *disk, const char *dir, const char *name, bool patient, bool *ret_done)
{
    struct repair_mark mark;
    int err = repair_mark_read(disk, dir, &mark);
    bool right = err == 0 && (mark.state == REPAIR_NEEDED) == patient;
    if (right) {
        err = state_dir_switch(disk, dir, name);
    }
    if (err == 0) {
        *ret_done = right;
    }
    return err;
}

int repair_rejoined(struct disk *disk, const char *dir, struct repair_mark *mark)
{
    CHECK(mark->state == REPAIR_NEEDED);
    struct repair_mark next = *mark;
    next.state = mark->voter ? REPAIR_RETURNING : REPAIR_NONE;
    next.ordered = false;
    int err = repair_mark_write(disk, dir, &next);
    if (err == 0) {
        *mark = next;
    }
    return err;
}

int repair_withdraw(struct disk *disk, const char *dir, bool *ret_done)
{
    char detail[200];
    struct repair_mark mark = {0};
    struct state_dir current = {0};
    int err = repair_mark_read(disk, dir, &mark);
    if (err == 0) {
        err = state_dir_read(disk, dir, &current, detail, sizeof detail);
    }
    bool right = err == 0 && mark.state == REPAIR_NEEDED && mark.ordered && !mark.damaged && !current.fresh;
    if (right) {
        mark.state = mark.voter ? REPAIR_RETURNING : REPAIR_NONE;
        mark.ordered = false;
        err = repair_mark_write(disk, dir, &mark);
    }
    if (err == 0) {
        *ret_done = right;
    }
    return err;
}

int repair_failed(struct disk *disk, const char *dir, const char *reason, bool voter)
{
    int err = state_dir_return(disk, dir);
    return err == 0 || err == ERR_CORRUPT ? repair_mark_needed(disk, dir, reason, voter, false) : err;
}
