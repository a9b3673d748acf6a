/* Questions to the source, asked one by one. */

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "rebuild_pair.h"

int pair_ask(struct pair *pair, uint64_t from, Holdfast__PeerRebuild *message)
{
    struct frame frame = pair_frame(message, (struct slice){0});
    int err = rebuild_source_receive(pair->source, from, &frame);
    pair_frame_done(&frame);
    return err;
}

int pair_ask_open(struct pair *pair, uint64_t from, uint64_t copy)
{
    Holdfast__RebuildOpen open = HOLDFAST__REBUILD_OPEN__INIT;
    Holdfast__PeerRebuild message = HOLDFAST__PEER_REBUILD__INIT;
    open.copy = copy;
    message.kind_case = HOLDFAST__PEER_REBUILD__KIND_OPEN;
    message.open = &open;
    return pair_ask(pair, from, &message);
}

int pair_ask_join(struct pair *pair, uint64_t from, uint64_t copy, uint64_t question)
{
    Holdfast__RebuildOpen open = HOLDFAST__REBUILD_OPEN__INIT;
    Holdfast__PeerRebuild message = HOLDFAST__PEER_REBUILD__INIT;
    open.copy = copy;
    open.join = true;
    open.question = question;
    open.reason = (char *)(uintptr_t) "a bad\nsector";
    message.kind_case = HOLDFAST__PEER_REBUILD__KIND_OPEN;
    message.open = &open;
    return pair_ask(pair, from, &message);
}

int pair_ask_read(struct pair *pair, uint64_t copy, uint32_t file, uint64_t offset, uint32_t len)
{
    Holdfast__RebuildRead read = HOLDFAST__REBUILD_READ__INIT;
    Holdfast__PeerRebuild message = HOLDFAST__PEER_REBUILD__INIT;
    read.copy = copy;
    read.file = file;
    read.offset = offset;
    read.len = len;
    message.kind_case = HOLDFAST__PEER_REBUILD__KIND_READ;
    message.read = &read;
    return pair_ask(pair, PAIR_SINK, &message);
}

struct pair_answer pair_take_answer(struct pair *pair)
{
    struct arena arena;
    const Holdfast__PeerRebuild *message;
    cr_assert_gt(pair->answers.len, 0u);
    arena_init(&arena, REBUILD_MESSAGE_MEMORY_MAX);
    cr_assert_eq(rebuild_message_decode(&pair->answers.frames[0], &arena, &message), 0);
    struct pair_answer answer = {.kind = message->kind_case};
    if (answer.kind == HOLDFAST__PEER_REBUILD__KIND_OPENED) {
        answer.copy = message->opened->copy;
        answer.index = message->opened->index;
        answer.question = message->opened->question;
    } else if (answer.kind == HOLDFAST__PEER_REBUILD__KIND_REFUSED) {
        answer.error = message->refused->error;
        answer.leader = message->refused->leader;
        (void)snprintf(answer.detail, sizeof answer.detail, "%s", message->refused->detail);
    }
    arena_done(&arena);
    pair_frame_done(&pair->answers.frames[0]);
    memmove(pair->answers.frames, pair->answers.frames + 1, --pair->answers.len * sizeof pair->answers.frames[0]);
    memmove(pair->answers.from, pair->answers.from + 1, pair->answers.len * sizeof pair->answers.from[0]);
    return answer;
}

Holdfast__PeerRebuild__KindCase pair_answer_kind(struct pair *pair, uint64_t *ret_copy)
{
    struct pair_answer answer = pair_take_answer(pair);
    if (answer.kind == HOLDFAST__PEER_REBUILD__KIND_OPENED && ret_copy != NULL) {
        *ret_copy = answer.copy;
    }
    return answer.kind;
}

uint64_t pair_open_copy(struct pair *pair, uint64_t copy)
{
    uint64_t opened = 0;
    pair->connected = true;
    cr_assert_eq(pair_ask_open(pair, PAIR_SINK, copy), 0);
    sim_disk_complete_all(pair->source_disk);
    cr_assert_eq(pair_answer_kind(pair, &opened), HOLDFAST__PEER_REBUILD__KIND_OPENED);
    cr_assert_neq(opened, 0u);
    return opened;
}
