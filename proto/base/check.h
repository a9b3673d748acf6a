/* CHECK() guards invariants of our own code. It stays on in release builds: a node that finds itself in an impossible
 * state stops rather than guesses.
 *
 * It is never used on bytes from the disk, the network, a person or a committed entry: those get an error path. */

#ifndef HOLDFAST_PROTO_BASE_CHECK_H
#define HOLDFAST_PROTO_BASE_CHECK_H

#include <stddef.h>

/* Prints the expression and its place to standard error and aborts. */
_Noreturn void check_failed(const char *expression, const char *file, int line);

#define CHECK(expression) ((expression) ? (void)0 : check_failed(#expression, __FILE__, __LINE__))

/* The struct of `type` whose member `member` is at `pointer`. */
#define container_of(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

#endif
