/* Random histories for the machine and its model, and what is left of one in which they differ.
 *
 *   model_run [--seeds N] [--from S] [--entries E] [--rules V] [--fault NAME] [--coverage] [--required] [--alone] [--seconds T]
 *             [--without ARGUMENT]...
 *   model_run --replay FILE [--trace] [--fault NAME]
 *   model_run --faults [--seconds T] [--rules V]
 *
 * A history that shows a difference is made as short as it can be, printed, and kept in a file that --replay takes. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../shrink.h"
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
    bool required; /* That everything is seen that is to be. */
    bool alone;    /* The model without machines. */
    bool faults;   /* Which planted bug is found, and how soon. */
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
    if (options->alone) {
        world_run_alone(history, &shared->coverage);
        _exit(0);
    }
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
static bool still_differs(const void *options, const struct history *history)
{
    char found[WORLD_SAID_MAX];
    if (history_holds(options, history, true)) {
        return false;
    }
    signature(shared->said, found);
    return strcmp(found, wanted) == 0;
}

static void report(const struct options *options, struct history *history, uint64_t seed)
{
    char path[64];
    struct options traced = *options;
    (void)printf("seed %" PRIu64 ": %s\nmaking it shorter: %zu steps\n", seed, shared->said, history->len);
    signature(shared->said, wanted);
    shrink(history, still_differs, options);
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
    size_t missing = options->required && holds ? coverage_missing(coverage, options->rules, stdout) : 0;
    free(coverage);
    return !holds || missing > 0;
}

/* ---- Planted bugs ---- */

/* Those of the machine that a history can show: not one that needs a damaged disk. */
static bool is_of_machine(enum fault fault)
{
    return strncmp(fault_text(fault), "machine: ", 9) == 0 && fault != FAULT_SKIP_ROW_CHECKSUM;
}

static double seconds_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The first seed whose history shows the bug; 0: none within the time. */
static uint64_t find(const struct options *options, double *ret_seconds)
{
    double start = seconds_now();
    uint64_t found = 0;
    for (uint64_t seed = options->from; found == 0; seed++) {
        struct history history = {0};
        history_random(&history, seed, options->rules, options->entries);
        found = history_holds(options, &history, true) ? 0 : seed;
        history_done(&history);
        *ret_seconds = seconds_now() - start;
        if (*ret_seconds >= options->seconds) {
            break;
        }
    }
    return found;
}

/* A table of all of them: each is to be found in time. */
static int find_faults(const struct options *options)
{
    unsigned missed = 0;
    struct options with = *options;
    with.seconds = options->seconds > 0 ? options->seconds : 60;
    (void)printf("# Planted bugs\n\nWhat `model_run --faults` found: after how many histories (seeds from %" PRIu64
                 "), and seconds.\n\n",
                 options->from);
    (void)printf("| bug | what is planted in the machine | histories | seconds |\n|---|---|---|---|\n");
    for (int i = 0; i < FAULT_COUNT; i++) {
        double seconds = 0;
        with.fault = (enum fault)i;
        if (!is_of_machine(with.fault)) {
            continue;
        }
        uint64_t seed = find(&with, &seconds);
        (void)printf("| %s | %s | ", fault_name(with.fault), fault_text(with.fault) + strlen("machine: "));
        (void)printf(seed != 0 ? "%" PRIu64 " | %.1f |\n" : "not found | |\n", seed - options->from + 1, seconds);
        missed += seed == 0;
    }
    return missed > 0;
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
        if (strcmp(argv[i], "--required") == 0) {
            options.required = true;
            continue;
        }
        if (strcmp(argv[i], "--faults") == 0) {
            options.faults = true;
            continue;
        }
        if (strcmp(argv[i], "--alone") == 0) {
            options.alone = true;
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
    if (options.faults) {
        return find_faults(&options);
    }
    return options.replay != NULL ? replay(&options) : run(&options);
}
