/* Headers as options give them: k=v. */

#ifndef HOLDFAST_OPS_CLI_HEADER_OPTION_H
#define HOLDFAST_OPS_CLI_HEADER_OPTION_H

#include "rpc/client/hf.h"

#define CLI_HEADERS_MAX 64u

struct cli_headers {
    struct client_header items[CLI_HEADERS_MAX];
    size_t len;
};

/* "name=value", which it cuts in two: true and false are booleans, whole numbers are integers, all else is text; quotes around it
 * make it text in any case. Or says what is wrong and returns EXIT_USAGE. */
int cli_header_add(struct cli_headers *headers, char *option);

#endif
