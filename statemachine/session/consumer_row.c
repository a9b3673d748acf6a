/* The row of a consumer. */

#include <stdlib.h>
#include <string.h>

#include "statemachine/session/consumer_turn.h"
#include "statemachine/session/session.h"
#include "statemachine/state.h"

#define FLAG_EXCLUSIVE 1u
#define FLAG_AUTO_ACCEPT 2u
#define FLAG_FETCH 4u
#define FLAG_ENDING 8u

static void put_deliveries_old(const struct deliveries *deliveries, struct row *row)
{
    row_put_u32(row, (uint32_t)deliveries->held);
    for (size_t i = deliveries->first; i < deliveries->last; i++) {
        const struct delivery *delivery = &deliveries->items[i];
        if (delivery->held) {
            uint8_t data[20];
            put_u64(data, delivery->number);
            put_u64(data + 8, delivery->position);
            put_u32(data + 16, delivery->count);
            row_put_bytes(row, data, sizeof data);
        }
    }
}

static void put_deliveries(const struct deliveries *deliveries, struct row *row)
{
    row_put_u32(row, (uint32_t)deliveries->held);
    for (size_t i = deliveries->first; i < deliveries->last; i++) {
        const struct delivery *delivery = &deliveries->items[i];
        if (delivery->held) {
            uint8_t data[44];
            put_u64(data, delivery->number);
            put_u64(data + 8, delivery->position);
            put_u64(data + 16, delivery->expires_ms);
            put_u64(data + 24, delivery->group);
            put_u64(data + 32, delivery->lock_until_ms);
            put_u32(data + 40, delivery->count);
            row_put_bytes(row, data, sizeof data);
        }
    }
}

static int consumer_row_old(const struct consumer *consumer, struct row *row)
{
    row_begin(row, row_key_pair(ROW_CONSUMER, consumer->session_id, consumer->id));
    row_put_u64(row, consumer->queue->id);
    row_put_u32(row, consumer->credit);
    row_put_u64(row, consumer->last_number);
    row_put_u64(row, consumer->turn);
    put_deliveries_old(&consumer->deliveries, row);
    return row_seal(row);
}

int consumer_row(const struct machine *machine, const struct consumer *consumer, struct row *row)
{
    if (machine->version < 2) {
        return consumer_row_old(consumer, row);
    }
    size_t tag_len = consumer->tag != NULL ? strlen(consumer->tag) : 0;
    row_begin_new(row, row_key_pair(ROW_CONSUMER, consumer->session_id, consumer->id));
    row_put_u64(row, consumer->queue->id);
    row_put_u32(row, consumer->credit);
    row_put_u64(row, consumer->last_number);
    row_put_u64(row, consumer->turn);
    row_put_u32(row, (uint32_t)consumer->priority);
    row_put_u8(row,
               (uint8_t)((consumer->exclusive ? FLAG_EXCLUSIVE : 0) | (consumer->auto_accept ? FLAG_AUTO_ACCEPT : 0) |
                         (consumer->fetch ? FLAG_FETCH : 0) | (consumer->ending ? FLAG_ENDING : 0)));
    row_put_u64(row, consumer->lock_ms);
    row_put_u8(row, (uint8_t)tag_len);
    row_put_bytes(row, consumer->tag, tag_len);
    put_deliveries(&consumer->deliveries, row);
    return row_seal(row);
}

static int load_deliveries(struct consumer *consumer, struct row_reader *reader)
{
    uint64_t number_before = 0;
    bool old = reader->version == ROW_VERSION;
    for (uint32_t left = row_get_u32(reader); left > 0; left--) {
        struct delivery delivery = {.number = row_get_u64(reader), .position = 0};
        delivery.position = row_get_u64(reader);
        delivery.expires_ms = old ? 0 : row_get_u64(reader);
        delivery.group = old ? 0 : row_get_u64(reader);
        delivery.lock_until_ms = old ? 0 : row_get_u64(reader);
        delivery.count = row_get_u32(reader);
        const struct lane *lane = queue_lane(consumer->queue, lane_of(delivery.position));
        if (reader->overrun || delivery.number <= number_before || delivery.number > consumer->last_number ||
            lane == NULL || delivery.position <= lane_start(lane_of(delivery.position)) ||
            delivery.position >= lane->head) {
            return ERR_CORRUPT;
        }
        int err = deliveries_push(&consumer->deliveries, &delivery);
        if (err != 0) {
            return err;
        }
        number_before = delivery.number;
        consumer->queue->unsettled++;
    }
    return 0;
}

/* What a row says before the deliveries. */
struct consumer_load {
    struct queue *queue;
    struct consumer_options options;
    uint64_t last_number;
    uint64_t turn;
    bool ending;
    char tag[NAME_LEN_MAX + 1];
};

static int load_fields(struct machine *machine, struct row_reader *reader, struct consumer_load *load)
{
    *load = (struct consumer_load){.queue = queue_by_id_doomed_too(machine, row_get_u64(reader))};
    load->options.credit = row_get_u32(reader);
    load->last_number = row_get_u64(reader);
    load->turn = row_get_u64(reader);
    if (reader->version != ROW_VERSION) {
        load->options.priority = (int32_t)row_get_u32(reader);
        uint8_t flags = row_get_u8(reader);
        load->options.exclusive = (flags & FLAG_EXCLUSIVE) != 0;
        load->options.auto_accept = (flags & FLAG_AUTO_ACCEPT) != 0;
        load->options.fetch = (flags & FLAG_FETCH) != 0;
        load->ending = (flags & FLAG_ENDING) != 0;
        load->options.lock_ms = row_get_u64(reader);
        size_t tag_len = row_get_u8(reader);
        const uint8_t *tag = row_get_bytes(reader, tag_len);
        if (tag != NULL) {
            memcpy(load->tag, tag, tag_len);
        }
    }
    load->options.tag = load->tag;
    return load->queue == NULL || reader->overrun || load->turn > load->queue->turns ? ERR_CORRUPT : 0;
}

int consumer_load(struct machine *machine, const struct row_key *key, struct slice value)
{
    struct row_reader reader;
    int err = row_open(&reader, key, value);
    if (err != 0) {
        return err;
    }
    if (key->len != ROW_KEY_PAIR_LEN) {
        return ERR_CORRUPT;
    }
    struct session *session = session_by_id_ending_too(machine, get_be64(key->data + 1));
    struct consumer_load load;
    struct consumer *consumer;
    err = session == NULL ? ERR_CORRUPT : load_fields(machine, &reader, &load);
    if (err == 0) {
        err = consumer_new(machine, session, load.queue, get_be64(key->data + 9), &load.options, &consumer);
    }
    if (err != 0) {
        return err;
    }
    consumer->stored = true;
    consumer->last_number = load.last_number;
    err = load_deliveries(consumer, &reader);
    if (err == 0) {
        err = row_end(&reader);
    }
    if (err == 0 && load.ending) {
        consumer_is_ending(machine, consumer);
        list_remove(&consumer->changed);
    }
    return err != 0 ? err : consumer_load_turn(consumer, load.turn);
}
