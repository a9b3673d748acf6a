/* Read indexes: a leader makes sure that it still is one, without an entry in the log (ReadIndex, Raft thesis §6.4).
 *
 * What was confirmed before a round began is at or below the commit index of that moment, provided that an entry of our own
 * term is committed, and that nobody led in a later term by then. The latter is so when a majority is still in our term
 * after the round began: a later leader would have had one of them. Rounds do not go through the engine, which knows none.
 * One round is on its way at a time, what is asked for meanwhile shares the next. */

#include <raft.h>

#include "consensus/driver_internal.h"
#include "proto/base/fault.h"

/* What was asked for in another term, or before leadership was lost, is not answered. */
static void forget_others(struct driver *driver)
{
    struct driver_reads *reads = &driver->reads;
    uint64_t term = raft_current_term(&driver->raft);
    if (driver->raft.state != RAFT_LEADER || reads->term != term) {
        reads->started = reads->asked; /* Rounds are never numbered twice. */
        reads->running = false;
        reads->term = term;
    }
}

int driver_read(struct driver *driver, uint64_t *ret_round)
{
    const struct raft *raft = &driver->raft;
    bool term_committed = driver_term_of(driver, raft_commit_index(raft)) == raft_current_term(raft);
    if (raft->state != RAFT_LEADER || (!term_committed && !fault_fires(FAULT_SKIP_READ_TERM))) {
        return ERR_NOT_LEADER;
    }
    forget_others(driver);
    if (driver->reads.asked == driver->reads.started) {
        driver->reads.asked++;
    }
    *ret_round = driver->reads.asked;
    return 0;
}

static void send_ping(struct driver *driver, uint64_t now)
{
    const struct raft *raft = &driver->raft;
    driver->reads.sent_ms = now;
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        const struct raft_server *server = &raft->configuration.servers[i];
        if (server->role == RAFT_VOTER && server->id != raft->id) {
            driver_send_read(driver, server->id, MESSAGE_READ_PING, driver->reads.started);
        }
    }
}

static bool has_answered(const struct driver *driver, uint64_t id)
{
    for (unsigned i = 0; i < driver->reads.answers_len; i++) {
        if (driver->reads.answers[i] == id) {
            return true;
        }
    }
    return id == driver->raft.id;
}

/* Ends the round when a majority, ourselves among them if we vote, has been in our term since it began. */
static void settle(struct driver *driver)
{
    const struct raft *raft = &driver->raft;
    unsigned voters = 0;
    unsigned answers = 0;
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        const struct raft_server *server = &raft->configuration.servers[i];
        voters += server->role == RAFT_VOTER;
        answers += server->role == RAFT_VOTER && has_answered(driver, server->id);
    }
    const struct driver_host *host = &driver->options.host;
    if (answers > voters / 2 || fault_fires(FAULT_SKIP_READ_ROUND)) {
        driver->reads.running = false;
        if (host->read_ready != NULL) {
            host->read_ready(host->arg, driver->reads.started, driver->reads.index);
        }
    }
}

void driver_read_step(struct driver *driver)
{
    struct driver_reads *reads = &driver->reads;
    uint64_t now = driver->options.clock->monotonic_ms(driver->options.clock);
    forget_others(driver);
    if (reads->running) {
        settle(driver); /* Others may vote now than when they answered. */
    }
    if (reads->running) {
        if (now >= reads->sent_ms + driver->options.heartbeat_ms) {
            send_ping(driver, now);
        }
    } else if (reads->asked > reads->started) {
        reads->started = reads->asked;
        reads->index = raft_commit_index(&driver->raft);
        reads->answers_len = 0;
        reads->running = true;
        send_ping(driver, now);
        settle(driver);
    }
}

uint64_t driver_read_ms(const struct driver *driver)
{
    const struct driver_reads *reads = &driver->reads;
    if (driver->raft.state != RAFT_LEADER || reads->term != raft_current_term(&driver->raft)) {
        return UINT64_MAX;
    }
    return reads->running                  ? reads->sent_ms + driver->options.heartbeat_ms
           : reads->asked > reads->started ? 0
                                           : UINT64_MAX;
}

void driver_read_ping(struct driver *driver, uint64_t from)
{
    if (driver->message.term == raft_current_term(&driver->raft)) {
        driver_send_read(driver, from, MESSAGE_READ_PONG, driver->message.round);
    }
}

void driver_read_pong(struct driver *driver, uint64_t from)
{
    struct driver_reads *reads = &driver->reads;
    forget_others(driver);
    if (!reads->running || driver->message.term != reads->term || driver->message.round != reads->started ||
        has_answered(driver, from) || reads->answers_len == MEMBERS_MAX) {
        return;
    }
    reads->answers[reads->answers_len++] = from;
    settle(driver);
}
