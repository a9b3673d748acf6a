/* Consuming. */

#include "load.h"

void load_consumer_open(struct load_consumer *consumer, struct load *load, unsigned id)
{
    const struct load_options *options = &load->options;
    *consumer = (struct load_consumer){.load = load};
    load_link_open(&consumer->link, options->servers[options->spread ? id % options->servers_len : 0]);
    union amqp_method qos = {.basic_qos = {.id = AMQP_basic_qos, .prefetch_count = (uint16_t)options->prefetch}};
    (void)load_link_call(&consumer->link, &qos, AMQP_basic_qos_ok);
    char queue[256];
    load_queue_name(options, id, queue, sizeof queue);
    union amqp_method consume = {
        .basic_consume = {
            .id = AMQP_basic_consume, .queue = amqp_text(queue), .consumer_tag = amqp_text("load"), .no_wait = true}};
    load_link_send(&consumer->link, &consume);
    load_link_unblock(&consumer->link);
    (void)load_link_write(&consumer->link);
}

void load_consumer_finish(struct load_consumer *consumer)
{
    if (consumer->unacked > 0) {
        union amqp_method ack = {.basic_ack = {.id = AMQP_basic_ack, .delivery_tag = consumer->tag, .multiple = true}};
        load_link_send(&consumer->link, &ack);
        consumer->unacked = 0;
    }
}

static void take_body(struct load_consumer *consumer, struct amqp_bytes body, uint64_t now_ns)
{
    struct load *load = consumer->load;
    if (body.len < LOAD_STAMP_LEN) {
        load_fail("%s: a message of %zu bytes, which is none of ours", consumer->link.server, body.len);
    }
    uint64_t sent_ns = get_u64(body.data + 16);
    histogram_record(&load->delivery, now_ns > sent_ns ? now_ns - sent_ns : 0, 1);
    load_check_seen(load, get_u64(body.data), get_u64(body.data + 8));
    load->delivered++;
    consumer->delivered++;
}

void load_consumer_read(struct load_consumer *consumer)
{
    while (load_link_read(&consumer->link)) {
        uint64_t now_ns = load_now_ns();
        struct load_frame frame;
        while (load_link_next(&consumer->link, &frame)) {
            if (frame.type == AMQP_FRAME_METHOD) {
                union amqp_method method = load_link_method(&consumer->link, &frame);
                if (method.id == AMQP_basic_deliver) {
                    consumer->tag = method.basic_deliver.delivery_tag;
                    consumer->stamp_comes = true;
                }
            } else if (frame.type == AMQP_FRAME_BODY && consumer->stamp_comes) {
                consumer->stamp_comes = false;
                take_body(consumer, frame.payload, now_ns);
                if (++consumer->unacked == LOAD_ACK_EVERY) {
                    load_consumer_finish(consumer);
                }
            }
        }
    }
}
