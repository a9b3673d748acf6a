/* A message as JSON. */

#include "message_json.h"

#include <stdlib.h>
#include <string.h>

#include "json.h"

static void text_json(FILE *out, const char *name, const char *text)
{
    if (text != NULL && text[0] != '\0') {
        fprintf(out, ", \"%s\": ", name);
        json_string(out, text, strlen(text));
    }
}

static void number_json(FILE *out, const char *name, uint64_t number)
{
    if (number != 0) {
        fprintf(out, ", \"%s\": %llu", name, (unsigned long long)number);
    }
}

/* What is not UTF-8, and what has no like in JSON, is null. */
static void value_json(FILE *out, const struct client_header *header)
{
    switch (header->type) {
    case CLIENT_BOOLEAN: fputs(header->boolean ? "true" : "false", out); return;
    case CLIENT_INTEGER: fprintf(out, "%lld", (long long)header->integer); return;
    case CLIENT_UNSIGNED:
    case CLIENT_TIMESTAMP: fprintf(out, "%llu", (unsigned long long)header->unsigned_); return;
    case CLIENT_FLOAT:
        if (header->number - header->number == 0) { /* Finite. */
            fprintf(out, "%.17g", header->number);
            return;
        }
        break;
    case CLIENT_STRING:
    case CLIENT_BINARY:
        if (bytes_are_utf8(header->data, header->len)) {
            json_string(out, header->data, header->len);
            return;
        }
        break;
    case CLIENT_VOID:
    case CLIENT_OTHER: break;
    }
    fputs("null", out);
}

static void headers_json(FILE *out, const struct client_header *headers, size_t len)
{
    if (len == 0) {
        return;
    }
    fputs(", \"headers\": {", out);
    for (size_t i = 0; i < len; i++) {
        fputs(i > 0 ? ", " : "", out);
        json_string(out, headers[i].name, strlen(headers[i].name));
        fputs(": ", out);
        value_json(out, &headers[i]);
    }
    putc('}', out);
}

void properties_json(FILE *out, const struct client_properties *properties)
{
    if (properties == NULL) {
        return;
    }
    text_json(out, "exchange", properties->exchange);
    text_json(out, "routing_key", properties->routing_key);
    number_json(out, "priority", properties->priority);
    if (properties->has_ttl) {
        fprintf(out, ", \"ttl_ms\": %llu", (unsigned long long)properties->ttl_ms);
    }
    text_json(out, "group", properties->group);
    text_json(out, "message_id", properties->message_id);
    text_json(out, "content_type", properties->content_type);
    text_json(out, "content_encoding", properties->content_encoding);
    text_json(out, "correlation_id", properties->correlation_id);
    text_json(out, "reply_to", properties->reply_to);
    text_json(out, "type", properties->type);
    text_json(out, "user_id", properties->user_id);
    text_json(out, "app_id", properties->app_id);
    if (properties->has_timestamp) {
        fprintf(out, ", \"timestamp_s\": %llu", (unsigned long long)properties->timestamp_s);
    }
    headers_json(out, properties->headers, properties->headers_len);
}

void deaths_json(FILE *out, const struct client_death *deaths, size_t len)
{
    if (len == 0) {
        return;
    }
    fputs(", \"deaths\": [", out);
    for (size_t i = 0; i < len; i++) {
        fprintf(out, "%s{\"queue\": ", i > 0 ? ", " : "");
        json_string(out, deaths[i].queue, strlen(deaths[i].queue));
        fprintf(out, ", \"reason\": \"%s\", \"count\": %llu, \"time_ms\": %llu}", deaths[i].reason,
                (unsigned long long)deaths[i].count, (unsigned long long)deaths[i].time_ms);
    }
    putc(']', out);
}

int message_json(struct output *output, const struct hf_message *message)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (out == NULL) {
        return ERR_NOMEM;
    }
    fprintf(out, "{\"position\": %llu, \"enqueued_ms\": %llu, \"delivery_count\": %u",
            (unsigned long long)message->position, (unsigned long long)message->enqueued_ms, message->delivery_count);
    number_json(out, "expires_ms", message->expires_ms);
    number_json(out, "lock_until_ms", message->lock_until_ms);
    properties_json(out, message->properties);
    deaths_json(out, message->deaths, message->deaths_len);
    fputs(", ", out);
    json_bytes(out, "body", message->body.data, message->body.len);
    fputs("}\n", out);
    int err = fclose(out) == 0 ? output_add(output, text, len) : ERR_NOMEM;
    free(text);
    return err;
}
