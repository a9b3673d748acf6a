/* Headers as options give them. */

#include "header_option.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static struct client_header header_of(const char *name, char *value)
{
    struct client_header header = {.name = name, .type = CLIENT_STRING, .data = value, .len = strlen(value)};
    if (header.len >= 2 && value[0] == '"' && value[header.len - 1] == '"') {
        header.data = value + 1;
        header.len -= 2;
        return header;
    }
    char *end = NULL;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (value[0] != '\0' && *end == '\0' && errno == 0 && strchr(" \t+", value[0]) == NULL) {
        header.type = CLIENT_INTEGER;
        header.integer = number;
    } else if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0) {
        header.type = CLIENT_BOOLEAN;
        header.boolean = value[0] == 't';
    }
    return header;
}

int cli_header_add(struct cli_headers *headers, char *option)
{
    char *equals = strchr(option, '=');
    if (equals == NULL || equals == option || headers->len == CLI_HEADERS_MAX) {
        fprintf(stderr, "holdfast: --header takes NAME=VALUE, at most %u of them, not \"%s\"\n", CLI_HEADERS_MAX,
                option);
        return EXIT_USAGE;
    }
    *equals = '\0';
    headers->items[headers->len++] = header_of(option, equals + 1);
    return 0;
}
