/* What keeps a data directory from being used: its node was removed; and whether its node takes part in a cluster.
 *
 * DATA/removed has a line "why TEXT", DATA/part "state founded" or "state taken". */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/data_dir_private.h"

/* Whatever it says, a node that was removed must not come back: only a person can tell. `detail` says what is wrong with it. */
static int removed_damaged(char *detail, size_t detail_len)
{
    size_t len = strlen(detail);
    (void)snprintf(
        detail + len, detail_len - len,
        "; it says that the node was removed from its cluster: if it is a member all the same (holdfast cluster "
        "status), remove this and start again; if not, the directory is of no use any more (holdfast cluster "
        "replace)");
    return ERR_REFUSED;
}

int data_dir_removed_check(const struct data_dir *dir, char *detail, size_t detail_len)
{
    char why[DATA_DIR_LINE_LEN_MAX];
    char *text;
    int err = data_dir_text_read(dir, "removed", "removed", &text, detail, detail_len);
    if (err == ERR_NOT_FOUND) {
        return 0;
    }
    if (err == ERR_CORRUPT) {
        return removed_damaged(detail, detail_len);
    }
    if (err != 0) {
        return err;
    }
    if (data_dir_text_value(text, "\nwhy ", why, sizeof why) == NULL) {
        (void)snprintf(why, sizeof why, "the node was removed from its cluster");
    }
    free(text);
    return data_dir_explain(detail, detail_len, ERR_REFUSED, "%s (%s/removed)", why, dir->path);
}

int data_dir_removed_write(const struct data_dir *dir, const char *text, char *detail, size_t detail_len)
{
    char line[DATA_DIR_LINE_LEN_MAX];
    if (faccessat(dir->fd, "removed", F_OK, 0) == 0) {
        return 0;
    }
    char *file = malloc(DATA_DIR_TEXT_LEN_MAX);
    if (file == NULL) {
        return data_dir_explain(detail, detail_len, ERR_NOMEM, "out of memory");
    }
    size_t at = 0;
    data_dir_text_line(line, sizeof line, text);
    int err = data_dir_text_add(file, &at, "holdfast-removed %u\nwhy %s\n", DATA_DIR_VERSION, line);
    if (err == 0) {
        err = data_dir_text_write(dir, "removed", file, at, detail, detail_len);
    }
    free(file);
    return err;
}

static enum data_dir_part part_read(const struct data_dir *dir)
{
    char detail[512];
    char state[32] = "";
    char *text;
    int err = data_dir_text_read(dir, "part", "part", &text, detail, sizeof detail);
    if (err == ERR_NOT_FOUND) {
        return DATA_DIR_PART_NONE;
    }
    if (err != 0) {
        return DATA_DIR_PART_TAKEN;
    }
    bool founded = data_dir_text_value(text, "\nstate ", state, sizeof state) != NULL && strcmp(state, "founded") == 0;
    free(text);
    return founded ? DATA_DIR_PART_FOUNDED : DATA_DIR_PART_TAKEN;
}

enum data_dir_part data_dir_part(const struct data_dir *dir)
{
    return (dir->starts.facts & DATA_DIR_FACT_TAKEN) != 0 ? DATA_DIR_PART_TAKEN : part_read(dir);
}

static int part_write(const struct data_dir *dir, enum data_dir_part part, char *detail, size_t detail_len)
{
    char *text = malloc(DATA_DIR_TEXT_LEN_MAX);
    if (text == NULL) {
        return data_dir_explain(detail, detail_len, ERR_NOMEM, "out of memory");
    }
    size_t at = 0;
    int err = data_dir_text_add(text, &at, "holdfast-part %u\nstate %s\n", DATA_DIR_VERSION,
                                part == DATA_DIR_PART_FOUNDED ? "founded" : "taken");
    if (err == 0) {
        err = data_dir_text_write(dir, "part", text, at, detail, detail_len);
    }
    free(text);
    return err;
}

int data_dir_set_part(struct data_dir *dir, enum data_dir_part part, char *detail, size_t detail_len)
{
    int err = part_read(dir) < part ? part_write(dir, part, detail, detail_len) : 0;
    return err == 0 && part == DATA_DIR_PART_TAKEN
               ? data_dir_starts_fact(dir, DATA_DIR_FACT_TAKEN, true, detail, detail_len)
               : err;
}
