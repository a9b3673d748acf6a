/* What holdfast consume is asked for. */

#ifndef HOLDFAST_OPS_CLI_CONSUME_H
#define HOLDFAST_OPS_CLI_CONSUME_H

#include <stdbool.h>
#include <stdint.h>

#include "rpc/client/hf.h"

struct cli;

/* What becomes of a message when it has been written. */
enum consume_outcome { CONSUME_ACCEPT, CONSUME_REJECT, CONSUME_RELEASE, CONSUME_HOLD };

struct consume_options {
    const char *queue;
    uint64_t count; /* 0: no limit. */
    bool lines;
    bool json;
    bool follow;
    bool no_ack;
    bool fetch; /* What is ready now, and no more. */
    enum consume_outcome outcome;
    uint64_t release_ms; /* Before they are delivered again. */
    uint64_t idle_ms;
    struct client_subscription how;
    const char *session; /* Its name; NULL: it is this invocation's alone. */
    uint32_t lease_ms;   /* 0: the default. */
};

/* Reads the arguments. Returns 0 to go on, or, as cli_option(), -1 after the help or EXIT_USAGE. */
int consume_options_read(struct cli *cli, int argc, char **argv, struct consume_options *options);

#endif
