/* Reading a whole store once, on over whatever is damaged, so that all the damage is known and not only the first: of a store
 * that nobody writes to, for an operator who has to decide what to do with it. */

#ifndef HOLDFAST_STATEMACHINE_STORE_SURVEY_H
#define HOLDFAST_STATEMACHINE_STORE_SURVEY_H

#include "statemachine/store/store.h"

/* A row that the machine would not believe, or rows that the store cannot read. Valid during the call. */
struct survey_damage {
    bool
        row; /* It is that of the key `first`. Otherwise rows between two that could be read, of which some may be sound: */
    struct slice first; /* behind this one; empty: from the beginning; */
    struct slice end;   /* and before this one; empty: to the end. */
    /* All that is damaged here are messages, bodies that messages share, or messages that are kept: without them the machine's
     * other rows are what they were. */
    bool content;
    const char *what; /* One line. */
};

struct survey {
    void *arg;
    void (*damaged)(void *arg, const struct survey_damage *damage);
    /* Every sound row, in order; borrowed. An error ends the survey with it. May be NULL. */
    int (*sound)(void *arg, struct slice key, struct slice value);
    void (*progress)(void *arg, uint64_t bytes, uint64_t bytes_all); /* Now and then; `bytes_all` is a guess. */
};

/* 0 when it came to the end, whatever was found; ERR_NOMEM and the like, and what `sound` returned: what is there is not known. */
int survey_rows(struct store *store, const struct survey *survey, char *detail, size_t detail_len) NODISCARD;

#endif
