/* The end of the process when an invariant of ours does not hold. */

#include "proto/base/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void check_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "fatal: invariant broken: %s (%s:%d)\n", expression, file, line);
    fflush(stderr);
    abort();
}
