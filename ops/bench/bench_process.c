/* Reads /proc: see proc(5), /proc/PID/stat and /proc/PID/status. */

#include "bench_process.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

int bench_processes_add(struct bench_processes *processes, const char *text)
{
    static const char between[] = ", \t\r\n";
    for (text += strspn(text, between); *text != '\0'; text += strspn(text, between)) {
        char *end = NULL;
        errno = 0;
        unsigned long long pid = strtoull(text, &end, 10);
        if (text[0] < '0' || text[0] > '9' || errno != 0 || pid == 0 ||
            (*end != '\0' && strchr(between, *end) == NULL)) {
            return ERR_INVALID;
        }
        if (processes->len == BENCH_PROCESSES_MAX) {
            return ERR_LIMIT;
        }
        processes->list[processes->len++] = (struct bench_process){.pid = pid};
        text = end;
    }
    return 0;
}

/* The beginning of a file as a string. */
static int file_read(const char *path, char *data, size_t cap)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return ERR_IO;
    }
    size_t len = fread(data, 1, cap - 1, file);
    int err = ferror(file) ? ERR_IO : 0;
    fclose(file);
    data[len] = '\0';
    return err;
}

int bench_processes_add_file(struct bench_processes *processes, const char *path)
{
    char text[4096];
    int err = file_read(path, text, sizeof text);
    return err == 0 ? bench_processes_add(processes, text) : err;
}

static uint64_t cpu_ms(uint64_t pid)
{
    char path[64];
    char text[1024];
    unsigned long long user = 0;
    unsigned long long system = 0;
    snprintf(path, sizeof path, "/proc/%llu/stat", (unsigned long long)pid);
    if (file_read(path, text, sizeof text) != 0) {
        return UINT64_MAX;
    }
    const char *rest = strrchr(text, ')'); /* The name before it may hold anything. */
    if (rest == NULL ||
        sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2) {
        return UINT64_MAX;
    }
    return (uint64_t)(user + system) * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

static uint64_t rss_len(uint64_t pid)
{
    char path[64];
    char text[4096];
    unsigned long long kib = 0;
    snprintf(path, sizeof path, "/proc/%llu/status", (unsigned long long)pid);
    const char *line = file_read(path, text, sizeof text) == 0 ? strstr(text, "\nVmRSS:") : NULL;
    return line != NULL && sscanf(line, " VmRSS: %llu kB", &kib) == 1 ? (uint64_t)kib * 1024 : 0;
}

void bench_processes_start(struct bench_processes *processes)
{
    for (unsigned i = 0; i < processes->len; i++) {
        processes->list[i].cpu_ms = cpu_ms(processes->list[i].pid);
    }
}

void bench_processes_end(struct bench_processes *processes)
{
    for (unsigned i = 0; i < processes->len; i++) {
        struct bench_process *process = &processes->list[i];
        uint64_t now = cpu_ms(process->pid);
        bool there = now != UINT64_MAX && process->cpu_ms != UINT64_MAX && now >= process->cpu_ms;
        process->cpu_ms = there ? now - process->cpu_ms : UINT64_MAX;
        process->rss_len = rss_len(process->pid);
    }
}

uint64_t bench_process_own_ms(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0) {
        return 0;
    }
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}
