/* A machine of which an entry does very little at a time: what the tests of things that go bit by bit share. */

#ifndef HOLDFAST_STATEMACHINE_TEST_GOING_FIXTURE_H
#define HOLDFAST_STATEMACHINE_TEST_GOING_FIXTURE_H

#include "leaving_fixture.h"

/* So many are more than one entry deals with. */
#define GOING_THINGS 30u

void going_begin(struct fixture *f, struct client *a);
/* A checkpoint and a restart, when `disturb`. */
void going_disturb(struct fixture *f, bool disturb);
/* Goes on until nothing is due at once; how many entries that took. */
unsigned going_go_on(struct fixture *f, bool disturb);
/* Of what is in memory, and of all entries so far. */
uint64_t going_digest(struct fixture *f);
/* The nth name; valid until the next but three. */
const char *going_name(const char *what, unsigned nth);
/* A consumer takes 100 messages. */
void going_take_all(struct fixture *f, struct client *a, const char *queue, uint64_t consumer);

#endif
