/* Paths of the files of a log. */

#ifndef HOLDFAST_CONSENSUS_LOG_PATH_H
#define HOLDFAST_CONSENSUS_LOG_PATH_H

#include <stdint.h>

#include "proto/base/err.h"

#define LOG_PATH_LEN_MAX 256u

/* Writes DIR/NAME to `ret_path`, of LOG_PATH_LEN_MAX bytes. ERR_TOO_BIG. */
int log_path(const char *dir, const char *name, char *ret_path) NODISCARD;
/* The path of a segment by its number, likewise. */
int log_path_of_segment(const char *dir, uint64_t number, char *ret_path) NODISCARD;
/* The directory that holds `dir`; "." for one at the root. */
int log_path_parent(const char *dir, char *ret_path) NODISCARD;

#endif
