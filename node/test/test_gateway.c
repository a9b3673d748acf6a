/* What the machine cannot read: whether the node is to be repaired, or ends. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "node/core/gateway.h"
#include "one_node.h"

static struct one_node node;
static unsigned repairs;
static unsigned ends;
static char text[300];

static void on_repair(void *arg, const char *what, bool ordered)
{
    (void)arg;
    cr_assert_not(ordered);
    repairs++;
    snprintf(text, sizeof text, "%s", what);
}

static void on_fatal(void *arg, int err, const char *what)
{
    (void)arg;
    cr_assert_lt(err, 0);
    ends++;
    snprintf(text, sizeof text, "%s", what);
}

static struct gateway_core *core;

static void setup(void)
{
    one_node_start(&node, NULL);
    core = gateway_core_of(node.gateway);
    core->options.repair = on_repair;
    core->options.fatal = on_fatal;
    repairs = ends = 0;
}

static void teardown(void)
{
    one_node_stop(&node);
}

TestSuite(gateway, .init = setup, .fini = teardown);

Test(gateway, what_is_damaged_or_missing_is_repaired)
{
    static const int damage[] = {ERR_CORRUPT, ERR_CHECKSUM, ERR_NOT_FOUND};
    for (unsigned i = 0; i < ARRAY_LEN(damage); i++) {
        gateway_machine_failed(core, damage[i], "a body cannot be read");
        cr_assert_eq(repairs, i + 1, "%s", err_text(damage[i]));
        cr_assert_not_null(strstr(text, "a body cannot be read: "), "%s", text);
    }
    cr_assert_eq(ends, 0u);
}

Test(gateway, what_the_system_refuses_ends_the_process)
{
    static const int other[] = {ERR_IO, ERR_NOMEM, ERR_SYSTEM};
    for (unsigned i = 0; i < ARRAY_LEN(other); i++) {
        gateway_machine_failed(core, other[i], "a body cannot be read");
        cr_assert_eq(ends, i + 1, "%s", err_text(other[i]));
    }
    cr_assert_eq(repairs, 0u);
}

Test(gateway, damage_that_nobody_can_repair_ends_the_process)
{
    core->options.repair = NULL;
    gateway_machine_failed(core, ERR_CORRUPT, "a body cannot be read");
    cr_assert_eq(ends, 1u);
}
