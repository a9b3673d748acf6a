/* The client library where several hands are in play: tokens that are worth nothing any more, what a program is told without having
 * asked, batches of which each message has an outcome of its own, and looking at all of it. Run against a cluster it leaves nothing
 * behind, and exits with 0 when everything was as it says. It is compiled as hello.c is.
 *
 *   ./parcels 127.0.0.1:7470,127.0.0.1:7480,127.0.0.1:7490 */

#include <stdio.h>
#include <string.h>

#include "rpc/client/hf.h"

#define TIMEOUT_MS 10000
#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        int err_ = (call);                                                                                             \
        if (err_ != 0) {                                                                                               \
            (void)fprintf(stderr, "%s: %s (%s)\n", #call, err_text(err_), hf_error_detail(hf));                        \
            return err_;                                                                                               \
        }                                                                                                              \
    } while (0)
#define EXPECT(what)                                                                                                   \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            (void)fprintf(stderr, "line %d: not so: %s\n", __LINE__, #what);                                           \
            return ERR_INVALID;                                                                                        \
        }                                                                                                              \
    } while (0)

/* Two programs: `hf` works, `other` is a colleague. */
struct hands {
    struct hf *hf;
    struct hf *other;
};

static struct hf_body body_of(const char *text)
{
    return (struct hf_body){.data = text, .len = strlen(text)};
}

static bool body_is(const struct hf_message *message, const char *text)
{
    return message->body.len == strlen(text) && memcmp(message->body.data, text, message->body.len) == 0;
}

static int set_up(struct hands *hands)
{
    struct hf *hf = hands->hf;
    const struct client_queue_options parcels = {
        .lock_ms = 400, .has_dead_letter = true, .has_dead_letter_key = true, .dead_letter_key = "parcels-lost"};
    const struct client_queue_options small = {.has_max_length = true, .max_length = 2, .overflow = CLIENT_REJECT_NEW};
    TRY(hf_declare_as(hf, "parcels-lost", NULL, false, TIMEOUT_MS));
    TRY(hf_declare_as(hf, "parcels", &parcels, false, TIMEOUT_MS));
    TRY(hf_declare_as(hf, "parcels-small", &small, false, TIMEOUT_MS));
    return 0;
}

/* One command, and what became of each of its messages: the third finds the queue full. Numbered, they can be sent again. */
static int batch(struct hands *hands)
{
    struct hf *hf = hands->hf;
    uint64_t epoch;
    uint64_t last;
    TRY(hf_open_producer(hf, "parcels-producer", TIMEOUT_MS, &epoch, &last));
    const struct hf_body bodies[] = {body_of("1"), body_of("2"), body_of("3")};
    const struct hf_batch all = {.queue = "parcels-small",
                                 .bodies = bodies,
                                 .len = 3,
                                 .producer = "parcels-producer",
                                 .first_sequence = last + 1,
                                 .epoch = epoch,
                                 .no_gaps = true,
                                 .each = true};
    enum hf_outcome outcomes[3];
    struct hf_published published;
    TRY(hf_publish_batch(hf, &all, TIMEOUT_MS, outcomes, &published));
    EXPECT(outcomes[0] == HF_TAKEN && outcomes[1] == HF_TAKEN && outcomes[2] == HF_REFUSED);
    EXPECT(published.enqueued == 2 && published.refused == 1);
    TRY(hf_publish_batch(hf, &all, TIMEOUT_MS, outcomes, &published));
    EXPECT(published.enqueued == 0 && published.repeated == 3);
    uint64_t dropped;
    TRY(hf_purge(hf, "parcels-small", TIMEOUT_MS, &dropped));
    EXPECT(dropped == 2);
    return 0;
}

/* Held for too long: a colleague has it, and who had it is told so, and changes nothing. */
static int lose(struct hands *hands)
{
    struct hf *hf = hands->hf;
    uint64_t consumer;
    uint64_t others;
    struct hf_message mine;
    struct hf_message theirs;
    TRY(hf_publish(hf, "parcels", NULL, 0, body_of("fragile"), TIMEOUT_MS));
    TRY(hf_subscribe(hf, "parcels", 1, TIMEOUT_MS, &consumer));
    TRY(hf_next(hf, TIMEOUT_MS, &mine));
    TRY(hf_extend(hf, &mine, 500, TIMEOUT_MS));
    TRY(hf_set_credit(hf, consumer, 0, TIMEOUT_MS));
    TRY(hf_subscribe(hands->other, "parcels", 1, TIMEOUT_MS, &others));
    TRY(hf_next(hands->other, TIMEOUT_MS, &theirs));
    EXPECT(body_is(&theirs, "fragile") && theirs.delivery_count == 1);
    struct hf_notice notice;
    TRY(hf_notice(hf, TIMEOUT_MS, &notice));
    EXPECT(notice.kind == HF_LOCK_ENDED && notice.consumer == mine.consumer && notice.number == mine.number);
    EXPECT(hf_settle_as(hf, &mine, CLIENT_ACCEPT, NULL, TIMEOUT_MS) == ERR_STALE);
    EXPECT(hf_extend(hf, &mine, 1000, TIMEOUT_MS) == ERR_STALE);
    /* Nor is anything else done in its name. */
    const struct hf_outgoing answer = {.queue = "parcels-small", .body = body_of("done")};
    EXPECT(hf_transact(hf, &answer, 1, &mine, 1, TIMEOUT_MS) == ERR_STALE);
    /* Given back as if it had never been delivered; then it is ours again. */
    const struct client_settlement unseen = {.not_counted = true};
    TRY(hf_drain(hands->other, others, TIMEOUT_MS));
    TRY(hf_settle_as(hands->other, &theirs, CLIENT_RELEASE, &unseen, TIMEOUT_MS));
    TRY(hf_set_credit(hf, consumer, 1, TIMEOUT_MS));
    TRY(hf_next(hf, TIMEOUT_MS, &mine));
    EXPECT(body_is(&mine, "fragile") && mine.delivery_count == 1);
    /* It is lost for good, and the customer is told, in one step. */
    const struct hf_settled lost = {.message = &mine, .outcome = CLIENT_REJECT};
    TRY(hf_transact_as(hf, &answer, 1, &lost, 1, TIMEOUT_MS));
    TRY(hf_unsubscribe(hf, consumer, TIMEOUT_MS));
    return 0;
}

static int found(struct hands *hands)
{
    struct hf *hf = hands->hf;
    struct hf_message message;
    TRY(hf_fetch(hf, "parcels-lost", 1, true, TIMEOUT_MS, NULL));
    TRY(hf_next(hf, TIMEOUT_MS, &message));
    EXPECT(body_is(&message, "fragile") && strcmp(message.deaths[0].reason, "rejected") == 0);
    TRY(hf_fetch(hf, "parcels-small", 1, true, TIMEOUT_MS, NULL));
    TRY(hf_next(hf, TIMEOUT_MS, &message));
    EXPECT(body_is(&message, "done"));
    return 0;
}

/* Who opened the group's producer is asked what becomes of a prepared message. */
static int ask(struct hands *hands)
{
    struct hf *hf = hands->hf;
    char id[64];
    uint64_t epoch;
    uint64_t last;
    uint64_t taken;
    TRY(hf_open_producer(hands->other, "parcels-producer", TIMEOUT_MS, &epoch, &last));
    (void)snprintf(id, sizeof id, "parcel-%llu", (unsigned long long)epoch);
    const struct hf_outgoing parcel = {.queue = "parcels-small",
                                       .body = body_of("prepared"),
                                       .prepare = id,
                                       .prepare_group = "parcels-producer",
                                       .ask_after_ms = 100};
    TRY(hf_publish_message(hf, &parcel, TIMEOUT_MS, NULL));
    struct hf_notice notice;
    TRY(hf_notice(hands->other, TIMEOUT_MS, &notice));
    EXPECT(notice.kind == HF_PREPARED_ASK && strcmp(notice.id, id) == 0);
    TRY(hf_resolve(hands->other, id, true, TIMEOUT_MS));
    TRY(hf_fetch(hf, "parcels-small", 1, true, TIMEOUT_MS, &taken));
    EXPECT(taken == 1);
    struct hf_message message;
    TRY(hf_next(hf, TIMEOUT_MS, &message));
    EXPECT(body_is(&message, "prepared"));
    return 0;
}

/* The first of three is done, and the others are given back with one call. */
static int give_back(struct hands *hands)
{
    struct hf *hf = hands->hf;
    const struct hf_body bodies[] = {body_of("1"), body_of("2"), body_of("3")};
    const struct hf_batch all = {.queue = "parcels", .bodies = bodies, .len = 3};
    uint64_t consumer;
    uint64_t settled;
    struct hf_message message;
    TRY(hf_publish_batch(hf, &all, TIMEOUT_MS, NULL, NULL));
    TRY(hf_subscribe(hf, "parcels", 3, TIMEOUT_MS, &consumer));
    TRY(hf_next(hf, TIMEOUT_MS, &message));
    TRY(hf_accept(hf, &message));
    TRY(hf_next(hf, TIMEOUT_MS, &message));
    TRY(hf_next(hf, TIMEOUT_MS, &message));
    EXPECT(body_is(&message, "3"));
    TRY(hf_drain(hf, consumer, TIMEOUT_MS));
    TRY(hf_settle_up_to(hf, &message, CLIENT_RELEASE, NULL, TIMEOUT_MS, &settled));
    EXPECT(settled == 2);
    TRY(hf_fetch(hf, "parcels", 3, true, TIMEOUT_MS, &settled));
    EXPECT(settled == 2);
    TRY(hf_next(hf, TIMEOUT_MS, &message));
    EXPECT(body_is(&message, "2") && message.delivery_count == 1);
    TRY(hf_next(hf, TIMEOUT_MS, &message));
    return 0;
}

static void consumer_look(void *arg, const struct client_consumer_info *consumer)
{
    unsigned *found = arg;
    *found += consumer->credit == 3 && consumer->priority == 7 && strcmp(consumer->tag, "desk") == 0;
}

static void limit_look(void *arg, const struct client_limit *limit)
{
    unsigned *found = arg;
    *found += limit->what == HF_LIMIT_QUEUES && limit->is_counted && limit->used >= 3;
}

static void producer_look(void *arg, const struct client_producer *producer)
{
    unsigned *found = arg;
    *found += producer->epoch >= 2 && producer->last_sequence >= 3;
}

static void prepared_look(void *arg, const struct client_prepared *prepared)
{
    unsigned *found = arg;
    *found += strncmp(prepared->id, "parcel-", 7) == 0 && strcmp(prepared->state, "committed") == 0;
}

static int look(struct hands *hands)
{
    struct hf *hf = hands->hf;
    const struct client_subscription how = {.priority = 7, .tag = "desk"};
    uint64_t consumer;
    unsigned looked = 0;
    unsigned resolved = 0;
    TRY(hf_subscribe_as(hands->other, "parcels", 3, &how, TIMEOUT_MS, &consumer));
    TRY(hf_consumers(hf, "parcels", TIMEOUT_MS, consumer_look, &looked));
    EXPECT(looked == 1);
    EXPECT(hf_delete_if(hf, "parcels", false, true, TIMEOUT_MS, NULL) == ERR_REFUSED); /* It is in use. */
    TRY(hf_limits(hf, NULL, TIMEOUT_MS, limit_look, &looked));
    TRY(hf_producer(hf, "parcels-producer", TIMEOUT_MS, producer_look, &looked));
    TRY(hf_prepared(hf, TIMEOUT_MS, prepared_look, &resolved));
    EXPECT(looked == 3 && resolved > 0);
    return 0;
}

static int exchange(struct hands *hands)
{
    struct hf *hf = hands->hf;
    const struct client_exchange desk = {.name = "parcels-desk", .type = CLIENT_FANOUT};
    bool keep = true;
    TRY(hf_declare_exchange(hf, &desk, TIMEOUT_MS));
    TRY(hf_check_exchange(hf, "parcels-desk", TIMEOUT_MS));
    TRY(hf_change_exchange(hf, "parcels-desk", &keep, "ask at the desk", TIMEOUT_MS));
    EXPECT(hf_delete_exchange(hf, "parcels-desk", false, TIMEOUT_MS) == ERR_REFUSED);
    keep = false;
    TRY(hf_change_exchange(hf, "parcels-desk", &keep, NULL, TIMEOUT_MS));
    TRY(hf_delete_exchange(hf, "parcels-desk", false, TIMEOUT_MS));
    EXPECT(hf_check_exchange(hf, "parcels-desk", TIMEOUT_MS) == ERR_NOT_FOUND);
    return 0;
}

static int tear_down(struct hands *hands)
{
    struct hf *hf = hands->hf;
    TRY(hf_delete(hf, "parcels", false, TIMEOUT_MS, NULL));
    TRY(hf_delete(hf, "parcels-small", true, TIMEOUT_MS, NULL));
    TRY(hf_delete(hf, "parcels-lost", true, TIMEOUT_MS, NULL));
    return 0;
}

int main(int argc, char **argv)
{
    static int (*const parts[])(struct hands * hands) = {set_up, batch, lose,     found,    give_back,
                                                         ask,    look,  exchange, tear_down};
    struct hands hands = {.hf = NULL};
    struct hf_options options = {.servers = argc > 1 ? argv[1] : "127.0.0.1:7470", .client_name = "parcels"};
    int err = hf_open(&options, &hands.hf);
    err = err == 0 ? hf_open(&options, &hands.other) : err;
    if (err != 0) {
        (void)fprintf(stderr, "%s\n", err_text(err));
    }
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && err == 0; i++) {
        err = parts[i](&hands);
    }
    (void)hf_close(hands.other, TIMEOUT_MS);
    (void)hf_close(hands.hf, TIMEOUT_MS);
    return err == 0 ? 0 : 1;
}
