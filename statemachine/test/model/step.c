/* Histories as text, and the table of operations. */

#include "step.h"

#include <stdlib.h>
#include <string.h>

#include "model_private.h"

#define C ARG_CHOICE
#define F ARG_FEATURE
/* Whose command; now and then one with a number that was used, that is skipped, of an earlier attachment, of no session. */
#define OF_CLIENT                                                                                                      \
    {"client", 3, C, 1}, {"odd", 4, F, 1},                                                                             \
    {                                                                                                                  \
        "answered", 2, F, 1                                                                                            \
    }

/* What a queue is like (step_options.c). */
#define OPTIONS                                                                                                        \
    {"exclusive", 1, F, 2}, {"auto_delete", 1, F, 2}, {"priorities", 3, F, 2}, {"groups", 1, F, 2},                    \
        {"single", 1, F, 2}, {"expires", 2, F, 2}, {"ttl", 4, F, 2}, {"length", 4, F, 2}, {"bytes", 3, F, 2},          \
        {"overflow", 2, F, 2}, {"dead", 6, F, 2}, {"deliveries", 3, F, 2}, {"delay", 3, F, 2}, {"delay_max", 2, F, 2}, \
        {"lock", 3, F, 2}, {"ids", 2, F, 2}, {"keep", 2, F, 2}, {"life", 2, F, 2}, {"paused", 1, F, 2},                \
        {"protected", 1, F, 2},                                                                                        \
    {                                                                                                                  \
        "wrong", 3, F, 2                                                                                               \
    }
/* What a message says of itself. */
#define HEAD                                                                                                           \
    {"to", 9, F, 2}, {"key", 6, F, 2}, {"also", 6, F, 2}, {"hidden", 6, F, 2}, {"priority", 5, F, 2},                  \
        {"own_ttl", 4, F, 2}, {"later", 5, F, 2}, {"group", 2, F, 2}, {"id", 3, F, 2}, {"mandatory", 1, F, 2},         \
    {                                                                                                                  \
        "header", 3, F, 2                                                                                              \
    }
static const struct op_spec specs[OP_COUNT] = {
    [OP_ENTRY] = {"entry", 0, 1, "", {{"ms", 10, F, 1}}},
    [OP_CHECKPOINT] = {"checkpoint", 8, 1, "", {{0}}},
    [OP_WRITE] = {"write", 8, 1, "", {{"fail", 1, F, 1}}},
    [OP_DONE] = {"done", 8, 1, "", {{0}}},
    [OP_RESTART] = {"restart", 4, 1, "", {{0}}},
    [OP_RAISE] = {"raise", 1, 1, "OK INVALID", {{"version", 1, C, 1}, {"new", 1, C, 2}}},
    [OP_PRESENT] = {"present", 6, 1, "OK INVALID", {{"node", 2, C, 1}, {"run", 2, F, 1}, {"zero", 1, F, 1}}},
    [OP_LOST] = {"lost", 2, 1, "OK STALE", {{"node", 2, C, 1}, {"stale", 1, F, 1}}},
    [OP_ATTACH] = {"attach",
                   16,
                   1,
                   "OK INVALID UNAVAILABLE NOT_FOUND NAME SESSION_EXPIRED DISPLACED EXISTS LIMIT",
                   {{"client", 3, C, 1},
                    {"node", 2, C, 1},
                    {"resume", 1, F, 1},
                    {"attempt", 3, F, 1},
                    {"again", 1, F, 1},
                    {"lease", 2, F, 1},
                    {"key", 1, F, 1},
                    {"name", 1, F, 1},
                    {"origin", 2, F, 1},
                    {"host", 4, F, 1},
                    {"user", 3, F, 2}},
                   "none ready detached"},
    [OP_DETACH] = {"detach", 4, 1, "OK STALE", {{"client", 3, C, 1}, {"stale", 1, F, 1}}, "ready detached"},
    [OP_CLOSE] = {"close", 1, 1, "OK SESSION_EXPIRED DISPLACED", {OF_CLIENT}, "ready detached"},
    [OP_DECLARE] = {"declare",
                    18,
                    1,
                    "OK NAME SESSION_EXPIRED DISPLACED OUT_OF_ORDER INVALID EXISTS EXCLUSIVE NOT_FOUND LIMIT",
                    {OF_CLIENT, {"queue", 4, C, 1}, {"like", 1, C, 2}, {"passive", 1, F, 2}, OPTIONS},
                    "none empty ready locked waiting parked paused full"},
    [OP_DELETE] =
        {"delete",
         4,
         1,
         "OK NOT_FOUND REFUSED EXCLUSIVE",
         {OF_CLIENT, {"queue", 4, C, 1}, {"if_empty", 1, F, 1}, {"if_unused", 1, F, 2}, {"if_none_ready", 1, F, 2}},
         "empty ready locked waiting parked paused full"},
    [OP_PURGE] = {"purge",
                  4,
                  1,
                  "OK NOT_FOUND REFUSED EXCLUSIVE",
                  {OF_CLIENT, {"queue", 4, C, 1}},
                  "empty ready locked waiting parked paused full"},
    [OP_PUBLISH] = {"publish",
                    30,
                    1,
                    "OK INVALID TOO_BIG NAME NOT_FOUND CHECKSUM REFUSED EXCLUSIVE FULL FENCED GAP EXISTS LIMIT",
                    {OF_CLIENT,
                     {"queue", 4, C, 1},
                     {"messages", 5, C, 1},
                     {"producer", 4, F, 1},
                     {"back", 4, F, 1},
                     {"size", 3, F, 1},
                     {"wrong", 5, F, 1},
                     {"gap", 1, F, 2},
                     {"epoch", 3, F, 2},
                     {"no_gaps", 1, F, 2},
                     {"each", 1, F, 2},
                     {"in_order", 1, F, 2},
                     {"prepare", 3, F, 2},
                     {"ask", 2, F, 2},
                     {"deadline", 2, F, 2},
                     {"commit", 1, F, 2},
                     HEAD},
                    "none empty ready locked waiting parked paused full"},
    [OP_SUBSCRIBE] = {"subscribe",
                      20,
                      1,
                      "OK NOT_FOUND INVALID EXISTS EXCLUSIVE LIMIT",
                      {OF_CLIENT,
                       {"queue", 4, C, 1},
                       {"consumer", 2, C, 1},
                       {"credit", 4, C, 1},
                       {"wrong", 3, F, 1},
                       {"priority", 2, F, 2},
                       {"exclusive", 1, F, 2},
                       {"lock", 3, F, 2},
                       {"auto_accept", 1, F, 2},
                       {"fetch", 1, F, 2},
                       {"more", 2, F, 2}},
                      "empty ready locked waiting parked paused full"},
    [OP_UNSUBSCRIBE] = {"unsubscribe",
                        7,
                        1,
                        "OK NOT_FOUND",
                        {OF_CLIENT, {"consumer", 2, C, 1}, {"astray", 1, F, 1}, {"drain", 1, F, 2}},
                        "empty locked detached"},
    [OP_CREDIT] = {"credit",
                   8,
                   1,
                   "OK NOT_FOUND INVALID",
                   {OF_CLIENT, {"consumer", 2, C, 1}, {"astray", 1, F, 1}, {"credit", 5, C, 1}, {"wrong", 1, F, 1}},
                   "empty locked detached"},
    [OP_SETTLE] = {"settle",
                   40,
                   1,
                   "OK NOT_FOUND INVALID STALE",
                   {OF_CLIENT,
                    {"consumer", 2, C, 1},
                    {"astray", 1, F, 1},
                    {"outcome", 2, C, 1},
                    {"back", 6, C, 1},
                    {"span", 4, C, 1},
                    {"loose", 1, F, 1},
                    {"second", 2, F, 1},
                    {"wrong", 5, F, 1},
                    {"delay", 3, F, 2},
                    {"all", 1, F, 2},
                    {"not_counted", 1, F, 2}},
                   "empty locked detached"},
    [OP_REFUSED] = {"refused", 2, 1, "INVALID NO_SPACE", {OF_CLIENT, {"error", 2, C, 1}}},
    [OP_CHANGE] = {"change",
                   6,
                   2,
                   "OK NOT_FOUND INVALID EXISTS EXCLUSIVE LIMIT",
                   {OF_CLIENT,
                    {"queue", 4, C, 1},
                    {"like", 1, C, 2},
                    {"field", 34, F, 2},
                    {"second", 28, F, 2},
                    {"unknown", 1, F, 2},
                    OPTIONS},
                   "empty ready locked waiting parked paused full"},
    [OP_EXTEND] = {"extend",
                   6,
                   2,
                   "OK NOT_FOUND INVALID",
                   {OF_CLIENT,
                    {"consumer", 2, C, 1},
                    {"astray", 1, F, 1},
                    {"back", 6, C, 1},
                    {"span", 4, C, 1},
                    {"loose", 1, F, 1},
                    {"lock", 3, F, 1},
                    {"wrong", 5, F, 1}},
                   "empty locked detached"},
    [OP_OPEN] = {"open", 9, 2, "OK NAME", {OF_CLIENT, {"producer", 4, C, 1}, {"keep", 1, F, 1}}, "ready detached"},
    [OP_RESOLVE] = {"resolve",
                    4,
                    2,
                    "OK NOT_FOUND REFUSED",
                    {OF_CLIENT, {"prepare", 3, C, 1}, {"commit", 1, C, 1}},
                    "ready detached"},
    [OP_EXCHANGE] = {"exchange",
                     12,
                     2,
                     "OK NOT_FOUND NAME INVALID EXISTS REFUSED LIMIT",
                     {OF_CLIENT,
                      {"to", 9, C, 1},
                      {"like", 1, C, 1},
                      {"type", 4, C, 1},
                      {"auto_delete", 1, F, 1},
                      {"internal", 1, F, 1},
                      {"alternate", 5, F, 1},
                      {"protected", 1, F, 1},
                      {"passive", 1, F, 1},
                      {"name", 1, F, 1}},
                     "ready detached"},
    [OP_UNEXCHANGE] = {"unexchange",
                       2,
                       2,
                       "OK NOT_FOUND REFUSED",
                       {OF_CLIENT, {"to", 9, C, 1}, {"if_unused", 1, F, 1}, {"if_exists", 1, F, 1}},
                       "ready detached"},
    [OP_BIND] =
        {"bind",
         16,
         2,
         "OK NOT_FOUND REFUSED EXCLUSIVE LIMIT",
         {OF_CLIENT, {"to", 9, C, 1}, {"queue", 4, C, 1}, {"other", 9, F, 1}, {"key", 10, C, 1}, {"match", 5, F, 1}},
         "none empty ready locked waiting parked paused full"},
    [OP_UNBIND] = {"unbind",
                   4,
                   2,
                   "OK NOT_FOUND REFUSED EXCLUSIVE",
                   {OF_CLIENT,
                    {"to", 9, C, 1},
                    {"queue", 4, C, 1},
                    {"other", 9, F, 1},
                    {"key", 10, C, 1},
                    {"match", 5, F, 1},
                    {"nth", 7, C, 1},
                    {"loose", 1, F, 1}},
                   "none empty ready locked"},
    [OP_TRANSACT] = {"transact",
                     12,
                     2,
                     "OK NOT_FOUND STALE FULL REFUSED INVALID FENCED GAP LIMIT",
                     {OF_CLIENT,
                      {"queue", 4, C, 1},
                      {"messages", 3, C, 1},
                      {"parts", 2, C, 1},
                      {"none", 1, F, 1},
                      {"size", 3, F, 1},
                      {"producer", 4, F, 1},
                      {"others", 1, F, 1},
                      {"again", 2, F, 1},
                      {"gap", 1, F, 2},
                      {"epoch", 3, F, 2},
                      {"no_gaps", 1, F, 2},
                      {"settle", 2, C, 1},
                      {"consumer", 2, C, 1},
                      {"astray", 1, F, 1},
                      {"outcome", 2, C, 1},
                      {"back", 6, C, 1},
                      {"span", 4, C, 1},
                      {"loose", 1, F, 1},
                      {"twice", 1, F, 1},
                      {"wrong", 5, F, 1},
                      HEAD},
                     "none empty locked detached"},
    [OP_REDRIVE] = {"redrive",
                    10,
                    2,
                    "OK NOT_FOUND INVALID EXCLUSIVE",
                    {OF_CLIENT, {"queue", 4, C, 1}, {"into", 5, F, 1}, {"most", 3, F, 1}, {"from", 4, F, 1}},
                    "empty ready locked waiting parked paused full"},
    [OP_REPLAY] =
        {"replay",
         8,
         2,
         "OK NOT_FOUND INVALID EXCLUSIVE",
         {OF_CLIENT, {"queue", 4, C, 1}, {"into", 5, F, 1}, {"most", 3, F, 1}, {"first", 4, F, 1}, {"last", 3, F, 1}},
         "empty ready locked waiting parked paused full"},
    [OP_HOST] = {"host",
                 3,
                 2,
                 "OK NAME INVALID",
                 {OF_CLIENT, {"host", 3, C, 1}, {"note", 1, F, 1}, {"name", 1, F, 1}},
                 "ready detached"},
    [OP_UNHOST] = {"unhost", 2, 2, "OK NOT_FOUND REFUSED", {OF_CLIENT, {"host", 3, C, 1}, {"force", 1, F, 1}}, "ready"},
    [OP_LIMITS] = {"limits",
                   8,
                   2,
                   "OK INVALID NAME NOT_FOUND",
                   {OF_CLIENT, {"of", 4, C, 1}, {"what", 7, C, 1}, {"value", 4, C, 1}, {"wrong", 3, F, 1}},
                   "ready detached"},
    [OP_CHEXCHANGE] = {"chexchange",
                       4,
                       2,
                       "OK NOT_FOUND REFUSED INVALID",
                       {OF_CLIENT, {"to", 9, C, 1}, {"protect", 2, F, 1}, {"note", 2, F, 1}},
                       "ready detached"},
};

const struct op_spec *op_spec(enum op op)
{
    return &specs[op];
}

bool op_has(enum op op, const char *name)
{
    for (unsigned i = 0; i < STEP_ARGS_MAX && specs[op].args[i].name != NULL; i++) {
        if (strcmp(specs[op].args[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

unsigned op_arg(enum op op, const char *name)
{
    for (unsigned i = 0; i < STEP_ARGS_MAX && specs[op].args[i].name != NULL; i++) {
        if (strcmp(specs[op].args[i].name, name) == 0) {
            return i;
        }
    }
    (void)fprintf(stderr, "%s: %s\n", specs[op].name, name);
    model_require(false, "the operation has the argument");
    return 0;
}

uint32_t step_arg(const struct step *step, const char *name)
{
    return step->args[op_arg(step->op, name)];
}

void history_add(struct history *history, const struct step *step)
{
    if (history->len == history->cap) {
        history->cap = history->cap > 0 ? 2 * history->cap : 256;
        history->steps = realloc(history->steps, history->cap * sizeof *history->steps);
        model_require(history->steps != NULL, "memory");
    }
    history->steps[history->len++] = *step;
}

void history_done(struct history *history)
{
    free(history->steps);
    *history = (struct history){0};
}

/* What is 0 is left out. */
void step_print(const struct step *step, FILE *file)
{
    const struct op_spec *spec = &specs[step->op];
    (void)fprintf(file, "%s", spec->name);
    for (unsigned i = 0; i < STEP_ARGS_MAX && spec->args[i].name != NULL; i++) {
        if (step->args[i] != 0) {
            (void)fprintf(file, " %s=%u", spec->args[i].name, step->args[i]);
        }
    }
    (void)fprintf(file, "\n");
}

static bool parse_arg(struct step *step, const char *word)
{
    const struct op_spec *spec = &specs[step->op];
    const char *value = strchr(word, '=');
    for (unsigned i = 0; value != NULL && i < STEP_ARGS_MAX && spec->args[i].name != NULL; i++) {
        size_t len = strlen(spec->args[i].name);
        if ((size_t)(value - word) == len && strncmp(word, spec->args[i].name, len) == 0) {
            step->args[i] = (uint32_t)strtoul(value + 1, NULL, 10);
            return true;
        }
    }
    return false;
}

bool step_parse(struct step *step, const char *line)
{
    char text[1024];
    (void)snprintf(text, sizeof text, "%s", line);
    char *rest;
    char *word = strtok_r(text, " \r\n", &rest);
    *step = (struct step){.op = OP_COUNT};
    for (enum op op = 0; word != NULL && op < OP_COUNT; op++) {
        if (strcmp(specs[op].name, word) == 0) {
            step->op = op;
        }
    }
    while (step->op != OP_COUNT && (word = strtok_r(NULL, " \r\n", &rest)) != NULL) {
        if (!parse_arg(step, word)) {
            return false;
        }
    }
    return step->op != OP_COUNT;
}
