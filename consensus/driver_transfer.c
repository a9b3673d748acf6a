/* Handing leadership over (Raft thesis §3.10). */

#include <raft.h>

#include "consensus/driver_internal.h"

/* The voter that holds most, of those that were heard of lately. The engine's own choice, when nobody holds everything, is
 * the last one in the membership, dead or alive. */
static uint64_t successor(const struct driver *driver)
{
    const struct raft *raft = &driver->raft;
    uint64_t best = 0;
    raft_index best_match = 0;
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        const struct raft_server *server = &raft->configuration.servers[i];
        raft_index match;
        if (server->role != RAFT_VOTER || server->id == raft->id || !driver_peer_is_there(driver, server->id) ||
            raft_match_index(raft, server->id, &match) != 0) {
            continue;
        }
        if (best == 0 || match > best_match) {
            best = server->id;
            best_match = match;
        }
    }
    return best;
}

int driver_transfer(struct driver *driver, uint64_t node)
{
    const struct raft *raft = &driver->raft;
    if (raft->state != RAFT_LEADER) {
        return ERR_NOT_LEADER;
    }
    uint64_t transferee = raft_transferee(raft);
    if (transferee != 0) {
        return node == 0 || node == transferee ? 0 : ERR_BUSY;
    }
    node = node != 0 ? node : successor(driver);
    if (node == 0) {
        return ERR_NOT_FOUND;
    }
    driver->transfer_said_ms = 0;
    struct raft_event event = {.type = RAFT_TRANSFER};
    event.transfer.server_id = node;
    int rv = driver_event(driver, &event, NULL, false);
    switch (rv) {
    case 0:
    case -1: return 0;
    case RAFT_NOTLEADER: return ERR_NOT_LEADER;
    case RAFT_NOMEM: return ERR_NOMEM;
    default: return ERR_NOT_FOUND;
    }
}

/* Whether the successor holds all that we have, be it on our own disk or not: earlier it would not listen. */
static bool successor_is_ready(const struct driver *driver)
{
    raft_index match;
    uint64_t transferee = raft_transferee(&driver->raft);
    return transferee != 0 && raft_match_index(&driver->raft, transferee, &match) == 0 &&
           match == log_last_index(driver->log);
}

void driver_transfer_said(struct driver *driver)
{
    if (successor_is_ready(driver)) {
        driver->transfer_said_ms = driver->options.clock->monotonic_ms(driver->options.clock);
    }
}

void driver_transfer_step(struct driver *driver)
{
    struct raft *raft = &driver->raft;
    uint64_t now = driver->options.clock->monotonic_ms(driver->options.clock);
    bool said = driver->transfer_said_ms != 0 && now < driver->transfer_said_ms + driver->options.heartbeat_ms;
    if (said || !successor_is_ready(driver)) {
        return;
    }
    uint64_t last = log_last_index(driver->log);
    struct raft_message message = {.type = RAFT_TIMEOUT_NOW, .server_id = raft_transferee(raft)};
    message.timeout_now = (struct raft_timeout_now){
        .term = raft_current_term(raft), .last_log_index = last, .last_log_term = driver_term_of(driver, last)};
    driver_send_message(driver, &message);
    driver->transfer_said_ms = now;
}
