/* holdfast-sim: whole nodes and clients in one thread, from a seed. */

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "sim_catch.h"
#include "sim_isolate.h"
#include "sim_stats.h"
#include "sim_world.h"

static const char usage[] =
    "Usage: holdfast-sim --seed S [--trace]          one run\n"
    "       holdfast-sim --seeds N [--from S]        many; stops at the first violation\n"
    "       holdfast-sim --file FILE                 the seeds of a file: a seed and its options a line\n"
    "       holdfast-sim --catch [--fault NAME]...   how many seeds it takes to notice each fault\n"
    "Options:\n"
    "  --ops N           client operations a seed (2000)\n"
    "  --nodes N         3 or 5 (the seed decides)\n"
    "  --features        exchanges and queues with options in all worlds whose data are not damaged\n"
    "  --fault NAME      switches a safety step off; may be given several times\n"
    "  --limit N         with --catch: seeds at most (300)\n"
    "  --all             with --catch: also what takes many seeds, and what only unit tests show\n"
    "  --replay-check    runs every seed twice, and compares\n"
    "  --digests         prints a digest of each run: the same seed gives the same everywhere\n"
    "  --forgetful       nodes whose data went back unnoticed go on: what was confirmed may be lost then\n"
    "  --quiet           no table at the end\n"
    "  --coverage        instead of the table, sums for ops/sim to add up\n"
    "Exit: 0 all is well, 1 a violation (or, with --catch, a fault that was not noticed), 2 usage.\n";

/* Over so many seeds everything must have happened at least once. */
#define COVERAGE_SEEDS 1000u

struct arguments {
    struct sim_options options;
    uint64_t seeds;
    uint64_t from;
    uint64_t limit;
    const char *file;
    bool one;
    bool replay_check;
    bool quiet;
    bool digests;
    bool coverage;
    bool catch;
    bool all;
    enum fault faults[FAULT_COUNT];
    unsigned faults_len;
};

/* The seed under way, for the message of a run that ends the process. */
static volatile uint64_t seed_now;

static void aborted(int signal_number)
{
    char line[160];
    int len =
        snprintf(line, sizeof line, "\nseed %" PRIu64 ": ended by signal %d\nreplay: holdfast-sim --seed %" PRIu64 "\n",
                 (uint64_t)seed_now, signal_number, (uint64_t)seed_now);
    if (len > 0 && write(STDERR_FILENO, line, (size_t)len) < 0) {
        _exit(4);
    }
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static int parse_number(const char *text, uint64_t *ret_number)
{
    char *end = NULL;
    unsigned long long number = strtoull(text, &end, 10);
    if (*text == '\0' || *text == '-' || *end != '\0') {
        return ERR_INVALID;
    }
    *ret_number = number;
    return 0;
}

static int parse_option(struct arguments *arguments, int option, const char *value)
{
    uint64_t number = 0;
    switch (option) {
    case 't': arguments->options.trace = true; return 0;
    case 'r': arguments->replay_check = true; return 0;
    case 'q': arguments->quiet = true; return 0;
    case 'c': arguments->catch = true; return 0;
    case 'd': arguments->digests = true; return 0;
    case 'a': arguments->all = true; return 0;
    case 'g': arguments->options.forgetful = true; return 0;
    case 'e': arguments->options.features = true; return 0;
    case 'C': arguments->coverage = true; return 0;
    case 'F': arguments->file = value; return 0;
    case 'f':
        if (fault_by_name(value) == FAULT_COUNT || arguments->faults_len == FAULT_COUNT) {
            return ERR_INVALID;
        }
        arguments->faults[arguments->faults_len++] = fault_by_name(value);
        return 0;
    case '?': return ERR_INVALID;
    default: break;
    }
    if (parse_number(value, &number) != 0) {
        return ERR_INVALID;
    }
    switch (option) {
    case 's':
        arguments->from = number;
        arguments->seeds = 1;
        arguments->one = true;
        return 0;
    case 'n': arguments->seeds = number; return 0;
    case 'm': arguments->from = number; return 0;
    case 'o': arguments->options.ops = number; return 0;
    case 'l': arguments->limit = number; return 0;
    case 'N': arguments->options.nodes = (unsigned)number; return number == 3 || number == 5 ? 0 : ERR_INVALID;
    default: return ERR_INVALID;
    }
}

static int parse_arguments(int argc, char **argv, struct arguments *arguments)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'},  {"seeds", required_argument, NULL, 'n'},
        {"from", required_argument, NULL, 'm'},  {"ops", required_argument, NULL, 'o'},
        {"nodes", required_argument, NULL, 'N'}, {"fault", required_argument, NULL, 'f'},
        {"limit", required_argument, NULL, 'l'}, {"file", required_argument, NULL, 'F'},
        {"trace", no_argument, NULL, 't'},       {"replay-check", no_argument, NULL, 'r'},
        {"quiet", no_argument, NULL, 'q'},       {"catch", no_argument, NULL, 'c'},
        {"digests", no_argument, NULL, 'd'},     {"coverage", no_argument, NULL, 'C'},
        {"features", no_argument, NULL, 'e'},    {"all", no_argument, NULL, 'a'},
        {"forgetful", no_argument, NULL, 'g'},   {0},
    };
    int option;
    optind = 1;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        int err = parse_option(arguments, option, optarg);
        if (err != 0) {
            return err;
        }
    }
    return optind == argc ? 0 : ERR_INVALID;
}

static void print_violation(const struct arguments *arguments, uint64_t seed, const char *failure)
{
    printf("seed %" PRIu64 ": VIOLATION: %s\n", seed, failure);
    printf("replay: holdfast-sim --seed %" PRIu64 " --ops %" PRIu64, seed, arguments->options.ops);
    if (arguments->options.nodes != 0) {
        printf(" --nodes %u", arguments->options.nodes);
    }
    printf("%s", arguments->options.features ? " --features" : "");
    for (unsigned i = 0; i < arguments->faults_len; i++) {
        printf(" --fault %s", fault_name(arguments->faults[i]));
    }
    printf(" --trace\n");
    fflush(stdout);
}

/* How fast it was: nothing in a run depends on it. */
static uint64_t real_us(void)
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Runs the seeds; 0, or 1 at the first violation. */
static int run_seeds(const struct arguments *arguments)
{
    struct sim_stats_table table = {0};
    int status = 0;
    uint64_t began_us = real_us();
    fault_reset();
    for (unsigned i = 0; i < arguments->faults_len; i++) {
        fault_set(arguments->faults[i], true);
    }
    for (uint64_t i = 0; i < arguments->seeds && status == 0; i++) {
        struct sim_options options = arguments->options;
        struct sim_result result;
        struct sim_result again;
        options.seed = arguments->from + i;
        seed_now = options.seed;
        sim_isolate_if_due(&options, &result);
        if (result.failed) {
            print_violation(arguments, options.seed, result.failure);
            status = 1;
        }
        if (arguments->replay_check && status == 0) {
            sim_isolate_if_due(&options, &again);
            if (again.digest != result.digest || memcmp(&again.stats, &result.stats, sizeof again.stats) != 0) {
                print_violation(arguments, options.seed,
                                again.digest != result.digest ? "two runs of the seed differ"
                                                              : "two runs of the seed differ in their counts");
                status = 1;
            }
        }
        if (arguments->digests) {
            printf("seed %" PRIu64 ": digest %016" PRIx64 "\n", options.seed, result.digest);
        }
        sim_stats_table_add(&table, &result.stats);
        if ((i + 1) % 100 == 0 && !arguments->quiet) {
            fprintf(stderr, "%" PRIu64 " of %" PRIu64 " seeds\n", i + 1, arguments->seeds);
        }
    }
    if (arguments->coverage) {
        sim_stats_table_coverage(&table, real_us() - began_us);
    } else if (!arguments->quiet) {
        sim_stats_table_print(&table, real_us() - began_us);
    }
    if (!arguments->quiet) {
        printf("%zu seeds, %s\n", table.len, status == 0 ? "no violation" : "one violation");
    }
    if (status == 0 && !arguments->coverage && arguments->faults_len == 0 && table.len >= COVERAGE_SEEDS &&
        sim_stats_table_missing(&table) > 0) {
        status = 1;
    }
    sim_stats_table_done(&table);
    return status;
}

/* One line of a file of seeds: "SEED [OPTIONS] # what it was". */
static int run_line(const struct arguments *defaults, char *line)
{
    struct arguments arguments = {.options = defaults->options, .seeds = 1, .quiet = true};
    char *argv[32] = {"holdfast-sim", "--seed"};
    int argc = 2;
    char *save = NULL;
    line[strcspn(line, "#\n")] = '\0';
    for (char *word = strtok_r(line, " \t", &save); word != NULL && argc < 31; word = strtok_r(NULL, " \t", &save)) {
        argv[argc++] = word;
    }
    if (argc == 2) {
        return 0;
    }
    if (parse_arguments(argc, argv, &arguments) != 0) {
        fprintf(stderr, "malformed line for seed %s\n", argv[2]);
        return 2;
    }
    arguments.replay_check = defaults->replay_check;
    return run_seeds(&arguments);
}

static int run_file(const struct arguments *arguments)
{
    FILE *file = fopen(arguments->file, "r");
    char line[500];
    int status = 0;
    if (file == NULL) {
        perror(arguments->file);
        return 2;
    }
    while (status == 0 && fgets(line, sizeof line, file) != NULL) {
        status = run_line(arguments, line);
    }
    fclose(file);
    return status;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.options = {.ops = 2000}, .from = 1, .limit = 300};
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (parse_arguments(argc, argv, &arguments) != 0 ||
        (arguments.seeds == 0 && arguments.file == NULL && !arguments.catch)) {
        fputs(usage, stderr);
        return 2;
    }
    if (arguments.catch) {
        return sim_catch(&arguments.options, arguments.from, arguments.limit, arguments.all, arguments.faults,
                         arguments.faults_len);
    }
    signal(SIGABRT, aborted);
    signal(SIGSEGV, aborted);
    return arguments.file != NULL ? run_file(&arguments) : run_seeds(&arguments);
}
