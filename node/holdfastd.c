/* The daemon: reads the command line and the configuration, runs one node, and stops it when asked to. */

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include "node/config.h"
#include "node/node.h"
#include "node/recover.h"
#include "node/system_memory.h"
#include "node/text_journal.h"
#include "proto/base/check.h"

#define EXIT_USAGE 2
#define DEV_DATA_DIR "holdfast-dev"

/* A node that begins anew, and for which the disk has no room, tries again after so many seconds. */
#define NO_SPACE_PAUSE_S 5u

/* Descriptors that are not for clients: RocksDB's (256), the log's, the nodes', the loop's. */
#define OWN_FILES_MAX 512u

static const char usage[] =
    "Usage: holdfastd --config FILE [--check-config]\n"
    "       holdfastd --dev [--data DIR] [--amqp HOST:PORT|off]\n"
    "       holdfastd --recover --data DIR [--accept-loss [--accept-damage]] [--yes CLUSTER]\n"
    "       holdfastd --version | --help\n"
    "\n"
    "Runs one node of a Holdfast cluster in the foreground; its journal goes to standard error.\n"
    "\n"
    "  --config FILE    what this node is: see \"Configuration\" in README.md\n"
    "  --check-config   read the configuration, say what is wrong with it, and exit\n"
    "  --dev            a cluster of one on 127.0.0.1, ports 7470 (clients), 7471 (nodes) and 5672 (AMQP 0-9-1)\n"
    "  --data DIR       with --dev: where its data is kept (default: ./" DEV_DATA_DIR ")\n"
    "  --amqp ADDRESS   with --dev: where it listens for AMQP clients instead, or off\n"
    "  --recover        what `holdfast cluster recover` does, see its --help; no node is run\n"
    "  --version        print the version and exit\n"
    "  --help           print this and exit\n"
    "\n"
    "SIGTERM and SIGINT stop it: leadership is handed over first. A second one ends it at once.\n"
    "\n"
    "Exit status: 0 stopped as asked, 1 it could not start, 2 wrong usage or configuration,\n"
    "70 it stopped itself because it could not keep its promises (the journal says why).\n";

struct arguments {
    const char *config;
    const char *data;
    const char *amqp;
    bool dev;
    bool check_config;
    bool recover;
    bool accept_loss;
    bool accept_damage;
    const char *confirm;
};

struct daemon {
    uv_loop_t loop;
    uv_signal_t terminate;
    uv_signal_t interrupt;
    struct node *node;
    char **argv;
    struct journal *journal;
    bool again; /* The node is to be started anew. */
};

static int usage_error(const char *what)
{
    (void)fprintf(stderr, "holdfastd: %s\nTry 'holdfastd --help'.\n", what);
    return EXIT_USAGE;
}

/* -1: go on; otherwise the exit status. */
static int parse_arguments(int argc, char **argv, struct arguments *ret_arguments)
{
    enum { CONFIG = 256, CHECK_CONFIG, DEV, DATA, AMQP, RECOVER, ACCEPT_LOSS, ACCEPT_DAMAGE, YES, VERSION, HELP };
    static const struct option options[] = {
        {"config", required_argument, NULL, CONFIG},
        {"check-config", no_argument, NULL, CHECK_CONFIG},
        {"dev", no_argument, NULL, DEV},
        {"data", required_argument, NULL, DATA},
        {"amqp", required_argument, NULL, AMQP},
        {"recover", no_argument, NULL, RECOVER},
        {"accept-loss", no_argument, NULL, ACCEPT_LOSS},
        {"accept-damage", no_argument, NULL, ACCEPT_DAMAGE},
        {"yes", required_argument, NULL, YES},
        {"version", no_argument, NULL, VERSION},
        {"help", no_argument, NULL, HELP},
        {NULL, 0, NULL, 0},
    };
    struct arguments arguments = {0};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case CONFIG: arguments.config = optarg; break;
        case CHECK_CONFIG: arguments.check_config = true; break;
        case DEV: arguments.dev = true; break;
        case DATA: arguments.data = optarg; break;
        case AMQP: arguments.amqp = optarg; break;
        case RECOVER: arguments.recover = true; break;
        case ACCEPT_LOSS: arguments.accept_loss = true; break;
        case ACCEPT_DAMAGE: arguments.accept_damage = true; break;
        case YES: arguments.confirm = optarg; break;
        case VERSION: return puts("holdfastd " HOLDFAST_VERSION) < 0 ? 1 : 0;
        case HELP: return fputs(usage, stdout) < 0 ? 1 : 0;
        default: return usage_error("unknown option, or one without its value");
        }
    }
    if (optind < argc) {
        return usage_error("unexpected argument");
    }
    if (arguments.amqp != NULL && !arguments.dev) {
        return usage_error("--amqp goes with --dev; otherwise the configuration says it (listen_amqp)");
    }
    if (arguments.recover) {
        bool good = arguments.data != NULL && !arguments.dev && arguments.config == NULL;
        *ret_arguments = arguments;
        return good ? -1 : usage_error("--recover goes with --data DIR");
    }
    if (arguments.accept_loss || arguments.accept_damage || arguments.confirm != NULL) {
        return usage_error("--accept-loss, --accept-damage and --yes go with --recover");
    }
    if (arguments.dev == (arguments.config != NULL)) {
        return usage_error("either --config FILE or --dev is needed");
    }
    if (arguments.data != NULL && !arguments.dev) {
        return usage_error("--data goes with --dev; otherwise the configuration says it");
    }
    *ret_arguments = arguments;
    return -1;
}

static int read_config(const struct arguments *arguments, struct config **ret_config)
{
    char detail[512] = "";
    int err;
    if (arguments->dev) {
        err = config_dev(arguments->data != NULL ? arguments->data : DEV_DATA_DIR, arguments->amqp, ret_config);
        if (err == ERR_INVALID) {
            (void)snprintf(detail, sizeof detail, "--amqp: not host:port, nor off: '%s'", arguments->amqp);
        }
    } else {
        err = config_load(arguments->config, ret_config, detail, sizeof detail);
    }
    if (err != 0) {
        (void)fprintf(stderr, "holdfastd: %s\n", detail[0] != '\0' ? detail : err_text(err));
    }
    return err;
}

/* Every client is a descriptor: as many as the system lets us have. */
static void raise_limits(struct journal *journal, const struct config *config)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return;
    }
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        journal_warning(journal, "node", "the limit of open files cannot be raised");
        limit.rlim_cur = before;
    }
    rlim_t needed = (rlim_t)config->connections_max + OWN_FILES_MAX;
    if (limit.rlim_cur < needed) {
        journal_warning(journal, "node",
                        "connections_max is %u, for which %llu open files are needed; the system allows %llu "
                        "(ulimit -n, LimitNOFILE): clients may be refused before",
                        config->connections_max, (unsigned long long)needed, (unsigned long long)limit.rlim_cur);
    }
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct daemon *daemon = signal->data;
    (void)number;
    /* The next one ends the process, also when the loop waits for the disk. */
    (void)uv_signal_stop(&daemon->terminate);
    (void)uv_signal_stop(&daemon->interrupt);
    node_stop(daemon->node);
}

static void on_stopped(void *arg, bool again)
{
    struct daemon *daemon = arg;
    daemon->again = again;
    uv_close((uv_handle_t *)&daemon->terminate, NULL);
    uv_close((uv_handle_t *)&daemon->interrupt, NULL);
}

/* In the same process, so that whoever supervises it does not notice. */
static void on_restart(void *arg)
{
    const struct daemon *daemon = arg;
    (void)execv("/proc/self/exe", daemon->argv);
    journal_error(daemon->journal, "node", "the program could not be started anew: %s", strerror(errno));
}

static void watch_signals(struct daemon *daemon)
{
    CHECK(uv_signal_init(&daemon->loop, &daemon->terminate) == 0);
    CHECK(uv_signal_init(&daemon->loop, &daemon->interrupt) == 0);
    daemon->terminate.data = daemon;
    daemon->interrupt.data = daemon;
    CHECK(uv_signal_start(&daemon->terminate, on_signal, SIGTERM) == 0);
    CHECK(uv_signal_start(&daemon->interrupt, on_signal, SIGINT) == 0);
}

/* From the node's start until everything of it is closed. */
static int run_once(const struct config *config, struct journal *journal, char **argv, bool *ret_again)
{
    struct daemon daemon = {.argv = argv, .journal = journal};
    char detail[512] = "";
    CHECK(uv_loop_init(&daemon.loop) == 0);
    struct node_options options = {
        .loop = &daemon.loop,
        .config = config,
        .journal = journal,
        .arg = &daemon,
        .stopped = on_stopped,
        .restart = on_restart,
    };
    int err = node_start(&options, &daemon.node, detail, sizeof detail);
    if (err != 0) {
        journal_error(journal, "node", "cannot start: %s", detail[0] != '\0' ? detail : err_text(err));
    } else {
        watch_signals(&daemon);
    }
    (void)uv_run(&daemon.loop, UV_RUN_DEFAULT);
    CHECK(uv_loop_close(&daemon.loop) == 0);
    *ret_again = daemon.again;
    return err;
}

/* Nobody has asked a node to stop that begins anew with a copy of the state: it must not end because the disk is full at that
 * moment. Whether to try again. A signal ends the process. */
static bool wait_for_space(struct journal *journal, int err)
{
    if (err != ERR_NO_SPACE) {
        return false;
    }
    journal_warning(journal, "node", "this is tried again in %u s: make room", NO_SPACE_PAUSE_S);
    (void)sleep(NO_SPACE_PAUSE_S);
    return true;
}

static int run(const struct config *config, char **argv)
{
    struct text_journal journal;
    bool again = false;
    bool begun = false;
    int err;
    text_journal_init(&journal, STDERR_FILENO, config->log_level, config->node);
    raise_limits(&journal.base, config);
    journal_info(&journal.base, "node", "holdfastd " HOLDFAST_VERSION " starts, node %llu of cluster %s",
                 (unsigned long long)config->node, config->cluster);
    do {
        err = run_once(config, &journal.base, argv, &again);
        begun = begun || err == 0;
        again = err == 0 ? again : begun && wait_for_space(&journal.base, err);
    } while (again);
    if (err == 0) {
        journal_info(&journal.base, "node", "stopped");
    }
    return err == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    struct config *config;
    system_memory_init();
    int status = parse_arguments(argc, argv, &arguments);
    if (status >= 0) {
        return status;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    if (arguments.recover) {
        return recover_run(&(struct recover_options){.data = arguments.data,
                                                     .accept_loss = arguments.accept_loss,
                                                     .accept_damage = arguments.accept_damage,
                                                     .confirm = arguments.confirm});
    }
    if (read_config(&arguments, &config) != 0) {
        return EXIT_USAGE;
    }
    if (arguments.check_config) {
        (void)printf("%s: good: node %llu of cluster %s\n", arguments.dev ? "--dev" : arguments.config,
                     (unsigned long long)config->node, config->cluster);
    } else {
        status = run(config, argv);
    }
    config_free(config);
    return arguments.check_config ? 0 : status;
}
