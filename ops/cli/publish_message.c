/* Publishing messages with properties. */

#include "publish_message.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "line_reader.h"
#include "proto/base/limits.h"

struct counts {
    uint64_t published;
    uint64_t unrouted;
};

static int publish_one(struct hf *hf, const struct cli *cli, struct publish_message *publish, const char *data,
                       size_t len, struct counts *counts)
{
    bool unrouted = false;
    publish->message.body = (struct hf_body){.data = data, .len = len};
    publish->message.sequence++;
    int err = hf_publish_message(hf, &publish->message, cli->timeout_ms, &unrouted);
    counts->published += err == 0;
    counts->unrouted += unrouted;
    return err;
}

/* An error of the input is left in *ret_input_err. */
static int publish_input(struct hf *hf, const struct cli *cli, struct publish_message *publish, int fd, bool lines,
                         struct counts *counts, int *ret_input_err)
{
    struct line_reader reader;
    line_reader_init(&reader, fd, BODY_LEN_MAX);
    const char *data;
    size_t len;
    int err = 0;
    int input_err = 0;
    if (!lines) {
        input_err = line_reader_rest(&reader, &data, &len);
        err = input_err == 0 ? publish_one(hf, cli, publish, data, len, counts) : 0;
    }
    while (lines && err == 0 && (input_err = line_reader_next(&reader, true, &data, &len)) == 0) {
        err = publish_one(hf, cli, publish, data, len, counts);
    }
    line_reader_done(&reader);
    *ret_input_err = lines && input_err == ERR_NOT_FOUND ? 0 : input_err;
    return err;
}

static int publish_say(const struct hf *hf, const char *what, const char *file, const struct counts *counts, int err,
                       int input_err)
{
    fprintf(stderr, "%llu messages\n", (unsigned long long)counts->published);
    if (err != 0) {
        return cli_fail(what, err, hf_error_detail(hf));
    }
    if (input_err != 0) {
        fprintf(stderr, "holdfast: %s: %s\n", file == NULL ? "standard input" : file,
                input_err == ERR_IO ? strerror(errno) : err_text(input_err));
        return EXIT_REFUSED;
    }
    if (counts->unrouted > 0) {
        fprintf(stderr, "holdfast: %s: %llu of them reached no queue\n", what, (unsigned long long)counts->unrouted);
        return EXIT_REFUSED;
    }
    return EXIT_DONE;
}

int publish_message_run(const struct cli *cli, struct publish_message *publish, const char *queue, const char *producer,
                        const char *file, bool lines)
{
    int fd = file == NULL ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        fprintf(stderr, "holdfast: %s: %s\n", file, strerror(errno));
        return EXIT_REFUSED;
    }
    publish->message.queue = queue;
    publish->message.producer = producer;
    publish->message.properties.headers = publish->headers.items;
    publish->message.properties.headers_len = publish->headers.len;
    publish->message.properties.also_keys = publish->also_keys;
    struct hf *hf;
    int exit_code = cli_open(cli, 0, &hf);
    if (exit_code == 0) {
        struct counts counts = {0};
        int input_err = 0;
        const char *exchange = publish->message.properties.exchange;
        int err = publish_input(hf, cli, publish, fd, lines, &counts, &input_err);
        exit_code = publish_say(hf, queue != NULL ? queue : exchange, file, &counts, err, input_err);
        (void)hf_close(hf, exit_code == EXIT_UNSURE ? 0 : 1000);
    }
    if (file != NULL) {
        close(fd);
    }
    return exit_code;
}
