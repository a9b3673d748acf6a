/* Parts of files, read on the disk's other thread. */

#include <inttypes.h>
#include <xxhash.h>

#include "node/core/rebuild_source_private.h"
#include "proto/base/check.h"

static int read_run(struct disk_task *task)
{
    struct source_read *read = container_of(task, struct source_read, task);
    struct disk *disk = read->source->options.disk;
    struct disk_file *file;
    size_t len = 0;
    int err = disk->ops->open(disk, read->path, DISK_READ_ONLY, &file);
    if (err != 0) {
        return err;
    }
    err = disk->ops->read(file, read->offset, read->blob->data, read->blob->len, &len);
    disk->ops->close(file);
    if (err == 0 && len < read->blob->len) {
        err = ERR_CORRUPT; /* It was longer when it was listed. */
    }
    read->checksum = XXH3_64bits(read->blob->data, len);
    return err;
}

static void read_answer(struct rebuild_source *source, const struct source_read *read)
{
    Holdfast__RebuildPart part = HOLDFAST__REBUILD_PART__INIT;
    Holdfast__PeerRebuild message = HOLDFAST__PEER_REBUILD__INIT;
    part.copy = read->copy;
    part.file = read->file;
    part.offset = read->offset;
    part.checksum = read->checksum;
    message.kind_case = HOLDFAST__PEER_REBUILD__KIND_PART;
    message.part = &part;
    source_answer(source, read->node, &message, slice_of_blob(read->blob));
}

static void read_done(struct disk_task *task, int err)
{
    struct source_read *read = container_of(task, struct source_read, task);
    struct rebuild_source *source = read->source;
    bool there = source->phase == SOURCE_READY && source->copy == read->copy;
    read->busy = false;
    if (there && err == 0) {
        read_answer(source, read);
    } else if (there) {
        journal_error(source->options.journal, "rebuild", "%s, offset %" PRIu64 ": %s: the copy goes", read->path,
                      read->offset, err_text(err));
        source_refuse(source, read->node, err);
        source_remove(source, false);
    }
    blob_unref(read->blob);
    read->blob = NULL;
    source_wake(source);
}

static struct source_read *read_free(struct rebuild_source *source)
{
    for (unsigned i = 0; i < REBUILD_SOURCE_READS_MAX; i++) {
        if (!source->reads[i].busy) {
            return &source->reads[i];
        }
    }
    return NULL;
}

int source_read_begin(struct rebuild_source *source, uint64_t from, const Holdfast__RebuildRead *question)
{
    if (question->file >= source->files.len || question->offset >= source->files.items[question->file].size) {
        return ERR_BROKEN;
    }
    const struct rebuild_file *file = &source->files.items[question->file];
    uint64_t left = file->size - question->offset;
    struct source_read *read = read_free(source);
    if (read == NULL || rebuild_path(read->path, source->path, file->name, "") != 0) {
        return 0;
    }
    read->blob = blob_new((size_t)(left < question->len ? left : question->len));
    if (read->blob == NULL) {
        return 0;
    }
    read->source = source;
    read->busy = true;
    read->node = from;
    read->copy = source->copy;
    read->file = question->file;
    read->offset = question->offset;
    read->task = (struct disk_task){.run = read_run, .done = read_done};
    source->options.disk->ops->offload(source->options.disk, &read->task);
    return 0;
}
