/* holdfast vhost create|delete|list, limits */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "commands.h"

static int finish(struct hf *hf, const char *what, int err)
{
    int exit_code = err == 0 ? EXIT_DONE : cli_fail(what, err, hf_error_detail(hf));
    (void)hf_close(hf, exit_code == EXIT_UNSURE ? 0 : 1000);
    return exit_code;
}

static const char vhost_help[] = "Usage: holdfast vhost create NAME [--note TEXT] | delete NAME [--force] | list\n"
                                 "\n"
                                 "Virtual hosts have queues, exchanges and producers of their own; \"/\" is always "
                                 "there. One that is deleted goes with all that\n"
                                 "is in it; while sessions are in it only with --force, and they end.\n"
                                 "\n"
                                 "Example: holdfast vhost create billing\n";

static void host_print(void *arg, const struct client_virtual_host *host)
{
    (void)arg;
    printf("%-40s %s\n", host->name, host->note);
}

static int vhost_list(const struct cli *cli)
{
    struct hf *hf;
    int exit_code = cli_open_query(cli, &hf);
    if (exit_code != 0) {
        return exit_code;
    }
    printf("%-40s %s\n", "VIRTUAL HOST", "NOTE");
    int err = hf_virtual_hosts(hf, cli->timeout_ms, host_print, NULL);
    exit_code = err == 0 ? EXIT_DONE : cli_fail("vhost list", err, hf_error_detail(hf));
    (void)hf_close(hf, 0);
    return exit_code;
}

static int vhost_change(const struct cli *cli, const char *name, bool deletes, const char *note, bool force)
{
    struct hf *hf;
    int exit_code = cli_open(cli, 0, &hf);
    if (exit_code != 0) {
        return exit_code;
    }
    int err = deletes ? hf_delete_virtual_host(hf, name, force, cli->timeout_ms)
                      : hf_create_virtual_host(hf, name, note, cli->timeout_ms);
    return finish(hf, name, err);
}

int cmd_vhost(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {
        {"note", required_argument, NULL, 1}, {"force", no_argument, NULL, 2}, CLI_OPTIONS};
    const char *note = NULL;
    bool force = false;
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        int result = 0;
        switch (option) {
        case 1: note = optarg; break;
        case 2: force = true; break;
        default: result = cli_option(cli, option, vhost_help); break;
        }
        if (result != 0) {
            return cli_option_exit(result);
        }
    }
    const char *what = optind < argc ? argv[optind] : "";
    bool lists = strcmp(what, "list") == 0;
    bool deletes = strcmp(what, "delete") == 0;
    bool creates = strcmp(what, "create") == 0;
    if (!lists && !deletes && !creates) {
        return cli_usage("vhost: create, delete or list?", vhost_help);
    }
    if (argc - optind != (lists ? 1 : 2) || (note != NULL && !creates) || (force && !deletes)) {
        return cli_usage("vhost: wrong arguments", vhost_help);
    }
    return lists ? vhost_list(cli) : vhost_change(cli, argv[optind + 1], deletes, note, force);
}

/* ---- Limits ---- */

static const char limits_help[] = "Usage: holdfast limits (--of-vhost NAME | --of-user NAME) [LIMITS]\n"
                                  "\n"
                                  "Sets what a virtual host or a user may have, all at once: what is not given is "
                                  "without limit. What is there already stays.\n"
                                  "\n"
                                  "  --sessions N         also of a user, as the next\n"
                                  "  --consumers N\n"
                                  "  --queues N           of a virtual host only, as what follows\n"
                                  "  --exchanges N\n"
                                  "  --bindings N\n"
                                  "  --ready-messages N   in all its queues together: above it publishes are refused\n"
                                  "  --queue-length N     no queue may be declared with a longer limit\n"
                                  "\n"
                                  "Example: holdfast limits --of-vhost billing --queues 100 --ready-messages 1000000\n";

#define LIMIT_KINDS 7u

int cmd_limits(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"sessions", required_argument, NULL, 1 + HF_LIMIT_SESSIONS},
                                            {"queues", required_argument, NULL, 1 + HF_LIMIT_QUEUES},
                                            {"exchanges", required_argument, NULL, 1 + HF_LIMIT_EXCHANGES},
                                            {"bindings", required_argument, NULL, 1 + HF_LIMIT_BINDINGS},
                                            {"consumers", required_argument, NULL, 1 + HF_LIMIT_CONSUMERS},
                                            {"ready-messages", required_argument, NULL, 1 + HF_LIMIT_READY_MESSAGES},
                                            {"queue-length", required_argument, NULL, 1 + HF_LIMIT_QUEUE_LENGTH},
                                            {"of-vhost", required_argument, NULL, 20},
                                            {"of-user", required_argument, NULL, 21},
                                            CLI_OPTIONS};
    struct hf_limit_value limits[LIMIT_KINDS];
    size_t len = 0;
    const char *host = NULL;
    const char *user = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        int result = 0;
        if (option == 20) {
            host = optarg;
        } else if (option == 21) {
            user = optarg;
        } else if (option >= 1 && option <= (int)LIMIT_KINDS && len < LIMIT_KINDS) {
            limits[len].what = (enum hf_limit)(option - 1);
            result = cli_number("a limit", optarg, 0, UINT64_MAX, &limits[len].value);
            len++;
        } else {
            result = cli_option(cli, option, limits_help);
        }
        if (result != 0) {
            return cli_option_exit(result);
        }
    }
    if (argc != optind || (host == NULL) == (user == NULL)) {
        return cli_usage("limits: --of-vhost or --of-user, and limits", limits_help);
    }
    struct hf *hf;
    int exit_code = cli_open(cli, 0, &hf);
    if (exit_code != 0) {
        return exit_code;
    }
    return finish(hf, host != NULL ? host : user, hf_set_limits(hf, host, user, limits, len, cli->timeout_ms));
}
