/* What an earlier invocation has left in a session of a name of its own: --session. */

#ifndef HOLDFAST_OPS_CLI_HELD_H
#define HOLDFAST_OPS_CLI_HELD_H

#include <stdint.h>

#include "rpc/client/hf.h"

struct cli;

/* How long a session with a name waits for the next invocation, unless --lease says otherwise. */
#define HELD_LEASE_MS 60000u

/* --lease: 1s to 24h. Returns 0, or says what is wrong and returns EXIT_USAGE. */
int held_lease(const char *text, uint32_t *ret_lease_ms);

/* As cli_open(), with the session of that name in the virtual host; NULL: with one of its own. */
int held_open(const struct cli *cli, const char *session, uint32_t lease_ms, struct hf **ret_hf);

/* Takes up all subscriptions to the queue that are in the session: hf_next() gives what they hold, and they are given nothing more.
 * *ret_held: how many messages that is. */
int held_take_up(struct hf *hf, const char *queue, uint64_t timeout_ms, uint64_t *ret_held) NODISCARD;

#endif
