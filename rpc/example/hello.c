/* The client library in use: publishes a message once, however often it is run, and consumes what is there.
 *
 *   cc rpc/example/hello.c -Ibuild/rooms/rpc -Ibuild/rooms/proto -Ibuild/generated -Lbuild/lib -lholdfast \
 *      -luv -lprotobuf-c -lxxhash -o hello
 *   ./hello 127.0.0.1:7470,127.0.0.1:7480,127.0.0.1:7490 */

#include <stdio.h>

#include "rpc/client/hf.h"

#define TIMEOUT_MS 10000

static int run(struct hf *hf)
{
    uint64_t consumer;
    struct hf_message message;
    int err = hf_declare(hf, "greetings", TIMEOUT_MS);
    if (err == 0) {
        err = hf_publish(hf, "greetings", "hello-program", 1, (struct hf_body){.data = "hello", .len = 5}, TIMEOUT_MS);
    }
    if (err == 0) {
        err = hf_subscribe(hf, "greetings", 10, TIMEOUT_MS, &consumer);
    }
    while (err == 0 && (err = hf_next(hf, 1000, &message)) == 0) {
        printf("%llu: %.*s\n", (unsigned long long)message.position, (int)message.body.len,
               (const char *)message.body.data);
        err = hf_accept(hf, &message);
    }
    return err == ERR_TIMEOUT ? hf_flush(hf, TIMEOUT_MS) : err; /* Nothing more came. */
}

int main(int argc, char **argv)
{
    struct hf *hf;
    struct hf_options options = {.servers = argc > 1 ? argv[1] : "127.0.0.1:7470", .client_name = "hello"};
    int err = hf_open(&options, &hf);
    if (err != 0) {
        (void)fprintf(stderr, "%s\n", err_text(err));
        return 1;
    }
    err = run(hf);
    if (err != 0) {
        (void)fprintf(stderr, "hello: %s\n", hf_error_detail(hf));
    }
    (void)hf_close(hf, TIMEOUT_MS);
    return err == 0 ? 0 : 1;
}
