/* What the fake gateway says there is besides queues and messages. */

#ifndef HOLDFAST_RPC_TEST_FAKE_GATEWAY_LOOKS_H
#define HOLDFAST_RPC_TEST_FAKE_GATEWAY_LOOKS_H

#include "fake_gateway.h"

int fake_exchanges(struct gateway *gateway, const char *virtual_host, const char *after, void *arg,
                   bool (*each)(void *arg, const struct gateway_exchange *exchange), bool *ret_more);
int fake_bindings(struct gateway *gateway, const char *virtual_host, const char *from, uint64_t after, void *arg,
                  bool (*each)(void *arg, const struct gateway_binding *binding), bool *ret_more);
int fake_virtual_hosts(struct gateway *gateway, const char *after, void *arg,
                       bool (*each)(void *arg, const struct gateway_virtual_host *host), bool *ret_more);
int fake_life(struct gateway *gateway, const char *virtual_host, const char *queue, uint64_t position, void *arg,
              bool (*each)(void *arg, const struct gateway_step *step), bool *ret_more);
int fake_consumers(struct gateway *gateway, const char *virtual_host, const char *queue, uint64_t session,
                   uint64_t consumer, void *arg, bool (*each)(void *arg, const struct gateway_consumer *consumer),
                   bool *ret_more);
int fake_limits(struct gateway *gateway, const char *virtual_host, const char *user, void *arg,
                bool (*each)(void *arg, const struct gateway_limit *limit));
int fake_producer(struct gateway *gateway, const char *virtual_host, const char *name,
                  struct gateway_producer *ret_producer);
int fake_prepared(struct gateway *gateway, const char *virtual_host, const char *after, void *arg,
                  bool (*each)(void *arg, const struct gateway_prepared *prepared), bool *ret_more);

#endif
