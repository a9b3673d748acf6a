/* A machine of which an entry does very little at a time. */

#include "going_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "statemachine/state.h"

#define WORK 7u

/* A restart forgets how little an entry may do. */
void going_disturb(struct fixture *f, bool disturb)
{
    leaving_disturb(f, disturb);
    f->machine->work.max = WORK;
}

const char *going_name(const char *what, unsigned i)
{
    static char names[4][32];
    static unsigned at;
    char *name = names[at++ % 4];
    (void)snprintf(name, sizeof names[0], "%s%u", what, i);
    return name;
}

/* Goes on until nothing is due at once; how many entries that took. */
unsigned going_go_on(struct fixture *f, bool disturb)
{
    unsigned entries = 0;
    going_disturb(f, disturb);
    for (; machine_due_ms(f->machine) == 0; entries++) {
        cr_assert_lt(entries, 10000u);
        fixture_tick(f, f->time_ms);
        going_disturb(f, disturb);
    }
    return entries;
}

uint64_t going_digest(struct fixture *f)
{
    uint64_t digest;
    cr_assert_eq(machine_memory_digest(f->machine, &digest), 0);
    return digest ^ machine_running_digest(f->machine);
}

void going_begin(struct fixture *f, struct client *a)
{
    publish_fixture_init(f, a);
    f->machine->work.max = WORK;
}

void going_take_all(struct fixture *f, struct client *a, const char *queue, uint64_t consumer)
{
    cr_assert_eq(client_publish(f, a, queue, "", 1, 100).error, 0u);
    cr_assert_eq(client_subscribe(f, a, queue, consumer, 1000).error, 0u);
    cr_assert_eq(fixture_queue(f, queue).unsettled, 100u);
}
