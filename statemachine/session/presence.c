/* The nodes that are present. There are few: they are looked for one by one. */

#include "statemachine/session/presence.h"

#include <stdlib.h>

#include "proto/base/check.h"
#include "statemachine/state.h"

struct presence *presence_find(const struct machine *machine, uint64_t node)
{
    LIST_FOR_EACH (link, &machine->presences) {
        struct presence *presence = container_of(link, struct presence, by_node);
        if (presence->node == node) {
            return presence;
        }
    }
    return NULL;
}

struct presence *presence_of_run(const struct machine *machine, uint64_t node, uint64_t run)
{
    struct presence *presence = presence_find(machine, node);
    return presence != NULL && presence->run == run ? presence : NULL;
}

/* Before the first of the nodes with a higher number. */
static void presence_insert(struct machine *machine, struct presence *presence)
{
    struct list_node *before = machine->presences.next;
    while (before != &machine->presences && container_of(before, struct presence, by_node)->node < presence->node) {
        before = before->next;
    }
    list_push_back(before, &presence->by_node);
    machine->presences_len++;
}

int presence_new(struct machine *machine, uint64_t node, uint64_t run, struct presence **ret_presence)
{
    CHECK(presence_find(machine, node) == NULL);
    if (machine->presences_len >= NODES_PRESENT_MAX) {
        return ERR_LIMIT;
    }
    struct presence *presence = calloc(1, sizeof *presence);
    if (presence == NULL) {
        return ERR_NOMEM;
    }
    presence->node = node;
    presence->run = run;
    list_init(&presence->sessions);
    list_init(&presence->by_node);
    list_init(&presence->changed);
    presence_insert(machine, presence);
    *ret_presence = presence;
    return 0;
}

void presence_set_run(struct machine *machine, struct presence *presence, uint64_t run)
{
    CHECK(list_empty(&presence->sessions));
    presence->run = run;
    presence_changed(machine, presence);
}

int presence_end_run(struct machine *machine, struct presence *presence)
{
    struct list_node *link;
    while ((link = list_first(&presence->sessions)) != NULL) {
        session_detach(machine, container_of(link, struct session, at_place));
    }
    CHECK(presence->sessions_len == 0);
    return effect_list_node_lost(&machine->effects, presence->node, presence->run);
}

void presence_discard(struct presence *presence)
{
    CHECK(list_empty(&presence->sessions));
    list_remove(&presence->by_node);
    list_remove(&presence->changed);
    free(presence);
}

void presence_free(struct machine *machine, struct presence *presence)
{
    if (presence->stored) {
        state_forget_row(machine, ROW_PRESENCE, presence->node, 0);
    }
    machine->presences_len--;
    presence_discard(presence);
}

void presence_changed(struct machine *machine, struct presence *presence)
{
    if (!list_linked(&presence->changed)) {
        list_push_back(&machine->changed_presences, &presence->changed);
    }
}

int presence_row(const struct presence *presence, struct row *row)
{
    row_begin(row, row_key_one(ROW_PRESENCE, presence->node));
    row_put_u64(row, presence->run);
    return row_seal(row);
}

int presence_load(struct machine *machine, const struct row_key *key, struct slice value)
{
    struct row_reader reader;
    int err = row_open(&reader, key, value);
    if (err != 0) {
        return err;
    }
    uint64_t run = row_get_u64(&reader);
    if (key->len != ROW_KEY_ONE_LEN || row_end(&reader) != 0 || run == 0) {
        return ERR_CORRUPT;
    }
    uint64_t node = get_be64(key->data + 1);
    if (node == 0 || presence_find(machine, node) != NULL) {
        return ERR_CORRUPT;
    }
    struct presence *presence;
    err = presence_new(machine, node, run, &presence);
    if (err == 0) {
        presence->stored = true;
    }
    return err == ERR_LIMIT ? ERR_CORRUPT : err;
}
