/* Which row is to blame for an error, when nobody has said so: the one that was looked at last. */

#include <string.h>

#include "statemachine/state.h"
#include "statemachine/store/scrub.h"

void state_look_at(struct machine *machine, const struct row_key *key)
{
    memcpy(machine->looked.data, key->data, key->len);
    machine->looked.len = key->len;
}

int state_blame_looked(struct machine *machine, int err)
{
    bool nothing_said = machine->said[0] == '\0' && machine->looked.len > 0;
    return nothing_said ? state_blame(machine, &machine->looked, err, "it does not fit what else is known") : err;
}
