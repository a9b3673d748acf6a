/* holdfast queue declare|change: queues with options. */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "duration.h"

static const char help[] =
    "Usage: holdfast queue declare QUEUE [OPTIONS] | change QUEUE OPTIONS\n"
    "\n"
    "Declare makes a queue, or finds it there with the same options; with others it is refused. Change sets those "
    "options of a\n"
    "queue that are given, and leaves the others.\n"
    "\n"
    "When it is declared only:\n"
    "  --priority N              priorities from 0 to N, at most 255; higher ones are delivered first\n"
    "  --group                   messages of one group are delivered one at a time, in order\n"
    "  --single-active           one consumer at a time is given messages\n"
    "  --auto-delete             goes with its last consumer, if it had one\n"
    "  --passive                 never make it: says whether it is there\n"
    "Also to be changed, where `none` takes a limit or a time off:\n"
    "  --expires TIME            goes when it has not been used for so long\n"
    "  --ttl TIME                messages expire after so long\n"
    "  --max-length N            ready messages\n"
    "  --max-bytes N             of the bodies of ready messages\n"
    "  --overflow WHAT           above these: drop-oldest (the default), reject or reject-dead-letter\n"
    "  --dead-letter QUEUE       dead letters go to this queue,\n"
    "  --dead-letter-exchange E  or to this exchange,\n"
    "  --dead-letter-key KEY     with this key instead of their own\n"
    "  --max-deliveries N        delivered and come back so often, a message is a dead letter\n"
    "  --redelivery-delay TIME   before a message is delivered again: always the same, or\n"
    "  --redelivery-delay-max TIME  doubled each time, up to this\n"
    "  --lock TIME               a delivery that is not settled for so long goes back\n"
    "  --keep TIME               settled messages can be looked at and replayed for so long\n"
    "  --keep-life TIME          what became of messages can be looked at for so long\n"
    "  --id-window TIME          a message id is not taken twice within it\n"
    "Likewise; but of a queue that is there declare leaves these three as they are, whatever they are, and says "
    "nothing:\n"
    "  --paused yes|no           nothing is delivered\n"
    "  --protected yes|no        queue delete and queue purge are refused\n"
    "  --note TEXT               for people\n"
    "\n"
    "TIME is such as 250ms, 30s, 5m, 2h or 7d; a number alone is milliseconds.\n"
    "\n"
    "Example: holdfast queue declare jobs --ttl 1h --max-deliveries 5 --dead-letter jobs-dead\n";

enum {
    DECLARE_PRIORITY = 1,
    DECLARE_GROUP,
    DECLARE_SINGLE_ACTIVE,
    DECLARE_AUTO_DELETE,
    DECLARE_PASSIVE,
    DECLARE_EXPIRES,
    DECLARE_TTL,
    DECLARE_MAX_LENGTH,
    DECLARE_MAX_BYTES,
    DECLARE_OVERFLOW,
    DECLARE_DEAD_LETTER,
    DECLARE_DEAD_LETTER_EXCHANGE,
    DECLARE_DEAD_LETTER_KEY,
    DECLARE_MAX_DELIVERIES,
    DECLARE_REDELIVERY_DELAY,
    DECLARE_REDELIVERY_DELAY_MAX,
    DECLARE_LOCK,
    DECLARE_KEEP,
    DECLARE_KEEP_LIFE,
    DECLARE_ID_WINDOW,
    DECLARE_PAUSED,
    DECLARE_PROTECTED,
    DECLARE_NOTE,
};

static const struct option options[] = {{"priority", required_argument, NULL, DECLARE_PRIORITY},
                                        {"group", no_argument, NULL, DECLARE_GROUP},
                                        {"single-active", no_argument, NULL, DECLARE_SINGLE_ACTIVE},
                                        {"auto-delete", no_argument, NULL, DECLARE_AUTO_DELETE},
                                        {"passive", no_argument, NULL, DECLARE_PASSIVE},
                                        {"expires", required_argument, NULL, DECLARE_EXPIRES},
                                        {"ttl", required_argument, NULL, DECLARE_TTL},
                                        {"max-length", required_argument, NULL, DECLARE_MAX_LENGTH},
                                        {"max-bytes", required_argument, NULL, DECLARE_MAX_BYTES},
                                        {"overflow", required_argument, NULL, DECLARE_OVERFLOW},
                                        {"dead-letter", required_argument, NULL, DECLARE_DEAD_LETTER},
                                        {"dead-letter-exchange", required_argument, NULL, DECLARE_DEAD_LETTER_EXCHANGE},
                                        {"dead-letter-key", required_argument, NULL, DECLARE_DEAD_LETTER_KEY},
                                        {"max-deliveries", required_argument, NULL, DECLARE_MAX_DELIVERIES},
                                        {"redelivery-delay", required_argument, NULL, DECLARE_REDELIVERY_DELAY},
                                        {"redelivery-delay-max", required_argument, NULL, DECLARE_REDELIVERY_DELAY_MAX},
                                        {"lock", required_argument, NULL, DECLARE_LOCK},
                                        {"keep", required_argument, NULL, DECLARE_KEEP},
                                        {"keep-life", required_argument, NULL, DECLARE_KEEP_LIFE},
                                        {"id-window", required_argument, NULL, DECLARE_ID_WINDOW},
                                        {"paused", required_argument, NULL, DECLARE_PAUSED},
                                        {"protected", required_argument, NULL, DECLARE_PROTECTED},
                                        {"note", required_argument, NULL, DECLARE_NOTE},
                                        CLI_OPTIONS};

#define FIELDS_MAX 32u
_Static_assert(DECLARE_NOTE - DECLARE_EXPIRES < FIELDS_MAX, "each option can be given");

struct declare {
    struct client_queue_options options;
    enum client_queue_option fields[FIELDS_MAX]; /* That were given, of those that can be changed. */
    size_t fields_len;
    bool to_queue;    /* --dead-letter was given, */
    bool to_exchange; /* or --dead-letter-exchange. */
    bool fixed;       /* One that cannot be changed was given, */
    bool any;         /* or any at all. */
    bool passive;
};

static void field_add(struct declare *declare, enum client_queue_option field)
{
    for (size_t i = 0; i < declare->fields_len; i++) {
        if (declare->fields[i] == field) {
            return; /* The last one that was given counts. */
        }
    }
    declare->fields[declare->fields_len++] = field;
}

static bool is_none(const char *text)
{
    return strcmp(text, "none") == 0;
}

static int take_time(struct declare *declare, enum client_queue_option field, const char *name, uint64_t *ret_ms)
{
    field_add(declare, field);
    *ret_ms = 0;
    return is_none(optarg) ? 0 : cli_duration(name, optarg, ret_ms);
}

static int take_number(struct declare *declare, enum client_queue_option field, const char *name, uint64_t *ret_number)
{
    field_add(declare, field);
    *ret_number = 0;
    return is_none(optarg) ? 0 : cli_number(name, optarg, 0, UINT64_MAX, ret_number);
}

static int take_flag(struct declare *declare, enum client_queue_option field, const char *name, bool *ret_flag)
{
    field_add(declare, field);
    *ret_flag = strcmp(optarg, "yes") == 0;
    if (!*ret_flag && strcmp(optarg, "no") != 0) {
        fprintf(stderr, "holdfast: %s takes yes or no, not \"%s\"\n", name, optarg);
        return EXIT_USAGE;
    }
    return 0;
}

static int take_overflow(struct declare *declare)
{
    static const char *const words[] = {"drop-oldest", "reject", "reject-dead-letter"};
    field_add(declare, CLIENT_OPTION_OVERFLOW);
    for (unsigned i = 0; i < 3; i++) {
        if (strcmp(optarg, words[i]) == 0) {
            declare->options.overflow = (enum client_overflow)i;
            return 0;
        }
    }
    return cli_usage("--overflow takes drop-oldest, reject or reject-dead-letter", help);
}

static int take_fixed(struct declare *declare, int option)
{
    uint64_t number = 0;
    int result = 0;
    declare->fixed = true;
    switch (option) {
    case DECLARE_PRIORITY:
        result = cli_number("--priority", optarg, 0, 255, &number);
        declare->options.max_priority = (uint32_t)number;
        break;
    case DECLARE_GROUP: declare->options.groups = true; break;
    case DECLARE_SINGLE_ACTIVE: declare->options.single_active = true; break;
    case DECLARE_AUTO_DELETE: declare->options.auto_delete = true; break;
    default: declare->passive = true; break;
    }
    return result;
}

/* A dead letter goes to a queue through the default exchange, with its name for a key. */
static void take_dead_letter(struct declare *declare, bool to_queue)
{
    struct client_queue_options *wanted = &declare->options;
    declare->to_queue = declare->to_queue || to_queue;
    declare->to_exchange = declare->to_exchange || !to_queue;
    wanted->has_dead_letter = !is_none(optarg);
    wanted->dead_letter_exchange = to_queue || is_none(optarg) ? "" : optarg;
    field_add(declare, CLIENT_OPTION_DEAD_LETTER_EXCHANGE);
    if (to_queue) {
        wanted->dead_letter_key = is_none(optarg) ? "" : optarg;
        wanted->has_dead_letter_key = !is_none(optarg);
        field_add(declare, CLIENT_OPTION_DEAD_LETTER_KEY);
    }
}

static int take_text_or_limit(struct declare *declare, int option)
{
    struct client_queue_options *wanted = &declare->options;
    switch (option) {
    case DECLARE_TTL:
        wanted->has_ttl = !is_none(optarg);
        return take_time(declare, CLIENT_OPTION_TTL, "--ttl", &wanted->ttl_ms);
    case DECLARE_MAX_LENGTH:
        wanted->has_max_length = !is_none(optarg);
        return take_number(declare, CLIENT_OPTION_MAX_LENGTH, "--max-length", &wanted->max_length);
    case DECLARE_MAX_BYTES:
        wanted->has_max_bytes = !is_none(optarg);
        return take_number(declare, CLIENT_OPTION_MAX_BYTES, "--max-bytes", &wanted->max_bytes);
    case DECLARE_OVERFLOW: return take_overflow(declare);
    case DECLARE_DEAD_LETTER: take_dead_letter(declare, true); return 0;
    case DECLARE_DEAD_LETTER_EXCHANGE: take_dead_letter(declare, false); return 0;
    case DECLARE_DEAD_LETTER_KEY:
        wanted->dead_letter_key = is_none(optarg) ? "" : optarg;
        wanted->has_dead_letter_key = !is_none(optarg);
        field_add(declare, CLIENT_OPTION_DEAD_LETTER_KEY);
        return 0;
    case DECLARE_PAUSED: return take_flag(declare, CLIENT_OPTION_PAUSED, "--paused", &wanted->paused);
    case DECLARE_PROTECTED: return take_flag(declare, CLIENT_OPTION_PROTECTED, "--protected", &wanted->protected_);
    default:
        wanted->note = optarg;
        field_add(declare, CLIENT_OPTION_NOTE);
        return strlen(optarg) <= NAME_LEN_MAX ? 0 : cli_usage("--note takes at most 255 bytes", help);
    }
}

static int take_option(struct declare *declare, int option)
{
    struct client_queue_options *wanted = &declare->options;
    declare->any = true;
    switch (option) {
    case DECLARE_EXPIRES: return take_time(declare, CLIENT_OPTION_EXPIRES, "--expires", &wanted->expires_ms);
    case DECLARE_MAX_DELIVERIES:
        return take_number(declare, CLIENT_OPTION_MAX_DELIVERIES, "--max-deliveries", &wanted->max_deliveries);
    case DECLARE_REDELIVERY_DELAY:
        return take_time(declare, CLIENT_OPTION_REDELIVERY_DELAY, "--redelivery-delay", &wanted->redelivery_delay_ms);
    case DECLARE_REDELIVERY_DELAY_MAX:
        return take_time(declare, CLIENT_OPTION_REDELIVERY_DELAY_MAX, "--redelivery-delay-max",
                         &wanted->redelivery_delay_max_ms);
    case DECLARE_LOCK: return take_time(declare, CLIENT_OPTION_LOCK, "--lock", &wanted->lock_ms);
    case DECLARE_KEEP: return take_time(declare, CLIENT_OPTION_KEEP_SETTLED, "--keep", &wanted->keep_settled_ms);
    case DECLARE_KEEP_LIFE: return take_time(declare, CLIENT_OPTION_KEEP_LIFE, "--keep-life", &wanted->keep_life_ms);
    case DECLARE_ID_WINDOW: return take_time(declare, CLIENT_OPTION_ID_WINDOW, "--id-window", &wanted->id_window_ms);
    default: return option <= DECLARE_PASSIVE ? take_fixed(declare, option) : take_text_or_limit(declare, option);
    }
}

static int declare_run(const struct cli *cli, const char *queue, bool changes, const struct declare *declare)
{
    struct hf *hf;
    int exit_code = cli_open(cli, 0, &hf);
    if (exit_code != 0) {
        return exit_code;
    }
    int err;
    if (changes) {
        err = hf_change(hf, queue, &declare->options, declare->fields, declare->fields_len, cli->timeout_ms);
    } else if (declare->any) {
        err = hf_declare_as(hf, queue, &declare->options, declare->passive, cli->timeout_ms);
    } else {
        err = hf_declare(hf, queue, cli->timeout_ms);
    }
    exit_code = err == 0 ? EXIT_DONE : cli_fail(queue, err, hf_error_detail(hf));
    (void)hf_close(hf, exit_code == EXIT_UNSURE ? 0 : 1000);
    return exit_code;
}

int cmd_queue_declare(struct cli *cli, int argc, char **argv)
{
    struct declare declare = {.options = {.max_priority = 0}};
    bool changes = strcmp(argv[0], "change") == 0;
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        int result =
            option <= DECLARE_NOTE && option > 0 ? take_option(&declare, option) : cli_option(cli, option, help);
        if (result != 0) {
            return cli_option_exit(result);
        }
    }
    if (argc - optind != 1) {
        return cli_usage("queue declare and change take the name of a queue", help);
    }
    if (changes && (declare.fixed || declare.fields_len == 0)) {
        return cli_usage(declare.fixed ? "queue change: one of these options is fixed when a queue is declared"
                                       : "queue change: which options?",
                         help);
    }
    if (declare.to_queue && declare.to_exchange) {
        return cli_usage("queue: --dead-letter, or --dead-letter-exchange with --dead-letter-key", help);
    }
    if (!changes && declare.options.has_dead_letter_key && !declare.options.has_dead_letter) {
        return cli_usage("queue declare: --dead-letter-key goes with --dead-letter or --dead-letter-exchange", help);
    }
    return declare_run(cli, argv[optind], changes, &declare);
}
