/* Strings and bytes as JSON (RFC 8259), for commands with --json. */

#ifndef HOLDFAST_OPS_CLI_JSON_H
#define HOLDFAST_OPS_CLI_JSON_H

#include <stddef.h>
#include <stdio.h>

/* A string of `len` bytes of UTF-8, with its quotes. */
void json_string(FILE *out, const char *text, size_t len);

/* `"NAME": "..."` when the bytes are UTF-8, else `"NAME_base64": "..."` (RFC 4648). */
void json_bytes(FILE *out, const char *name, const void *data, size_t len);

#endif
