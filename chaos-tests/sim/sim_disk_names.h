/* The names on the simulated disk, and changes of them that are not durable yet. */

#ifndef HOLDFAST_SIM_DISK_NAMES_H
#define HOLDFAST_SIM_DISK_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "sim_disk_inode.h"

#define SIM_PATH_LEN_MAX 256u

/* A name in the file system; a directory has no inode. */
struct sim_name {
    char path[SIM_PATH_LEN_MAX];
    struct sim_inode *inode;
};

/* All names, sorted. */
struct sim_names {
    struct sim_name *names;
    size_t len;
    size_t cap;
};

enum sim_naming_kind { SIM_NAMING_LINK, SIM_NAMING_RENAME, SIM_NAMING_REMOVE };

/* A change of names that is not durable yet. */
struct sim_naming {
    enum sim_naming_kind kind;
    char path[SIM_PATH_LEN_MAX];
    char to[SIM_PATH_LEN_MAX]; /* Of a rename. */
    struct sim_inode *inode;   /* Of a link; NULL for a directory. */
};

struct sim_name *sim_names_find(const struct sim_names *names, const char *path);
/* Takes a reference to the inode, and displaces what had the name. */
void sim_names_link(struct sim_names *names, const char *path, struct sim_inode *inode);
void sim_names_remove(struct sim_names *names, const char *path);
void sim_names_apply(struct sim_names *names, const struct sim_naming *naming);
void sim_names_copy(struct sim_names *to, const struct sim_names *from);
void sim_names_clear(struct sim_names *names);
void sim_naming_done(struct sim_naming *naming);

/* The length of the path of the directory that holds `path`; 0 is the root. */
size_t sim_parent_len(const char *path);
bool sim_parent_exists(const struct sim_names *names, const char *path);
bool sim_is_root(const char *path);
bool sim_is_parent(const char *dir, const char *path);

#endif
