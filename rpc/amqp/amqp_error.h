/* The codes that Channel.Close and Connection.Close carry (§1.2 of the generated specification), as RabbitMQ uses them. */

#ifndef HOLDFAST_RPC_AMQP_AMQP_ERROR_H
#define HOLDFAST_RPC_AMQP_AMQP_ERROR_H

/* X(name, code) */
#define AMQP_CODES(X)                                                                                                  \
    X(CONTENT_TOO_LARGE, 311)                                                                                          \
    X(NO_ROUTE, 312)                                                                                                   \
    X(NO_CONSUMERS, 313)                                                                                               \
    X(CONNECTION_FORCED, 320)                                                                                          \
    X(INVALID_PATH, 402)                                                                                               \
    X(ACCESS_REFUSED, 403)                                                                                             \
    X(NOT_FOUND, 404)                                                                                                  \
    X(RESOURCE_LOCKED, 405)                                                                                            \
    X(PRECONDITION_FAILED, 406)                                                                                        \
    X(FRAME_ERROR, 501)                                                                                                \
    X(SYNTAX_ERROR, 502)                                                                                               \
    X(COMMAND_INVALID, 503)                                                                                            \
    X(CHANNEL_ERROR, 504)                                                                                              \
    X(UNEXPECTED_FRAME, 505)                                                                                           \
    X(RESOURCE_ERROR, 506)                                                                                             \
    X(NOT_ALLOWED, 530)                                                                                                \
    X(NOT_IMPLEMENTED, 540)                                                                                            \
    X(INTERNAL_ERROR, 541)

enum amqp_code {
#define X(name, code) AMQP_##name = (code),
    AMQP_CODES(X)
#undef X
};

/* As "NOT_FOUND"; "" for an unknown one. */
const char *amqp_code_name(enum amqp_code code);

#endif
