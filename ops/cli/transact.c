/* holdfast transact: takes and publishes, all or nothing. */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "commands.h"

#define PARTS_MAX 64u

static const char help[] =
    "Usage: holdfast transact [--take QUEUE]... [--publish QUEUE=TEXT]... [--publish-to EXCHANGE/KEY=TEXT]... "
    "[--mandatory]\n"
    "\n"
    "Acknowledges messages and publishes others in one step: all of it is done, or nothing.\n"
    "\n"
    "  --take QUEUE               the message that is next in this queue: acknowledged, and written to standard "
    "output with a newline\n"
    "                             once all is done. With nothing ready in one of the queues nothing is done (exit code "
    "1)\n"
    "  --publish QUEUE=TEXT       a message for a queue; a TEXT of @FILE is the content of FILE, and @- of standard "
    "input\n"
    "  --publish-to EXCHANGE/KEY=TEXT   a message for an exchange, with a routing key\n"
    "  --mandatory                when one of the messages reaches no queue, the exit code is 1, although all is done\n"
    "\n"
    "Example: holdfast transact --take orders --publish invoices='invoice for 17' --publish parcels='parcel for 17'\n";

struct transact {
    const char *takes[PARTS_MAX];
    struct hf_message taken[PARTS_MAX];
    char *bodies[PARTS_MAX]; /* Of what was taken: a message lives until the next one comes. */
    size_t takes_len;
    struct hf_outgoing messages[PARTS_MAX];
    char *files[PARTS_MAX];
    size_t messages_len;
    bool mandatory;
};

static int text_read(const char *file, char **ret_text, size_t *ret_len)
{
    FILE *in = strcmp(file, "-") == 0 ? stdin : fopen(file, "re");
    char *text = NULL;
    size_t len = 0;
    FILE *out = in == NULL ? NULL : open_memstream(&text, &len);
    if (out != NULL) {
        char chunk[4096];
        size_t got;
        while ((got = fread(chunk, 1, sizeof chunk, in)) > 0) {
            (void)fwrite(chunk, 1, got, out);
        }
    }
    bool failed = in == NULL || out == NULL || ferror(in) != 0;
    failed = (out != NULL && fclose(out) != 0) || failed;
    if (in != NULL && in != stdin) {
        (void)fclose(in);
    }
    if (failed) {
        perror(file);
        free(text);
        return EXIT_REFUSED;
    }
    *ret_text = text;
    *ret_len = len;
    return 0;
}

/* QUEUE=TEXT, or EXCHANGE/KEY=TEXT. */
static int take_publish(struct transact *transact, char *option, bool to_exchange)
{
    char *equals = strchr(option, '=');
    char *slash = strchr(option, '/');
    if (equals == NULL || (to_exchange && (slash == NULL || slash > equals))) {
        return cli_usage("transact: --publish takes QUEUE=TEXT, --publish-to EXCHANGE/KEY=TEXT", help);
    }
    if (transact->messages_len == PARTS_MAX) {
        return cli_usage("transact: at most 64 messages to publish", help);
    }
    struct hf_outgoing *message = &transact->messages[transact->messages_len];
    *equals = '\0';
    message->body = (struct hf_body){.data = equals + 1, .len = strlen(equals + 1)};
    if (to_exchange) {
        *slash = '\0';
        message->properties.exchange = option;
        message->properties.routing_key = slash + 1;
    } else {
        message->queue = option;
    }
    if (equals[1] == '@') {
        int result = text_read(equals + 2, &transact->files[transact->messages_len], &message->body.len);
        if (result != 0) {
            return result;
        }
        message->body.data = transact->files[transact->messages_len];
    }
    transact->messages_len++;
    return 0;
}

/* One after the other: what is held meanwhile goes back when one of them has nothing. */
static int messages_take(struct hf *hf, const struct cli *cli, struct transact *transact)
{
    for (size_t i = 0; i < transact->takes_len; i++) {
        uint64_t taken = 0;
        int err = hf_fetch(hf, transact->takes[i], 1, false, cli->timeout_ms, &taken);
        if (err == 0 && taken == 0) {
            fprintf(stderr, "holdfast: %s: nothing is ready; nothing was done\n", transact->takes[i]);
            return EXIT_REFUSED;
        }
        err = err == 0 ? hf_next(hf, cli->timeout_ms, &transact->taken[i]) : err;
        if (err != 0) {
            return cli_fail(transact->takes[i], err, hf_error_detail(hf));
        }
        const struct hf_body *body = &transact->taken[i].body;
        transact->bodies[i] = malloc(body->len + 1);
        if (transact->bodies[i] == NULL) {
            return cli_fail("transact", ERR_NOMEM, NULL);
        }
        if (body->len > 0) {
            memcpy(transact->bodies[i], body->data, body->len);
        }
    }
    return 0;
}

/* All or nothing; returns the exit code. */
static int parts_do(struct hf *hf, const struct cli *cli, struct transact *transact, enum hf_outcome *outcomes)
{
    struct hf_settled settled[PARTS_MAX];
    for (size_t i = 0; i < transact->takes_len; i++) {
        settled[i] = (struct hf_settled){.message = &transact->taken[i], .outcome = CLIENT_ACCEPT};
    }
    for (size_t i = 0; i < transact->messages_len; i++) {
        transact->messages[i].properties.mandatory = transact->mandatory;
    }
    int err = hf_transact_told(hf, transact->messages, transact->messages_len, settled, transact->takes_len,
                               cli->timeout_ms, outcomes);
    return err == 0 ? EXIT_DONE : cli_fail("transact", err, hf_error_detail(hf));
}

static int unrouted_say(const struct transact *transact, const enum hf_outcome *outcomes)
{
    int exit_code = EXIT_DONE;
    for (size_t i = 0; i < transact->messages_len; i++) {
        const struct client_properties *properties = &transact->messages[i].properties;
        if (outcomes[i] == HF_UNROUTED) {
            fprintf(stderr, "holdfast: %s/%s: the message reached no queue; all was done\n", properties->exchange,
                    properties->routing_key);
            exit_code = EXIT_REFUSED;
        }
    }
    return exit_code;
}

static int transact_run(const struct cli *cli, struct transact *transact)
{
    enum hf_outcome outcomes[PARTS_MAX];
    struct hf *hf;
    int exit_code = cli_open(cli, 0, &hf);
    if (exit_code != 0) {
        return exit_code;
    }
    exit_code = messages_take(hf, cli, transact);
    if (exit_code == 0) {
        exit_code = parts_do(hf, cli, transact, outcomes);
    }
    for (size_t i = 0; i < transact->takes_len && exit_code == EXIT_DONE; i++) {
        (void)fwrite(transact->bodies[i], 1, transact->taken[i].body.len, stdout);
        putchar('\n');
    }
    exit_code = exit_code == EXIT_DONE ? unrouted_say(transact, outcomes) : exit_code;
    (void)hf_close(hf, exit_code == EXIT_UNSURE ? 0 : 1000);
    return exit_code;
}

static int take(struct cli *cli, struct transact *transact, int option)
{
    switch (option) {
    case 1:
        if (transact->takes_len == PARTS_MAX) {
            return cli_usage("transact: at most 64 messages to take", help);
        }
        transact->takes[transact->takes_len++] = optarg;
        return 0;
    case 2:
    case 3: return take_publish(transact, optarg, option == 3);
    case 4: transact->mandatory = true; return 0;
    default: return cli_option(cli, option, help);
    }
}

int cmd_transact(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"take", required_argument, NULL, 1},
                                            {"publish", required_argument, NULL, 2},
                                            {"publish-to", required_argument, NULL, 3},
                                            {"mandatory", no_argument, NULL, 4},
                                            CLI_OPTIONS};
    struct transact *transact = calloc(1, sizeof *transact);
    if (transact == NULL) {
        return cli_fail("transact", ERR_NOMEM, NULL);
    }
    int result = 0;
    int option;
    while (result == 0 && (option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        result = take(cli, transact, option);
    }
    if (result != 0) {
        result = cli_option_exit(result);
    } else if (argc != optind || transact->takes_len + transact->messages_len == 0) {
        result = cli_usage("transact takes --take, --publish and --publish-to", help);
    } else {
        result = transact_run(cli, transact);
    }
    for (size_t i = 0; i < PARTS_MAX; i++) {
        free(transact->bodies[i]);
        free(transact->files[i]);
    }
    free(transact);
    return result;
}
