/* Checkpoints from the log's side: what must be kept with one, and what may go after it. */

#include <raft.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "consensus/driver_internal.h"
#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "proto/base/fault.h"

/* The position kept with a checkpoint, little-endian:
 *
 *   offset  size  what
 *        0     4  magic "HFP1"
 *        4     4  length of the membership
 *        8     8  index of the last entry in the checkpoint
 *       16     8  its term
 *       24     8  index of the entry with the membership
 *       32        membership (configuration.h)
 *      end     8  XXH3-64 of everything before */
#define POSITION_HEAD_LEN 32u
static const uint8_t position_magic[4] = {'H', 'F', 'P', '1'};

int driver_position_encode(const struct driver_position *position, struct slice *ret_bytes)
{
    struct slice configuration;
    int err = configuration_encode(&position->configuration, &configuration);
    if (err != 0) {
        return err;
    }
    size_t len = POSITION_HEAD_LEN + configuration.len;
    struct blob *blob = blob_new(len + 8);
    if (blob == NULL) {
        slice_unref(&configuration);
        return ERR_NOMEM;
    }
    uint8_t *p = blob->data;
    memcpy(p, position_magic, sizeof position_magic);
    put_u32(p + 4, (uint32_t)configuration.len);
    put_u64(p + 8, position->index);
    put_u64(p + 16, position->term);
    put_u64(p + 24, position->configuration_index);
    memcpy(p + POSITION_HEAD_LEN, configuration.data, configuration.len);
    put_u64(p + len, XXH3_64bits(p, len));
    slice_unref(&configuration);
    *ret_bytes = slice_of_blob(blob);
    return 0;
}

int driver_position_decode(struct slice bytes, struct driver_position *ret_position)
{
    if (bytes.len < POSITION_HEAD_LEN + 8 || memcmp(bytes.data, position_magic, 3) != 0) {
        return ERR_CORRUPT;
    }
    if (bytes.data[3] != position_magic[3]) {
        return ERR_VERSION;
    }
    size_t len = bytes.len - 8;
    if (get_u32(bytes.data + 4) != len - POSITION_HEAD_LEN ||
        get_u64(bytes.data + len) != XXH3_64bits(bytes.data, len)) {
        return ERR_CORRUPT;
    }
    struct driver_position position = {
        .index = get_u64(bytes.data + 8),
        .term = get_u64(bytes.data + 16),
        .configuration_index = get_u64(bytes.data + 24),
    };
    int err = configuration_decode(bytes.data + POSITION_HEAD_LEN, len - POSITION_HEAD_LEN, &position.configuration);
    if (err != 0) {
        return err == ERR_NOMEM ? err : ERR_CORRUPT;
    }
    *ret_position = position;
    return 0;
}

int driver_position_load(const struct driver_options *options, struct driver_position *ret_position, char *detail,
                         size_t detail_len)
{
    struct driver_position position;
    int err = driver_position_decode(options->checkpoint, &position);
    if (err == 0 && (position.index != options->applied_index || position.index == 0 || position.term == 0)) {
        raft_configuration_close(&position.configuration);
        err = ERR_CORRUPT;
    }
    if (err != 0) {
        (void)snprintf(detail, detail_len, "the position kept with the checkpoint at entry %llu cannot be read: %s",
                       (unsigned long long)options->applied_index, err_text(err));
        return err;
    }
    *ret_position = position;
    return 0;
}

int driver_checkpoint(struct driver *driver, uint64_t *ret_index, struct slice *ret_bytes)
{
    struct driver_position position = {
        .index = driver->applied_index,
        .term = driver->applied_term,
        .configuration_index = driver->applied_configuration_index,
        .configuration = driver->applied_configuration,
    };
    int err = driver_position_encode(&position, ret_bytes);
    if (err == 0) {
        *ret_index = position.index;
    }
    return err;
}

/* The first index to keep: as much as is retained for members that are behind, and never fewer entries than the engine may
 * have in flight to one. */
static uint64_t first_retained(const struct driver *driver, uint64_t index)
{
    uint64_t low = log_first_index(driver->log);
    uint64_t high = index > DRIVER_TRAILING_MIN ? index - DRIVER_TRAILING_MIN : 1;
    if (high <= low) {
        return low;
    }
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (log_bytes_from(driver->log, middle) <= driver->options.retain_len) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

/* The same with what is held. Of the last entry that a copy has the log keeps its own: a node that goes on from the copy is
 * asked whether it has the same, and the term must be known for that (Raft §5.3). */
static uint64_t first_held(const struct driver *driver, uint64_t first)
{
    uint64_t low = log_first_index(driver->log);
    uint64_t held = driver->hold > low ? driver->hold : low;
    return held < first ? held : first;
}

void driver_hold(struct driver *driver, uint64_t index)
{
    driver->hold = fault_fires(FAULT_SKIP_HOLD) ? UINT64_MAX : index;
}

uint64_t driver_held_bytes(const struct driver *driver)
{
    if (driver->hold >= driver->kept_first) {
        return 0;
    }
    return log_bytes_from(driver->log, driver->hold) - log_bytes_from(driver->log, driver->kept_first);
}

int driver_checkpoint_stored(struct driver *driver, uint64_t index, struct slice bytes)
{
    struct driver_position position;
    int err = driver_position_decode(bytes, &position);
    if (err != 0) {
        return err;
    }
    CHECK(position.index == index && index >= driver->checkpoint_index && index <= driver->applied_index);
    driver->checkpoint_index = index;
    driver->checkpoint_term = position.term;

    driver->kept_first = first_retained(driver, index);
    uint64_t first = first_held(driver, driver->kept_first);
    struct raft_event event = {.type = RAFT_SNAPSHOT};
    event.snapshot.metadata.index = index;
    event.snapshot.metadata.term = position.term;
    event.snapshot.metadata.configuration = position.configuration; /* The engine's from here on. */
    event.snapshot.metadata.configuration_index = position.configuration_index;
    event.snapshot.trailing = (unsigned)(index - first + 1);
    (void)driver_event(driver, &event, NULL, false);
    driver->prepare_ms = 0; /* What goes may make room for more. */
    return log_drop_before(driver->log, first);
}

uint64_t driver_log_bytes_since_checkpoint(const struct driver *driver)
{
    return log_bytes_from(driver->log, driver->checkpoint_index + 1) -
           log_bytes_from(driver->log, driver->applied_index + 1);
}
