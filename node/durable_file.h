/* Small files that are replaced as a whole: after a crash the old content is there or the new one, never a mixture. */

#ifndef HOLDFAST_NODE_DURABLE_FILE_H
#define HOLDFAST_NODE_DURABLE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/err.h"

/* Writes `name` in the directory `dir_fd`, and syncs file and directory. What is there and is no file (an empty directory, a
 * pipe, a link to nowhere) makes way. ERR_NO_SPACE, ERR_IO; errno says more. */
int durable_file_write(int dir_fd, const char *name, const void *data, size_t len) NODISCARD;

/* Reads all of it, with a zero byte behind; the caller frees. ERR_NOT_FOUND, ERR_TOO_BIG (over `len_max`), ERR_INVALID (it is
 * no file), ERR_CORRUPT (the device cannot give it back), ERR_IO, ERR_NOMEM; errno says more of the last three. */
int durable_file_read(int dir_fd, const char *name, size_t len_max, char **ret_data, size_t *ret_len) NODISCARD;

/* Opens a file to be written in place, with the flags of open(2). What is there and is no file makes way. */
int durable_file_open(int dir_fd, const char *name, int flags, int *ret_fd) NODISCARD;

/* Whether what has the name is a link to nowhere, or to itself. */
bool durable_file_leads_nowhere(int dir_fd, const char *name);

/* Removes what has the name, if it is a file, no more than a name, or an empty directory. */
int durable_file_make_way(int dir_fd, const char *name) NODISCARD;

#endif
