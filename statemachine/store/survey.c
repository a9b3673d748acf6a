/* The course of a survey: steps of the store's scrub, and, where the store cannot read, a search for the next row that it can.
 *
 * A damaged block or body ends the iterator of a step, and hides which rows are concerned. So keys behind the last good row are tried
 * as places to begin at: one after the other, since messages have numbers without gaps, then twice as far each time, and then the
 * first of them that does is looked for in between. */

#include "statemachine/store/survey.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/limits.h"
#include "statemachine/store/rows.h"
#include "statemachine/store/scrub.h"

#define STEP_LEN (1 * MIB)

/* So many keys in a row are tried before it goes further. */
#define CLOSE_MAX 4096u

struct survey_run {
    const struct survey *survey;
    struct store *store;
    struct store_scrub scrub;
    struct row_key last;  /* The last row that could be read; empty: none. */
    struct row_key bad;   /* Behind what cannot be read: the last place that does not do. */
    struct row_key found; /* The row that an attempt began at; empty: there is none behind. */
    uint64_t bytes;
    int stop; /* What `sound` said. */
};

static bool is_damage(int err)
{
    return err == ERR_CORRUPT || err == ERR_CHECKSUM || err == ERR_VERSION || err == ERR_IO;
}

/* Longer keys than rows can have are cut: they are damage anyway, and only a place to go on from. */
static void key_take(struct row_key *out, struct slice key)
{
    out->len = key.len < sizeof out->data ? key.len : sizeof out->data;
    if (out->len > 0) {
        memcpy(out->data, key.data, out->len);
    }
}

static bool is_content(const struct row_key *key)
{
    return key->len > 0 && (key->data[0] == ROW_MESSAGE || key->data[0] == ROW_BODY || key->data[0] == ROW_KEPT);
}

/* Ends a step of which the rest is not wanted. */
#define STEP_ENOUGH ERR_LIMIT

static int survey_each(void *arg, struct slice key, struct slice value, char *detail, size_t detail_len)
{
    struct survey_run *run = arg;
    const struct survey *survey = run->survey;
    key_take(&run->last, key);
    if (scrub_row(key, value, detail, detail_len) != 0) {
        struct survey_damage damage = {.row = true, .first = key, .content = is_content(&run->last), .what = detail};
        survey->damaged(survey->arg, &damage);
        detail[0] = '\0';
    } else if (survey->sound != NULL) {
        run->stop = survey->sound(survey->arg, key, value);
    }
    return run->stop != 0 ? STEP_ENOUGH : 0;
}

/* ---- Behind what cannot be read ---- */

/* The number that a key is, read as bytes in order, and 2^bit: the largest one when that is too much. */
static void key_add(struct row_key *key, unsigned bit)
{
    size_t at = key->len - 1 - bit / 8;
    unsigned sum = key->data[at] + (1u << bit % 8);
    key->data[at] = (uint8_t)sum;
    while (sum > UINT8_MAX && at > 0) {
        sum = key->data[--at] + 1u;
        key->data[at] = (uint8_t)sum;
    }
    if (sum > UINT8_MAX) {
        memset(key->data, UINT8_MAX, key->len);
    }
}

static int found_each(void *arg, struct slice key, struct slice value, char *detail, size_t detail_len)
{
    struct survey_run *run = arg;
    (void)value;
    (void)detail;
    (void)detail_len;
    key_take(&run->found, key);
    return STEP_ENOUGH; /* What follows may be damaged again. */
}

/* 0: a row can be read at or behind that key, or there is none. */
static int try_at(struct survey_run *run, const struct row_key *key)
{
    struct store_scrub scrub = {.from = row_key_slice(key), .bytes_max = 1, .each = found_each, .arg = run};
    run->found.len = 0;
    int err = run->store->ops->scrub(run->store, &scrub);
    if (is_damage(err)) {
        run->bad = *key;
    }
    return err == STEP_ENOUGH ? 0 : err;
}

/* Below base + 2^bits, where a row can be read, and behind `base`, where none can: the first place with one. */
static int find_between(struct survey_run *run, const struct row_key *base, unsigned bits)
{
    struct row_key bad = *base;
    struct row_key found = run->found;
    while (bits-- > 0) {
        struct row_key key = bad;
        key_add(&key, bits);
        int err = try_at(run, &key);
        if (err == 0) {
            found = run->found;
        } else if (is_damage(err)) {
            bad = key;
        } else {
            return err;
        }
    }
    run->bad = bad;
    run->found = found;
    return 0;
}

/* 0: found. ERR_CORRUPT and the like: `key` is the last one that was tried. */
static int find_close(struct survey_run *run, struct row_key *key)
{
    int err = ERR_CORRUPT;
    for (unsigned i = 0; i < CLOSE_MAX && is_damage(err); i++) {
        key_add(key, 0);
        err = try_at(run, key);
    }
    return err;
}

static int find_far(struct survey_run *run, const struct row_key *base)
{
    for (unsigned bits = 0; bits < 8 * base->len; bits++) {
        struct row_key key = *base;
        key_add(&key, bits);
        int err = try_at(run, &key);
        if (err == 0) {
            return find_between(run, base, bits);
        }
        if (!is_damage(err)) {
            return err;
        }
    }
    run->bad.len = run->found.len = 0; /* Nothing is known of the rest. */
    return 0;
}

static int find_behind(struct survey_run *run)
{
    struct row_key base = run->last;
    while (base.len < ROW_KEY_PAIR_LEN) {
        base.data[base.len++] = 0;
    }
    int err = find_close(run, &base);
    return is_damage(err) ? find_far(run, &base) : err;
}

/* ---- Of which kind it is ---- */

static int upto_each(void *arg, struct slice key, struct slice value)
{
    struct row_key *last = arg;
    (void)value;
    key_take(last, key);
    return STEP_ENOUGH;
}

/* Whether there is no row between the last one that could be read and the first of that kind: no damaged one either, which would
 * be met first on the way back. */
static bool nothing_before_kind(struct survey_run *run, uint8_t kind)
{
    struct row_key begin = {.data = {kind}, .len = 1};
    struct row_key last = {.len = 0};
    struct store *store = run->store;
    int err = store->ops->scan_back(store, row_key_slice(&run->last), row_key_slice(&begin), upto_each, &last);
    bool same = last.len == run->last.len && memcmp(last.data, run->last.data, last.len) == 0;
    return (err == 0 || err == STEP_ENOUGH) && same;
}

/* The last damaged row has the kind of the last place that does not do: right behind that there is a row that can be read. */
static bool only_content(struct survey_run *run)
{
    bool same_kind = run->last.len > 0 && run->bad.len > 0 && run->last.data[0] == run->bad.data[0];
    return is_content(&run->bad) && (same_kind || nothing_before_kind(run, run->bad.data[0]));
}

/* `what` is what the store said. */
static int skip(struct survey_run *run, const char *what)
{
    int err = find_behind(run);
    if (err != 0) {
        return err;
    }
    struct survey_damage damage = {.first = row_key_slice(&run->last),
                                   .end = row_key_slice(&run->found),
                                   .content = only_content(run),
                                   .what = what};
    run->survey->damaged(run->survey->arg, &damage);
    return 0;
}

/* ---- All ---- */

/* One step, and from where the next one goes on: `ret_next` is empty at the end. */
static int step(struct survey_run *run, const struct row_key *from, struct row_key *ret_next)
{
    struct store_scrub *scrub = &run->scrub;
    *scrub = (struct store_scrub){.from = row_key_slice(from), .bytes_max = STEP_LEN, .each = survey_each, .arg = run};
    int err = run->store->ops->scrub(run->store, scrub);
    if (run->stop != 0) {
        scrub->detail[0] = '\0';
        return run->stop;
    }
    if (err == 0) {
        key_take(ret_next, scrub->next);
        slice_unref(&scrub->next);
    } else if (is_damage(err)) {
        /* A row that could be read when it was looked for, and not any more, is damaged too: it always gets on. */
        run->last = scrub->bytes == 0 && from->len > 0 ? *from : run->last;
        err = skip(run, scrub->detail[0] != '\0' ? scrub->detail : err_text(err));
        *ret_next = run->found;
    }
    run->bytes += scrub->bytes;
    if (err == 0 && run->survey->progress != NULL) {
        run->survey->progress(run->survey->arg, run->bytes, scrub->bytes_all);
    }
    return err;
}

int survey_rows(struct store *store, const struct survey *survey, char *detail, size_t detail_len)
{
    struct survey_run run = {.survey = survey, .store = store};
    struct row_key from = {.len = 0};
    struct row_key next;
    int err;
    while ((err = step(&run, &from, &next)) == 0 && next.len > 0) {
        from = next;
    }
    if (err != 0) {
        (void)snprintf(detail, detail_len, "%s", run.scrub.detail[0] != '\0' ? run.scrub.detail : err_text(err));
    }
    return err;
}
