/* Longest applies: things that go, with all that goes with them. */

#include <stdio.h>

#include "bench_worst.h"

#define BINDINGS 100000u
#define QUEUES 100000u
#define CREDIT 65535u
#define SESSIONS 10000u

/* ---- Bindings ---- */

static void bind_many(struct bench *bench, Holdfast__DeclareExchange__Type type, unsigned count)
{
    worst_exchange(bench, "wide", type);
    for (unsigned i = 0; i < count; i++) {
        worst_bind(bench, "wide", "end", worst_name("region.*.", i));
        if (i % BINDINGS == BINDINGS - 1) {
            bench_checkpoint(bench);
        }
    }
    bench_checkpoint(bench);
}

static void delete_exchange(struct bench *bench, const char *what, unsigned size)
{
    Holdfast__DeleteExchange delete = HOLDFAST__DELETE_EXCHANGE__INIT;
    delete.exchange = (char[]){"wide"};
    worst_begin(bench);
    worst_command(bench, HOLDFAST__COMMAND__KIND_DELETE_EXCHANGE, &delete.base);
    worst_note(bench);
    worst_end(bench, what, size);
}

static void delete_queue(struct bench *bench, const char *queue, const char *what, unsigned size)
{
    Holdfast__DeleteQueue delete = HOLDFAST__DELETE_QUEUE__INIT;
    delete.queue = (char *)(uintptr_t)queue;
    worst_begin(bench);
    worst_command(bench, HOLDFAST__COMMAND__KIND_DELETE_QUEUE, &delete.base);
    worst_note(bench);
    worst_end(bench, what, size);
}

void worst_of_bindings(void)
{
    struct bench bench;
    worst_open(&bench);
    bench_declare(&bench, "end", NULL);
    bind_many(&bench, HOLDFAST__DECLARE_EXCHANGE__TYPE__DIRECT, BINDINGS);
    delete_exchange(&bench, "a direct exchange with bindings deleted", BINDINGS);
    bind_many(&bench, HOLDFAST__DECLARE_EXCHANGE__TYPE__TOPIC, BINDINGS);
    delete_exchange(&bench, "a topic exchange with bindings deleted", BINDINGS);
    bind_many(&bench, HOLDFAST__DECLARE_EXCHANGE__TYPE__TOPIC, BINDINGS);
    delete_queue(&bench, "end", "a queue with bindings to it deleted", BINDINGS);
    bench_declare(&bench, "end", NULL);
    bind_many(&bench, HOLDFAST__DECLARE_EXCHANGE__TYPE__TOPIC, 10 * BINDINGS);
    delete_exchange(&bench, "an exchange with all the bindings there may be deleted", 10 * BINDINGS);
    bench_close(&bench);
}

/* ---- Sessions and consumers ---- */

static void subscribe(struct bench *bench, uint64_t session, uint64_t *number, const char *queue, uint64_t consumer,
                      uint32_t credit)
{
    Holdfast__Subscribe subscribe = HOLDFAST__SUBSCRIBE__INIT;
    subscribe.queue = (char *)(uintptr_t)queue;
    subscribe.consumer = consumer;
    subscribe.credit = credit;
    worst_command_as(bench, session, number, HOLDFAST__COMMAND__KIND_SUBSCRIBE, &subscribe.base);
}

static void go_on(struct bench *bench)
{
    while (machine_due_ms(bench->machine) == 0) {
        bench_tick(bench, bench->time_ms);
    }
}

static void close_session(struct bench *bench, uint64_t session, uint64_t *number, const char *what, unsigned size)
{
    Holdfast__CloseSession close = HOLDFAST__CLOSE_SESSION__INIT;
    worst_begin(bench);
    worst_command_as(bench, session, number, HOLDFAST__COMMAND__KIND_CLOSE_SESSION, &close.base);
    worst_note(bench);
    worst_end(bench, what, size);
}

static void holders(void)
{
    struct bench bench;
    uint64_t number = 0;
    worst_open(&bench);
    Holdfast__QueueOptions dead = HOLDFAST__QUEUE_OPTIONS__INIT;
    dead.has_dead_letter = true;
    dead.dead_letter_exchange = (char[]){""};
    dead.has_dead_letter_key = true;
    dead.dead_letter_key = (char[]){"dead"};
    dead.max_deliveries = 1;
    bench_declare(&bench, "q", NULL);
    bench_declare(&bench, "dying", &dead);
    bench_declare(&bench, "dead", NULL);
    worst_publish(&bench, "q", 16 * CREDIT, NULL, 0);
    worst_publish(&bench, "dying", CREDIT, NULL, 0);
    bench_checkpoint(&bench);

    worst_attach(&bench, 1, 0, "/");
    subscribe(&bench, 2, &number, "q", 1, CREDIT);
    go_on(&bench);
    Holdfast__Unsubscribe end = HOLDFAST__UNSUBSCRIBE__INIT;
    end.consumer = 1;
    worst_begin(&bench);
    worst_command_as(&bench, 2, &number, HOLDFAST__COMMAND__KIND_UNSUBSCRIBE, &end.base);
    worst_note(&bench);
    worst_end(&bench, "a consumer that holds messages ends", CREDIT);

    subscribe(&bench, 2, &number, "dying", 2, CREDIT);
    go_on(&bench);
    end.consumer = 2;
    worst_begin(&bench);
    worst_command_as(&bench, 2, &number, HOLDFAST__COMMAND__KIND_UNSUBSCRIBE, &end.base);
    worst_note(&bench);
    worst_end(&bench, "likewise, and they are dead letters", CREDIT);

    for (uint64_t i = 0; i < 16; i++) {
        subscribe(&bench, 2, &number, "q", 10 + i, CREDIT);
        go_on(&bench);
    }
    close_session(&bench, 2, &number, "a session ends whose 16 consumers hold messages", 16 * CREDIT);

    worst_attach(&bench, 1, 1, "/");
    number = 0;
    for (uint64_t i = 0; i < 8; i++) {
        subscribe(&bench, 3, &number, "q", 10 + i, CREDIT);
        go_on(&bench);
    }
    delete_queue(&bench, "q", "a queue is deleted whose 8 consumers hold messages", 8 * CREDIT);
    bench_close(&bench);
}

static void exclusive_queues(void)
{
    struct bench bench;
    uint64_t number = 0;
    worst_open(&bench);
    worst_attach(&bench, 1, 0, "/");
    Holdfast__QueueOptions options = HOLDFAST__QUEUE_OPTIONS__INIT;
    options.exclusive = true;
    for (unsigned i = 0; i < QUEUES; i++) {
        Holdfast__DeclareQueue declare = HOLDFAST__DECLARE_QUEUE__INIT;
        declare.queue = (char *)(uintptr_t)worst_name("own", i);
        declare.options = &options;
        worst_command_as(&bench, 2, &number, HOLDFAST__COMMAND__KIND_DECLARE_QUEUE, &declare.base);
    }
    bench_checkpoint(&bench);
    close_session(&bench, 2, &number, "a session with exclusive queues ends", QUEUES);
    bench_close(&bench);
}

static void many_consumers(void)
{
    struct bench bench;
    worst_open(&bench);
    bench_declare(&bench, "q", NULL);
    worst_declare(&bench, "q", 100, NULL);
    worst_node(&bench, 2);
    for (unsigned i = 0; i < 100; i++) {
        uint64_t number = 0;
        worst_attach(&bench, 2, i, "/");
        for (uint64_t consumer = 1; consumer <= 1000; consumer++) {
            subscribe(&bench, 2 + i, &number, "q", consumer, 10);
        }
    }
    bench_checkpoint(&bench);
    delete_queue(&bench, "q", "a queue with consumers is deleted", 100000);

    for (unsigned i = 100; i < 100 + SESSIONS; i++) {
        uint64_t number = 0;
        worst_attach(&bench, 2, i, "/");
        for (uint64_t consumer = 1; consumer <= 40; consumer++) {
            subscribe(&bench, 2 + i, &number, worst_name("q", (i + (unsigned)consumer) % 100), consumer, 10);
        }
    }
    bench_checkpoint(&bench);
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    Holdfast__NodeLost lost = HOLDFAST__NODE_LOST__INIT;
    lost.node = 2;
    lost.run = 1;
    command.kind_case = HOLDFAST__COMMAND__KIND_NODE_LOST;
    command.node_lost = &lost;
    worst_begin(&bench);
    (void)bench_command(&bench, 0, &command, NULL, 0);
    worst_note(&bench);
    worst_end(&bench, "a node with 10000 sessions is lost: consumers", 40 * SESSIONS);
    worst_begin(&bench);
    bench_tick(&bench, bench.time_ms + 20000);
    worst_note(&bench);
    worst_end(&bench, "their leases end, all at once", 40 * SESSIONS);
    bench_close(&bench);
}

void worst_of_sessions(void)
{
    holders();
    exclusive_queues();
    many_consumers();
}

/* ---- Virtual hosts ---- */

void worst_of_hosts(void)
{
    struct bench bench;
    uint64_t number = 0;
    worst_open(&bench);
    Holdfast__CreateVirtualHost create = HOLDFAST__CREATE_VIRTUAL_HOST__INIT;
    create.virtual_host = (char[]){"tenant"};
    worst_command(&bench, HOLDFAST__COMMAND__KIND_CREATE_VIRTUAL_HOST, &create.base);
    worst_attach(&bench, 1, 0, "tenant");
    for (unsigned i = 0; i < QUEUES; i++) {
        Holdfast__DeclareQueue declare = HOLDFAST__DECLARE_QUEUE__INIT;
        declare.queue = (char *)(uintptr_t)worst_name("its", i);
        worst_command_as(&bench, 2, &number, HOLDFAST__COMMAND__KIND_DECLARE_QUEUE, &declare.base);
        Holdfast__Bind bind = HOLDFAST__BIND__INIT;
        bind.source = (char[]){"amq.topic"};
        bind.queue = declare.queue;
        bind.key = declare.queue;
        worst_command_as(&bench, 2, &number, HOLDFAST__COMMAND__KIND_BIND, &bind.base);
    }
    for (unsigned i = 0; i < 1000; i++) {
        subscribe(&bench, 2, &number, worst_name("its", i), i + 1, 10);
    }
    for (unsigned i = 1; i <= SESSIONS; i++) {
        uint64_t first = 0;
        worst_attach(&bench, 1, i, "tenant");
        subscribe(&bench, 2 + i, &first, worst_name("its", i), 1, 10);
    }
    bench_checkpoint(&bench);
    Holdfast__DeleteVirtualHost delete = HOLDFAST__DELETE_VIRTUAL_HOST__INIT;
    delete.virtual_host = create.virtual_host;
    delete.force = true;
    worst_begin(&bench);
    worst_command(&bench, HOLDFAST__COMMAND__KIND_DELETE_VIRTUAL_HOST, &delete.base);
    worst_note(&bench);
    worst_end(&bench, "a virtual host is deleted by force: queues, each with a binding", QUEUES);
    bench_close(&bench);
}
