/* PeerHello, encoded and decoded. */

#include "rpc/peer/peer_frame.h"

#include <string.h>

#include "proto/base/bytes.h"
#include "proto/base/limits.h"
#include "proto/wire/peer.pb-c.h"
#include "rpc/native/native_frame.h"

_Static_assert(ADDRESS_LEN_MAX <= NAME_LEN_MAX, "name_check() checks addresses too");

int peer_hello_encode(const struct peer_hello *hello, struct frame_out *ret_frame)
{
    Holdfast__PeerHello message = HOLDFAST__PEER_HELLO__INIT;
    /* protobuf-c does not write to what it packs; its type has no const. */
    message.cluster = (char *)(uintptr_t)hello->cluster;
    message.node = hello->node;
    message.to = hello->to;
    message.incarnation = hello->incarnation;
    message.version = hello->version;
    message.client_address = (char *)(uintptr_t)hello->client_address;
    message.bulk = hello->bulk;
    message.run = hello->run;
    message.history.data = (uint8_t *)(uintptr_t)hello->history.data;
    message.history.len = hello->history.len;
    message.founding = hello->founding;
    return native_frame_encode(FRAME_PEER_HELLO, &message.base, NULL, 0, ret_frame);
}

int peer_hello_decode(const struct frame *frame, struct arena *arena, struct peer_hello *ret_hello)
{
    ProtobufCMessage *base;
    if (frame->type != FRAME_PEER_HELLO || frame->body.len > 0 ||
        native_frame_decode(frame, &holdfast__peer_hello__descriptor, arena, &base) != 0) {
        return ERR_BROKEN;
    }
    const Holdfast__PeerHello *message = (const void *)base;
    size_t address_len = strlen(message->client_address);
    if (message->history.len > PEER_HISTORY_LEN_MAX || message->node == 0 ||
        name_check(message->cluster, strlen(message->cluster)) != 0 ||
        (address_len > 0 && name_check(message->client_address, address_len) != 0)) {
        return ERR_BROKEN;
    }
    *ret_hello = (struct peer_hello){
        .cluster = message->cluster,
        .node = message->node,
        .to = message->to,
        .incarnation = message->incarnation,
        .version = message->version,
        .client_address = message->client_address,
        .bulk = message->bulk != 0,
        .run = message->run,
        .history = {.data = message->history.data, .len = message->history.len},
        .founding = message->founding != 0,
    };
    return 0;
}
