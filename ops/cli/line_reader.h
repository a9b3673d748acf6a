/* Lines of a file descriptor, of bounded length, without waiting longer than the caller wants to. */

#ifndef HOLDFAST_OPS_CLI_LINE_READER_H
#define HOLDFAST_OPS_CLI_LINE_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/err.h"

struct line_reader {
    int fd;
    char *data;
    size_t cap;
    size_t start;   /* Of what has not been returned. */
    size_t len;     /* From `start`. */
    size_t scanned; /* Bytes from `start` that hold no newline. */
    size_t line_len_max;
    bool ended;
};

/* `fd` stays the caller's. */
void line_reader_init(struct line_reader *reader, int fd, size_t line_len_max);
void line_reader_done(struct line_reader *reader);

/* The next line, without its newline; it lives until the next call. A last line needs no newline.
 * ERR_NOT_FOUND: the end. ERR_BUSY: with `wait` false, nothing is there yet. ERR_TOO_BIG. ERR_IO: see errno. ERR_NOMEM. */
int line_reader_next(struct line_reader *reader, bool wait, const char **ret_line, size_t *ret_len) NODISCARD;

/* Everything up to the end, as one. Errors as above. */
int line_reader_rest(struct line_reader *reader, const char **ret_data, size_t *ret_len) NODISCARD;

#endif
