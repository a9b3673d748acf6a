/* A data directory that is started again and again, and what each start finds: for tests of what ties its parts together. Each test has
 * a process of its own. */

#ifndef HOLDFAST_NODE_TEST_STARTED_FIXTURE_H
#define HOLDFAST_NODE_TEST_STARTED_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "node/data_dir_private.h"
#include "node/system_clock.h"
#include "temp_dir.h"

#define STARTED_PATH_LEN 256u

#define SLOTS_LEN 1024u
#define FACTS_AT 280u /* To the end of a slot; likewise in the second one. */

extern struct temp_dir started_dir;
extern struct system_clock started_time;
extern char started_data[128];   /* Of node 2 of cluster "orders". */
extern char started_detail[512]; /* For whoever wants one. */

void started_setup(void);
void started_teardown(void);

/* The caller closes. */
struct data_dir *start(void);
/* Of a process that ends, and finds nothing; or `said`. */
void start_good(void);
void start_old(const char *said);
/* The directory cannot be opened (ERR_IO). */
void start_refused(const char *said);
/* A start, and what it finds is noted. */
void adopt(void);

/* The directories of the shard and of its log, empty. */
void shard_make(void);

/* `name`: below the directory. */
void file_path(char file[STARTED_PATH_LEN], const char *name);
void slots_load(const char *name, uint8_t slots[SLOTS_LEN]);
void slots_store(const char *name, const uint8_t slots[SLOTS_LEN]);
/* As an earlier program writes them. */
void slots_forget(const char *name);
void gone(const char *name);
bool there(const char *name);

/* Root may read everything: as somebody else, to whom it belongs. Before the first start. */
void become_somebody(void);

#endif
