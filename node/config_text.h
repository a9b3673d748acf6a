/* Where in a configuration file a person should look: line numbers for errors, from the text alone.
 *
 * libcyaml gives values without their places, and a mistake such as an id that is used twice only shows once everything
 * is read. The file is small and its keys are few, so the place of a key is found again by looking for it. */

#ifndef HOLDFAST_NODE_CONFIG_TEXT_H
#define HOLDFAST_NODE_CONFIG_TEXT_H

#include <stddef.h>

/* Reads a file of at most CONFIG_TEXT_LEN_MAX bytes; a NUL is put behind it. The caller frees the text.
 * ERR_NOT_FOUND, ERR_IO, ERR_INVALID (too long, or a NUL byte in it), ERR_NOMEM, with one line in `detail`. */
#define CONFIG_TEXT_LEN_MAX ((size_t)256 * 1024)
int config_text_read(const char *path, char **ret_text, size_t *ret_len, char *detail, size_t detail_len);

/* The line, from 1, of a key of the outermost mapping; 0 when it is not there. */
unsigned config_text_line(const char *text, const char *key);

/* The line of the key of the member with that index, from 0; that of "members" when it is not there. */
unsigned config_text_member_line(const char *text, unsigned member, const char *key);

#endif
