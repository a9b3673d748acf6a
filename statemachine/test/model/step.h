/* Histories: what clients, nodes and disks do, as steps that can be left out, made simpler, printed and read again.
 *
 * A step is an operation with small numbers. What they stand for (which session, which number, which deliveries) is found when it
 * is applied, from where things stand by then, so that a history of which a part is left out still makes sense. 0 is always the
 * plainest choice. */

#ifndef HOLDFAST_STATEMACHINE_TEST_STEP_H
#define HOLDFAST_STATEMACHINE_TEST_STEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define STEP_ARGS_MAX 44u

enum op {
    OP_ENTRY, /* Applies the commands so far as one entry. */
    OP_CHECKPOINT,
    OP_WRITE,
    OP_DONE,
    OP_RESTART,
    OP_RAISE,
    OP_PRESENT,
    OP_LOST,
    OP_ATTACH,
    OP_DETACH,
    /* From here on: commands of sessions. */
    OP_CLOSE,
    OP_DECLARE,
    OP_DELETE,
    OP_PURGE,
    OP_PUBLISH,
    OP_SUBSCRIBE,
    OP_UNSUBSCRIBE,
    OP_CREDIT,
    OP_SETTLE,
    OP_REFUSED,
    OP_CHANGE,
    OP_EXTEND,
    OP_OPEN,
    OP_RESOLVE,
    OP_EXCHANGE,
    OP_UNEXCHANGE,
    OP_BIND,
    OP_UNBIND,
    OP_TRANSACT,
    OP_REDRIVE,
    OP_REPLAY,
    OP_HOST,
    OP_UNHOST,
    OP_LIMITS,
    OP_CHEXCHANGE,
    OP_COUNT,
};

#define OP_FIRST_OF_SESSION OP_CLOSE

struct step {
    enum op op;
    uint32_t args[STEP_ARGS_MAX];
};

/* A choice is made anew each time; a feature is used more or less often, or not at all, throughout a history. */
enum arg_kind { ARG_CHOICE, ARG_FEATURE };

struct op_spec {
    const char *name;
    unsigned weight;
    unsigned version;   /* Since which version of the rules. */
    const char *errors; /* That are to be seen; "OK" among them. */
    struct arg_spec {
        const char *name;
        uint32_t max;
        enum arg_kind kind;
        unsigned version;
    } args[STEP_ARGS_MAX];
    const char *states; /* In which it is to be carried out, by name; NULL: any. */
};

const struct op_spec *op_spec(enum op op);
/* Whether it has an argument of that name; and its number: then it has to be there. */
bool op_has(enum op op, const char *name);
unsigned op_arg(enum op op, const char *name);
uint32_t step_arg(const struct step *step, const char *name);

struct history {
    struct step *steps;
    size_t len;
    size_t cap;
};

void history_add(struct history *history, const struct step *step);
void history_done(struct history *history);
void step_print(const struct step *step, FILE *file);
/* False: not a step. */
bool step_parse(struct step *step, const char *line);

/* Half under version 1 of the rules, then raised to 2. */
#define RULES_UPGRADE 12u

/* A history of so many entries from a seed, under version 1 or 2 of the rules, or RULES_UPGRADE. */
void history_random(struct history *history, uint64_t seed, unsigned rules, unsigned entries);

#endif
