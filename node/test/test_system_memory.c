/* What the system says of memory is of the right size. */

#include "node/system_memory.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "proto/base/limits.h"

Test(system_memory, used_grows_with_what_is_touched)
{
    uint64_t before = system_memory_used();
    cr_assert_gt(before, 0u);
    char *block = mmap(NULL, 64 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(block, MAP_FAILED);
    memset(block, 1, 64 * MIB);
    uint64_t after = system_memory_used();
    cr_assert_geq(after, before + 60 * MIB);
    cr_assert_eq(munmap(block, 64 * MIB), 0);
    cr_assert_leq(system_memory_used(), after - 60 * MIB);
}

Test(system_memory, there_is_more_than_is_used)
{
    cr_assert_gt(system_memory_total(), system_memory_used());
}
