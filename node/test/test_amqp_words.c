/* The words by which AMQP's session tells apart what the machine refuses are the machine's. */

#include <criterion/criterion.h>

#include "rpc/amqp/amqp_refusal.h"
#include "statemachine/reply.h"

Test(amqp_words, are_those_of_the_machine)
{
    cr_assert_str_eq(AMQP_SAID_EXCLUSIVE_USE, detail_text(DETAIL_CONSUMER_EXCLUSIVE));
    cr_assert_str_eq(AMQP_SAID_ACTIVE_CONSUMER, detail_text(DETAIL_CONSUMER_ACTIVE));
    cr_assert_str_eq(AMQP_SAID_BEHIND, detail_text(DETAIL_BEHIND_FAILED));
    cr_assert_str_eq(AMQP_SAID_READY_MESSAGES, detail_text(DETAIL_READY_MESSAGES));
}
