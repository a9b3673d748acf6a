/* A client's questions: answered at once, when this node's replica is current, or when a change is made. */

#include "rpc/native/native_session_private.h"

/* What is wrong with it is its answer. */
static int answer_at_once(struct native_session *session, const struct native_question *question, int fault)
{
    struct frame_out answer;
    int err = native_result_make(session->gateway, question, fault, &answer);
    if (err == 0) {
        session->host.send(session->host.arg, &answer);
    }
    return err;
}

static int take_change(struct native_session *session, const struct native_question *question,
                       enum gateway_change_kind kind)
{
    int err = native_changes_add(&session->changes, question, kind);
    return err == ERR_BUSY ? answer_at_once(session, question, err) : err;
}

bool session_take_query(struct native_session *session, const struct frame *frame)
{
    const Holdfast__Query *query = session_unpack(session, frame, &holdfast__query__descriptor);
    if (query == NULL) {
        return true;
    }
    struct native_question question;
    enum gateway_change_kind kind;
    int fault = native_question_of(query, &question);
    question.heads = session->outbox.heads;
    int err;
    if (fault == 0 && native_question_reads(&question)) {
        err = native_queries_add(&session->queries, &question);
        if (err == ERR_BUSY) {
            return false;
        }
    } else if (fault == 0 && native_question_changes(&question, &kind)) {
        err = take_change(session, &question, kind);
    } else {
        err = answer_at_once(session, &question, fault);
    }
    if (err != 0) {
        session_goodbye(session, err, NULL, "Query: %s", err_text(err));
    }
    return true;
}
