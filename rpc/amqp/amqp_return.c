/* Messages that go back to their publisher: Basic.Return. */

#include "rpc/amqp/amqp_publishing.h"

/* What a head may unpack to. */
#define HEAD_ARENA_MAX ((size_t)4 * MIB)

void amqp_return(struct amqp_channel *channel, struct slice content, size_t head_len)
{
    struct amqp_session *session = channel->session;
    if (!amqp_channel_is_open(channel)) {
        return;
    }
    struct arena arena;
    struct bytes properties = {0};
    arena_init(&arena, HEAD_ARENA_MAX);
    const Holdfast__MessageHead *head = holdfast__message_head__unpack(&arena.protobuf, head_len, content.data);
    int err = head != NULL ? amqp_properties_encode(head, head->header, head->n_header, &properties) : ERR_NOMEM;
    if (err == 0) {
        union amqp_method method = {.basic_return = {.id = AMQP_basic_return,
                                                     .reply_code = AMQP_NO_ROUTE,
                                                     .reply_text = amqp_text(amqp_code_name(AMQP_NO_ROUTE)),
                                                     .exchange = amqp_text(head->exchange),
                                                     .routing_key = amqp_text(head->routing_key)}};
        amqp_send_content(session, channel->number, &method, (struct amqp_bytes){properties.data, properties.len},
                          slice_part(content, head_len, content.len - head_len));
    } else {
        amqp_session_fail(session, err);
    }
    bytes_done(&properties);
    arena_done(&arena);
}
