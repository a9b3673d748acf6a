/* Paths of the files of a log. */

#include "consensus/log_path.h"

#include <string.h>

#include "consensus/log_format.h"

int log_path(const char *dir, const char *name, char *ret_path)
{
    size_t dir_len = strlen(dir);
    size_t name_len = strlen(name);
    if (dir_len + 1 + name_len >= LOG_PATH_LEN_MAX) {
        return ERR_TOO_BIG;
    }
    memcpy(ret_path, dir, dir_len);
    ret_path[dir_len] = '/';
    memcpy(ret_path + dir_len + 1, name, name_len + 1);
    return 0;
}

int log_path_of_segment(const char *dir, uint64_t number, char *ret_path)
{
    char name[LOG_NAME_LEN_MAX];
    log_segment_name(number, name);
    return log_path(dir, name, ret_path);
}

int log_path_parent(const char *dir, char *ret_path)
{
    const char *slash = strrchr(dir, '/');
    if (slash == NULL || slash == dir) {
        memcpy(ret_path, ".", 2);
        return 0;
    }
    size_t len = (size_t)(slash - dir);
    if (len >= LOG_PATH_LEN_MAX) {
        return ERR_TOO_BIG;
    }
    memcpy(ret_path, dir, len);
    ret_path[len] = '\0';
    return 0;
}
