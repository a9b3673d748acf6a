/* Reading back term and vote, then the log. */

#include "consensus/driver_scrub.h"

#include <stdio.h>
#include <stdlib.h>

#include "consensus/driver_internal.h"
#include "consensus/log_scrub.h"
#include "proto/base/check.h"

struct driver_scrub {
    struct driver *driver;
    struct log_scrub *log;
    struct meta_scrub meta;
    bool meta_done;
    int meta_err;
};

int driver_scrub_open(struct driver *driver, struct driver_scrub **ret_scrub)
{
    struct driver_scrub *scrub = calloc(1, sizeof *scrub);
    if (scrub == NULL) {
        return ERR_NOMEM;
    }
    scrub->driver = driver;
    int err = log_scrub_open(driver->log, &scrub->log);
    if (err != 0) {
        free(scrub);
        return err;
    }
    meta_scrub_begin(driver->meta, &scrub->meta);
    *ret_scrub = scrub;
    return 0;
}

void driver_scrub_close(struct driver_scrub *scrub)
{
    if (scrub != NULL) {
        log_scrub_close(scrub->log);
        free(scrub);
    }
}

uint64_t driver_scrub_bytes(const struct driver_scrub *scrub)
{
    return sizeof scrub->meta.slots + log_scrub_bytes(scrub->log);
}

uint64_t driver_scrub_bytes_done(const struct driver_scrub *scrub)
{
    return (scrub->meta_done ? sizeof scrub->meta.slots : 0) + log_scrub_bytes_done(scrub->log);
}

bool driver_scrub_finished(const struct driver_scrub *scrub)
{
    return scrub->meta_done && log_scrub_finished(scrub->log);
}

void driver_scrub_read(struct driver_scrub *scrub, uint64_t bytes_max)
{
    const struct driver_options *options = &scrub->driver->options;
    if (!scrub->meta_done) {
        scrub->meta_err = meta_scrub_read(options->disk, options->dir, &scrub->meta);
    } else {
        log_scrub_read(scrub->log, bytes_max);
    }
}

static int settle_meta(struct driver_scrub *scrub, bool *ret_mended, char *detail, size_t detail_len)
{
    const char *dir = scrub->driver->options.dir;
    if (scrub->meta_err != 0) {
        return scrub->meta_err;
    }
    scrub->meta_done = true;
    int err = meta_scrub_settle(scrub->driver->meta, &scrub->meta, ret_mended);
    if (err == ERR_CORRUPT) {
        (void)snprintf(detail, detail_len, "%s/meta, offset 0: term and vote are damaged in both slots", dir);
    } else if (err != 0) {
        driver_fatal(scrub->driver, err, "term and vote could not be written anew: %s", err_text(err));
    } else if (*ret_mended) {
        (void)snprintf(detail, detail_len,
                       "%s/meta: one of the two slots of term and vote was damaged; it is written anew", dir);
    }
    return err;
}

int driver_scrub_settle(struct driver_scrub *scrub, bool *ret_mended, char *detail, size_t detail_len)
{
    CHECK(!driver_scrub_finished(scrub));
    *ret_mended = false;
    return scrub->meta_done ? log_scrub_settle(scrub->log, detail, detail_len)
                            : settle_meta(scrub, ret_mended, detail, detail_len);
}
