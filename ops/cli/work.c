/* holdfast work QUEUE -- COMMAND: a command for each message, which is acknowledged when that has succeeded. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "commands.h"
#include "duration.h"

extern char **environ;

#define SLICE_MS 100u         /* How often a wait looks whether it was interrupted. */
#define CHILD_WAIT_NS 5000000 /* And whether the command has ended. */
#define POLL_EVERY_MS 250u    /* How often the cluster is heard and told that somebody is there. */
#define EXTEND_MS_MIN 50u

static const char help[] =
    "Usage: holdfast work QUEUE [--count N | --follow] [--retry TIME | --reject] [OPTIONS] -- COMMAND [ARGUMENT...]\n"
    "\n"
    "Runs a command for each message, one after the other, with the body on its standard input. A message is "
    "acknowledged when its\n"
    "command has ended with 0; else it goes back to the queue. While the command runs the message's lock is extended; "
    "when it was\n"
    "lost all the same, because the cluster could not be reached, the command is told to end (SIGTERM).\n"
    "\n"
    "  --count N        ends after N messages; if none arrives for --timeout seconds before that, exits with 3\n"
    "  --follow         goes on until it is interrupted\n"
    "  --idle MS        without these: ends when nothing has come for so long (default: 1000)\n"
    "  --retry TIME     a message whose command failed is delivered again after so long (default: as the queue says)\n"
    "  --reject         a message whose command failed goes to where the queue's dead letters go\n"
    "  --lock TIME      instead of the queue's lock: when this program is gone the message goes to others after so "
    "long\n"
    "  --priority N     as for holdfast consume\n"
    "\n"
    "The command finds HOLDFAST_QUEUE, HOLDFAST_POSITION and HOLDFAST_DELIVERIES (earlier ones) in its environment. "
    "The exit code is\n"
    "1 when one of the commands failed.\n"
    "\n"
    "Example: holdfast work jobs --retry 30s -- ./convert --to pdf\n";

struct work {
    struct hf *hf;
    const struct cli *cli;
    const char *queue;
    char **command;
    uint64_t count; /* 0: no limit. */
    uint64_t idle_ms;
    bool follow;
    bool reject;
    bool retries; /* After retry_ms. */
    uint64_t retry_ms;
    struct client_subscription how;
    uint64_t done;
    uint64_t failed;
};

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

static bool interrupted(void)
{
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1;
}

/* The body as a file to read from; -1: errno says why. */
static int body_file(const struct hf_body *body)
{
    int fd = memfd_create("message", MFD_CLOEXEC);
    size_t written = 0;
    while (fd >= 0 && written < body->len) {
        ssize_t n = write(fd, (const char *)body->data + written, body->len - written);
        if (n < 0 && errno != EINTR) {
            close(fd);
            return -1;
        }
        written += n > 0 ? (size_t)n : 0;
    }
    if (fd >= 0 && lseek(fd, 0, SEEK_SET) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void number_tell(const char *name, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    (void)setenv(name, text, 1);
}

/* Returns 0 or an errno. */
static int command_start(const struct work *work, const struct hf_message *message, pid_t *ret_child)
{
    int fd = body_file(&message->body);
    if (fd < 0) {
        return errno;
    }
    (void)setenv("HOLDFAST_QUEUE", work->queue, 1);
    number_tell("HOLDFAST_POSITION", message->position);
    number_tell("HOLDFAST_DELIVERIES", message->delivery_count);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigset_t pipes;
    sigemptyset(&none);
    sigemptyset(&pipes);
    sigaddset(&pipes, SIGPIPE);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawnattr_init(&attributes);
    int err = posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
    /* It is to see the signals that are blocked and ignored here. */
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &pipes);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    err = err == 0 ? posix_spawnp(ret_child, work->command[0], &actions, &attributes, work->command, environ) : err;
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&attributes);
    close(fd);
    return err;
}

/* A third of what is left of the lock: log time runs with the wall clock. 0: there is no lock. */
static uint64_t extend_every_ms(const struct hf_message *message)
{
    struct timespec now;
    if (message->lock_until_ms == 0 || clock_gettime(CLOCK_REALTIME, &now) != 0) {
        return 0;
    }
    uint64_t wall_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    uint64_t left = message->lock_until_ms > wall_ms ? message->lock_until_ms - wall_ms : 0;
    return left / 3 > EXTEND_MS_MIN ? left / 3 : EXTEND_MS_MIN;
}

/* Waits for the command and keeps the message meanwhile. *ret_success: it ended with 0. Returns an error when the message is lost. */
static int command_wait(const struct work *work, const struct hf_message *message, pid_t child, bool *ret_success)
{
    uint64_t every_ms = extend_every_ms(message);
    uint64_t extended_ms = now_ms();
    uint64_t polled_ms = extended_ms;
    int status = 0;
    int err = 0;
    while (waitpid(child, &status, WNOHANG) == 0) {
        uint64_t now = now_ms();
        if (err == 0 && every_ms > 0 && now - extended_ms >= every_ms) {
            err = hf_extend(work->hf, message, 0, work->cli->timeout_ms);
            extended_ms = polled_ms = now_ms();
        } else if (err == 0 && now - polled_ms >= POLL_EVERY_MS) {
            err = hf_poll(work->hf);
            polled_ms = now_ms();
        }
        if (err != 0) {
            (void)kill(child, SIGTERM);
        }
        nanosleep(&(struct timespec){.tv_nsec = CHILD_WAIT_NS}, NULL);
    }
    *ret_success = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    return err;
}

static int message_settle(struct work *work, const struct hf_message *message, bool success)
{
    const struct client_settlement how = {.has_delay = work->retries && !success, .delay_ms = work->retry_ms};
    enum client_outcome outcome = success ? CLIENT_ACCEPT : work->reject ? CLIENT_REJECT : CLIENT_RELEASE;
    work->done++;
    work->failed += success ? 0 : 1;
    return hf_settle_as(work->hf, message, outcome, &how, work->cli->timeout_ms);
}

/* Returns the exit code of what ends the work, or -1 to go on. */
static int message_work(struct work *work, uint64_t consumer, const struct hf_message *message)
{
    pid_t child;
    int wrong = command_start(work, message, &child);
    if (wrong != 0) {
        fprintf(stderr, "holdfast: %s: %s\n", work->command[0], strerror(wrong));
        return EXIT_REFUSED;
    }
    bool success;
    int err = command_wait(work, message, child, &success);
    bool last = work->count > 0 && work->done + 1 == work->count;
    if (err == 0 && (last || interrupted())) {
        err = hf_set_credit(work->hf, consumer, 0, work->cli->timeout_ms);
    }
    err = err == 0 ? message_settle(work, message, success) : err;
    if (err == ERR_STALE) {
        fprintf(stderr, "holdfast: %s: the message at position %llu is no longer held: its lock was over\n",
                work->queue, (unsigned long long)message->position);
        work->failed++;
        return last ? EXIT_REFUSED : -1;
    }
    return err != 0 ? cli_fail(work->queue, err, hf_error_detail(work->hf)) : last || interrupted() ? EXIT_DONE : -1;
}

static int work_loop(struct work *work, uint64_t consumer)
{
    uint64_t quiet_since_ms = now_ms();
    int exit_code = -1;
    while (exit_code < 0) {
        struct hf_message message;
        int err = hf_next(work->hf, SLICE_MS, &message);
        uint64_t quiet_ms = now_ms() - quiet_since_ms;
        if (err == 0) {
            exit_code = message_work(work, consumer, &message);
            quiet_since_ms = now_ms();
        } else if (err != ERR_TIMEOUT) {
            exit_code = cli_fail(work->queue, err, hf_error_detail(work->hf));
        } else if (interrupted() || (!work->follow && work->count == 0 && quiet_ms >= work->idle_ms)) {
            exit_code = EXIT_DONE;
        } else if (work->count > 0 && quiet_ms >= work->cli->timeout_ms) {
            fprintf(stderr, "holdfast: %s: no message for %llu s\n", work->queue, (unsigned long long)quiet_ms / 1000);
            exit_code = EXIT_UNSURE;
        }
    }
    fprintf(stderr, "%llu messages, %llu failed\n", (unsigned long long)work->done, (unsigned long long)work->failed);
    return exit_code == EXIT_DONE && work->failed > 0 ? EXIT_REFUSED : exit_code;
}

static int work_run(struct work *work)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    int exit_code = cli_open(work->cli, 0, &work->hf);
    if (exit_code != 0) {
        return exit_code;
    }
    uint64_t consumer;
    int err = hf_subscribe_as(work->hf, work->queue, 1, &work->how, work->cli->timeout_ms, &consumer);
    exit_code = err == 0 ? work_loop(work, consumer) : cli_fail(work->queue, err, hf_error_detail(work->hf));
    (void)hf_close(work->hf, work->cli->timeout_ms);
    return exit_code;
}

static int take(struct cli *cli, struct work *work, int option)
{
    uint64_t number = 0;
    int result = 0;
    switch (option) {
    case 1: return cli_number("--count", optarg, 1, UINT64_MAX, &work->count);
    case 2: work->follow = true; return 0;
    case 3: return cli_number("--idle", optarg, 1, 86400000, &work->idle_ms);
    case 4: work->retries = true; return cli_duration("--retry", optarg, &work->retry_ms);
    case 5: work->reject = true; return 0;
    case 6: return cli_duration("--lock", optarg, &work->how.lock_ms);
    case 7:
        result = cli_number("--priority", optarg, 0, INT32_MAX, &number);
        work->how.priority = (int32_t)number;
        return result;
    default: return cli_option(cli, option, help);
    }
}

int cmd_work(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {
        {"count", required_argument, NULL, 1},    {"follow", no_argument, NULL, 2},
        {"idle", required_argument, NULL, 3},     {"retry", required_argument, NULL, 4},
        {"reject", no_argument, NULL, 5},         {"lock", required_argument, NULL, 6},
        {"priority", required_argument, NULL, 7}, CLI_OPTIONS};
    struct work work = {.cli = cli, .idle_ms = 1000};
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        int result = take(cli, &work, option);
        if (result != 0) {
            return cli_option_exit(result);
        }
    }
    if (argc - optind < 2) {
        return cli_usage("work takes the name of a queue, and after -- a command", help);
    }
    if ((work.count > 0 && work.follow) || (work.reject && work.retries)) {
        return cli_usage("work: --count or --follow, --retry or --reject", help);
    }
    work.queue = argv[optind];
    work.command = argv + optind + 1;
    return work_run(&work);
}
