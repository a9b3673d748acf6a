/* Which outcomes were seen: of each operation, by the state of what it was about. */

#include <inttypes.h>
#include <string.h>

#include "world.h"

static const char *const state_names[OBJECT_STATES] = {"none",   "empty",  "ready", "locked",  "waiting",
                                                       "parked", "paused", "full",  "detached"};

static enum object_state state_of_queue(const struct queue *queue)
{
    if (queue == NULL) {
        return OBJECT_NONE;
    }
    uint64_t ready = m_queue_count(queue, MODEL_READY);
    if (queue->options.paused) {
        return OBJECT_PAUSED;
    }
    if ((queue->options.has_max_length && ready >= queue->options.max_length) ||
        (queue->options.has_max_bytes && m_queue_bytes(queue) >= queue->options.max_bytes)) {
        return OBJECT_FULL;
    }
    EACH (struct message, message, &queue->messages) {
        if (message->state == MODEL_READY && !m_message_is_free(queue, message)) {
            return OBJECT_PARKED;
        }
    }
    if (ready > 0) {
        return OBJECT_READY;
    }
    if (m_queue_count(queue, MODEL_WAITING) > 0) {
        return OBJECT_WAITING;
    }
    return queue->messages.len > 0 ? OBJECT_LOCKED : OBJECT_EMPTY;
}

enum object_state coverage_state(const struct world *world, const struct step *step)
{
    static const char *const names[] = {"a", "b", "c", "d", ""};
    struct session *session = NULL;
    if (op_has(step->op, "client")) {
        session = m_session_find(world->model, world->clients[step_arg(step, "client")].session);
    }
    if (op_has(step->op, "consumer")) {
        struct consumer *consumer = session != NULL ? m_consumer_find(session, consumer_of(world, step)) : NULL;
        if (consumer != NULL && consumer->session->place == NULL) {
            return OBJECT_DETACHED;
        }
        return consumer == NULL ? OBJECT_NONE : consumer->held.len > 0 ? OBJECT_LOCKED : OBJECT_EMPTY;
    }
    if (op_has(step->op, "queue")) {
        const char *host = session != NULL ? session->virtual_host : "/";
        return state_of_queue(m_queue_find(world->model, host, names[step_arg(step, "queue")]));
    }
    if (session == NULL) {
        return OBJECT_NONE;
    }
    return session->place == NULL ? OBJECT_DETACHED : OBJECT_READY;
}

void coverage_note(struct world *world)
{
    size_t len;
    const struct model_effect *effects = model_effects(world->model, &len);
    for (size_t i = 0; world->coverage != NULL && i < len; i++) {
        world->coverage->effects[effects[i].kind]++;
        if (effects[i].kind == MODEL_REPLY && effects[i].error < ERRORS_MAX) {
            uint32_t at = effects[i].command;
            world->coverage->seen[world->ops[at].op][effects[i].error][world->ops[at].state]++;
        }
    }
}

void coverage_add(struct coverage *coverage, const struct coverage *other)
{
    for (size_t op = 0; op < OP_COUNT; op++) {
        for (size_t error = 0; error < ERRORS_MAX; error++) {
            for (size_t state = 0; state < OBJECT_STATES; state++) {
                coverage->seen[op][error][state] += other->seen[op][error][state];
            }
        }
    }
    for (size_t i = 0; i < sizeof coverage->effects / sizeof coverage->effects[0]; i++) {
        coverage->effects[i] += other->effects[i];
    }
}

static bool is_expected(enum op op, const char *error)
{
    const char *at = strstr(op_spec(op)->errors, error);
    size_t len = strlen(error);
    return at != NULL && (at[len] == '\0' || at[len] == ' ') && (at == op_spec(op)->errors || at[-1] == ' ');
}

static void print_line(const struct coverage *coverage, enum op op, unsigned error, FILE *file)
{
    const char *name = error == 0 ? "OK" : err_name(-(int)error);
    uint64_t sum = 0;
    for (size_t state = 0; state < OBJECT_STATES; state++) {
        sum += coverage->seen[op][error][state];
    }
    if (sum == 0 && !is_expected(op, name)) {
        return;
    }
    (void)fprintf(file, "%-16s %-16s", op_spec(op)->name, name);
    for (size_t state = 0; state < OBJECT_STATES; state++) {
        (void)fprintf(file, " %9" PRIu64, coverage->seen[op][error][state]);
    }
    (void)fprintf(file, "%s\n", sum == 0 ? "   NEVER" : "");
}

void coverage_print(const struct coverage *coverage, unsigned version, FILE *file)
{
    static const char *const effects[] = {"reply",     "deliver",    "session ended", "consumer ended",
                                          "node lost", "lock ended", "prepared ask"};
    (void)fprintf(file, "%-16s %-16s", "operation", "outcome");
    for (size_t state = 0; state < OBJECT_STATES; state++) {
        (void)fprintf(file, " %9s", state_names[state]);
    }
    (void)fprintf(file, "\n");
    for (enum op op = OP_RAISE; op < OP_COUNT; op++) {
        for (unsigned error = 0; error < ERRORS_MAX && op_spec(op)->version <= version; error++) {
            print_line(coverage, op, error, file);
        }
    }
    for (size_t i = 0; i < sizeof effects / sizeof effects[0]; i++) {
        (void)fprintf(file, "effect %-26s %9" PRIu64 "\n", effects[i], coverage->effects[i]);
    }
}
