/* holdfast consume QUEUE: messages to standard output, accepted only after they are written; or before, with --no-ack. */

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "message_json.h"
#include "output.h"

/* Unsettled deliveries at a time, and what is written between two flushes at most. */
#define CREDIT 1024u
#define WRITTEN_MESSAGES_MAX 256u
#define WRITTEN_LEN_MAX (256u * 1024u)

/* With messages at hand: for so long others may come that are written and acknowledged together with them. */
#define GATHER_MS 1u

/* How often a wait looks whether it was interrupted. */
#define SLICE_MS 100u

/* One attempt to subscribe again. */
#define RESUME_MS 2000u

static const char help[] =
    "Usage: holdfast consume QUEUE [--count N | --follow] [--lines | --json] [--idle MS] [--no-ack]\n"
    "\n"
    "Writes the bodies of messages to standard output, one after the other, and acknowledges each only after it has "
    "been\n"
    "written. Messages that could not be written, or that were on their way when it ends, go back to the queue.\n"
    "\n"
    "  --count N   ends after N messages; if none arrives for --timeout seconds before that, exits with 3\n"
    "  --lines     writes a newline after every message\n"
    "  --json      writes a JSON object for every message, one a line, with its properties and headers\n"
    "  --idle MS   without --count: ends when the queue has been empty for so long (default: 1000; 0: never)\n"
    "  --follow    goes on until it is interrupted; what was written is acknowledged then, and the exit code is 0. "
    "When the\n"
    "              session is lost, subscribes again, and says so\n"
    "  --no-ack    acknowledges messages before they are written: at most once. What it has taken and cannot write is "
    "lost\n"
    "\n"
    "Example: holdfast consume jobs --count 1 > job\n";

enum consume_end { CONSUME_ON, CONSUME_FINISHED, CONSUME_FAILED };

struct consume {
    struct hf *hf;
    const struct cli *cli;
    const char *queue;
    uint64_t count; /* 0: no limit. */
    bool lines;
    bool json;
    bool follow;
    bool no_ack;
    uint64_t idle_ms;
    uint64_t taken;
    struct hf_message written[WRITTEN_MESSAGES_MAX]; /* Whose bodies have gathered in `output`. */
    size_t written_len;
    struct output output;
    int exit_code;
    uint64_t ready; /* Of the queue, as last asked. */
};

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

/* The signals are blocked, and looked for here: so there is no handler, and no state that it would need. */
static bool interrupted(void)
{
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1;
}

static enum consume_end fail(struct consume *consume, int err)
{
    /* Subscribing has found the queue. Settling, too, says NOT_FOUND when it is gone, and no more than that. */
    const char *detail = err == ERR_NOT_FOUND ? "the queue has been deleted" : hf_error_detail(consume->hf);
    consume->exit_code = cli_fail(consume->queue, err, detail);
    return CONSUME_FAILED;
}

static enum consume_end output_fail(struct consume *consume, int err)
{
    const char *why = err == ERR_IO ? strerror(errno) : "interrupted while nobody read it";
    fprintf(stderr, "holdfast: standard output: %s; what was not written %s\n", why,
            consume->no_ack ? "is lost" : "goes back to the queue");
    consume->exit_code = EXIT_REFUSED;
    return CONSUME_FAILED;
}

/* With --no-ack: what was taken is written once the cluster has confirmed that it is settled, so that nothing is written
 * that could be delivered to somebody else. */
static enum consume_end taken_settle(struct consume *consume)
{
    int err = hf_flush(consume->hf, consume->cli->timeout_ms);
    if (err != 0) {
        fprintf(stderr, "holdfast: %zu messages that may have been acknowledged are not written\n",
                consume->written_len);
        output_drop(&consume->output);
        consume->written_len = 0;
        return fail(consume, err);
    }
    return CONSUME_ON;
}

/* Writes what has gathered. Then it is safe in the hands of the next program: acknowledges it. */
static enum consume_end written_accept(struct consume *consume)
{
    if (consume->no_ack && taken_settle(consume) != CONSUME_ON) {
        return CONSUME_FAILED;
    }
    int err = output_flush(&consume->output, interrupted);
    if (err != 0) {
        return output_fail(consume, err);
    }
    for (size_t i = 0; i < consume->written_len && !consume->no_ack; i++) {
        err = hf_accept(consume->hf, &consume->written[i]);
        if (err != 0) {
            return fail(consume, err);
        }
    }
    consume->written_len = 0;
    err = hf_settle(consume->hf, consume->cli->timeout_ms);
    return err == 0 ? CONSUME_ON : fail(consume, err);
}

static enum consume_end message_take(struct consume *consume, const struct hf_message *message)
{
    int err = consume->json ? message_json(&consume->output, message)
                            : output_add(&consume->output, message->body.data, message->body.len);
    if (err == 0 && consume->lines) {
        err = output_add(&consume->output, "\n", 1);
    }
    if (err == 0 && consume->no_ack) {
        err = hf_accept(consume->hf, message);
    }
    if (err != 0) {
        return fail(consume, err);
    }
    consume->written[consume->written_len++] = *message;
    consume->taken++;
    bool last = consume->count > 0 && consume->taken == consume->count;
    if (last || consume->written_len == WRITTEN_MESSAGES_MAX || consume->output.bytes.len >= WRITTEN_LEN_MAX) {
        enum consume_end end = written_accept(consume);
        return end == CONSUME_ON && last ? CONSUME_FINISHED : end;
    }
    return CONSUME_ON;
}

static void queue_look(void *arg, const struct client_queue *queue)
{
    struct consume *consume = arg;
    consume->ready = queue->ready;
}

/* Nothing came for a while: is the queue empty, or is the cluster busy with itself? */
static enum consume_end idle_end(struct consume *consume)
{
    int err = hf_flush(consume->hf, consume->cli->timeout_ms);
    if (err == 0) {
        consume->ready = 0;
        err = hf_queue(consume->hf, consume->queue, consume->cli->timeout_ms, queue_look, consume);
    }
    if (err != 0) {
        return fail(consume, err);
    }
    return consume->ready == 0 ? CONSUME_FINISHED : CONSUME_ON;
}

static enum consume_end waited(struct consume *consume, uint64_t *quiet_since_ms, uint64_t last_message_ms)
{
    uint64_t now = now_ms();
    if (interrupted()) {
        return CONSUME_FINISHED;
    }
    bool patient = consume->count == 0 && consume->idle_ms == 0;
    if (!patient && now - last_message_ms >= consume->cli->timeout_ms + consume->idle_ms) {
        fprintf(stderr, "holdfast: %s: no message for %llu s\n", consume->queue,
                (unsigned long long)((now - last_message_ms) / 1000));
        consume->exit_code = EXIT_UNSURE;
        return CONSUME_FAILED;
    }
    if (consume->count == 0 && consume->idle_ms > 0 && now - *quiet_since_ms >= consume->idle_ms) {
        *quiet_since_ms = now;
        return idle_end(consume);
    }
    return CONSUME_ON;
}

static int subscribe(struct consume *consume, uint64_t timeout_ms)
{
    uint64_t consumer;
    uint32_t credit = consume->count > 0 && consume->count < CREDIT ? (uint32_t)consume->count : CREDIT;
    return hf_subscribe(consume->hf, consume->queue, credit, timeout_ms, &consumer);
}

/* With --follow: the session was lost, for the cluster could not be reached for long. Begins a new one. */
static enum consume_end resume(struct consume *consume)
{
    fprintf(stderr, "holdfast: %s: %s; subscribing again\n", consume->queue, err_text(ERR_SESSION_EXPIRED));
    consume->written_len = 0; /* Not theirs any more: they are delivered again. */
    output_drop(&consume->output);
    int void_err = hf_flush(consume->hf, RESUME_MS); /* Of settlements that ended with the session. */
    (void)void_err;
    int err;
    do {
        err = subscribe(consume, RESUME_MS);
    } while ((err == ERR_UNAVAILABLE || err == ERR_TIMEOUT || err == ERR_OUTCOME_UNKNOWN) && !interrupted());
    return err == 0 ? CONSUME_ON : interrupted() ? CONSUME_FINISHED : fail(consume, err);
}

static enum consume_end consume_loop(struct consume *consume)
{
    uint64_t last_message_ms = now_ms();
    uint64_t quiet_since_ms = last_message_ms;
    enum consume_end end = CONSUME_ON;
    while (end == CONSUME_ON) {
        struct hf_message message;
        int err = hf_next(consume->hf, consume->written_len > 0 ? GATHER_MS : SLICE_MS, &message);
        if (err == 0) {
            end = message_take(consume, &message);
            quiet_since_ms = last_message_ms = now_ms();
            if (end == CONSUME_ON && interrupted()) {
                end = CONSUME_FINISHED;
            }
        } else if (err == ERR_SESSION_EXPIRED && consume->follow) {
            end = resume(consume);
        } else if (err != ERR_TIMEOUT) {
            end = fail(consume, err);
        } else if (consume->written_len > 0) {
            end = written_accept(consume); /* No more for now. */
        } else {
            end = waited(consume, &quiet_since_ms, last_message_ms);
        }
    }
    return end;
}

static int consume_run(struct consume *consume)
{
    int err = subscribe(consume, consume->cli->timeout_ms);
    if (err != 0) {
        return cli_fail(consume->queue, err, hf_error_detail(consume->hf));
    }
    enum consume_end end = consume_loop(consume);
    if (end == CONSUME_FINISHED && consume->written_len > 0) {
        end = written_accept(consume);
    }
    if (end == CONSUME_FAILED) {
        return consume->exit_code;
    }
    err = hf_flush(consume->hf, consume->cli->timeout_ms);
    if (err == ERR_NOT_FOUND) {
        (void)fail(consume, err);
        return consume->exit_code;
    }
    if (err != 0) {
        fprintf(stderr, "holdfast: some of what was written may be delivered again\n");
        return cli_fail(consume->queue, err, hf_error_detail(consume->hf));
    }
    return EXIT_DONE;
}

int cmd_consume(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"count", required_argument, NULL, 1},
                                            {"lines", no_argument, NULL, 2},
                                            {"idle", required_argument, NULL, 3},
                                            {"follow", no_argument, NULL, 4},
                                            {"no-ack", no_argument, NULL, 5},
                                            {"json", no_argument, NULL, 6},
                                            CLI_OPTIONS};
    struct consume *consume = calloc(1, sizeof *consume);
    if (consume == NULL) {
        return cli_fail("consume", ERR_NOMEM, NULL);
    }
    consume->cli = cli;
    consume->idle_ms = 1000;
    int exit_code = 0;
    int option;
    while (exit_code == 0 && (option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        switch (option) {
        case 1: exit_code = cli_number("--count", optarg, 1, UINT64_MAX, &consume->count); break;
        case 2: consume->lines = true; break;
        case 3: exit_code = cli_number("--idle", optarg, 0, 86400000, &consume->idle_ms); break;
        case 4: consume->follow = true; break;
        case 5: consume->no_ack = true; break;
        case 6: consume->json = true; break;
        default: exit_code = cli_option(cli, option, help); break;
        }
    }
    if (exit_code != 0) {
        exit_code = cli_option_exit(exit_code);
        goto out;
    }
    if (consume->follow && consume->count > 0) {
        exit_code = cli_usage("consume: --count ends by itself, --follow does not", help);
        goto out;
    }
    if (consume->json && consume->lines) {
        exit_code = cli_usage("consume: --lines or --json", help);
        goto out;
    }
    consume->idle_ms = consume->follow ? 0 : consume->idle_ms;
    if (argc - optind != 1) {
        exit_code = cli_usage("consume takes the name of a queue", help);
        goto out;
    }
    consume->queue = argv[optind];
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    exit_code = cli_open(cli, 0, &consume->hf);
    if (exit_code == 0) {
        exit_code = consume_run(consume);
        (void)hf_close(consume->hf, exit_code == EXIT_UNSURE ? 1000 : cli->timeout_ms);
    }
out:
    output_done(&consume->output);
    free(consume);
    return exit_code;
}
