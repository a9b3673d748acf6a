/* A daemon that can be told to compute something else than the others, once: linked with the fault hooks in, which a released one
 * has not. The file that HOLDFAST_DIVERGE names says at which publish from its start on; it is removed, so that no other
 * process does the same, nor this one when it begins anew. */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/base/fault.h"

__attribute__((constructor)) static void diverging_arm(void)
{
    const char *path = getenv("HOLDFAST_DIVERGE");
    FILE *file = path == NULL ? NULL : fopen(path, "re");
    if (file == NULL) {
        return;
    }
    unsigned nth;
    if (fscanf(file, "%u", &nth) != 1 || unlink(path) != 0) { /* NOLINT(cert-err34-c): a test writes it. */
        (void)fprintf(stderr, "%s: no number, or not to be removed\n", path);
        abort();
    }
    (void)fclose(file);
    fault_set_nth(FAULT_DIVERGE, nth);
}
