/* How an AMQP connection begins: the handshake, who may come, and what is negotiated. */

#include <stdio.h>
#include <string.h>

#include "amqp_fixture.h"
#include "proto/base/check.h"

#define PLAIN_GUEST                                                                                                    \
    {                                                                                                                  \
        (const uint8_t *)"\0guest\0guest", 12                                                                          \
    }

static const struct amqp_session_options from_elsewhere = {.peer_name = "192.0.2.1:5555"};

static void greet(struct amqp_fixture *f)
{
    amqp_fixture_give_raw(f, AMQP_FRAME_GREETING, 0, "\1", 1);
    (void)AMQP_TAKE(f, 0, connection_start);
}

static void log_in(struct amqp_fixture *f, struct amqp_bytes properties, const char *mechanism,
                   struct amqp_bytes response)
{
    greet(f);
    AMQP_GIVE(f, 0, connection_start_ok, .client_properties = properties, .mechanism = amqp_text(mechanism),
              .response = response, .locale = amqp_text("en_US"));
}

static struct amqp_bytes able_to_be_refused(struct amqp_fixture *f)
{
    struct amqp_bytes can = amqp_fixture_table(f, "authentication_failure_close", 't', 1, NULL);
    return amqp_fixture_table(f, "capabilities", 'F', can, NULL);
}

/* Up to Tune-Ok, which is the test's. */
static void tune(struct amqp_fixture *f)
{
    log_in(f, (struct amqp_bytes){0}, "PLAIN", (struct amqp_bytes)PLAIN_GUEST);
    (void)AMQP_TAKE(f, 0, connection_tune);
}

/* Up to Open, which is answered when the test says so. */
static void ask_to_open(struct amqp_fixture *f, const char *virtual_host)
{
    tune(f);
    AMQP_GIVE(f, 0, connection_tune_ok, .channel_max = 10, .frame_max = 8192, .heartbeat = 7);
    AMQP_GIVE(f, 0, connection_open, .virtual_host = amqp_text(virtual_host));
}

static void expect_silent_close(struct amqp_fixture *f)
{
    amqp_fixture_nothing(f);
    cr_assert_eq(f->closes, 1u);
}

/* ---- Start ---- */

static const Holdfast__Value *property(struct amqp_fixture *f, struct amqp_bytes table, const char *name)
{
    struct amqp_headers headers;
    cr_assert_eq(amqp_table_decode(table, &f->arena, &headers), 0);
    const Holdfast__Value *value = amqp_headers_find(&headers, name);
    cr_assert_not_null(value, "no %s", name);
    return value;
}

static bool is_string(const Holdfast__Value *value, const char *text)
{
    return value->kind_case == HOLDFAST__VALUE__KIND_STRING && value->string.len == strlen(text) &&
           memcmp(value->string.data, text, value->string.len) == 0;
}

Test(amqp_connection, the_greeting_is_answered_with_what_the_server_is_and_can)
{
    static const char *const wanted[] = {
        "publisher_confirms",         "basic.nack",       "consumer_cancel_notify",       "connection.blocked",
        "exchange_exchange_bindings", "per_consumer_qos", "authentication_failure_close", "direct_reply_to"};
    struct amqp_fixture f;
    amqp_fixture_new(&f, NULL);
    amqp_fixture_give_raw(&f, AMQP_FRAME_GREETING, 0, "\1", 1);
    const struct amqp_connection_start *start = AMQP_TAKE(&f, 0, connection_start);
    cr_assert_eq(start->version_major, 0);
    cr_assert_eq(start->version_minor, 9);
    cr_assert(amqp_fixture_is(start->mechanisms, "AMQPLAIN PLAIN"));
    cr_assert(amqp_fixture_is(start->locales, "en_US"));
    cr_assert(is_string(property(&f, start->server_properties, "product"), "Holdfast"));
    cr_assert(is_string(property(&f, start->server_properties, "version"), "9.9"));
    cr_assert(is_string(property(&f, start->server_properties, "cluster_name"), "test"));
    const Holdfast__Value *can = property(&f, start->server_properties, "capabilities");
    cr_assert_eq(can->kind_case, HOLDFAST__VALUE__KIND_TABLE);
    const struct amqp_headers headers = {.entries = can->table->entry, .len = can->table->n_entry};
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        const Holdfast__Value *value = amqp_headers_find(&headers, wanted[i]);
        cr_assert(value != NULL && value->kind_case == HOLDFAST__VALUE__KIND_BOOLEAN && value->boolean, "%s",
                  wanted[i]);
    }
    amqp_fixture_close(&f);
}

Test(amqp_connection, both_mechanisms_let_guest_in)
{
    struct amqp_fixture f;
    amqp_fixture_new(&f, NULL);
    log_in(&f, (struct amqp_bytes){0}, "PLAIN", (struct amqp_bytes)PLAIN_GUEST);
    const struct amqp_connection_tune *tune = AMQP_TAKE(&f, 0, connection_tune);
    cr_assert_eq(tune->channel_max, 2047);
    cr_assert_eq(tune->frame_max, 131072u);
    cr_assert_eq(tune->heartbeat, 60);
    amqp_fixture_close(&f);
    amqp_fixture_new(&f, NULL);
    log_in(&f, (struct amqp_bytes){0}, "AMQPLAIN",
           amqp_fixture_table(&f, "LOGIN", 'S', "guest", "PASSWORD", 'S', "guest", NULL));
    (void)AMQP_TAKE(&f, 0, connection_tune);
    amqp_fixture_close(&f);
}

static void expect_login_refused(const struct amqp_session_options *options, const char *mechanism,
                                 struct amqp_bytes (*response)(struct amqp_fixture *f))
{
    char words[200];
    struct amqp_fixture f;
    (void)snprintf(words, sizeof words,
                   "ACCESS_REFUSED - Login was refused using authentication mechanism %s. For details see the broker "
                   "logfile.",
                   mechanism);
    amqp_fixture_new(&f, options);
    log_in(&f, able_to_be_refused(&f), mechanism, response(&f));
    const struct amqp_connection_close *close = AMQP_TAKE(&f, 0, connection_close);
    cr_assert_eq(close->reply_code, 403);
    cr_assert(amqp_fixture_is(close->reply_text, words), "%.*s", (int)close->reply_text.len, close->reply_text.data);
    cr_assert_eq(close->class_id, 0);
    expect_silent_close(&f);
    amqp_fixture_close(&f);
    /* Who does not say that it understands that is not told. */
    amqp_fixture_new(&f, options);
    log_in(&f, (struct amqp_bytes){0}, mechanism, response(&f));
    expect_silent_close(&f);
    amqp_fixture_close(&f);
}

static struct amqp_bytes right(struct amqp_fixture *f)
{
    (void)f;
    return (struct amqp_bytes)PLAIN_GUEST;
}

static struct amqp_bytes wrong_password(struct amqp_fixture *f)
{
    (void)f;
    return (struct amqp_bytes){(const uint8_t *)"\0guest\0guesS", 12};
}

static struct amqp_bytes wrong_user(struct amqp_fixture *f)
{
    return amqp_fixture_table(f, "LOGIN", 'S', "gues", "PASSWORD", 'S', "guest", NULL);
}

Test(amqp_connection, a_wrong_password_or_user_is_refused)
{
    expect_login_refused(NULL, "PLAIN", wrong_password);
    expect_login_refused(NULL, "AMQPLAIN", wrong_user);
}

Test(amqp_connection, guest_from_another_host_is_refused_unless_it_may)
{
    expect_login_refused(&from_elsewhere, "PLAIN", right);
    struct amqp_session_options may = from_elsewhere;
    may.guest_from_anywhere = true;
    struct amqp_fixture f;
    amqp_fixture_new(&f, &may);
    log_in(&f, (struct amqp_bytes){0}, "PLAIN", (struct amqp_bytes)PLAIN_GUEST);
    (void)AMQP_TAKE(&f, 0, connection_tune);
    amqp_fixture_close(&f);
}

Test(amqp_connection, what_is_no_login_ends_the_connection)
{
    static const struct {
        const char *mechanism;
        struct amqp_bytes response;
    } logins[] = {
        {"PLAIN", {(const uint8_t *)"guest\0guest", 11}},
        {"PLAIN", {(const uint8_t *)"\0guest\0guest\0", 13}},
        {"PLAIN", {(const uint8_t *)"", 0}},
        {"AMQPLAIN", {(const uint8_t *)"\5LOGINS\0\0\0\5guest", 16}},
        {"AMQPLAIN", {(const uint8_t *)"\5LOGINS\0\0\0\x50guest", 16}},
        {"AMQPLAIN", {(const uint8_t *)"", 0}},
        {"EXTERNAL", {(const uint8_t *)"", 0}},
        {"", {(const uint8_t *)"", 0}},
    };
    for (size_t i = 0; i < ARRAY_LEN(logins); i++) {
        struct amqp_fixture f;
        amqp_fixture_new(&f, NULL);
        log_in(&f, able_to_be_refused(&f), logins[i].mechanism, logins[i].response);
        expect_silent_close(&f);
        amqp_fixture_close(&f);
    }
}

Test(amqp_connection, properties_of_a_client_that_are_no_table_end_the_connection)
{
    struct amqp_fixture f;
    amqp_fixture_new(&f, NULL);
    log_in(&f, (struct amqp_bytes){(const uint8_t *)"\3abcS\0\0\1\0xy", 11}, "PLAIN", (struct amqp_bytes)PLAIN_GUEST);
    expect_silent_close(&f);
    amqp_fixture_close(&f);
}

/* ---- Tune ---- */

static void expect_negotiation_fails(uint16_t channel_max, uint32_t frame_max, const char *words)
{
    struct amqp_fixture f;
    amqp_fixture_new(&f, NULL);
    tune(&f);
    AMQP_GIVE(&f, 0, connection_tune_ok, .channel_max = channel_max, .frame_max = frame_max);
    amqp_fixture_connection_closes(&f, AMQP_NOT_ALLOWED, AMQP_connection_tune, words);
    cr_assert_eq(f.frame_max, 0u, "it counts as established");
    amqp_fixture_close(&f);
}

Test(amqp_connection, limits_beyond_the_servers_are_refused)
{
    expect_negotiation_fails(2047, 4095, "negotiated frame_max = 4095 is lower than the minimum allowed value (4096)");
    expect_negotiation_fails(2047, 131073,
                             "negotiated frame_max = 131073 is higher than the maximum allowed value (131072)");
    expect_negotiation_fails(2048, 131072,
                             "negotiated channel_max = 2048 is higher than the maximum allowed value (2047)");
}

Test(amqp_connection, what_a_client_negotiates_holds)
{
    struct amqp_fixture f;
    amqp_fixture_new(&f, NULL);
    ask_to_open(&f, "/");
    amqp_fixture_turn(&f);
    cr_assert_eq(f.frame_max, 8192u);
    cr_assert_eq(f.heartbeat_s, 7);
    f.fake.sink.attached(f.fake.sink.arg, 42, 0);
    (void)AMQP_TAKE(&f, 0, connection_open_ok);
    for (uint16_t i = 1; i <= 10; i++) {
        amqp_fixture_channel(&f, 10 * i);
    }
    AMQP_GIVE(&f, 11, channel_open);
    (void)AMQP_TAKE(&f, 0, connection_close);
    amqp_fixture_close(&f);
}

Test(amqp_connection, no_limit_means_the_servers)
{
    struct amqp_fixture f;
    amqp_fixture_new(&f, NULL);
    tune(&f);
    AMQP_GIVE(&f, 0, connection_tune_ok, .channel_max = 0, .frame_max = 0, .heartbeat = 0);
    AMQP_GIVE(&f, 0, connection_open, .virtual_host = amqp_text("/"));
    amqp_fixture_turn(&f);
    cr_assert_eq(f.frame_max, 131072u);
    cr_assert_eq(f.heartbeat_s, 0);
    f.fake.sink.attached(f.fake.sink.arg, 42, 0);
    (void)AMQP_TAKE(&f, 0, connection_open_ok);
    amqp_fixture_channel(&f, 2047);
    amqp_fixture_close(&f);
}

/* ---- Open ---- */

Test(amqp_connection, open_attaches_a_session_and_waits_for_it)
{
    struct amqp_fixture f;
    static const uint8_t nothing[16] = {0};
    amqp_fixture_new(&f, NULL);
    ask_to_open(&f, "other");
    AMQP_GIVE(&f, 3, channel_open);
    amqp_fixture_nothing(&f);
    cr_assert(f.held);
    cr_assert_eq(f.fake.attaches, 1u);
    cr_assert_str_eq(f.fake.last_virtual_host, "other");
    cr_assert_str_eq(f.fake.last_user, "guest");
    cr_assert_eq(f.fake.last_attach.lease_ms, 1000u);
    cr_assert_neq(memcmp(f.fake.last_attach.key, nothing, sizeof nothing), 0);
    f.fake.sink.attached(f.fake.sink.arg, 42, 0);
    (void)AMQP_TAKE(&f, 0, connection_open_ok);
    (void)AMQP_TAKE(&f, 3, channel_open_ok);
    cr_assert_not(f.held);
    amqp_fixture_close(&f);
}

static void expect_client(struct amqp_bytes (*properties)(struct amqp_fixture *f), const char *name)
{
    struct amqp_fixture f;
    amqp_fixture_new(&f, NULL);
    log_in(&f, properties(&f), "PLAIN", (struct amqp_bytes)PLAIN_GUEST);
    AMQP_GIVE(&f, 0, connection_tune_ok, .frame_max = 4096);
    AMQP_GIVE(&f, 0, connection_open, .virtual_host = amqp_text("/"));
    amqp_fixture_turn(&f);
    cr_assert_str_eq(f.fake.last_client, name);
    amqp_fixture_close(&f);
}

static struct amqp_bytes named(struct amqp_fixture *f)
{
    return amqp_fixture_table(f, "product", 'S', "Pika", "connection_name", 'S', "bills", NULL);
}

static struct amqp_bytes of_a_product(struct amqp_fixture *f)
{
    return amqp_fixture_table(f, "product", 'S', "Pika", "connection_name", 't', 1, NULL);
}

static struct amqp_bytes nameless(struct amqp_fixture *f)
{
    return amqp_fixture_table(f, "product", 'S', "a\nb", NULL);
}

/* 254 bytes, and a character of two. */
static struct amqp_bytes long_named(struct amqp_fixture *f)
{
    char name[400];
    memset(name, 'x', 254);
    (void)snprintf(name + 254, sizeof name - 254, "\xc3\xa4 and more");
    return amqp_fixture_table(f, "connection_name", 'S', name, NULL);
}

Test(amqp_connection, a_client_is_called_as_it_calls_itself)
{
    char cut[255] = {0};
    memset(cut, 'x', 254);
    expect_client(named, "bills");
    expect_client(of_a_product, "Pika");
    expect_client(nameless, "AMQP");
    expect_client(long_named, cut);
}

Test(amqp_connection, a_virtual_host_that_is_not_there_is_not_allowed)
{
    struct amqp_fixture f;
    amqp_fixture_new(&f, NULL);
    ask_to_open(&f, "nope");
    amqp_fixture_turn(&f);
    fake_gateway_detach(&f.fake, ERR_NOT_FOUND, "no such virtual host", NULL);
    amqp_fixture_connection_closes(&f, AMQP_NOT_ALLOWED, AMQP_connection_open, "vhost nope not found");
    amqp_fixture_close(&f);
    amqp_fixture_new(&f, NULL);
    ask_to_open(&f, "");
    amqp_fixture_connection_closes(&f, AMQP_NOT_ALLOWED, AMQP_connection_open, "vhost not found: not a name");
    cr_assert_eq(f.fake.attaches, 0u);
    amqp_fixture_close(&f);
}

Test(amqp_connection, an_attachment_that_is_refused_is_told_with_its_reason)
{
    struct amqp_fixture f;
    amqp_fixture_new(&f, NULL);
    f.fake.attach_err = ERR_UNAVAILABLE;
    ask_to_open(&f, "/");
    amqp_fixture_connection_closes(&f, AMQP_CONNECTION_FORCED, AMQP_connection_open,
                                   "this node cannot serve now: no leader can be reached");
    amqp_fixture_close(&f);
    amqp_fixture_new(&f, NULL);
    ask_to_open(&f, "/");
    amqp_fixture_turn(&f);
    fake_gateway_detach(&f.fake, ERR_LIMIT, "there are 5 sessions", NULL);
    amqp_fixture_connection_closes(&f, AMQP_NOT_ALLOWED, AMQP_connection_open,
                                   "access to vhost '/' refused for user 'guest': there are 5 sessions");
    amqp_fixture_close(&f);
}

static uint32_t version_one(struct gateway *gateway)
{
    (void)gateway;
    return 1;
}

Test(amqp_connection, a_cluster_with_older_rules_is_not_spoken_to)
{
    struct amqp_fixture f;
    amqp_fixture_new(&f, NULL);
    struct gateway_ops ops = *f.fake.base.ops;
    ops.machine_version = version_one;
    f.fake.base.ops = &ops;
    ask_to_open(&f, "/");
    amqp_fixture_connection_closes(&f, AMQP_CONNECTION_FORCED, AMQP_connection_open,
                                   "this cluster does not speak AMQP yet: not all of its nodes are known to do");
    cr_assert_eq(f.fake.attaches, 0u);
    amqp_fixture_close(&f);
}
