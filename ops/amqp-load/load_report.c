/* What came of it. */

#include <stdio.h>

#include "load.h"

static double ms(const struct histogram *histogram, double quantile)
{
    return (double)histogram_quantile(histogram, quantile) * 1e-6;
}

static uint64_t missing(const struct load *load)
{
    bool all_consumed = load->options.consumers > 0 && load->options.producers > 0;
    return all_consumed && load->distinct < load->confirmed ? load->confirmed - load->distinct : 0;
}

void load_report(const struct load *load)
{
    double seconds = (double)(load->end_ns - load->start_ns) * 1e-9;
    double in = (double)load->confirmed_in_time / seconds;
    double out = (double)load->delivered_in_time / seconds;
    if (load->options.json) {
        (void)printf("{\"seconds\":%.3f,\"confirmed\":%llu,\"confirmed_per_second\":%.1f,\"confirm_ms\":{\"p50\":%.3f,"
                     "\"p99\":%.3f,\"max\":%.3f},"
                     "\"longest_gap_ms\":%.1f,\"delivered\":%llu,\"delivered_per_second\":%.1f,\"delivery_ms\":{"
                     "\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f},"
                     "\"repeated\":%llu,\"missing\":%llu}\n",
                     seconds, (unsigned long long)load->confirmed, in, ms(&load->confirm, 0.5),
                     ms(&load->confirm, 0.99), ms(&load->confirm, 1), (double)load->gap_ns * 1e-6,
                     (unsigned long long)load->delivered, out, ms(&load->delivery, 0.5), ms(&load->delivery, 0.99),
                     ms(&load->delivery, 1), (unsigned long long)load->repeated, (unsigned long long)missing(load));
        return;
    }
    (void)printf("%-10s %12s %10s %9s %9s\n", "", "MESSAGES", "PER S", "P50 MS", "P99 MS");
    (void)printf("%-10s %12llu %10.0f %9.2f %9.2f\n", "confirmed", (unsigned long long)load->confirmed, in,
                 ms(&load->confirm, 0.5), ms(&load->confirm, 0.99));
    (void)printf("%-10s %12llu %10.0f %9.2f %9.2f\n", "delivered", (unsigned long long)load->delivered, out,
                 ms(&load->delivery, 0.5), ms(&load->delivery, 0.99));
    (void)printf("came twice: %llu; confirmed and missing: %llu\n", (unsigned long long)load->repeated,
                 (unsigned long long)missing(load));
}
