/* What the commands share: global options, the connection, messages for people, exit codes. */

#ifndef HOLDFAST_OPS_CLI_CLI_H
#define HOLDFAST_OPS_CLI_CLI_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>

#include "rpc/client/hf.h"

/* Exit codes. */
enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2, EXIT_UNSURE = 3 };

/* What has been said about a cluster that does not answer. */
struct cli_notice {
    uint64_t started_ms;
    uint64_t told_ms; /* 0: nothing yet. */
};

struct cli {
    const char *servers;
    const char *virtual_host;
    const char *user; /* NULL: nobody in particular. */
    uint64_t timeout_ms;
    bool timeout_given;        /* By --timeout, rather than by default. */
    struct cli_notice *notice; /* Borrowed. */
};

/* Options that every command takes, for its table of options. Those of a command itself are small integers. */
enum { OPTION_SERVERS = 1000, OPTION_TIMEOUT, OPTION_VHOST, OPTION_USER, OPTION_HELP, OPTION_VERSION };
#define CLI_OPTIONS                                                                                                    \
    {"servers", required_argument, NULL, OPTION_SERVERS}, {"vhost", required_argument, NULL, OPTION_VHOST},            \
        {"user", required_argument, NULL, OPTION_USER}, {"timeout", required_argument, NULL, OPTION_TIMEOUT},          \
        {"help", no_argument, NULL, OPTION_HELP},                                                                      \
    {                                                                                                                  \
        NULL, 0, NULL, 0                                                                                               \
    }

/* Handles what getopt_long() returned when it is not one of the command's own. Returns 0 to go on, -1 when `help` was
 * printed and the command is to exit with 0, or EXIT_USAGE. */
int cli_option(struct cli *cli, int option, const char *help);

/* The exit code of cli_option()'s result, when it is not 0. */
static inline int cli_option_exit(int result)
{
    return result < 0 ? EXIT_DONE : result;
}

/* A whole number from `min` to `max`, or says that it is not one and returns EXIT_USAGE. */
int cli_number(const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *ret_number);

/* Says what is wrong with the usage; returns EXIT_USAGE. */
int cli_usage(const char *text, const char *help);

/* Opens the client; on failure says why and returns an exit code. */
int cli_open(const struct cli *cli, uint32_t window, struct hf **ret_hf);
/* The same with the session of that key: see hf.h. */
int cli_open_session(const struct cli *cli, const uint8_t key[SESSION_KEY_LEN], uint32_t lease_ms, struct hf **ret_hf);
/* The same without a session, for queries. */
int cli_open_query(const struct cli *cli, struct hf **ret_hf);

/* Says what failed and returns the exit code for the error. `detail` may be NULL. */
int cli_fail(const char *what, int err, const char *detail);
int cli_exit_code(int err);

#endif
