/* holdfast queue show: what is known of one queue, and how fast it changes. */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "commands.h"
#include "json.h"
#include "queue_options.h"

#define INTERVAL_SECONDS_MAX 3600u

static const char help[] =
    "Usage: holdfast queue show QUEUE [--interval SECONDS] [--json]\n"
    "\n"
    "Shows how many messages a queue holds (ready; locked: out with consumers; waiting: to be delivered again "
    "later), its\n"
    "consumers, the age of the oldest ready message, counters since it was declared, and their rates: looks twice; "
    "and its options.\n"
    "\n"
    "  --interval S   seconds between the two looks (default: 1; 0: looks once, and shows no rates)\n"
    "  --json         prints one JSON object\n"
    "\n"
    "Example: holdfast queue show jobs --interval 5\n";

#define TEXT_LEN 512u /* A name, a key or a note, with room to spare. */

/* One look. */
struct look {
    struct client_queue queue; /* Its name is void. */
    char texts[3][TEXT_LEN];   /* Of its options. */
    uint64_t taken_ns;
};

struct rates {
    double seconds; /* 0: not known. */
    double enqueued;
    double delivered;
    double settled;
    double released;
};

static void on_queue(void *arg, const struct client_queue *queue)
{
    struct look *look = arg;
    look->queue = *queue;
    const char **texts[] = {&look->queue.options.note, &look->queue.options.dead_letter_exchange,
                            &look->queue.options.dead_letter_key};
    for (unsigned i = 0; i < 3; i++) {
        snprintf(look->texts[i], TEXT_LEN, "%s", *texts[i] == NULL ? "" : *texts[i]);
        *texts[i] = look->texts[i];
    }
    look->taken_ns = uv_hrtime();
}

/* Counters begin anew when the queue was deleted and declared in between. */
static double rate(uint64_t before, uint64_t after, double seconds)
{
    return after > before ? (double)(after - before) / seconds : 0;
}

static struct rates rates_of(const struct look *before, const struct look *after)
{
    double seconds = (double)(after->taken_ns - before->taken_ns) / 1e9;
    return (struct rates){.seconds = seconds,
                          .enqueued = rate(before->queue.enqueued, after->queue.enqueued, seconds),
                          .delivered = rate(before->queue.delivered, after->queue.delivered, seconds),
                          .settled = rate(before->queue.settled, after->queue.settled, seconds),
                          .released = rate(before->queue.released, after->queue.released, seconds)};
}

/* In log time, as of which the answer is: nobody's wall clock is asked. */
static uint64_t oldest_age_ms(const struct client_queue *queue)
{
    return queue->log_time_ms > queue->oldest_ms ? queue->log_time_ms - queue->oldest_ms : 0;
}

static void counter_print(const char *name, uint64_t count, double per_second, const struct rates *rates)
{
    printf("  %-10s %12llu", name, (unsigned long long)count);
    if (rates->seconds > 0) {
        printf(" %14.1f/s", per_second);
    }
    putchar('\n');
}

static void text_print(const char *name, const struct client_queue *queue, const struct rates *rates)
{
    printf("queue %s\n", name);
    printf("  %-10s %12llu\n", "depth", (unsigned long long)(queue->ready + queue->unsettled + queue->waiting));
    printf("  %-10s %12llu\n", "ready", (unsigned long long)queue->ready);
    printf("  %-10s %12llu\n", "locked", (unsigned long long)queue->unsettled);
    printf("  %-10s %12u\n", "consumers", queue->consumers);
    if (queue->oldest_ms == 0) {
        printf("  %-10s %12s\n", "oldest", "-");
    } else {
        printf("  %-10s %11.1fs\n", "oldest", (double)oldest_age_ms(queue) / 1000);
    }
    counter_print("enqueued", queue->enqueued, rates->enqueued, rates);
    counter_print("delivered", queue->delivered, rates->delivered, rates);
    counter_print("settled", queue->settled, rates->settled, rates);
    counter_print("released", queue->released, rates->released, rates);
}

static void json_print(const char *name, const struct client_queue *queue, const struct rates *rates)
{
    printf("{\"name\": ");
    json_string(stdout, name, strlen(name));
    printf(", \"depth\": %llu, \"ready\": %llu, \"locked\": %llu, \"consumers\": %u, \"oldest_age_ms\": ",
           (unsigned long long)(queue->ready + queue->unsettled + queue->waiting), (unsigned long long)queue->ready,
           (unsigned long long)queue->unsettled, queue->consumers);
    if (queue->oldest_ms == 0) {
        printf("null");
    } else {
        printf("%llu", (unsigned long long)oldest_age_ms(queue));
    }
    printf(", \"log_time_ms\": %llu, \"enqueued\": %llu, \"delivered\": %llu, \"settled\": %llu, \"released\": %llu",
           (unsigned long long)queue->log_time_ms, (unsigned long long)queue->enqueued,
           (unsigned long long)queue->delivered, (unsigned long long)queue->settled,
           (unsigned long long)queue->released);
    queue_options_json(queue);
    if (rates->seconds > 0) {
        printf(", \"rates\": {\"seconds\": %.3f, \"enqueued\": %.3f, \"delivered\": %.3f, \"settled\": %.3f, "
               "\"released\": %.3f}",
               rates->seconds, rates->enqueued, rates->delivered, rates->settled, rates->released);
    }
    printf("}\n");
}

static int show(const struct cli *cli, const char *name, uint64_t interval_s, bool json)
{
    struct hf *hf;
    int exit_code = cli_open_query(cli, &hf);
    if (exit_code != 0) {
        return exit_code;
    }
    struct look first = {0};
    struct look second = {0};
    const struct look *last = &first;
    struct rates rates = {0};
    int err = hf_queue(hf, name, cli->timeout_ms, on_queue, &first);
    if (err == 0 && interval_s > 0) {
        sleep((unsigned)interval_s);
        err = hf_queue(hf, name, cli->timeout_ms, on_queue, &second);
        rates = rates_of(&first, &second);
        last = &second;
    }
    if (err != 0) {
        exit_code = cli_fail(name, err, err == ERR_NOT_FOUND ? "no such queue" : hf_error_detail(hf));
    } else if (json) {
        json_print(name, &last->queue, &rates);
    } else {
        text_print(name, &last->queue, &rates);
        queue_options_print(&last->queue);
    }
    (void)hf_close(hf, 0);
    return exit_code;
}

int cmd_queue_show(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {
        {"interval", required_argument, NULL, 1}, {"json", no_argument, NULL, 2}, CLI_OPTIONS};
    uint64_t interval_s = 1;
    bool json = false;
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        int result = 0;
        switch (option) {
        case 1: result = cli_number("--interval", optarg, 0, INTERVAL_SECONDS_MAX, &interval_s); break;
        case 2: json = true; break;
        default: result = cli_option(cli, option, help); break;
        }
        if (result != 0) {
            return cli_option_exit(result);
        }
    }
    if (argc - optind != 1) {
        return cli_usage("queue show takes the name of a queue", help);
    }
    return show(cli, argv[optind], interval_s, json);
}
