/* The blocking library: a loop of its own, turned until what was asked for is there. */

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "proto/base/check.h"
#include "proto/wire/command.pb-c.h"
#include "rpc/client/client_blocking.h"
#include "rpc/native/native_version.h"

/* Where numbers of subscriptions begin by chance: below what JSON can hold, and with room above. */
#define CONSUMER_BITS_FREE 13u

int hf_fail(struct hf *hf, int err, const char *detail)
{
    snprintf(hf->detail, sizeof hf->detail, "%s", detail == NULL || detail[0] == '\0' ? err_text(err) : detail);
    return err;
}

void hf_late_set(struct hf_late *late, int err, const char *detail)
{
    bool graver = err == ERR_OUTCOME_UNKNOWN && late->err != err;
    if (err != 0 && (late->err == 0 || graver)) {
        late->err = err;
        snprintf(late->detail, sizeof late->detail, "%s", detail[0] == '\0' ? err_text(err) : detail);
    }
}

int hf_late_take(struct hf *hf, struct hf_late *late)
{
    int err = late->err;
    late->err = 0;
    return err == 0 ? 0 : hf_fail(hf, err, late->detail);
}

/* libuv writes without MSG_NOSIGNAL, and what the program does with SIGPIPE is the program's business: it is blocked while
 * we write, and one that we have caused is taken away. */
static void turn(struct hf *hf, uv_run_mode mode)
{
    sigset_t broken, before, pending;
    sigemptyset(&broken);
    sigaddset(&broken, SIGPIPE);
    sigpending(&pending);
    CHECK(pthread_sigmask(SIG_BLOCK, &broken, &before) == 0);
    uv_run(&hf->loop, mode);
    if (sigismember(&pending, SIGPIPE) == 0) {
        (void)sigtimedwait(&broken, NULL, &(struct timespec){0});
    }
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
}

void hf_turn(struct hf *hf)
{
    turn(hf, UV_RUN_ONCE);
}

void hf_turn_now(struct hf *hf)
{
    turn(hf, UV_RUN_NOWAIT);
}

/* uv_run() calls the timers that are due before it computes how long it may sleep, and does not look whether they have
 * changed anything: without this it would go to sleep behind the very event that is waited for. */
void hf_happened(struct hf *hf)
{
    uv_stop(&hf->loop);
}

/* Until all handles are closed, whatever asked the loop to stop before. */
static void loop_finish(struct hf *hf)
{
    while (uv_run(&hf->loop, UV_RUN_DEFAULT) != 0) {
    }
    CHECK(uv_loop_close(&hf->loop) == 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct hf *hf = timer->data;
    hf->timed_out = true;
    hf_happened(hf);
}

void hf_limit_start(struct hf *hf, uint64_t timeout_ms)
{
    hf->timed_out = false;
    if (timeout_ms > 0) {
        uv_update_time(&hf->loop);
        uv_timer_start(&hf->timer, on_timer, timeout_ms, 0);
    }
}

void hf_limit_stop(struct hf *hf)
{
    uv_timer_stop(&hf->timer);
}

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

uint64_t hf_deadline(uint64_t timeout_ms)
{
    uint64_t now = now_ms();
    return timeout_ms == 0 || timeout_ms > UINT64_MAX - now ? UINT64_MAX : now + timeout_ms;
}

uint64_t hf_left_ms(uint64_t deadline_ms)
{
    uint64_t now = now_ms();
    if (deadline_ms == UINT64_MAX) {
        return 0;
    }
    return deadline_ms > now ? deadline_ms - now : 1;
}

int hf_open(const struct hf_options *options, struct hf **ret_hf)
{
    struct hf *hf = calloc(1, sizeof *hf);
    if (hf == NULL) {
        return ERR_NOMEM;
    }
    list_init(&hf->items);
    list_init(&hf->notices);
    if (uv_loop_init(&hf->loop) != 0) {
        free(hf);
        return ERR_SYSTEM;
    }
    uv_timer_init(&hf->loop, &hf->timer);
    hf->timer.data = hf;
    struct hf_events events = {.arg = hf,
                               .delivery = hf_on_delivery,
                               .consumer_ended = hf_on_consumer_ended,
                               .lock_ended = hf_on_lock_ended,
                               .prepared_ask = hf_on_prepared_ask};
    int err = hf_client_new(&hf->loop, options, &events, &hf->client);
    if (err != 0) {
        uv_close((uv_handle_t *)&hf->timer, NULL);
        loop_finish(hf);
        free(hf);
        return err;
    }
    hf->core = hf_client_core(hf->client);
    if (options->session_key != NULL) {
        /* An earlier process's subscriptions have numbers, too. */
        CHECK(getrandom(&hf->consumers, sizeof hf->consumers, 0) == (ssize_t)sizeof hf->consumers);
        hf->consumers >>= CONSUMER_BITS_FREE;
    }
    *ret_hf = hf;
    return 0;
}

void hf_on_reply(void *arg, const struct client_reply *reply)
{
    struct hf_call *call = arg;
    call->done = true;
    call->err = reply->err;
    call->count = reply->count;
    call->repeated_count = reply->repeated_count;
    call->unrouted = reply->unrouted.len > 0 && (reply->unrouted.data[0] & 1) != 0;
    if (reply->err != 0) {
        (void)hf_fail(call->hf, reply->err, reply->detail);
    }
    hf_happened(call->hf);
}

int hf_call_wait(struct hf_call *call, int err)
{
    if (err != 0) {
        return hf_fail(call->hf, err,
                       err == ERR_VERSION   ? NATIVE_VERSION_TEXT
                       : err == ERR_INVALID ? call->invalid
                                            : NULL);
    }
    while (!call->done) {
        hf_turn(call->hf);
    }
    return call->err;
}

int hf_close(struct hf *hf, uint64_t timeout_ms)
{
    if (hf == NULL) {
        return 0;
    }
    int err = 0;
    if (timeout_ms > 0) {
        uint64_t deadline_ms = hf_deadline(timeout_ms);
        err = hf_flush(hf, timeout_ms);
        struct hf_call call = {.hf = hf};
        int close_err =
            hf_call_wait(&call, client_core_close_session(hf->core, hf_left_ms(deadline_ms), hf_on_reply, &call));
        err = err == 0 && close_err != ERR_CLOSED ? close_err : err;
    }
    hf_client_free(hf->client, NULL, NULL);
    uv_close((uv_handle_t *)&hf->timer, NULL);
    loop_finish(hf);
    hf_items_drop(hf, 0);
    hf_shown_drop(hf);
    hf_notices_drop(hf);
    free(hf);
    return err;
}

const char *hf_error_detail(const struct hf *hf)
{
    return hf->detail;
}

int hf_declare(struct hf *hf, const char *queue, uint64_t timeout_ms)
{
    struct hf_call call = {.hf = hf};
    return hf_call_wait(&call, client_core_declare(hf->core, queue, timeout_ms, hf_on_reply, &call));
}

int hf_purge(struct hf *hf, const char *queue, uint64_t timeout_ms, uint64_t *ret_dropped)
{
    struct hf_call call = {.hf = hf};
    int err = hf_call_wait(&call, client_core_purge(hf->core, queue, timeout_ms, hf_on_reply, &call));
    if (err == 0 && ret_dropped != NULL) {
        *ret_dropped = call.count;
    }
    return err;
}

int hf_delete_if(struct hf *hf, const char *queue, bool if_empty, bool if_unused, uint64_t timeout_ms,
                 uint64_t *ret_dropped)
{
    struct hf_call call = {.hf = hf};
    Holdfast__DeleteQueue delete = HOLDFAST__DELETE_QUEUE__INIT;
    delete.queue = (char *)(uintptr_t)queue; /* protobuf-c does not write to what it packs. */
    delete.if_empty = if_empty;
    delete.if_unused = if_unused;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_DELETE_QUEUE;
    command.delete_queue = &delete;
    int err = hf_call_wait(&call, client_core_command(hf->core, &command, false, timeout_ms, hf_on_reply, &call));
    if (err == 0 && ret_dropped != NULL) {
        *ret_dropped = call.count;
    }
    return err;
}

int hf_delete(struct hf *hf, const char *queue, bool if_empty, uint64_t timeout_ms, uint64_t *ret_dropped)
{
    struct hf_call call = {.hf = hf};
    int err = hf_call_wait(&call, client_core_delete(hf->core, queue, if_empty, timeout_ms, hf_on_reply, &call));
    if (err == 0 && ret_dropped != NULL) {
        *ret_dropped = call.count;
    }
    return err;
}
