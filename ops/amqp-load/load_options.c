/* The command line. */

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

static const char usage[] =
    "Usage: holdfast-amqp-load [OPTION...]\n"
    "\n"
    "Puts a load on a broker that speaks AMQP 0-9-1, as guest in virtual host /, and says how it did: messages a "
    "second,\n"
    "latencies, whether a confirmed message was lost or came twice. Publishers use confirms, consumers acknowledge 32 "
    "at a\n"
    "time. Exit code 1: something failed, or a confirmed message is missing.\n"
    "\n"
    "  --servers H:P,...  where (127.0.0.1:5672); all clients are at the first one\n"
    "  --spread           clients take the servers in turn\n"
    "  --queue NAME       of the queue, which is declared, and deleted in the end (holdfast-amqp-load)\n"
    "  --queues N         so many queues, NAME-0 and so on (1)\n"
    "  --keep             the queues and what is in them stay\n"
    "  --quorum           declares them with x-queue-type: quorum\n"
    "  --producers N      (1)\n"
    "  --consumers N      (0)\n"
    "  --window N         messages of a producer that may be unconfirmed (256)\n"
    "  --prefetch N       messages of a consumer that may be unacknowledged (256)\n"
    "  --size BYTES       of a body, from 24 (1024)\n"
    "  --seconds S        (10) or\n"
    "  --count N          so many messages together\n"
    "  --rate N           messages a second of all producers together\n"
    "  --json             one line of JSON instead of a table\n";

enum {
    OPT_SERVERS = 1,
    OPT_SPREAD,
    OPT_QUEUE,
    OPT_QUEUES,
    OPT_KEEP,
    OPT_QUORUM,
    OPT_PRODUCERS,
    OPT_CONSUMERS,
    OPT_WINDOW,
    OPT_PREFETCH,
    OPT_SIZE,
    OPT_SECONDS,
    OPT_COUNT,
    OPT_RATE,
    OPT_JSON,
    OPT_HELP
};

static const struct option options_known[] = {
    {"servers", required_argument, NULL, OPT_SERVERS},
    {"spread", no_argument, NULL, OPT_SPREAD},
    {"queue", required_argument, NULL, OPT_QUEUE},
    {"queues", required_argument, NULL, OPT_QUEUES},
    {"keep", no_argument, NULL, OPT_KEEP},
    {"quorum", no_argument, NULL, OPT_QUORUM},
    {"producers", required_argument, NULL, OPT_PRODUCERS},
    {"consumers", required_argument, NULL, OPT_CONSUMERS},
    {"window", required_argument, NULL, OPT_WINDOW},
    {"prefetch", required_argument, NULL, OPT_PREFETCH},
    {"size", required_argument, NULL, OPT_SIZE},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"count", required_argument, NULL, OPT_COUNT},
    {"rate", required_argument, NULL, OPT_RATE},
    {"json", no_argument, NULL, OPT_JSON},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static uint64_t number(const char *name, const char *text, uint64_t min, uint64_t max)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || value < min || value > max) {
        load_fail("--%s %s: a number from %llu to %llu is wanted", name, text, (unsigned long long)min,
                  (unsigned long long)max);
    }
    return value;
}

static void servers_read(struct load_options *options, char *text)
{
    options->servers_len = 0;
    for (char *rest = text, *server; (server = strtok_r(rest, ",", &rest)) != NULL;) {
        if (options->servers_len == LOAD_SERVERS_MAX) {
            load_fail("--servers: at most %u", LOAD_SERVERS_MAX);
        }
        options->servers[options->servers_len++] = server;
    }
    if (options->servers_len == 0) {
        load_fail("--servers: none is named");
    }
}

void load_options_read(int argc, char **argv, struct load_options *ret_options)
{
    static char server[] = "127.0.0.1:5672";
    *ret_options = (struct load_options){.servers = {server},
                                         .servers_len = 1,
                                         .queue = "holdfast-amqp-load",
                                         .queues = 1,
                                         .producers = 1,
                                         .window = 256,
                                         .prefetch = 256,
                                         .size = 1024,
                                         .seconds = 10};
    for (int option; (option = getopt_long(argc, argv, "", options_known, NULL)) != -1;) {
        switch (option) {
        case OPT_SERVERS: servers_read(ret_options, optarg); break;
        case OPT_SPREAD: ret_options->spread = true; break;
        case OPT_QUEUE: ret_options->queue = optarg; break;
        case OPT_QUEUES: ret_options->queues = (unsigned)number("queues", optarg, 1, LOAD_QUEUES_MAX); break;
        case OPT_KEEP: ret_options->keep = true; break;
        case OPT_QUORUM: ret_options->quorum = true; break;
        case OPT_PRODUCERS: ret_options->producers = (unsigned)number("producers", optarg, 0, LOAD_CLIENTS_MAX); break;
        case OPT_CONSUMERS: ret_options->consumers = (unsigned)number("consumers", optarg, 0, LOAD_CLIENTS_MAX); break;
        case OPT_WINDOW: ret_options->window = (unsigned)number("window", optarg, 1, 1000000); break;
        case OPT_PREFETCH: ret_options->prefetch = (unsigned)number("prefetch", optarg, LOAD_ACK_EVERY, 65535); break;
        case OPT_SIZE: ret_options->size = number("size", optarg, LOAD_STAMP_LEN, UINT64_C(16) << 20); break;
        case OPT_SECONDS: ret_options->seconds = number("seconds", optarg, 1, 86400); break;
        case OPT_COUNT: ret_options->count = number("count", optarg, 1, UINT64_C(1) << 32); break;
        case OPT_RATE: ret_options->rate = number("rate", optarg, 1, 10000000); break;
        case OPT_JSON: ret_options->json = true; break;
        case OPT_HELP: (void)fputs(usage, stdout); exit(0);
        default: (void)fputs(usage, stderr); exit(2);
        }
    }
    if (optind < argc || ret_options->producers + ret_options->consumers == 0) {
        (void)fputs(usage, stderr);
        exit(2);
    }
    if (strlen(ret_options->queue) > 200) {
        load_fail("--queue: a name of at most 200 bytes");
    }
}

void load_queue_name(const struct load_options *options, unsigned n, char *name, size_t name_len)
{
    if (options->queues == 1) {
        (void)snprintf(name, name_len, "%s", options->queue);
    } else {
        (void)snprintf(name, name_len, "%s-%u", options->queue, n % options->queues);
    }
}
