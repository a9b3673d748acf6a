/* What an earlier process left in the session, for the blocking library. */

#include <string.h>
#include <xxhash.h>

#include "proto/base/bytes.h"
#include "rpc/client/client_blocking.h"

void hf_session_key(const char *text, uint8_t ret_key[SESSION_KEY_LEN])
{
    XXH128_hash_t hash = XXH3_128bits(text, strlen(text));
    put_u64(ret_key, hash.low64);
    put_u64(ret_key + 8, hash.high64);
}

/* One list of the consumers of a queue. */
struct search {
    struct hf_call call;
    uint64_t after; /* The last one of this session. */
    uint64_t taken; /* 0: none. */
    uint64_t held;
    bool more; /* Of this session. */
};

static void on_consumers(void *arg, int err, const char *detail, const struct client_query_result *result)
{
    struct search *search = arg;
    struct client_core *core = search->call.hf->core;
    search->call.done = true;
    search->call.err = err;
    hf_happened(search->call.hf);
    if (err != 0) {
        (void)hf_fail(search->call.hf, err, detail);
        return;
    }
    search->more = result->more && result->consumers_len > 0;
    for (size_t i = 0; i < result->consumers_len && search->taken == 0; i++) {
        const struct client_consumer_info *left = &result->consumers[i];
        if (left->session != client_core_session(core)) {
            search->more = false;
            return;
        }
        search->after = left->consumer;
        err = client_core_take_up(core, left);
        if (err == 0) {
            search->taken = left->consumer;
            search->held = left->unsettled;
        } else if (err != ERR_EXISTS) { /* That one is had already. */
            search->call.err = hf_fail(search->call.hf, err, NULL);
            return;
        }
    }
}

static void on_queue(void *arg, int err, const char *detail, const struct client_query_result *result)
{
    struct hf_call *call = arg;
    (void)result;
    call->done = true;
    call->err = err == 0 ? 0 : hf_fail(call->hf, err, detail);
    hf_happened(call->hf);
}

int hf_resume(struct hf *hf, const char *queue, uint64_t timeout_ms, uint64_t *ret_consumer, uint64_t *ret_held)
{
    uint64_t deadline_ms = hf_deadline(timeout_ms);
    struct hf_call attached = {.hf = hf};
    struct search search = {.call = {.hf = hf}, .more = true};
    /* Whoever is answered is attached, and knows the number of the session. */
    int err = hf_call_wait(&attached, client_core_query_queue(hf->core, queue, timeout_ms, on_queue, &attached));
    while (err == 0 && search.taken == 0 && search.more) {
        search.call.done = false;
        err = hf_call_wait(&search.call,
                           client_core_query_consumers(hf->core, queue, client_core_session(hf->core), search.after,
                                                       hf_left_ms(deadline_ms), on_consumers, &search));
    }
    if (err == 0 && search.taken == 0) {
        err = hf_fail(hf, ERR_NOT_FOUND, "this session has no other subscription to the queue");
    }
    if (err == 0) {
        *ret_consumer = search.taken;
        if (ret_held != NULL) {
            *ret_held = search.held;
        }
    }
    return err;
}
