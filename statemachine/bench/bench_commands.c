/* What the bench's client asks for. */

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "bench.h"

#define PUBLISH_MAX 4096u
#define HEAD_LEN_MAX 256u

static struct effect_reply of_session(struct bench *bench, Holdfast__Command__KindCase kind, ProtobufCMessage *message)
{
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = kind;
    command.publish = (Holdfast__Publish *)(void *)message; /* One of a union. */
    return bench_command(bench, 1, &command, NULL, 0);
}

void bench_declare(struct bench *bench, const char *queue, Holdfast__QueueOptions *options)
{
    Holdfast__DeclareQueue declare = HOLDFAST__DECLARE_QUEUE__INIT;
    declare.queue = (char *)(uintptr_t)queue;
    declare.options = options;
    (void)of_session(bench, HOLDFAST__COMMAND__KIND_DECLARE_QUEUE, &declare.base);
}

void bench_subscribe(struct bench *bench, const char *queue, uint64_t consumer, uint32_t credit)
{
    Holdfast__Subscribe subscribe = HOLDFAST__SUBSCRIBE__INIT;
    subscribe.queue = (char *)(uintptr_t)queue;
    subscribe.consumer = consumer;
    subscribe.credit = credit;
    (void)of_session(bench, HOLDFAST__COMMAND__KIND_SUBSCRIBE, &subscribe.base);
}

void bench_credit(struct bench *bench, uint64_t consumer, uint32_t credit)
{
    Holdfast__SetCredit set = HOLDFAST__SET_CREDIT__INIT;
    set.consumer = consumer;
    set.credit = credit;
    (void)of_session(bench, HOLDFAST__COMMAND__KIND_SET_CREDIT, &set.base);
}

void bench_purge(struct bench *bench, const char *queue)
{
    Holdfast__PurgeQueue purge = HOLDFAST__PURGE_QUEUE__INIT;
    purge.queue = (char *)(uintptr_t)queue;
    (void)of_session(bench, HOLDFAST__COMMAND__KIND_PURGE_QUEUE, &purge.base);
}

void bench_publish(struct bench *bench, const char *queue, unsigned count, Holdfast__MessageHead *const *heads,
                   size_t heads_len)
{
    static uint8_t bodies[PUBLISH_MAX * (BODY_LEN + HEAD_LEN_MAX)];
    static uint32_t lens[PUBLISH_MAX];
    static uint32_t head_lens[PUBLISH_MAX];
    static uint64_t hashes[PUBLISH_MAX];
    size_t len = 0;
    CHECK(count <= PUBLISH_MAX);
    for (size_t i = 0; i < count; i++) {
        size_t from = len;
        if (heads != NULL) {
            const Holdfast__MessageHead *head = heads[i % heads_len];
            CHECK(holdfast__message_head__get_packed_size(head) <= HEAD_LEN_MAX);
            head_lens[i] = (uint32_t)holdfast__message_head__pack(head, bodies + len);
            len += head_lens[i];
        }
        memset(bodies + len, (int)(bench->index % 256), BODY_LEN);
        lens[i] = BODY_LEN;
        len += BODY_LEN;
        hashes[i] = XXH3_64bits(bodies + from, len - from);
    }
    Holdfast__Publish publish = HOLDFAST__PUBLISH__INIT;
    publish.queue = (char *)(uintptr_t)queue;
    publish.n_body_len = publish.n_body_hash = count;
    publish.body_len = lens;
    publish.body_hash = hashes;
    publish.head_len = head_lens;
    publish.n_head_len = heads != NULL ? count : 0;
    publish.producer = (char[]){"producer"};
    static uint64_t sequence = 1; /* Goes on over all machines. */
    publish.first_sequence = sequence;
    sequence += count;
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
    command.publish = &publish;
    (void)bench_command(bench, 1, &command, bodies, len);
}

void bench_settle(struct bench *bench, uint64_t consumer, Holdfast__Settle__Outcome outcome)
{
    uint64_t first = bench->settled[consumer] + 1;
    uint64_t last = bench->delivered[consumer];
    if (last < first) {
        return;
    }
    Holdfast__Settle settle = HOLDFAST__SETTLE__INIT;
    settle.consumer = consumer;
    settle.outcome = outcome;
    settle.n_first = settle.n_last = 1;
    settle.first = &first;
    settle.last = &last;
    bench->settled[consumer] = last;
    (void)of_session(bench, HOLDFAST__COMMAND__KIND_SETTLE, &settle.base);
}
