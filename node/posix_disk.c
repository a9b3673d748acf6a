/* The threads of the posix disk, and their way back to the loop. */

#include "node/posix_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/posix_disk_private.h"
#include "proto/base/check.h"

/* A job lives in the private data of what it is about. */
#define JOB_OFFSET_OK(type) (sizeof(struct posix_job) <= sizeof(((type *)0)->private_data))
_Static_assert(JOB_OFFSET_OK(struct disk_append), "a job fits into an append");
_Static_assert(JOB_OFFSET_OK(struct disk_task), "a job fits into a task");

static void queue_init(struct posix_queue *queue)
{
    queue->first = NULL;
    queue->last = &queue->first;
}

static void queue_push(struct posix_queue *queue, struct posix_job *job)
{
    job->next = NULL;
    *queue->last = job;
    queue->last = &job->next;
}

static struct posix_job *queue_pop(struct posix_queue *queue)
{
    struct posix_job *job = queue->first;
    if (job != NULL) {
        queue->first = job->next;
        if (queue->first == NULL) {
            queue->last = &queue->first;
        }
    }
    return job;
}

static struct disk_append *append_of(struct posix_job *job)
{
    return container_of(job, struct disk_append, private_data);
}

static struct disk_task *task_of(struct posix_job *job)
{
    return container_of(job, struct disk_task, private_data);
}

static int append_run(struct posix_job *job)
{
    struct disk_append *append = append_of(job);
    int err = posix_append_write(posix_disk_of(append->file->disk), append);
    if (err == 0 && !append->skip_sync) {
        err = posix_sync(append->file);
    }
    return err;
}

static void append_done(struct posix_job *job)
{
    struct disk_append *append = append_of(job);
    append->done(append, job->err);
}

static int task_run(struct posix_job *job)
{
    return task_of(job)->run(task_of(job));
}

static void task_done(struct posix_job *job)
{
    struct disk_task *task = task_of(job);
    task->done(task, job->err);
}

static void thread_main(void *arg)
{
    struct posix_thread *thread = arg;
    struct posix_disk *disk = thread->disk;
    uv_mutex_lock(&disk->lock);
    for (;;) {
        struct posix_job *job = queue_pop(&thread->queue);
        if (job == NULL && disk->stopping) {
            break;
        }
        if (job == NULL) {
            uv_cond_wait(&thread->wanted, &disk->lock);
            continue;
        }
        uv_mutex_unlock(&disk->lock);
        job->err = thread->run(job);
        uv_mutex_lock(&disk->lock);
        queue_push(&thread->finished, job);
        (void)uv_async_send(&disk->finished);
    }
    uv_mutex_unlock(&disk->lock);
}

static void thread_give(struct posix_thread *thread, struct posix_job *job)
{
    uv_mutex_lock(&thread->disk->lock);
    CHECK(!thread->disk->stopping);
    queue_push(&thread->queue, job);
    uv_cond_signal(&thread->wanted);
    uv_mutex_unlock(&thread->disk->lock);
}

static void posix_append(struct disk *base, struct disk_append *append)
{
    thread_give(&posix_disk_of(base)->writer, (struct posix_job *)(void *)append->private_data);
}

static void posix_offload(struct disk *base, struct disk_task *task)
{
    thread_give(&posix_disk_of(base)->worker, (struct posix_job *)(void *)task->private_data);
}

/* One at a time: a `done` may give the thread more to do. */
static void thread_report(struct posix_thread *thread)
{
    for (;;) {
        uv_mutex_lock(&thread->disk->lock);
        struct posix_job *job = queue_pop(&thread->finished);
        uv_mutex_unlock(&thread->disk->lock);
        if (job == NULL) {
            return;
        }
        thread->done(job);
    }
}

static void posix_finished(uv_async_t *async)
{
    struct posix_disk *disk = container_of(async, struct posix_disk, finished);
    thread_report(&disk->writer);
    thread_report(&disk->worker);
}

static const struct disk_ops posix_disk_ops = {
    .make_dir = posix_make_dir,
    .list = posix_list,
    .open = posix_open,
    .close = posix_close,
    .size = posix_size,
    .read = posix_read,
    .write = posix_write,
    .sync = posix_sync,
    .allocate = posix_allocate,
    .truncate = posix_truncate,
    .rename = posix_rename,
    .remove = posix_remove,
    .remove_dir = posix_remove_dir,
    .sync_dir = posix_sync_dir,
    .free_space = posix_free_space,
    .append = posix_append,
    .offload = posix_offload,
};

static int thread_start(struct posix_thread *thread)
{
    if (uv_thread_create(&thread->thread, thread_main, thread) != 0) {
        return ERR_SYSTEM;
    }
    thread->started = true;
    return 0;
}

static void posix_closed(uv_handle_t *handle)
{
    struct posix_disk *disk = container_of((uv_async_t *)(void *)handle, struct posix_disk, finished);
    uv_cond_destroy(&disk->writer.wanted);
    uv_cond_destroy(&disk->worker.wanted);
    uv_mutex_destroy(&disk->lock);
    posix_staging_done(&disk->staging);
    if (disk->root_fd >= 0) {
        (void)close(disk->root_fd);
    }
    free(disk->root);
    free(disk);
}

static int posix_disk_new(const struct posix_disk_options *options, struct posix_disk **ret_disk)
{
    struct posix_disk *disk = calloc(1, sizeof *disk);
    if (disk == NULL) {
        return ERR_NOMEM;
    }
    disk->base.ops = &posix_disk_ops;
    disk->journal = options->journal;
    disk->root_fd = -1;
    disk->writer = (struct posix_thread){.disk = disk, .run = append_run, .done = append_done};
    disk->worker = (struct posix_thread){.disk = disk, .run = task_run, .done = task_done};
    queue_init(&disk->writer.queue);
    queue_init(&disk->writer.finished);
    queue_init(&disk->worker.queue);
    queue_init(&disk->worker.finished);
    CHECK(uv_mutex_init(&disk->lock) == 0 && uv_cond_init(&disk->writer.wanted) == 0 &&
          uv_cond_init(&disk->worker.wanted) == 0);
    if (uv_async_init(options->loop, &disk->finished, posix_finished) != 0) {
        free(disk);
        return ERR_SYSTEM;
    }
    *ret_disk = disk;
    return 0;
}

int posix_disk_open(const struct posix_disk_options *options, struct posix_disk **ret_disk)
{
    struct posix_disk *disk;
    int err = posix_disk_new(options, &disk);
    if (err != 0) {
        return err;
    }
    disk->root = strdup(options->root);
    if (disk->root == NULL) {
        err = ERR_NOMEM;
        goto fail;
    }
    disk->root_fd = open(disk->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (disk->root_fd < 0) {
        err = posix_disk_failed(disk, "open", disk->root, errno);
        goto fail;
    }
    err = posix_staging_init(&disk->staging, disk->root_fd);
    if (err == 0) {
        err = thread_start(&disk->writer);
    }
    if (err == 0) {
        err = thread_start(&disk->worker);
    }
    if (err != 0) {
        goto fail;
    }
    *ret_disk = disk;
    return 0;

fail:
    posix_disk_close(disk);
    return err;
}

bool posix_disk_is_direct(const struct posix_disk *disk)
{
    return disk->staging.data != NULL;
}

struct disk *posix_disk_base(struct posix_disk *disk)
{
    return &disk->base;
}

void posix_disk_close(struct posix_disk *disk)
{
    if (disk == NULL) {
        return;
    }
    uv_mutex_lock(&disk->lock);
    disk->stopping = true;
    uv_cond_signal(&disk->writer.wanted);
    uv_cond_signal(&disk->worker.wanted);
    uv_mutex_unlock(&disk->lock);
    if (disk->writer.started) {
        CHECK(uv_thread_join(&disk->writer.thread) == 0);
    }
    if (disk->worker.started) {
        CHECK(uv_thread_join(&disk->worker.thread) == 0);
    }
    /* What has finished meanwhile is not reported: nobody waits for it any more. */
    queue_init(&disk->writer.finished);
    queue_init(&disk->worker.finished);
    uv_close((uv_handle_t *)&disk->finished, posix_closed);
}
