/* holdfast consume QUEUE: messages to standard output, settled only after they are written; or before, with --no-ack. */

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "consume.h"
#include "held.h"
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

enum consume_end { CONSUME_ON, CONSUME_FINISHED, CONSUME_FAILED };

struct consume {
    struct hf *hf;
    const struct cli *cli;
    struct consume_options options;
    uint64_t taken;
    uint64_t consumer; /* 0: it is a fetch. */
    uint32_t credit;
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
    consume->exit_code = cli_fail(consume->options.queue, err, detail);
    return CONSUME_FAILED;
}

static enum consume_end output_fail(struct consume *consume, int err)
{
    const char *why = err == ERR_IO ? strerror(errno) : "interrupted while nobody read it";
    fprintf(stderr, "holdfast: standard output: %s; what was not written %s\n", why,
            consume->options.no_ack ? "is lost" : "goes back to the queue");
    consume->exit_code = EXIT_REFUSED;
    return CONSUME_FAILED;
}

/* With --no-ack: what was taken is written once the cluster has confirmed that it is settled, so that nothing is written
 * that could be delivered to somebody else. */
static enum consume_end taken_settle(struct consume *consume)
{
    int err = 0;
    for (size_t i = 0; err == 0 && i < consume->written_len; i++) {
        err = hf_accept(consume->hf, &consume->written[i]);
    }
    err = err == 0 ? hf_flush(consume->hf, consume->cli->timeout_ms) : err;
    if (err != 0) {
        fprintf(stderr, "holdfast: %zu messages that may have been acknowledged are not written\n",
                consume->written_len);
        output_drop(&consume->output);
        consume->written_len = 0;
        return fail(consume, err);
    }
    return CONSUME_ON;
}

static int written_settle(struct consume *consume, const struct hf_message *message)
{
    switch (consume->options.outcome) {
    case CONSUME_REJECT: return hf_reject(consume->hf, message);
    case CONSUME_RELEASE:
        return hf_release_after(consume->hf, message, consume->options.release_ms, consume->cli->timeout_ms);
    case CONSUME_HOLD: return 0;
    case CONSUME_ACCEPT: break;
    }
    return hf_accept(consume->hf, message);
}

/* What is settled makes room for others. With --count no more are wanted than are left: they would go back, as delivered once. */
static enum consume_end credit_lower(struct consume *consume)
{
    uint64_t left = consume->options.count - consume->taken;
    bool holds = consume->options.outcome == CONSUME_HOLD; /* What is not settled makes no room. */
    if (consume->options.count == 0 || consume->consumer == 0 || holds || left >= consume->credit) {
        return CONSUME_ON;
    }
    consume->credit = (uint32_t)left;
    int err = hf_set_credit(consume->hf, consume->consumer, consume->credit, consume->cli->timeout_ms);
    return err == 0 ? CONSUME_ON : fail(consume, err);
}

/* Writes what has gathered. Then it is safe in the hands of the next program: acknowledges it. */
static enum consume_end written_accept(struct consume *consume)
{
    if (credit_lower(consume) != CONSUME_ON || (consume->options.no_ack && taken_settle(consume) != CONSUME_ON)) {
        return CONSUME_FAILED;
    }
    int err = output_flush(&consume->output, interrupted);
    if (err != 0) {
        return output_fail(consume, err);
    }
    for (size_t i = 0; i < consume->written_len && !consume->options.no_ack; i++) {
        err = written_settle(consume, &consume->written[i]);
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
    int err = consume->options.json ? message_json(&consume->output, message)
                                    : output_add(&consume->output, message->body.data, message->body.len);
    if (err == 0 && consume->options.lines) {
        err = output_add(&consume->output, "\n", 1);
    }
    if (err != 0) {
        return fail(consume, err);
    }
    consume->written[consume->written_len++] = *message;
    consume->taken++;
    bool last = consume->options.count > 0 && consume->taken == consume->options.count;
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
        err = hf_queue(consume->hf, consume->options.queue, consume->cli->timeout_ms, queue_look, consume);
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
    bool patient = consume->options.count == 0 && consume->options.idle_ms == 0;
    uint64_t idle_ms = consume->options.count > 0 ? 0 : consume->options.idle_ms;
    if (!patient && now - last_message_ms >= consume->cli->timeout_ms + idle_ms) {
        fprintf(stderr, "holdfast: %s: no message for %llu s\n", consume->options.queue,
                (unsigned long long)((now - last_message_ms) / 1000));
        consume->exit_code = EXIT_UNSURE;
        return CONSUME_FAILED;
    }
    if (consume->options.count == 0 && consume->options.idle_ms > 0 &&
        now - *quiet_since_ms >= consume->options.idle_ms) {
        *quiet_since_ms = now;
        return idle_end(consume);
    }
    return CONSUME_ON;
}

/* `held` of what is wanted are there already. */
static int subscribe(struct consume *consume, uint64_t held, uint64_t timeout_ms)
{
    uint64_t count = consume->options.count;
    if (count > 0 && held >= count) {
        return 0;
    }
    count -= count > 0 ? held : 0;
    consume->credit = count > 0 && count < CREDIT ? (uint32_t)count : CREDIT;
    return hf_subscribe_as(consume->hf, consume->options.queue, consume->credit, &consume->options.how, timeout_ms,
                           &consume->consumer);
}

/* With --follow: the session was lost, for the cluster could not be reached for long. Begins a new one. */
static enum consume_end resume(struct consume *consume)
{
    fprintf(stderr, "holdfast: %s: %s; subscribing again\n", consume->options.queue, err_text(ERR_SESSION_EXPIRED));
    consume->written_len = 0; /* Not theirs any more: they are delivered again. */
    output_drop(&consume->output);
    int void_err = hf_flush(consume->hf, RESUME_MS); /* Of settlements that ended with the session. */
    (void)void_err;
    int err;
    do {
        err = subscribe(consume, 0, RESUME_MS);
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
        } else if (err == ERR_SESSION_EXPIRED && consume->options.follow) {
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

/* Takes what is ready: so many are to come, with those that are `held`. */
static int fetch(struct consume *consume, uint64_t held)
{
    uint32_t max = consume->options.count == 0 ? 1 : (uint32_t)consume->options.count;
    consume->options.count = max;
    if (held >= max) {
        return 0;
    }
    uint64_t taken = 0;
    int err =
        hf_fetch(consume->hf, consume->options.queue, max - (uint32_t)held, false, consume->cli->timeout_ms, &taken);
    consume->options.count = held + taken;
    return err;
}

static int begin(struct consume *consume)
{
    uint64_t held = 0;
    int err = consume->options.session == NULL
                  ? 0
                  : held_take_up(consume->hf, consume->options.queue, consume->cli->timeout_ms, &held);
    if (err != 0) {
        return err;
    }
    return consume->options.fetch ? fetch(consume, held) : subscribe(consume, held, consume->cli->timeout_ms);
}

static int consume_run(struct consume *consume)
{
    bool fetches = consume->options.fetch;
    int err = begin(consume);
    if (err != 0) {
        return cli_fail(consume->options.queue, err, hf_error_detail(consume->hf));
    }
    if (fetches && consume->options.count == 0) {
        return EXIT_DONE;
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
        return cli_fail(consume->options.queue, err, hf_error_detail(consume->hf));
    }
    return EXIT_DONE;
}

int cmd_consume(struct cli *cli, int argc, char **argv)
{
    struct consume *consume = calloc(1, sizeof *consume);
    if (consume == NULL) {
        return cli_fail("consume", ERR_NOMEM, NULL);
    }
    consume->cli = cli;
    int exit_code = consume_options_read(cli, argc, argv, &consume->options);
    if (exit_code != 0) {
        exit_code = cli_option_exit(exit_code);
        goto out;
    }
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    exit_code = held_open(cli, consume->options.session, consume->options.lease_ms, &consume->hf);
    if (exit_code == 0) {
        exit_code = consume_run(consume);
        bool holds = consume->options.outcome == CONSUME_HOLD; /* Its session waits. */
        (void)hf_close(consume->hf, holds ? 0 : exit_code == EXIT_UNSURE ? 1000 : cli->timeout_ms);
    }
out:
    output_done(&consume->output);
    free(consume);
    return exit_code;
}
