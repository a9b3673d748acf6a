/* The journal of a real node: one line an event on a file descriptor.
 *
 *   2026-01-31T12:00:00.123Z level=info node=1 subject=log msg="segment 3 begins at index 4711"
 *
 * A line is one write(), so that lines of several threads, or processes, do not mix. May be used from any thread. */

#ifndef HOLDFAST_NODE_TEXT_JOURNAL_H
#define HOLDFAST_NODE_TEXT_JOURNAL_H

#include <stdint.h>

#include "proto/base/journal.h"

struct text_journal {
    struct journal base;
    int fd;
    uint64_t node; /* 0: not known yet, and left out. */
};

void text_journal_init(struct text_journal *journal, int fd, enum journal_level level, uint64_t node);

#endif
