/* What the files of the blocking library share, and nobody else. */

#ifndef HOLDFAST_RPC_CLIENT_CLIENT_BLOCKING_H
#define HOLDFAST_RPC_CLIENT_CLIENT_BLOCKING_H

#include "rpc/client/hf.h"

/* One command or query that is waited for. Its callback sets `done`. */
struct hf_call {
    struct hf *hf;
    bool done;
    int err;
    uint64_t count;
};

struct client_core *hf_core(struct hf *hf);

/* Notes the line about an error for hf_error_detail(), and returns the error. */
int hf_fail(struct hf *hf, int err, const char *detail);

/* Turns the loop until the call is done; `err` is what issuing it returned. */
int hf_call_wait(struct hf_call *call, int err);

#endif
