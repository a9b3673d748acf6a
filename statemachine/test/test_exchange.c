/* Exchanges and bindings: declaring, deleting, binding, and what goes with what. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "exchange_fixture.h"
#include "statemachine/exchange/binding.h"
#include "statemachine/machine_exchanges.h"
#include "statemachine/state.h"

static struct world w;

static void setup(void)
{
    world_init(&w);
}

static void teardown(void)
{
    world_done(&w);
}

TestSuite(exchange, .init = setup, .fini = teardown);

static Holdfast__DeclareExchange declare_of(const char *name)
{
    Holdfast__DeclareExchange declare = HOLDFAST__DECLARE_EXCHANGE__INIT;
    declare.exchange = (char *)(uintptr_t)name;
    return declare;
}

Test(exchange, declared_twice_is_one)
{
    Holdfast__DeclareExchange declare = declare_of("x");
    declare.type = HOLDFAST__DECLARE_EXCHANGE__TYPE__TOPIC;
    declare.has_alternate = true;
    declare.alternate = (char[]){"other"};
    cr_assert_eq(world_declare_as(&w, &declare), 0u);
    cr_assert_eq(world_declare_as(&w, &declare), 0u);
    cr_assert_eq(world_exchanges(&w), 1u);
    declare.note = (char[]){"a note"};
    declare.protected_ = true;
    cr_assert_eq(world_declare_as(&w, &declare), 0u, "these are not compared");
    cr_assert_not(world_exchange(&w, "x")->properties.is_protected, "nor changed");
    world_reopen(&w);
    cr_assert_eq(world_declare_as(&w, &declare), 0u);
    cr_assert_eq(world_exchanges(&w), 1u);
}

Test(exchange, with_other_properties_it_is_there_already)
{
    Holdfast__DeclareExchange declare = declare_of("x");
    declare.has_alternate = true;
    declare.alternate = (char[]){"y"};
    cr_assert_eq(world_declare_as(&w, &declare), 0u);
    Holdfast__DeclareExchange others[6] = {declare, declare, declare, declare, declare, declare};
    others[0].type = HOLDFAST__DECLARE_EXCHANGE__TYPE__FANOUT;
    others[1].auto_delete = true;
    others[2].internal = true;
    others[3].has_alternate = false;
    others[4].alternate = (char[]){"z"};
    others[5].delayed = true;
    for (size_t i = 0; i < 6; i++) {
        cr_assert_eq(world_declare_as(&w, &others[i]), E(EXISTS), "%zu", i);
        others[i].passive = true;
        cr_assert_eq(world_declare_as(&w, &others[i]), 0u, "nothing is compared");
    }
    cr_assert_eq(world_exchanges(&w), 1u);
}

Test(exchange, what_is_not_declared)
{
    char note[NAME_LEN_MAX + 2];
    cr_assert_eq(world_declare(&w, "", EXCHANGE_DIRECT), E(REFUSED));
    cr_assert_eq(world_declare(&w, "a\nb", EXCHANGE_DIRECT), E(NAME));
    cr_assert_eq(world_declare(&w, "amq.mine", EXCHANGE_DIRECT), E(REFUSED));
    cr_assert_eq(world_declare(&w, "x", (enum exchange_type)4), E(INVALID));
    cr_assert_eq(world_declare(&w, "x", (enum exchange_type) - 1), E(INVALID));
    Holdfast__DeclareExchange declare = declare_of("x");
    declare.note = memset(note, 'n', sizeof note);
    note[NAME_LEN_MAX + 1] = 0;
    cr_assert_eq(world_declare_as(&w, &declare), E(INVALID));
    note[NAME_LEN_MAX] = 0;
    declare.has_alternate = true;
    declare.alternate = (char[]){"\x01"};
    cr_assert_eq(world_declare_as(&w, &declare), E(NAME));
    cr_assert_eq(world_exchanges(&w), 0u);
    declare.alternate = (char[]){""};
    cr_assert_eq(world_declare_as(&w, &declare), 0u);
    world_reopen(&w);
    cr_assert_eq(world_exchange(&w, "x")->properties.note.len, NAME_LEN_MAX);
}

Test(exchange, passive_never_makes_it)
{
    Holdfast__DeclareExchange declare = declare_of("x");
    declare.passive = true;
    cr_assert_eq(world_declare_as(&w, &declare), E(NOT_FOUND));
    declare.exchange = (char[]){"amq.none"};
    cr_assert_eq(world_declare_as(&w, &declare), E(NOT_FOUND));
    declare.exchange = (char[]){"amq.match"};
    cr_assert_eq(world_declare_as(&w, &declare), 0u);
    declare.exchange = (char[]){""};
    cr_assert_eq(world_declare_as(&w, &declare), 0u);
    cr_assert_eq(world_exchanges(&w), 0u);
}

Test(exchange, some_are_always_there)
{
    cr_assert_eq(world_declare(&w, "amq.topic", EXCHANGE_TOPIC), 0u);
    cr_assert_eq(world_declare(&w, "amq.topic", EXCHANGE_FANOUT), E(EXISTS));
    cr_assert_eq(world_delete(&w, "amq.topic", false, false), E(REFUSED));
    cr_assert_eq(world_delete(&w, "", false, false), E(REFUSED));
    cr_assert_eq(world_queue(&w, "q"), 0u);
    cr_assert_eq(world_bind(&w, "amq.topic", "q", "a.*", NULL), 1);
    world_reopen(&w);
    cr_assert_str_eq(world_route(&w, "amq.topic", "a.b"), "q ");
    cr_assert_str_eq(world_route(&w, "", "q"), "q ");
    cr_assert_str_eq(world_route(&w, "", "none"), "");
}

Test(exchange, the_default_one_is_not_bound)
{
    cr_assert_eq(world_queue(&w, "q"), 0u);
    cr_assert_eq(world_declare(&w, "x", EXCHANGE_FANOUT), 0u);
    cr_assert_eq(world_bind(&w, "", "q", "k", NULL), ERR_REFUSED);
    cr_assert_eq(world_bind(&w, "x", ">", "k", NULL), ERR_REFUSED);
    cr_assert_eq(world_unbind(&w, "", "q", "q", NULL), ERR_REFUSED);
    cr_assert_eq(world_bindings(&w), 0u);
}

Test(exchange, bound_twice_is_one_binding)
{
    struct pairs one = {0}, other = {0};
    pairs_add(&one, "a", value_int(1));
    pairs_add(&one, "b", value_int(2));
    pairs_add(&other, "b", value_int(2));
    pairs_add(&other, "a", value_int8(1));
    cr_assert_eq(world_queue(&w, "q"), 0u);
    cr_assert_eq(world_queue(&w, "r"), 0u);
    cr_assert_eq(world_declare(&w, "x", EXCHANGE_DIRECT), 0u);
    cr_assert_eq(world_bind(&w, "x", "q", "k", NULL), 1);
    cr_assert_eq(world_bind(&w, "x", "q", "k", NULL), 0);
    cr_assert_eq(world_bind(&w, "x", "r", "k", NULL), 1);
    cr_assert_eq(world_bind(&w, "x", "q", "l", NULL), 1);
    cr_assert_eq(world_bind(&w, "x", "q", "k", &one), 1, "arguments make another one");
    cr_assert_eq(world_bind(&w, "x", "q", "k", &other), 0, "but not their order");
    world_reopen(&w);
    cr_assert_eq(world_bind(&w, "x", "q", "k", &other), 0);
    cr_assert_eq(world_bindings(&w), 4u);
    cr_assert_eq(world_unbind(&w, "x", "q", "k", NULL), 1);
    cr_assert_eq(world_unbind(&w, "x", "q", "k", NULL), 0);
    cr_assert_str_eq(world_route(&w, "x", "k"), "q r ", "the one with arguments is there");
    cr_assert_eq(world_unbind(&w, "x", "q", "k", &other), 1);
    cr_assert_str_eq(world_route(&w, "x", "k"), "r ");
    world_reopen(&w);
    cr_assert_str_eq(world_route(&w, "x", "k"), "r ");
    cr_assert_eq(world_bindings(&w), 2u);
}

Test(exchange, what_is_not_bound)
{
    struct pairs bad = {0}, mode = {0};
    char key[NAME_LEN_MAX + 2];
    memset(key, 'k', sizeof key);
    key[NAME_LEN_MAX + 1] = 0;
    Holdfast__Value none = HOLDFAST__VALUE__INIT;
    pairs_add(&bad, "a", none);
    pairs_add(&mode, "x-match", value_string("some"));
    cr_assert_eq(world_queue(&w, "q"), 0u);
    cr_assert_eq(world_declare(&w, "x", EXCHANGE_DIRECT), 0u);
    cr_assert_eq(world_bind(&w, "none", "q", "k", NULL), ERR_NOT_FOUND);
    cr_assert_eq(world_bind(&w, "x", "none", "k", NULL), ERR_NOT_FOUND);
    cr_assert_eq(world_bind(&w, "x", ">none", "k", NULL), ERR_NOT_FOUND);
    cr_assert_eq(world_bind(&w, "x", "q", key, NULL), ERR_INVALID);
    cr_assert_eq(world_bind(&w, "x", "q", "\xff", NULL), ERR_INVALID);
    cr_assert_eq(world_bind(&w, "x", "q", "k", &bad), ERR_INVALID);
    cr_assert_eq(world_bind(&w, "amq.headers", "q", "", &mode), ERR_INVALID);
    cr_assert_eq(world_bindings(&w), 0u);
    cr_assert_eq(world_bind(&w, "x", "q", "k", &mode), 1, "only exchanges of headers know it");
    key[NAME_LEN_MAX] = 0;
    cr_assert_eq(world_bind(&w, "x", "q", key, NULL), 1);
    world_reopen(&w);
    cr_assert_str_eq(world_route(&w, "x", key), "q ");
}

Test(exchange, an_exclusive_queue_is_bound_by_its_session_alone)
{
    cr_assert_eq(world_queue(&w, "q"), 0u);
    cr_assert_eq(world_bind(&w, "amq.fanout", "q", "", NULL), 1);
    struct queue *queue = queue_by_name(w.fixture.machine, VIRTUAL_HOST_ROOT, "q");
    queue->options.exclusive = true;
    queue->owner = w.client.session;
    cr_assert_eq(world_bind(&w, "amq.direct", "q", "", NULL), 1);
    queue->owner = w.client.session + 1;
    cr_assert_eq(world_bind(&w, "amq.topic", "q", "", NULL), ERR_EXCLUSIVE);
    cr_assert_eq(world_unbind(&w, "amq.fanout", "q", "", NULL), ERR_EXCLUSIVE);
    cr_assert_eq(world_bindings(&w), 2u);
    queue->owner = 0;
    queue->options.exclusive = false;
}

Test(exchange, bindings_go_with_their_ends)
{
    cr_assert_eq(world_queue(&w, "q"), 0u);
    cr_assert_eq(world_queue(&w, "r"), 0u);
    cr_assert_eq(world_declare(&w, "x", EXCHANGE_FANOUT), 0u);
    cr_assert_eq(world_declare(&w, "y", EXCHANGE_FANOUT), 0u);
    cr_assert_eq(world_bind(&w, "x", "q", "", NULL) + world_bind(&w, "x", "r", "", NULL), 2);
    cr_assert_eq(world_bind(&w, "x", ">y", "", NULL) + world_bind(&w, "y", ">x", "", NULL), 2);
    cr_assert_eq(world_bind(&w, "y", "q", "", NULL) + world_bind(&w, "amq.topic", "q", "#", NULL), 2);
    world_reopen(&w);
    cr_assert_eq(world_delete_queue(&w, "q"), 0u);
    cr_assert_eq(world_bindings(&w), 3u);
    cr_assert_str_eq(world_route(&w, "y", ""), "r ");
    cr_assert_eq(world_queue(&w, "q"), 0u);
    cr_assert_str_eq(world_route(&w, "y", ""), "r ", "a new one of that name is another one");
    cr_assert_eq(world_delete(&w, "x", true, false), E(REFUSED));
    cr_assert_eq(world_delete(&w, "x", false, false), 0u);
    cr_assert_eq(world_bindings(&w), 0u);
    cr_assert_eq(world_delete(&w, "x", false, false), E(NOT_FOUND));
    cr_assert_eq(world_delete(&w, "x", false, true), 0u);
    cr_assert_eq(world_delete(&w, "y", true, false), 0u);
    world_reopen(&w);
    cr_assert_eq(world_exchanges(&w) + world_bindings(&w), 0u);
}

static void declare_auto_delete(const char *name)
{
    Holdfast__DeclareExchange declare = declare_of(name);
    declare.auto_delete = true;
    declare.type = HOLDFAST__DECLARE_EXCHANGE__TYPE__FANOUT;
    cr_assert_eq(world_declare_as(&w, &declare), 0u);
}

Test(exchange, auto_delete_goes_with_its_last_binding)
{
    declare_auto_delete("x");
    cr_assert_eq(world_queue(&w, "q"), 0u);
    cr_assert_eq(world_queue(&w, "r"), 0u);
    cr_assert_eq(world_declare(&w, "y", EXCHANGE_FANOUT), 0u);
    cr_assert_eq(world_bind(&w, "y", ">x", "", NULL), 1);
    cr_assert_eq(world_unbind(&w, "y", ">x", "", NULL), 1);
    cr_assert_not_null(world_exchange(&w, "x"), "not with one that leads to it");
    cr_assert_eq(world_bind(&w, "x", "q", "", NULL) + world_bind(&w, "x", "r", "", NULL), 2);
    world_reopen(&w);
    cr_assert_eq(world_unbind(&w, "x", "q", "", NULL), 1);
    cr_assert_not_null(world_exchange(&w, "x"));
    cr_assert_eq(world_delete_queue(&w, "r"), 0u);
    cr_assert_null(world_exchange(&w, "x"));
    cr_assert_not_null(world_exchange(&w, "y"));
    world_reopen(&w);
    cr_assert_null(world_exchange(&w, "x"));
    cr_assert_eq(world_exchanges(&w), 1u);
}

Test(exchange, auto_delete_goes_on_from_one_to_the_next)
{
    cr_assert_eq(world_queue(&w, "q"), 0u);
    cr_assert_eq(world_declare(&w, "keeps", EXCHANGE_FANOUT), 0u);
    const char *names[] = {"a", "b", "c"};
    for (size_t i = 0; i < 3; i++) {
        declare_auto_delete(names[i]);
    }
    cr_assert_eq(world_bind(&w, "a", ">b", "", NULL) + world_bind(&w, "b", ">c", "", NULL), 2);
    cr_assert_eq(world_bind(&w, "c", "q", "", NULL) + world_bind(&w, "keeps", ">a", "", NULL), 2);
    cr_assert_eq(world_bind(&w, "a", ">a", "", NULL), 1, "to itself");
    cr_assert_eq(world_unbind(&w, "a", ">a", "", NULL), 1);
    cr_assert_eq(world_delete_queue(&w, "q"), 0u);
    cr_assert_eq(world_exchanges(&w), 1u);
    cr_assert_eq(world_bindings(&w), 0u);
    world_reopen(&w);
    cr_assert_not_null(world_exchange(&w, "keeps"));
}

Test(exchange, an_auto_delete_one_is_deleted_with_its_bindings)
{
    cr_assert_eq(world_queue(&w, "q"), 0u);
    declare_auto_delete("a");
    declare_auto_delete("b");
    cr_assert_eq(world_bind(&w, "a", "q", "", NULL) + world_bind(&w, "a", ">b", "", NULL), 2);
    cr_assert_eq(world_bind(&w, "b", ">a", "", NULL) + world_bind(&w, "a", ">a", "", NULL), 2);
    cr_assert_eq(world_delete(&w, "a", false, false), 0u);
    cr_assert_eq(world_exchanges(&w), 0u, "and with it the other one");
    declare_auto_delete("a");
    cr_assert_eq(world_bind(&w, "a", "q", "", NULL) + world_bind(&w, "a", ">amq.fanout", "", NULL), 2);
    bool done;
    cr_assert_eq(exchanges_virtual_host_gone(w.fixture.machine, VIRTUAL_HOST_ROOT, &done), 0);
    cr_assert(done);
    cr_assert_eq(world_exchanges(&w) + world_bindings(&w), 0u);
    world_reopen(&w);
    cr_assert_eq(world_exchanges(&w) + world_bindings(&w), 0u);
}

Test(exchange, a_protected_one_is_not_deleted)
{
    Holdfast__DeclareExchange declare = declare_of("x");
    declare.protected_ = true;
    cr_assert_eq(world_declare_as(&w, &declare), 0u);
    world_reopen(&w);
    cr_assert_eq(world_delete(&w, "x", false, false), E(REFUSED));
}

Test(exchange, there_are_limits)
{
    struct exchanges *exchanges = &w.fixture.machine->exchanges;
    cr_assert_eq(world_queue(&w, "q"), 0u);
    cr_assert_eq(world_declare(&w, "x", EXCHANGE_FANOUT), 0u);
    cr_assert_eq(world_bind(&w, "x", "q", "", NULL), 1);
    exchanges->exchanges_len += EXCHANGES_MAX - 1;
    cr_assert_eq(world_declare(&w, "y", EXCHANGE_FANOUT), E(LIMIT));
    cr_assert_eq(world_declare(&w, "x", EXCHANGE_FANOUT), 0u);
    exchanges->exchanges_len -= EXCHANGES_MAX - 1;
    exchanges->bindings_len += BINDINGS_MAX - 1;
    cr_assert_eq(world_bind(&w, "x", "q", "k", NULL), ERR_LIMIT);
    cr_assert_eq(world_bind(&w, "x", "q", "", NULL), 0);
    exchanges->bindings_len -= BINDINGS_MAX - 1;
}

Test(exchange, virtual_hosts_have_their_own)
{
    struct machine *machine = w.fixture.machine;
    struct exchange *exchange;
    struct exchange_properties properties = {.type = EXCHANGE_TOPIC};
    cr_assert_eq(exchange_new(machine, 7, "x", 1, &properties, &exchange), 0);
    cr_assert_null(world_exchange(&w, "x"));
    cr_assert_eq(world_declare(&w, "x", EXCHANGE_FANOUT), 0u);
    cr_assert_eq(world_queue(&w, "q"), 0u);
    cr_assert_eq(world_bind(&w, "x", "q", "", NULL), 1);
    struct exchange *to;
    cr_assert_eq(exchange_find(machine, 7, "amq.fanout", 10, &to), 0);
    struct binding_ends ends = {.source = exchange, .to_exchange = to};
    struct binding *binding;
    cr_assert_eq(binding_find(machine, &ends, &binding), 0);
    cr_assert_null(binding);
    cr_assert_eq(binding_new(machine, &ends), 0);
    cr_assert_eq(exchanges_len_of_host(machine, 7), 1u);
    cr_assert_eq(bindings_len_of_host(machine, 7), 1u);
    world_reopen(&w);
    machine = w.fixture.machine;
    cr_assert_eq(exchanges_len_of_host(machine, 7), 1u);
    bool done;
    cr_assert_eq(exchanges_virtual_host_gone(machine, 7, &done), 0);
    cr_assert(done);
    cr_assert_eq(exchanges_virtual_host_gone(machine, 8, &done), 0);
    cr_assert(done);
    cr_assert_eq(exchanges_len_of_host(machine, 7) + bindings_len_of_host(machine, 7), 0u);
    cr_assert_eq(exchange_find(machine, 7, "x", 1, &exchange), ERR_NOT_FOUND);
    world_reopen(&w);
    cr_assert_str_eq(world_route(&w, "x", ""), "q ");
    cr_assert_eq(world_exchanges(&w), 1u);
    cr_assert_eq(world_bindings(&w), 1u);
}

Test(exchange, the_digest_of_memory_shows_a_flipped_bit)
{
    cr_assert_eq(world_queue(&w, "q"), 0u);
    cr_assert_eq(world_declare(&w, "x", EXCHANGE_TOPIC), 0u);
    cr_assert_eq(world_bind(&w, "x", "q", "abc", NULL), 1);
    uint64_t digest = world_memory_digest(&w);
    struct exchange *exchange = world_exchange(&w, "x");
    struct binding *binding = container_of(list_first(&exchange->bindings), struct binding, from);
    exchange->properties.internal = true;
    cr_assert_neq(world_memory_digest(&w), digest);
    exchange->properties.internal = false;
    cr_assert_eq(world_memory_digest(&w), digest);
    binding->fields[binding->fields_len - 1] ^= 1;
    cr_assert_neq(world_memory_digest(&w), digest);
    binding->fields[binding->fields_len - 1] ^= 1;
}

/* ---- Listing ---- */

static int list_exchange(void *arg, const struct machine_exchange *exchange)
{
    strcat(strcat(arg, exchange->name), " ");
    return strcmp(exchange->name, "y") == 0 ? 7 : 0;
}

static int list_binding(void *arg, const struct machine_binding *binding)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%s-%.*s-%s%s ", binding->source, (int)binding->key.len,
                   (const char *)binding->key.data, binding->to_exchange ? ">" : "", binding->to);
    strcat(arg, text);
    struct arena arena;
    Holdfast__Header *const *arguments;
    size_t len;
    arena_init(&arena, 4096);
    cr_assert_eq(machine_binding_arguments(binding, &arena, &arguments, &len), 0);
    for (size_t i = 0; i < len; i++) {
        strcat(strcat(arg, arguments[i]->name), " ");
    }
    arena_done(&arena);
    return 0;
}

Test(exchange, listed_in_order)
{
    char text[512] = "";
    struct pairs arguments = {0};
    struct machine_exchange one;
    pairs_add(&arguments, "b", value_int(2));
    pairs_add(&arguments, "a", value_int(1));
    cr_assert_eq(world_queue(&w, "q"), 0u);
    cr_assert_eq(world_declare(&w, "z", EXCHANGE_FANOUT), 0u);
    cr_assert_eq(world_declare(&w, "y", EXCHANGE_FANOUT), 0u);
    cr_assert_eq(world_declare(&w, "b", EXCHANGE_FANOUT), 0u);
    struct machine *machine = w.fixture.machine;
    cr_assert_eq(machine_exchanges(machine, VIRTUAL_HOST_ROOT, NULL, list_exchange, text), 7);
    cr_assert_str_eq(text, " amq.direct amq.fanout amq.headers amq.match amq.topic b y ");
    text[0] = 0;
    cr_assert_eq(machine_exchanges(machine, VIRTUAL_HOST_ROOT, "b", list_exchange, text), 7);
    cr_assert_str_eq(text, "y ");
    text[0] = 0;
    cr_assert_eq(machine_exchanges(machine, VIRTUAL_HOST_ROOT, "y", list_exchange, text), 0);
    cr_assert_str_eq(text, "z ");
    cr_assert_eq(machine_exchange(machine, VIRTUAL_HOST_ROOT, "none", &one), ERR_NOT_FOUND);
    cr_assert_eq(world_bind(&w, "z", "q", "2", NULL) + world_bind(&w, "b", ">y", "1", &arguments), 2);
    cr_assert_eq(world_bind(&w, "z", ">y", "0", NULL), 1);
    world_reopen(&w);
    machine = w.fixture.machine;
    cr_assert_eq(machine_exchange(machine, VIRTUAL_HOST_ROOT, "z", &one), 0);
    cr_assert_eq(one.bindings, 2u);
    text[0] = 0;
    cr_assert_eq(machine_bindings(machine, VIRTUAL_HOST_ROOT, 0, list_binding, text), 0);
    cr_assert_str_eq(text, "z-2-q b-1->y a b z-0->y ");
    text[0] = 0;
    cr_assert_eq(machine_bindings(machine, VIRTUAL_HOST_ROOT, 2, list_binding, text), 0);
    cr_assert_str_eq(text, "z-0->y ");
    text[0] = 0;
    cr_assert_eq(machine_bindings_from(machine, VIRTUAL_HOST_ROOT, "z", 1, list_binding, text), 0);
    cr_assert_str_eq(text, "z-0->y ");
    text[0] = 0;
    cr_assert_eq(machine_bindings_to(machine, VIRTUAL_HOST_ROOT, "q", false, list_binding, text), 0);
    cr_assert_str_eq(text, "z-2-q ");
    cr_assert_eq(machine_bindings_to(machine, VIRTUAL_HOST_ROOT, "q", true, list_binding, text), ERR_NOT_FOUND);
    cr_assert_eq(machine_bindings_to(machine, VIRTUAL_HOST_ROOT, "y", false, list_binding, text), ERR_NOT_FOUND);
    text[0] = 0;
    cr_assert_eq(machine_bindings(machine, 9, 0, list_binding, text), 0);
    cr_assert_str_eq(text, "");
}

/* ---- Changing ---- */

static uint32_t change(const char *name, const bool *is_protected, const char *note)
{
    Holdfast__ChangeExchange change = HOLDFAST__CHANGE_EXCHANGE__INIT;
    change.exchange = (char *)(uintptr_t)name;
    change.has_protected = is_protected != NULL;
    change.protected_ = is_protected != NULL && *is_protected;
    change.has_note = note != NULL;
    change.note = (char *)(uintptr_t)(note != NULL ? note : "");
    Holdfast__Command command = HOLDFAST__COMMAND__INIT;
    command.kind_case = HOLDFAST__COMMAND__KIND_CHANGE_EXCHANGE;
    command.change_exchange = &change;
    return client_command(&w.fixture, &w.client, &command, NULL, 0).error;
}

static void expect_changed(bool is_protected, const char *note)
{
    const struct exchange_properties *properties = &world_exchange(&w, "x")->properties;
    cr_assert_eq(properties->is_protected, is_protected);
    cr_assert_eq(properties->note.len, strlen(note));
    cr_assert(memcmp(properties->note.data, note, strlen(note)) == 0);
    cr_assert_eq(properties->type, EXCHANGE_TOPIC, "the rest stays");
}

Test(exchange, protection_and_note_are_changed)
{
    static const bool on = true;
    static const bool off = false;
    Holdfast__DeclareExchange declare = declare_of("x");
    declare.type = HOLDFAST__DECLARE_EXCHANGE__TYPE__TOPIC;
    declare.note = (char[]){"first"};
    cr_assert_eq(world_declare_as(&w, &declare), 0u);
    world_queue(&w, "q");
    cr_assert_eq(world_bind(&w, "x", "q", "#", NULL), 1);
    cr_assert_eq(change("x", &on, NULL), 0u);
    expect_changed(true, "first");
    cr_assert_eq(world_delete(&w, "x", false, false), E(REFUSED), "it is protected");
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(change("x", NULL, "a longer note"), 0u);
        expect_changed(true, "a longer note");
        world_reopen(&w);
        expect_changed(true, "a longer note");
    }
    cr_assert_eq(change("x", NULL, ""), 0u);
    expect_changed(true, "");
    cr_assert_eq(change("x", NULL, NULL), 0u, "nothing is to be changed");
    expect_changed(true, "");
    cr_assert_str_eq(world_route(&w, "x", "any.key"), "q ");
    cr_assert_eq(change("x", &off, "gone soon"), 0u);
    cr_assert_eq(world_delete(&w, "x", false, false), 0u);
    cr_assert_eq(world_exchanges(&w), 0u);
}

Test(exchange, what_is_not_changed)
{
    static const bool on = true;
    char note[NAME_LEN_MAX + 2];
    memset(note, 'n', sizeof note);
    note[NAME_LEN_MAX + 1] = 0;
    cr_assert_eq(world_declare(&w, "x", EXCHANGE_TOPIC), 0u);
    uint64_t digest = world_memory_digest(&w);
    cr_assert_eq(change("none", &on, NULL), E(NOT_FOUND));
    cr_assert_eq(change("", &on, NULL), E(REFUSED));
    cr_assert_eq(change("amq.topic", &on, NULL), E(REFUSED));
    cr_assert_eq(change("x", &on, note), E(INVALID));
    cr_assert_eq(change("x", &on, "\xff"), E(INVALID));
    expect_changed(false, "");
    w.fixture.machine->version = 1;
    cr_assert_eq(change("x", &on, NULL), E(INVALID), "version 1 does not know it");
    w.fixture.machine->version = 2;
    expect_changed(false, "");
    note[NAME_LEN_MAX] = 0;
    cr_assert_eq(change("x", NULL, note), 0u);
    cr_assert_neq(world_memory_digest(&w), digest);
}

/* ---- Listing ---- */

struct listed {
    unsigned count;
    unsigned stop_at; /* 0: never. */
    uint64_t ids[8];
};

static int on_binding(void *arg, const struct machine_binding *binding)
{
    struct listed *listed = arg;
    listed->ids[listed->count++] = binding->id;
    return listed->count == listed->stop_at;
}

static void expect_listed(const char *from, uint64_t after, unsigned count, const uint64_t *ids)
{
    struct listed listed = {0};
    cr_assert_eq(from == NULL ? machine_bindings(w.fixture.machine, 1, after, on_binding, &listed)
                              : machine_bindings_from(w.fixture.machine, 1, from, after, on_binding, &listed),
                 0);
    cr_assert_eq(listed.count, count, "%u", listed.count);
    cr_assert_arr_eq(listed.ids, ids, count * sizeof *ids);
}

Test(exchange, bindings_are_listed_from_any_of_them_on)
{
    world_queue(&w, "q");
    cr_assert_eq(world_declare(&w, "x", EXCHANGE_DIRECT), 0u);
    cr_assert_eq(world_declare(&w, "y", EXCHANGE_DIRECT), 0u);
    const char *const sources[] = {"x", "y", "x", "y", "x"};
    char key[2] = "a";
    for (size_t i = 0; i < 5; i++, key[0]++) {
        cr_assert_eq(world_bind(&w, sources[i], "q", key, NULL), 1);
    }
    struct listed all = {0};
    cr_assert_eq(machine_bindings(w.fixture.machine, 1, 0, on_binding, &all), 0);
    cr_assert_eq(all.count, 5u);
    const uint64_t *ids = all.ids;
    for (int i = 0; i < 2; i++) {
        expect_listed(NULL, 0, 5, ids);
        expect_listed(NULL, ids[0], 4, ids + 1);
        expect_listed(NULL, ids[4], 0, ids);
        expect_listed("x", 0, 3, (const uint64_t[]){ids[0], ids[2], ids[4]});
        expect_listed("x", ids[0], 2, (const uint64_t[]){ids[2], ids[4]});
        expect_listed("x", ids[1], 2, (const uint64_t[]){ids[2], ids[4]});
        expect_listed("y", ids[1], 1, ids + 3);
        world_reopen(&w);
    }
    cr_assert_eq(world_unbind(&w, "x", "q", "c", NULL), 1);
    expect_listed(NULL, ids[2], 2, ids + 3);
    expect_listed("x", ids[2], 1, ids + 4);
    struct listed two = {.stop_at = 2};
    cr_assert_eq(machine_bindings(w.fixture.machine, 1, ids[0], on_binding, &two), 1);
    cr_assert(two.count == 2 && two.ids[0] == ids[1] && two.ids[1] == ids[3]);
    struct listed none = {0};
    cr_assert_eq(machine_bindings(w.fixture.machine, 77, ids[0], on_binding, &none), 0);
    cr_assert_eq(none.count, 0u, "another virtual host");
    cr_assert_eq(machine_bindings_from(w.fixture.machine, 1, "none", 0, on_binding, &none), ERR_NOT_FOUND);
}
