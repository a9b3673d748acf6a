/* What a node tells people: one line an event, with a level and a subject.
 *
 * Library code returns errors and does not print. Where something happened that an operator should know although the
 * caller cannot do anything about it (a record cut from a torn tail, a peer that spoke nonsense), it is said here. */

#ifndef HOLDFAST_PROTO_BASE_JOURNAL_H
#define HOLDFAST_PROTO_BASE_JOURNAL_H

enum journal_level { JOURNAL_ERROR, JOURNAL_WARNING, JOURNAL_INFO, JOURNAL_DEBUG };

struct journal {
    enum journal_level level; /* Lines above it are dropped before they are formatted. */
    /* `subject`: a short word such as "log" or "peer". `text`: one line, no newline at its end. */
    void (*write)(struct journal *journal, enum journal_level level, const char *subject, const char *text);
};

/* Formats and writes a line of at most 1,000 bytes. A NULL journal drops it. */
__attribute__((format(printf, 4, 5))) void journal_say(struct journal *journal, enum journal_level level,
                                                       const char *subject, const char *format, ...);

#define journal_error(journal, subject, ...) journal_say(journal, JOURNAL_ERROR, subject, __VA_ARGS__)
#define journal_warning(journal, subject, ...) journal_say(journal, JOURNAL_WARNING, subject, __VA_ARGS__)
#define journal_info(journal, subject, ...) journal_say(journal, JOURNAL_INFO, subject, __VA_ARGS__)
#define journal_debug(journal, subject, ...) journal_say(journal, JOURNAL_DEBUG, subject, __VA_ARGS__)

#endif
