/* The files of a copy of a state: their names and sizes, and where they are. */

#ifndef HOLDFAST_NODE_CORE_REBUILD_FILES_H
#define HOLDFAST_NODE_CORE_REBUILD_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/disk.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"

#define REBUILD_FILE_NAME_LEN_MAX 64u
#define REBUILD_BYTES_MAX (1024 * GIB)
#define REBUILD_PATH_LEN_MAX 256u

/* What the names of directories begin with: of copies that are given, and of those that are fetched. */
#define REBUILD_COPY "copy-"
#define REBUILD_INCOMING "incoming-"
/* What the name of a file ends with that is not whole; and the file that says that a copy is whole, and is not part of it. */
#define REBUILD_PART ".part"
#define REBUILD_WHOLE "whole.part"

struct rebuild_file {
    char name[REBUILD_FILE_NAME_LEN_MAX + 1];
    bool whole; /* For whoever fetches it: it is here, synced, under its name. */
    uint64_t size;
};

struct rebuild_files {
    struct rebuild_file *items;
    uint32_t len;
    uint64_t bytes;
};

/* Whether it is a name that stays within its directory: letters, digits, '.', '_' and '-', and neither "." nor "..". */
bool rebuild_file_name_ok(const char *name);

/* ERR_TOO_BIG: more files or bytes than a copy may have. ERR_INVALID: a name, or one that is there already. ERR_NOMEM. The
 * order of the names is free; a name that comes twice is found by rebuild_files_check(). */
int rebuild_files_add(struct rebuild_files *files, const char *name, uint64_t size) NODISCARD;
/* ERR_INVALID: a name is there twice. ERR_NOMEM. */
int rebuild_files_check(const struct rebuild_files *files) NODISCARD;
/* NULL: there is none of that name. */
struct rebuild_file *rebuild_files_find(const struct rebuild_files *files, const char *name);
bool rebuild_files_equal(const struct rebuild_files *a, const struct rebuild_files *b);
void rebuild_files_done(struct rebuild_files *files);

/* Lists the directory, but for REBUILD_WHOLE; with `sync`, syncs each file and the directory. Errors of the disk, and those of
 * rebuild_files_add(). */
int rebuild_files_list(struct disk *disk, const char *path, bool sync, struct rebuild_files *ret_files) NODISCARD;

/* "dir/name" with something behind it. ERR_TOO_BIG. */
int rebuild_path(char out[REBUILD_PATH_LEN_MAX], const char *dir, const char *name, const char *behind) NODISCARD;

#endif
