/* A layer between a program and its disk, to be put before the program with LD_PRELOAD: while the file that STALLED
 * names is there, fdatasync() does not return. So the disk hangs for the program alone, which can still be ended, as it
 * could not be while the kernel itself waited. */

#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int fdatasync(int fd)
{
    const char *path = getenv("STALLED");
    const struct timespec pause = {.tv_nsec = 10000000};
    while (path != NULL && access(path, F_OK) == 0) {
        (void)nanosleep(&pause, NULL);
    }
    return (int)syscall(SYS_fdatasync, fd);
}
