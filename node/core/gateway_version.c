/* The version of the machine's rules: the leader raises it when every member has said that it knows the newer one. A node that does
 * not know what is in force must stop when it meets it: so members that are silent are waited for, those without a vote too. */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

/* The newest that anybody has said to know. */
static uint32_t version_newest(const struct gateway_core *core)
{
    uint32_t newest = core->options.machine_version;
    for (unsigned i = 0; i < core->status.members_len; i++) {
        const struct roster_node *node = roster_find(&core->roster, core->status.members[i].id);
        newest = node != NULL && node->version > newest ? node->version : newest;
    }
    return newest;
}

/* Since when, as leader, newer rules than those in force wait for somebody. */
static void version_note_waiting(struct gateway_core *core, uint32_t present)
{
    bool waits = core->leading && core->serving && version_newest(core) > present;
    if (!waits) {
        core->version_waits_ms = 0;
    } else if (core->version_waits_ms == 0) {
        core->version_waits_ms = gateway_now_ms(core);
    }
}

__attribute__((format(printf, 2, 3))) static void append(char text[GATEWAY_ALARM_LEN], const char *format, ...)
{
    size_t len = strlen(text);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text + len, GATEWAY_ALARM_LEN - len, format, args);
    va_end(args);
}

/* Why the member keeps the others from newer rules. */
static void reason_append(const struct gateway_core *core, uint64_t member, char text[GATEWAY_ALARM_LEN])
{
    const struct roster_node *node = member != core->node ? roster_find(&core->roster, member) : NULL;
    uint32_t known = version_of(core, member);
    bool heard = node != NULL && gateway_now_ms(core) < node->heard_ms + core->options.presence_timeout_ms;
    if (known != 0) {
        append(text, "node %" PRIu64 " knows version %" PRIu32 " only", member, known);
    } else if (heard) {
        append(text, "node %" PRIu64 " has not said which it knows", member);
    } else {
        append(text, "node %" PRIu64 " is silent", member);
    }
}

void gateway_version_alarm(struct gateway_core *core, char ret_text[GATEWAY_ALARM_LEN])
{
    uint32_t newest = version_newest(core);
    bool waits = core->version_waits_ms != 0 &&
                 gateway_now_ms(core) >= core->version_waits_ms + core->options.presence_timeout_ms;
    unsigned holders = 0;
    ret_text[0] = '\0';
    for (unsigned i = 0; waits && i < core->status.members_len; i++) {
        uint64_t member = core->status.members[i].id;
        if (version_of(core, member) >= newest) {
            continue;
        }
        if (holders++ == 0) {
            append(ret_text, "version %" PRIu32 " of the rules is not in force yet: ", newest);
        } else {
            append(ret_text, ", ");
        }
        reason_append(core, member, ret_text);
    }
}

void gateway_version_turn(struct gateway_core *core)
{
    uint32_t present = machine_version(core->machine);
    version_note_waiting(core, present);
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
