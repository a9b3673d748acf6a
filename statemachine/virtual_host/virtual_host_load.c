/* Reading virtual hosts and users back when the machine is opened. */

#include <string.h>

#include "statemachine/state.h"

/* One that has been deleted, but for what is in it. */
static int load_going(struct machine *machine, uint64_t id)
{
    struct virtual_host *host;
    if (virtual_host_by_id_going_too(machine, id) != NULL) {
        return ERR_CORRUPT;
    }
    int err = virtual_host_enter(&machine->virtual_hosts, id, "", 0, &host);
    if (err == 0) {
        virtual_host_doom(&machine->virtual_hosts, host);
    }
    return err;
}

static int load_host(struct machine *machine, const struct table_row *found)
{
    struct row_reader reader;
    struct limits limits;
    int err = row_open(&reader, &found->key, found->value);
    if (err != 0) {
        return err;
    }
    uint64_t id = get_be64(found->key.data + 1);
    size_t name_len = row_get_u8(&reader);
    const uint8_t *name = row_get_bytes(&reader, name_len);
    size_t note_len = row_get_u8(&reader);
    const uint8_t *note = row_get_bytes(&reader, note_len);
    bool going = name != NULL && name_len == 0;
    if (limits_get(&reader, &limits) != 0 || row_end(&reader) != 0 || id == 0 ||
        (!going && name_check(name, name_len) != 0) || id >= machine->virtual_hosts.next_id ||
        memchr(note, 0, note_len) != NULL) {
        return ERR_CORRUPT;
    }
    if (going) {
        return load_going(machine, id);
    }
    struct virtual_host *host = virtual_host_by_id(machine, id);
    if (host == NULL) {
        char text[NAME_LEN_MAX + 1] = {0};
        memcpy(text, name, name_len);
        err = virtual_host_by_name(machine, text) != NULL
                  ? ERR_CORRUPT
                  : virtual_host_enter(&machine->virtual_hosts, id, text, name_len, &host);
    } else if (id != VIRTUAL_HOST_ROOT || name_len != host->name_len || memcmp(name, host->name, name_len) != 0) {
        err = ERR_CORRUPT;
    }
    if (err == 0) {
        memcpy(host->note, note, note_len);
        host->limits = limits;
    }
    return err;
}

static int load_user(struct machine *machine, const struct table_row *found)
{
    struct row_reader reader;
    struct limits limits;
    struct user *user;
    char name[NAME_LEN_MAX + 1] = {0};
    size_t name_len = found->key.len - 1;
    int err = row_open(&reader, &found->key, found->value);
    if (err != 0) {
        return err;
    }
    if (limits_get(&reader, &limits) != 0 || row_end(&reader) != 0 || name_check(found->key.data + 1, name_len) != 0) {
        return ERR_CORRUPT;
    }
    memcpy(name, found->key.data + 1, name_len);
    err = user_ensure(machine, name, &user);
    if (err == 0) {
        user->limits = limits;
        machine->virtual_hosts.users_with_limits++;
    }
    return err;
}

static int load_kind(struct machine *machine, enum row_kind kind,
                     int (*load)(struct machine *machine, const struct table_row *found))
{
    struct row_key from = row_key_plain(kind);
    struct row_key end = row_key_after(&from);
    struct table_row found;
    int err;
    while ((err = table_seek(machine, &from, &end, &found)) == 0) {
        err = state_blame(machine, &found.key, load(machine, &found), "not what a row of this kind holds");
        from = row_key_next(&found.key);
        table_row_done(&found);
        if (err != 0) {
            return err;
        }
    }
    return err == ERR_NOT_FOUND ? 0 : err;
}

int virtual_hosts_load(struct machine *machine)
{
    int err = load_kind(machine, ROW_VIRTUAL_HOST, load_host);
    return err != 0 ? err : load_kind(machine, ROW_USER, load_user);
}
