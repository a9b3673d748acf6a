/* Writes the seed corpus of the fuzzer of frames between gateways, from the encoders that nodes use.
 *
 * Usage: fuzz_corpus_gateway DIRECTORY      (chaos-tests/fuzz/corpus, whose subdirectories must exist) */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/bytes.h"
#include "proto/base/check.h"
#include "proto/wire/command.pb-c.h"
#include "proto/wire/entry.h"
#include "proto/wire/peer.pb-c.h"
#include "rpc/native/native_frame.h"

/* As the fuzzer's shard has it, which elects itself once. */
#define TERM 2u
#define RUN 7u

static void append(struct bytes *bytes, const void *data, size_t len)
{
    CHECK(bytes_append(bytes, data, len) == 0);
}

static void seed(const char *path, struct bytes *bytes)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes->data, 1, bytes->len, file) != bytes->len || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
    bytes->len = 0;
}

static void append_message(struct bytes *bytes, Holdfast__PeerGateway *message, struct slice body)
{
    struct frame_out frame;
    message->run = RUN;
    message->term = TERM;
    CHECK(native_frame_encode(FRAME_PEER_GATEWAY, &message->base, &body, body.len > 0, &frame) == 0);
    append(bytes, frame.head->data, frame.head->len);
    append(bytes, body.data, body.len);
    frame_out_done(&frame);
}

static void append_command(struct bytes *bytes, uint64_t session, uint64_t number, const Holdfast__Command *message,
                           const char *text)
{
    uint8_t header[512];
    uint8_t head[ENTRY_COMMAND_HEAD_LEN];
    CHECK(holdfast__command__get_packed_size(message) <= sizeof header);
    struct entry_command command = {
        .session = session,
        .number = number,
        .attachment = session != 0,
        .header = {.data = header, .len = holdfast__command__pack(message, header)},
        .bodies = {.data = (const uint8_t *)text, .len = strlen(text)},
    };
    entry_command_head_encode(&command, head);
    append(bytes, head, sizeof head);
    append(bytes, header, command.header.len);
    append(bytes, text, strlen(text));
}

/* A client's beginning: attached, a queue, a message. The session's id is what an empty machine gives first. */
static void append_session(struct bytes *commands)
{
    uint8_t key[16] = {1};
    char empty[] = "";
    char queue[] = "q";
    Holdfast__Command message = HOLDFAST__COMMAND__INIT;
    Holdfast__Origin origin = HOLDFAST__ORIGIN__INIT;
    Holdfast__AttachSession attach = HOLDFAST__ATTACH_SESSION__INIT;
    origin.node = 2;
    origin.run = RUN;
    origin.tag = 1;
    attach.key = (ProtobufCBinaryData){.len = sizeof key, .data = key};
    attach.virtual_host = empty;
    attach.client = empty;
    attach.origin = &origin;
    attach.attempt = 1;
    message.kind_case = HOLDFAST__COMMAND__KIND_ATTACH_SESSION;
    message.attach_session = &attach;
    append_command(commands, 0, 0, &message, "");
    Holdfast__DeclareQueue declare = HOLDFAST__DECLARE_QUEUE__INIT;
    declare.queue = queue;
    message.kind_case = HOLDFAST__COMMAND__KIND_DECLARE_QUEUE;
    message.declare_queue = &declare;
    append_command(commands, 1, 1, &message, "");
    uint32_t body_len = 5;
    uint64_t body_hash = UINT64_C(0xdeadbeef);
    Holdfast__Publish publish = HOLDFAST__PUBLISH__INIT;
    publish.queue = queue;
    publish.producer = empty;
    publish.n_body_len = 1;
    publish.body_len = &body_len;
    publish.n_body_hash = 1;
    publish.body_hash = &body_hash;
    message.kind_case = HOLDFAST__COMMAND__KIND_PUBLISH;
    message.publish = &publish;
    append_command(commands, 1, 2, &message, "hello");
    Holdfast__DetachSession detach = HOLDFAST__DETACH_SESSION__INIT;
    detach.session = 1;
    detach.attachment = 1;
    detach.origin = &origin;
    message.kind_case = HOLDFAST__COMMAND__KIND_DETACH_SESSION;
    message.detach_session = &detach;
    append_command(commands, 0, 0, &message, "");
}

static void append_forward(struct bytes *bytes)
{
    struct bytes commands = {0};
    append_session(&commands);
    Holdfast__Forward forward = HOLDFAST__FORWARD__INIT;
    Holdfast__PeerGateway message = HOLDFAST__PEER_GATEWAY__INIT;
    message.kind_case = HOLDFAST__PEER_GATEWAY__KIND_FORWARD;
    message.forward = &forward;
    forward.commands = 4;
    append_message(bytes, &message, (struct slice){.data = commands.data, .len = commands.len});
    bytes_done(&commands);
}

static void append_others(struct bytes *bytes)
{
    Holdfast__PeerGateway message = HOLDFAST__PEER_GATEWAY__INIT;
    Holdfast__Presence presence = HOLDFAST__PRESENCE__INIT;
    presence.disk_low = true;
    message.kind_case = HOLDFAST__PEER_GATEWAY__KIND_PRESENCE;
    message.presence = &presence;
    append_message(bytes, &message, (struct slice){0});
    Holdfast__ReadIndex read_index = HOLDFAST__READ_INDEX__INIT;
    read_index.id = 9;
    message.kind_case = HOLDFAST__PEER_GATEWAY__KIND_READ_INDEX;
    message.read_index = &read_index;
    append_message(bytes, &message, (struct slice){0});
    Holdfast__ReadIndexResult result = HOLDFAST__READ_INDEX_RESULT__INIT;
    result.id = 9;
    result.index = 10;
    message.kind_case = HOLDFAST__PEER_GATEWAY__KIND_READ_INDEX_RESULT;
    message.read_index_result = &result;
    append_message(bytes, &message, (struct slice){0});
    Holdfast__TransferLeadership transfer = HOLDFAST__TRANSFER_LEADERSHIP__INIT;
    transfer.node = 2;
    message.kind_case = HOLDFAST__PEER_GATEWAY__KIND_TRANSFER_LEADERSHIP;
    message.transfer_leadership = &transfer;
    append_message(bytes, &message, (struct slice){0});
}

int main(int argc, char **argv)
{
    if (argc != 2 || chdir(argv[1]) != 0) {
        (void)fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return 2;
    }
    struct bytes bytes = {0};
    append_forward(&bytes);
    seed("peer_gateway/forward", &bytes);
    append_forward(&bytes);
    append_forward(&bytes);
    seed("peer_gateway/forwarded_again", &bytes);
    append_others(&bytes);
    append_forward(&bytes);
    seed("peer_gateway/all_kinds", &bytes);
    bytes_done(&bytes);
    return 0;
}
