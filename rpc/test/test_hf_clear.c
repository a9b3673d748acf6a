/* The blocking library: settling many at once, what a transaction tells, a message found by its id, and what cannot be meant. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "hf_node.h"
#include "proto/base/check.h"

static struct hf_node node;
static struct hf *hf;

static void setup(void)
{
    hf_node_start(&node);
    hf = hf_node_client(&node);
}

static void teardown(void)
{
    cr_assert_eq(hf_close(hf, 20000), 0);
    hf_node_stop(&node);
}

TestSuite(hf_clear, .init = setup, .fini = teardown);

/* ---- Transactions ---- */

static bool answer_unrouted(struct hf_node *from, uint64_t number, const Holdfast__Command *command)
{
    if (command->kind_case != HOLDFAST__COMMAND__KIND_TRANSACT) {
        return false;
    }
    static const uint8_t unrouted[] = {0x04};
    struct gateway_reply reply = {
        .number = number, .detail = "", .count = 2, .unrouted = {.data = unrouted, .len = sizeof unrouted}};
    from->fake.sink.reply(from->fake.sink.arg, &reply);
    return true;
}

Test(hf_clear, a_transaction_tells_what_reached_no_queue)
{
    node.script = answer_unrouted;
    const struct client_properties properties = {.routing_key = "nowhere", .mandatory = true};
    struct hf_outgoing messages[3] = {{.queue = "a", .body = {"one", 3}},
                                      {.queue = "b", .body = {"two", 3}},
                                      {.properties = properties, .body = {"three", 5}}};
    enum hf_outcome outcomes[3];
    cr_assert_eq(hf_transact_told(hf, messages, 3, NULL, 0, 20000, outcomes), 0);
    static const enum hf_outcome expected[3] = {HF_TAKEN, HF_TAKEN, HF_UNROUTED};
    cr_assert_arr_eq(outcomes, expected, sizeof expected);
    cr_assert_eq(hf_transact_as(hf, messages, 3, NULL, 0, 20000), 0);
}

/* ---- What would count for nothing ---- */

static bool answer_nothing(struct hf_node *from, uint64_t number, const Holdfast__Command *command)
{
    (void)number;
    (void)command;
    from->scripted++;
    return false;
}

Test(hf_clear, a_value_without_its_has_is_refused)
{
    node.script = answer_nothing;
    static const struct client_queue_options half[] = {
        {.ttl_ms = 5},
        {.max_length = 5},
        {.max_bytes = 5},
        {.dead_letter_exchange = "e"},
        {.dead_letter_key = "k"},
        {.has_dead_letter_key = true},
    };
    static const enum client_queue_option fields[] = {CLIENT_OPTION_TTL, CLIENT_OPTION_MAX_LENGTH,
                                                      CLIENT_OPTION_MAX_BYTES, CLIENT_OPTION_DEAD_LETTER_EXCHANGE};
    for (size_t i = 0; i < sizeof half / sizeof half[0]; i++) {
        cr_assert_eq(hf_declare_as(hf, "q", &half[i], false, 20000), ERR_INVALID, "%zu", i);
        cr_assert(strstr(hf_error_detail(hf), "without has_") != NULL);
    }
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        cr_assert_eq(hf_change(hf, "q", &half[i], &fields[i], 1, 20000), ERR_INVALID, "%zu", i);
    }
    cr_assert_eq(node.scripted, 0);
    cr_assert_eq(hf_declare_as(hf, "q", &half[0], true, 20000), 0, "it is not looked at");
    static const enum client_queue_option others[] = {CLIENT_OPTION_PAUSED, CLIENT_OPTION_DEAD_LETTER_KEY};
    cr_assert_eq(hf_change(hf, "q", &half[0], others, 1, 20000), 0, "nor what is not named");
    cr_assert_eq(hf_change(hf, "q", &half[4], others, 2, 20000), 0, "its exchange stays as it is");
    static const struct client_queue_options whole = {.has_ttl = true, .has_dead_letter = true, .dead_letter_key = "k"};
    cr_assert_eq(hf_declare_as(hf, "q", &whole, false, 20000), 0);
}

Test(hf_clear, a_binding_leads_to_one_thing)
{
    node.script = answer_nothing;
    struct client_binding binding = {.source = "e", .queue = "q", .exchange = "x"};
    cr_assert_eq(hf_bind(hf, &binding, 20000), ERR_INVALID);
    cr_assert_eq(hf_unbind(hf, &binding, 20000), ERR_INVALID);
    binding.queue = binding.exchange = "";
    cr_assert_eq(hf_bind(hf, &binding, 20000), ERR_INVALID);
    cr_assert_eq(node.scripted, 0);
    binding.queue = "q";
    cr_assert_eq(hf_bind(hf, &binding, 20000), 0);
    binding.queue = NULL;
    binding.exchange = "x";
    cr_assert_eq(hf_bind(hf, &binding, 20000), 0);
}

/* ---- Settling up to a message ---- */

/* Delivers four messages. Settlements: what gathered; all up to 3, of which one had gone back; then again. When the first two
 * arrive at once this node sees the later one twice. */
static bool answer_up_to(struct hf_node *from, uint64_t number, const Holdfast__Command *command)
{
    if (command->kind_case == HOLDFAST__COMMAND__KIND_SUBSCRIBE) {
        hf_node_reply(from, number, 0, 0);
        for (uint64_t i = 1; i <= 4; i++) {
            hf_node_deliver(from, command->subscribe->consumer, i);
        }
        return true;
    }
    if (command->kind_case != HOLDFAST__COMMAND__KIND_SETTLE) {
        return false;
    }
    const Holdfast__Settle *settle = command->settle;
    int turn = from->scripted++;
    if (turn > 0 || settle->first[0] != 2) {
        CHECK(settle->n_first == 1 && settle->first[0] == 1 && settle->last[0] == 3);
        CHECK(settle->outcome == HOLDFAST__SETTLE__OUTCOME__RELEASE && !settle->all);
        CHECK(settle->has_delay == (turn < 2) && settle->delay_ms == (turn < 2 ? 70 : 0));
    }
    hf_node_reply(from, number, turn == 2 ? 0 : 1, turn == 0 ? 0 : 2);
    return true;
}

Test(hf_clear, all_up_to_a_message)
{
    node.script = answer_up_to;
    uint64_t consumer;
    struct hf_message taken[3];
    cr_assert_eq(hf_subscribe(hf, "q", 10, 20000, &consumer), 0);
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(hf_next(hf, 20000, &taken[i]), 0);
    }
    cr_assert_eq(hf_accept(hf, &taken[1]), 0);
    const struct client_settlement later = {.has_delay = true, .delay_ms = 70, .all = true};
    uint64_t settled = 9;
    cr_assert_eq(hf_settle_up_to(hf, &taken[2], CLIENT_RELEASE, &later, 20000, &settled), 0);
    cr_assert_eq(settled, 1u);
    cr_assert_eq(hf_settle_up_to(hf, &taken[2], CLIENT_RELEASE, NULL, 20000, &settled), ERR_STALE);
    cr_assert_eq(settled, 0u);
    cr_assert_eq(node.scripted, 3);
    cr_assert_eq(hf_flush(hf, 20000), 0, "what gathered was sent before, and was held");
    taken[2].number = 5;
    cr_assert_eq(hf_settle_up_to(hf, &taken[2], CLIENT_ACCEPT, NULL, 20000, NULL), ERR_INVALID, "never delivered");
}

/* ---- What cannot be meant is said ---- */

static void expect_words(int err, const char *words)
{
    cr_assert_eq(err, ERR_INVALID, "%s", words);
    cr_assert_not_null(strstr(hf_error_detail(hf), words), "%s", hf_error_detail(hf));
}

static void nothing(void *arg, const struct client_message *message)
{
    (void)arg;
    (void)message;
}

Test(hf_clear, words_for_what_is_not_sent)
{
    node.script = answer_nothing;
    uint64_t consumer;
    bool more;
    const struct hf_body body = {"body", 4};
    const struct client_header header = {.name = "array", .type = CLIENT_OTHER};
    const struct hf_outgoing odd = {.queue = "q", .properties = {.headers = &header, .headers_len = 1}, .body = body};
    expect_words(hf_subscribe(hf, "q", 0, 20000, &consumer), "from 1 to 65535");
    expect_words(hf_fetch(hf, "q", CREDIT_MAX + 1, true, 20000, NULL), "from 1 to 65535");
    expect_words(hf_publish(hf, "q", "p", 0, body, 20000), "number is 0");
    expect_words(hf_submit(hf, "q", "p", UINT64_MAX, &body, 1, 20000), "the highest");
    expect_words(hf_publish_message(hf, &odd, 20000, NULL), "header");
    expect_words(hf_browse(hf, "q", 0, 0, 20000, nothing, NULL, &more), "at most 0");
    expect_words(hf_redrive(hf, "dead", "dead", NULL, 0, 20000, NULL, NULL), "their deaths");
    cr_assert_eq(node.scripted, 0);
    cr_assert_eq(hf_redrive(hf, "dead", "q", NULL, 0, 20000, NULL, NULL), 0);
    cr_assert_eq(hf_redrive(hf, "dead", NULL, NULL, 0, 20000, NULL, NULL), 0);
    cr_assert_eq(hf_subscribe(hf, "q", 1, 20000, &consumer), 0);
    const struct hf_message never = {.consumer = consumer, .number = 9};
    expect_words(hf_settle_as(hf, &never, CLIENT_ACCEPT, NULL, 20000), "never made");
    expect_words(hf_extend(hf, &never, 0, 20000), "never made");
}

/* ---- By id ---- */

#define PILE 2500u /* More than a page. */

/* Message i of the pile has the id "i", but for each seventh, which has no properties, and each eleventh, whose are damaged. */
static int browse_pile(struct gateway *gateway, const char *virtual_host, const char *name, uint64_t position,
                       bool kept, void *arg, bool (*each)(void *arg, const struct gateway_browsed *message),
                       bool *ret_more)
{
    (void)gateway;
    (void)virtual_host;
    if (strcmp(name, "q") != 0) {
        return ERR_NOT_FOUND;
    }
    *ret_more = false;
    for (uint64_t i = position > 0 ? position : 1; i <= (kept ? 10 : PILE); i++) {
        char id[24];
        struct slice head = {.data = (const uint8_t *)"\xff\xff", .len = 2};
        struct client_properties properties = {.message_id = id};
        (void)snprintf(id, sizeof id, "%u", (unsigned)i);
        if (i % 11 != 0) {
            CHECK(client_properties_encode(&properties, &head) == 0);
        }
        struct gateway_browsed message = {.position = i, .state = "ready"};
        if (i % 7 != 0) {
            message.head = head;
            message.body = (struct slice){.data = head.data + head.len, .blob = head.blob}; /* Right behind it. */
        }
        message.body_hash = XXH3_64bits(message.head.data, message.head.len);
        bool goes_on = each(arg, &message);
        if (i % 11 != 0) {
            slice_unref(&head);
        }
        if (!goes_on) {
            *ret_more = i < PILE;
            return 0;
        }
    }
    return 0;
}

static void found_note(void *arg, const struct client_message *message)
{
    uint64_t *found = arg;
    cr_assert_eq(*found, 0u, "one is given");
    *found = message->position;
}

Test(hf_clear, a_message_is_found_by_its_id)
{
    static struct gateway_ops ops; /* The node goes on with it when the test has ended. */
    ops = *node.fake.base.ops;
    ops.browse = browse_pile;
    node.fake.base.ops = &ops;
    static const struct {
        const char *id;
        uint64_t from;
        bool kept;
        int err;
        uint64_t position;
    } cases[] = {
        {"1", 0, false, 0, 1},
        {"2399", 0, false, 0, 2399},
        {"2399", 2399, false, 0, 2399},
        {"9", 10, false, ERR_NOT_FOUND, 0},
        {"14", 0, false, ERR_NOT_FOUND, 0},
        {"22", 0, false, ERR_NOT_FOUND, 0},
        {"9", 0, true, 0, 9},
        {"12", 0, true, ERR_NOT_FOUND, 0},
        {"", 0, false, ERR_INVALID, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t found = 0;
        int err = hf_find(hf, "q", cases[i].id, cases[i].from, cases[i].kept, 20000, found_note, &found);
        cr_assert_eq(err, cases[i].err, "%zu", i);
        cr_assert_eq(found, cases[i].position, "%zu", i);
    }
    uint64_t found = 0;
    cr_assert_eq(hf_find(hf, "none", "1", 0, false, 20000, found_note, &found), ERR_NOT_FOUND);
}
