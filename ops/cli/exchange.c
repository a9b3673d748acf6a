/* holdfast exchange declare|change|delete|list */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "commands.h"
#include "shown.h"

static const char *const types[] = {"direct", "fanout", "topic", "headers"};

static int finish(struct hf *hf, const char *what, int err)
{
    int exit_code = err == 0 ? EXIT_DONE : cli_fail(what, err, hf_error_detail(hf));
    (void)hf_close(hf, exit_code == EXIT_UNSURE ? 0 : 1000);
    return exit_code;
}

static const char exchange_help[] =
    "Usage: holdfast exchange declare NAME [--type TYPE] [OPTIONS] | change NAME OPTIONS | delete NAME [--if-unused] | "
    "list\n"
    "\n"
    "  declare           makes an exchange, or finds it there with the same properties; with others it is refused\n"
    "    --type TYPE     direct (the default), fanout, topic or headers\n"
    "    --alternate E   where what matches no binding goes\n"
    "    --auto-delete   goes with its last binding, if it had one\n"
    "    --internal      only other exchanges and dead letters reach it\n"
    "    --protected yes|no  is not deleted; of an exchange that is there it stays as it is\n"
    "    --note TEXT     for people, likewise\n"
    "  change            sets --protected yes|no and --note TEXT of an exchange that is there\n"
    "  delete            with --if-unused only without bindings from it\n"
    "  list              name, type, bindings from it, and properties\n"
    "\n"
    "Example: holdfast exchange declare events --type topic\n";

static void exchange_print(void *arg, const struct client_exchange *exchange)
{
    (void)arg;
    struct shown name;
    struct shown alternate;
    struct shown note;
    printf("%-40s %-8s %9llu %s%s%s%s%s%s%s\n", exchange->name[0] == '\0' ? "(default)" : shown(exchange->name, &name),
           (unsigned)exchange->type < 4 ? types[exchange->type] : "?", (unsigned long long)exchange->bindings,
           exchange->auto_delete ? " auto-delete" : "", exchange->internal ? " internal" : "",
           exchange->protected_ ? " protected" : "", exchange->has_alternate ? " alternate=" : "",
           exchange->has_alternate ? shown(exchange->alternate, &alternate) : "",
           exchange->note[0] != '\0' ? "  # " : "", shown(exchange->note, &note));
}

static int exchange_list(const struct cli *cli)
{
    struct hf *hf;
    int exit_code = cli_open_query(cli, &hf);
    if (exit_code != 0) {
        return exit_code;
    }
    printf("%-40s %-8s %9s  %s\n", "EXCHANGE", "TYPE", "BINDINGS", "PROPERTIES");
    int err = hf_exchanges(hf, cli->timeout_ms, exchange_print, NULL);
    exit_code = err == 0 ? EXIT_DONE : cli_fail("exchange list", err, hf_error_detail(hf));
    (void)hf_close(hf, 0);
    return exit_code;
}

static bool type_of(const char *text, enum client_exchange_type *ret_type)
{
    for (unsigned i = 0; i < 4; i++) {
        if (strcmp(text, types[i]) == 0) {
            *ret_type = (enum client_exchange_type)i;
            return true;
        }
    }
    return false;
}

static int exchange_change(const struct cli *cli, const struct client_exchange *exchange, bool deletes, bool if_unused)
{
    struct hf *hf;
    int exit_code = cli_open(cli, 0, &hf);
    if (exit_code != 0) {
        return exit_code;
    }
    int err = deletes ? hf_delete_exchange(hf, exchange->name, if_unused, cli->timeout_ms)
                      : hf_declare_exchange(hf, exchange, cli->timeout_ms);
    return finish(hf, exchange->name, err);
}

static int exchange_edit(const struct cli *cli, const struct client_exchange *exchange, bool protects)
{
    struct hf *hf;
    int exit_code = cli_open(cli, 0, &hf);
    if (exit_code != 0) {
        return exit_code;
    }
    int err = hf_change_exchange(hf, exchange->name, protects ? &exchange->protected_ : NULL, exchange->note,
                                 cli->timeout_ms);
    return finish(hf, exchange->name, err);
}

int cmd_exchange(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {
        {"type", required_argument, NULL, 1},      {"alternate", required_argument, NULL, 2},
        {"auto-delete", no_argument, NULL, 3},     {"internal", no_argument, NULL, 4},
        {"protected", required_argument, NULL, 5}, {"note", required_argument, NULL, 6},
        {"if-unused", no_argument, NULL, 7},       CLI_OPTIONS};
    struct client_exchange exchange = {.type = CLIENT_DIRECT};
    bool if_unused = false;
    bool declares = false; /* An option of declare alone was given, */
    bool changes = false;  /* or one that can be changed: */
    bool protects = false; /* this one. */
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        int result = 0;
        declares = declares || (option >= 1 && option <= 4);
        changes = changes || option == 5 || option == 6;
        switch (option) {
        case 1:
            if (!type_of(optarg, &exchange.type)) {
                return cli_usage("--type takes direct, fanout, topic or headers", exchange_help);
            }
            break;
        case 2:
            exchange.has_alternate = true;
            exchange.alternate = optarg;
            break;
        case 3: exchange.auto_delete = true; break;
        case 4: exchange.internal = true; break;
        case 5:
            protects = true;
            exchange.protected_ = strcmp(optarg, "yes") == 0;
            if (!exchange.protected_ && strcmp(optarg, "no") != 0) {
                return cli_usage("--protected takes yes or no", exchange_help);
            }
            break;
        case 6: exchange.note = optarg; break;
        case 7: if_unused = true; break;
        default: result = cli_option(cli, option, exchange_help); break;
        }
        if (result != 0) {
            return cli_option_exit(result);
        }
    }
    const char *what = optind < argc ? argv[optind] : "";
    bool lists = strcmp(what, "list") == 0;
    bool deletes = strcmp(what, "delete") == 0;
    bool makes = strcmp(what, "declare") == 0;
    bool edits = strcmp(what, "change") == 0;
    if (!lists && !deletes && !makes && !edits) {
        return cli_usage("exchange: declare, change, delete or list?", exchange_help);
    }
    if (argc - optind != (lists ? 1 : 2) || (if_unused && !deletes) || (declares && !makes) ||
        (changes && !makes && !edits) || (edits && !changes)) {
        return cli_usage("exchange: wrong arguments", exchange_help);
    }
    if (lists) {
        return exchange_list(cli);
    }
    exchange.name = argv[optind + 1];
    return edits ? exchange_edit(cli, &exchange, protects) : exchange_change(cli, &exchange, deletes, if_unused);
}
