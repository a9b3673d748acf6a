/* holdfast redrive|replay: messages back to where they died, or once more. */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "commands.h"

#define MOVE_MAX 1024u /* At a time. */

static const char help[] = "Usage: holdfast redrive QUEUE [--from QUEUE] [--to QUEUE] [--count N]\n"
                           "       holdfast replay QUEUE [--first POSITION] [--last POSITION] [--to QUEUE]\n"
                           "\n"
                           "Redrive moves the dead letters in a queue back to the queue in which each died, or --to "
                           "another, oldest first; with --from\n"
                           "only those that died there; with --count at most N. Replay enqueues copies of settled "
                           "messages that the queue still keeps\n"
                           "(queue declare --keep) in the same queue, or --to another.\n"
                           "\n"
                           "Example: holdfast redrive jobs-dead --from jobs\n";

struct move {
    const char *queue;
    const char *from;
    const char *to;
    uint64_t count; /* 0: all. */
    uint64_t first;
    uint64_t last;
};

/* What stays is in front of what comes after it: a round that moves nothing is the last. */
static int redrive(struct hf *hf, const struct cli *cli, const struct move *move, uint64_t *ret_moved)
{
    uint64_t moved;
    int err;
    do {
        uint64_t left = move->count == 0 ? MOVE_MAX : move->count - *ret_moved;
        moved = 0;
        err = hf_redrive(hf, move->queue, move->to, move->from, (uint32_t)(left < MOVE_MAX ? left : MOVE_MAX),
                         cli->timeout_ms, &moved, NULL);
        *ret_moved += moved;
    } while (err == 0 && moved > 0 && (move->count == 0 || *ret_moved < move->count));
    return err;
}

static int replay(struct hf *hf, const struct cli *cli, const struct move *move, uint64_t *ret_moved)
{
    uint64_t next = move->first;
    int err;
    do {
        uint64_t copied = 0;
        err = hf_replay(hf, move->queue, next, move->last, move->to, cli->timeout_ms, &copied, &next);
        *ret_moved += copied;
    } while (err == 0 && next != 0);
    return err;
}

static int move_run(const struct cli *cli, const struct move *move, bool replays)
{
    struct hf *hf;
    int exit_code = cli_open(cli, 0, &hf);
    if (exit_code != 0) {
        return exit_code;
    }
    uint64_t moved = 0;
    int err = replays ? replay(hf, cli, move, &moved) : redrive(hf, cli, move, &moved);
    exit_code = err == 0 ? EXIT_DONE : cli_fail(move->queue, err, hf_error_detail(hf));
    fprintf(stderr, "%llu messages %s\n", (unsigned long long)moved, replays ? "enqueued once more" : "moved");
    (void)hf_close(hf, exit_code == EXIT_UNSURE ? 0 : 1000);
    return exit_code;
}

int cmd_move(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {
        {"from", required_argument, NULL, 1},  {"to", required_argument, NULL, 2},
        {"count", required_argument, NULL, 3}, {"first", required_argument, NULL, 4},
        {"last", required_argument, NULL, 5},  CLI_OPTIONS};
    struct move move = {.last = UINT64_MAX};
    bool replays = strcmp(argv[0], "replay") == 0;
    bool of_redrive = false;
    bool of_replay = false;
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        int result = 0;
        of_redrive = of_redrive || option == 1 || option == 3;
        of_replay = of_replay || option == 4 || option == 5;
        switch (option) {
        case 1: move.from = optarg; break;
        case 2: move.to = optarg; break;
        case 3: result = cli_number("--count", optarg, 1, UINT64_MAX, &move.count); break;
        case 4: result = cli_number("--first", optarg, 0, UINT64_MAX, &move.first); break;
        case 5: result = cli_number("--last", optarg, 0, UINT64_MAX, &move.last); break;
        default: result = cli_option(cli, option, help); break;
        }
        if (result != 0) {
            return cli_option_exit(result);
        }
    }
    if (argc - optind != 1 || (replays ? of_redrive : of_replay)) {
        return cli_usage("redrive and replay take the name of a queue, and options of their own", help);
    }
    move.queue = argv[optind];
    return move_run(cli, &move, replays);
}
