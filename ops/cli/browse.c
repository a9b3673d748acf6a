/* holdfast browse QUEUE: messages, looked at where they are. */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "duration.h"
#include "json.h"
#include "message_json.h"

#define COUNT_DEFAULT 100u
#define PAGE_MESSAGES_MAX 1000u        /* Asked for at a time. */
#define PROPERTIES_LEN_MAX (16u << 20) /* What a head and a trail may unpack to. */
#define BODY_SHOWN_MAX 60u             /* Bytes of a body in the table. */

static const char help[] =
    "Usage: holdfast browse QUEUE [--from POSITION] [--count N | --message-id ID] [--kept] [--lines | --json]\n"
    "\n"
    "Shows messages of a queue without taking them: position, when it was enqueued, how often it has been "
    "delivered,\n"
    "whether it is out with a consumer, length, and the beginning of its body.\n"
    "\n"
    "  --from POSITION   from this position on (default: from the first)\n"
    "  --count N         at most N messages (default: 100; 0: all)\n"
    "  --message-id ID   the first message with this id (publish --id); with none the exit code is 1\n"
    "  --kept            messages that have left the queue and are kept for a while (queue declare --keep). How often\n"
    "                    they were delivered, and to whom, says holdfast message show (queue declare --keep-life)\n"
    "  --lines           whole bodies instead, each followed by a newline\n"
    "  --json            a JSON object for each message, one a line, with its properties; a body that is not UTF-8 is "
    "in \"body_base64\"\n"
    "\n"
    "Example: holdfast browse jobs --count 10\n";

enum browse_format { BROWSE_TABLE, BROWSE_LINES, BROWSE_JSON };

struct browse {
    enum browse_format format;
    uint64_t position; /* Where the next page begins. */
    uint64_t shown;
    bool headed;
    bool kept;
};

static void table_print(const struct client_message *message, bool kept)
{
    char when[CLI_TIME_LEN];
    char deliveries[16] = "-"; /* How often one was delivered that is kept only its life tells. */
    cli_time_text(message->enqueued_ms, when);
    if (!kept) {
        snprintf(deliveries, sizeof deliveries, "%u", message->delivery_count);
    }
    printf("%12llu  %-24s %10s  %-14s %10zu  ", (unsigned long long)message->position, when, deliveries, message->state,
           message->body.len);
    size_t len = message->body.len < BODY_SHOWN_MAX ? message->body.len : BODY_SHOWN_MAX;
    for (size_t i = 0; i < len; i++) {
        unsigned char byte = message->body.data[i];
        putchar(byte >= 0x20 && byte < 0x7f ? byte : '.');
    }
    puts(len < message->body.len ? "..." : "");
}

static void json_print(const struct client_message *message, bool kept)
{
    printf("{\"position\": %llu, \"enqueued_ms\": %llu, ", (unsigned long long)message->position,
           (unsigned long long)message->enqueued_ms);
    if (kept) {
        printf("\"left_ms\": %llu, ", (unsigned long long)message->left_ms);
    } else {
        printf("\"delivery_count\": %u, \"locked\": %s, ", message->delivery_count, message->locked ? "true" : "false");
    }
    printf("\"len\": %zu, \"state\": \"%s\"", message->body.len, message->state);
    struct arena arena;
    struct client_properties properties;
    const struct client_death *deaths;
    size_t deaths_len;
    arena_init(&arena, PROPERTIES_LEN_MAX);
    if (message->head.len > 0 && client_properties_decode(message->head, &arena, &properties) == 0) {
        properties_json(stdout, &properties);
    }
    if (message->trail.len > 0 && client_deaths_decode(message->trail, &arena, &deaths, &deaths_len) == 0) {
        deaths_json(stdout, deaths, deaths_len);
    }
    arena_done(&arena);
    fputs(", ", stdout);
    json_bytes(stdout, "body", message->body.data, message->body.len);
    puts("}");
}

/* When there is an answer: not above an error. */
static void header_print(struct browse *browse)
{
    if (browse->format == BROWSE_TABLE && !browse->headed) {
        printf("%12s  %-24s %10s  %-14s %10s  %s\n", "POSITION", "ENQUEUED", "DELIVERIES", "STATE", "LENGTH", "BODY");
        browse->headed = true;
    }
}

static void on_message(void *arg, const struct client_message *message)
{
    struct browse *browse = arg;
    header_print(browse);
    switch (browse->format) {
    case BROWSE_TABLE: table_print(message, browse->kept); break;
    case BROWSE_JSON: json_print(message, browse->kept); break;
    case BROWSE_LINES:
        if (message->body.len > 0) {
            (void)fwrite(message->body.data, 1, message->body.len, stdout);
        }
        putchar('\n');
        break;
    }
    browse->shown++;
    browse->position = message->position + 1;
}

static int find_run(const struct cli *cli, const char *queue, const char *id, struct browse *browse)
{
    struct hf *hf;
    int exit_code = cli_open_query(cli, &hf);
    if (exit_code != 0) {
        return exit_code;
    }
    int err = hf_find(hf, queue, id, browse->position, browse->kept, cli->timeout_ms, on_message, browse);
    exit_code = err == 0 ? EXIT_DONE : cli_fail(queue, err, hf_error_detail(hf));
    (void)hf_close(hf, 0);
    return exit_code;
}

static int browse_run(const struct cli *cli, const char *queue, uint64_t count, struct browse *browse)
{
    struct hf *hf;
    int exit_code = cli_open_query(cli, &hf);
    if (exit_code != 0) {
        return exit_code;
    }
    bool more = true;
    int err = 0;
    while (err == 0 && more && (count == 0 || browse->shown < count) && !ferror(stdout)) {
        uint64_t left = count == 0 ? PAGE_MESSAGES_MAX : count - browse->shown;
        uint32_t page = (uint32_t)(left < PAGE_MESSAGES_MAX ? left : PAGE_MESSAGES_MAX);
        err = browse->kept ? hf_kept(hf, queue, browse->position, page, cli->timeout_ms, on_message, browse, &more)
                           : hf_browse(hf, queue, browse->position, page, cli->timeout_ms, on_message, browse, &more);
    }
    if (err != 0) {
        exit_code = cli_fail(queue, err, err == ERR_NOT_FOUND ? "no such queue" : hf_error_detail(hf));
    }
    if (err == 0) {
        header_print(browse);
    }
    (void)hf_close(hf, 0);
    return exit_code;
}

int cmd_browse(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"from", required_argument, NULL, 1},
                                            {"count", required_argument, NULL, 2},
                                            {"lines", no_argument, NULL, 3},
                                            {"json", no_argument, NULL, 4},
                                            {"kept", no_argument, NULL, 5},
                                            {"message-id", required_argument, NULL, 6},
                                            CLI_OPTIONS};
    const char *id = NULL;
    struct browse browse = {.format = BROWSE_TABLE};
    uint64_t count = COUNT_DEFAULT;
    bool counted = false;
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        int result = 0;
        switch (option) {
        case 1: result = cli_number("--from", optarg, 0, UINT64_MAX, &browse.position); break;
        case 2:
            counted = true;
            result = cli_number("--count", optarg, 0, UINT64_MAX, &count);
            break;
        case 6: id = optarg; break;
        case 5: browse.kept = true; break;
        case 3:
        case 4:
            if (browse.format != BROWSE_TABLE) {
                return cli_usage("browse: --lines or --json, once", help);
            }
            browse.format = option == 3 ? BROWSE_LINES : BROWSE_JSON;
            break;
        default: result = cli_option(cli, option, help); break;
        }
        if (result != 0) {
            return cli_option_exit(result);
        }
    }
    if (argc - optind != 1) {
        return cli_usage("browse takes the name of a queue", help);
    }
    if (id != NULL && counted) {
        return cli_usage("browse: --count or --message-id", help);
    }
    return id != NULL ? find_run(cli, argv[optind], id, &browse) : browse_run(cli, argv[optind], count, &browse);
}
