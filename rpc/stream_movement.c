/* What the kernel knows of the bytes of a stream. */

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "rpc/stream_private.h"

/* The beginning of the kernel's struct tcp_info (linux/tcp.h; part of its interface, so it only grows at the end). glibc's
 * has no counters of bytes yet, and the kernel's header does not go together with glibc's, which uv.h includes. */
struct tcp_counters {
    uint8_t state;
    uint8_t before[103]; /* Up to tcpi_total_retrans. */
    uint64_t pacing_rate;
    uint64_t pacing_rate_max;
    uint64_t bytes_acked;
    uint64_t bytes_received;
};

void stream_movement(const struct stream *stream, struct stream_movement *ret_movement)
{
    uv_os_fd_t fd;
    int bytes = 0;
    struct tcp_counters counters = {0};
    socklen_t len = sizeof counters;
    *ret_movement = (struct stream_movement){0};
    if (stream->state == STREAM_OPEN && uv_fileno((const uv_handle_t *)&stream->tcp, &fd) == 0 &&
        ioctl(fd, SIOCOUTQ, &bytes) == 0 && getsockopt(fd, IPPROTO_TCP, TCP_INFO, &counters, &len) == 0) {
        *ret_movement = (struct stream_movement){.received = counters.bytes_received,
                                                 .acknowledged = counters.bytes_acked,
                                                 .outstanding = (uint64_t)bytes + stream_queued_bytes(stream),
                                                 .open = counters.state == TCP_ESTABLISHED};
    }
}
