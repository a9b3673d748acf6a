/* The socket of a stream: its options, and whether the other side's host is still there. */

#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>

#include "rpc/stream_private.h"

/* An idle connection is asked after so many seconds whether its other side is there, then as often as this, as many times
 * (tcp(7)). */
#define KEEPALIVE_IDLE_SECONDS 30
#define KEEPALIVE_INTERVAL_SECONDS 5
#define KEEPALIVE_PROBES 4

/* A window probe may just be on its way; several without an answer are not. */
#define PROBES_UNANSWERED 2

/* Between two looks at a connection with bytes that are not acknowledged. */
#define LOOK_MS_MIN 100u

static void option_set(uv_os_fd_t fd, int option, unsigned value)
{
    (void)setsockopt(fd, IPPROTO_TCP, option, &value, sizeof value);
}

void stream_socket_prepare(struct stream *stream)
{
    (void)uv_tcp_nodelay(&stream->tcp, 1);
    (void)uv_tcp_keepalive(&stream->tcp, 1, KEEPALIVE_IDLE_SECONDS);
    uv_os_fd_t fd;
    if (uv_fileno((uv_handle_t *)&stream->tcp, &fd) != 0) {
        return;
    }
    option_set(fd, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS);
    option_set(fd, TCP_KEEPCNT, KEEPALIVE_PROBES);
    if (stream->options.unacked_timeout_ms > 0) {
        option_set(fd, TCP_USER_TIMEOUT, stream->options.unacked_timeout_ms);
    }
}

void stream_vanish_watch(struct stream *stream)
{
    if (stream->vanish_deadline_ms == UINT64_MAX) {
        stream->vanish_deadline_ms = stream_deadline(stream, stream->options.vanished_timeout_ms);
        stream_arm(stream);
    }
}

/* Whether the kernel still has bytes that were not acknowledged, and for how long it has heard no acknowledgement, while
 * it asked for one. (TCP_USER_TIMEOUT does not tell a host that has gone from a program that does not read: it counts
 * window probes that were answered as well, see tcp_probe_timer() in Linux.) */
static bool unacked_look(const struct stream *stream, uint64_t *ret_silent_ms)
{
    uv_os_fd_t fd;
    int bytes = 0;
    struct tcp_info info;
    socklen_t info_len = sizeof info;
    if (uv_fileno((const uv_handle_t *)&stream->tcp, &fd) != 0 || ioctl(fd, SIOCOUTQ, &bytes) != 0 || bytes == 0 ||
        getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &info_len) != 0) {
        return false;
    }
    bool asked = info.tcpi_retransmits > 0 || info.tcpi_probes >= PROBES_UNANSWERED;
    *ret_silent_ms = asked ? info.tcpi_last_ack_recv : 0;
    return true;
}

void stream_vanish_check(struct stream *stream, uint64_t now)
{
    uint64_t timeout_ms = stream->options.vanished_timeout_ms;
    if (stream->vanish_deadline_ms > now) {
        return;
    }
    uint64_t silent_ms;
    stream->vanish_deadline_ms = UINT64_MAX;
    if (!unacked_look(stream, &silent_ms)) {
        return; /* All is acknowledged; the next write starts the watch again. */
    }
    if (silent_ms >= timeout_ms) {
        stream_fail(stream, ERR_TIMEOUT, "the peer's host has acknowledged nothing for %llu ms",
                    (unsigned long long)silent_ms);
        return;
    }
    uint64_t rest_ms = timeout_ms - silent_ms;
    stream->vanish_deadline_ms = stream_deadline(stream, rest_ms < LOOK_MS_MIN ? LOOK_MS_MIN : rest_ms);
}
