/* Commands and fields that version 1 of the machine's rules does not know. */

#include "rpc/native/native_version.h"

#include <stdint.h>

#include "proto/base/check.h"
#include "rpc/native/native_scan.h"

/* Command{refused{error: VERSION}}. */
static const uint8_t refused_command[] = {0x7a, 2, 0x08, (uint8_t)-ERR_VERSION};

/* The last field that version 1 knows of each kind of Command; of the others it knows all or nothing. */
static const struct {
    uint64_t kind;
    uint64_t last_field;
} known_fields[] = {
    {4, 1}, /* DeclareQueue */
    {5, 2}, /* DeleteQueue */
    {6, 5}, /* Publish */
    {7, 3}, /* Subscribe */
    {8, 1}, /* Unsubscribe */
    {9, 4}, /* Settle */
};
#define KIND_LAST 16u /* PurgeQueue. */

struct slice native_version_refused(void)
{
    return (struct slice){.data = refused_command, .len = sizeof refused_command};
}

static bool fields_are_known(struct slice in, uint64_t last_field)
{
    struct native_field field;
    while (in.len > 0 && native_scan_field(&in, &field)) {
        if (field.number > last_field) {
            return false;
        }
    }
    return true;
}

static bool kind_is_known(const struct native_field *kind)
{
    for (unsigned i = 0; i < ARRAY_LEN(known_fields); i++) {
        if (kind->number == known_fields[i].kind && kind->wire == SCAN_LEN) {
            return fields_are_known(kind->part, known_fields[i].last_field);
        }
    }
    return kind->number <= KIND_LAST;
}

bool native_version_known(struct gateway *gateway, struct slice command)
{
    return gateway->ops->machine_version == NULL || gateway->ops->machine_version(gateway) > 1 ||
           native_version_one_knows(command);
}

bool native_version_one_knows(struct slice command)
{
    struct native_field field;
    while (command.len > 0 && native_scan_field(&command, &field)) {
        if (!kind_is_known(&field)) {
            return false;
        }
    }
    return true;
}
