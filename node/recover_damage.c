/* Which rows of a store are damaged, in words: of a message its queue and its position. */

#include "node/recover_damage.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "proto/base/bytes.h"
#include "proto/base/limits.h"
#include "statemachine/machine.h"
#include "statemachine/machine_virtual_hosts.h"
#include "statemachine/store/rows.h"
#include "statemachine/store/store_rocksdb.h"
#include "statemachine/store/survey.h"

/* How long it is silent, and how often it says how far it is. */
#define PROGRESS_FIRST_MS 1500u
#define PROGRESS_NEXT_MS 500u

/* A place of a row: in a queue, or in the rest of the state. */
struct place {
    bool message;
    uint64_t queue;
    uint64_t position;
    char name[2 * NAME_LEN_MAX + 16]; /* Of the queue. */
};

/* As struct survey_damage. */
struct damage {
    bool row;
    struct place first;
    struct place end;
    char what[512];
};

struct reading {
    uint64_t found;
    bool other; /* Not only messages and bodies. */
    struct damage damages[RECOVER_DAMAGES_MAX];
    uint64_t say_ms;
    bool said;
};

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

/* ---- What is found ---- */

static void place_take(struct place *place, struct slice key)
{
    place->message = key.len == ROW_KEY_PAIR_LEN && key.data[0] == ROW_MESSAGE;
    if (place->message) {
        place->queue = get_be64(key.data + ROW_KEY_LEN(0));
        place->position = get_be64(key.data + ROW_KEY_LEN(1));
        (void)snprintf(place->name, sizeof place->name, "with number %" PRIu64, place->queue);
    }
}

static void damage_found(void *arg, const struct survey_damage *found)
{
    struct reading *reading = arg;
    if (reading->found < RECOVER_DAMAGES_MAX) {
        struct damage *damage = &reading->damages[reading->found];
        damage->row = found->row;
        place_take(&damage->first, found->first);
        place_take(&damage->end, found->end);
        (void)snprintf(damage->what, sizeof damage->what, "%s", found->what);
    }
    reading->other = reading->other || !found->content;
    reading->found++;
}

/* ---- Where it is ---- */

static void place_name(struct place *place, const struct machine_queue *queue, const char *host)
{
    if (!place->message || place->queue != queue->id) {
        return;
    }
    if (queue->virtual_host == MACHINE_VIRTUAL_HOST_ROOT) {
        (void)snprintf(place->name, sizeof place->name, "%s", queue->name);
    } else {
        (void)snprintf(place->name, sizeof place->name, "%s of virtual host %s", queue->name, host);
    }
}

struct naming {
    struct reading *reading;
    struct machine *machine;
    const char *host;
};

static int name_of_queue(void *arg, const struct machine_queue *queue)
{
    struct naming *naming = arg;
    struct reading *reading = naming->reading;
    for (size_t i = 0; i < RECOVER_DAMAGES_MAX && i < reading->found; i++) {
        place_name(&reading->damages[i].first, queue, naming->host);
        place_name(&reading->damages[i].end, queue, naming->host);
    }
    return 0;
}

static int names_of_host(void *arg, const struct machine_virtual_host *host)
{
    struct naming *naming = arg;
    naming->host = host->name;
    return machine_queues_in(naming->machine, host->id, "", name_of_queue, naming);
}

static bool is_in_one_queue(const struct damage *damage)
{
    return damage->first.message && damage->end.message && damage->first.queue == damage->end.queue;
}

static void describe_positions(const struct damage *damage, char *out, size_t out_len)
{
    uint64_t first = damage->first.position + 1;
    uint64_t last = damage->end.position - 1;
    if (first == last) {
        (void)snprintf(out, out_len, "position %" PRIu64 " of queue %s: %s", first, damage->first.name, damage->what);
    } else {
        (void)snprintf(out, out_len, "positions %" PRIu64 " to %" PRIu64 " of queue %s: %s", first, last,
                       damage->first.name, damage->what);
    }
}

static void describe_place(const char *word, const struct place *place, char *out, size_t out_len)
{
    if (place->message) {
        (void)snprintf(out, out_len, "%s position %" PRIu64 " of queue %s", word, place->position, place->name);
    } else {
        out[0] = '\0';
    }
}

static void describe_range(const struct damage *damage, char *out, size_t out_len)
{
    char first[sizeof damage->first.name + 64];
    char end[sizeof damage->end.name + 64];
    describe_place("behind", &damage->first, first, sizeof first);
    describe_place("before", &damage->end, end, sizeof end);
    const char *between = first[0] != '\0' && end[0] != '\0' ? " and " : "";
    const char *what = first[0] != '\0' || end[0] != '\0' ? "" : "rows that are no messages";
    int len = snprintf(out, out_len, "%s%s%s%s: %s", what, first, between, end, damage->what);
    if (len < 0 || (size_t)len >= out_len) { /* Two names of the greatest length, and much to say. */
        (void)memcpy(out + out_len - sizeof "...", "...", sizeof "...");
    }
}

/* What is said of a message begins with its row, which an operator knows by its queue. */
static const char *without_row(const char *what)
{
    const char *colon = strstr(what, ": ");
    return colon == NULL ? what : colon + 2;
}

static void describe(const struct damage *damage, char *out, size_t out_len)
{
    if (damage->row && damage->first.message) {
        (void)snprintf(out, out_len, "position %" PRIu64 " of queue %s: %s", damage->first.position, damage->first.name,
                       without_row(damage->what));
    } else if (damage->row) {
        (void)snprintf(out, out_len, "%s", damage->what);
    } else if (is_in_one_queue(damage)) {
        describe_positions(damage, out, out_len);
    } else {
        describe_range(damage, out, out_len);
    }
}

/* ---- Reading ---- */

static void say_progress(void *arg, uint64_t bytes, uint64_t bytes_all)
{
    struct reading *reading = arg;
    if (now_ms() < reading->say_ms || isatty(STDERR_FILENO) == 0) {
        return;
    }
    reading->say_ms = now_ms() + PROGRESS_NEXT_MS;
    reading->said = true;
    (void)fprintf(stderr, "\rreads the state: %" PRIu64 " of %" PRIu64 " MiB", bytes / MIB,
                  (bytes_all > bytes ? bytes_all : bytes) / MIB);
}

static int read_rows(struct store *store, struct reading *reading, char *detail, size_t detail_len)
{
    struct survey survey = {.arg = reading, .damaged = damage_found, .progress = say_progress};
    reading->say_ms = now_ms() + PROGRESS_FIRST_MS;
    int err = survey_rows(store, &survey, detail, detail_len);
    if (reading->said) {
        (void)fputc('\n', stderr);
    }
    return err;
}

/* Takes the store. */
static int name_queues(struct store *store, struct reading *reading, char *detail, size_t detail_len)
{
    struct naming naming = {.reading = reading};
    struct slice position = {0};
    uint64_t index;
    int err = machine_open(store, &naming.machine, &index, &position, detail, detail_len);
    if (err != 0) {
        store->ops->close(store);
        return err;
    }
    err = machine_virtual_hosts(naming.machine, "", names_of_host, &naming);
    if (err != 0) {
        (void)snprintf(detail, detail_len, "the queues of the state: %s", err_text(err));
    }
    slice_unref(&position);
    machine_close(naming.machine);
    return err;
}

int recover_damage_read(const char *path, struct recover_damage *ret_damage, char *detail, size_t detail_len)
{
    struct store_rocksdb_options options = {.path = path, .read_only = true};
    struct reading reading = {0};
    struct store *store;
    int err = store_rocksdb_open(&options, &store, detail, detail_len);
    if (err != 0) {
        return err;
    }
    err = read_rows(store, &reading, detail, detail_len);
    if (err != 0) {
        store->ops->close(store);
        return err;
    }
    err = name_queues(store, &reading, detail, detail_len);
    if (err != 0) {
        return err;
    }
    ret_damage->found = reading.found;
    ret_damage->content = !reading.other;
    for (size_t i = 0; i < RECOVER_DAMAGES_MAX && i < reading.found; i++) {
        describe(&reading.damages[i], ret_damage->lines[i], sizeof ret_damage->lines[i]);
    }
    return 0;
}
