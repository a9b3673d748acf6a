/* The command line of Holdfast. */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "commands.h"

static const char help[] =
    "Usage: holdfast [--servers HOST:PORT,...] [--vhost NAME] [--timeout SECONDS] COMMAND ...\n"
    "\n"
    "  queue declare|change|list|show|purge|delete   queues\n"
    "  exchange declare|change|delete|list    exchanges\n"
    "  bind, unbind EXCHANGE QUEUE; bindings  what leads from exchanges to queues\n"
    "  publish QUEUE                          messages from a file or standard input\n"
    "  consume QUEUE                          messages to standard output\n"
    "  settle QUEUE --session NAME            what consume --hold has left held\n"
    "  work QUEUE -- COMMAND                  a command for each message\n"
    "  consumers QUEUE                        who consumes from it\n"
    "  browse QUEUE                           messages, looked at without taking them\n"
    "  redrive QUEUE                          dead letters go back to where they died\n"
    "  replay QUEUE                           copies of settled messages that are kept\n"
    "  message show|get QUEUE POSITION        what became of a message; a message where it is\n"
    "  transact                               takes and publishes messages, all or nothing\n"
    "  prepared commit|abort|list             what becomes of a message that was published with --prepare\n"
    "  producer open|show NAME                fences off who had a producer's name before\n"
    "  vhost create|delete|list, limits       virtual hosts, and what they may have\n"
    "  cluster status|transfer                the nodes and what they know; who leads\n"
    "  cluster add|promote|demote|remove      changes the members\n"
    "  cluster replace|repair                 a new node for an old one; new data for a node\n"
    "  cluster recover                        a stopped survivor goes on alone: what the others had is lost\n"
    "  bench publish|consume|both|latency     how fast it is\n"
    "  log ...                                reads the log of a stopped node\n"
    "  version\n"
    "\n"
    "  --servers   any of the cluster's nodes (default: $HOLDFAST_SERVERS, else 127.0.0.1:7470)\n"
    "  --vhost     the virtual host (default: $HOLDFAST_VHOST, else /)\n"
    "  --user      for limits of users; it is believed\n"
    "  --timeout   seconds to wait for the cluster (default: 30)\n"
    "\n"
    "Every command has a --help of its own; holdfast help COMMAND shows it.\n"
    "Exit codes: 0 done; 1 refused or failed; 2 usage; 3 unavailable, or the outcome is not known.\n"
    "\n"
    "Example: echo hello | holdfast --servers node1:7470,node2:7470 publish greetings\n";

int cmd_version(struct cli *cli, int argc, char **argv)
{
    (void)cli;
    (void)argv;
    if (argc > 1) {
        puts("Usage: holdfast version\n\nPrints the version of this program.\n\nExample: holdfast version");
        return EXIT_DONE;
    }
    printf("holdfast %s\n", HOLDFAST_VERSION);
    return EXIT_DONE;
}

static int command_run(struct cli *cli, int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(struct cli *cli, int argc, char **argv);
    } commands[] = {{"queue", cmd_queue},         {"publish", cmd_publish},   {"consume", cmd_consume},
                    {"browse", cmd_browse},       {"bench", cmd_bench},       {"cluster", cmd_cluster},
                    {"version", cmd_version},     {"exchange", cmd_exchange}, {"bind", cmd_bind},
                    {"unbind", cmd_bind},         {"bindings", cmd_bindings}, {"redrive", cmd_move},
                    {"replay", cmd_move},         {"message", cmd_message},   {"vhost", cmd_vhost},
                    {"limits", cmd_limits},       {"work", cmd_work},         {"producer", cmd_producer},
                    {"consumers", cmd_consumers}, {"prepared", cmd_prepared}, {"transact", cmd_transact},
                    {"settle", cmd_settle}};
    char *asks[] = {argv[1], (char[]){"--help"}, NULL};
    if (strcmp(argv[0], "help") == 0 && argc > 1 && strcmp(argv[1], "help") != 0) {
        return command_run(cli, 2, asks);
    }
    if (strcmp(argv[0], "help") == 0) {
        fputs(help, stdout);
        return EXIT_DONE;
    }
    if (strcmp(argv[0], "log") == 0) {
        return cmd_log(argc, argv);
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(argv[0], commands[i].name) == 0) {
            return commands[i].run(cli, argc, argv);
        }
    }
    return cli_usage("no such command", help);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"version", no_argument, NULL, OPTION_VERSION}, CLI_OPTIONS};
    const char *servers = getenv("HOLDFAST_SERVERS");
    const char *host = getenv("HOLDFAST_VHOST");
    struct cli_notice notice = {.started_ms = uv_hrtime() / 1000000};
    struct cli cli = {.servers = servers != NULL && servers[0] != '\0' ? servers : "127.0.0.1:7470",
                      .virtual_host = host != NULL && host[0] != '\0' ? host : "/",
                      .timeout_ms = 30000,
                      .notice = &notice};
    signal(SIGPIPE, SIG_IGN); /* A closed pipe is a write error, which we report. */
    int option;
    while ((option = getopt_long(argc, argv, "+h", options, NULL)) != -1) {
        if (option == OPTION_VERSION) {
            return cmd_version(&cli, 1, argv);
        }
        int result = cli_option(&cli, option, help);
        if (result != 0) {
            return cli_option_exit(result);
        }
    }
    if (optind == argc) {
        return cli_usage("which command?", help);
    }
    int first = optind;
    optind = 0; /* glibc: begin anew. */
    int exit_code = command_run(&cli, argc - first, argv + first);
    if (fflush(stdout) != 0 && exit_code == EXIT_DONE) {
        perror("holdfast: standard output");
        return EXIT_REFUSED;
    }
    return exit_code;
}
