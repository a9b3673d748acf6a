/* All damage of a store is found at once, with its place, and everything else is read. */

#include "statemachine/store/survey.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "place.h"
#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "statemachine/hash.h"
#include "statemachine/message/message.h"
#include "statemachine/store/rows.h"

#define BODY_LEN 2000u
#define ROW_LEN_MAX (BODY_LEN + 200u)
#define MESSAGES 60u

struct seen {
    size_t sound;
    size_t damages;
    struct survey_place {
        bool row;
        bool content;
        struct row_key first;
        struct row_key end;
        char what[300];
    } places[8];
    int stop_at; /* With which error `sound` ends it, at the third row; 0: not. */
};

static struct place place;
static struct seen seen;
static char detail[300];

static void setup(void)
{
    place_init(&place, false);
}

static void teardown(void)
{
    place_done(&place);
}

TestSuite(survey, .init = setup, .fini = teardown);

static void body_fill(uint64_t position, uint8_t body[BODY_LEN])
{
    for (size_t i = 0; i < BODY_LEN; i++) {
        body[i] = (uint8_t)(position * 37 + i * i + i / 256);
    }
}

/* A row that is sound, but for its body if `wrong`. */
static void put_message(uint64_t queue, uint64_t position, bool wrong)
{
    uint8_t body[BODY_LEN];
    uint8_t row[ROW_LEN_MAX];
    struct row_key key = row_key_pair(ROW_MESSAGE, queue, position);
    body_fill(position, body);
    struct message message = {.data = body, .body_len = BODY_LEN, .hash = XXH3_64bits(body, BODY_LEN)};
    size_t len = message_row_len(&message);
    message_row_encode(&key, &message, row);
    body[7] ^= wrong;
    struct store_change change = {.kind = STORE_PUT,
                                  .key = row_key_slice(&key),
                                  .value = {.data = row, .len = len},
                                  .value2 = {.data = body, .len = BODY_LEN}};
    cr_assert_eq(place.store->ops->write(place.store, &change, 1), 0);
}

static void put_messages(uint64_t queue)
{
    for (uint64_t position = 1; position <= MESSAGES; position++) {
        put_message(queue, position, false);
    }
}

/* In whichever file of the store it is. */
static unsigned damage_in(const char *name, const uint8_t *bytes, size_t len)
{
    char path[512];
    unsigned damaged = 0;
    static uint8_t content[1 << 20];
    (void)snprintf(path, sizeof path, "%s/%s", place.dir, name);
    FILE *file = fopen(path, "r+");
    cr_assert_not_null(file);
    size_t got = fread(content, 1, sizeof content, file);
    uint8_t *at = memmem(content, got, bytes, len);
    if (at != NULL) {
        at[len / 2] ^= 1;
        cr_assert_eq(fseek(file, (long)(at - content), SEEK_SET), 0);
        cr_assert_eq(fwrite(at, 1, len, file), len);
        damaged = 1;
    }
    (void)fclose(file);
    return damaged;
}

static void damage_body(uint64_t position)
{
    uint8_t body[BODY_LEN];
    unsigned damaged = 0;
    const struct dirent *entry;
    DIR *dir = opendir(place.dir);
    cr_assert_not_null(dir);
    body_fill(position, body);
    while ((entry = readdir(dir)) != NULL) {
        size_t len = strlen(entry->d_name);
        if (len > 5 && strcmp(entry->d_name + len - 5, ".blob") == 0) {
            damaged += damage_in(entry->d_name, body, BODY_LEN);
        }
    }
    (void)closedir(dir);
    cr_assert_eq(damaged, 1u);
}

static void take(struct row_key *out, struct slice key)
{
    out->len = key.len;
    if (key.len > 0) {
        memcpy(out->data, key.data, key.len);
    }
}

static void see_damage(void *arg, const struct survey_damage *damage)
{
    cr_assert_eq(arg, &seen);
    cr_assert_lt(seen.damages, ARRAY_LEN(seen.places));
    struct survey_place *found = &seen.places[seen.damages++];
    found->row = damage->row;
    found->content = damage->content;
    take(&found->first, damage->first);
    take(&found->end, damage->end);
    (void)snprintf(found->what, sizeof found->what, "%s", damage->what);
}

static int see_sound(void *arg, struct slice key, struct slice value)
{
    (void)arg;
    (void)key;
    (void)value;
    return ++seen.sound == 3 ? seen.stop_at : 0;
}

static int look(void)
{
    struct survey survey = {.arg = &seen, .damaged = see_damage, .sound = see_sound};
    int stop_at = seen.stop_at;
    seen = (struct seen){.stop_at = stop_at};
    return survey_rows(place.store, &survey, detail, sizeof detail);
}

static uint64_t position_of(const struct row_key *key)
{
    return key->len == ROW_KEY_PAIR_LEN ? get_be64(key->data + ROW_KEY_LEN(1)) : 0;
}

static void is_between(const struct survey_place *found, uint64_t first, uint64_t end)
{
    cr_assert_not(found->row);
    cr_assert(found->content);
    cr_assert_eq(position_of(&found->first), first);
    cr_assert_eq(position_of(&found->end), end);
    cr_assert_not_null(strstr(found->what, "Corruption"), "%s", found->what);
}

Test(survey, a_store_without_damage_is_read_whole)
{
    cr_assert_eq(look(), 0);
    cr_assert_eq(seen.sound, 0u);
    put_messages(5);
    cr_assert_eq(look(), 0);
    cr_assert_eq(seen.sound, MESSAGES);
    cr_assert_eq(seen.damages, 0u);
}

/* The first and the last one of all, two in a row, and two with a sound one in between. */
Test(survey, every_body_that_cannot_be_read_is_told_and_nothing_else)
{
    static const uint64_t damaged[] = {1, 10, 11, 13, MESSAGES};
    put_messages(5);
    for (size_t i = 0; i < ARRAY_LEN(damaged); i++) {
        damage_body(damaged[i]);
    }
    place_reopen(&place);
    cr_assert_eq(look(), 0);
    cr_assert_eq(seen.sound, MESSAGES - ARRAY_LEN(damaged));
    cr_assert_eq(seen.damages, 4u);
    is_between(&seen.places[0], 0, 2);
    is_between(&seen.places[1], 9, 12);
    is_between(&seen.places[2], 12, 14);
    is_between(&seen.places[3], MESSAGES - 1, 0);
    cr_assert_eq(seen.places[3].end.len, 0u, "nothing follows");
}

/* A queue of which nothing is left: the search goes further each time. */
Test(survey, a_run_of_damage_is_told_once)
{
    put_message(5, 1, false);
    for (uint64_t position = 2; position <= 20; position++) {
        put_message(7, position, false);
        damage_body(position);
    }
    put_message(UINT64_C(1) << 40, 30, false);
    place_reopen(&place);
    cr_assert_eq(look(), 0);
    cr_assert_eq(seen.sound, 2u);
    cr_assert_eq(seen.damages, 1u);
    is_between(&seen.places[0], 1, 30);
}

Test(survey, a_row_that_the_machine_does_not_believe_is_told)
{
    put_message(5, 1, false);
    put_message(5, 2, true);
    struct store_change odd = {.kind = STORE_PUT, .key = text("Qodd"), .value = text("row")};
    cr_assert_eq(place.store->ops->write(place.store, &odd, 1), 0);
    cr_assert_eq(look(), 0);
    cr_assert_eq(seen.sound, 1u);
    cr_assert_eq(seen.damages, 2u);
    cr_assert(seen.places[0].row && seen.places[0].content);
    cr_assert_eq(position_of(&seen.places[0].first), 2u);
    cr_assert_not_null(strstr(seen.places[0].what, "message of queue 5, 2: the body is damaged"));
    cr_assert(seen.places[1].row && !seen.places[1].content, "without it the rest is not what it was");
}

Test(survey, ends_with_the_error_of_who_takes_the_rows)
{
    put_messages(5);
    seen.stop_at = ERR_NO_SPACE;
    cr_assert_eq(look(), ERR_NO_SPACE);
    cr_assert_eq(seen.sound, 3u);
    seen.stop_at = ERR_IO;
    cr_assert_eq(look(), ERR_IO, "which is not the store's");
    cr_assert_eq(seen.damages, 0u);
    cr_assert_str_not_empty(detail);
}
