/* What a command's header says. */

#include "statemachine/command/decode.h"

#include "proto/wire/strings.h"
#include "statemachine/version_one.h"

/* protobuf-c says NULL for a malformed header and for want of memory alike. The first must give the same reply on every
 * node, and a header that unpacks to more than the arena's bound counts as malformed; the second must end the process.
 */
struct decoder {
    ProtobufCAllocator protobuf;
    struct arena *arena;
    bool starved;
};

static void *decoder_alloc(void *data, size_t len)
{
    struct decoder *decoder = data;
    void *pointer = arena_alloc(decoder->arena, len);
    if (pointer == NULL && len + 16 <= decoder->arena->used_max - decoder->arena->used) {
        decoder->starved = true;
    }
    return pointer;
}

static void decoder_free(void *data, void *pointer)
{
    (void)data;
    (void)pointer;
}

int command_decode(struct machine *machine, struct slice header, Holdfast__Command **ret_command)
{
    struct decoder decoder = {
        .protobuf = {.alloc = decoder_alloc, .free = decoder_free},
        .arena = &machine->arena,
    };
    decoder.protobuf.allocator_data = &decoder;
    arena_reset(&machine->arena);
    if (machine->version == 1) {
        int err = version_one_header(&machine->arena, header, &header);
        if (err != 0) {
            return err;
        }
    }
    /* A string with a zero byte in it would be cut short by the decoder, and name another queue; and what is nested too deep would
     * take more stack than there is. */
    if (!message_strings_are_whole(&holdfast__command__descriptor, header.data, header.len)) {
        *ret_command = NULL;
        return 0;
    }
    Holdfast__Command *command = holdfast__command__unpack(&decoder.protobuf, header.len, header.data);
    if (command == NULL && decoder.starved) {
        return ERR_NOMEM;
    }
    *ret_command = command;
    return 0;
}
