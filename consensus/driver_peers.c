/* What the driver itself knows of other nodes: who is to hear of commits at once, who is alive, and who takes nothing. */

#include <limits.h>
#include <raft.h>

#include "consensus/driver_internal.h"

static bool is_member(const struct driver *driver, uint64_t id)
{
    return configuration_find(&driver->raft.configuration, id) != NULL;
}

static unsigned place_of(const struct driver *driver, uint64_t id)
{
    unsigned i = 0;
    while (i < MEMBERS_MAX && driver->peers[i].id != id) {
        i++;
    }
    return i;
}

const struct driver_peer *driver_peer_find(const struct driver *driver, uint64_t id)
{
    unsigned i = place_of(driver, id);
    return i < MEMBERS_MAX ? &driver->peers[i] : NULL;
}

/* The node's place, made when there is none: in that of a node that is no member any more. NULL: there is no place, and the
 * node gets no more than what Raft gives it. */
struct driver_peer *driver_peer_of(struct driver *driver, uint64_t id)
{
    unsigned place = place_of(driver, id);
    struct driver_peer *peer = place < MEMBERS_MAX ? &driver->peers[place] : NULL;
    for (unsigned i = 0; i < MEMBERS_MAX && peer == NULL; i++) {
        if (driver->peers[i].id == 0 || !is_member(driver, driver->peers[i].id)) {
            peer = &driver->peers[i];
            *peer = (struct driver_peer){.id = id};
        }
    }
    if (peer != NULL && peer->term != raft_current_term(&driver->raft)) {
        *peer = (struct driver_peer){
            .id = id, .prompt = peer->prompt, .heard_ms = peer->heard_ms, .term = raft_current_term(&driver->raft)};
    }
    return peer;
}

bool driver_peer_is_there(const struct driver *driver, uint64_t id)
{
    const struct driver_peer *peer = driver_peer_find(driver, id);
    uint64_t now = driver->options.clock->monotonic_ms(driver->options.clock);
    return peer != NULL && peer->heard_ms != 0 && now < peer->heard_ms + driver->options.election_timeout_ms;
}

void driver_peers_keep_members(struct driver *driver)
{
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        if (driver->peers[i].id != 0 && !is_member(driver, driver->peers[i].id)) {
            driver->peers[i] = (struct driver_peer){0};
        }
    }
}

void driver_set_prompt(struct driver *driver, uint64_t node, bool prompt)
{
    struct driver_peer *peer = node != 0 && node != driver->options.id ? driver_peer_of(driver, node) : NULL;
    if (peer != NULL) {
        peer->prompt = prompt;
    }
}

void driver_peer_heard(struct driver *driver, uint64_t id, const struct raft_message *result)
{
    struct driver_peer *peer = driver_peer_of(driver, id);
    if (peer == NULL) {
        return;
    }
    peer->heard_ms = driver->options.clock->monotonic_ms(driver->options.clock);
    if (result != NULL) {
        peer->answered = true;
        if (result->append_entries_result.rejected > 0) {
            peer->told = 0; /* It may not have looked at the commit index either. */
        }
    }
}

void driver_peer_forget(struct driver *driver, uint64_t id)
{
    unsigned i = place_of(driver, id);
    if (i < MEMBERS_MAX) {
        driver->peers[i].told = 0;
        driver->peers[i].probed = 0;
        driver->peers[i].proven_ms = 0;
        driver->peers[i].heard_ms = 0; /* Not there, until it speaks again. */
    }
}

void driver_peer_told(struct driver *driver, uint64_t id, const struct raft_append_entries *append, unsigned count)
{
    struct driver_peer *peer = driver_peer_of(driver, id);
    /* A follower takes over no more than it is then known to hold (Raft Figure 3.1). */
    uint64_t last = append->prev_log_index + count;
    uint64_t told = append->leader_commit < last ? append->leader_commit : last;
    if (peer != NULL && told > peer->told) {
        peer->told = told;
    }
}

unsigned driver_peer_offer(struct driver *driver, uint64_t id, uint64_t prev_log_index)
{
    struct driver_peer *peer = driver_peer_of(driver, id);
    if (peer == NULL) {
        return UINT_MAX;
    }
    peer->rebuild = false;
    if (peer->offered != prev_log_index) {
        peer->offered = prev_log_index;
        peer->offers = 0;
        peer->answered = false;
    }
    if (!peer->answered) {
        return UINT_MAX; /* It may not have got them. */
    }
    peer->answered = false;
    peer->offers++;
    bool power_of_two = (peer->offers & (peer->offers - 1)) == 0;
    return (peer->offers < DRIVER_OFFERS_EVERY && power_of_two) || peer->offers % DRIVER_OFFERS_EVERY == 0;
}

/* Bytes of the `count` entries after `index`. */
static uint64_t bytes_after(const struct driver *driver, uint64_t index, unsigned count)
{
    return log_bytes_from(driver->log, index + 1) - log_bytes_from(driver->log, index + 1 + count);
}

unsigned driver_inflight(const struct driver *driver)
{
    const struct raft *raft = &driver->raft;
    uint64_t last = log_last_index(driver->log);
    unsigned count = DRIVER_INFLIGHT_MAX;
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        raft_index match;
        if (raft_match_index(raft, raft->configuration.servers[i].id, &match) != 0 ||
            match + DRIVER_INFLIGHT_MIN >= last) {
            continue; /* Nothing to count, mostly. */
        }
        while (count > DRIVER_INFLIGHT_MIN && bytes_after(driver, match, count) > DRIVER_INFLIGHT_BYTES) {
            count /= 2;
        }
    }
    return count;
}

bool driver_peer_rebuild(struct driver *driver, uint64_t id)
{
    struct driver_peer *peer = driver_peer_of(driver, id);
    bool news = peer != NULL && !peer->rebuild;
    if (peer != NULL) {
        peer->rebuild = true;
        peer->probed = 0; /* It may be another by now, with a log that goes on elsewhere. */
    }
    return news;
}

bool driver_peer_probe(struct driver *driver, uint64_t id, uint64_t last)
{
    struct driver_peer *peer = driver_peer_of(driver, id);
    bool news = peer != NULL && peer->rebuild && peer->probed != last;
    if (news) {
        peer->probed = last;
    }
    return news;
}

void driver_prompt(struct driver *driver)
{
    const struct raft *raft = &driver->raft;
    if (raft->state != RAFT_LEADER) {
        return;
    }
    uint64_t commit = raft_commit_index(raft);
    struct raft_append_entries append = {.term = raft_current_term(raft),
                                         .prev_log_index = commit,
                                         .prev_log_term = driver_term_of(driver, commit),
                                         .leader_commit = commit};
    for (unsigned i = 0; i < MEMBERS_MAX && append.prev_log_term != 0; i++) {
        struct driver_peer *peer = &driver->peers[i];
        raft_index match;
        if (!peer->prompt || raft_match_index(raft, peer->id, &match) != 0 || match < commit ||
            (peer->term == append.term && peer->told >= commit)) {
            continue;
        }
        driver_send_append(driver, peer->id, &append);
    }
}
