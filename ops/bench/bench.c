/* holdfast bench: prepares, runs, drains, reports and cleans up. */

#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "commands.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

/* The loop wakes this often: to a schedule; and for those that have paused, and for limits of time. */
#define TICK_SCHEDULE_MS 1u
#define TICK_MS 10u

/* Without a delivery for so long, what is missing is lost. */
#define QUIET_NS (10 * NS_PER_S)
#define CLOSE_NS (5 * NS_PER_S)

void bench_note(struct bench *bench, int err, const char *detail)
{
    if (bench->err == 0) {
        bench->err = err;
        snprintf(bench->detail, sizeof bench->detail, "%s", detail[0] == '\0' ? err_text(err) : detail);
    }
}

void bench_side_count(struct bench_side *side, uint64_t now_ns, uint64_t messages, uint64_t bytes)
{
    if (side->last_ns != 0 && now_ns - side->last_ns > side->gap_ns) {
        side->gap_ns = now_ns - side->last_ns;
    }
    side->last_ns = now_ns;
    side->messages += messages;
    side->bytes += bytes;
}

void bench_attached(struct bench *bench, bool first)
{
    bench->attached += first;
    bench->reconnected += !first;
}

static void on_check(uv_check_t *check)
{
    struct bench *bench = check->data;
    bench_consumers_settle(bench);
    bench_producers_fill(bench);
}

/* It only wakes the loop: what is due is done at the end of the turn. */
static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

static void on_second(uv_timer_t *timer)
{
    struct bench *bench = timer->data;
    if (bench->started && (bench->options.progress || (isatty(STDERR_FILENO) && !bench->options.json))) {
        bench_report_progress(bench);
    }
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct bench *bench = handle->data;
    (void)number;
    bench->interrupts++;
    bench->stopping = true;
}

/* Turns the loop until `done` says so, or until the time is up, or somebody interrupts for the second time. */
static bool run_until(struct bench *bench, bool (*done)(struct bench *bench), uint64_t limit_ns)
{
    uint64_t start = uv_hrtime();
    while (!done(bench)) {
        if (uv_hrtime() - start >= limit_ns || bench->interrupts > 1) {
            return false;
        }
        uv_run(&bench->loop, UV_RUN_ONCE);
    }
    return true;
}

static bool all_attached(struct bench *bench)
{
    return bench->attached == bench->producers_len + bench->consumers_len || bench->stopping;
}

static bool all_subscribed(struct bench *bench)
{
    return bench->subscribed == bench->consumers_len || bench->stopping;
}

static bool run_ended(struct bench *bench)
{
    if (uv_hrtime() >= bench->stop_ns) {
        bench->stopping = true;
    }
    if (bench_produces(bench)) {
        return bench_producers_done(bench);
    }
    return bench->stopping || (bench->options.count > 0 && bench->out.messages >= bench->options.count);
}

static bool all_delivered(struct bench *bench)
{
    return bench->checks.missing == 0 || bench->interrupts > 0 || uv_hrtime() - bench->out.last_ns > QUIET_NS;
}

static bool all_settled(struct bench *bench)
{
    return bench->settling == 0;
}

static bool all_closed(struct bench *bench)
{
    return bench->open == 0;
}

static void on_closed(void *arg, const struct client_reply *reply)
{
    struct bench *bench = arg;
    (void)reply;
    bench->open--;
}

/* Many clients are many descriptors: takes what the system allows. */
static void descriptors_raise(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void handles_open(struct bench *bench)
{
    uint64_t tick_ms = bench->options.rate > 0 ? TICK_SCHEDULE_MS : TICK_MS;
    uv_check_init(&bench->loop, &bench->check);
    uv_timer_init(&bench->loop, &bench->tick);
    uv_timer_init(&bench->loop, &bench->second);
    uv_signal_init(&bench->loop, &bench->interrupt);
    uv_signal_init(&bench->loop, &bench->terminate);
    bench->check.data = bench->tick.data = bench->second.data = bench;
    bench->interrupt.data = bench->terminate.data = bench;
    uv_check_start(&bench->check, on_check);
    uv_timer_start(&bench->tick, on_tick, tick_ms, tick_ms);
    uv_timer_start(&bench->second, on_second, 1000, 1000);
    (void)uv_signal_start(&bench->interrupt, on_signal, SIGINT);
    (void)uv_signal_start(&bench->terminate, on_signal, SIGTERM);
}

static void handles_close(struct bench *bench)
{
    uv_close((uv_handle_t *)&bench->check, NULL);
    uv_close((uv_handle_t *)&bench->tick, NULL);
    uv_close((uv_handle_t *)&bench->second, NULL);
    uv_close((uv_handle_t *)&bench->interrupt, NULL);
    uv_close((uv_handle_t *)&bench->terminate, NULL);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
}

static int clients_open(struct bench *bench)
{
    struct hf_options options = {.servers = bench->servers,
                                 .client_name = "holdfast bench",
                                 .window = SESSION_WINDOW_MAX,
                                 .spread = bench->options.spread};
    int err = bench_check_init(&bench->checks, (uint32_t)bench->options.producers);
    if (err == 0 && bench_produces(bench)) {
        err = bench_producers_open(bench, &options);
    }
    if (err == 0 && bench_consumes(bench)) {
        err = bench_consumers_open(bench, &options);
    }
    if (err == ERR_INVALID) {
        fprintf(stderr, "holdfast: --servers takes host:port,host:port..., not \"%s\"\n", bench->cli->servers);
        return EXIT_USAGE;
    }
    return err == 0 ? 0 : cli_fail("bench", err, NULL);
}

static void start(struct bench *bench)
{
    bench_processes_start(&bench->processes);
    bench->cpu_ms = bench_process_own_ms();
    bench->start_ns = bench->in.last_ns = bench->out.last_ns = uv_hrtime();
    uint64_t seconds = bench->options.seconds;
    if (seconds > 0) {
        /* To a schedule, the end is when all that was due by then is answered: the messages are counted. */
        uint64_t late_ms = bench->options.count > 0 ? bench->cli->timeout_ms : 0;
        bench->stop_ns = bench->start_ns + seconds * NS_PER_S + late_ms * NS_PER_MS;
    }
    bench->started = true;
    bench_producers_fill(bench);
}

static int not_ready(const struct bench *bench, const char *what)
{
    fprintf(stderr, "holdfast: bench: %s: %s\n", what, bench->err != 0 ? bench->detail : "no answer in time");
    return EXIT_UNSURE;
}

/* Clients are attached and subscribed, and the clock runs. What is consumed alone may arrive at once. */
static int clients_ready(struct bench *bench)
{
    uint64_t limit_ns = bench->cli->timeout_ms * NS_PER_MS;
    if (!run_until(bench, all_attached, limit_ns)) {
        return not_ready(bench, "not all clients found a node");
    }
    if (!bench_produces(bench)) {
        start(bench);
    }
    int err = bench_consumers_subscribe(bench);
    if (err != 0) {
        return cli_fail("bench", err, NULL);
    }
    if (!run_until(bench, all_subscribed, limit_ns) || bench->failed > 0) {
        return not_ready(bench, "not all consumers could subscribe");
    }
    if (bench_produces(bench)) {
        start(bench);
    }
    return bench->stopping ? EXIT_UNSURE : 0;
}

static void measure(struct bench *bench)
{
    uint64_t drain_ns = bench->cli->timeout_ms * NS_PER_MS + CLOSE_NS; /* By then commands have run out of time. */
    (void)run_until(bench, run_ended, UINT64_MAX);
    if (bench_produces(bench) && bench_consumes(bench)) {
        bench->out.last_ns = bench->out.messages == 0 ? uv_hrtime() : bench->out.last_ns;
        (void)run_until(bench, all_delivered, UINT64_MAX);
    }
    bench->cpu_ms = bench_process_own_ms() - bench->cpu_ms;
    bench_processes_end(&bench->processes);
    bench->started = false;
    (void)run_until(bench, all_settled, drain_ns);
}

static void clients_close(struct bench *bench)
{
    bench_producers_close(bench, on_closed);
    bench_consumers_close(bench, on_closed);
    (void)run_until(bench, all_closed, CLOSE_NS);
    bench_producers_free(bench);
    bench_consumers_free(bench);
}

static int verdict(const struct bench *bench)
{
    const struct bench_check *checks = &bench->checks;
    bool whole = bench->interrupts == 0 && bench_produces(bench) && bench_consumes(bench);
    if ((whole && checks->missing > 0) || checks->duplicates > 0 || checks->disordered > 0 || checks->damaged > 0) {
        return EXIT_REFUSED;
    }
    return bench->in.messages + bench->out.messages == 0 ? EXIT_UNSURE : EXIT_DONE;
}

static int bench_run(struct bench *bench)
{
    if (uv_loop_init(&bench->loop) != 0) {
        return cli_fail("bench", ERR_SYSTEM, NULL);
    }
    handles_open(bench);
    int exit_code = clients_open(bench);
    if (exit_code == 0) {
        exit_code = clients_ready(bench);
    }
    if (exit_code == 0) {
        measure(bench);
        bench_report_end(bench);
        exit_code = verdict(bench);
    }
    bench->started = false;
    clients_close(bench);
    handles_close(bench);
    (void)uv_loop_close(&bench->loop);
    return exit_code;
}

int cmd_bench(struct cli *cli, int argc, char **argv)
{
    struct bench *bench = calloc(1, sizeof *bench);
    if (bench == NULL || getrandom(&bench->run, sizeof bench->run, 0) != (ssize_t)sizeof bench->run) {
        free(bench);
        return cli_fail("bench", ERR_SYSTEM, NULL);
    }
    bench->cli = cli;
    bench->stop_ns = UINT64_MAX;
    snprintf(bench->name, sizeof bench->name, "bench-%08llx", (unsigned long long)(bench->run & 0xffffffffu));
    int exit_code = bench_options_read(bench, cli, argc, argv);
    if (exit_code != 0) {
        exit_code = cli_option_exit(exit_code);
        goto out;
    }
    descriptors_raise();
    exit_code = bench_cluster_prepare(bench);
    if (exit_code == 0) {
        exit_code = bench_run(bench);
        int clean_exit_code = bench_cluster_clean(bench);
        exit_code = exit_code == 0 ? clean_exit_code : exit_code;
    }
out:
    bench_check_done(&bench->checks);
    free(bench->servers);
    free(bench->producers);
    free(bench->consumers);
    free(bench->scratch);
    free(bench);
    return exit_code;
}
