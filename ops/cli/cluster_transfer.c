/* holdfast cluster transfer [NODE]: hands leadership over, and waits until it has happened. */

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "cli.h"
#include "commands.h"

#define TRANSFER_TIMEOUT_MS 10000u
#define POLL_US 20000u

/* One that is not connected for so long is not waited for. */
#define ABSENT_MS 1000u

static const char help[] = "Usage: holdfast cluster transfer [NODE]\n"
                           "\n"
                           "Hands leadership to NODE, or without it to the member that is most advanced, and waits "
                           "until it leads. Before a node\n"
                           "is stopped on purpose, this spares the others an election. Exits with 3 when nothing has "
                           "come of it within 10 seconds.\n"
                           "\n"
                           "Example: holdfast cluster transfer 2\n";

struct look {
    uint64_t wanted; /* Where leadership is to go; 0: anywhere. */
    bool reached;    /* The node that was asked is connected to it, or is it. */
    uint64_t leader; /* 0: not known. */
    uint64_t term;
};

static void on_cluster(void *arg, const struct client_cluster *cluster)
{
    struct look *look = arg;
    look->leader = cluster->leader;
    look->term = cluster->term;
    look->reached = look->wanted == 0;
    for (size_t i = 0; i < cluster->members_len; i++) {
        look->reached = look->reached || (cluster->members[i].id == look->wanted && cluster->members[i].connected);
    }
}

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

/* Looks until another leads, as asked. A node that cannot be asked may be about to lead: others are asked instead. */
static int transfer_wait(struct hf *hf, uint64_t node, struct look before, uint64_t started_ms)
{
    uint64_t passed_ms = 0;
    struct look now = before;
    while ((passed_ms = now_ms() - started_ms) < TRANSFER_TIMEOUT_MS) {
        int err = hf_cluster(hf, TRANSFER_TIMEOUT_MS - passed_ms, on_cluster, &now);
        bool done = node != 0 ? now.leader == node : now.leader != 0 && now.leader != before.leader;
        if (err == 0 && done) {
            printf("node %llu leads, in term %llu, after %llu ms\n", (unsigned long long)now.leader,
                   (unsigned long long)now.term, (unsigned long long)(now_ms() - started_ms));
            return EXIT_DONE;
        }
        if (err == 0 && !now.reached && passed_ms >= ABSENT_MS) {
            fprintf(stderr, "holdfast: cluster transfer: node %llu does not run, or cannot be reached\n",
                    (unsigned long long)node);
            return EXIT_UNSURE;
        }
        usleep(POLL_US);
    }
    if (now.leader == 0) {
        fprintf(stderr, "holdfast: cluster transfer: no leader is known after %u s\n", TRANSFER_TIMEOUT_MS / 1000);
    } else {
        fprintf(stderr, "holdfast: cluster transfer: node %llu still leads after %u s\n",
                (unsigned long long)now.leader, TRANSFER_TIMEOUT_MS / 1000);
    }
    return EXIT_UNSURE;
}

static int transfer_run(struct hf *hf, const struct cli *cli, uint64_t node)
{
    struct look before = {.wanted = node};
    int err = hf_cluster(hf, cli->timeout_ms, on_cluster, &before);
    if (err != 0) {
        return cli_fail("cluster transfer", err, hf_error_detail(hf));
    }
    if (node != 0 && before.leader == node) {
        printf("node %llu leads already, in term %llu\n", (unsigned long long)node, (unsigned long long)before.term);
        return EXIT_DONE;
    }
    uint64_t started_ms = now_ms();
    err = hf_transfer(hf, node, cli->timeout_ms);
    if (err != 0 && err != ERR_OUTCOME_UNKNOWN) {
        return cli_fail("cluster transfer", err, err == ERR_NOT_FOUND ? "no such member" : hf_error_detail(hf));
    }
    return transfer_wait(hf, node, before, started_ms);
}

int cmd_cluster_transfer(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {CLI_OPTIONS};
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        int result = cli_option(cli, option, help);
        if (result != 0) {
            return cli_option_exit(result);
        }
    }
    uint64_t node = 0;
    if (argc - optind > 1) {
        return cli_usage("cluster transfer takes the id of one node, or none", help);
    }
    if (argc - optind == 1 && cli_number("NODE", argv[optind], 1, UINT64_MAX, &node) != 0) {
        return EXIT_USAGE;
    }
    struct hf *hf;
    int exit_code = cli_open_query(cli, &hf);
    if (exit_code == 0) {
        exit_code = transfer_run(hf, cli, node);
        (void)hf_close(hf, 0);
    }
    return exit_code;
}
