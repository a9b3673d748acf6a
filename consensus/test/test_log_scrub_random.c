/* The scrub beside everything that a log does: no history gives a false alarm, and what is damaged after any is found. */

#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#include "consensus/log_scrub.h"
#include "log_scrub_fixture.h"

/* A pass that goes on beside everything that a log does. */
struct history {
    struct log_fixture f;
    uint64_t random;
    uint64_t term;
    struct log_scrub *pass;
    bool read;
    unsigned passes;
};

static uint64_t pick(struct history *h, uint64_t count)
{
    return log_fixture_random(&h->random) % count;
}

static void history_scrub(struct history *h)
{
    char detail[256] = "";
    if (h->pass == NULL) {
        cr_assert_eq(log_scrub_open(h->f.log, &h->pass), 0);
        h->read = false;
    }
    if (log_scrub_finished(h->pass)) {
        log_scrub_close(h->pass);
        h->pass = NULL;
        h->passes++;
    } else if (!h->read) {
        log_scrub_read(h->pass, 1 + pick(h, 6000));
        h->read = true;
    } else {
        cr_assert_eq(log_scrub_settle(h->pass, detail, sizeof detail), 0, "%s", detail);
        h->read = false;
    }
}

static void history_restart(struct history *h, bool crash)
{
    log_scrub_close(h->pass);
    h->pass = NULL;
    uint64_t promised = h->f.promised;
    if (crash) {
        sim_disk_crash(h->f.sim, log_fixture_random, &h->random);
    } else {
        log_fixture_flush(&h->f);
    }
    log_fixture_reopen(&h->f);
    cr_assert_geq(log_last_index(h->f.log), promised);
    h->f.last = log_last_index(h->f.log);
    for (uint64_t i = log_first_index(h->f.log); i <= h->f.last; i++) {
        h->f.terms[i] = log_term(h->f.log, i);
    }
    h->f.promised = h->f.last;
}

static void history_step(struct history *h)
{
    struct log_fixture *f = &h->f;
    uint64_t what = pick(h, 100);
    if (what < 30 && f->last + 40 < LOG_MODEL_MAX) {
        log_fixture_append(f, 1 + (unsigned)pick(h, 12), h->term);
    } else if (what < 36 && f->last > log_first_index(f->log) + 20) {
        log_fixture_truncate(f, f->last - pick(h, 20));
        h->term++;
    } else if (what < 40 && log_stored_index(f->log) > log_first_index(f->log)) {
        cr_assert_eq(log_drop_before(f->log, log_first_index(f->log) +
                                                 pick(h, log_stored_index(f->log) - log_first_index(f->log))),
                     0);
    } else if (what < 41) {
        history_restart(h, pick(h, 2) == 0);
        h->term++;
    } else if (what < 70) {
        history_scrub(h);
    } else if (sim_disk_pending(f->sim) > 0) {
        sim_disk_complete_one(f->sim);
    }
}

Test(log_scrub_random, no_history_gives_a_false_alarm)
{
    static struct history h;
    unsigned passes = 0;
    unsigned found = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        memset(&h, 0, sizeof h);
        h.random = seed * 7919;
        h.term = 1;
        log_fixture_init(&h.f, 2048u << pick(&h, 4));
        h.f.fill_len = pick(&h, 2) * 65536;
        h.f.cache_len_max = 1024;
        cr_assert_eq(log_fixture_open(&h.f), 0);
        for (unsigned i = 0; i < 1500; i++) {
            history_step(&h);
        }
        log_scrub_close(h.pass);
        h.pass = NULL;
        log_fixture_flush(&h.f);
        scrub_expect_clean(&h.f);
        struct scrub_extents *extents = scrub_extents_new(&h.f);
        for (unsigned i = 0; i < extents->len; i++) {
            const struct scrub_extent *extent = &extents->items[i];
            uint64_t at = pick(&h, scrub_extent_end(extent));
            cr_assert_eq(sim_disk_corrupt(h.f.sim, extent->path, at, (uint8_t)(1u << pick(&h, 8))), 0);
            cr_assert_eq(scrub_pass(&h.f).err, ERR_CORRUPT, "seed %" PRIu64 ": %s, offset %" PRIu64, seed, extent->path,
                         at);
            scrub_mend(&h.f, extent, at, 1);
            found++;
        }
        scrub_expect_clean(&h.f);
        scrub_extents_free(extents);
        passes += h.passes;
        log_fixture_done(&h.f);
    }
    cr_assert_gt(passes, 500);
    cr_assert_gt(found, 100);
}
