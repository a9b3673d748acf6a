/* What keeps a data directory from being used: its node was removed, or a recovery is not finished; what was recovered; and
 * whether its node takes part in a cluster.
 *
 * DATA/removed has a line "why TEXT", DATA/part "state founded" or "state taken". DATA/recoveries has the lines "begun TEXT" and "done TEXT", in turn; a recovery that was
 * begun again after a crash has more than one of the first. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/data_dir_private.h"

int data_dir_marks_read(struct data_dir *dir, char *detail, size_t detail_len)
{
    char *text;
    int err = data_dir_text_read(dir, "recoveries", "recoveries", &text, detail, detail_len);
    if (err == 0) {
        dir->recoveries = text;
    }
    return err == ERR_NOT_FOUND ? 0 : err;
}

int data_dir_unfinished_check(const struct data_dir *dir, char *detail, size_t detail_len)
{
    if (!data_dir_recovery_unfinished(dir)) {
        return 0;
    }
    return data_dir_explain(detail, detail_len, ERR_REFUSED,
                            "%s: a recovery has been begun and not finished: run holdfast cluster recover again",
                            dir->path);
}

int data_dir_removed_check(const struct data_dir *dir, char *detail, size_t detail_len)
{
    char why[DATA_DIR_LINE_LEN_MAX];
    char *text;
    int err = data_dir_text_read(dir, "removed", "removed", &text, detail, detail_len);
    if (err == ERR_NOT_FOUND) {
        return 0;
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
    return err == 0 && part == DATA_DIR_PART_TAKEN ? data_dir_starts_taken(dir, detail, detail_len) : err;
}

/* The last line; NULL: there is none but the first. */
static const char *last_line(const char *text)
{
    const char *last = NULL;
    for (const char *line = strchr(text, '\n'); line != NULL && line[1] != '\0'; line = strchr(line + 1, '\n')) {
        last = line + 1;
    }
    return last;
}

bool data_dir_recovery_unfinished(const struct data_dir *dir)
{
    const char *last = dir->recoveries == NULL ? NULL : last_line(dir->recoveries);
    return last != NULL && strncmp(last, "begun ", 6) == 0;
}

/* What the last line that begins so goes on with. */
static bool last_of(const struct data_dir *dir, const char *key, char *out, size_t out_len)
{
    const char *found = NULL;
    const char *line = dir->recoveries == NULL ? NULL : strstr(dir->recoveries, key);
    for (; line != NULL; line = strstr(line + 1, key)) {
        found = line;
    }
    return found != NULL && data_dir_text_value(found, key, out, out_len) != NULL;
}

bool data_dir_recovered(const struct data_dir *dir, char *out, size_t out_len)
{
    return last_of(dir, "\ndone ", out, out_len);
}

bool data_dir_recovery_begun(const struct data_dir *dir, char *out, size_t out_len)
{
    return data_dir_recovery_unfinished(dir) && last_of(dir, "\nbegun ", out, out_len);
}

static int recoveries_add(struct data_dir *dir, const char *what, const char *text, char *detail, size_t detail_len)
{
    char line[DATA_DIR_LINE_LEN_MAX];
    char *file = malloc(DATA_DIR_TEXT_LEN_MAX);
    char *kept = NULL;
    size_t at = 0;
    int err = ERR_NOMEM;
    if (file == NULL) {
        return data_dir_explain(detail, detail_len, err, "out of memory");
    }
    data_dir_text_line(line, sizeof line, text);
    err = dir->recoveries != NULL ? data_dir_text_add(file, &at, "%s", dir->recoveries)
                                  : data_dir_text_add(file, &at, "holdfast-recoveries %u\n", DATA_DIR_VERSION);
    if (err == 0) {
        err = data_dir_text_add(file, &at, "%s %s\n", what, line);
    }
    if (err == 0) {
        kept = strdup(file);
        err = kept == NULL ? ERR_NOMEM : 0;
    }
    if (err != 0) {
        (void)data_dir_explain(detail, detail_len, err, "%s/recoveries: %s", dir->path, err_text(err));
    } else {
        err = data_dir_text_write(dir, "recoveries", file, at, detail, detail_len);
    }
    free(file);
    if (err != 0) {
        free(kept);
        return err;
    }
    free(dir->recoveries);
    dir->recoveries = kept;
    return 0;
}

int data_dir_recovery_begin(struct data_dir *dir, const char *text, char *detail, size_t detail_len)
{
    return recoveries_add(dir, "begun", text, detail, detail_len);
}

int data_dir_recovery_end(struct data_dir *dir, const char *text, char *detail, size_t detail_len)
{
    return recoveries_add(dir, "done", text, detail, detail_len);
}
