/* What Linux counts of a TCP connection. In a file of its own: linux/tcp.h knows more than netinet/tcp.h, which uv.h brings
 * along, and they exclude each other. */

#include <criterion/criterion.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

unsigned raw_segments(int fd);

unsigned raw_segments(int fd)
{
    struct tcp_info info;
    socklen_t info_len = sizeof info;
    cr_assert_eq(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &info_len), 0);
    return info.tcpi_data_segs_in;
}
