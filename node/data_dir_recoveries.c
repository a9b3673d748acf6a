/* Forced recoveries of a data directory: what was done, and whether one is unfinished.
 *
 * DATA/recoveries has the lines "begun TEXT" and "done TEXT", in turn; a recovery that was begun again after a crash has more than
 * one of the first. It is what people read later, and the only place for that: a node does without it when it is damaged. So that
 * damage does not hide a recovery that is unfinished, DATA/starts says so too, from before the recovery changes anything else until
 * after it is done. The file counts where it is whole. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/data_dir_private.h"

int data_dir_recoveries_read(struct data_dir *dir, char *detail, size_t detail_len)
{
    char *text = NULL;
    int err = data_dir_text_read(dir, "recoveries", "recoveries", &text, detail, detail_len);
    dir->recoveries_why[0] = '\0';
    if (err == ERR_CORRUPT) {
        (void)snprintf(dir->recoveries_why, sizeof dir->recoveries_why, "%s", detail);
    }
    if (err == 0 || err == ERR_NOT_FOUND || err == ERR_CORRUPT) {
        free(dir->recoveries);
        dir->recoveries = text;
        return 0;
    }
    return err;
}

int data_dir_recovery_reread(struct data_dir *dir, char *detail, size_t detail_len)
{
    int err = data_dir_recoveries_read(dir, detail, detail_len);
    return err == 0 ? data_dir_starts_read(dir, detail, detail_len) : err;
}

bool data_dir_recoveries_damaged(const struct data_dir *dir, char *out, size_t out_len)
{
    if (dir->recoveries_why[0] == '\0') {
        return false;
    }
    (void)snprintf(out, out_len, "%s: what forced recoveries there were is not known any more", dir->recoveries_why);
    return true;
}

/* Neither of the two places can tell. */
static bool recovery_unknown(const struct data_dir *dir)
{
    return dir->recoveries_why[0] != '\0' && dir->starts.count == 0;
}

int data_dir_unfinished_check(const struct data_dir *dir, char *detail, size_t detail_len)
{
    if (data_dir_recovery_unfinished(dir)) {
        return data_dir_explain(detail, detail_len, ERR_REFUSED,
                                "%s: a recovery has been begun and not finished: run holdfast cluster recover again",
                                dir->path);
    }
    if (recovery_unknown(dir)) {
        return data_dir_explain(
            detail, detail_len, ERR_REFUSED,
            "%s; it lists forced recoveries, and without starts beside it nobody can tell whether one is "
            "unfinished: if so, run holdfast cluster recover again; if not, remove it and start again",
            dir->recoveries_why);
    }
    return 0;
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
    if (dir->recoveries == NULL) {
        return (dir->starts.facts & DATA_DIR_FACT_RECOVERY) != 0;
    }
    const char *last = last_line(dir->recoveries);
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
    if (!data_dir_recovery_unfinished(dir) && !recovery_unknown(dir)) {
        return false;
    }
    if (!last_of(dir, "\nbegun ", out, out_len)) {
        (void)snprintf(out, out_len, "forced recovery of a node, begun before what was written of it was lost");
    }
    return true;
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
    dir->recoveries_why[0] = '\0';
    return 0;
}

int data_dir_recovery_begin(struct data_dir *dir, const char *text, char *detail, size_t detail_len)
{
    int err = recoveries_add(dir, "begun", text, detail, detail_len);
    return err == 0 ? data_dir_starts_fact(dir, DATA_DIR_FACT_RECOVERY, true, detail, detail_len) : err;
}

int data_dir_recovery_end(struct data_dir *dir, const char *text, char *detail, size_t detail_len)
{
    int err = recoveries_add(dir, "done", text, detail, detail_len);
    return err == 0 ? data_dir_starts_fact(dir, DATA_DIR_FACT_RECOVERY, false, detail, detail_len) : err;
}
