/* Lines of a file descriptor. */

#include "line_reader.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_LEN (64u * 1024u)

void line_reader_init(struct line_reader *reader, int fd, size_t line_len_max)
{
    *reader = (struct line_reader){.fd = fd, .line_len_max = line_len_max};
}

void line_reader_done(struct line_reader *reader)
{
    free(reader->data);
    *reader = (struct line_reader){.fd = -1};
}

/* Makes room for one more read behind what is there. */
static int room_make(struct line_reader *reader)
{
    if (reader->start > 0 && (reader->len == 0 || reader->cap - reader->start - reader->len < READ_LEN)) {
        memmove(reader->data, reader->data + reader->start, reader->len);
        reader->start = 0;
    }
    if (reader->cap - reader->start - reader->len >= READ_LEN) {
        return 0;
    }
    size_t cap = reader->cap == 0 ? 2 * READ_LEN : reader->cap * 2;
    char *data = realloc(reader->data, cap);
    if (data == NULL) {
        return ERR_NOMEM;
    }
    reader->data = data;
    reader->cap = cap;
    return 0;
}

static int reader_fill(struct line_reader *reader, bool wait)
{
    if (reader->len > reader->line_len_max + 1) {
        return ERR_TOO_BIG;
    }
    int err = room_make(reader);
    if (err != 0) {
        return err;
    }
    struct pollfd ready = {.fd = reader->fd, .events = POLLIN};
    if (!wait && poll(&ready, 1, 0) == 0) {
        return ERR_BUSY;
    }
    ssize_t got;
    do {
        got = read(reader->fd, reader->data + reader->start + reader->len, READ_LEN);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return ERR_IO;
    }
    reader->ended = got == 0;
    reader->len += (size_t)got;
    return 0;
}

static int reader_take(struct line_reader *reader, size_t len, size_t skip, const char **ret_line, size_t *ret_len)
{
    if (len > reader->line_len_max) {
        return ERR_TOO_BIG;
    }
    *ret_line = reader->data + reader->start;
    *ret_len = len;
    reader->start += len + skip;
    reader->len -= len + skip;
    reader->scanned = 0;
    return 0;
}

int line_reader_next(struct line_reader *reader, bool wait, const char **ret_line, size_t *ret_len)
{
    for (;;) {
        const char *data = reader->data + reader->start;
        const char *newline =
            reader->len > reader->scanned ? memchr(data + reader->scanned, '\n', reader->len - reader->scanned) : NULL;
        if (newline != NULL) {
            return reader_take(reader, (size_t)(newline - data), 1, ret_line, ret_len);
        }
        reader->scanned = reader->len;
        if (reader->ended && reader->len == 0) {
            return ERR_NOT_FOUND;
        }
        if (reader->ended) {
            return reader_take(reader, reader->len, 0, ret_line, ret_len);
        }
        int err = reader_fill(reader, wait);
        if (err != 0) {
            return err;
        }
    }
}

int line_reader_rest(struct line_reader *reader, const char **ret_data, size_t *ret_len)
{
    while (!reader->ended) {
        int err = reader_fill(reader, true);
        if (err != 0) {
            return err;
        }
    }
    return reader_take(reader, reader->len, 0, ret_data, ret_len);
}
