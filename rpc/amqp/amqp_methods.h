/* The methods of AMQP 0-9-1 with RabbitMQ's extensions, as one list: amqp0-9-1.extended.xml.
 *
 * The arguments of a method are F(S, type, name) in the order of the wire. Types: OCTET, SHORT, LONG, LONGLONG (unsigned, 8 to 64
 * bits), BIT (up to eight in a row share an octet), SHORTSTR, LONGSTR, TABLE (encoded: amqp_table.h). */

#ifndef HOLDFAST_RPC_AMQP_AMQP_METHODS_H
#define HOLDFAST_RPC_AMQP_AMQP_METHODS_H

/* clang-format off */

/* X(name, class, method, whether content follows) */
#define AMQP_METHODS(X)                        \
    X(connection_start,            10, 10, false) \
    X(connection_start_ok,         10, 11, false) \
    X(connection_secure,           10, 20, false) \
    X(connection_secure_ok,        10, 21, false) \
    X(connection_tune,             10, 30, false) \
    X(connection_tune_ok,          10, 31, false) \
    X(connection_open,             10, 40, false) \
    X(connection_open_ok,          10, 41, false) \
    X(connection_close,            10, 50, false) \
    X(connection_close_ok,         10, 51, false) \
    X(connection_blocked,          10, 60, false) \
    X(connection_unblocked,        10, 61, false) \
    X(connection_update_secret,    10, 70, false) \
    X(connection_update_secret_ok, 10, 71, false) \
    X(channel_open,                20, 10, false) \
    X(channel_open_ok,             20, 11, false) \
    X(channel_flow,                20, 20, false) \
    X(channel_flow_ok,             20, 21, false) \
    X(channel_close,               20, 40, false) \
    X(channel_close_ok,            20, 41, false) \
    X(access_request,              30, 10, false) \
    X(access_request_ok,           30, 11, false) \
    X(exchange_declare,            40, 10, false) \
    X(exchange_declare_ok,         40, 11, false) \
    X(exchange_delete,             40, 20, false) \
    X(exchange_delete_ok,          40, 21, false) \
    X(exchange_bind,               40, 30, false) \
    X(exchange_bind_ok,            40, 31, false) \
    X(exchange_unbind,             40, 40, false) \
    X(exchange_unbind_ok,          40, 51, false) \
    X(queue_declare,               50, 10, false) \
    X(queue_declare_ok,            50, 11, false) \
    X(queue_bind,                  50, 20, false) \
    X(queue_bind_ok,               50, 21, false) \
    X(queue_purge,                 50, 30, false) \
    X(queue_purge_ok,              50, 31, false) \
    X(queue_delete,                50, 40, false) \
    X(queue_delete_ok,             50, 41, false) \
    X(queue_unbind,                50, 50, false) \
    X(queue_unbind_ok,             50, 51, false) \
    X(basic_qos,                   60, 10, false) \
    X(basic_qos_ok,                60, 11, false) \
    X(basic_consume,               60, 20, false) \
    X(basic_consume_ok,            60, 21, false) \
    X(basic_cancel,                60, 30, false) \
    X(basic_cancel_ok,             60, 31, false) \
    X(basic_publish,               60, 40, true)  \
    X(basic_return,                60, 50, true)  \
    X(basic_deliver,               60, 60, true)  \
    X(basic_get,                   60, 70, false) \
    X(basic_get_ok,                60, 71, true)  \
    X(basic_get_empty,             60, 72, false) \
    X(basic_ack,                   60, 80, false) \
    X(basic_reject,                60, 90, false) \
    X(basic_recover_async,         60, 100, false) \
    X(basic_recover,               60, 110, false) \
    X(basic_recover_ok,            60, 111, false) \
    X(basic_nack,                  60, 120, false) \
    X(confirm_select,              85, 10, false) \
    X(confirm_select_ok,           85, 11, false) \
    X(tx_select,                   90, 10, false) \
    X(tx_select_ok,                90, 11, false) \
    X(tx_commit,                   90, 20, false) \
    X(tx_commit_ok,                90, 21, false) \
    X(tx_rollback,                 90, 30, false) \
    X(tx_rollback_ok,              90, 31, false)

#define AMQP_FIELDS_connection_start(F, S) \
    F(S, OCTET, version_major) F(S, OCTET, version_minor) F(S, TABLE, server_properties) F(S, LONGSTR, mechanisms) F(S, LONGSTR, locales)
#define AMQP_FIELDS_connection_start_ok(F, S) \
    F(S, TABLE, client_properties) F(S, SHORTSTR, mechanism) F(S, LONGSTR, response) F(S, SHORTSTR, locale)
#define AMQP_FIELDS_connection_secure(F, S) F(S, LONGSTR, challenge)
#define AMQP_FIELDS_connection_secure_ok(F, S) F(S, LONGSTR, response)
#define AMQP_FIELDS_connection_tune(F, S) F(S, SHORT, channel_max) F(S, LONG, frame_max) F(S, SHORT, heartbeat)
#define AMQP_FIELDS_connection_tune_ok(F, S) F(S, SHORT, channel_max) F(S, LONG, frame_max) F(S, SHORT, heartbeat)
#define AMQP_FIELDS_connection_open(F, S) F(S, SHORTSTR, virtual_host) F(S, SHORTSTR, reserved_1) F(S, BIT, reserved_2)
#define AMQP_FIELDS_connection_open_ok(F, S) F(S, SHORTSTR, reserved_1)
#define AMQP_FIELDS_connection_close(F, S) \
    F(S, SHORT, reply_code) F(S, SHORTSTR, reply_text) F(S, SHORT, class_id) F(S, SHORT, method_id)
#define AMQP_FIELDS_connection_close_ok(F, S)
#define AMQP_FIELDS_connection_blocked(F, S) F(S, SHORTSTR, reason)
#define AMQP_FIELDS_connection_unblocked(F, S)
#define AMQP_FIELDS_connection_update_secret(F, S) F(S, LONGSTR, new_secret) F(S, SHORTSTR, reason)
#define AMQP_FIELDS_connection_update_secret_ok(F, S)

#define AMQP_FIELDS_channel_open(F, S) F(S, SHORTSTR, reserved_1)
#define AMQP_FIELDS_channel_open_ok(F, S) F(S, LONGSTR, reserved_1)
#define AMQP_FIELDS_channel_flow(F, S) F(S, BIT, active)
#define AMQP_FIELDS_channel_flow_ok(F, S) F(S, BIT, active)
#define AMQP_FIELDS_channel_close(F, S) \
    F(S, SHORT, reply_code) F(S, SHORTSTR, reply_text) F(S, SHORT, class_id) F(S, SHORT, method_id)
#define AMQP_FIELDS_channel_close_ok(F, S)

#define AMQP_FIELDS_access_request(F, S) \
    F(S, SHORTSTR, realm) F(S, BIT, exclusive) F(S, BIT, passive) F(S, BIT, active) F(S, BIT, write) F(S, BIT, read)
#define AMQP_FIELDS_access_request_ok(F, S) F(S, SHORT, ticket)

#define AMQP_FIELDS_exchange_declare(F, S) \
    F(S, SHORT, reserved_1) F(S, SHORTSTR, exchange) F(S, SHORTSTR, type) F(S, BIT, passive) F(S, BIT, durable) F(S, BIT, auto_delete) \
    F(S, BIT, internal) F(S, BIT, no_wait) F(S, TABLE, arguments)
#define AMQP_FIELDS_exchange_declare_ok(F, S)
#define AMQP_FIELDS_exchange_delete(F, S) \
    F(S, SHORT, reserved_1) F(S, SHORTSTR, exchange) F(S, BIT, if_unused) F(S, BIT, no_wait)
#define AMQP_FIELDS_exchange_delete_ok(F, S)
#define AMQP_FIELDS_exchange_bind(F, S) \
    F(S, SHORT, reserved_1) F(S, SHORTSTR, destination) F(S, SHORTSTR, source) F(S, SHORTSTR, routing_key) F(S, BIT, no_wait) \
    F(S, TABLE, arguments)
#define AMQP_FIELDS_exchange_bind_ok(F, S)
#define AMQP_FIELDS_exchange_unbind(F, S) \
    F(S, SHORT, reserved_1) F(S, SHORTSTR, destination) F(S, SHORTSTR, source) F(S, SHORTSTR, routing_key) F(S, BIT, no_wait) \
    F(S, TABLE, arguments)
#define AMQP_FIELDS_exchange_unbind_ok(F, S)

#define AMQP_FIELDS_queue_declare(F, S) \
    F(S, SHORT, reserved_1) F(S, SHORTSTR, queue) F(S, BIT, passive) F(S, BIT, durable) F(S, BIT, exclusive) F(S, BIT, auto_delete) \
    F(S, BIT, no_wait) F(S, TABLE, arguments)
#define AMQP_FIELDS_queue_declare_ok(F, S) F(S, SHORTSTR, queue) F(S, LONG, message_count) F(S, LONG, consumer_count)
#define AMQP_FIELDS_queue_bind(F, S) \
    F(S, SHORT, reserved_1) F(S, SHORTSTR, queue) F(S, SHORTSTR, exchange) F(S, SHORTSTR, routing_key) F(S, BIT, no_wait) \
    F(S, TABLE, arguments)
#define AMQP_FIELDS_queue_bind_ok(F, S)
#define AMQP_FIELDS_queue_purge(F, S) F(S, SHORT, reserved_1) F(S, SHORTSTR, queue) F(S, BIT, no_wait)
#define AMQP_FIELDS_queue_purge_ok(F, S) F(S, LONG, message_count)
#define AMQP_FIELDS_queue_delete(F, S) \
    F(S, SHORT, reserved_1) F(S, SHORTSTR, queue) F(S, BIT, if_unused) F(S, BIT, if_empty) F(S, BIT, no_wait)
#define AMQP_FIELDS_queue_delete_ok(F, S) F(S, LONG, message_count)
#define AMQP_FIELDS_queue_unbind(F, S) \
    F(S, SHORT, reserved_1) F(S, SHORTSTR, queue) F(S, SHORTSTR, exchange) F(S, SHORTSTR, routing_key) F(S, TABLE, arguments)
#define AMQP_FIELDS_queue_unbind_ok(F, S)

#define AMQP_FIELDS_basic_qos(F, S) F(S, LONG, prefetch_size) F(S, SHORT, prefetch_count) F(S, BIT, global)
#define AMQP_FIELDS_basic_qos_ok(F, S)
#define AMQP_FIELDS_basic_consume(F, S) \
    F(S, SHORT, reserved_1) F(S, SHORTSTR, queue) F(S, SHORTSTR, consumer_tag) F(S, BIT, no_local) F(S, BIT, no_ack) F(S, BIT, exclusive) \
    F(S, BIT, no_wait) F(S, TABLE, arguments)
#define AMQP_FIELDS_basic_consume_ok(F, S) F(S, SHORTSTR, consumer_tag)
#define AMQP_FIELDS_basic_cancel(F, S) F(S, SHORTSTR, consumer_tag) F(S, BIT, no_wait)
#define AMQP_FIELDS_basic_cancel_ok(F, S) F(S, SHORTSTR, consumer_tag)
#define AMQP_FIELDS_basic_publish(F, S) \
    F(S, SHORT, reserved_1) F(S, SHORTSTR, exchange) F(S, SHORTSTR, routing_key) F(S, BIT, mandatory) F(S, BIT, immediate)
#define AMQP_FIELDS_basic_return(F, S) \
    F(S, SHORT, reply_code) F(S, SHORTSTR, reply_text) F(S, SHORTSTR, exchange) F(S, SHORTSTR, routing_key)
#define AMQP_FIELDS_basic_deliver(F, S) \
    F(S, SHORTSTR, consumer_tag) F(S, LONGLONG, delivery_tag) F(S, BIT, redelivered) F(S, SHORTSTR, exchange) F(S, SHORTSTR, routing_key)
#define AMQP_FIELDS_basic_get(F, S) F(S, SHORT, reserved_1) F(S, SHORTSTR, queue) F(S, BIT, no_ack)
#define AMQP_FIELDS_basic_get_ok(F, S) \
    F(S, LONGLONG, delivery_tag) F(S, BIT, redelivered) F(S, SHORTSTR, exchange) F(S, SHORTSTR, routing_key) F(S, LONG, message_count)
#define AMQP_FIELDS_basic_get_empty(F, S) F(S, SHORTSTR, reserved_1)
#define AMQP_FIELDS_basic_ack(F, S) F(S, LONGLONG, delivery_tag) F(S, BIT, multiple)
#define AMQP_FIELDS_basic_reject(F, S) F(S, LONGLONG, delivery_tag) F(S, BIT, requeue)
#define AMQP_FIELDS_basic_recover_async(F, S) F(S, BIT, requeue)
#define AMQP_FIELDS_basic_recover(F, S) F(S, BIT, requeue)
#define AMQP_FIELDS_basic_recover_ok(F, S)
#define AMQP_FIELDS_basic_nack(F, S) F(S, LONGLONG, delivery_tag) F(S, BIT, multiple) F(S, BIT, requeue)

#define AMQP_FIELDS_confirm_select(F, S) F(S, BIT, no_wait)
#define AMQP_FIELDS_confirm_select_ok(F, S)
#define AMQP_FIELDS_tx_select(F, S)
#define AMQP_FIELDS_tx_select_ok(F, S)
#define AMQP_FIELDS_tx_commit(F, S)
#define AMQP_FIELDS_tx_commit_ok(F, S)
#define AMQP_FIELDS_tx_rollback(F, S)
#define AMQP_FIELDS_tx_rollback_ok(F, S)

/* clang-format on */

#endif
