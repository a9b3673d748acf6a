/* What a run has shown: a table, or JSON; and a line a second while it lasts. */

#include <stdio.h>
#include <string.h>

#include "bench.h"

static const double quantiles[] = {0.5, 0.9, 0.99, 0.999, 1};
static const char *const quantile_names[] = {"p50", "p90", "p99", "p99.9", "max"};
#define QUANTILES (sizeof quantiles / sizeof quantiles[0])

static double seconds_of(const struct bench *bench, const struct bench_side *side)
{
    return side->last_ns > bench->start_ns ? (double)(side->last_ns - bench->start_ns) / 1e9 : 0;
}

static double per_second(const struct bench *bench, const struct bench_side *side, uint64_t count)
{
    double seconds = seconds_of(bench, side);
    return seconds > 0 ? (double)count / seconds : 0;
}

/* Confirmed and not delivered. Nobody can say so when the run was interrupted. */
static uint64_t lost(const struct bench *bench)
{
    return bench_produces(bench) && bench->interrupts == 0 ? bench->checks.missing : 0;
}

/* Messages that the brokers' cost is shared by. */
static double millions(const struct bench *bench)
{
    return (double)(bench_produces(bench) ? bench->in.messages : bench->out.messages) / 1e6;
}

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

void bench_report_progress(struct bench *bench)
{
    uint64_t now = uv_hrtime();
    uint64_t since = bench->shown_ns == 0 ? bench->start_ns : bench->shown_ns;
    double seconds = (double)(now - since) / 1e9;
    fprintf(stderr,
            "%5.0f s: %9.0f confirmed/s, %9.0f delivered/s, %llu unconfirmed, %llu not delivered, %llu refused, "
            "%llu unknown\n",
            (double)(now - bench->start_ns) / 1e9, (double)(bench->in.messages - bench->shown_in) / seconds,
            (double)(bench->out.messages - bench->shown_out) / seconds, (unsigned long long)bench->in_flight,
            (unsigned long long)(bench_produces(bench) && bench_consumes(bench) ? bench->checks.missing : 0),
            (unsigned long long)bench->refused, (unsigned long long)bench->unknown);
    bench->shown_ns = now;
    bench->shown_in = bench->in.messages;
    bench->shown_out = bench->out.messages;
}

static void side_print(const struct bench *bench, const char *name, const struct bench_side *side)
{
    printf("%-12s %12llu %10.2f %12.0f %10.2f\n", name, (unsigned long long)side->messages, seconds_of(bench, side),
           per_second(bench, side, side->messages), per_second(bench, side, side->bytes) / 1e6);
}

static void latency_print(const char *name, const struct bench_side *side)
{
    printf("%-12s", name);
    for (unsigned i = 0; i < QUANTILES; i++) {
        if (side->latency.count == 0) {
            printf(" %9s", "-");
        } else {
            printf(" %9.2f", ms(histogram_quantile(&side->latency, quantiles[i])));
        }
    }
    printf(" %12.1f\n", ms(side->gap_ns));
}

static void processes_print(const struct bench *bench)
{
    double total_ms = 0;
    for (unsigned i = 0; i < bench->processes.len; i++) {
        const struct bench_process *process = &bench->processes.list[i];
        if (process->cpu_ms == UINT64_MAX) {
            printf("broker %llu: gone\n", (unsigned long long)process->pid);
            continue;
        }
        total_ms += (double)process->cpu_ms;
        printf("broker %llu: %.2f s of processor, %.1f MiB of memory\n", (unsigned long long)process->pid,
               (double)process->cpu_ms / 1e3, (double)process->rss_len / (double)MIB);
    }
    if (bench->processes.len > 0 && millions(bench) > 0) {
        printf("brokers together: %.2f s of processor for a million messages\n", total_ms / 1e3 / millions(bench));
    }
}

static void table_print(const struct bench *bench)
{
    printf("%-12s %12s %10s %12s %10s\n", "", "MESSAGES", "SECONDS", "MSG/S", "MB/S");
    if (bench_produces(bench)) {
        side_print(bench, "confirmed", &bench->in);
    }
    if (bench_consumes(bench)) {
        side_print(bench, "delivered", &bench->out);
    }
    printf("%-12s", "ms");
    for (unsigned i = 0; i < QUANTILES; i++) {
        printf(" %9s", quantile_names[i]);
    }
    printf(" %12s\n", "LONGEST GAP");
    if (bench_produces(bench)) {
        latency_print("confirm", &bench->in);
    }
    if (bench_consumes(bench)) {
        latency_print("end to end", &bench->out);
    }
    printf("refused %llu, unknown %llu, failed %llu, repeated %llu, stale %llu, reconnected %llu\n",
           (unsigned long long)bench->refused, (unsigned long long)bench->unknown, (unsigned long long)bench->failed,
           (unsigned long long)bench->repeated, (unsigned long long)bench->stale,
           (unsigned long long)bench->reconnected);
    if (bench_consumes(bench)) {
        const struct bench_check *checks = &bench->checks;
        printf("lost %llu, duplicate %llu, out of order %llu, damaged %llu, redelivered %llu, foreign %llu\n",
               (unsigned long long)lost(bench), (unsigned long long)checks->duplicates,
               (unsigned long long)checks->disordered, (unsigned long long)checks->damaged,
               (unsigned long long)checks->redelivered, (unsigned long long)checks->foreign);
    }
    printf("this program: %.2f s of processor\n", (double)bench->cpu_ms / 1e3);
    processes_print(bench);
}

static void side_json(const struct bench *bench, const char *name, const struct bench_side *side)
{
    printf("\"%s\": {\"messages\": %llu, \"seconds\": %.3f, \"per_second\": %.1f, \"megabytes_per_second\": %.3f, "
           "\"latency_ms\": {",
           name, (unsigned long long)side->messages, seconds_of(bench, side), per_second(bench, side, side->messages),
           per_second(bench, side, side->bytes) / 1e6);
    for (unsigned i = 0; i < QUANTILES; i++) {
        printf("\"%s\": %.4f, ", quantile_names[i], ms(histogram_quantile(&side->latency, quantiles[i])));
    }
    printf("\"count\": %llu}, \"longest_gap_ms\": %.3f}, ", (unsigned long long)side->latency.count, ms(side->gap_ns));
}

static void processes_json(const struct bench *bench)
{
    double total_ms = 0;
    printf(", \"brokers\": [");
    for (unsigned i = 0; i < bench->processes.len; i++) {
        const struct bench_process *process = &bench->processes.list[i];
        printf("%s{\"pid\": %llu, ", i == 0 ? "" : ", ", (unsigned long long)process->pid);
        if (process->cpu_ms == UINT64_MAX) {
            printf("\"gone\": true}");
            continue;
        }
        total_ms += (double)process->cpu_ms;
        printf("\"cpu_seconds\": %.3f, \"rss_bytes\": %llu}", (double)process->cpu_ms / 1e3,
               (unsigned long long)process->rss_len);
    }
    printf("]");
    if (bench->processes.len > 0 && millions(bench) > 0) {
        printf(", \"cpu_seconds_per_million\": %.3f", total_ms / 1e3 / millions(bench));
    }
}

static void json_print(const struct bench *bench)
{
    static const char *const modes[] = {"publish", "consume", "both", "latency"};
    const struct bench_options *options = &bench->options;
    const struct bench_check *checks = &bench->checks;
    printf("{\"mode\": \"%s\", \"queues\": %llu, \"producers\": %llu, \"consumers\": %llu, \"size\": %llu, "
           "\"window\": %llu, \"rate\": %llu, ",
           modes[options->mode], (unsigned long long)options->queues,
           (unsigned long long)(bench_produces(bench) ? options->producers : 0),
           (unsigned long long)(bench_consumes(bench) ? options->consumers : 0), (unsigned long long)options->size,
           (unsigned long long)options->window, (unsigned long long)options->rate);
    if (bench_produces(bench)) {
        side_json(bench, "confirmed", &bench->in);
    }
    if (bench_consumes(bench)) {
        side_json(bench, "delivered", &bench->out);
        printf("\"lost\": %llu, \"duplicate\": %llu, \"out_of_order\": %llu, \"damaged\": %llu, \"redelivered\": %llu, "
               "\"foreign\": %llu, ",
               (unsigned long long)lost(bench), (unsigned long long)checks->duplicates,
               (unsigned long long)checks->disordered, (unsigned long long)checks->damaged,
               (unsigned long long)checks->redelivered, (unsigned long long)checks->foreign);
    }
    printf("\"refused\": %llu, \"unknown\": %llu, \"failed\": %llu, \"repeated\": %llu, \"stale\": %llu, "
           "\"reconnected\": %llu, \"client_cpu_seconds\": %.3f",
           (unsigned long long)bench->refused, (unsigned long long)bench->unknown, (unsigned long long)bench->failed,
           (unsigned long long)bench->repeated, (unsigned long long)bench->stale,
           (unsigned long long)bench->reconnected, (double)bench->cpu_ms / 1e3);
    processes_json(bench);
    puts("}");
}

void bench_report_end(const struct bench *bench)
{
    if (bench->options.json) {
        json_print(bench);
    } else {
        table_print(bench);
    }
    if (bench->err != 0) {
        fprintf(stderr, "holdfast: bench: the first error: %s\n", bench->detail);
    }
}
