/* The command line of holdfast bench. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define COUNT_MAX (UINT64_C(1) << 36)
#define ORDERS_MAX (UINT64_C(1) << 22) /* Producers times consumers: what the check of order remembers. */

static const char help[] =
    "Usage: holdfast bench publish|consume|both|latency [options]\n"
    "\n"
    "  publish   publishes, and measures how long confirmations take\n"
    "  consume   consumes and settles what is in --queue\n"
    "  both      at once, and checks that every confirmed message arrives once, and in the order of its producer\n"
    "  latency   the same with one message at a time (--producers 1 --window 1)\n"
    "\n"
    "  --queue NAME     (default: bench- and a random number, which is deleted afterwards; one that is named is kept)\n"
    "  --keep           never deletes\n"
    "  --queues N       uses NAME-0 to NAME-N-1; producers and consumers take turns (default: 1)\n"
    "  --producers N    clients that publish (default: 1)\n"
    "  --consumers N    clients that consume (default: 1)\n"
    "  --size BYTES     of a message (default: 1024; at least 32 to be checked)\n"
    "  --window N       unconfirmed messages of a producer (default: 1024)\n"
    "  --batch N        messages in one command (default: what has gathered, up to a quarter of the window)\n"
    "  --prefetch N     unsettled messages of a consumer (default: 1024)\n"
    "  --count N        ends after N messages; otherwise\n"
    "  --seconds S      ends after S seconds (default: 10)\n"
    "  --rate R         messages a second in all, to a fixed schedule: latency counts from when a message was due, "
    "also\n"
    "                   when it could not be sent then (default: as fast as it goes)\n"
    "  --spread         spreads the clients over --servers; otherwise all connect to the node that leads at the start\n"
    "  --named          exactly-once producers: what fails is published again\n"
    "  --pids A,B       brokers on this machine: their processor time and memory (also --pid-file FILE)\n"
    "  --json           prints one JSON object instead of the table\n"
    "  --progress       a line a second on standard error, also when that is no terminal\n"
    "\n"
    "Latencies are of each message: to its confirmation, and to its delivery when this run published it.\n"
    "A gap is the longest time between two confirmations, or two deliveries.\n"
    "Exits with 1 when a message was lost, came twice, damaged or out of order; with 3 when nothing could be "
    "measured.\n"
    "\n"
    "Example: holdfast bench both --producers 4 --consumers 4 --seconds 10 --rate 20000\n";

enum {
    OPT_QUEUE = 1,
    OPT_KEEP,
    OPT_QUEUES,
    OPT_PRODUCERS,
    OPT_CONSUMERS,
    OPT_SIZE,
    OPT_WINDOW,
    OPT_BATCH,
    OPT_PREFETCH,
    OPT_COUNT,
    OPT_SECONDS,
    OPT_RATE,
    OPT_SPREAD,
    OPT_NAMED,
    OPT_JSON,
    OPT_PROGRESS,
    OPT_PIDS,
    OPT_PID_FILE
};

static const struct option table[] = {{"queue", required_argument, NULL, OPT_QUEUE},
                                      {"keep", no_argument, NULL, OPT_KEEP},
                                      {"queues", required_argument, NULL, OPT_QUEUES},
                                      {"producers", required_argument, NULL, OPT_PRODUCERS},
                                      {"consumers", required_argument, NULL, OPT_CONSUMERS},
                                      {"size", required_argument, NULL, OPT_SIZE},
                                      {"window", required_argument, NULL, OPT_WINDOW},
                                      {"batch", required_argument, NULL, OPT_BATCH},
                                      {"prefetch", required_argument, NULL, OPT_PREFETCH},
                                      {"count", required_argument, NULL, OPT_COUNT},
                                      {"seconds", required_argument, NULL, OPT_SECONDS},
                                      {"rate", required_argument, NULL, OPT_RATE},
                                      {"spread", no_argument, NULL, OPT_SPREAD},
                                      {"named", no_argument, NULL, OPT_NAMED},
                                      {"json", no_argument, NULL, OPT_JSON},
                                      {"progress", no_argument, NULL, OPT_PROGRESS},
                                      {"pids", required_argument, NULL, OPT_PIDS},
                                      {"pid-file", required_argument, NULL, OPT_PID_FILE},
                                      CLI_OPTIONS};

static int processes_option(struct bench *bench, int option)
{
    int err = option == OPT_PIDS ? bench_processes_add(&bench->processes, optarg)
                                 : bench_processes_add_file(&bench->processes, optarg);
    if (err == 0) {
        return 0;
    }
    fprintf(stderr, "holdfast: bench: \"%s\": %s\n", optarg,
            err == ERR_IO      ? "cannot be read"
            : err == ERR_LIMIT ? "more than 64 processes"
                               : "takes ids of processes");
    return EXIT_USAGE;
}

/* One option of ours. */
static int option_read(struct bench *bench, int option)
{
    struct bench_options *options = &bench->options;
    switch (option) {
    case OPT_QUEUE: options->queue = optarg; return 0;
    case OPT_KEEP: options->keep = true; return 0;
    case OPT_QUEUES: return cli_number("--queues", optarg, 1, BENCH_QUEUES_MAX, &options->queues);
    case OPT_PRODUCERS: return cli_number("--producers", optarg, 1, BENCH_CLIENTS_MAX, &options->producers);
    case OPT_CONSUMERS: return cli_number("--consumers", optarg, 1, BENCH_CLIENTS_MAX, &options->consumers);
    case OPT_SIZE: return cli_number("--size", optarg, 0, BODY_LEN_MAX, &options->size);
    case OPT_WINDOW: return cli_number("--window", optarg, 1, BENCH_WINDOW_MAX, &options->window);
    case OPT_BATCH: return cli_number("--batch", optarg, 1, PUBLISH_MESSAGES_MAX, &options->batch);
    case OPT_PREFETCH: return cli_number("--prefetch", optarg, 1, CREDIT_MAX, &options->prefetch);
    case OPT_COUNT: return cli_number("--count", optarg, 1, COUNT_MAX, &options->count);
    case OPT_SECONDS: return cli_number("--seconds", optarg, 1, 86400 * 30, &options->seconds);
    case OPT_RATE: return cli_number("--rate", optarg, 1, 100000000, &options->rate);
    case OPT_SPREAD: options->spread = true; return 0;
    case OPT_NAMED: options->named = true; return 0;
    case OPT_JSON: options->json = true; return 0;
    case OPT_PROGRESS: options->progress = true; return 0;
    default: return processes_option(bench, option);
    }
}

static bool mode_read(const char *text, enum bench_mode *ret_mode)
{
    static const char *const modes[] = {"publish", "consume", "both", "latency"};
    for (unsigned i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(text, modes[i]) == 0) {
            *ret_mode = (enum bench_mode)i;
            return true;
        }
    }
    return false;
}

/* What does not go together; NULL when all is well. */
static const char *options_check(struct bench_options *options)
{
    if (options->mode == BENCH_CONSUME && options->queue == NULL) {
        return "bench consume takes the --queue to consume";
    }
    if (options->mode == BENCH_CONSUME && options->rate > 0) {
        return "bench consume takes what is there: no --rate";
    }
    if ((options->mode == BENCH_BOTH || options->mode == BENCH_LATENCY) && options->size < BENCH_MARK_LEN) {
        return "bench: a message that is checked has at least 32 bytes";
    }
    if (options->mode == BENCH_BOTH && options->queues > options->consumers) {
        return "bench both: every queue takes a consumer";
    }
    if (options->batch * options->size > COMMAND_BODIES_LEN_MAX) {
        return "bench: the messages of a command have at most 16 MiB together";
    }
    if (options->producers * options->consumers > ORDERS_MAX) {
        return "bench: too many producers and consumers at once";
    }
    if (options->queue != NULL && strlen(options->queue) > NAME_LEN_MAX - 8) {
        return "bench: the name of the queue is too long";
    }
    return NULL;
}

int bench_options_read(struct bench *bench, struct cli *cli, int argc, char **argv)
{
    struct bench_options *options = &bench->options;
    *options = (struct bench_options){
        .queues = 1, .producers = 1, .consumers = 1, .size = 1024, .window = 1024, .prefetch = 1024};
    int option;
    bool window = false;
    while ((option = getopt_long(argc, argv, "h", table, NULL)) != -1) {
        int result = option <= OPT_PID_FILE ? option_read(bench, option) : cli_option(cli, option, help);
        if (result != 0) {
            return result;
        }
        window = window || option == OPT_WINDOW;
    }
    if (argc - optind != 1 || !mode_read(argv[optind], &options->mode)) {
        return cli_usage("bench: publish, consume, both or latency?", help);
    }
    if (options->mode == BENCH_LATENCY && !window) {
        options->window = 1;
    }
    if (options->count == 0 && options->seconds == 0) {
        options->seconds = 10;
    }
    if (options->count == 0 && options->rate > 0) {
        options->count = options->rate * options->seconds; /* What is due by then is sent, however late. */
    }
    options->window = options->window < options->batch ? options->batch : options->window;
    const char *wrong = options_check(options);
    return wrong == NULL ? 0 : cli_usage(wrong, help);
}
