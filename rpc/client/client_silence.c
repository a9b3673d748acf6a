/* What the client takes for a sign of life, when it asks for one, and when the node has been silent for too long. */

#include "rpc/client/client_state.h"

/* An idle connection is pinged, so that its end is noticed: soon when deliveries may be missing. */
#define PING_SUBSCRIBED_MS 2000u
#define PING_IDLE_MS 10000u

/* When something is unanswered, after this part of the silence that would end the connection. */
#define PING_EXPECTING_PART 3u

/* Something arrives, but no reply for this many times the silence: attach again and ask again. */
#define PROGRESS_FACTOR 3u

bool client_silence_expects(const struct client_core *core)
{
    return !client_ring_empty(core) || core->pinging || client_ask_sent(core);
}

static uint64_t ping_deadline(const struct client_core *core)
{
    if (core->pinging) {
        return UINT64_MAX;
    }
    if (client_silence_expects(core)) {
        return core->heard_ms + core->options.silence_timeout_ms / PING_EXPECTING_PART;
    }
    uint64_t interval = HASH_COUNT(core->consumers) > 0 ? PING_SUBSCRIBED_MS : PING_IDLE_MS;
    return (core->heard_ms < core->sent_ms ? core->heard_ms : core->sent_ms) + interval;
}

/* When nothing is heard, whether something moves is looked at as often as a ping would be due. */
static uint64_t look_deadline(const struct client_core *core)
{
    if (core->host.moved == NULL || !client_silence_expects(core)) {
        return UINT64_MAX;
    }
    uint64_t since = core->looked_ms > core->heard_ms ? core->looked_ms : core->heard_ms;
    return since + core->options.silence_timeout_ms / PING_EXPECTING_PART;
}

static uint64_t silence_deadline(const struct client_core *core)
{
    uint64_t deadline = UINT64_MAX;
    if (core->pinging) { /* Nothing is silent that has not been asked: we may have been away ourselves. */
        uint64_t asked = core->pinged_ms - core->options.silence_timeout_ms / PING_EXPECTING_PART;
        deadline = (core->heard_ms > asked ? core->heard_ms : asked) + core->options.silence_timeout_ms;
    }
    uint64_t progress = core->progress_ms + core->options.silence_timeout_ms * PROGRESS_FACTOR;
    return !client_ring_empty(core) && progress < deadline ? progress : deadline;
}

uint64_t client_silence_deadline_ms(const struct client_core *core)
{
    uint64_t deadline = silence_deadline(core);
    uint64_t ping = ping_deadline(core);
    uint64_t look = look_deadline(core);
    deadline = ping < deadline ? ping : deadline;
    return look < deadline ? look : deadline;
}

/* A long frame on a slow line: neither a reply nor a PONG can overtake it. */
static void movement_look(struct client_core *core, uint64_t now)
{
    uint64_t moved = core->host.moved(core->host.arg);
    core->looked_ms = now;
    if (moved != core->moved) {
        core->moved = moved;
        core->heard_ms = now;
        core->progress_ms = now;
    }
}

void client_silence_look(struct client_core *core, uint64_t now, uint64_t late_ms)
{
    if (late_ms > core->options.silence_timeout_ms / PING_EXPECTING_PART) {
        core->progress_ms = now;
    }
    if (look_deadline(core) <= now) {
        movement_look(core, now);
    }
}

bool client_silence_too_long(const struct client_core *core, uint64_t now)
{
    return silence_deadline(core) <= now;
}

bool client_silence_ping_due(const struct client_core *core, uint64_t now)
{
    return ping_deadline(core) <= now;
}
