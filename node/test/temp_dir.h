/* A directory for one test, gone with it. */

#ifndef HOLDFAST_NODE_TEST_TEMP_DIR_H
#define HOLDFAST_NODE_TEST_TEMP_DIR_H

struct temp_dir {
    char path[64];
};

void temp_dir_make(struct temp_dir *dir);
void temp_dir_remove(struct temp_dir *dir);

#endif
