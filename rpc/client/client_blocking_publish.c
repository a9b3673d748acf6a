/* Publishing with the blocking library. */

#include <stdlib.h>

#include "proto/base/limits.h"
#include "rpc/client/client_blocking.h"
#include "rpc/native/native_limit.h"

int hf_issue_fail(struct hf *hf, int err)
{
    char words[NATIVE_LIMIT_TEXT_LEN];
    native_limit_text(client_core_body_len_max(hf->core), words);
    return hf_fail(hf, err, err == ERR_TOO_BIG ? words : err == ERR_INVALID ? HF_NUMBERS_TEXT : NULL);
}

int hf_publish(struct hf *hf, const char *queue, const char *producer, uint64_t sequence, struct hf_body body,
               uint64_t timeout_ms)
{
    struct hf_call call = {.hf = hf, .invalid = HF_NUMBERS_TEXT};
    struct slice slice = {.data = body.data, .len = body.len};
    int err = client_core_publish(hf->core, queue, producer, sequence, &slice, 1, timeout_ms, hf_on_reply, &call);
    return err == ERR_TOO_BIG ? hf_issue_fail(hf, err) : hf_call_wait(&call, err);
}

/* A submitted publish: it outlives the call. */
struct submit {
    struct hf *hf;
    uint64_t messages;
};

static void on_submitted(void *arg, const struct client_reply *reply)
{
    struct submit *submit = arg;
    struct hf *hf = submit->hf;
    hf->submitted.in_flight -= submit->messages;
    hf->submitted.enqueued += reply->err == 0 ? reply->count : 0;
    hf->submitted.repeated += reply->err == 0 ? reply->repeated_count : 0;
    hf_late_set(&hf->submit, reply->err, reply->detail);
    free(submit);
    hf_happened(hf);
}

int hf_submit(struct hf *hf, const char *queue, const char *producer, uint64_t first_sequence,
              const struct hf_body *bodies, size_t bodies_len, uint64_t timeout_ms)
{
    if (bodies_len == 0 || bodies_len > PUBLISH_MESSAGES_MAX) {
        return bodies_len == 0 ? hf_issue_fail(hf, ERR_INVALID) : hf_fail(hf, ERR_TOO_BIG, NULL);
    }
    struct submit *submit = malloc(sizeof *submit);
    struct slice *slices = malloc(bodies_len * sizeof *slices);
    int err = submit == NULL || slices == NULL ? ERR_NOMEM : 0;
    if (err == 0) {
        *submit = (struct submit){.hf = hf, .messages = bodies_len};
        for (size_t i = 0; i < bodies_len; i++) {
            slices[i] = (struct slice){.data = bodies[i].data, .len = bodies[i].len};
        }
        hf_limit_start(hf, timeout_ms);
        while ((err = client_core_publish(hf->core, queue, producer, first_sequence, slices, bodies_len, timeout_ms,
                                          on_submitted, submit)) == ERR_BUSY &&
               !hf->timed_out) {
            hf_turn(hf);
        }
        hf_limit_stop(hf);
    }
    free(slices);
    if (err != 0) {
        free(submit);
        return hf_issue_fail(hf, err);
    }
    hf->submitted.in_flight += bodies_len;
    return 0;
}

int hf_wait(struct hf *hf, uint64_t in_flight, struct hf_submitted *ret_submitted)
{
    while (hf->submitted.in_flight > in_flight) {
        hf_turn(hf);
    }
    if (ret_submitted != NULL) {
        *ret_submitted = hf->submitted;
    }
    return hf_late_take(hf, &hf->submit);
}
