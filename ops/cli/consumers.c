/* holdfast consumers: who consumes from a queue. */

#include <stdio.h>

#include "cli.h"
#include "commands.h"
#include "shown.h"

static const char help[] =
    "Usage: holdfast consumers QUEUE\n"
    "\n"
    "Shows every subscription to a queue: its session, the node where that is attached (-: nowhere, its lease runs), "
    "messages that it\n"
    "holds and may hold, deliveries so far, its priority, and what it is: exclusive, standing by (of a single-active "
    "queue), with a lock\n"
    "of its own; and its tag.\n"
    "\n"
    "Example: holdfast consumers jobs\n";

static void consumer_print(void *arg, const struct client_consumer_info *consumer)
{
    (void)arg;
    char node[24] = "-";
    if (consumer->node != 0) {
        snprintf(node, sizeof node, "%llu", (unsigned long long)consumer->node);
    }
    printf("%12llu %9llu %4s %6u %6u %10llu %9d  %s%s%s%s", (unsigned long long)consumer->session,
           (unsigned long long)consumer->consumer, node, consumer->unsettled, consumer->credit,
           (unsigned long long)consumer->delivered, consumer->priority, consumer->active ? "" : " standing-by",
           consumer->exclusive ? " exclusive" : "", consumer->auto_accept ? " auto-accept" : "",
           consumer->fetch ? " fetch" : "");
    if (consumer->lock_ms > 0) {
        printf(" lock=%llums", (unsigned long long)consumer->lock_ms);
    }
    struct shown tag;
    printf("%s%s\n", consumer->tag[0] == '\0' ? "" : " tag=", shown(consumer->tag, &tag));
}

int cmd_consumers(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {CLI_OPTIONS};
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        int result = cli_option(cli, option, help);
        if (result != 0) {
            return cli_option_exit(result);
        }
    }
    if (argc - optind != 1) {
        return cli_usage("consumers takes the name of a queue", help);
    }
    struct hf *hf;
    int exit_code = cli_open_query(cli, &hf);
    if (exit_code != 0) {
        return exit_code;
    }
    printf("%12s %9s %4s %6s %6s %10s %9s  %s\n", "SESSION", "CONSUMER", "NODE", "HOLDS", "CREDIT", "DELIVERED",
           "PRIORITY", "PROPERTIES");
    int err = hf_consumers(hf, argv[optind], cli->timeout_ms, consumer_print, NULL);
    if (err != 0) {
        exit_code = cli_fail(argv[optind], err, hf_error_detail(hf));
    }
    (void)hf_close(hf, 0);
    return exit_code;
}
