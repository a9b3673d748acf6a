/* Standard output that can be given up. */

#include "output.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

/* How often a wait looks whether it was interrupted. */
#define SLICE_MS 100

int output_add(struct output *output, const void *data, size_t len)
{
    return bytes_append(&output->bytes, data, len);
}

void output_drop(struct output *output)
{
    output->bytes.len = 0;
    output->done = 0;
}

void output_done(struct output *output)
{
    bytes_done(&output->bytes);
    output->done = 0;
}

/* How much may be written at once without being stuck in write(): a pipe that is ready takes PIPE_BUF (poll(2), pipe(7)). */
static size_t portion_max(void)
{
    struct stat status;
    return fstat(STDOUT_FILENO, &status) == 0 && S_ISREG(status.st_mode) ? SSIZE_MAX : PIPE_BUF;
}

int output_flush(struct output *output, bool (*interrupted)(void))
{
    size_t max = portion_max();
    while (output->done < output->bytes.len) {
        struct pollfd ready = {.fd = STDOUT_FILENO, .events = POLLOUT};
        if (poll(&ready, 1, SLICE_MS) == 0) {
            if (interrupted()) {
                return ERR_CLOSED;
            }
            continue;
        }
        size_t left = output->bytes.len - output->done;
        ssize_t written = write(STDOUT_FILENO, output->bytes.data + output->done, left < max ? left : max);
        if (written < 0 && errno != EINTR && errno != EAGAIN) {
            return ERR_IO;
        }
        output->done += written > 0 ? (size_t)written : 0;
    }
    output_drop(output);
    return 0;
}
