/* holdfast cluster: which command it is. Each is in a file of its own. */

#include <stddef.h>
#include <string.h>

#include "cli.h"
#include "commands.h"

static const char help[] =
    "Usage: holdfast cluster COMMAND ...\n"
    "\n"
    "  status                              see below\n"
    "  transfer [NODE]                     hands leadership to another node\n"
    "  add NODE --peer HOST:PORT           makes a node a member, without a vote\n"
    "  promote NODE, demote NODE           gives a member a vote, and takes it away\n"
    "  remove NODE                         a node is no member any more\n"
    "  replace OLD NEW --peer HOST:PORT    all of that, for a new node in place of an old one\n"
    "  repair NODE                         a node puts its data aside and fetches a copy of the leader's\n"
    "  recover --accept-loss --data DIR    a stopped survivor goes on alone when the majority is gone for good\n"
    "\n"
    "Each of them has a --help of its own. status:\n"
    "\n"
    "Asks every server of --servers, and the members that they name, and prints a row for each: its id, role, term, "
    "the\n"
    "last committed and applied entry, the entries in its log, that of its last checkpoint, and how many entries it\n"
    "replayed when it started, and what an operator should know of it. A member that does not answer is shown as the\n"
    "others see it. Above them: who leads, how many sessions are open, why new messages are refused, if they are, and "
    "what\n"
    "needs an operator. A \"learner\" follows and does not vote; a node that is \"joining\" or \"repairing\" "
    "fetches a copy of\n"
    "the state before it does anything else; one that is \"founding\" waits for all nodes of a new cluster.\n"
    "Exits with 3 when no node answers, or none knows a leader.\n"
    "\n"
    "Example: holdfast --servers node1:7470,node2:7470,node3:7470 cluster status\n";

int cmd_cluster(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {CLI_OPTIONS};
    if (argc > 1 && strcmp(argv[1], "transfer") == 0) {
        return cmd_cluster_transfer(cli, argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "replace") == 0) {
        return cmd_cluster_replace(cli, argc - 1, argv + 1);
    }
    if (argc > 1 && strcmp(argv[1], "recover") == 0) {
        return cmd_cluster_recover(cli, argc - 1, argv + 1);
    }
    static const char *const members[] = {"add", "promote", "demote", "remove", "repair"};
    for (size_t i = 0; argc > 1 && i < sizeof members / sizeof members[0]; i++) {
        if (strcmp(argv[1], members[i]) == 0) {
            return cmd_cluster_member(cli, argc - 1, argv + 1);
        }
    }
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        int result = cli_option(cli, option, help);
        if (result != 0) {
            return cli_option_exit(result);
        }
    }
    if (argc - optind != 1 || strcmp(argv[optind], "status") != 0) {
        return cli_usage("cluster: status, transfer, add, promote, demote, remove, replace, repair or recover?", help);
    }
    return cmd_cluster_status(cli);
}
