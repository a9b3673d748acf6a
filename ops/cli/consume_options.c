/* The arguments of holdfast consume. */

#include "consume.h"

#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "duration.h"
#include "held.h"

#define FETCH_MAX 256u /* Held at a time, until all are written. */

static const char help[] =
    "Usage: holdfast consume QUEUE [--count N | --follow | --fetch] [--lines | --json] [OPTIONS]\n"
    "\n"
    "Writes the bodies of messages to standard output, one after the other, and acknowledges each only after it has "
    "been\n"
    "written. Messages that could not be written, or that were on their way when it ends, go back to the queue.\n"
    "\n"
    "  --count N        ends after N messages; if none arrives for --timeout seconds before that, exits with 3\n"
    "  --idle MS        without --count: ends when the queue has been empty for so long (default: 1000; 0: never)\n"
    "  --follow         goes on until it is interrupted; what was written is acknowledged then, and the exit code is "
    "0. When\n"
    "                   the session is lost, subscribes again, and says so\n"
    "  --fetch          takes what is ready now, at most --count N messages (1; at most 256), and waits for none\n"
    "  --lines          writes a newline after every message\n"
    "  --json           writes a JSON object for every message, one a line, with its properties and headers\n"
    "\n"
    "What becomes of a message that was written, instead of being acknowledged:\n"
    "  --reject         not wanted: to where the queue's dead letters go\n"
    "  --release TIME   back to its place in the queue, to be delivered again after TIME (0: at once). Is --fetch\n"
    "  --hold           stays held, for holdfast settle or the next invocation: needs --session, and --fetch or "
    "--count\n"
    "  --no-ack         acknowledged before it is written: at most once. What it has taken and cannot write is lost\n"
    "\n"
    "As which consumer:\n"
    "  --priority N     those with a higher one are given messages first (default: 0; may be negative)\n"
    "  --exclusive      alone: refused when there is another consumer, and keeps others out\n"
    "  --lock TIME      instead of the queue's: a message not acknowledged for so long goes back\n"
    "  --tag TEXT       for people: see holdfast consumers\n"
    "  --session NAME   of a name that other invocations know (and nobody else: who knows it has the session). What an "
    "earlier\n"
    "                   one was given, and has not settled, comes first; one that still runs ends\n"
    "  --lease TIME     with --session: how long that waits, when this one dies or with --hold (default: 1m)\n"
    "\n"
    "Example: holdfast consume jobs --count 1 > job\n";

enum {
    CONSUME_OPTION_COUNT = 1,
    CONSUME_OPTION_LINES,
    CONSUME_OPTION_IDLE,
    CONSUME_OPTION_FOLLOW,
    CONSUME_OPTION_NO_ACK,
    CONSUME_OPTION_JSON,
    CONSUME_OPTION_FETCH,
    CONSUME_OPTION_REJECT,
    CONSUME_OPTION_RELEASE,
    CONSUME_OPTION_PRIORITY,
    CONSUME_OPTION_EXCLUSIVE,
    CONSUME_OPTION_LOCK,
    CONSUME_OPTION_TAG,
    CONSUME_OPTION_SESSION,
    CONSUME_OPTION_LEASE,
    CONSUME_OPTION_HOLD,
};

static int take_priority(const char *text, int32_t *ret_priority)
{
    bool negative = text[0] == '-';
    uint64_t number = 0;
    int result = cli_number("--priority", text + (negative ? 1 : 0), 0, INT32_MAX, &number);
    *ret_priority = negative ? -(int32_t)number : (int32_t)number;
    return result;
}

static int take_release(struct consume_options *options)
{
    options->outcome = CONSUME_RELEASE;
    options->fetch = true; /* So that what goes back at once does not come again. */
    return cli_duration("--release", optarg, &options->release_ms);
}

static int take(struct cli *cli, struct consume_options *options, int option)
{
    switch (option) {
    case CONSUME_OPTION_COUNT: return cli_number("--count", optarg, 1, UINT64_MAX, &options->count);
    case CONSUME_OPTION_LINES: options->lines = true; return 0;
    case CONSUME_OPTION_IDLE: return cli_number("--idle", optarg, 0, 86400000, &options->idle_ms);
    case CONSUME_OPTION_FOLLOW: options->follow = true; return 0;
    case CONSUME_OPTION_NO_ACK: options->no_ack = true; return 0;
    case CONSUME_OPTION_JSON: options->json = true; return 0;
    case CONSUME_OPTION_FETCH: options->fetch = true; return 0;
    case CONSUME_OPTION_REJECT: options->outcome = CONSUME_REJECT; return 0;
    case CONSUME_OPTION_RELEASE: return take_release(options);
    case CONSUME_OPTION_PRIORITY: return take_priority(optarg, &options->how.priority);
    case CONSUME_OPTION_EXCLUSIVE: options->how.exclusive = true; return 0;
    case CONSUME_OPTION_LOCK: return cli_duration("--lock", optarg, &options->how.lock_ms);
    case CONSUME_OPTION_TAG: options->how.tag = optarg; return 0;
    case CONSUME_OPTION_SESSION: options->session = optarg; return 0;
    case CONSUME_OPTION_LEASE: return held_lease(optarg, &options->lease_ms);
    case CONSUME_OPTION_HOLD: options->outcome = CONSUME_HOLD; return 0;
    default: return cli_option(cli, option, help);
    }
}

/* What does not go together. NULL: all is well. */
static const char *fault(const struct consume_options *options)
{
    if (options->follow && options->count > 0) {
        return "consume: --count ends by itself, --follow does not";
    }
    if (options->follow && options->fetch) {
        return "consume: --fetch and --release end by themselves, --follow does not";
    }
    if (options->json && options->lines) {
        return "consume: --lines or --json";
    }
    if (options->no_ack && options->outcome != CONSUME_ACCEPT) {
        return "consume: --no-ack, --hold, --reject or --release";
    }
    if (options->outcome == CONSUME_HOLD && (options->session == NULL || (!options->fetch && options->count == 0))) {
        return "consume: --hold needs --session, and --fetch or --count";
    }
    if (options->outcome == CONSUME_HOLD && options->count > FETCH_MAX) {
        return "consume: --hold holds at most 256 messages";
    }
    if (options->lease_ms > 0 && options->session == NULL) {
        return "consume: --lease is for --session";
    }
    if (options->fetch && options->count > FETCH_MAX) {
        return "consume: --fetch takes at most 256 messages";
    }
    if (options->fetch && (options->how.exclusive || options->how.priority != 0)) {
        return "consume: --fetch takes what is there, without --exclusive or --priority";
    }
    return NULL;
}

int consume_options_read(struct cli *cli, int argc, char **argv, struct consume_options *options)
{
    static const struct option known[] = {{"count", required_argument, NULL, CONSUME_OPTION_COUNT},
                                          {"lines", no_argument, NULL, CONSUME_OPTION_LINES},
                                          {"idle", required_argument, NULL, CONSUME_OPTION_IDLE},
                                          {"follow", no_argument, NULL, CONSUME_OPTION_FOLLOW},
                                          {"no-ack", no_argument, NULL, CONSUME_OPTION_NO_ACK},
                                          {"json", no_argument, NULL, CONSUME_OPTION_JSON},
                                          {"fetch", no_argument, NULL, CONSUME_OPTION_FETCH},
                                          {"reject", no_argument, NULL, CONSUME_OPTION_REJECT},
                                          {"release", required_argument, NULL, CONSUME_OPTION_RELEASE},
                                          {"priority", required_argument, NULL, CONSUME_OPTION_PRIORITY},
                                          {"exclusive", no_argument, NULL, CONSUME_OPTION_EXCLUSIVE},
                                          {"lock", required_argument, NULL, CONSUME_OPTION_LOCK},
                                          {"tag", required_argument, NULL, CONSUME_OPTION_TAG},
                                          {"session", required_argument, NULL, CONSUME_OPTION_SESSION},
                                          {"lease", required_argument, NULL, CONSUME_OPTION_LEASE},
                                          {"hold", no_argument, NULL, CONSUME_OPTION_HOLD},
                                          CLI_OPTIONS};
    *options = (struct consume_options){.idle_ms = 1000};
    int option;
    while ((option = getopt_long(argc, argv, "h", known, NULL)) != -1) {
        int result = take(cli, options, option);
        if (result != 0) {
            return result;
        }
    }
    const char *why = fault(options);
    if (why != NULL) {
        return cli_usage(why, help);
    }
    if (argc - optind != 1) {
        return cli_usage("consume takes the name of a queue", help);
    }
    options->idle_ms = options->follow ? 0 : options->idle_ms;
    options->queue = argv[optind];
    return 0;
}
