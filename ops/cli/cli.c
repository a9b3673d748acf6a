/* What the commands share. */

#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shown.h"

#define TIMEOUT_SECONDS_MAX 86400u

/* When it is said that no node answers: not for every change of leader. */
#define NOTICE_FIRST_MS 1000u
#define NOTICE_NEXT_MS 10000u

int cli_usage(const char *text, const char *help)
{
    fprintf(stderr, "holdfast: %s\n", text);
    const char *end = strchr(help, '\n'); /* The first line of every help is the usage. */
    fprintf(stderr, "%.*s\nTry --help.\n", end == NULL ? (int)strlen(help) : (int)(end - help), help);
    return EXIT_USAGE;
}

int cli_number(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *ret_number)
{
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number < min || number > max) {
        fprintf(stderr, "holdfast: %s takes a whole number from %llu to %llu, not \"%s\"\n", option,
                (unsigned long long)min, (unsigned long long)max, text);
        return EXIT_USAGE;
    }
    *ret_number = number;
    return 0;
}

int cli_option(struct cli *cli, int option, const char *help)
{
    switch (option) {
    case OPTION_SERVERS: cli->servers = optarg; return 0;
    case OPTION_VHOST: cli->virtual_host = optarg; return 0;
    case OPTION_USER: cli->user = optarg; return 0;
    case OPTION_TIMEOUT: {
        uint64_t seconds = 0;
        int exit_code = cli_number("--timeout", optarg, 1, TIMEOUT_SECONDS_MAX, &seconds);
        cli->timeout_ms = exit_code == 0 ? seconds * 1000 : cli->timeout_ms;
        cli->timeout_given = cli->timeout_given || exit_code == 0;
        return exit_code;
    }
    case 'h':
    case OPTION_HELP: fputs(help, stdout); return -1;
    default: /* getopt_long() has said what is wrong. */ fputs("Try --help.\n", stderr); return EXIT_USAGE;
    }
}

int cli_exit_code(int err)
{
    switch (err) {
    case 0: return EXIT_DONE;
    case ERR_UNAVAILABLE:
    case ERR_TIMEOUT:
    case ERR_OUTCOME_UNKNOWN:
    case ERR_SESSION_EXPIRED:
    case ERR_NOT_LEADER: return EXIT_UNSURE;
    default: return EXIT_REFUSED;
    }
}

int cli_fail(const char *what, int err, const char *detail)
{
    struct shown named; /* Whoever gave the name need not be who sees it. */
    fprintf(stderr, "holdfast: %s: %s\n", shown(what, &named),
            detail == NULL || detail[0] == '\0' ? err_text(err) : detail);
    return cli_exit_code(err);
}

/* Nobody should have to wait for half a minute to learn that a node's address is mistyped. */
static void on_trouble(void *arg, const char *detail)
{
    struct cli_notice *notice = arg;
    uint64_t now = uv_hrtime() / 1000000;
    uint64_t since = notice->told_ms == 0 ? notice->started_ms : notice->told_ms;
    if (now - since >= (notice->told_ms == 0 ? NOTICE_FIRST_MS : NOTICE_NEXT_MS)) {
        notice->told_ms = now;
        fprintf(stderr, "holdfast: no node serves (%s); still trying\n", detail);
    }
}

static int client_open(const struct cli *cli, struct hf_options *options, struct hf **ret_hf)
{
    options->virtual_host = cli->virtual_host;
    options->user = cli->user;
    options->trouble = on_trouble;
    options->trouble_arg = cli->notice;
    int err = hf_open(options, ret_hf);
    if (err == ERR_INVALID) {
        fprintf(stderr, "holdfast: --servers takes host:port,host:port..., not \"%s\"\n", cli->servers);
        return EXIT_USAGE;
    }
    return err == 0 ? 0 : cli_fail("cannot start", err, NULL);
}

int cli_open(const struct cli *cli, uint32_t window, struct hf **ret_hf)
{
    struct hf_options options = {.servers = cli->servers, .client_name = "holdfast", .window = window};
    return client_open(cli, &options, ret_hf);
}

int cli_open_session(const struct cli *cli, const uint8_t key[SESSION_KEY_LEN], uint32_t lease_ms, struct hf **ret_hf)
{
    struct hf_options options = {
        .servers = cli->servers, .client_name = "holdfast", .session_key = key, .lease_ms = lease_ms};
    return client_open(cli, &options, ret_hf);
}

int cli_open_query(const struct cli *cli, struct hf **ret_hf)
{
    struct hf_options options = {.servers = cli->servers, .client_name = "holdfast", .query_only = true};
    return client_open(cli, &options, ret_hf);
}
