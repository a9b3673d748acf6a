/* holdfast log: looks at the log of a stopped node. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "cli.h"
#include "commands.h"
#include "consensus/driver_recover.h"
#include "consensus/log.h"
#include "consensus/log_inspect.h"
#include "read_only_disk.h"

static const char log_help[] =
    "Usage: holdfast log verify DIR\n"
    "       holdfast log dump DIR [--from INDEX] [--to INDEX]\n"
    "\n"
    "Reads the log of a node that is not running, and changes nothing.\n"
    "DIR is the node's data directory, or the directory of one shard's log in it.\n"
    "\n"
    "  verify   checks every record, and says which segments there are\n"
    "  dump     prints a line for each record: file, offset, index, term, type, length; of a forced recovery\n"
    "           (holdfast cluster recover) also what it says\n"
    "\n"
    "Exit: 0 all is well, 1 damaged (file and offset are printed), 2 wrong usage,\n"
    "3 it could not be checked, for example because a node uses the directory.\n"
    "\n"
    "Example: holdfast log verify /var/lib/holdfast\n";

struct log_view {
    struct read_only_disk disk;
    char dir[16];  /* Of the log, below the disk's root. */
    int lock_fd;   /* Or -1. */
    uint64_t from; /* Indexes to print. */
    uint64_t to;
};

/* Keeps a node from starting while its log is read; finds out whether one runs. */
static int view_lock(struct log_view *view, const char *dir, const char *lock)
{
    view->lock_fd = openat(view->disk.root_fd, lock, O_RDONLY | O_CLOEXEC);
    if (view->lock_fd < 0) {
        if (errno == ENOENT) {
            return 0; /* A copy of a log, somewhere else. */
        }
        fprintf(stderr, "holdfast: %s/%s: %s\n", dir, lock, strerror(errno));
        return EXIT_UNSURE;
    }
    if (flock(view->lock_fd, LOCK_SH | LOCK_NB) != 0) {
        fprintf(stderr, "holdfast: a running node uses %s: stop it first, or look at a copy\n", dir);
        close(view->lock_fd);
        return EXIT_UNSURE;
    }
    return 0;
}

static int view_open(struct log_view *view, const char *dir)
{
    int err = read_only_disk_init(&view->disk, dir);
    if (err != 0) {
        fprintf(stderr, "holdfast: %s: %s\n", dir, err == ERR_NOT_FOUND ? "no such directory" : err_text(err));
        return EXIT_USAGE;
    }
    bool is_node = faccessat(view->disk.root_fd, "shard-0/log", F_OK, 0) == 0;
    snprintf(view->dir, sizeof view->dir, "%s", is_node ? "shard-0/log" : ".");
    int exit_code = view_lock(view, dir, is_node ? "lock" : "../../lock");
    if (exit_code != 0) {
        read_only_disk_done(&view->disk);
    }
    return exit_code;
}

static void view_close(struct log_view *view)
{
    if (view->lock_fd >= 0) {
        close(view->lock_fd);
    }
    read_only_disk_done(&view->disk);
}

static void print_segment(void *arg, const struct log_inspect_segment *segment)
{
    (void)arg;
    if (segment->unused) {
        printf("%s: unused", segment->file);
    } else {
        printf("%s: %" PRIu64 " records in %" PRIu64 " batches, %" PRIu64 " of %" PRIu64 " bytes", segment->file,
               segment->records, segment->batches, segment->used_bytes, segment->size);
    }
    if (segment->torn_bytes > 0) {
        printf(", then an unfinished batch of %" PRIu64 " bytes, which a start will cut", segment->torn_bytes);
    }
    printf("\n");
}

static const char *type_name(int type)
{
    switch (type) {
    case LOG_ENTRY_COMMAND: return "command";
    case LOG_ENTRY_BARRIER: return "barrier";
    case LOG_ENTRY_CHANGE: return "change";
    default: return "unknown";
    }
}

static void print_record(void *arg, const struct log_inspect_record *record)
{
    const struct log_view *view = arg;
    const char *text = "";
    size_t text_len = 0;
    if (record->index < view->from || record->index > view->to) {
        return;
    }
    if (record->type == LOG_ENTRY_CHANGE) {
        text_len = driver_recover_text(record->payload, record->len, &text);
    }
    printf("%s %" PRIu64 " index %" PRIu64 " term %" PRIu64 " %s %" PRIu32 " bytes%s", record->file, record->offset,
           record->index, record->term, type_name(record->type), record->len, text_len > 0 ? ": " : "");
    for (size_t i = 0; i < text_len; i++) {
        (void)putchar((unsigned char)text[i] >= 0x20 && text[i] != 0x7f ? text[i] : ' ');
    }
    (void)putchar('\n');
}

static int report_result(int err, const char *dir, const struct log_inspect_report *report)
{
    fflush(stdout);
    if (err == ERR_CORRUPT) {
        fprintf(stderr, "holdfast: the log is damaged: %s\n", report->detail);
        return EXIT_REFUSED;
    }
    if (err != 0) {
        fprintf(stderr, "holdfast: the log in %s could not be checked: %s\n", dir,
                report->detail[0] != '\0' ? report->detail : err_text(err));
        return EXIT_UNSURE;
    }
    if (report->segments == 0) {
        fprintf(stderr, "holdfast: there is no log in %s\n", dir);
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

static int log_verify(const char *dir)
{
    struct log_view view = {.lock_fd = -1};
    int exit_code = view_open(&view, dir);
    if (exit_code != 0) {
        return exit_code;
    }
    struct log_inspect_callbacks callbacks = {.arg = &view, .segment = print_segment};
    struct log_inspect_report report;
    int err = log_inspect(&view.disk.disk, view.dir, &callbacks, &report);
    exit_code = report_result(err, dir, &report);
    if (exit_code == EXIT_DONE) {
        printf("good: entries %" PRIu64 " to %" PRIu64 ", %" PRIu64 " records in %" PRIu64 " batches, %" PRIu64
               " segments\n",
               report.first_index, report.last_index, report.records, report.batches, report.segments);
    }
    view_close(&view);
    return exit_code;
}

static int log_dump(const char *dir, uint64_t from, uint64_t to)
{
    struct log_view view = {.lock_fd = -1, .from = from, .to = to};
    int exit_code = view_open(&view, dir);
    if (exit_code != 0) {
        return exit_code;
    }
    struct log_inspect_callbacks callbacks = {.arg = &view, .record = print_record};
    struct log_inspect_report report;
    int err = log_inspect(&view.disk.disk, view.dir, &callbacks, &report);
    exit_code = report_result(err, dir, &report);
    view_close(&view);
    return exit_code;
}

int cmd_log(int argc, char **argv)
{
    enum { OPTION_FROM = 1, OPTION_TO };
    static const struct option options[] = {{"from", required_argument, NULL, OPTION_FROM},
                                            {"to", required_argument, NULL, OPTION_TO},
                                            {"help", no_argument, NULL, OPTION_HELP},
                                            {NULL, 0, NULL, 0}};
    uint64_t from = 1;
    uint64_t to = UINT64_MAX;
    int option;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        int exit_code = EXIT_DONE;
        switch (option) {
        case OPTION_FROM: exit_code = cli_number("--from", optarg, 1, UINT64_MAX, &from); break;
        case OPTION_TO: exit_code = cli_number("--to", optarg, 1, UINT64_MAX, &to); break;
        case 'h':
        case OPTION_HELP: fputs(log_help, stdout); return EXIT_DONE;
        default: fputs(log_help, stderr); return EXIT_USAGE;
        }
        if (exit_code != EXIT_DONE) {
            return exit_code;
        }
    }
    if (argc - optind != 2) {
        return cli_usage("say verify or dump, and a directory", log_help);
    }
    const char *dir = argv[optind + 1];
    if (strcmp(argv[optind], "verify") == 0 && from == 1 && to == UINT64_MAX) {
        return log_verify(dir);
    }
    if (strcmp(argv[optind], "dump") == 0) {
        return log_dump(dir, from, to);
    }
    return cli_usage("say verify DIR, or dump DIR [--from INDEX] [--to INDEX]", log_help);
}
