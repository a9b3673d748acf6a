/* A leader's heartbeats keep in step, so that followers that answer are streamed to. */

#include <criterion/criterion.h>

#include "fixture.h"

/* Followers answer within their millisecond what they have not answered yet; the leader has its turn at its deadlines. */
struct cluster {
    struct fixture f;
    unsigned answered; /* Of what was sent. */
    uint64_t paused;   /* A node that answers nothing; 0: none. */
};

static void answer(struct cluster *cluster)
{
    struct fixture *f = &cluster->f;
    for (; cluster->answered < f->sent_len; cluster->answered++) {
        const struct fixture_sent *sent = &f->sent[cluster->answered];
        if (sent->raft.type != RAFT_APPEND_ENTRIES || sent->node == cluster->paused) {
            continue;
        }
        const struct raft_append_entries *append = &sent->raft.append_entries;
        uint64_t last = append->prev_log_index + append->n_entries;
        cr_assert_eq(fixture_result(f, sent->node, append->term, 0, last), 0);
    }
    fixture_forget(f);
    cluster->answered = 0;
}

static void pass(struct cluster *cluster, uint64_t ms)
{
    for (uint64_t end_ms = cluster->f.now_ms + ms; cluster->f.now_ms < end_ms; cluster->f.now_ms++) {
        fixture_disk(&cluster->f);
        answer(cluster);
        if (driver_deadline_ms(cluster->f.driver) <= cluster->f.now_ms) {
            driver_step(cluster->f.driver);
        }
    }
    answer(cluster);
}

/* The engine no longer streams to a follower from which nothing has come since its last timeout. With timeouts more often
 * than heartbeats, each would find one of two followers silent whose heartbeats are due at different times. */
Test(driver_heartbeat, a_follower_that_was_away_is_streamed_to_again)
{
    struct cluster cluster = {.paused = 3};
    struct fixture *f = &cluster.f;
    fixture_init(f, 3);
    fixture_lead(f);
    fixture_forget(f);
    for (int i = 0; i < 21; i++) {
        pass(&cluster, 100);
        (void)fixture_submit(f, "while it is away");
    }
    /* It comes back between two heartbeats, and takes what it lacks. */
    pass(&cluster, 25);
    cluster.paused = 0;
    cr_assert_eq(fixture_result(f, 3, raft_current_term(&f->driver->raft), 0, 3), 0);
    pass(&cluster, 500);

    for (int i = 0; i < 20; i++) {
        pass(&cluster, 97);
        uint64_t index = fixture_submit(f, "now");
        for (uint64_t node = 2; node <= 3; node++) {
            const struct raft_message *sent = fixture_last(f, node, RAFT_APPEND_ENTRIES);
            cr_assert_not_null(sent, "entry %d waits for the next heartbeat to node %d", i, (int)node);
            cr_assert_eq(sent->append_entries.n_entries, 1u);
            cr_assert_eq(sent->append_entries.prev_log_index, index - 1);
        }
    }
    fixture_done(f);
}
