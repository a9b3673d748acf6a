/* holdfast limits: what virtual hosts and users may have. */

#include <stdbool.h>
#include <stdio.h>

#include "cli.h"
#include "commands.h"

static const char help[] = "Usage: holdfast limits (--of-vhost NAME | --of-user NAME) [LIMITS | --none]\n"
                           "\n"
                           "Without limits: shows what a virtual host or a user has and may have. With limits: sets "
                           "them, all at once: what is not\n"
                           "given is without limit. What is there already stays. What would go above one is refused.\n"
                           "\n"
                           "  --sessions N         also of a user, as the next\n"
                           "  --consumers N\n"
                           "  --queues N           of a virtual host only, as what follows\n"
                           "  --exchanges N        beside those that are always there\n"
                           "  --bindings N\n"
                           "  --ready-messages N   in all its queues together: above it publishes are refused\n"
                           "  --queue-length N     the longest limit of a queue, and the one of queues without\n"
                           "  --none               no limits\n"
                           "\n"
                           "A user is who gives its name with --user; it is believed.\n"
                           "\n"
                           "Example: holdfast limits --of-vhost billing --queues 100 --ready-messages 1000000\n";

#define LIMIT_KINDS 7u
enum { LIMITS_OF_VHOST = 20, LIMITS_OF_USER, LIMITS_NONE };

static const char *const words[LIMIT_KINDS] = {
    [HF_LIMIT_SESSIONS] = "sessions",        [HF_LIMIT_QUEUES] = "queues",
    [HF_LIMIT_EXCHANGES] = "exchanges",      [HF_LIMIT_BINDINGS] = "bindings",
    [HF_LIMIT_CONSUMERS] = "consumers",      [HF_LIMIT_READY_MESSAGES] = "ready-messages",
    [HF_LIMIT_QUEUE_LENGTH] = "queue-length"};

struct limits {
    const char *host;
    const char *user;
    struct hf_limit_value values[LIMIT_KINDS];
    size_t len;
    bool none;
};

static void limit_print(void *arg, const struct client_limit *limit)
{
    (void)arg;
    char used[24] = "-";
    char value[24] = "-";
    if (limit->is_counted) {
        snprintf(used, sizeof used, "%llu", (unsigned long long)limit->used);
    }
    if (limit->is_set) {
        snprintf(value, sizeof value, "%llu", (unsigned long long)limit->value);
    }
    printf("%-16s %20s %20s\n", (unsigned)limit->what < LIMIT_KINDS ? words[limit->what] : "?", used, value);
}

static int limits_show(struct cli *cli, const struct limits *limits)
{
    cli->virtual_host = limits->host != NULL ? limits->host : cli->virtual_host;
    struct hf *hf;
    int exit_code = cli_open_query(cli, &hf);
    if (exit_code != 0) {
        return exit_code;
    }
    printf("%-16s %20s %20s\n", "LIMIT", "USED", "MAY BE");
    int err = hf_limits(hf, limits->user, cli->timeout_ms, limit_print, NULL);
    exit_code = err == 0 ? EXIT_DONE : cli_fail("limits", err, hf_error_detail(hf));
    (void)hf_close(hf, 0);
    return exit_code;
}

static int limits_set(const struct cli *cli, const struct limits *limits)
{
    struct hf *hf;
    int exit_code = cli_open(cli, 0, &hf);
    if (exit_code != 0) {
        return exit_code;
    }
    int err = hf_set_limits(hf, limits->host, limits->user, limits->values, limits->len, cli->timeout_ms);
    exit_code =
        err == 0 ? EXIT_DONE : cli_fail(limits->host != NULL ? limits->host : limits->user, err, hf_error_detail(hf));
    (void)hf_close(hf, exit_code == EXIT_UNSURE ? 0 : 1000);
    return exit_code;
}

static int take(struct cli *cli, struct limits *limits, int option)
{
    switch (option) {
    case LIMITS_OF_VHOST: limits->host = optarg; return 0;
    case LIMITS_OF_USER: limits->user = optarg; return 0;
    case LIMITS_NONE: limits->none = true; return 0;
    default: break;
    }
    if (option < 1 || option > (int)LIMIT_KINDS) {
        return cli_option(cli, option, help);
    }
    if (limits->len == LIMIT_KINDS) {
        return cli_usage("limits: each once", help);
    }
    struct hf_limit_value *value = &limits->values[limits->len++];
    value->what = (enum hf_limit)(option - 1);
    return cli_number(words[value->what], optarg, 0, UINT64_MAX, &value->value);
}

static const char *fault(const struct limits *limits)
{
    if ((limits->host == NULL) == (limits->user == NULL)) {
        return "limits: --of-vhost or --of-user";
    }
    if (limits->none && limits->len > 0) {
        return "limits: --none, or limits";
    }
    for (size_t i = 0; limits->user != NULL && i < limits->len; i++) {
        enum hf_limit what = limits->values[i].what;
        if (what != HF_LIMIT_SESSIONS && what != HF_LIMIT_CONSUMERS) {
            return "limits: of a user there are --sessions and --consumers";
        }
    }
    return NULL;
}

int cmd_limits(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"sessions", required_argument, NULL, 1 + HF_LIMIT_SESSIONS},
                                            {"queues", required_argument, NULL, 1 + HF_LIMIT_QUEUES},
                                            {"exchanges", required_argument, NULL, 1 + HF_LIMIT_EXCHANGES},
                                            {"bindings", required_argument, NULL, 1 + HF_LIMIT_BINDINGS},
                                            {"consumers", required_argument, NULL, 1 + HF_LIMIT_CONSUMERS},
                                            {"ready-messages", required_argument, NULL, 1 + HF_LIMIT_READY_MESSAGES},
                                            {"queue-length", required_argument, NULL, 1 + HF_LIMIT_QUEUE_LENGTH},
                                            {"of-vhost", required_argument, NULL, LIMITS_OF_VHOST},
                                            {"of-user", required_argument, NULL, LIMITS_OF_USER},
                                            {"none", no_argument, NULL, LIMITS_NONE},
                                            CLI_OPTIONS};
    struct limits limits = {.host = NULL};
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        int result = take(cli, &limits, option);
        if (result != 0) {
            return cli_option_exit(result);
        }
    }
    const char *why = argc != optind ? "limits: --of-vhost or --of-user, and limits" : fault(&limits);
    if (why != NULL) {
        return cli_usage(why, help);
    }
    return limits.len == 0 && !limits.none ? limits_show(cli, &limits) : limits_set(cli, &limits);
}
