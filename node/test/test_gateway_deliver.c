/* What sending deliveries, and looking at messages, costs: large bodies that are in the store. */

#include <criterion/criterion.h>

#include "one_node.h"
#include "proto/base/check.h"

#define BODIES 100u
#define BODY_LEN (256 * KIB)

/* A store that counts what is read of it. */
static struct counting {
    struct store base;
    struct store *inner;
    uint64_t read;
} counting;

static int counting_write(struct store *store, const struct store_change *changes, size_t count)
{
    (void)store;
    return counting.inner->ops->write(counting.inner, changes, count);
}

static int counting_get(struct store *store, const void *key, size_t key_len, struct slice *ret_value)
{
    (void)store;
    int err = counting.inner->ops->get(counting.inner, key, key_len, ret_value);
    counting.read += err == 0 ? ret_value->len : 0;
    return err;
}

struct counting_scan {
    int (*each)(void *arg, struct slice key, struct slice value);
    void *arg;
};

static int counting_each(void *arg, struct slice key, struct slice value)
{
    struct counting_scan *scan = arg;
    counting.read += value.len;
    return scan->each(scan->arg, key, value);
}

static int counting_scan(struct store *store, struct slice first, struct slice end,
                         int (*each)(void *arg, struct slice key, struct slice value), void *arg)
{
    struct counting_scan scan = {.each = each, .arg = arg};
    (void)store;
    return counting.inner->ops->scan(counting.inner, first, end, counting_each, &scan);
}

static int counting_scan_back(struct store *store, struct slice first, struct slice end,
                              int (*each)(void *arg, struct slice key, struct slice value), void *arg)
{
    struct counting_scan scan = {.each = each, .arg = arg};
    (void)store;
    return counting.inner->ops->scan_back(counting.inner, first, end, counting_each, &scan);
}

static void counting_close(struct store *store)
{
    (void)store;
    counting.inner->ops->close(counting.inner);
}

static const struct store_ops counting_ops = {
    .write = counting_write,
    .get = counting_get,
    .scan = counting_scan,
    .scan_back = counting_scan_back,
    .close = counting_close,
};

static struct store *count(struct store *store)
{
    counting = (struct counting){.base = {.ops = &counting_ops}, .inner = store};
    return &counting.base;
}

static struct one_node node;
static struct client one;

/* Large messages, all of them in the store alone. */
static void setup(void)
{
    struct shard_options options = {.checkpoint_len = 1 * MIB};
    one_node_start(&node, &options);
    node.wrap = count;
    client_init(&one, &node.home, 1);
    client_ready(&one);
    for (unsigned i = 0; i < BODIES; i++) {
        cr_assert_eq(client_publish_large(&one, "q", BODY_LEN), 0);
        one_node_settle(&node);
    }
    one_node_wait(&node, 5000); /* The node is idle: a checkpoint. */
    client_cut(&one);
    one_node_crash(&node);
    one_node_wait(&node, 2500);
    cr_assert_eq(machine_overlay_bytes(shard_machine(node.shard)), 0u);
    counting.read = 0;
}

static void teardown(void)
{
    client_done(&one);
    one_node_stop(&node);
}

TestSuite(gateway_deliver, .init = setup, .fini = teardown);

/* Once to see how large it is, once to send it. */
Test(gateway_deliver, no_more_is_read_than_is_sent)
{
    client_move(&one, &node.home);
    cr_assert_eq(client_subscribe(&one, "q", 1, BODIES), 0);
    one_node_settle(&node);
    cr_assert_eq(one.deliveries, BODIES);
    cr_assert_lt(counting.read, 3 * BODIES * BODY_LEN, "%llu MiB", (unsigned long long)(counting.read / MIB));
}

static bool the_first(void *arg, const struct gateway_browsed *message)
{
    unsigned *seen = arg;
    cr_assert_eq(message->body.len, BODY_LEN);
    ++*seen;
    return false;
}

Test(gateway_deliver, no_more_is_read_than_is_shown)
{
    unsigned seen = 0;
    bool more;
    cr_assert_eq(node.gateway->ops->browse(node.gateway, "", "q", 1, false, &seen, the_first, &more), 0);
    cr_assert_eq(seen, 1u);
    cr_assert(more);
    cr_assert_lt(counting.read, 8 * BODY_LEN, "%llu MiB", (unsigned long long)(counting.read / MIB));
}

/* As who watches all queues does, again and again. */
Test(gateway_deliver, the_age_of_the_oldest_message_is_read_once)
{
    struct gateway_queue queue;
    cr_assert_eq(node.gateway->ops->queue(node.gateway, "", "q", &queue), 0);
    uint64_t oldest_ms = queue.oldest_ms;
    cr_assert_gt(oldest_ms, 0u);
    counting.read = 0;
    cr_assert_eq(node.gateway->ops->queue(node.gateway, "", "q", &queue), 0);
    cr_assert_eq(queue.oldest_ms, oldest_ms);
    cr_assert_eq(counting.read, 0u);

    client_move(&one, &node.home);
    cr_assert_eq(client_subscribe(&one, "q", 1, 1), 0);
    cr_assert_eq(client_accept(&one, 1, 1, 1), 0);
    one_node_settle(&node);
    cr_assert_eq(node.gateway->ops->queue(node.gateway, "", "q", &queue), 0);
    cr_assert_geq(queue.oldest_ms, oldest_ms, "of the next one");
    cr_assert_gt(counting.read, 0u);
}
