/* Sessions with a name: how an invocation has what an earlier one was given. */

#include "held.h"

#include <stdio.h>

#include "cli.h"
#include "duration.h"

/* Of a session, and of a virtual host. */
#define HELD_NAME_LEN_MAX 1024u

int held_lease(const char *text, uint32_t *ret_lease_ms)
{
    uint64_t lease_ms = 0;
    int exit_code = cli_duration("--lease", text, &lease_ms);
    if (exit_code == 0 && (lease_ms < LEASE_MS_MIN || lease_ms > LEASE_MS_MAX)) {
        fprintf(stderr, "holdfast: --lease takes 1s to 24h, not \"%s\"\n", text);
        return EXIT_USAGE;
    }
    *ret_lease_ms = (uint32_t)lease_ms;
    return exit_code;
}

int held_open(const struct cli *cli, const char *session, uint32_t lease_ms, struct hf **ret_hf)
{
    uint8_t key[SESSION_KEY_LEN];
    char text[2 * HELD_NAME_LEN_MAX + 2];
    if (session == NULL) {
        return cli_open(cli, 0, ret_hf);
    }
    if (session[0] == '\0') { /* As from a variable that is not set: everybody's. */
        fprintf(stderr, "holdfast: --session takes a name, which is not empty\n");
        return EXIT_USAGE;
    }
    /* Keys are the whole cluster's; a name of a virtual host has no newline. */
    int len = snprintf(text, sizeof text, "%s\n%s", cli->virtual_host, session);
    if (len < 0 || (size_t)len >= sizeof text) {
        fprintf(stderr, "holdfast: --session takes at most %u bytes\n", HELD_NAME_LEN_MAX);
        return EXIT_USAGE;
    }
    hf_session_key(text, key);
    return cli_open_session(cli, key, lease_ms != 0 ? lease_ms : HELD_LEASE_MS, ret_hf);
}

int held_take_up(struct hf *hf, const char *queue, uint64_t timeout_ms, uint64_t *ret_held)
{
    uint64_t total = 0;
    int err;
    do {
        uint64_t consumer;
        uint64_t held = 0;
        err = hf_resume(hf, queue, timeout_ms, &consumer, &held);
        total += err == 0 ? held : 0;
        /* It may end meanwhile, when the last that it holds goes back. */
        int drain_err = err == 0 ? hf_drain(hf, consumer, timeout_ms) : 0;
        err = drain_err != 0 && drain_err != ERR_NOT_FOUND ? drain_err : err;
    } while (err == 0);
    *ret_held = total;
    return err == ERR_NOT_FOUND ? 0 : err;
}
