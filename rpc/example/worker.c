/* A worker that can be killed at any time and goes on where it was, without waiting for its lease: its session has a key of its own. For
 * each order it takes it publishes an invoice, and acknowledges the order, in one step.
 *
 *   cc rpc/example/worker.c -Ibuild/rooms/rpc -Ibuild/rooms/proto -Ibuild/generated -Lbuild/lib -lholdfast \
 *      -luv -lprotobuf-c -lxxhash -o worker
 *   ./worker 127.0.0.1:7470,127.0.0.1:7480,127.0.0.1:7490 worker-1 100 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "rpc/client/hf.h"

#define TIMEOUT_MS 10000
#define LEASE_MS 60000 /* So long what it holds waits for its next process. */

/* What it held comes again, under the same tokens; else it begins. */
static int begin(struct hf *hf, uint64_t *ret_consumer)
{
    uint64_t held = 0;
    int err = hf_resume(hf, "orders", TIMEOUT_MS, ret_consumer, &held);
    if (err == ERR_NOT_FOUND) {
        err = hf_subscribe(hf, "orders", 10, TIMEOUT_MS, ret_consumer);
    } else if (err == 0) {
        printf("goes on with %" PRIu64 " orders\n", held);
    }
    return err;
}

/* One step: there is an invoice when the order is acknowledged, and only then, whenever this process dies. */
static int work(struct hf *hf, const struct hf_message *order)
{
    const struct hf_outgoing invoice = {.queue = "invoices", .body = order->body};
    return hf_transact(hf, &invoice, 1, order, 1, TIMEOUT_MS);
}

static int run(struct hf *hf, unsigned long count)
{
    uint64_t consumer;
    struct hf_message order;
    int err = begin(hf, &consumer);
    for (unsigned long done = 0; err == 0 && done < count; done++) {
        err = hf_next(hf, TIMEOUT_MS, &order);
        err = err == 0 ? work(hf, &order) : err;
    }
    return err;
}

int main(int argc, char **argv)
{
    uint8_t key[SESSION_KEY_LEN];
    if (argc != 4) {
        (void)fprintf(stderr, "usage: worker SERVERS NAME COUNT\n");
        return 2;
    }
    hf_session_key(argv[2], key);
    struct hf *hf;
    struct hf_options options = {.servers = argv[1], .client_name = "worker", .session_key = key, .lease_ms = LEASE_MS};
    int err = hf_open(&options, &hf);
    if (err != 0) {
        (void)fprintf(stderr, "%s\n", err_text(err));
        return 1;
    }
    err = run(hf, strtoul(argv[3], NULL, 10));
    if (err != 0) {
        (void)fprintf(stderr, "worker: %s\n", hf_error_detail(hf));
    }
    (void)hf_close(hf, err == ERR_DISPLACED ? 0 : TIMEOUT_MS);
    return err == 0 ? 0 : err == ERR_DISPLACED ? 3 : 1;
}
