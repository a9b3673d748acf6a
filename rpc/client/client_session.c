/* Whose session it is: its key, what an earlier process left in it, and its end. */

#include <string.h>

#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "rpc/client/client_query.h"
#include "rpc/client/client_state.h"

/* Attachments of a process, and above them the time at which it began: a later process counts higher. */
#define ATTEMPT_BITS 20u

/* So many in a row are refused because a later one has been there: it is not one of our own, that we had given up. */
#define OVERTAKEN_MAX 3u

/* A node that says that more commands were carried out is not to be believed. */
#define LAST_NUMBER_MAX (UINT64_MAX / 2)

void client_session_init(struct client_core *core, const uint8_t *key)
{
    core->keyed = key != NULL;
    if (core->keyed) {
        memcpy(core->key, key, sizeof core->key);
        core->attempt = core->clock->wall_ms(core->clock) << ATTEMPT_BITS;
    }
    client_session_new_key(core);
}

/* With the program's own key the next session is another one, under the same: whoever comes after us is to find it. */
void client_session_new_key(struct client_core *core)
{
    core->resumable = false;
    core->rejoin = false;
    if (!core->keyed) {
        put_u64(core->key, core->clock->random(core->clock));
        put_u64(core->key + 8, core->clock->random(core->clock));
        core->attempt = 0;
    }
}

int client_session_attached(struct client_core *core, uint64_t session, uint64_t last_number)
{
    if (core->keyed && !core->resumable && last_number <= LAST_NUMBER_MAX) {
        CHECK(client_ring_empty(core));
        core->floor = core->last_number = last_number; /* An earlier process has come so far. */
    }
    if (last_number < core->floor || last_number > core->last_number) {
        return ERR_SESSION_EXPIRED; /* Not the session that we know: begin anew rather than guess. */
    }
    core->carried_out = last_number;
    core->resumable = true;
    core->session = session;
    core->overtaken = 0;
    return 0;
}

static void session_leave(struct client_core *core, int err)
{
    bool connected = core->phase > CLIENT_PAUSED && core->phase < CLIENT_ENDED;
    core->phase = CLIENT_ENDED;
    core->ended_err = err;
    if (connected) {
        core->host.disconnect(core->host.arg);
    }
}

void client_session_closed(struct client_core *core)
{
    session_leave(core, ERR_CLOSED);
    client_consumer_free_all(core);
    client_command_end_all(core, ERR_OUTCOME_UNKNOWN, ERR_CLOSED);
    client_ask_end_all(core, ERR_CLOSED);
}

bool client_session_overtaken(struct client_core *core)
{
    if (!core->keyed || core->phase != CLIENT_ATTACHING || ++core->overtaken < OVERTAKEN_MAX) {
        return false;
    }
    session_leave(core, ERR_DISPLACED);
    while (core->consumers != NULL) {
        struct client_consumer *consumer = core->consumers;
        uint64_t id = consumer->id;
        bool told = consumer->subscribed && !consumer->ending;
        client_consumer_remove(core, consumer);
        if (told) {
            core->host.consumer_ended(core->host.arg, id, ERR_DISPLACED, err_text(ERR_DISPLACED));
        }
    }
    client_command_end_all(core, ERR_OUTCOME_UNKNOWN, ERR_DISPLACED);
    client_ask_end_all(core, ERR_DISPLACED);
    return true;
}

uint64_t client_core_session(const struct client_core *core)
{
    return core->resumable ? core->session : 0;
}

int client_core_take_up(struct client_core *core, const struct client_consumer_info *left)
{
    if (core->phase == CLIENT_ENDED) {
        return core->ended_err;
    }
    if (!core->resumable || left->session != core->session) {
        return ERR_NOT_FOUND;
    }
    int err = client_consumer_add(core, left->consumer);
    if (err != 0) {
        return err;
    }
    struct client_consumer *consumer = client_consumer_find(core, left->consumer);
    consumer->sent = true;
    consumer->subscribed = true;
    consumer->held_to = left->delivered;
    consumer->gaps = left->auto_accept;
    consumer->ends_alone = left->fetch;
    core->rejoin = true;
    return 0;
}
