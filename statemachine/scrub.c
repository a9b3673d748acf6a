/* What the machine checks of its rows. */

#include "statemachine/scrub.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "statemachine/hash.h"
#include "statemachine/message.h"
#include "statemachine/rows.h"

static const struct {
    enum row_kind kind;
    size_t key_len; /* 0: the kind and a name. */
    const char *what;
} kinds[] = {
    {ROW_GLOBALS, 1, "globals"},
    {ROW_QUEUE, ROW_KEY_ONE_LEN, "queue"},
    {ROW_RETURNED, ROW_KEY_PAIR_LEN, "returned message of queue"},
    {ROW_MESSAGE, ROW_KEY_PAIR_LEN, "message of queue"},
    {ROW_PRESENCE, ROW_KEY_ONE_LEN, "node"},
    {ROW_PRODUCER, 0, "producer"},
    {ROW_SESSION, ROW_KEY_ONE_LEN, "session"},
    {ROW_CONSUMER, ROW_KEY_PAIR_LEN, "consumer of session"},
};

static size_t kind_of(struct slice key)
{
    size_t kind = 0;
    while (key.len > 0 && kind < ARRAY_LEN(kinds) && (uint8_t)kinds[kind].kind != key.data[0]) {
        kind++;
    }
    return key.len > 0 && key.len <= ROW_KEY_LEN_MAX ? kind : ARRAY_LEN(kinds);
}

void scrub_blame(struct slice key, const char *what, char *detail, size_t detail_len)
{
    size_t kind = kind_of(key);
    if (kind == ARRAY_LEN(kinds)) {
        (void)snprintf(detail, detail_len, "the store has a row of no kind (its key has %zu bytes): %s", key.len, what);
    } else if (key.len == ROW_KEY_ONE_LEN && kinds[kind].key_len == key.len) {
        (void)snprintf(detail, detail_len, "the store's row of %s %" PRIu64 ": %s", kinds[kind].what,
                       get_be64(key.data + 1), what);
    } else if (key.len == ROW_KEY_PAIR_LEN && kinds[kind].key_len == key.len) {
        (void)snprintf(detail, detail_len, "the store's row of %s %" PRIu64 ", %" PRIu64 ": %s", kinds[kind].what,
                       get_be64(key.data + 1), get_be64(key.data + 9), what);
    } else if (kinds[kind].key_len == 0) {
        (void)snprintf(detail, detail_len, "the store's row of %s %.*s: %s", kinds[kind].what, (int)key.len - 1,
                       (const char *)key.data + 1, what);
    } else {
        (void)snprintf(detail, detail_len, "the store's row of %s: %s", kinds[kind].what, what);
    }
}

static int blame(const struct row_key *key, int err, const char *what, char *detail, size_t detail_len)
{
    scrub_blame(row_key_slice(key), what, detail, detail_len);
    return err;
}

static int check_message(const struct row_key *key, struct slice value, char *detail, size_t detail_len)
{
    struct message message;
    int err = message_row_decode(key, value, &message);
    if (err != 0) {
        return blame(key, err, err_text(err), detail, detail_len);
    }
    if (XXH3_64bits(message.data, message.len) != message.hash) {
        return blame(key, ERR_CORRUPT, "the body is damaged", detail, detail_len);
    }
    return 0;
}

static bool key_fits(size_t kind, const struct row_key *key)
{
    return kinds[kind].key_len == 0 ? key->len > 1 : key->len == kinds[kind].key_len;
}

int scrub_row(struct slice key, struct slice value, char *detail, size_t detail_len)
{
    struct row_key row_key = {.len = key.len};
    size_t kind = kind_of(key);
    if (kind == ARRAY_LEN(kinds)) {
        scrub_blame(key, err_text(ERR_CORRUPT), detail, detail_len);
        return ERR_CORRUPT;
    }
    memcpy(row_key.data, key.data, key.len);
    if (!key_fits(kind, &row_key)) {
        return blame(&row_key, ERR_CORRUPT, "the key has a wrong length", detail, detail_len);
    }
    if (kinds[kind].kind == ROW_MESSAGE) {
        return check_message(&row_key, value, detail, detail_len);
    }
    struct row_reader reader;
    int err = row_open(&reader, &row_key, value);
    return err == 0 ? 0 : blame(&row_key, err, err_text(err), detail, detail_len);
}

static int scrub_each(void *arg, struct slice key, struct slice value, char *detail, size_t detail_len)
{
    (void)arg;
    return scrub_row(key, value, detail, detail_len);
}

int scrub_rows(struct store *store, struct store_scrub *scrub)
{
    scrub->each = scrub_each;
    scrub->arg = NULL;
    int err = store->ops->scrub(store, scrub);
    if (err != 0 && scrub->detail[0] == '\0') {
        (void)snprintf(scrub->detail, sizeof scrub->detail, "the store: %s", err_text(err));
    }
    return err;
}
