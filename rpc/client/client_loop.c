/* The asynchronous library: libuv's timers and our streams under a client core. */

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "proto/base/check.h"
#include "rpc/address.h"
#include "rpc/client/hf.h"
#include "rpc/stream.h"

#define SERVERS_MAX 64u

/* What counts as a long frame on its way: so much received since the last look; or something acknowledged, and so much
 * still to be. */
#define MOVED_LEN_MIN 1024u
#define OUTSTANDING_LEN_MIN (64u * 1024u)

/* A timer that is later than this: the program did not turn the loop. */
#define LATE_MS 20u

struct hf_client {
    uv_loop_t *loop;
    struct client_core *core;
    struct hf_events events;
    void (*trouble)(void *arg, const char *detail);
    void *trouble_arg;
    struct clock clock;
    uv_prepare_t prepare;
    uv_timer_t timer;
    uint64_t timer_ms; /* The deadline for which the timer is set; UINT64_MAX: stopped. */
    bool
        read_first; /* The loop was not turned for a while: what has arrived is read before the core is told the time. */
    struct stream *stream;
    bool greeted;                    /* The node's first frame has arrived. */
    struct stream_movement movement; /* As last looked at, */
    bool looked;                     /* since a frame has come: before that, it says nothing about the silence. */
    uint64_t moved;                  /* Looks that found that something had moved. */
    int connect_err;                 /* The connection failed within connect(): told at the next turn. */
    unsigned handles;                /* Still to be closed. */
    void (*freed)(void *arg);
    void *freed_arg;
};

static uint64_t clock_monotonic_ms(struct clock *clock)
{
    (void)clock;
    return uv_hrtime() / 1000000;
}

static uint64_t clock_wall_ms(struct clock *clock)
{
    (void)clock;
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t clock_random(struct clock *clock)
{
    (void)clock;
    uint64_t value;
    /* Whoever guessed a session's key would own the session: without randomness we stop. */
    CHECK(getrandom(&value, sizeof value, 0) == (ssize_t)sizeof value);
    return value;
}

static void on_connected(void *arg)
{
    struct hf_client *client = arg;
    client_core_connected(client->core);
}

static void on_frame(void *arg, struct frame *frame)
{
    struct hf_client *client = arg;
    client->looked = false;
    if (!client->greeted) {
        client->greeted = true;
        stream_established(client->stream);
    }
    client_core_frame(client->core, frame);
}

static void on_ended(void *arg, int err, const char *detail)
{
    struct hf_client *client = arg;
    /* Tell first: the detail may live in the stream. The core cannot connect again before its next tick. */
    client_core_disconnected_because(client->core, err, detail);
    stream_close(client->stream, NULL);
    client->stream = NULL;
}

static void host_connect(void *arg, const char *address)
{
    struct hf_client *client = arg;
    CHECK(client->stream == NULL);
    client->greeted = false;
    client->looked = false;
    /* The core has deadlines of its own; the stream's are far behind them. */
    struct stream_options options = {
        .connect_timeout_ms = 60000, .handshake_timeout_ms = 60000, .stall_timeout_ms = 60000};
    struct stream_events events = {.arg = client, .connected = on_connected, .frame = on_frame, .ended = on_ended};
    int err = stream_new(client->loop, &options, &events, &client->stream);
    if (err == 0) {
        err = stream_connect(client->stream, address);
    }
    client->connect_err = err;
}

static void host_disconnect(void *arg)
{
    struct hf_client *client = arg;
    if (client->stream != NULL) {
        stream_close(client->stream, NULL);
        client->stream = NULL;
    }
    client->connect_err = 0;
}

static void host_send(void *arg, struct frame_out *frame)
{
    struct hf_client *client = arg;
    if (client->stream == NULL) {
        frame_out_done(frame);
        return;
    }
    int err = stream_send(client->stream, frame);
    if (err != 0) {
        client->connect_err = err; /* A frame is missing: the connection is of no use any more. */
    }
}

/* Only what is more than pings and their answers, and what the other host still acknowledges of a long queue: the host of
 * a program that stands still acknowledges short messages for a while. */
static uint64_t host_moved(void *arg)
{
    struct hf_client *client = arg;
    struct stream_movement now = {0};
    if (client->stream != NULL) {
        stream_movement(client->stream, &now);
    }
    const struct stream_movement *before = &client->movement;
    bool received = now.received >= before->received + MOVED_LEN_MIN;
    bool taken = now.acknowledged > before->acknowledged && now.outstanding >= OUTSTANDING_LEN_MIN &&
                 before->outstanding >= OUTSTANDING_LEN_MIN;
    client->moved += client->looked && (received || taken);
    client->looked = true;
    client->movement = now;
    return client->moved;
}

static void host_delivery(void *arg, const struct client_delivery *delivery)
{
    struct hf_client *client = arg;
    client->events.delivery(client->events.arg, delivery);
}

static void host_consumer_ended(void *arg, uint64_t consumer, int err, const char *detail)
{
    struct hf_client *client = arg;
    client->events.consumer_ended(client->events.arg, consumer, err, detail);
}

static void host_lock_ended(void *arg, uint64_t consumer, uint64_t number)
{
    struct hf_client *client = arg;
    if (client->events.lock_ended != NULL) {
        client->events.lock_ended(client->events.arg, consumer, number);
    }
}

static void host_prepared_ask(void *arg, const char *id)
{
    struct hf_client *client = arg;
    if (client->events.prepared_ask != NULL) {
        client->events.prepared_ask(client->events.arg, id);
    }
}

static void host_attached(void *arg, const char *address, uint64_t session)
{
    struct hf_client *client = arg;
    if (client->events.attached != NULL) {
        client->events.attached(client->events.arg, address, session);
    }
}

static void host_trouble(void *arg, const char *detail)
{
    struct hf_client *client = arg;
    if (client->trouble != NULL) {
        client->trouble(client->trouble_arg, detail);
    }
}

static void on_timer(uv_timer_t *timer);

static void timer_set(struct hf_client *client)
{
    uint64_t deadline = client_core_deadline_ms(client->core);
    if (deadline == client->timer_ms) {
        return;
    }
    client->timer_ms = deadline;
    if (deadline == UINT64_MAX) {
        uv_timer_stop(&client->timer);
        return;
    }
    uint64_t now = clock_monotonic_ms(&client->clock);
    uv_update_time(client->loop);
    uv_timer_start(&client->timer, on_timer, deadline > now ? deadline - now : 0, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct hf_client *client = timer->data;
    uint64_t now = clock_monotonic_ms(&client->clock);
    if (!client->read_first && client->timer_ms < now && now - client->timer_ms > LATE_MS) {
        /* libuv calls timers before it reads: a node is not silent because the program has not listened. Not 0 ms: libuv
         * would call us again at once. */
        client->read_first = true;
        uv_timer_start(timer, on_timer, 1, 0);
        return;
    }
    client->read_first = false;
    client->timer_ms = UINT64_MAX;
    client_core_tick(client->core);
    timer_set(client); /* Now: a loop without an active handle would not even prepare to wait. */
}

/* Before the loop waits: tells what failed in this turn, and sets the timer to the core's deadline. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct hf_client *client = prepare->data;
    if (client->connect_err != 0) {
        int err = client->connect_err;
        host_disconnect(client);
        client_core_disconnected(client->core, err);
    }
    timer_set(client);
}

/* Cuts "a,b,c" in place. */
static size_t servers_split(char *list, const char **servers)
{
    size_t len = 0;
    char *rest = NULL;
    for (char *part = strtok_r(list, ", ", &rest); part != NULL && len < SERVERS_MAX;
         part = strtok_r(NULL, ", ", &rest)) {
        servers[len++] = part;
    }
    return len;
}

static int core_new(struct hf_client *client, const struct hf_options *options)
{
    const char *servers[SERVERS_MAX];
    char *list = strdup(options->servers == NULL ? "" : options->servers);
    if (list == NULL) {
        return ERR_NOMEM;
    }
    struct client_core_options core = {
        .servers = servers,
        .servers_len = servers_split(list, servers),
        .client_name = options->client_name,
        .virtual_host = options->virtual_host,
        .user = options->user,
        .lease_ms = options->lease_ms,
        .window = options->window,
        .connect_timeout_ms = options->connect_timeout_ms,
        .silence_timeout_ms = options->silence_timeout_ms,
        .key = options->session_key,
        .query_only = options->query_only,
        .spread = options->spread,
        .clock = &client->clock,
        .host = {.arg = client,
                 .connect = host_connect,
                 .disconnect = host_disconnect,
                 .send = host_send,
                 .moved = host_moved,
                 .trouble = host_trouble,
                 .delivery = host_delivery,
                 .consumer_ended = host_consumer_ended,
                 .lock_ended = host_lock_ended,
                 .prepared_ask = host_prepared_ask,
                 .attached = host_attached},
    };
    int err = 0;
    struct address address;
    for (size_t i = 0; i < core.servers_len && err == 0; i++) {
        err = address_parse(servers[i], &address);
    }
    err = err != 0 ? err : client_core_new(&core, &client->core);
    free(list);
    return err;
}

int hf_client_new(uv_loop_t *loop, const struct hf_options *options, const struct hf_events *events,
                  struct hf_client **ret_client)
{
    struct hf_client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        return ERR_NOMEM;
    }
    client->loop = loop;
    client->events = *events;
    client->trouble = options->trouble;
    client->trouble_arg = options->trouble_arg;
    client->clock =
        (struct clock){.monotonic_ms = clock_monotonic_ms, .wall_ms = clock_wall_ms, .random = clock_random};
    client->timer_ms = UINT64_MAX;
    int err = core_new(client, options);
    if (err != 0) {
        free(client);
        return err;
    }
    /* None of these can fail: they only link a handle into the loop. */
    uv_prepare_init(loop, &client->prepare);
    uv_timer_init(loop, &client->timer);
    client->prepare.data = client;
    client->timer.data = client;
    client->handles = 2;
    uv_prepare_start(&client->prepare, on_prepare);
    uv_unref((uv_handle_t *)&client->prepare);
    uv_timer_start(&client->timer, on_timer, 0, 0);
    *ret_client = client;
    return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct hf_client *client = handle->data;
    if (--client->handles == 0) {
        void (*freed)(void *) = client->freed;
        void *arg = client->freed_arg;
        free(client);
        if (freed != NULL) {
            freed(arg);
        }
    }
}

void hf_client_free(struct hf_client *client, void (*freed)(void *arg), void *arg)
{
    if (client == NULL) {
        return;
    }
    client->freed = freed;
    client->freed_arg = arg;
    client_core_free(client->core); /* Closes the stream, through disconnect(). */
    client->core = NULL;
    host_disconnect(client);
    uv_close((uv_handle_t *)&client->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&client->timer, on_handle_closed);
}

struct client_core *hf_client_core(struct hf_client *client)
{
    return client->core;
}
