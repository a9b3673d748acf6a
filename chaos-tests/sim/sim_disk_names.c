/* Names of files, and how a crash may undo changes of them. */

#include "sim_disk_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The place of a path, or where it belongs. */
static size_t names_place(const struct sim_names *names, const char *path, bool *ret_found)
{
    size_t i = 0;
    int order = 1;
    while (i < names->len && (order = strcmp(names->names[i].path, path)) < 0) {
        i++;
    }
    *ret_found = i < names->len && order == 0;
    return i;
}

struct sim_name *sim_names_find(const struct sim_names *names, const char *path)
{
    bool found;
    size_t i = names_place(names, path, &found);
    return found ? &names->names[i] : NULL;
}

void sim_names_remove(struct sim_names *names, const char *path)
{
    bool found;
    size_t i = names_place(names, path, &found);
    if (!found) {
        return;
    }
    sim_inode_unref(names->names[i].inode);
    memmove(names->names + i, names->names + i + 1, (names->len - i - 1) * sizeof *names->names);
    names->len--;
}

void sim_names_link(struct sim_names *names, const char *path, struct sim_inode *inode)
{
    sim_inode_ref(inode);
    sim_names_remove(names, path);
    bool found;
    size_t i = names_place(names, path, &found);
    names->names = sim_grown(names->names, sizeof *names->names, names->len, &names->cap);
    memmove(names->names + i + 1, names->names + i, (names->len - i) * sizeof *names->names);
    names->names[i].inode = inode;
    snprintf(names->names[i].path, SIM_PATH_LEN_MAX, "%s", path);
    names->len++;
}

void sim_names_apply(struct sim_names *names, const struct sim_naming *naming)
{
    switch (naming->kind) {
    case SIM_NAMING_LINK: sim_names_link(names, naming->path, naming->inode); break;
    case SIM_NAMING_REMOVE: sim_names_remove(names, naming->path); break;
    case SIM_NAMING_RENAME: {
        struct sim_name *name = sim_names_find(names, naming->path);
        if (name != NULL) {
            struct sim_inode *inode = sim_inode_ref(name->inode);
            sim_names_remove(names, naming->path);
            sim_names_link(names, naming->to, inode);
            sim_inode_unref(inode);
        }
        break;
    }
    }
}

void sim_names_clear(struct sim_names *names)
{
    while (names->len > 0) {
        sim_inode_unref(names->names[--names->len].inode);
    }
}

void sim_names_copy(struct sim_names *to, const struct sim_names *from)
{
    struct sim_names copy = {0};
    for (size_t i = 0; i < from->len; i++) {
        sim_names_link(&copy, from->names[i].path, from->names[i].inode);
    }
    sim_names_clear(to);
    free(to->names);
    *to = copy;
}

size_t sim_parent_len(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? 0 : (size_t)(slash - path);
}

bool sim_parent_exists(const struct sim_names *names, const char *path)
{
    size_t len = sim_parent_len(path);
    char parent[SIM_PATH_LEN_MAX];
    memcpy(parent, path, len);
    parent[len] = '\0';
    return len == 0 || sim_names_find(names, parent) != NULL;
}

bool sim_is_root(const char *path)
{
    return path[0] == '\0' || strcmp(path, ".") == 0;
}

bool sim_is_parent(const char *dir, const char *path)
{
    size_t len = sim_is_root(dir) ? 0 : strlen(dir);
    return sim_parent_len(path) == len && strncmp(dir, path, len) == 0;
}

void sim_naming_done(struct sim_naming *naming)
{
    sim_inode_unref(naming->inode);
}
