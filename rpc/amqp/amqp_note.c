/* Notes of queues and exchanges. */

#include "rpc/amqp/amqp_note.h"

#include <stdio.h>
#include <string.h>

void amqp_note_write(bool durable, bool quorum, char ret_text[AMQP_NOTE_LEN_MAX])
{
    (void)snprintf(ret_text, AMQP_NOTE_LEN_MAX, "AMQP: %s%s", durable ? "durable" : "transient",
                   quorum ? ", quorum" : "");
}

struct amqp_note amqp_note_read(const char *text)
{
    for (unsigned i = 0; i < 4; i++) {
        const struct amqp_note note = {.known = true, .durable = (i & 1) != 0, .quorum = (i & 2) != 0};
        char like[AMQP_NOTE_LEN_MAX];
        amqp_note_write(note.durable, note.quorum, like);
        if (strcmp(text, like) == 0) {
            return note;
        }
    }
    return (struct amqp_note){.known = false};
}
