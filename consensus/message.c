/* Encoding and decoding of Raft messages. */

#include "consensus/message.h"

#include <stdlib.h>
#include <string.h>

#include "consensus/configuration.h"
#include "proto/base/check.h"
#include "proto/wire/peer.pb-c.h"

/* The version fields of c-raft's structs at 0.22.1 (its wire format has them; ours has its own version). */
#define ENGINE_REQUEST_VOTE_VERSION 2
#define ENGINE_REQUEST_VOTE_RESULT_VERSION 2
#define ENGINE_APPEND_ENTRIES_VERSION 0
#define ENGINE_APPEND_ENTRIES_RESULT_VERSION 2

/* Packs the header behind a prefix for `body_len` bytes of body. */
static int frame_begin(const Holdfast__PeerRaft *header, uint32_t body_len, struct blob **ret_head)
{
    size_t header_len = holdfast__peer_raft__get_packed_size(header);
    CHECK(header_len <= FRAME_HEADER_LEN_MAX);
    struct blob *head = blob_new(FRAME_PREFIX_LEN + header_len);
    if (head == NULL) {
        return ERR_NOMEM;
    }
    struct frame_prefix prefix = {.type = FRAME_PEER_RAFT, .header_len = (uint32_t)header_len, .body_len = body_len};
    frame_prefix_encode(&prefix, head->data);
    holdfast__peer_raft__pack(header, head->data + FRAME_PREFIX_LEN);
    *ret_head = head;
    return 0;
}

int message_encode(uint32_t shard, const struct raft_message *message, struct slice configuration,
                   struct frame_out *ret_frame)
{
    Holdfast__PeerRaft header = HOLDFAST__PEER_RAFT__INIT;
    Holdfast__AppendEntriesResult append_result = HOLDFAST__APPEND_ENTRIES_RESULT__INIT;
    Holdfast__RequestVote vote = HOLDFAST__REQUEST_VOTE__INIT;
    Holdfast__RequestVoteResult vote_result = HOLDFAST__REQUEST_VOTE_RESULT__INIT;
    Holdfast__InstallSnapshot install = HOLDFAST__INSTALL_SNAPSHOT__INIT;
    Holdfast__TimeoutNow timeout_now = HOLDFAST__TIMEOUT_NOW__INIT;
    header.shard = shard;
    switch (message->type) {
    case RAFT_APPEND_ENTRIES_RESULT:
        header.term = message->append_entries_result.term;
        header.kind_case = HOLDFAST__PEER_RAFT__KIND_APPEND_ENTRIES_RESULT;
        header.append_entries_result = &append_result;
        append_result.rejected = message->append_entries_result.rejected;
        append_result.last_log_index = message->append_entries_result.last_log_index;
        append_result.features = message->append_entries_result.features;
        append_result.capacity = message->append_entries_result.capacity;
        break;
    case RAFT_REQUEST_VOTE:
        header.term = message->request_vote.term;
        header.kind_case = HOLDFAST__PEER_RAFT__KIND_REQUEST_VOTE;
        header.request_vote = &vote;
        vote.candidate_id = message->request_vote.candidate_id;
        vote.last_log_index = message->request_vote.last_log_index;
        vote.last_log_term = message->request_vote.last_log_term;
        vote.disrupt_leader = message->request_vote.disrupt_leader;
        vote.pre_vote = message->request_vote.pre_vote;
        break;
    case RAFT_REQUEST_VOTE_RESULT:
        header.term = message->request_vote_result.term;
        header.kind_case = HOLDFAST__PEER_RAFT__KIND_REQUEST_VOTE_RESULT;
        header.request_vote_result = &vote_result;
        vote_result.vote_granted = message->request_vote_result.vote_granted;
        vote_result.pre_vote = message->request_vote_result.pre_vote;
        vote_result.features = message->request_vote_result.features;
        vote_result.capacity = message->request_vote_result.capacity;
        break;
    case RAFT_INSTALL_SNAPSHOT:
        header.term = message->install_snapshot.term;
        header.kind_case = HOLDFAST__PEER_RAFT__KIND_INSTALL_SNAPSHOT;
        header.install_snapshot = &install;
        install.last_index = message->install_snapshot.last_index;
        install.last_term = message->install_snapshot.last_term;
        install.conf_index = message->install_snapshot.conf_index;
        install.configuration.data = (uint8_t *)configuration.data;
        install.configuration.len = configuration.len;
        break;
    case RAFT_TIMEOUT_NOW:
        header.term = message->timeout_now.term;
        header.kind_case = HOLDFAST__PEER_RAFT__KIND_TIMEOUT_NOW;
        header.timeout_now = &timeout_now;
        timeout_now.last_log_index = message->timeout_now.last_log_index;
        timeout_now.last_log_term = message->timeout_now.last_log_term;
        break;
    case RAFT_APPEND_ENTRIES:
    default: return ERR_INVALID;
    }
    struct blob *head;
    int err = frame_begin(&header, 0, &head);
    if (err != 0) {
        return err;
    }
    *ret_frame = (struct frame_out){.head = head, .len = head->len};
    return 0;
}

int message_encode_read(uint32_t shard, enum message_kind kind, uint64_t term, uint64_t round,
                        struct frame_out *ret_frame)
{
    CHECK(kind == MESSAGE_READ_PING || kind == MESSAGE_READ_PONG);
    Holdfast__PeerRaft header = HOLDFAST__PEER_RAFT__INIT;
    Holdfast__ReadPing ping = HOLDFAST__READ_PING__INIT;
    Holdfast__ReadPong pong = HOLDFAST__READ_PONG__INIT;
    header.shard = shard;
    header.term = term;
    if (kind == MESSAGE_READ_PING) {
        header.kind_case = HOLDFAST__PEER_RAFT__KIND_READ_PING;
        header.read_ping = &ping;
        ping.round = round;
    } else {
        header.kind_case = HOLDFAST__PEER_RAFT__KIND_READ_PONG;
        header.read_pong = &pong;
        pong.round = round;
    }
    struct blob *head;
    int err = frame_begin(&header, 0, &head);
    if (err == 0) {
        *ret_frame = (struct frame_out){.head = head, .len = head->len};
    }
    return err;
}

int message_encode_append(uint32_t shard, const struct raft_append_entries *append, const struct log_entry *entries,
                          unsigned entries_len, struct frame_out *ret_frame)
{
    CHECK(entries_len <= APPEND_ENTRIES_MAX);
    uint64_t terms[APPEND_ENTRIES_MAX];
    uint32_t types[APPEND_ENTRIES_MAX];
    uint32_t lens[APPEND_ENTRIES_MAX];
    uint64_t body_len = 0;
    for (unsigned i = 0; i < entries_len; i++) {
        terms[i] = entries[i].term;
        types[i] = entries[i].type;
        lens[i] = (uint32_t)entries[i].payload.len;
        body_len += entries[i].payload.len;
    }
    CHECK(body_len <= FRAME_BODY_LEN_MAX);
    Holdfast__AppendEntries message = HOLDFAST__APPEND_ENTRIES__INIT;
    message.prev_log_index = append->prev_log_index;
    message.prev_log_term = append->prev_log_term;
    message.leader_commit = append->leader_commit;
    message.n_entry_term = message.n_entry_type = message.n_entry_len = entries_len;
    message.entry_term = terms;
    message.entry_type = types;
    message.entry_len = lens;
    Holdfast__PeerRaft header = HOLDFAST__PEER_RAFT__INIT;
    header.shard = shard;
    header.term = append->term;
    header.kind_case = HOLDFAST__PEER_RAFT__KIND_APPEND_ENTRIES;
    header.append_entries = &message;

    struct slice *parts = NULL;
    if (entries_len > 0) {
        parts = malloc(entries_len * sizeof *parts);
        if (parts == NULL) {
            return ERR_NOMEM;
        }
    }
    struct blob *head;
    int err = frame_begin(&header, (uint32_t)body_len, &head);
    if (err != 0) {
        free(parts);
        return err;
    }
    for (unsigned i = 0; i < entries_len; i++) {
        parts[i] = slice_ref(entries[i].payload);
    }
    *ret_frame =
        (struct frame_out){.head = head, .parts = parts, .parts_len = entries_len, .len = head->len + body_len};
    return 0;
}

/* Cuts the body into entries; the terms never fall and never exceed the sender's (Raft §5.3). */
static int append_decode(const Holdfast__AppendEntries *in, uint64_t term, struct slice body, struct message *message)
{
    size_t count = in->n_entry_len;
    if (count > APPEND_ENTRIES_MAX || in->n_entry_term != count || in->n_entry_type != count) {
        return ERR_BROKEN;
    }
    if ((in->prev_log_index == 0) != (in->prev_log_term == 0) || in->prev_log_term > term ||
        in->prev_log_index > UINT64_MAX / 2 || in->leader_commit > UINT64_MAX / 2) {
        return ERR_BROKEN;
    }
    size_t at = 0;
    uint64_t last_term = in->prev_log_term > 0 ? in->prev_log_term : 1;
    for (size_t i = 0; i < count; i++) {
        uint32_t type = in->entry_type[i];
        uint32_t len = in->entry_len[i];
        if (type < LOG_ENTRY_COMMAND || type > LOG_ENTRY_CHANGE || len > body.len - at || len > ENTRY_LEN_MAX ||
            in->entry_term[i] < last_term || in->entry_term[i] > term) {
            return ERR_BROKEN;
        }
        struct slice payload = slice_part(body, at, len);
        if (type == LOG_ENTRY_CHANGE) {
            struct raft_configuration configuration;
            int err = configuration_decode(payload.data, payload.len, &configuration);
            if (err != 0) {
                return err == ERR_NOMEM ? err : ERR_BROKEN;
            }
            raft_configuration_close(&configuration);
        }
        last_term = in->entry_term[i];
        message->entries[i] =
            (struct log_entry){.term = last_term, .type = (enum log_entry_type)type, .payload = payload};
        at += len;
    }
    if (at != body.len) {
        return ERR_BROKEN;
    }
    message->entries_len = (unsigned)count;
    message->raft.type = RAFT_APPEND_ENTRIES;
    message->raft.append_entries = (struct raft_append_entries){
        .version = ENGINE_APPEND_ENTRIES_VERSION,
        .term = term,
        .prev_log_index = in->prev_log_index,
        .prev_log_term = in->prev_log_term,
        .leader_commit = in->leader_commit,
    };
    return 0;
}

static int install_decode(const Holdfast__InstallSnapshot *in, uint64_t term, struct message *message)
{
    struct raft_configuration configuration;
    if (in->last_index == 0 || in->last_term == 0 || in->last_term > term || in->conf_index == 0 ||
        in->conf_index > in->last_index) {
        return ERR_BROKEN;
    }
    int err = configuration_decode(in->configuration.data, in->configuration.len, &configuration);
    if (err != 0) {
        return err == ERR_NOMEM ? err : ERR_BROKEN;
    }
    raft_configuration_close(&configuration);
    message->configuration = (struct slice){.data = in->configuration.data, .len = in->configuration.len};
    message->raft.type = RAFT_INSTALL_SNAPSHOT;
    message->raft.install_snapshot = (struct raft_install_snapshot){
        .term = term,
        .last_index = in->last_index,
        .last_term = in->last_term,
        .conf_index = in->conf_index,
    };
    return 0;
}

static int read_decode(enum message_kind kind, uint64_t round, struct message *message)
{
    if (round == 0) {
        return ERR_BROKEN;
    }
    message->kind = kind;
    message->round = round;
    return 0;
}

static int kind_decode(const Holdfast__PeerRaft *in, struct slice body, struct message *message)
{
    struct raft_message *out = &message->raft;
    if (in->kind_case != HOLDFAST__PEER_RAFT__KIND_APPEND_ENTRIES && body.len != 0) {
        return ERR_BROKEN;
    }
    switch (in->kind_case) {
    case HOLDFAST__PEER_RAFT__KIND_APPEND_ENTRIES: return append_decode(in->append_entries, in->term, body, message);
    case HOLDFAST__PEER_RAFT__KIND_APPEND_ENTRIES_RESULT:
        out->type = RAFT_APPEND_ENTRIES_RESULT;
        out->append_entries_result = (struct raft_append_entries_result){
            .version = ENGINE_APPEND_ENTRIES_RESULT_VERSION,
            .term = in->term,
            .rejected = in->append_entries_result->rejected,
            .last_log_index = in->append_entries_result->last_log_index,
            .features = (unsigned short)in->append_entries_result->features,
            .capacity = (unsigned short)in->append_entries_result->capacity,
        };
        return 0;
    case HOLDFAST__PEER_RAFT__KIND_REQUEST_VOTE:
        out->type = RAFT_REQUEST_VOTE;
        out->request_vote = (struct raft_request_vote){
            .version = ENGINE_REQUEST_VOTE_VERSION,
            .term = in->term,
            .candidate_id = in->request_vote->candidate_id,
            .last_log_index = in->request_vote->last_log_index,
            .last_log_term = in->request_vote->last_log_term,
            .disrupt_leader = in->request_vote->disrupt_leader,
            .pre_vote = in->request_vote->pre_vote,
        };
        return 0;
    case HOLDFAST__PEER_RAFT__KIND_REQUEST_VOTE_RESULT:
        out->type = RAFT_REQUEST_VOTE_RESULT;
        out->request_vote_result = (struct raft_request_vote_result){
            .version = ENGINE_REQUEST_VOTE_RESULT_VERSION,
            .term = in->term,
            .vote_granted = in->request_vote_result->vote_granted,
            .pre_vote = in->request_vote_result->pre_vote,
            .features = (unsigned short)in->request_vote_result->features,
            .capacity = (unsigned short)in->request_vote_result->capacity,
        };
        return 0;
    case HOLDFAST__PEER_RAFT__KIND_INSTALL_SNAPSHOT: return install_decode(in->install_snapshot, in->term, message);
    case HOLDFAST__PEER_RAFT__KIND_TIMEOUT_NOW:
        out->type = RAFT_TIMEOUT_NOW;
        out->timeout_now = (struct raft_timeout_now){
            .term = in->term,
            .last_log_index = in->timeout_now->last_log_index,
            .last_log_term = in->timeout_now->last_log_term,
        };
        return 0;
    case HOLDFAST__PEER_RAFT__KIND_READ_PING: return read_decode(MESSAGE_READ_PING, in->read_ping->round, message);
    case HOLDFAST__PEER_RAFT__KIND_READ_PONG: return read_decode(MESSAGE_READ_PONG, in->read_pong->round, message);
    case HOLDFAST__PEER_RAFT__KIND__NOT_SET:
    default: return ERR_BROKEN;
    }
}

int message_decode(const struct frame *frame, uint32_t shard, struct arena *arena, struct message *message)
{
    if (frame->type != FRAME_PEER_RAFT) {
        return ERR_BROKEN;
    }
    const Holdfast__PeerRaft *in = holdfast__peer_raft__unpack(&arena->protobuf, frame->header.len, frame->header.data);
    if (in == NULL || in->shard != shard || in->term == 0) {
        return ERR_BROKEN;
    }
    message->kind = MESSAGE_ENGINE;
    message->term = in->term;
    message->round = 0;
    message->entries_len = 0;
    message->configuration = (struct slice){0};
    memset(&message->raft, 0, sizeof message->raft);
    struct slice body = frame->body;
    body.blob = frame->header.blob;
    return kind_decode(in, body, message);
}
