/* Fault hooks: in a test build, chosen steps can be made to fail or be left out, so that tests show what each is for.
 *
 * Without HOLDFAST_FAULTS every hook is a constant and vanishes; a released binary cannot be told to misbehave. With it,
 * the switches are thread-local, so that tests run in parallel. */

#ifndef HOLDFAST_PROTO_BASE_FAULT_H
#define HOLDFAST_PROTO_BASE_FAULT_H

#include <stdbool.h>
#include <stdint.h>

/* X(name, what happens when it is on) */
/* clang-format off */
#define FAULT_LIST(X)                                                                                  \
    X(ALLOCATION, "blob allocations fail")                                                             \
    X(SKIP_G1, "consensus: an AppendEntries is not split at a CHANGE, committed ones are not reported") \
    X(SKIP_G2, "consensus: an AppendEntries below the commit index is not re-anchored")                \
    X(SKIP_G3, "consensus: a CHANGE is submitted without its conditions")                              \
    X(SKIP_G4, "consensus: the answer to an old term keeps an uninitialised last_log_index")           \
    X(SKIP_G5, "consensus: writes of truncated entries complete as if they were still there")          \
    X(SKIP_G6, "consensus: the last but one voter can be removed")                                     \
    X(SKIP_G7, "consensus: a refused pre-vote answers with the candidate's term")                      \
    X(SKIP_G8, "consensus: stale rejections reach the engine")                                         \
    X(SKIP_G9, "consensus: timeouts are fired at every turn")                                          \
    X(SKIP_G10, "consensus: a second InstallSnapshot reaches the engine")                              \
    X(SKIP_META_SYNC, "consensus: term and vote are written, not synced")                              \
    X(SKIP_LOG_SYNC, "consensus: a log batch is reported as stored before it is synced")               \
    X(SKIP_PRODUCER_CHECK, "machine: a repeated producer sequence is enqueued again")                  \
    X(SKIP_SESSION_RETURN, "machine: what an ended session held stays away")                           \
    X(SKIP_NUMBER_CHECK, "machine: a repeated command number is carried out again")                    \
    X(SKIP_TOKEN_CHECK, "machine: a stale settlement is carried out")                                  \
    X(SKIP_READ_ROUND, "consensus: a read index is given without asking a majority")                   \
    X(SKIP_READ_TERM, "consensus: a read index is given before an entry of the own term is committed") \
    X(SKIP_ROOM_CHECK, "consensus: a follower takes entries for which its log has no room")            \
    X(SKIP_LEASE_STOP, "machine: attaching again does not stop the lease")                             \
    X(SKIP_RUN_CHECK, "machine: a NodeLost for an earlier run is carried out")                         \
    X(SKIP_ATTEMPT_CHECK, "machine: an overtaken attachment displaces the later one")                  \
    X(SKIP_FAILED_CHECK, "machine: a named publish behind a refused one is carried out")               \
    X(DIVERGE, "machine: the first message of a publish counts as repeated; fired once, on one replica alone") \
    X(DIVERGE_QUIETLY, "machine: the last message of a publish is lost; fired once, on one replica alone")  \
    X(SKIP_RESEND, "gateway: unanswered commands are not sent again to a new leader")                  \
    X(SKIP_REPLY_MATCH, "gateway: a reply is matched without its attachment")                          \
    X(SKIP_READ_APPLY, "gateway: a read does not wait until its index is applied")                     \
    X(SKIP_REDELIVERY, "gateway: what an earlier connection may not have seen is not sent again")      \
    X(SKIP_META_SETTLE, "consensus: term and vote that were read are not synced")                      \
    X(SKIP_LOG_SETTLE, "consensus: the last batch that was read is not synced")                        \
    X(SKIP_DIR_SYNC, "consensus: the name of a new segment is not synced")                             \
    X(SKIP_LOG_CHECKSUM, "consensus: the checksums of records are not compared")                       \
    X(SKIP_WATERMARK, "consensus: a log may end before what was acknowledged")                         \
    X(SKIP_BATCH_SYNCED, "consensus: what follows damage does not say that it was synced")             \
    X(SKIP_APPLY_STORED, "consensus: entries are applied that are not on the disk here")               \
    X(SKIP_RECONCILE, "consensus: log and checkpoint need not fit each other")                         \
    X(SKIP_HOLD, "consensus: no log is kept for a copy on its way")                                    \
    X(SKIP_ROW_CHECKSUM, "machine: the checksums of rows are not compared")                            \
    X(SKIP_CREDIT, "machine: consumers are given more than their credit")                              \
    X(SKIP_LEASE_START, "machine: the lease of a session that is detached does not begin")             \
    X(SKIP_TIME_SLEW, "gateway: log time follows the wall clock")                                      \
    X(SKIP_CLOCKS_AGREE, "gateway: log time leaps by the leader's own wall clock, whatever the others show") \
    X(SKIP_MARK_TERM, "gateway: a time mark counts although a later leader has stamped entries") \
    X(SKIP_TIME_LEAP, "gateway: what passed while nobody counted is not made up for") \
    X(SKIP_LACKS, "rebuild: a copy takes the place of what has caught up")                             \
    X(SKIP_PART_CHECKSUM, "rebuild: the checksums of parts are not compared")                          \
    X(SKIP_COPY_SYNC, "rebuild: fetched files are not synced before they count")                       \
    X(SKIP_SWITCH_SYNC, "rebuild: which directory holds the state is not synced")                      \
    X(SKIP_ADMIT_VOTER, "members: a patient is given a copy in which it votes")                        \
    X(SKIP_PROMOTE, "members: a node that was repaired does not get its vote back") \
    X(SKIP_DELIVERY_LIMIT, "machine: a message goes back as often as it likes") \
    X(SKIP_RETURN_EXPIRY, "machine: what comes back after its time is ready again") \
    X(SKIP_EXPIRY, "machine: a message does not expire") \
    X(SKIP_LOCK_END, "machine: a lock does not end") \
    X(SKIP_CIRCLE, "machine: dead letters go round in circles") \
    X(SKIP_NO_TTL, "machine: a dead letter keeps its time to live") \
    X(SKIP_ID_CHECK, "machine: an id is taken a second time") \
    X(SKIP_EPOCH_CHECK, "machine: a producer that was fenced off goes on") \
    X(SKIP_GAP_CHECK, "machine: a gap in the sequences of a producer is let pass") \
    X(SKIP_TALLY, "machine: messages of the same command do not fill a queue") \
    X(SKIP_GROUP, "machine: messages of a group are delivered side by side") \
    X(SKIP_CONSUMER_PRIORITY, "machine: consumers are alike") \
    X(SKIP_EXCLUSIVE_CHECK, "machine: an exclusive queue is for everybody") \
    X(SKIP_ALTERNATE, "machine: what matches nothing does not go to the alternate exchange") \
    X(SKIP_HEADERS_X, "machine: arguments that begin with x- count always") \
    X(SKIP_ALL_HELD, "machine: a settlement of all or nothing leaves stale ones out") \
    X(SKIP_DELAY, "machine: a delayed message is not") \
    X(SKIP_MANDATORY, "machine: nobody is told of a message that reached no queue") \
    X(SKIP_EXCHANGE_END, "machine: an exchange stays after its last binding") \
    X(SKIP_DELAY_DOUBLING, "machine: the delay of a message that comes back is not doubled") \
    X(EXPIRE_EARLY, "machine: a message expires in half of its time") \
    X(LOCK_EARLY, "machine: a lock ends in half of its time") \
    X(SKIP_DEAD_LETTER, "machine: dead letters are dropped") \
    X(SKIP_PRIORITY, "machine: the lowest priority comes first") \
    X(SKIP_ACTIVE, "machine: consumers of a single-active queue are all active") \
    X(SKIP_COMMIT, "machine: committed messages are dropped") \
    X(SKIP_TRANSACT_SETTLE, "machine: a transaction leaves its settlements out") \
    X(SKIP_ONE_WAY, "machine: a queue that two ways lead to has the message twice") \
    X(SKIP_PAUSE, "machine: a paused queue gives messages") \
    X(SKIP_ALONE, "machine: an exclusive consumer is not alone") \
    X(SKIP_LENGTH, "machine: the oldest ones are not dropped from a full queue") \
    X(SETTLE_BACK, "machine: what is accepted goes back to its queue") \
    X(SKIP_QUOTA, "machine: a virtual host has as much as it likes") \
    X(SKIP_USER_QUOTA, "machine: a user has as much as they like") \
    X(SKIP_LENGTH_GIVEN, "machine: a queue is not given the longest length that its virtual host allows") \
    X(SKIP_HOST_SESSIONS, "machine: a virtual host is deleted with its sessions without being told to") \
    X(SKIP_KEEP, "machine: a dead letter is not kept where it died") \
    X(SKIP_KEPT_END, "machine: a kept message is kept for ever") \
    X(SKIP_LIFE_STEP, "machine: that a delivery was released is not noted in the life of a message") \
    X(SKIP_LIFE_END, "machine: the life of a message is known for ever") \
    X(SKIP_REDRIVE_FROM, "machine: redrive does not look where a message died") \
    X(SKIP_REDRIVE_TRAIL, "machine: a redriven message keeps its trail") \
    X(SKIP_REPLAY_LAST, "machine: replay goes on behind the last position") \
    X(SKIP_CHANGE_FIELDS, "machine: a change of some options changes all of them") \
    X(SKIP_PROTECTION, "machine: a protected queue is purged") \
    X(SKIP_QUEUE_EXPIRY, "machine: a queue that nobody uses stays") \
    X(SKIP_AUTO_DELETE, "machine: a queue stays after its last consumer") \
    X(SKIP_SESSION_QUEUES, "machine: an exclusive queue stays after its session") \
    X(SKIP_ACTIVE_NEXT, "machine: no consumer follows the active one") \
    X(SKIP_FETCH_END, "machine: a fetch does not end") \
    X(SKIP_NOT_COUNTED, "machine: a delivery that was not to count does") \
    X(SKIP_EXTEND, "machine: a lock is not extended") \
    X(SKIP_ID_WINDOW, "machine: an id is forgotten as soon as it is noted") \
    X(SKIP_TRANSACT_SEQUENCE, "machine: publishes of a transaction do not know of one another") \
    X(SKIP_TRANSACT_TWICE, "machine: a transaction may settle a delivery twice") \
    X(SKIP_DEADLINE, "machine: what is prepared is dropped at its deadline, whatever was said") \
    X(SKIP_ASK_AGAIN, "machine: a producer is asked once") \
    X(SKIP_DEATH_COUNT, "machine: deaths are not counted") \
    X(SKIP_DEATH_KEYS, "machine: a dead letter without a key of its own loses those that it had") \
    X(SKIP_EXCHANGE_PROTECTION, "machine: a protected exchange is deleted") \
    X(SKIP_DRAIN, "machine: a consumer that drains is given more") \
    X(DEAD_TWICE, "machine: a dead letter is sent twice") \
    X(SKIP_LATE_DEAD, "work: dead letters for which an entry has no work left are lost") \
    X(SKIP_LATE_RETURN, "work: of what a holder that ends has, only as much goes back as an entry does") \
    X(SKIP_LATE_COMMIT, "work: committed messages for which an entry has no work left are lost") \
    X(SKIP_LATE_THINGS, "work: of a deleted queue only as much goes as an entry does") \
    X(SKIP_WAITING_ROW, "machine: a message that waits forgets in the store how often it was delivered") \
    X(SKIP_LIMITS_ROW, "machine: the limits of a virtual host are not stored") \
    X(SKIP_REMOVE_ROW, "machine: what is removed from the table is in the store again after a restart")
/* clang-format on */

enum fault {
#define X(name, text) FAULT_##name,
    FAULT_LIST(X)
#undef X
        FAULT_COUNT
};

#ifdef HOLDFAST_FAULTS
/* Whether the step should fail or be left out now. */
bool fault_fires(enum fault fault);
/* Switches a fault on or off for this thread. */
void fault_set(enum fault fault, bool on);
/* Lets the fault fire once, at its `nth` opportunity from now (0 is the next). */
void fault_set_nth(enum fault fault, uint64_t nth);
/* Switches everything off. */
void fault_reset(void);
/* The name, such as "SKIP_G4"; NULL past the end. */
const char *fault_name(enum fault fault);
/* What happens when it is on; NULL past the end. */
const char *fault_text(enum fault fault);
/* The fault of that name, or FAULT_COUNT. */
enum fault fault_by_name(const char *name);
#else
static inline bool fault_fires(enum fault fault)
{
    (void)fault;
    return false;
}
#endif

#endif
