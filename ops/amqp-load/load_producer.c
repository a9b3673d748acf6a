/* Publishing. */

#include <stdlib.h>
#include <string.h>

#include "load.h"
#include "rpc/amqp/amqp_properties.h"

/* What may gather to be written before the socket has taken what was. */
#define OUT_MAX ((size_t)1024 * 1024)

static void check(int err)
{
    if (err != 0) {
        load_fail("out of memory");
    }
}

/* The frames of a message, once and for all. */
static void message_make(struct load_producer *producer, const char *queue)
{
    struct bytes *bytes = &producer->message;
    union amqp_method publish = {.basic_publish = {.id = AMQP_basic_publish, .routing_key = amqp_text(queue)}};
    check(amqp_frame_method(bytes, 1, &publish));
    uint64_t size = producer->load->options.size;
    size_t place = 0;
    check(amqp_frame_begin(bytes, AMQP_FRAME_HEADER, 1, &place));
    check(amqp_put_u16(bytes, AMQP_CLASS_BASIC));
    check(amqp_put_u16(bytes, 0));
    check(amqp_put_u64(bytes, size));
    check(amqp_put_u16(bytes, 1u << AMQP_DELIVERY_MODE));
    check(amqp_put_u8(bytes, 2));
    check(amqp_frame_end(bytes, place));
    for (uint64_t at = 0; at < size;) {
        uint64_t part = size - at < producer->link.frame_max - AMQP_FRAME_COST
                            ? size - at
                            : producer->link.frame_max - AMQP_FRAME_COST;
        check(amqp_frame_body_prefix(bytes, 1, (uint32_t)part));
        if (at == 0) {
            producer->stamp_at = bytes->len;
        }
        check(bytes_reserve(bytes, part));
        for (uint64_t i = 0; i < part; i++) {
            bytes->data[bytes->len++] = (uint8_t)((at + i) * 31 >> 3);
        }
        check(amqp_put_u8(bytes, AMQP_FRAME_END));
        at += part;
    }
}

void load_producer_open(struct load_producer *producer, struct load *load, unsigned id)
{
    const struct load_options *options = &load->options;
    *producer = (struct load_producer){.load = load, .id = id};
    load_link_open(&producer->link, options->servers[options->spread ? id % options->servers_len : 0]);
    union amqp_method select = {.confirm_select = {.id = AMQP_confirm_select}};
    (void)load_link_call(&producer->link, &select, AMQP_confirm_select_ok);
    producer->acked = calloc(options->window, sizeof *producer->acked);
    producer->sent_ns = calloc(options->window, sizeof *producer->sent_ns);
    if (producer->acked == NULL || producer->sent_ns == NULL) {
        load_fail("out of memory");
    }
    char queue[256];
    load_queue_name(options, id, queue, sizeof queue);
    message_make(producer, queue);
    load_link_unblock(&producer->link);
}

static void publish_one(struct load_producer *producer, uint64_t now_ns)
{
    struct bytes *out = &producer->link.out;
    size_t at = out->len + producer->stamp_at;
    check(bytes_append(out, producer->message.data, producer->message.len));
    put_u64(out->data + at, producer->id);
    put_u64(out->data + at + 8, producer->published);
    put_u64(out->data + at + 16, now_ns);
    producer->sent_ns[producer->published % producer->load->options.window] = now_ns;
    producer->published++;
    producer->load->published++;
}

void load_producer_publish(struct load_producer *producer, uint64_t now_ns)
{
    struct load *load = producer->load;
    const struct load_options *options = &load->options;
    uint64_t until = UINT64_MAX;
    if (options->rate > 0) {
        until = (uint64_t)((double)(now_ns - load->start_ns) * 1e-9 * (double)options->rate / options->producers) + 1;
    }
    while (load->publishing && producer->published < until &&
           producer->published - producer->confirmed < options->window &&
           producer->link.out.len - producer->link.out_at < OUT_MAX &&
           (options->count == 0 || load->published < options->count)) {
        publish_one(producer, now_ns);
    }
}

static void confirmed_one(struct load_producer *producer, uint64_t number, uint64_t now_ns)
{
    uint64_t slot = number % producer->load->options.window;
    if (producer->acked[slot]) {
        return;
    }
    producer->acked[slot] = true;
    histogram_record(&producer->load->confirm, now_ns - producer->sent_ns[slot], 1);
    producer->load->confirmed++;
}

/* Tags count from 1, messages from 0. */
static void take_confirm(struct load_producer *producer, uint64_t tag, bool multiple, uint64_t now_ns)
{
    if (tag == 0 || tag > producer->published) {
        load_fail("%s: a confirm of message %llu, of %llu that were published", producer->link.server,
                  (unsigned long long)tag, (unsigned long long)producer->published);
    }
    struct load *load = producer->load;
    load->gap_ns = now_ns - load->last_ns > load->gap_ns ? now_ns - load->last_ns : load->gap_ns;
    load->last_ns = now_ns;
    for (uint64_t number = multiple ? producer->confirmed : tag - 1; number < tag; number++) {
        if (number >= producer->confirmed) {
            confirmed_one(producer, number, now_ns);
        }
    }
    while (producer->confirmed < producer->published && producer->acked[producer->confirmed % load->options.window]) {
        producer->acked[producer->confirmed % load->options.window] = false;
        producer->confirmed++;
    }
}

void load_producer_read(struct load_producer *producer)
{
    while (load_link_read(&producer->link)) {
        uint64_t now_ns = load_now_ns();
        struct load_frame frame;
        while (load_link_next(&producer->link, &frame)) {
            if (frame.type != AMQP_FRAME_METHOD) {
                continue;
            }
            union amqp_method method = load_link_method(&producer->link, &frame);
            if (method.id == AMQP_basic_ack) {
                take_confirm(producer, method.basic_ack.delivery_tag, method.basic_ack.multiple, now_ns);
            } else if (method.id == AMQP_basic_nack) {
                load_fail("%s: message %llu was refused", producer->link.server,
                          (unsigned long long)method.basic_nack.delivery_tag);
            }
        }
    }
}
