/* The version of the machine's rules: the leader raises it when every member has said that it knows the newer one. A node that does
 * not know what is in force must stop when it meets it: so members that are silent are waited for, those without a vote too. */

#include <inttypes.h>

#include "node/core/gateway.h"

/* What the member's process, as it is now, has said to know; 0: nothing, or not lately. */
static uint32_t version_of(const struct gateway_core *core, uint64_t member)
{
    if (member == core->node) {
        return core->options.machine_version;
    }
    const struct roster_node *node = roster_find(&core->roster, member);
    bool lately = node != NULL && gateway_now_ms(core) < node->heard_ms + core->options.presence_timeout_ms;
    return lately && node->version_run == node->run ? node->version : 0;
}

/* The newest that all members know. While the membership changes it is not known who they are. */
static uint32_t version_of_all(struct gateway_core *core)
{
    driver_status(core->driver, &core->status);
    if (core->status.change_index != 0) {
        return 0;
    }
    uint32_t version = core->options.machine_version;
    for (unsigned i = 0; i < core->status.members_len; i++) {
        uint32_t known = version_of(core, core->status.members[i].id);
        version = known < version ? known : version;
    }
    return version;
}

void gateway_version_turn(struct gateway_core *core)
{
    uint32_t present = machine_version(core->machine);
    if (!core->leading || !core->serving || core->raising || present >= core->options.machine_version) {
        return;
    }
    uint32_t version = version_of_all(core);
    if (version > present && gateway_push_raise_version(core, version) == 0) {
        journal_info(core->journal, "version", "all members know version %" PRIu32 " of the rules: it is put in force",
                     version);
        core->raising = true;
        core->more = true;
    }
}
