/* A directory for one test, gone with it. */

#ifndef HOLDFAST_NODE_TEST_TEMP_DIR_H
#define HOLDFAST_NODE_TEST_TEMP_DIR_H

struct temp_dir {
    char path[64];
};

void temp_dir_make(struct temp_dir *dir);
void temp_dir_remove(struct temp_dir *dir);

/* What may have the name of a file: nothing that anybody has written, or no file at all. */
enum temp_kind {
    TEMP_JUNK,
    TEMP_DIRECTORY,
    TEMP_PIPE,
    TEMP_SOCKET,
    TEMP_LINK_TO_NOWHERE,
    TEMP_LINK_TO_ITSELF,
    TEMP_KINDS,
};

/* In place of what has the name. */
void temp_put(const char *path, enum temp_kind kind);

#endif
