/* Makes the recorded logs: a machine, a few clients, and random commands for them, from a fixed seed.
 *
 *   golden_make DIR NAME SEED [odd]
 *   golden_make DIR NAME SEED new FEATURES RAISE_AT ENTRIES      (golden_new.c; FEATURES: bits of enum log_feature)
 *
 * writes DIR/NAME.log, NAME.digests and NAME.rows (golden_log.h), and prints how often each detail was given. To be run with
 * the code that the recording is to be of: what is written once is not written again by a later build. */

#include "golden_make.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "golden_log.h"
#include "statemachine/reply.h"

#define ENTRIES 2000u
#define ROWS_AFTER 650u

void require(bool holds, const char *what)
{
    if (!holds) {
        (void)fprintf(stderr, "golden_make: %s\n", what);
        exit(1);
    }
}

/* SplitMix64. */
uint64_t below(struct maker *maker, uint64_t limit)
{
    uint64_t z = maker->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % limit;
}

void add_raw(struct maker *maker, const struct entry_command *from, const void *header, size_t header_len,
             const void *bodies, size_t bodies_len)
{
    uint8_t head[ENTRY_COMMAND_HEAD_LEN];
    struct entry_command with = *from;
    with.header.len = header_len;
    with.bodies.len = bodies_len;
    entry_command_head_encode(&with, head);
    require(bytes_append(&maker->bytes, head, sizeof head) == 0, "memory");
    require(bytes_append(&maker->bytes, header, header_len) == 0, "memory");
    require(bytes_append(&maker->bytes, bodies, bodies_len) == 0, "memory");
    maker->commands++;
}

void add(struct maker *maker, const struct entry_command *from, const Holdfast__Command *command, const void *bodies,
         size_t bodies_len)
{
    size_t len = holdfast__command__get_packed_size(command);
    uint8_t *header = malloc(len + 1);
    require(header != NULL, "memory");
    holdfast__command__pack(command, header);
    add_raw(maker, from, header, len, bodies, bodies_len);
    free(header);
}

struct entry_command next_of(struct maker_client *client)
{
    return (struct entry_command){.session = client->session,
                                  .attachment = client->attachment,
                                  .number = ++client->number,
                                  .answered = client->answered};
}

static void learn_reply(struct maker *maker, const struct effect_reply *reply)
{
    for (unsigned detail = 0; detail < SEEN_MAX; detail++) {
        if ((detail == 0 || detail_text(detail)[0] != '\0') && strcmp(detail_text(detail), reply->detail) == 0) {
            maker->seen[detail]++;
            break;
        }
    }
}

void learn_details(struct maker *maker)
{
    for (size_t i = 0; i < maker->effects.len; i++) {
        if (maker->effects.items[i].kind == EFFECT_REPLY) {
            learn_reply(maker, &maker->effects.items[i].reply);
        }
    }
}

static void learn(struct maker *maker, const struct effect *effect)
{
    if (effect->kind == EFFECT_REPLY) {
        learn_reply(maker, &effect->reply);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        struct maker_client *client = &maker->clients[i];
        if (effect->session != client->session || client->session == 0) {
            continue;
        }
        if (effect->kind == EFFECT_DELIVER && effect->delivery.consumer <= CONSUMERS) {
            client->delivered[effect->delivery.consumer] = effect->delivery.number;
        } else if (effect->kind == EFFECT_SESSION_ENDED) {
            *client = (struct maker_client){0};
        }
    }
}

/* A client without a session takes what an attachment gave, unless another one has it. */
static void adopt(struct maker *maker, uint64_t session)
{
    struct maker_client *vacant = NULL;
    for (size_t i = 0; i < CLIENTS; i++) {
        if (maker->clients[i].session == session) {
            return;
        }
        if (maker->clients[i].session == 0 && vacant == NULL) {
            vacant = &maker->clients[i];
        }
    }
    if (vacant != NULL) {
        vacant->session = session;
    }
}

static void refresh(struct maker *maker)
{
    for (size_t i = 0; i < maker->effects.len; i++) {
        const struct effect *effect = &maker->effects.items[i];
        learn(maker, effect);
        if (effect->kind == EFFECT_REPLY && effect->reply.attach_session != 0) {
            adopt(maker, effect->reply.attach_session);
        }
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        struct maker_client *client = &maker->clients[i];
        struct machine_session session;
        if (client->session != 0 && machine_session(maker->machine, client->session, &session) == 0) {
            client->attachment = session.attachment;
            client->number = session.last_number;
            if (below(maker, 4) == 0) {
                client->answered = client->number - (client->number > 0 ? below(maker, client->number) % 5 : 0);
            }
        }
    }
}

static void write_digests(struct maker *maker)
{
    uint64_t digest;
    require(machine_digest(maker->machine, &digest) == 0, "machine_digest");
    (void)fprintf(maker->digests, "%" PRIu64 " %016" PRIx64 " %016" PRIx64 " %016" PRIx64 "\n", maker->index,
                  machine_running_digest(maker->machine), digest, maker->texts);
}

void apply_entry(struct maker *maker, struct slice entry)
{
    uint8_t record[12];
    maker->index++;
    put_u64(record, maker->index);
    put_u32(record + 8, (uint32_t)entry.len);
    require(fwrite(record, sizeof record, 1, maker->log) == 1, "write");
    require(fwrite(entry.data, entry.len, 1, maker->log) == 1, "write");
    require(machine_apply(maker->machine, maker->index, entry, &maker->effects) == 0, "apply");
    maker->texts = golden_texts(maker->texts, &maker->effects);
    if (maker->index % GOLDEN_EVERY == 0) {
        write_digests(maker);
    }
}

void apply(struct maker *maker)
{
    struct slice entry;
    entry_head_encode(&(struct entry_head){.machine_version = 1,
                                           .time_ms = maker->time_ms,
                                           .commands = maker->commands,
                                           .len = (uint32_t)(maker->bytes.len - ENTRY_HEAD_LEN)},
                      maker->bytes.data);
    require(slice_copy(maker->bytes.data, maker->bytes.len, &entry) == 0, "memory");
    apply_entry(maker, entry);
    slice_unref(&entry);
    refresh(maker);
    maker->bytes.len = ENTRY_HEAD_LEN;
    maker->commands = 0;
}

/* More sessions than one entry ends, more deliveries than one entry makes, more of everything than there may be. */
static void scene_limits(struct maker *maker, uint64_t scene)
{
    struct maker_client *client = &maker->clients[0];
    uint8_t key[16] = {0xee};
    if (client->session == 0) {
        return;
    }
    struct entry_command from = {0};
    for (uint64_t i = 0; scene == 0 && i < 300; i++) {
        put_u64(key + 1, i);
        add_attach(maker, key, sizeof key, 1, false, 1000);
    }
    for (uint64_t i = 0; scene == 1 && i < 70; i++) {
        Holdfast__NodePresent present = HOLDFAST__NODE_PRESENT__INIT;
        Holdfast__Command command = HOLDFAST__COMMAND__INIT;
        command.kind_case = HOLDFAST__COMMAND__KIND_NODE_PRESENT;
        command.node_present = &present;
        present.node = 100 + i;
        present.run = 1;
        add(maker, &from, &command, NULL, 0);
    }
    for (uint64_t i = 0; scene == 2 && i < 1026; i++) {
        from = next_of(client);
        if (i == 0) {
            add_declare(maker, &from, "many");
        } else {
            add_subscribe(maker, &from, "many", 1000 + i, 1);
        }
    }
    for (uint64_t i = 0; scene == 3 && i < 5; i++) {
        from = next_of(client);
        if (i == 0) {
            add_set_credit(maker, &from, 1001, 65535);
            from = next_of(client);
        }
        add_publish_empty(maker, &from, "many", 4096);
    }
    if (scene == 4) {
        client->number++;
        from = next_of(client); /* Its reply is forgotten. */
        from.number = 1;
        add_declare(maker, &from, "a");
    }
}

static void step(struct maker *maker)
{
    uint64_t late = below(maker, 40);
    maker->time_ms += below(maker, 4);
    maker->time_ms += late == 0 ? below(maker, 4000) : 0;
    maker->time_ms -= late == 1 ? 2 : 0; /* Log time does not go back. */
    if (maker->index >= 400 && maker->index % 100 == 0 && maker->index / 100 - 4 < 8) {
        scene_limits(maker, maker->index / 100 - 4);
    }
    for (uint64_t i = below(maker, 6); i > 0; i--) {
        add_random(maker);
    }
    apply(maker);
}

static int write_row(void *arg, struct slice key, struct slice value)
{
    FILE *file = arg;
    uint8_t head[8];
    put_u32(head, (uint32_t)key.len);
    put_u32(head + 4, (uint32_t)value.len);
    require(fwrite(head, sizeof head, 1, file) == 1 && fwrite(key.data, key.len, 1, file) == 1, "write");
    require(value.len == 0 || fwrite(value.data, value.len, 1, file) == 1, "write");
    return 0;
}

void write_rows(struct maker *maker, FILE *file)
{
    struct machine_checkpoint *checkpoint;
    uint64_t index;
    struct slice consensus;
    char detail[256];
    struct store *store;
    require(machine_checkpoint(maker->machine, (struct slice){0}, &checkpoint) == 0, "checkpoint");
    require(machine_checkpoint_write(checkpoint) == 0, "checkpoint");
    machine_checkpoint_done(checkpoint, 0);
    machine_close(maker->machine);
    require(store_memory_open(maker->disk, &store) == 0, "store");
    require(store->ops->scan(store, (struct slice){0}, (struct slice){.data = (const uint8_t *)"\xff", .len = 1},
                             write_row, file) == 0,
            "scan");
    store->ops->close(store);
    require(store_memory_open(maker->disk, &store) == 0, "store");
    require(machine_open(store, &maker->machine, &index, &consensus, detail, sizeof detail) == 0, "open");
    require(index == maker->index, "index");
    slice_unref(&consensus);
}

static FILE *file_new(const char *dir, const char *name, const char *kind)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s.%s", dir, name, kind);
    FILE *file = fopen(path, "wb");
    require(file != NULL, path);
    return file;
}

static void start(struct maker *maker, const char *dir, const char *name)
{
    struct store *store;
    uint64_t index;
    struct slice consensus;
    char detail[256];
    uint8_t head[ENTRY_HEAD_LEN] = {0};
    maker->log = file_new(dir, name, "log");
    maker->digests = file_new(dir, name, "digests");
    maker->time_ms = UINT64_C(1700000000000);
    maker->disk = store_memory_disk_new();
    require(maker->disk != NULL && store_memory_open(maker->disk, &store) == 0, "store");
    require(machine_open(store, &maker->machine, &index, &consensus, detail, sizeof detail) == 0, "open");
    slice_unref(&consensus);
    require(bytes_append(&maker->bytes, head, sizeof head) == 0, "memory");
}

static void make_old(struct maker *maker, FILE *rows)
{
    while (maker->index < ENTRIES) {
        step(maker);
        if (maker->index == ROWS_AFTER) {
            write_rows(maker, rows);
        }
    }
}

int main(int argc, char **argv)
{
    bool is_new = argc == 8 && strcmp(argv[4], "new") == 0;
    require(argc == 4 || argc == 5 || is_new, "usage: golden_make DIR NAME SEED [odd | new FEATURES RAISE_AT ENTRIES]");
    struct maker maker = {.random = strtoull(argv[3], NULL, 10), .odd = argc > 4};
    start(&maker, argv[1], argv[2]);
    FILE *rows = file_new(argv[1], argv[2], "rows");
    if (is_new) {
        make_new(&maker, rows, strtoull(argv[5], NULL, 0), strtoull(argv[6], NULL, 10), strtoull(argv[7], NULL, 10));
    } else {
        make_old(&maker, rows);
    }
    require(fclose(rows) == 0, "close");
    if (maker.index % GOLDEN_EVERY != 0) {
        write_digests(&maker);
    }
    for (unsigned detail = 0; detail < SEEN_MAX; detail++) {
        if (detail == 0 || detail_text(detail)[0] != '\0') {
            (void)printf("%6" PRIu64 "  %s\n", maker.seen[detail], detail == 0 ? "(done)" : detail_text(detail));
        }
    }
    require(fclose(maker.log) == 0 && fclose(maker.digests) == 0, "close");
    bytes_done(&maker.bytes);
    machine_close(maker.machine);
    store_memory_disk_free(maker.disk);
    return 0;
}
