/* Lets ThreadSanitizer see what libuv closes.
 *
 * libuv closes descriptors by the bare system call, which the sanitizer does not see: when the kernel gives the number anew, to a file
 * of ours, it looks as if two threads had used one descriptor. In a build for it the bare call is made the usual one. */

#include <errno.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

long syscall(long number, ...);

/* System calls have up to six arguments; those that a caller has not given are read, and not used. */
__attribute__((no_sanitize("thread"))) long syscall(long number, ...)
{
    va_list list;
    long arguments[6];
    va_start(list, number);
    for (int i = 0; i < 6; i++) {
        arguments[i] = va_arg(list, long);
    }
    va_end(list);
    if (number == SYS_close) {
        return close((int)arguments[0]);
    }
    register long r10 __asm__("r10") = arguments[3];
    register long r8 __asm__("r8") = arguments[4];
    register long r9 __asm__("r9") = arguments[5];
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(arguments[0]), "S"(arguments[1]), "d"(arguments[2]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    if (result < 0 && result >= -4095) {
        errno = (int)-result;
        return -1;
    }
    return result;
}
