/* A store whose operations fail when they are told to. */

#include "store_failing.h"

#include <stdlib.h>

#include "proto/base/check.h"

struct failing_store {
    struct store store;
    struct store *behind;
    struct store_failing *failing;
};

static struct failing_store *failing_of(struct store *store)
{
    return container_of(store, struct failing_store, store);
}

/* Nothing succeeds after the first failure: the disk has gone. */
static bool fails(struct failing_store *store)
{
    struct store_failing *failing = store->failing;
    failing->operations++;
    failing->failed = failing->failed || failing->operations == failing->fail_at;
    return failing->failed;
}

static int failing_write(struct store *store, const struct store_change *changes, size_t count)
{
    struct failing_store *self = failing_of(store);
    bool failed_before = self->failing->failed;
    if (!fails(self)) {
        return self->behind->ops->write(self->behind, changes, count);
    }
    if (self->failing->written_after_all && !failed_before) {
        (void)self->behind->ops->write(self->behind, changes, count);
    }
    return ERR_IO;
}

static int failing_get(struct store *store, const void *key, size_t key_len, struct slice *ret_value)
{
    struct failing_store *self = failing_of(store);
    return fails(self) ? ERR_IO : self->behind->ops->get(self->behind, key, key_len, ret_value);
}

static int failing_scan(struct store *store, struct slice first, struct slice end,
                        int (*each)(void *arg, struct slice key, struct slice value), void *arg)
{
    struct failing_store *self = failing_of(store);
    return fails(self) ? ERR_IO : self->behind->ops->scan(self->behind, first, end, each, arg);
}

static int failing_scan_back(struct store *store, struct slice first, struct slice end,
                             int (*each)(void *arg, struct slice key, struct slice value), void *arg)
{
    struct failing_store *self = failing_of(store);
    return fails(self) ? ERR_IO : self->behind->ops->scan_back(self->behind, first, end, each, arg);
}

static int failing_copy(struct store *store, const char *name)
{
    struct failing_store *self = failing_of(store);
    return fails(self) ? ERR_IO : self->behind->ops->copy(self->behind, name);
}

static int failing_scrub(struct store *store, struct store_scrub *scrub)
{
    struct failing_store *self = failing_of(store);
    return fails(self) ? ERR_IO : self->behind->ops->scrub(self->behind, scrub);
}

static void failing_close(struct store *store)
{
    struct failing_store *self = failing_of(store);
    self->behind->ops->close(self->behind);
    free(self);
}

static const struct store_ops failing_ops = {
    .write = failing_write,
    .get = failing_get,
    .scan = failing_scan,
    .scan_back = failing_scan_back,
    .copy = failing_copy,
    .scrub = failing_scrub,
    .close = failing_close,
};

int store_failing_open(struct store_failing *failing, struct store *behind, struct store **ret_store)
{
    struct failing_store *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return ERR_NOMEM;
    }
    self->store.ops = &failing_ops;
    self->behind = behind;
    self->failing = failing;
    *ret_store = &self->store;
    return 0;
}
