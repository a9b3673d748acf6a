/* Formatting of journal lines. */

#include "proto/base/journal.h"

#include <stdarg.h>
#include <stdio.h>

void journal_say(struct journal *journal, enum journal_level level, const char *subject, const char *format, ...)
{
    if (journal == NULL || level > journal->level) {
        return;
    }
    char text[1001];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    journal->write(journal, level, subject, text);
}
