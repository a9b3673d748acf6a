/* A message as JSON. */

#ifndef HOLDFAST_OPS_CLI_MESSAGE_JSON_H
#define HOLDFAST_OPS_CLI_MESSAGE_JSON_H

#include <stdio.h>

#include "output.h"
#include "rpc/client/hf.h"

/* Adds an object and a newline, with properties, headers and deaths, if there are any. ERR_NOMEM. */
int message_json(struct output *output, const struct hf_message *message) NODISCARD;

/* Properties and deaths as members of an object, each with ", " before it; NULL and none: nothing. */
void properties_json(FILE *out, const struct client_properties *properties);
void deaths_json(FILE *out, const struct client_death *deaths, size_t len);

#endif
