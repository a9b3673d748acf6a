/* Virtual hosts, who is in them, and what they may have. */

#ifndef HOLDFAST_STATEMACHINE_TEST_HOST_FIXTURE_H
#define HOLDFAST_STATEMACHINE_TEST_HOST_FIXTURE_H

#include "fixture.h"

/* No limit. */
#define HOST_UNLIMITED UINT64_MAX

struct effect_reply host_create(struct fixture *fixture, struct client *client, const char *host);
struct effect_reply host_delete(struct fixture *fixture, struct client *client, const char *host, bool force);
/* A session of the virtual host; `client` is left alone when it is refused. */
struct effect_reply host_attach(struct fixture *fixture, struct client *client, uint8_t key, const char *host,
                                const char *user);
/* The only limit (HOLDFAST__LIMIT__WHAT__*, or a number that is none) from then on of the virtual host or user that is not empty. */
struct effect_reply host_limit(struct fixture *fixture, struct client *client, const char *host, const char *user,
                               uint32_t what, uint64_t value);

#endif
