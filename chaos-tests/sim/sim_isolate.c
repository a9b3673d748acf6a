/* A run in a child, whose result comes back through a pipe. */

#include "sim_isolate.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/check.h"

static void isolate_write(int end, const void *data, size_t len)
{
    const char *from = data;
    while (len > 0) {
        ssize_t written = write(end, from, len);
        CHECK(written > 0);
        from += written;
        len -= (size_t)written;
    }
}

static bool isolate_read(int end, void *data, size_t len)
{
    char *to = data;
    while (len > 0) {
        ssize_t got = read(end, to, len);
        if (got <= 0) {
            return false;
        }
        to += got;
        len -= (size_t)got;
    }
    return true;
}

void sim_isolate_run(const struct sim_options *options, struct sim_result *ret_result)
{
    int ends[2];
    CHECK(pipe(ends) == 0);
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct sim_result result;
        close(ends[0]);
        sim_world_run(options, &result);
        fflush(stdout);
        isolate_write(ends[1], &result, sizeof result);
        _exit(0);
    }
    close(ends[1]);
    struct sim_result result = {0};
    int status = 0;
    bool whole = isolate_read(ends[0], &result, sizeof result);
    close(ends[0]);
    CHECK(waitpid(child, &status, 0) == child);
    if (!whole) {
        result = (struct sim_result){.failed = true};
        snprintf(result.failure, sizeof result.failure, "the process ended by itself (%s %d)",
                 WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : status);
    }
    *ret_result = result;
}

void sim_isolate_if_due(const struct sim_options *options, struct sim_result *ret_result)
{
    if (sim_damage_chosen(options->seed)) {
        sim_isolate_run(options, ret_result);
    } else {
        sim_world_run(options, ret_result);
    }
}
