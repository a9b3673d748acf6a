/* Queues of a run, and where its clients connect: with the blocking library, before and after. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

struct leader {
    uint64_t node;
    char address[ADDRESS_LEN_MAX + 1];
};

void bench_queue_name(const struct bench *bench, uint64_t index, char ret_name[NAME_LEN_MAX + 1])
{
    const char *base = bench->options.queue != NULL ? bench->options.queue : bench->name;
    if (bench->options.queues == 1) {
        snprintf(ret_name, NAME_LEN_MAX + 1, "%s", base);
    } else {
        snprintf(ret_name, NAME_LEN_MAX + 1, "%s-%llu", base, (unsigned long long)index);
    }
}

static void on_cluster(void *arg, const struct client_cluster *cluster)
{
    struct leader *leader = arg;
    for (size_t i = 0; i < cluster->members_len; i++) {
        if (cluster->members[i].id == cluster->leader) {
            leader->node = cluster->leader;
            snprintf(leader->address, sizeof leader->address, "%s", cluster->members[i].client_address);
        }
    }
}

/* The servers for the clients: as they were given, or behind the one that leads. */
static int servers_choose(struct bench *bench)
{
    const char *given = bench->cli->servers;
    struct leader leader = {0};
    struct hf *hf;
    int exit_code = bench->options.spread ? 0 : cli_open_query(bench->cli, &hf);
    if (exit_code != 0) {
        return exit_code;
    }
    if (!bench->options.spread) {
        int err = hf_cluster(hf, bench->cli->timeout_ms, on_cluster, &leader);
        exit_code = err == 0 ? 0 : cli_fail("bench", err, hf_error_detail(hf));
        (void)hf_close(hf, 0);
    }
    size_t len = strlen(given) + sizeof leader.address + 2;
    bench->servers = exit_code == 0 ? malloc(len) : NULL;
    if (bench->servers == NULL) {
        return exit_code != 0 ? exit_code : cli_fail("bench", ERR_NOMEM, NULL);
    }
    snprintf(bench->servers, len, "%s%s%s", leader.address, leader.address[0] == '\0' ? "" : ",", given);
    return 0;
}

static int queues_declare(struct bench *bench, struct hf *hf)
{
    for (uint64_t i = 0; i < bench->options.queues; i++) {
        char name[NAME_LEN_MAX + 1];
        bench_queue_name(bench, i, name);
        int err = hf_declare(hf, name, bench->cli->timeout_ms);
        if (err != 0) {
            return cli_fail(name, err, hf_error_detail(hf));
        }
    }
    return 0;
}

static int queues_delete(struct bench *bench, struct hf *hf)
{
    for (uint64_t i = 0; i < bench->options.queues; i++) {
        char name[NAME_LEN_MAX + 1];
        bench_queue_name(bench, i, name);
        int err = hf_delete(hf, name, false, bench->cli->timeout_ms, NULL);
        if (err != 0) {
            return cli_fail(name, err, hf_error_detail(hf));
        }
    }
    return 0;
}

static int queues_change(struct bench *bench, int (*change)(struct bench *bench, struct hf *hf))
{
    struct cli cli = *bench->cli;
    cli.servers = bench->servers;
    struct hf *hf;
    int exit_code = cli_open(&cli, 0, &hf);
    if (exit_code == 0) {
        exit_code = change(bench, hf);
        (void)hf_close(hf, exit_code == EXIT_UNSURE ? 0 : 1000);
    }
    return exit_code;
}

int bench_cluster_prepare(struct bench *bench)
{
    int exit_code = servers_choose(bench);
    bool declares = exit_code == 0 && bench->options.mode != BENCH_CONSUME;
    return declares ? queues_change(bench, queues_declare) : exit_code;
}

int bench_cluster_clean(struct bench *bench)
{
    bool ours = bench->options.queue == NULL && !bench->options.keep;
    return ours ? queues_change(bench, queues_delete) : 0;
}
