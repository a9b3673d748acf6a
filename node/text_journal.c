/* Lines for people and for programs that read logs. */

#include "node/text_journal.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/check.h"

#define LINE_LEN_MAX 2400u

static const char *level_text(enum journal_level level)
{
    switch (level) {
    case JOURNAL_ERROR: return "error";
    case JOURNAL_WARNING: return "warning";
    case JOURNAL_INFO: return "info";
    case JOURNAL_DEBUG: return "debug";
    }
    return "unknown";
}

static size_t put_head(char *line, size_t len, const struct text_journal *journal, enum journal_level level,
                       const char *subject)
{
    struct timespec now = {0};
    struct tm day = {0};
    char node[32] = "";
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &day);
    if (journal->node != 0) {
        (void)snprintf(node, sizeof node, " node=%llu", (unsigned long long)journal->node);
    }
    char date[32];
    (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &day);
    int written = snprintf(line, len, "%s.%03dZ level=%s%s subject=%.40s msg=\"", date, (int)(now.tv_nsec / 1000000),
                           level_text(level), node, subject);
    CHECK(written > 0 && (size_t)written < len);
    return (size_t)written;
}

static void text_journal_write(struct journal *base, enum journal_level level, const char *subject, const char *text)
{
    struct text_journal *journal = container_of(base, struct text_journal, base);
    char line[LINE_LEN_MAX];
    size_t at = put_head(line, sizeof line, journal, level, subject);
    /* Text from outside must not be able to end the line, or to pass for a field of its own. */
    for (const char *p = text; *p != '\0' && at < sizeof line - 8; p++) {
        unsigned char byte = (unsigned char)*p;
        if (byte == '"' || byte == '\\') {
            line[at++] = '\\';
            line[at++] = *p;
        } else if (byte < 0x20 || byte == 0x7f) {
            at += (size_t)snprintf(line + at, sizeof line - at, "\\x%02x", byte);
        } else {
            line[at++] = *p;
        }
    }
    line[at++] = '"';
    line[at++] = '\n';
    /* There is nowhere to report a journal that cannot be written. */
    ssize_t written = write(journal->fd, line, at);
    (void)written;
}

void text_journal_init(struct text_journal *journal, int fd, enum journal_level level, uint64_t node)
{
    *journal = (struct text_journal){
        .base = {.level = level, .write = text_journal_write},
        .fd = fd,
        .node = node,
    };
}
