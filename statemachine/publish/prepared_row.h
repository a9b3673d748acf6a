/* The rows of prepared messages; for the files of prepared.h only. */

#ifndef HOLDFAST_STATEMACHINE_PUBLISH_PREPARED_ROW_H
#define HOLDFAST_STATEMACHINE_PUBLISH_PREPARED_ROW_H

#include "statemachine/publish/prepared.h"

/* Writes the row of what is known of them together. ERR_NOMEM. */
int prepared_put(struct machine *machine, const struct prepared *prepared) NODISCARD;
/* Reads it. ERR_NOT_FOUND, ERR_IO, ERR_CORRUPT, ERR_NOMEM. */
int prepared_get(struct machine *machine, uint64_t id, struct prepared *ret_prepared) NODISCARD;

/* The id under a name. ERR_NOT_FOUND, ERR_IO, ERR_CORRUPT, ERR_NOMEM. */
int prepared_find(struct machine *machine, uint64_t virtual_host, const char *name, uint64_t *ret_id) NODISCARD;
/* The first name after `after`, and the id under it; `ret_name` may be `after`. Errors as above: ERR_NOT_FOUND, there is none. */
int prepared_next(struct machine *machine, uint64_t virtual_host, const char *after, uint64_t *ret_id,
                  char ret_name[NAME_LEN_MAX + 1]) NODISCARD;
int prepared_put_name(struct machine *machine, const struct prepared *prepared) NODISCARD;

int prepared_put_message(struct machine *machine, uint64_t id, uint64_t number,
                         const struct message *message) NODISCARD;
/* The caller owns a reference to the blob. ERR_IO, ERR_CORRUPT, ERR_CHECKSUM, ERR_NOMEM. */
int prepared_get_message(struct machine *machine, uint64_t id, uint64_t number, struct message *ret_message) NODISCARD;

/* Removes the row of everything, and its name. ERR_NOMEM. */
int prepared_forget(struct machine *machine, const struct prepared *prepared) NODISCARD;

#endif
