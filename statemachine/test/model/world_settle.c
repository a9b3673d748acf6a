/* Whose command it is, and which deliveries it is about, by who holds what. */

#include "world.h"

static bool session_holds(const struct session *session)
{
    bool holds = false;
    EACH (struct consumer, consumer, &session->consumers) {
        holds = holds || consumer->held.len > 0;
    }
    return holds;
}

/* Who sends it: of what is about deliveries somebody who has some, if it does not go astray. */
uint32_t client_of(const struct world *world, const struct step *step)
{
    uint32_t wanted = step_arg(step, "client");
    for (uint32_t i = 0; i < WORLD_CLIENTS && op_has(step->op, "loose") && op_has(step->op, "astray"); i++) {
        uint32_t client = (wanted + i) % WORLD_CLIENTS;
        const struct session *session = m_session_find(world->model, world->clients[client].session);
        if (session != NULL && session_holds(session) && step_arg(step, "astray") == 0) {
            return client;
        }
    }
    return wanted;
}

/* One of those that the client has, that holds something if there is one; an id that may be none, when it has none, or goes
 * astray. */
uint64_t consumer_of(const struct world *world, const struct step *step)
{
    uint64_t wanted = step_arg(step, "consumer");
    const struct session *session = m_session_find(world->model, world->clients[client_of(world, step)].session);
    if (session == NULL || session->consumers.len == 0 || !op_has(step->op, "astray") ||
        step_arg(step, "astray") != 0) {
        return wanted + 1;
    }
    size_t len = session->consumers.len;
    const struct consumer *consumer = session->consumers.items[wanted % len];
    for (size_t i = 0; i < len && op_has(step->op, "loose"); i++) {
        const struct consumer *other = session->consumers.items[(wanted + i) % len];
        if (other->held.len > 0) {
            return other->id;
        }
    }
    return consumer->id;
}

/* Deliveries from the one that is so far back among those that are held; loosely: among all. */
static uint64_t delivery_number(const struct consumer *consumer, uint64_t back, bool loose)
{
    if (consumer == NULL || consumer->last_number == 0) {
        return 0;
    }
    if (loose || consumer->held.len == 0) {
        return consumer->last_number > back ? consumer->last_number - back : 1;
    }
    const struct held *held = consumer->held.items[consumer->held.len - 1 - back % consumer->held.len];
    return held->number;
}

/* The last one of so many, as long as they are held. */
static uint64_t delivery_end(const struct consumer *consumer, uint64_t first, uint64_t span, bool loose)
{
    uint64_t made = consumer != NULL ? consumer->last_number : 0;
    uint64_t last = first;
    if (loose || consumer == NULL) {
        return first + span < made ? first + span : made;
    }
    EACH (struct held, held, &consumer->held) {
        last = held->number == last + 1 && last < first + span ? held->number : last;
    }
    return last;
}

void set_settle(struct world *world, const struct step *step, Holdfast__Settle *settle, uint64_t first[2],
                uint64_t last[2])
{
    uint64_t id = consumer_of(world, step);
    struct session *session = m_session_find(world->model, world->clients[client_of(world, step)].session);
    const struct consumer *consumer = session != NULL ? m_consumer_find(session, id) : NULL;
    uint64_t made = consumer != NULL ? consumer->last_number : 0;
    uint64_t back = step_arg(step, "back");
    bool loose = step_arg(step, "loose") != 0;
    uint32_t wrong = op_has(step->op, "wrong") ? step_arg(step, "wrong") : 0;
    uint32_t second = op_has(step->op, "second") ? step_arg(step, "second") : 0;
    uint64_t span = step_arg(step, "span");
    settle->consumer = id;
    settle->outcome =
        wrong == 1 ? 9 : (Holdfast__Settle__Outcome)(op_has(step->op, "outcome") ? step_arg(step, "outcome") : 0);
    first[0] = delivery_number(consumer, back, loose);
    last[0] = delivery_end(consumer, first[0], span, loose);
    first[1] = delivery_number(consumer, 2 * back + 1, loose);
    last[1] = first[1] + second - 1;
    last[1] = last[1] < made ? last[1] : made;
    settle->n_first = second > 0 && first[1] <= last[1] ? 2 : 1;
    settle->n_last = settle->n_first - (wrong == 2);
    first[0] = wrong == 3 ? 0 : first[0];
    first[0] = wrong == 4 ? last[0] + 1 : first[0];
    last[0] = wrong == 5 ? made + 1 : last[0];
    settle->first = first;
    settle->last = last;
}
