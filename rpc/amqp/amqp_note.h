/* The note of a queue or exchange that was declared by AMQP: what its client said of it that makes no difference here.
 *
 * Everything is durable and replicated. But a declaration of what is there with another `durable` is an error in RabbitMQ, and messages
 * of its quorum queues carry a count of deliveries that those of classic ones do not. The machine keeps notes and does not compare
 * them; an operator may write another one: then nothing is known. */

#ifndef HOLDFAST_RPC_AMQP_AMQP_NOTE_H
#define HOLDFAST_RPC_AMQP_AMQP_NOTE_H

#include <stdbool.h>

#define AMQP_NOTE_LEN_MAX 32u

struct amqp_note {
    bool known; /* It is such a note. */
    bool durable;
    bool quorum;
};

/* As "AMQP: durable, quorum". */
void amqp_note_write(bool durable, bool quorum, char ret_text[AMQP_NOTE_LEN_MAX]);
struct amqp_note amqp_note_read(const char *text);

#endif
