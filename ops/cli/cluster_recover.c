/* holdfast cluster recover: has the daemon, which knows how to read a node's state, make the stopped node of a directory the
 * only voter of its cluster. */

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "commands.h"

#define DAEMON "holdfastd"

static const char help[] =
    "Usage: holdfast cluster recover --accept-loss [--accept-damage] --data DIR [--yes CLUSTER]\n"
    "\n"
    "For when a majority of the nodes is gone for good: makes a survivor, which must be stopped, the only voter of "
    "its\n"
    "cluster. Everything that it has counts from then on; what the others had confirmed and it does not have is lost. "
    "That\n"
    "is never done by itself, and cannot be taken back. DIR is the survivor's data directory, on this machine.\n"
    "\n"
    "First it says what there is, up to which entry it is certain, what is kept, what is lost, and which nodes are "
    "given\n"
    "up. These must never run again with their data: the recovered node refuses them, and tells them to stop. To come\n"
    "back a node needs an empty directory and a new id. Of several survivors the one with the last log entry in the\n"
    "highest term has the most; recover only one.\n"
    "\n"
    "Everything is read before, the messages too, and damage is refused, with its place.\n"
    "\n"
    "  --accept-loss    without it everything is said and nothing is done\n"
    "  --accept-damage  for when each survivor has damaged messages: goes on without them. They are lost, and the "
    "node\n"
    "                   ends when a consumer or browse comes to one: keep consumers away until `holdfast queue purge`\n"
    "                   or `delete` has been done to the queues that are named; see ops/cli/README.md. What is\n"
    "                   damaged besides messages is refused all the same\n"
    "  --yes CLUSTER    the name of the cluster, instead of being asked for it\n"
    "\n"
    "What was done is in the log, in DIR/recoveries, and in the node's journal at each start. When it was interrupted "
    "the\n"
    "node does not start; run it again. The program " DAEMON " must be beside this one, or in PATH.\n"
    "\n"
    "Exit: 0 done, or done before; 1 refused, or it failed; 2 wrong usage.\n"
    "\n"
    "Example: holdfast cluster recover --accept-loss --data /var/lib/holdfast\n";

/* The one of the same installation, which has the same version. */
static void find_daemon(char *path, size_t path_len)
{
    ssize_t len = readlink("/proc/self/exe", path, path_len);
    char *slash = NULL;
    if (len > 0 && (size_t)len < path_len) {
        path[len] = '\0';
        slash = strrchr(path, '/');
    }
    if (slash == NULL || (size_t)(slash + 1 - path) + sizeof DAEMON > path_len) {
        (void)snprintf(path, path_len, "%s", DAEMON);
        return;
    }
    memcpy(slash + 1, DAEMON, sizeof DAEMON);
    if (access(path, X_OK) != 0) {
        (void)snprintf(path, path_len, "%s", DAEMON);
    }
}

/* Returns only when it could not be started. */
static int run_daemon(const char *data, bool accept_loss, bool accept_damage, const char *yes)
{
    char path[PATH_MAX];
    char *arguments[9];
    unsigned len = 0;
    find_daemon(path, sizeof path);
    arguments[len++] = path;
    arguments[len++] = "--recover";
    arguments[len++] = "--data";
    arguments[len++] = (char *)(uintptr_t)data;
    if (accept_loss) {
        arguments[len++] = "--accept-loss";
    }
    if (accept_damage) {
        arguments[len++] = "--accept-damage";
    }
    if (yes != NULL) {
        arguments[len++] = "--yes";
        arguments[len++] = (char *)(uintptr_t)yes;
    }
    arguments[len] = NULL;
    (void)execvp(path, arguments);
    (void)fprintf(stderr, "holdfast: cluster recover: " DAEMON " cannot be started: %s\n", strerror(errno));
    return EXIT_REFUSED;
}

int cmd_cluster_recover(struct cli *cli, int argc, char **argv)
{
    enum { OPTION_ACCEPT_LOSS = 1, OPTION_ACCEPT_DAMAGE, OPTION_DATA, OPTION_YES };
    static const struct option options[] = {{"accept-loss", no_argument, NULL, OPTION_ACCEPT_LOSS},
                                            {"accept-damage", no_argument, NULL, OPTION_ACCEPT_DAMAGE},
                                            {"data", required_argument, NULL, OPTION_DATA},
                                            {"yes", required_argument, NULL, OPTION_YES},
                                            CLI_OPTIONS};
    const char *data = NULL;
    const char *yes = NULL;
    bool accept_loss = false;
    bool accept_damage = false;
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        int result = 0;
        switch (option) {
        case OPTION_ACCEPT_LOSS: accept_loss = true; break;
        case OPTION_ACCEPT_DAMAGE: accept_damage = true; break;
        case OPTION_DATA: data = optarg; break;
        case OPTION_YES: yes = optarg; break;
        default: result = cli_option(cli, option, help); break;
        }
        if (result != 0) {
            return cli_option_exit(result);
        }
    }
    if (argc != optind || data == NULL) {
        return cli_usage("cluster recover needs --data DIR, and takes nothing else but options", help);
    }
    return run_daemon(data, accept_loss, accept_damage, yes);
}
