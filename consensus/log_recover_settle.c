/* Makes the disk what recovery found. */

#include <stdlib.h>

#include "consensus/log_path.h"
#include "consensus/log_recover.h"
#include "proto/base/fault.h"

/* Writes the last batch, and the head when there is no other, as they read. The sync of an earlier process may have failed:
 * then they are in memory, taken for written, and another sync alone would not write them (Rebello et al., ATC'20). */
static int segment_rewrite(struct disk_file *file, const struct log_recover_segment *segment)
{
    uint64_t from = segment->batches > 1 ? segment->last : 0;
    size_t len = (size_t)(segment->end - from);
    size_t got = 0;
    uint8_t *data = malloc(len);
    if (data == NULL) {
        return ERR_NOMEM;
    }
    int err = file->disk->ops->read(file, from, data, len, &got);
    if (err == 0 && got < len) {
        err = ERR_IO;
    }
    if (err == 0) {
        err = file->disk->ops->write(file, from, data, len);
    }
    free(data);
    return err;
}

/* What was read may have been in memory only: it must be synced before anybody is told that it is stored. */
static int segment_settle(struct disk *disk, const char *dir, const struct log_recover_segment *segment)
{
    char path[LOG_PATH_LEN_MAX];
    int err = log_path_of_segment(dir, segment->number, path);
    if (err != 0) {
        return err;
    }
    struct disk_file *file = NULL;
    err = disk->ops->open(disk, path, 0, &file);
    if (err != 0) {
        return err;
    }
    err = segment_rewrite(file, segment);
    if (err == 0 && segment->size > segment->end) {
        err = disk->ops->truncate(file, segment->end);
    }
    if (err == 0 && !fault_fires(FAULT_SKIP_LOG_SETTLE)) {
        err = disk->ops->sync(file);
    }
    disk->ops->close(file);
    return err;
}

int log_recover_settle(struct disk *disk, const char *dir, const struct log_recover_result *result)
{
    if (result->used_end > 0) {
        int err = segment_settle(disk, dir, &result->segments[result->used_end - 1]);
        if (err != 0) {
            return err;
        }
    }
    /* From the end, so that another crash does not leave a gap before a segment that was to go too. */
    for (size_t i = result->segments_len; i-- > 0;) {
        char path[LOG_PATH_LEN_MAX];
        int err = log_path_of_segment(dir, result->segments[i].number, path);
        if (err == 0 && result->segments[i].state != LOG_RECOVER_USED) {
            err = disk->ops->remove(disk, path);
        }
        if (err != 0) {
            return err;
        }
    }
    return disk->ops->sync_dir(disk, dir);
}
