/* holdfast publish QUEUE: messages from a file or standard input. */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "commands.h"
#include "line_reader.h"
#include "proto/base/bytes.h"
#include "proto/base/limits.h"
#include "publish_message.h"

/* What goes into one publish command. */
#define BATCH_MESSAGES_MAX 128u
#define BATCH_LEN_MAX (256 * KIB)

#define PROGRESS_MS 200u

static const char help[] =
    "Usage: holdfast publish QUEUE [--file FILE] [--lines] [--producer NAME] [--window N] [PROPERTIES]\n"
    "       holdfast publish --exchange NAME [--key KEY] [the same]\n"
    "\n"
    "Publishes standard input, or FILE, as one message. Returns when a majority of the cluster has it on disk.\n"
    "\n"
    "  --lines           every line, without its newline, is a message\n"
    "  --producer NAME   numbers the messages 1, 2, 3...: run again after any failure, with the same input and name,\n"
    "                    each is enqueued exactly once. A name belongs to one input, for ever.\n"
    "  --window N        messages in flight with --lines (default: 1024)\n"
    "\n"
    "The queue must exist. A message has at most 16 MiB.\n"
    "\n"
    "Properties, for every message (which are then published one at a time):\n"
    "  --header NAME=VALUE   a header; true, false and whole numbers are values of these types\n"
    "  --ttl TIME            it expires after so long: 250ms, 30s, 5m, 2h, 7d\n"
    "  --delay TIME          it is enqueued after so long,\n"
    "  --deliver-at TIME     or then: 2026-03-01T08:00:00Z, in UTC\n"
    "  --priority N          in a queue with priorities\n"
    "  --group NAME          in a queue of groups\n"
    "  --id ID               in a queue that looks at ids\n"
    "  --also-key KEY        goes there as well, of the same exchange; a queue gets it once\n"
    "  --mandatory           when it reaches no queue, the exit code is 1\n"
    "  --content-type, --correlation-id, --reply-to TEXT   for consumers\n"
    "\n"
    "Of a producer, likewise:\n"
    "  --first N             the number of the first message (default: 1)\n"
    "  --epoch N             refused when the name has been taken since: see holdfast producer\n"
    "  --no-gaps             refused when the number does not follow the last one\n"
    "\n"
    "In two phases, likewise, for one message: nobody sees it before `holdfast prepared commit ID`:\n"
    "  --prepare ID          what it is called until then\n"
    "  --deadline TIME       after so long it is dropped,\n"
    "  --commit-at-deadline  or committed\n"
    "  --ask PRODUCER        who opened this producer is asked what becomes of it,\n"
    "  --ask-after TIME      when nothing was heard for so long, and again and again\n"
    "\n"
    "Example: holdfast publish jobs --lines --file jobs.txt --producer import-2026-03-01\n";

struct publish {
    struct hf *hf;
    const struct cli *cli;
    const char *queue;
    const char *producer;
    uint64_t window;
    uint64_t lines; /* Read so far. */
    struct bytes batch;
    struct hf_body bodies[BATCH_MESSAGES_MAX]; /* `data` is an offset into the batch until it is sent. */
    size_t offsets[BATCH_MESSAGES_MAX];
    size_t bodies_len;
    struct hf_submitted submitted;
    uint64_t started_ms;
    uint64_t shown_ms;
};

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

static void progress_show(struct publish *publish)
{
    uint64_t now = now_ms();
    if (now - publish->shown_ms >= PROGRESS_MS && isatty(STDERR_FILENO)) {
        publish->shown_ms = now;
        fprintf(stderr, "\r%llu confirmed",
                (unsigned long long)(publish->submitted.enqueued + publish->submitted.repeated));
    }
}

/* Sends what has gathered, once there is room for it in the window. */
static int batch_send(struct publish *publish)
{
    if (publish->bodies_len == 0) {
        return 0;
    }
    int err = hf_wait(publish->hf, publish->window - publish->bodies_len, &publish->submitted);
    if (err != 0) {
        return err;
    }
    for (size_t i = 0; i < publish->bodies_len; i++) {
        publish->bodies[i].data = publish->batch.data == NULL ? NULL : publish->batch.data + publish->offsets[i];
    }
    err = hf_submit(publish->hf, publish->queue, publish->producer, publish->lines - publish->bodies_len + 1,
                    publish->bodies, publish->bodies_len, publish->cli->timeout_ms);
    publish->bodies_len = 0;
    publish->batch.len = 0;
    progress_show(publish);
    return err;
}

static int batch_add(struct publish *publish, const char *line, size_t len)
{
    size_t max = publish->window < BATCH_MESSAGES_MAX ? (size_t)publish->window : BATCH_MESSAGES_MAX;
    if (publish->bodies_len == max || (publish->bodies_len > 0 && publish->batch.len + len > BATCH_LEN_MAX)) {
        int err = batch_send(publish);
        if (err != 0) {
            return err;
        }
    }
    size_t offset = publish->batch.len;
    if (bytes_append(&publish->batch, line, len) != 0) {
        return ERR_NOMEM;
    }
    publish->offsets[publish->bodies_len] = offset;
    publish->bodies[publish->bodies_len++].len = len;
    publish->lines++;
    return 0;
}

/* Says what is wrong with the input; returns the exit code. */
static int input_fail(const struct publish *publish, int err, const char *file)
{
    if (err == ERR_TOO_BIG && publish->lines > 0) {
        fprintf(stderr, "holdfast: %s: line %llu is over the limit of %llu MiB for a message\n", file,
                (unsigned long long)publish->lines + 1, (unsigned long long)(BODY_LEN_MAX / MIB));
    } else if (err == ERR_TOO_BIG) {
        fprintf(stderr, "holdfast: %s: over the limit of %llu MiB for a message\n", file,
                (unsigned long long)(BODY_LEN_MAX / MIB));
    } else {
        fprintf(stderr, "holdfast: %s: %s\n", file, err == ERR_IO ? strerror(errno) : err_text(err));
    }
    return EXIT_REFUSED;
}

/* Reads and sends all lines. Returns an error of the cluster; one of the input is left in `ret_input_err`. */
static int lines_publish(struct publish *publish, struct line_reader *reader, int *ret_input_err)
{
    for (;;) {
        const char *line;
        size_t len;
        /* While the input has more at once, batches fill; before it makes us wait, everything is confirmed. */
        int err = line_reader_next(reader, false, &line, &len);
        if (err == ERR_BUSY) {
            err = batch_send(publish);
            if (err == 0) {
                err = hf_wait(publish->hf, 0, &publish->submitted);
            }
            if (err != 0) {
                return err;
            }
            err = line_reader_next(reader, true, &line, &len);
        }
        if (err != 0) {
            *ret_input_err = err == ERR_NOT_FOUND ? 0 : err;
            return batch_send(publish);
        }
        err = batch_add(publish, line, len);
        if (err != 0) {
            return err;
        }
    }
}

static int whole_publish(struct publish *publish, struct line_reader *reader, int *ret_input_err)
{
    const char *data;
    size_t len;
    int err = line_reader_rest(reader, &data, &len);
    if (err != 0) {
        *ret_input_err = err;
        return 0;
    }
    publish->lines = 1;
    struct hf_body body = {.data = data, .len = len};
    return hf_submit(publish->hf, publish->queue, publish->producer, 1, &body, 1, publish->cli->timeout_ms);
}

static int publish_run(struct publish *publish, int fd, const char *file, bool lines)
{
    struct line_reader reader;
    line_reader_init(&reader, fd, BODY_LEN_MAX);
    publish->started_ms = now_ms();
    int input_err = 0;
    int err = lines ? lines_publish(publish, &reader, &input_err) : whole_publish(publish, &reader, &input_err);
    int input_errno = errno;
    char detail[512];
    snprintf(detail, sizeof detail, "%s", hf_error_detail(publish->hf));
    int rest_err = hf_wait(publish->hf, 0, &publish->submitted); /* Whatever happened: what is on its way ends. */
    if (rest_err != 0 && (err == 0 || cli_exit_code(rest_err) == EXIT_UNSURE)) {
        err = rest_err; /* The exit code 1 would say of all that they are not in. */
        snprintf(detail, sizeof detail, "%s", hf_error_detail(publish->hf));
    }
    fprintf(stderr, "%s%llu messages, %llu repeated, %.1f s\n", isatty(STDERR_FILENO) ? "\r" : "",
            (unsigned long long)(publish->submitted.enqueued + publish->submitted.repeated),
            (unsigned long long)publish->submitted.repeated, (double)(now_ms() - publish->started_ms) / 1000);
    int exit_code = err == 0 ? EXIT_DONE : cli_fail(publish->queue, err, detail);
    if (err == 0 && input_err != 0) {
        errno = input_errno;
        exit_code = input_fail(publish, input_err, file);
    }
    line_reader_done(&reader);
    return exit_code;
}

static int publish_open(const struct cli *cli, const char *queue, const char *producer, const char *file, bool lines,
                        uint64_t window)
{
    int fd = file == NULL ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        fprintf(stderr, "holdfast: %s: %s\n", file, strerror(errno));
        return EXIT_REFUSED;
    }
    struct publish *publish = calloc(1, sizeof *publish);
    int exit_code = publish == NULL ? cli_fail("publish", ERR_NOMEM, NULL) : 0;
    if (exit_code == 0) {
        publish->cli = cli;
        publish->queue = queue;
        publish->producer = producer;
        publish->window = window;
        exit_code = cli_open(cli, 0, &publish->hf);
    }
    if (exit_code == 0) {
        exit_code = publish_run(publish, fd, file == NULL ? "standard input" : file, lines);
        (void)hf_close(publish->hf, exit_code == EXIT_UNSURE ? 0 : 1000);
        bytes_done(&publish->batch);
    }
    free(publish);
    if (file != NULL) {
        close(fd);
    }
    return exit_code;
}

int cmd_publish(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"file", required_argument, NULL, 1},
                                            {"lines", no_argument, NULL, 2},
                                            {"producer", required_argument, NULL, 3},
                                            {"window", required_argument, NULL, 4},
                                            PUBLISH_MESSAGE_OPTIONS,
                                            CLI_OPTIONS};
    const char *file = NULL;
    const char *producer = NULL;
    bool lines = false;
    uint64_t window = 1024;
    struct publish_message message = {.given = false};
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        int result = 0;
        switch (option) {
        case 1: file = optarg; break;
        case 2: lines = true; break;
        case 3: producer = optarg; break;
        case 4: result = cli_number("--window", optarg, 1, 1000000, &window); break;
        default:
            result = option >= PUBLISH_EXCHANGE && option <= PUBLISH_LAST ? publish_message_option(&message, option)
                                                                          : cli_option(cli, option, help);
            break;
        }
        if (result != 0) {
            return cli_option_exit(result);
        }
    }
    bool to_exchange = message.message.properties.exchange != NULL;
    if (argc - optind != (to_exchange ? 0 : 1)) {
        return cli_usage(to_exchange ? "publish takes the name of a queue, or of an exchange"
                                     : "publish takes the name of a queue",
                         help);
    }
    if (producer != NULL && name_check(producer, strlen(producer)) != 0) {
        return cli_usage("--producer takes a name of 1 to 255 bytes of UTF-8 without control characters", help);
    }
    const char *fault = publish_message_fault(&message, producer, lines);
    if (fault != NULL) {
        return cli_usage(fault, help);
    }
    if (message.given) {
        return publish_message_run(cli, &message, to_exchange ? NULL : argv[optind], producer, file, lines);
    }
    return publish_open(cli, argv[optind], producer, file, lines, window);
}
