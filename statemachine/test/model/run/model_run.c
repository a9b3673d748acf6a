/* Random histories for the machine and its model, and what is left of one in which they differ.
 *
 *   model_run [--seeds N] [--from S] [--entries E] [--rules V] [--fault NAME] [--coverage] [--seconds T] [--without ARGUMENT]...
 *   model_run --replay FILE [--trace] [--fault NAME]
 *
 * A history that shows a difference is made as short as it can be, printed, and kept in a file that --replay takes. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../world.h"
#include "proto/base/fault.h"

struct options {
    uint64_t from;
    uint64_t seeds;
    unsigned entries;
    unsigned rules;
    unsigned seconds;
    enum fault fault;
    bool coverage;
    bool trace;
    const char *replay;
    const char *without[8]; /* Arguments of steps that stay 0. */
    size_t without_len;
};

/* What a child leaves behind. */
struct shared {
    char said[WORLD_SAID_MAX];
    struct coverage coverage;
};

static struct shared *shared;

static void child(const struct options *options, const struct history *history, bool quiet)
{
    if (options->fault != FAULT_COUNT) {
        fault_set(options->fault, true);
    }
    if (quiet && freopen("/dev/null", "w", stderr) == NULL) {
        _exit(2);
    }
    (void)alarm(5);
    bool same = world_run(history, &shared->coverage, shared->said, options->trace && !quiet ? stdout : NULL);
    _exit(same ? 0 : 1);
}

/* In a process of its own, since it may end in the middle. True: no difference. */
static bool history_holds(const struct options *options, const struct history *history, bool quiet)
{
    int status;
    memset(shared, 0, sizeof *shared);
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        child(options, history, quiet);
    }
    model_require(pid > 0 && waitpid(pid, &status, 0) == pid, "a process");
    if (WIFSIGNALED(status)) {
        (void)snprintf(shared->said, sizeof shared->said, "the process ended with signal %d", WTERMSIG(status));
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* What a difference is about: the text without numbers and names of queues. */
static void signature(const char *said, char *out)
{
    size_t len = 0;
    const char *text = strstr(said, ": ");
    for (text = text != NULL ? text : said; *text != '\0'; text++) {
        bool letter = (*text >= 'g' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') || *text == '_';
        if (letter && len + 1 < WORLD_SAID_MAX) {
            out[len++] = *text;
        }
    }
    out[len] = '\0';
}

static char wanted[WORLD_SAID_MAX];

/* Whether the history shows the same difference still. */
static bool still_differs(const struct options *options, const struct history *history)
{
    char found[WORLD_SAID_MAX];
    if (history_holds(options, history, true)) {
        return false;
    }
    signature(shared->said, found);
    return strcmp(found, wanted) == 0;
}

/* Leaves out `len` steps from `at` on, if the difference stays. */
static bool shrink_drop(const struct options *options, struct history *history, size_t at, size_t len)
{
    struct history shorter = {0};
    for (size_t i = 0; i < history->len; i++) {
        if (i < at || i >= at + len) {
            history_add(&shorter, &history->steps[i]);
        }
    }
    if (!still_differs(options, &shorter)) {
        history_done(&shorter);
        return false;
    }
    history_done(history);
    *history = shorter;
    return true;
}

static bool shrink_steps(const struct options *options, struct history *history)
{
    bool any = false;
    for (size_t len = history->len / 2; len > 0; len /= 2) {
        for (size_t at = 0; at + len <= history->len;) {
            if (shrink_drop(options, history, at, len)) {
                any = true;
            } else {
                at += len;
            }
        }
    }
    return any;
}

/* 0 is plainer than anything else, and a small number than a large one. */
static bool shrink_args(const struct options *options, struct history *history)
{
    bool any = false;
    for (size_t i = 0; i < history->len; i++) {
        for (unsigned arg = 0; arg < STEP_ARGS_MAX; arg++) {
            uint32_t *value = &history->steps[i].args[arg];
            uint32_t before = *value;
            for (uint32_t less = 0; less < before; less++) {
                *value = less;
                if (still_differs(options, history)) {
                    any = true;
                    break;
                }
                *value = before;
            }
        }
    }
    return any;
}

static void report(const struct options *options, struct history *history, uint64_t seed)
{
    char path[64];
    struct options traced = *options;
    (void)printf("seed %" PRIu64 ": %s\nmaking it shorter: %zu steps\n", seed, shared->said, history->len);
    signature(shared->said, wanted);
    while (shrink_steps(options, history) || shrink_args(options, history)) {
    }
    (void)snprintf(path, sizeof path, "model_%u_%" PRIu64 ".steps", options->rules, seed);
    FILE *file = fopen(path, "w");
    model_require(file != NULL, "a file for the steps");
    for (size_t i = 0; i < history->len; i++) {
        step_print(&history->steps[i], file);
    }
    (void)fclose(file);
    traced.trace = true;
    (void)history_holds(&traced, history, false);
    (void)printf("%s\nagain: model_run --replay %s --trace\n", shared->said, path);
}

static int replay(const struct options *options)
{
    struct history history = {0};
    struct step step;
    char line[1024];
    FILE *file = fopen(options->replay, "r");
    model_require(file != NULL, "the file of steps");
    while (fgets(line, sizeof line, file) != NULL) {
        model_require(step_parse(&step, line), line);
        history_add(&history, &step);
    }
    (void)fclose(file);
    bool holds = history_holds(options, &history, false);
    (void)printf("%s\n", holds ? "no difference" : shared->said);
    history_done(&history);
    return !holds;
}

static void leave_out(const struct options *options, struct history *history)
{
    for (size_t i = 0; i < history->len; i++) {
        for (size_t at = 0; at < options->without_len; at++) {
            if (op_has(history->steps[i].op, options->without[at])) {
                history->steps[i].args[op_arg(history->steps[i].op, options->without[at])] = 0;
            }
        }
    }
}

static int run(const struct options *options)
{
    struct coverage *coverage = calloc(1, sizeof *coverage);
    model_require(coverage != NULL, "memory");
    time_t start = time(NULL);
    uint64_t seed = options->from;
    bool holds = true;
    for (; holds && seed < options->from + options->seeds; seed++) {
        struct history history = {0};
        history_random(&history, seed, options->rules, options->entries);
        leave_out(options, &history);
        holds = history_holds(options, &history, false);
        coverage_add(coverage, &shared->coverage);
        if (!holds) {
            report(options, &history, seed);
        }
        history_done(&history);
        if (options->seconds > 0 && time(NULL) - start >= options->seconds) {
            seed++;
            break;
        }
    }
    if (options->coverage) {
        coverage_print(coverage, options->rules, stdout);
    }
    (void)printf("%" PRIu64 " histories, %s, in %lds\n", seed - options->from,
                 holds ? "no difference" : "a difference in the last one", (long)(time(NULL) - start));
    free(coverage);
    return !holds;
}

static enum fault fault_of(const char *name)
{
    enum fault fault = fault_by_name(name);
    model_require(fault != FAULT_COUNT, "no fault of that name");
    return fault;
}

int main(int argc, char **argv)
{
    struct options options = {
        .from = 1, .seeds = 100, .entries = 60, .rules = MACHINE_VERSION_MAX, .fault = FAULT_COUNT};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--coverage") == 0) {
            options.coverage = true;
            continue;
        }
        if (strcmp(argv[i], "--trace") == 0) {
            options.trace = true;
            continue;
        }
        if (strcmp(argv[i], "--seeds") == 0) {
            options.seeds = strtoull(value, NULL, 10);
        } else if (strcmp(argv[i], "--from") == 0) {
            options.from = strtoull(value, NULL, 10);
        } else if (strcmp(argv[i], "--entries") == 0) {
            options.entries = (unsigned)strtoul(value, NULL, 10);
        } else if (strcmp(argv[i], "--rules") == 0) {
            options.rules = (unsigned)strtoul(value, NULL, 10);
        } else if (strcmp(argv[i], "--seconds") == 0) {
            options.seconds = (unsigned)strtoul(value, NULL, 10);
        } else if (strcmp(argv[i], "--fault") == 0) {
            options.fault = fault_of(value);
        } else if (strcmp(argv[i], "--without") == 0 && options.without_len < 8) {
            options.without[options.without_len++] = value;
        } else if (strcmp(argv[i], "--replay") == 0) {
            options.replay = value;
        } else {
            (void)fprintf(stderr, "model_run: what is %s?\n", argv[i]);
            return 2;
        }
        i++;
    }
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    model_require(shared != MAP_FAILED, "memory");
    return options.replay != NULL ? replay(&options) : run(&options);
}
