/* The AMQP server on real sockets: a whole conversation, limits, deadlines, bad clients, stopping. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "amqp_net.h"
#include "rpc/native/native_server.h"

static void expect_end(struct amqp_client *client)
{
    cr_assert(loop_until(&client->f->loop, amqp_client_has_ended, client, WAIT_MS));
    cr_assert_eq(client->read, client->got.len, "%zu bytes came", client->got.len - client->read);
}

static bool has_no_clients(void *arg)
{
    return amqp_server_connections(((struct amqp_net *)arg)->server) == 0;
}

static bool has_command(void *arg)
{
    return ((struct amqp_net *)arg)->fake.commands > 0;
}

/* ---- Tests ---- */

Test(amqp_server, a_client_opens_declares_and_closes)
{
    struct amqp_net f;
    struct amqp_client client;
    amqp_net_open(&f, (struct amqp_server_options){0}, 0);
    amqp_client_open(&f, &client);
    amqp_client_shake_hands(&client, 0);
    AMQP_CLIENT_GIVE(&client, 1, channel_open, .reserved_1 = amqp_text(""));
    (void)amqp_client_take(&client, AMQP_channel_open_ok);
    AMQP_CLIENT_GIVE(&client, 1, queue_declare, .queue = amqp_text("q"));
    cr_assert(loop_until(&f.loop, has_command, &f, WAIT_MS));
    f.fake.sink.reply(f.fake.sink.arg, &(struct gateway_reply){.number = 1, .count = 5, .detail = ""});
    cr_assert_eq(amqp_client_take(&client, AMQP_queue_declare_ok).queue_declare_ok.message_count, 5u);
    AMQP_CLIENT_GIVE(&client, 0, connection_close, .reply_code = 200);
    f.fake.commands = 0;
    cr_assert(loop_until(&f.loop, has_command, &f, WAIT_MS));
    f.fake.sink.reply(f.fake.sink.arg, &(struct gateway_reply){.number = 2, .detail = ""});
    fake_gateway_detach(&f.fake, ERR_CLOSED, "", NULL);
    (void)amqp_client_take(&client, AMQP_connection_close_ok);
    expect_end(&client);
    amqp_client_close(&client);
    cr_assert(loop_until(&f.loop, has_no_clients, &f, WAIT_MS));
    cr_assert_eq(f.fake.detaches, 0u);
    amqp_net_close(&f);
}

Test(amqp_server, a_client_that_goes_without_a_word_is_closed_in_the_machine)
{
    struct amqp_net f;
    struct amqp_client client;
    amqp_net_open(&f, (struct amqp_server_options){0}, 0);
    amqp_client_open(&f, &client);
    amqp_client_shake_hands(&client, 0);
    amqp_client_close(&client);
    cr_assert(loop_until(&f.loop, has_command, &f, WAIT_MS));
    Holdfast__Command *command = holdfast__command__unpack(NULL, f.fake.last_header.len, f.fake.last_header.data);
    cr_assert_eq(command->kind_case, HOLDFAST__COMMAND__KIND_CLOSE_SESSION);
    holdfast__command__free_unpacked(command, NULL);
    cr_assert(loop_until(&f.loop, has_no_clients, &f, WAIT_MS));
    cr_assert(f.fake.attached, "the session is there until it is answered");
    fake_gateway_detach(&f.fake, ERR_CLOSED, "", NULL);
    amqp_net_close(&f);
}

static void expect_greeting(const char *said, size_t len)
{
    struct amqp_net f;
    struct amqp_client client;
    amqp_net_open(&f, (struct amqp_server_options){0}, 0);
    amqp_client_open(&f, &client);
    raw_write(client.fd, said, len);
    cr_assert_eq(memcmp(amqp_client_expect(&client, AMQP_GREETING_LEN), AMQP_GREETING, AMQP_GREETING_LEN), 0);
    expect_end(&client);
    amqp_client_close(&client);
    amqp_net_close(&f);
}

Test(amqp_server, another_protocol_is_answered_with_ours)
{
    expect_greeting("GET / HTTP/1.1\r\n\r\n", 18);
    expect_greeting("AMQP\0\1\0\0", 8);
    expect_greeting("AMQP\1\1\0\x09", 8);
    expect_greeting("\x16\3\1\2\0\1\0\1\xfc", 9);
}

Test(amqp_server, a_client_that_says_nothing_or_stops_in_the_handshake_is_sent_away)
{
    struct amqp_net f;
    struct amqp_client silent, begun;
    amqp_net_open(&f, (struct amqp_server_options){.server.handshake_timeout_ms = 200}, 0);
    amqp_client_open(&f, &silent);
    amqp_client_open(&f, &begun);
    raw_write(begun.fd, AMQP_GREETING, AMQP_GREETING_LEN);
    (void)amqp_client_take(&begun, AMQP_connection_start);
    expect_end(&silent);
    expect_end(&begun);
    cr_assert_eq(test_journal_count(&f.journal, "the handshake took too long"), 2u);
    amqp_client_close(&silent);
    amqp_client_close(&begun);
    amqp_net_close(&f);
}

Test(amqp_server, a_frame_over_the_limit_of_the_handshake_is_refused)
{
    struct amqp_net f;
    struct amqp_client client;
    amqp_net_open(&f, (struct amqp_server_options){0}, 0);
    amqp_client_open(&f, &client);
    raw_write(client.fd, AMQP_GREETING, AMQP_GREETING_LEN);
    (void)amqp_client_take(&client, AMQP_connection_start);
    /* One byte more than 4096 with prefix and end: its prefix is enough. */
    raw_write(client.fd, "\1\0\0\0\0\x0f\xf9", AMQP_PREFIX_LEN);
    expect_end(&client);
    cr_assert_eq(test_journal_count(&f.journal, "a frame over the limit of 4089 bytes"), 1u);
    amqp_client_close(&client);
    amqp_net_close(&f);
}

Test(amqp_server, a_frame_over_what_was_negotiated_is_a_frame_error)
{
    struct amqp_net f;
    struct amqp_client client;
    amqp_net_open(&f, (struct amqp_server_options){0}, 0);
    amqp_client_open(&f, &client);
    amqp_client_shake_hands(&client, 0);
    raw_write(client.fd, "\1\0\1\0\0\x0f\xf9", AMQP_PREFIX_LEN);
    const union amqp_method close = amqp_client_take(&client, AMQP_connection_close);
    cr_assert_eq(close.connection_close.reply_code, 501);
    expect_end(&client);
    amqp_client_close(&client);
    amqp_net_close(&f);
}

Test(amqp_server, heartbeats_are_sent_and_a_client_that_sends_none_is_gone)
{
    struct amqp_net f;
    struct amqp_client client;
    amqp_net_open(&f, (struct amqp_server_options){0}, 0);
    amqp_client_open(&f, &client);
    amqp_client_shake_hands(&client, 1);
    uint64_t begun_ms = uv_now(&f.loop);
    cr_assert_eq(amqp_client_frame(&client, AMQP_FRAME_HEARTBEAT).len, 0u);
    cr_assert_eq(amqp_client_frame(&client, AMQP_FRAME_HEARTBEAT).len, 0u);
    cr_assert(loop_until(&f.loop, amqp_client_has_ended, &client, WAIT_MS));
    uint64_t took_ms = uv_now(&f.loop) - begun_ms;
    cr_assert_geq(took_ms, 1990u, "%llu ms", (unsigned long long)took_ms);
    cr_assert_eq(test_journal_count(&f.journal, "nothing heard from the peer"), 1u);
    amqp_client_close(&client);
    amqp_net_close(&f);
}

Test(amqp_server, a_client_that_sends_heartbeats_stays)
{
    struct amqp_net f;
    struct amqp_client client;
    amqp_net_open(&f, (struct amqp_server_options){.server.handshake_timeout_ms = 500}, 0);
    amqp_client_open(&f, &client);
    amqp_client_shake_hands(&client, 1);
    for (unsigned i = 0; i < 6; i++) {
        raw_write(client.fd, "\x08\0\0\0\0\0\0\xce", AMQP_FRAME_COST);
        loop_for(&f.loop, 500);
    }
    cr_assert_not(amqp_client_has_ended(&client));
    cr_assert_eq(amqp_server_connections(f.server), 1u);
    amqp_client_close(&client);
    amqp_net_close(&f);
}

Test(amqp_server, who_does_not_answer_our_close_is_cut_off)
{
    struct amqp_net f;
    struct amqp_client client;
    amqp_net_open(&f, (struct amqp_server_options){.close_timeout_ms = 300}, 0);
    amqp_client_open(&f, &client);
    amqp_client_shake_hands(&client, 0);
    AMQP_CLIENT_GIVE(&client, 7, queue_declare, .queue = amqp_text("q"));
    cr_assert_eq(amqp_client_take(&client, AMQP_connection_close).connection_close.reply_code, 504);
    expect_end(&client);
    cr_assert_eq(test_journal_count(&f.journal, "no answer to Connection.Close"), 1u);
    amqp_client_close(&client);
    amqp_net_close(&f);
}

static int connect_to_v6(uint16_t port)
{
    struct sockaddr_in6 address = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Where this host has IPv6. */
static bool has_v6(void)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool bound = fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return bound;
}

Test(amqp_server, localhost_is_both_of_this_hosts_addresses_to_itself)
{
    struct amqp_net f;
    struct amqp_client client = {.f = &f};
    amqp_net_open(&f, (struct amqp_server_options){.server.listen_address = "localhost:0"}, 0);
    amqp_client_open(&f, &client);
    raw_write(client.fd, AMQP_GREETING, AMQP_GREETING_LEN);
    (void)amqp_client_take(&client, AMQP_connection_start);
    amqp_client_close(&client);
    client = (struct amqp_client){.f = &f, .fd = connect_to_v6(amqp_server_port(f.server))};
    cr_assert_eq(client.fd >= 0, has_v6());
    if (client.fd >= 0) {
        raw_write(client.fd, AMQP_GREETING, AMQP_GREETING_LEN);
        (void)amqp_client_take(&client, AMQP_connection_start);
        amqp_client_close(&client);
    }
    cr_assert_eq(test_journal_count(&f.journal, "only 127.0.0.1 is listened on"), has_v6() ? 0u : 1u);
    amqp_net_close(&f);
}

Test(amqp_server, clients_above_the_limit_of_all_protocols_are_told)
{
    struct amqp_net f;
    struct amqp_client client;
    struct native_server *native;
    char detail[200];
    amqp_net_open(&f, (struct amqp_server_options){0}, 1);
    const struct native_server_options options = {.server.loop = &f.loop,
                                                  .server.gateway = &f.fake.base,
                                                  .server.bounds = &f.bounds,
                                                  .server.listen_address = "127.0.0.1:0"};
    cr_assert_eq(native_server_start(&options, &native, detail, sizeof detail), 0, "%s", detail);
    int fd = raw_connect(native_server_port(native));
    while (f.bounds.connections_len == 0) {
        uv_run(&f.loop, UV_RUN_ONCE);
    }
    amqp_client_open(&f, &client);
    amqp_client_ask_to_open(&client, 4096, 0);
    const union amqp_method method = amqp_client_take(&client, AMQP_connection_close);
    cr_assert_eq(method.connection_close.reply_code, 320);
    cr_assert_eq(f.fake.attaches, 0u);
    AMQP_CLIENT_GIVE(&client, 0, connection_close_ok);
    expect_end(&client);
    amqp_client_close(&client);
    close(fd);
    native_server_close(native, NULL, NULL);
    amqp_net_close(&f);
}

Test(amqp_server, stopping_says_so_to_all_and_detaches_at_once)
{
    struct amqp_net f;
    struct amqp_client client, begun;
    amqp_net_open(&f, (struct amqp_server_options){0}, 0);
    amqp_client_open(&f, &client);
    amqp_client_open(&f, &begun);
    amqp_client_shake_hands(&client, 0);
    raw_write(begun.fd, AMQP_GREETING, AMQP_GREETING_LEN);
    (void)amqp_client_take(&begun, AMQP_connection_start);
    amqp_server_close(f.server, amqp_net_closed, &f);
    f.server = NULL;
    cr_assert_not(f.fake.attached);
    const union amqp_method method = amqp_client_take(&client, AMQP_connection_close);
    cr_assert_eq(method.connection_close.reply_code, 320);
    expect_end(&client);
    expect_end(&begun);
    amqp_client_close(&client);
    amqp_client_close(&begun);
    cr_assert(loop_until(&f.loop, amqp_net_is_closed, &f, WAIT_MS));
    amqp_net_close(&f);
}

Test(amqp_server, one_that_has_stopped_keeps_its_clients_and_takes_no_others)
{
    struct amqp_net f;
    struct amqp_client client;
    amqp_net_open(&f, (struct amqp_server_options){0}, 0);
    amqp_client_open(&f, &client);
    amqp_client_shake_hands(&client, 0);
    uint16_t port = amqp_server_port(f.server);
    amqp_server_stop(f.server);
    amqp_server_stop(f.server);
    loop_for(&f.loop, 20);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), -1);
    close(fd);
    AMQP_CLIENT_GIVE(&client, 1, channel_open, .reserved_1 = amqp_text(""));
    (void)amqp_client_take(&client, AMQP_channel_open_ok);
    amqp_client_close(&client);
    cr_assert(loop_until(&f.loop, has_no_clients, &f, WAIT_MS));
    amqp_net_close(&f);
}

Test(amqp_server, a_session_that_is_leaving_does_not_keep_a_stopping_server)
{
    struct amqp_net f;
    struct amqp_client client;
    amqp_net_open(&f, (struct amqp_server_options){0}, 0);
    amqp_client_open(&f, &client);
    amqp_client_shake_hands(&client, 0);
    amqp_client_close(&client);
    cr_assert(loop_until(&f.loop, has_no_clients, &f, WAIT_MS));
    cr_assert(f.fake.attached);
    amqp_net_close(&f);
}

Test(amqp_server, who_publishes_hears_that_messages_are_refused)
{
    struct amqp_net f;
    struct amqp_client client;
    amqp_net_open(&f, (struct amqp_server_options){0}, 0);
    amqp_client_open(&f, &client);
    amqp_client_shake_hands(&client, 0);
    AMQP_CLIENT_GIVE(&client, 1, channel_open, .reserved_1 = amqp_text(""));
    (void)amqp_client_take(&client, AMQP_channel_open_ok);
    AMQP_CLIENT_GIVE(&client, 1, basic_publish, .routing_key = amqp_text("q"));
    raw_write(client.fd, "\2\0\1\0\0\0\x0e\0\x3c\0\0\0\0\0\0\0\0\0\1\0\0\xce\3\0\1\0\0\0\1m\xce", 31);
    cr_assert(loop_until(&f.loop, has_command, &f, WAIT_MS));
    f.refusing = "the disks are full";
    const union amqp_method blocked = amqp_client_take(&client, AMQP_connection_blocked);
    cr_assert(amqp_fixture_is(blocked.connection_blocked.reason, "the disks are full"));
    f.refusing = "";
    (void)amqp_client_take(&client, AMQP_connection_unblocked);
    amqp_client_close(&client);
    amqp_net_close(&f);
}
