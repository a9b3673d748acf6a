/* What the servers of all protocols are told. */

#include "rpc/server_options.h"

#define FRAME_TIMEOUT_MS_DEFAULT 20000u
#define UNACKED_TIMEOUT_MS_DEFAULT 10000u

struct stream_options server_stream_options(const struct server_options *options)
{
    return (struct stream_options){
        .handshake_timeout_ms = options->handshake_timeout_ms,
        .frame_timeout_ms = options->frame_timeout_ms != 0 ? options->frame_timeout_ms : FRAME_TIMEOUT_MS_DEFAULT,
        .stall_timeout_ms = options->stall_timeout_ms,
        .vanished_timeout_ms =
            options->unacked_timeout_ms != 0 ? options->unacked_timeout_ms : UNACKED_TIMEOUT_MS_DEFAULT,
        .receive_budget = &options->bounds->receiving,
        .send_budget = &options->bounds->sending,
    };
}
