/* The notes of queues and exchanges that AMQP has declared. */

#include "rpc/amqp/amqp_note.h"

#include <criterion/criterion.h>

Test(amqp_note, every_one_comes_back)
{
    static const struct {
        bool durable;
        bool quorum;
        const char *text;
    } notes[] = {{false, false, "AMQP: transient"},
                 {true, false, "AMQP: durable"},
                 {false, true, "AMQP: transient, quorum"},
                 {true, true, "AMQP: durable, quorum"}};
    for (unsigned i = 0; i < 4; i++) {
        char text[AMQP_NOTE_LEN_MAX];
        amqp_note_write(notes[i].durable, notes[i].quorum, text);
        cr_assert_str_eq(text, notes[i].text);
        struct amqp_note note = amqp_note_read(text);
        cr_assert(note.known && note.durable == notes[i].durable && note.quorum == notes[i].quorum);
    }
}

Test(amqp_note, what_others_have_written_says_nothing)
{
    static const char *const texts[] = {"", "AMQP: ", "AMQP: durable ", "amqp: durable", "durable", "of an operator's"};
    for (unsigned i = 0; i < 6; i++) {
        struct amqp_note note = amqp_note_read(texts[i]);
        cr_assert_not(note.known || note.durable || note.quorum, "%s", texts[i]);
    }
}
