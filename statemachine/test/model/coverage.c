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
        uint32_t client = step->op >= OP_FIRST_OF_SESSION ? client_of(world, step) : step_arg(step, "client");
        session = m_session_find(world->model, world->clients[client].session);
    }
    if (op_has(step->op, "astray")) {
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

void coverage_end(struct world *world)
{
    for (size_t i = 0; world->coverage != NULL && i < SEEN_COUNT; i++) {
        world->coverage->seen_else[i] += model_seen(world->model)[i];
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
    for (size_t i = 0; i < SEEN_COUNT; i++) {
        coverage->seen_else[i] += other->seen_else[i];
    }
}

/* Whether a word is in a list of them. */
static bool has_word(const char *words, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = words != NULL ? strstr(words, word) : NULL; at != NULL; at = strstr(at + 1, word)) {
        if ((at[len] == '\0' || at[len] == ' ') && (at == words || at[-1] == ' ')) {
            return true;
        }
    }
    return false;
}

static const char *error_name(unsigned error)
{
    return error == 0 ? "OK" : err_name(-(int)error);
}

static uint64_t seen_in_all(const struct coverage *coverage, enum op op, unsigned error)
{
    uint64_t sum = 0;
    for (size_t state = 0; state < OBJECT_STATES; state++) {
        sum += coverage->seen[op][error][state];
    }
    return sum;
}

/* Whether a history under that version of the rules may show it at all. */
static bool cell_counts(enum op op, unsigned error, size_t state, unsigned version)
{
    static const enum object_state new[] = {OBJECT_WAITING, OBJECT_PARKED, OBJECT_PAUSED, OBJECT_FULL};
    static const char *const old_errors =
        "OK INVALID UNAVAILABLE NOT_FOUND NAME SESSION_EXPIRED DISPLACED STALE OUT_OF_ORDER "
        "TOO_BIG CHECKSUM NO_SPACE";
    if (version >= 2) {
        return true;
    }
    for (size_t i = 0; i < sizeof new / sizeof new[0] && state < OBJECT_STATES; i++) {
        if (state == new[i]) {
            return false;
        }
    }
    bool old = has_word(old_errors, error_name(error));
    old = old || (op == OP_SUBSCRIBE && error == (unsigned)-ERR_EXISTS);
    old = old || ((op == OP_PUBLISH || op == OP_DELETE) && error == (unsigned)-ERR_REFUSED);
    old = old && !(op == OP_SETTLE && error == (unsigned)-ERR_STALE) &&
          !(op == OP_DECLARE && error == (unsigned)-ERR_INVALID);
    return old && !(op == OP_DECLARE && error == (unsigned)-ERR_NOT_FOUND);
}

static bool is_required(enum op op, unsigned error, unsigned version)
{
    return has_word(op_spec(op)->errors, error_name(error)) && cell_counts(op, error, OBJECT_STATES, version);
}

static void print_line(const struct coverage *coverage, enum op op, unsigned error, unsigned version, FILE *file)
{
    uint64_t sum = seen_in_all(coverage, op, error);
    if (sum == 0 && !is_required(op, error, version)) {
        return;
    }
    (void)fprintf(file, "%-12s %-16s", op_spec(op)->name, error_name(error));
    for (size_t state = 0; state < OBJECT_STATES; state++) {
        bool required =
            error == 0 && has_word(op_spec(op)->states, state_names[state]) && cell_counts(op, 0, state, version);
        uint64_t seen = coverage->seen[op][error][state];
        if (seen == 0) {
            (void)fprintf(file, " %8s", required ? "NEVER" : ".");
        } else {
            (void)fprintf(file, " %8" PRIu64, seen);
        }
    }
    (void)fprintf(file, "%s\n", sum == 0 ? "   NEVER" : "");
}

static const char *const effect_names[] = {"reply",     "deliver",    "session ended", "consumer ended",
                                           "node lost", "lock ended", "prepared ask"};
#define EFFECTS (sizeof effect_names / sizeof effect_names[0])

static const char *const else_names[SEEN_COUNT] = {
#define X(name, text) text,
    MODEL_SEEN(X)
#undef X
};

/* Under version 1 few of them can be. */
static bool else_counts(size_t what, unsigned version)
{
    return version >= 2 || what == SEEN_LEASE_OVER || what == SEEN_RUN_OVER || what == SEEN_HELD_BY_DETACHED ||
           what == SEEN_SEQUENCE_REPEATED;
}

static bool effect_counts(size_t kind, unsigned version)
{
    return version >= 2 || (kind != MODEL_LOCK_ENDED && kind != MODEL_PREPARED_ASK);
}

void coverage_print(const struct coverage *coverage, unsigned version, FILE *file)
{
    (void)fprintf(file, "%-12s %-16s", "operation", "outcome");
    for (size_t state = 0; state < OBJECT_STATES; state++) {
        (void)fprintf(file, " %8s", state_names[state]);
    }
    (void)fprintf(file, "\n");
    for (enum op op = OP_RAISE; op < OP_COUNT; op++) {
        for (unsigned error = 0; error < ERRORS_MAX && op_spec(op)->version <= version; error++) {
            print_line(coverage, op, error, version, file);
        }
    }
    for (size_t i = 0; i < EFFECTS; i++) {
        (void)fprintf(file, "effect: %-42s %9" PRIu64 "\n", effect_names[i], coverage->effects[i]);
    }
    for (size_t i = 0; i < SEEN_COUNT; i++) {
        (void)fprintf(file, "%-50s %9" PRIu64 "%s\n", else_names[i], coverage->seen_else[i],
                      coverage->seen_else[i] == 0 && else_counts(i, version) ? "   NEVER" : "");
    }
}

/* ---- What is missing ---- */

static size_t missing_cells(const struct coverage *coverage, enum op op, unsigned version, FILE *file)
{
    size_t missing = 0;
    for (unsigned error = 0; error < ERRORS_MAX; error++) {
        if (is_required(op, error, version) && seen_in_all(coverage, op, error) == 0) {
            (void)fprintf(file, "never seen: %s %s\n", op_spec(op)->name, error_name(error));
            missing++;
        }
    }
    for (size_t state = 0; state < OBJECT_STATES; state++) {
        if (has_word(op_spec(op)->states, state_names[state]) && cell_counts(op, 0, state, version) &&
            coverage->seen[op][0][state] == 0) {
            (void)fprintf(file, "never seen: %s OK, %s\n", op_spec(op)->name, state_names[state]);
            missing++;
        }
    }
    return missing;
}

size_t coverage_missing(const struct coverage *coverage, unsigned version, FILE *file)
{
    size_t missing = 0;
    for (enum op op = OP_RAISE; op < OP_COUNT; op++) {
        missing += op_spec(op)->version <= version ? missing_cells(coverage, op, version, file) : 0;
    }
    for (size_t i = 0; i < EFFECTS; i++) {
        if (effect_counts(i, version) && coverage->effects[i] == 0) {
            (void)fprintf(file, "never seen: effect %s\n", effect_names[i]);
            missing++;
        }
    }
    for (size_t i = 0; i < SEEN_COUNT; i++) {
        if (else_counts(i, version) && coverage->seen_else[i] == 0) {
            (void)fprintf(file, "never seen: %s\n", else_names[i]);
            missing++;
        }
    }
    return missing;
}
