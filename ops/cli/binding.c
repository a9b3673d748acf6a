/* holdfast bind, unbind, bindings: what leads from exchanges to queues and exchanges. */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "header_option.h"
#include "json.h"
#include "shown.h"

static int finish(struct hf *hf, const char *what, int err)
{
    int exit_code = err == 0 ? EXIT_DONE : cli_fail(what, err, hf_error_detail(hf));
    (void)hf_close(hf, exit_code == EXIT_UNSURE ? 0 : 1000);
    return exit_code;
}

static const char bind_help[] =
    "Usage: holdfast bind EXCHANGE QUEUE [--key KEY] [--header NAME=VALUE]... [--to-exchange]\n"
    "       holdfast unbind EXCHANGE QUEUE [the same]\n"
    "       holdfast bindings [EXCHANGE]\n"
    "\n"
    "  --key KEY             the routing key; in a topic exchange a pattern, with * for a word and # for any words\n"
    "  --header NAME=VALUE   in a headers exchange: what a message must have; x-match=any for one of them\n"
    "  --to-exchange         QUEUE is an exchange\n"
    "\n"
    "Example: holdfast bind events jobs --key 'order.*.paid'\n";

static int binding_change(const struct cli *cli, const struct client_binding *binding, bool unbinds)
{
    struct hf *hf;
    int exit_code = cli_open(cli, 0, &hf);
    if (exit_code != 0) {
        return exit_code;
    }
    int err = unbinds ? hf_unbind(hf, binding, cli->timeout_ms) : hf_bind(hf, binding, cli->timeout_ms);
    return finish(hf, binding->source, err);
}

int cmd_bind(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"key", required_argument, NULL, 1},
                                            {"header", required_argument, NULL, 2},
                                            {"to-exchange", no_argument, NULL, 3},
                                            CLI_OPTIONS};
    struct cli_headers headers = {.len = 0};
    struct client_binding binding = {.arguments = headers.items};
    bool to_exchange = false;
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        int result = 0;
        switch (option) {
        case 1: binding.key = optarg; break;
        case 2: result = cli_header_add(&headers, optarg); break;
        case 3: to_exchange = true; break;
        default: result = cli_option(cli, option, bind_help); break;
        }
        if (result != 0) {
            return cli_option_exit(result);
        }
    }
    if (argc - optind != 2) {
        return cli_usage("bind and unbind take an exchange and a queue", bind_help);
    }
    binding.source = argv[optind];
    binding.queue = to_exchange ? NULL : argv[optind + 1];
    binding.exchange = to_exchange ? argv[optind + 1] : NULL;
    binding.arguments_len = headers.len;
    return binding_change(cli, &binding, strcmp(argv[0], "unbind") == 0);
}

static void value_print(const struct client_header *header)
{
    switch (header->type) {
    case CLIENT_BOOLEAN: printf("%s", header->boolean ? "true" : "false"); return;
    case CLIENT_INTEGER: printf("%lld", (long long)header->integer); return;
    case CLIENT_UNSIGNED:
    case CLIENT_TIMESTAMP: printf("%llu", (unsigned long long)header->unsigned_); return;
    case CLIENT_FLOAT: printf("%g", header->number); return;
    case CLIENT_STRING: json_string(stdout, header->data, header->len); return;
    case CLIENT_BINARY:
    case CLIENT_VOID:
    case CLIENT_OTHER: break;
    }
    printf("...");
}

static void binding_print(void *arg, const struct client_binding *binding)
{
    (void)arg;
    bool to_exchange = binding->exchange != NULL;
    struct shown from;
    struct shown to;
    struct shown text;
    printf("%-30s %-8s %-30s %s", shown(binding->source, &from), to_exchange ? "exchange" : "queue",
           shown(to_exchange ? binding->exchange : binding->queue, &to), shown(binding->key, &text));
    for (size_t i = 0; i < binding->arguments_len; i++) {
        printf("%s%s=", i == 0 && binding->key[0] == '\0' ? "" : " ", shown(binding->arguments[i].name, &text));
        value_print(&binding->arguments[i]);
    }
    putchar('\n');
}

int cmd_bindings(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {CLI_OPTIONS};
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        int result = cli_option(cli, option, bind_help);
        if (result != 0) {
            return cli_option_exit(result);
        }
    }
    if (argc - optind > 1) {
        return cli_usage("bindings takes an exchange, or nothing", bind_help);
    }
    struct hf *hf;
    int exit_code = cli_open_query(cli, &hf);
    if (exit_code != 0) {
        return exit_code;
    }
    printf("%-30s %-8s %-30s %s\n", "EXCHANGE", "TO", "NAME", "KEY HEADERS");
    int err = hf_bindings(hf, optind < argc ? argv[optind] : NULL, cli->timeout_ms, binding_print, NULL);
    exit_code = err == 0 ? EXIT_DONE : cli_fail("bindings", err, hf_error_detail(hf));
    (void)hf_close(hf, 0);
    return exit_code;
}
