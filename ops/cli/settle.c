/* holdfast settle QUEUE: what becomes of messages that holdfast consume --hold was given. */

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "cli.h"
#include "commands.h"
#include "duration.h"
#include "held.h"

static const char help[] =
    "Usage: holdfast settle QUEUE --session NAME [--count N] [--reject | --release TIME | --extend TIME]\n"
    "\n"
    "Acknowledges the messages of QUEUE that a session holds: those that holdfast consume --hold has written. All of "
    "them, "
    "or the\n"
    "first ones, in the order in which they were given. What is left stays held, until the session's lease is over. "
    "With "
    "nothing\n"
    "held, because it has gone back meanwhile, the exit code is 1.\n"
    "\n"
    "  --session NAME   as holdfast consume was told\n"
    "  --count N        the first N, and no more\n"
    "  --reject         not wanted: to where the queue's dead letters go\n"
    "  --release TIME   back to their places in the queue, to be delivered again after TIME (0: at once)\n"
    "  --extend TIME    held on: their locks end after TIME from now\n"
    "  --lease TIME     how long the session waits from now on (default: 1m)\n"
    "\n"
    "Example: holdfast settle jobs --session nightly\n";

enum settle_how { SETTLE_ACCEPT, SETTLE_REJECT, SETTLE_RELEASE, SETTLE_EXTEND };

struct settle {
    const char *queue;
    const char *session;
    uint32_t lease_ms;
    uint64_t count; /* 0: all. */
    enum settle_how how;
    unsigned hows; /* Options that say how. */
    uint64_t time_ms;
};

enum { OPTION_SESSION = 1, OPTION_COUNT, OPTION_REJECT, OPTION_RELEASE, OPTION_EXTEND, OPTION_LEASE };

static int message_settle(struct hf *hf, const struct settle *settle, const struct hf_message *message,
                          uint64_t timeout_ms)
{
    const struct client_settlement delayed = {.has_delay = true, .delay_ms = settle->time_ms};
    switch (settle->how) {
    case SETTLE_REJECT: return hf_settle_as(hf, message, CLIENT_REJECT, NULL, timeout_ms);
    case SETTLE_RELEASE: return hf_settle_as(hf, message, CLIENT_RELEASE, &delayed, timeout_ms);
    case SETTLE_EXTEND: return hf_extend(hf, message, settle->time_ms, timeout_ms);
    case SETTLE_ACCEPT: break;
    }
    return hf_settle_as(hf, message, CLIENT_ACCEPT, NULL, timeout_ms);
}

static int settle_run(struct hf *hf, const struct settle *settle, uint64_t timeout_ms)
{
    static const char *const words[] = {"acknowledged", "rejected", "released", "held on"};
    uint64_t held = 0;
    uint64_t done = 0;
    uint64_t gone = 0;
    int err = held_take_up(hf, settle->queue, timeout_ms, &held);
    if (err == 0 && held == 0) {
        fprintf(stderr, "holdfast: %s: the session \"%s\" holds nothing of it\n", settle->queue, settle->session);
        return EXIT_REFUSED;
    }
    uint64_t wanted = settle->count > 0 && settle->count < held ? settle->count : held;
    while (err == 0 && done + gone < wanted) {
        struct hf_message message;
        err = hf_next(hf, timeout_ms, &message);
        err = err == ERR_INVALID ? 0 : err; /* Its properties need not be read. */
        err = err == 0 ? message_settle(hf, settle, &message, timeout_ms) : err;
        done += err == 0;
        gone += err == ERR_STALE;
        err = err == ERR_STALE ? 0 : err;
    }
    printf("%" PRIu64 " messages %s, %" PRIu64 " held\n", done, words[settle->how],
           settle->how == SETTLE_EXTEND ? held - gone : held - done - gone);
    if (gone > 0) {
        fprintf(stderr, "holdfast: %s: %" PRIu64 " had gone back to the queue\n", settle->queue, gone);
    }
    return err != 0 ? cli_fail(settle->queue, err, hf_error_detail(hf)) : gone > 0 ? EXIT_REFUSED : EXIT_DONE;
}

static int take_how(struct settle *settle, enum settle_how how, const char *option)
{
    settle->how = how;
    settle->hows++;
    return option == NULL ? 0 : cli_duration(option, optarg, &settle->time_ms);
}

static int take(struct cli *cli, struct settle *settle, int option)
{
    switch (option) {
    case OPTION_SESSION: settle->session = optarg; return 0;
    case OPTION_COUNT: return cli_number("--count", optarg, 1, UINT64_MAX, &settle->count);
    case OPTION_REJECT: return take_how(settle, SETTLE_REJECT, NULL);
    case OPTION_RELEASE: return take_how(settle, SETTLE_RELEASE, "--release");
    case OPTION_EXTEND: return take_how(settle, SETTLE_EXTEND, "--extend");
    case OPTION_LEASE: return held_lease(optarg, &settle->lease_ms);
    default: return cli_option(cli, option, help);
    }
}

int cmd_settle(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"session", required_argument, NULL, OPTION_SESSION},
                                            {"count", required_argument, NULL, OPTION_COUNT},
                                            {"reject", no_argument, NULL, OPTION_REJECT},
                                            {"release", required_argument, NULL, OPTION_RELEASE},
                                            {"extend", required_argument, NULL, OPTION_EXTEND},
                                            {"lease", required_argument, NULL, OPTION_LEASE},
                                            CLI_OPTIONS};
    struct settle settle = {0};
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        int result = take(cli, &settle, option);
        if (result != 0) {
            return cli_option_exit(result);
        }
    }
    if (argc - optind != 1 || settle.session == NULL) {
        return cli_usage("settle takes the name of a queue, and --session", help);
    }
    if (settle.hows > 1) {
        return cli_usage("settle: one of --reject, --release and --extend", help);
    }
    settle.queue = argv[optind];
    struct hf *hf;
    int exit_code = held_open(cli, settle.session, settle.lease_ms, &hf);
    if (exit_code == 0) {
        exit_code = settle_run(hf, &settle, cli->timeout_ms);
        (void)hf_close(hf, 0); /* What is left stays held. */
    }
    return exit_code;
}
