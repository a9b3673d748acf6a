/* holdfast vhost create|delete|list */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "shown.h"

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
    struct shown name;
    struct shown note;
    printf("%-40s %s\n", shown(host->name, &name), shown(host->note, &note));
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
