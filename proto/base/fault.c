/* The switches behind the fault hooks; compiled into test builds only. */

#include "proto/base/fault.h"

#ifdef HOLDFAST_FAULTS

#include <string.h>

struct fault_switch {
    bool on;
    bool armed;
    uint64_t countdown;
};

/* The one exception to "no global mutable state": test switches, one set per thread. */
static _Thread_local struct fault_switch switches[FAULT_COUNT];

static const char *const names[FAULT_COUNT] = {
#define X(name, text) #name,
    FAULT_LIST(X)
#undef X
};

static const char *const texts[FAULT_COUNT] = {
#define X(name, text) text,
    FAULT_LIST(X)
#undef X
};

bool fault_fires(enum fault fault)
{
    struct fault_switch *s = &switches[fault];
    if (s->armed) {
        if (s->countdown > 0) {
            s->countdown--;
            return false;
        }
        s->armed = false;
        return true;
    }
    return s->on;
}

void fault_set(enum fault fault, bool on)
{
    switches[fault] = (struct fault_switch){.on = on};
}

void fault_set_nth(enum fault fault, uint64_t nth)
{
    switches[fault] = (struct fault_switch){.armed = true, .countdown = nth};
}

void fault_reset(void)
{
    memset(switches, 0, sizeof switches);
}

const char *fault_name(enum fault fault)
{
    return fault < FAULT_COUNT ? names[fault] : NULL;
}

const char *fault_text(enum fault fault)
{
    return fault < FAULT_COUNT ? texts[fault] : NULL;
}

enum fault fault_by_name(const char *name)
{
    for (int i = 0; i < FAULT_COUNT; i++) {
        if (strcmp(names[i], name) == 0) {
            return (enum fault)i;
        }
    }
    return FAULT_COUNT;
}

#endif
