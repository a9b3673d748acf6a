/* Addresses as people write them, and which are this host's own. */

#include "rpc/address.h"

#include <criterion/criterion.h>

Test(address, is_a_host_and_a_port)
{
    struct address address;
    cr_assert_eq(address_parse("node-1.example:5672", &address), 0);
    cr_assert_str_eq(address.host, "node-1.example");
    cr_assert_str_eq(address.port, "5672");
    cr_assert_eq(address.port_number, 5672);
    cr_assert_eq(address_parse("[::1]:0", &address), 0);
    cr_assert_str_eq(address.host, "::1");
    cr_assert_eq(address.port_number, 0);
    static const char *const none[] = {"", ":", "host", "host:", ":1", "host:65536", "host:1x", "::1:5672", "a b:1"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        cr_assert_eq(address_parse(none[i], &address), ERR_INVALID, "%s", none[i]);
    }
}

Test(address, of_this_host_to_itself)
{
    cr_assert(address_is_loopback("127.0.0.1:5672"));
    cr_assert(address_is_loopback("127.1.2.3:1"));
    cr_assert(address_is_loopback("[::1]:40000"));
    cr_assert(address_is_loopback("[::ffff:127.0.0.1]:40000"));
    static const char *const others[] = {"128.0.0.1:5672", "10.127.0.1:1",        "[::2]:1",
                                         "[::1:2]:1",      "[::ffff:10.0.0.1]:1", ""};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        cr_assert_not(address_is_loopback(others[i]), "%s", others[i]);
    }
}
