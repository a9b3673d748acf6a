/* What keeps a data directory closed, or must not, when what has the name of the file is damaged. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "node/data_dir.h"
#include "recover_fixture.h"
#include "temp_dir.h"

TestSuite(data_dir_recoveries, .init = stopped_setup, .fini = stopped_teardown);

static int start(struct data_dir **ret_dir)
{
    return data_dir_open(stopped_data, "orders", 1, &stopped_time.base, ret_dir, stopped_detail, sizeof stopped_detail);
}

static int visit(struct data_dir **ret_dir)
{
    return data_dir_visit(stopped_data, ret_dir, stopped_detail, sizeof stopped_detail);
}

static void put(const char *name, enum temp_kind what)
{
    char path[PATH_LEN];
    stopped_path(name, path);
    temp_put(path, what);
}

/* A node that was removed must not come back; the text says what else it may be. */
Test(data_dir_recoveries, what_has_the_name_of_removed_keeps_the_directory_closed)
{
    struct data_dir *opened;
    for (enum temp_kind what = TEMP_JUNK; what < TEMP_KINDS; what++) {
        put("removed", what);
        cr_assert_eq(start(&opened), ERR_REFUSED, "%d", what);
        cr_assert_not_null(strstr(stopped_detail, "/removed: "), "%s", stopped_detail);
        cr_assert_not_null(strstr(stopped_detail, "remove this and start again"), "%s", stopped_detail);
        cr_assert_null(strstr(stopped_detail, "cannot be repaired"), "%s", stopped_detail);
        cr_assert_eq(visit(&opened), ERR_REFUSED);
    }
}

/* The file is for people: nothing else is lost with it. */
Test(data_dir_recoveries, damaged_recoveries_do_not_keep_a_node_from_starting)
{
    char text[DATA_DIR_LINE_LEN_MAX];
    struct data_dir *opened;
    cr_assert_eq(visit(&opened), 0, "%s", stopped_detail);
    cr_assert_eq(data_dir_recovery_begin(opened, "one", stopped_detail, sizeof stopped_detail), 0, "%s",
                 stopped_detail);
    cr_assert_eq(data_dir_recovery_end(opened, "one", stopped_detail, sizeof stopped_detail), 0, "%s", stopped_detail);
    data_dir_close(opened);
    for (enum temp_kind what = TEMP_JUNK; what < TEMP_KINDS; what++) {
        put("recoveries", what);
        cr_assert_eq(start(&opened), 0, "%s", stopped_detail);
        cr_assert_not(data_dir_recovered(opened, text, sizeof text));
        cr_assert(data_dir_recoveries_damaged(opened, text, sizeof text));
        cr_assert_not_null(strstr(text, "/recoveries: "), "%s", text);
        data_dir_close(opened);
    }
}

Test(data_dir_recoveries, damaged_recoveries_do_not_hide_one_that_is_unfinished)
{
    char text[DATA_DIR_LINE_LEN_MAX];
    char path[PATH_LEN];
    struct data_dir *opened;
    stopped_path("recoveries", path);
    for (enum temp_kind what = TEMP_JUNK; what <= TEMP_KINDS; what++) {
        cr_assert_eq(visit(&opened), 0, "%s", stopped_detail);
        cr_assert_eq(data_dir_recovery_begin(opened, "one", stopped_detail, sizeof stopped_detail), 0, "%s",
                     stopped_detail);
        data_dir_close(opened);
        if (what < TEMP_KINDS) {
            put("recoveries", what);
        } else {
            cr_assert_eq(unlink(path), 0);
        }
        cr_assert_eq(start(&opened), ERR_REFUSED, "%d", what);
        cr_assert_not_null(strstr(stopped_detail, "begun and not finished"), "%s", stopped_detail);
        cr_assert_eq(visit(&opened), 0, "%s", stopped_detail);
        cr_assert(data_dir_recovery_unfinished(opened) && data_dir_recovery_begun(opened, text, sizeof text));
        cr_assert_eq(data_dir_recovery_begin(opened, text, stopped_detail, sizeof stopped_detail), 0, "%s",
                     stopped_detail);
        cr_assert_eq(data_dir_expel(opened, (uint64_t[]){2}, 1, stopped_detail, sizeof stopped_detail), 0);
        cr_assert_eq(data_dir_recovery_end(opened, text, stopped_detail, sizeof stopped_detail), 0, "%s",
                     stopped_detail);
        data_dir_close(opened);
        cr_assert_eq(start(&opened), 0, "%s", stopped_detail);
        data_dir_close(opened);
    }
}

/* Where neither place can tell, nobody guesses. */
Test(data_dir_recoveries, damaged_recoveries_with_damaged_starts_keep_the_directory_closed)
{
    char text[DATA_DIR_LINE_LEN_MAX];
    struct data_dir *opened;
    put("recoveries", TEMP_JUNK);
    put("starts", TEMP_JUNK);
    cr_assert_eq(start(&opened), ERR_REFUSED);
    cr_assert_not_null(strstr(stopped_detail, "nobody can tell whether one is unfinished"), "%s", stopped_detail);
    cr_assert_eq(visit(&opened), 0, "%s", stopped_detail);
    cr_assert(data_dir_recovery_begun(opened, text, sizeof text));
    cr_assert_not(data_dir_recovery_unfinished(opened));
    data_dir_close(opened);
}
