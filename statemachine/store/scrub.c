/* What the machine checks of its rows. */

#include "statemachine/store/scrub.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "statemachine/hash.h"
#include "statemachine/message/message.h"
#include "statemachine/store/rows.h"
#include "statemachine/table/table_kind.h"

/* The kinds that are not in the table. */
static const struct {
    enum row_kind kind;
    struct table_kind like;
} kinds[] = {
    {ROW_GLOBALS, {.what = "globals", .key_len = 1}},
    {ROW_QUEUE, {.what = "queue", .key_len = ROW_KEY_ONE_LEN}},
    {ROW_RETURNED, {.what = "returned message of queue", .key_len = ROW_KEY_PAIR_LEN}},
    {ROW_MESSAGE, {.what = "message of queue", .key_len = ROW_KEY_PAIR_LEN}},
    {ROW_PRESENCE, {.what = "node", .key_len = ROW_KEY_ONE_LEN}},
    {ROW_PRODUCER, {.what = "producer", .key_len = 0}},
    {ROW_SESSION, {.what = "session", .key_len = ROW_KEY_ONE_LEN}},
    {ROW_CONSUMER, {.what = "consumer of session", .key_len = ROW_KEY_PAIR_LEN}},
};

/* NULL: none. */
static const struct table_kind *kind_of(struct slice key)
{
    if (key.len == 0 || key.len > ROW_KEY_LEN_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if ((uint8_t)kinds[i].kind == key.data[0]) {
            return &kinds[i].like;
        }
    }
    return table_kind(key.data[0]);
}

/* A key's numbers, or its name; nothing of one that is not as its kind's are. */
static void name_key(const struct table_kind *kind, struct slice key, char *name, size_t name_len)
{
    name[0] = '\0';
    if (kind->key_len == 0) {
        (void)snprintf(name, name_len, " %.*s", (int)key.len - 1, (const char *)key.data + 1);
    } else if (kind->key_len == key.len) {
        size_t len = 0;
        for (size_t at = 1; at + 8 <= key.len && len < name_len; at += 8) {
            int more = snprintf(name + len, name_len - len, "%s%" PRIu64, at > 1 ? ", " : " ", get_be64(key.data + at));
            len += (size_t)more;
        }
    }
}

void scrub_blame(struct slice key, const char *what, char *detail, size_t detail_len)
{
    const struct table_kind *kind = kind_of(key);
    if (kind == NULL) {
        (void)snprintf(detail, detail_len, "the store has a row of no kind (its key has %zu bytes): %s", key.len, what);
        return;
    }
    char name[ROW_KEY_LEN_MAX + 1];
    name_key(kind, key, name, sizeof name);
    (void)snprintf(detail, detail_len, "the store's row of %s%s: %s", kind->what, name, what);
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
    /* A shared body has a row of its own. */
    if (message.shared_body == 0 && XXH3_64bits(message.data, message_len(&message)) != message.hash) {
        return blame(key, ERR_CORRUPT, "the body is damaged", detail, detail_len);
    }
    return 0;
}

static int check_table_row(const struct row_key *key, const struct table_kind *kind, struct slice value, char *detail,
                           size_t detail_len)
{
    struct slice row;
    struct slice content;
    struct table_tail tail;
    int err = table_row_split(key, value, &row, &content);
    if (err == 0 && kind->content) {
        err = table_tail(row, &tail);
    }
    if (err != 0) {
        return blame(key, err, err_text(err), detail, detail_len);
    }
    if (kind->content && XXH3_64bits(content.data, content.len) != tail.hash) {
        return blame(key, ERR_CORRUPT, "the content is damaged", detail, detail_len);
    }
    return 0;
}

static int check_row(const struct row_key *key, struct slice value, char *detail, size_t detail_len)
{
    struct row_reader reader;
    int err = row_open(&reader, key, value);
    return err == 0 ? 0 : blame(key, err, err_text(err), detail, detail_len);
}

static bool key_fits(const struct table_kind *kind, const struct row_key *key)
{
    return kind->key_len == 0 ? key->len > 1 : key->len == kind->key_len;
}

int scrub_row(struct slice key, struct slice value, char *detail, size_t detail_len)
{
    struct row_key row_key = {.len = key.len};
    const struct table_kind *kind = kind_of(key);
    if (kind == NULL) {
        scrub_blame(key, err_text(ERR_CORRUPT), detail, detail_len);
        return ERR_CORRUPT;
    }
    memcpy(row_key.data, key.data, key.len);
    if (!key_fits(kind, &row_key)) {
        return blame(&row_key, ERR_CORRUPT, "the key has a wrong length", detail, detail_len);
    }
    if (table_kind(key.data[0]) == kind) {
        return check_table_row(&row_key, kind, value, detail, detail_len);
    }
    return key.data[0] == ROW_MESSAGE ? check_message(&row_key, value, detail, detail_len)
                                      : check_row(&row_key, value, detail, detail_len);
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
