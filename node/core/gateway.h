/* The gateway: the port of rpc/gateway.h, before a machine and a driver. Every node has one and serves clients.
 *
 * Commands of clients wait in `outgoing` until they are answered. They go to the leader: into the batch when this node
 * leads, in peer frames otherwise. What comes of them is seen here as everywhere: every node applies the log, and its
 * gateway carries out the effects that concern its own links. An entry that is applied is committed, so a reply says the
 * same whoever leads; a change of leader only means that what is unanswered is sent once more.
 *
 * Replies are matched by (session, attachment, number), so that an answer to what an earlier connection sent cannot be
 * taken for the answer to the same number of a later one; attachments by the tag that this process gave them. Deliveries
 * go to the link that the session is bound to, in the order of their numbers, read from the machine from the last one
 * sent. Nothing is queued for a link that cannot take it: it is only remembered that it is behind.
 *
 * Sink and read callbacks are made from within shard_step() alone. */

#ifndef HOLDFAST_NODE_CORE_GATEWAY_H
#define HOLDFAST_NODE_CORE_GATEWAY_H

#include <stdbool.h>
#include <stdint.h>

#include "consensus/driver.h"
#include "node/core/batch.h"
#include "node/core/clocks.h"
#include "node/core/digests.h"
#include "node/core/links.h"
#include "node/core/log_time.h"
#include "node/core/members.h"
#include "node/core/outgoing.h"
#include "node/core/peers.h"
#include "node/core/preference.h"
#include "node/core/pressure.h"
#include "node/core/reads.h"
#include "node/core/roster.h"
#include "node/core/time_keeper.h"
#include "node/core/time_mark.h"
#include "proto/base/arena.h"
#include "proto/base/check.h"
#include "proto/wire/peer.pb-c.h"
#include "rpc/gateway.h"
#include "statemachine/machine.h"

/* Unanswered commands: of one link, and of all. The first command of a link is always taken while there is room in the
 * whole, whatever its size. */
#define LINK_PENDING_COMMANDS_MAX SESSION_WINDOW_MAX
#define LINK_PENDING_BYTES_MAX (4 * MIB)
#define OUTGOING_COMMANDS_MAX 32768u
#define OUTGOING_BYTES_MAX (64 * MIB)

/* Bytes of messages that were settled as they were delivered, for a link that takes nothing, before it is given up. */
#define LINK_FORCED_BYTES_MAX (16 * MIB)

/* How long a link waits with its next messages after one was refused for want of space. */
#define LINK_SLOW_MS 100u

/* Sent to the leader and unanswered: what each node may make the leader keep. One command is always let through. */
#define FORWARD_COMMANDS_MAX 8192u
#define FORWARD_BYTES_MAX (16 * MIB)

/* What the leader keeps for all nodes together before it closes the connection of one that sends more. */
#define BATCH_BYTES_MAX (256 * MIB)

_Static_assert(BATCH_COMMANDS_MAX >= OUTGOING_COMMANDS_MAX, "a leader's own commands fit the batch");
/* What the header of a frame between gateways may unpack to. */
#define PEER_HEADER_UNPACKED_MAX (16 * KIB)

/* A line of status(), with its end. */
#define GATEWAY_ALARM_LEN 320u

/* What links are sent in a round, a few messages of each at a time; the rest waits for the next round, before which what was sent is
 * flushed and what was committed meanwhile is applied. If all there is were sent at once, clients would answer to it so
 * late that consumers fall behind publishers, who are confirmed before; and what is far back in a queue costs all nodes
 * more, so that a queue that consumers could keep short stays long. (Measured with 8 producers and 8 consumers at one
 * node: 72,000 messages in and 48,000 out a second with 4096 deliveries a round, 160,000 in and out with this.) */
#define ROUND_DELIVERIES_MAX 128u
#define ROUND_BYTES_MAX (4 * MIB)
#define LINK_DELIVERIES_MAX 16u
#define LINK_BYTES_MAX (1 * MIB)

struct gateway_core_options {
    struct machine *machine;
    struct driver *driver;
    struct disk *disk;
    const char *dir; /* Of the shard, relative to the disk's root. NULL: time marks are not kept. */
    struct clock *clock;
    struct journal *journal;
    const struct peers *peers;
    const char *cluster;
    const char *version;
    uint64_t node;
    uint64_t body_len_max; /* As in struct gateway. */
    struct pressure_limits limits;
    unsigned presence_timeout_ms;
    unsigned isolation_timeout_ms;
    unsigned disk_stall_ms;
    unsigned clock_skew_ms;   /* How far from the majority's wall clocks ours may be; 0: they are not compared. */
    uint32_t machine_version; /* The newest rules of the machine that this node says to know. */
    const char *zone;         /* Where this node stands, a name as in zone.h; NULL or "": not said. */
    bool preferred;           /* It is to lead, when it can. */
    void *arg;                /* For the callbacks, which are those of shard_options. */
    bool (*send)(void *arg, uint64_t node, struct frame_out *frame);
    void (*fatal)(void *arg, int err, const char *what);
    uint64_t (*memory_used)(void *arg);
    /* What an operator should know of the copy that this node fetches; NULL: it fetches none. May be NULL. */
    const char *(*at_work)(void *arg);
    void (*relax)(void *arg);
    /* The state of this node differs from that of a majority: it must not go on with it. Said once, from within the turn. May
     * be NULL. */
    void (*diverged)(void *arg, const char *what);
    /* What is wrong with this node besides what the gateway knows, for operators, in one line; "" for nothing. May be NULL. */
    const char *(*alarm)(void *arg);
    /* Whether this node voted once, was repaired, and is to vote again when it has caught up. May be NULL. */
    bool (*wants_vote)(void *arg);
    /* This node's data is not to be relied on: it is to begin anew with a copy of the leader's state. `reason` is one line. May be
     * called again and again, from within any call but those of the driver. `ordered`: an operator wants it so, and nothing is known
     * to be wrong. NULL: that cannot be done. */
    void (*repair)(void *arg, const char *reason, bool ordered);
};

struct gateway_core {
    struct gateway base;
    struct gateway_core_options options; /* Everything in it is borrowed for the life of the gateway. */
    /* Shortcuts to the above. */
    struct machine *machine;
    struct driver *driver;
    struct clock *clock;
    struct journal *journal;
    uint64_t node;
    uint64_t run; /* Of this process: drawn at random, not 0. */

    bool leading;  /* Commands are taken into the batch. */
    bool serving;  /* And proposed: everything of earlier terms has been applied. */
    bool stopping; /* No new attachments. */
    bool in_turn;  /* Callbacks are being made: links are freed at the end of the turn. */
    bool more;     /* Something is left to be done in the next turn at once. */
    bool tick;     /* As leader: an entry is wanted, be there commands or not. */
    bool raising;  /* As leader: a newer version of the machine's rules is under way into the log. */
    bool stalled;  /* The disk does not answer, or takes nothing. */
    uint64_t leader;
    uint64_t term;
    uint64_t leaderless_since_ms; /* While `leader` is 0. */
    uint64_t applied_index;
    uint64_t applied_ms;     /* When the last entry was applied. */
    uint64_t entry_term;     /* Of that entry: who stamped it led in this term. */
    uint64_t proposed_index; /* The last entry that this leadership proposed. */
    uint64_t retry_ms;       /* Until then nothing is forwarded: a frame was dropped. */
    uint64_t propose_ms;     /* Until then nothing is proposed: the driver refused. */
    uint64_t answers;        /* Commands of this node answered so far, and as of the last look. */
    uint64_t answers_seen;
    uint64_t stuck_since_ms;   /* Commands wait, and none has been answered since. */
    bool stuck;                /* No answers for too long: no attachments are taken until there is one. */
    uint64_t hand_over_ms;     /* When handing leadership over may be tried again. */
    uint64_t relax_ms;         /* When memory may be given back to the system again. */
    uint64_t version_waits_ms; /* As leader: since when newer rules wait for a member; 0: they do not. */
    uint64_t resume_ms;        /* When a link that was slowed down may go on; UINT64_MAX: none. */
    struct log_time time;
    struct time_mark mark; /* The newest that is known. */
    struct time_keeper keeper;
    uint64_t time_wait_ms; /* As leader, before it serves: others' wall clocks are waited for until then; 0: not yet. */
    struct batch batch;
    struct outgoing outgoing;
    struct links links;
    struct roster roster;
    struct pressure pressure;
    struct reads reads;
    uint64_t reads_ms; /* What reads have taken of this turn. */
    struct digests digests;
    struct digests states;            /* The same of what the machine has in memory, at fewer entries. */
    bool diverged;                    /* That has been said. */
    uint64_t digests_since_ms;        /* When this process began to compare. */
    uint64_t digests_ms;              /* When digests are told and compared again. */
    struct members members;           /* As leader. */
    struct list_node changes;         /* Of the membership, which this node's clients wait for; */
    struct list_node changes_refused; /* struct gateway_change: there was no room for them. */
    unsigned changes_len;
    uint64_t change_id;  /* The last one given. */
    uint64_t changes_ms; /* When what could not be sent is sent again; 0: there is nothing of the kind. */
    struct clocks clocks;
    struct preference preference;
    uint64_t clocks_ms;           /* When wall clocks are told and compared again. */
    uint64_t clocks_leader;       /* The last one that `preference` was told of. */
    uint64_t clocks_hand_over_ms; /* When handing over for a wrong clock may be tried again. */
    char zone_alarm[128];
    struct arena arena; /* For the header of a frame from a peer. */
    struct list_node touched;
    struct list_node behind;
    struct list_node busy;
    struct list_node ending;
    Holdfast__QueueOptions queue_options; /* That gateway_queue() gives out. */
    struct driver_status status;          /* Holds the addresses that status() gives out. */
    char refusing
        [100 *
         MEMBERS_MAX]; /* Why new messages are refused, by us (a part for each node) or, as it said, the leader. */
    char alarms[GATEWAY_ALARMS_MAX][GATEWAY_ALARM_LEN]; /* Those that status() gives out. */
};

void gateway_core_init(struct gateway_core *core, const struct gateway_core_options *options);
/* The driver is there: nothing else may be called before, but gateway_core_role_changed(). */
void gateway_core_set_driver(struct gateway_core *core, struct driver *driver);
/* Forgets all links. */
void gateway_core_done(struct gateway_core *core);

/* From the driver, possibly in the middle of its work: notes it. */
void gateway_core_role_changed(struct gateway_core *core, bool leading, uint64_t leader, uint64_t term);
/* Frames to the node can be sent, or no longer. */
void gateway_core_peer_changed(struct gateway_core *core, uint64_t node, bool connected);
/* A PEER_GATEWAY frame. Borrows. ERR_BROKEN: malformed, or more than this node takes: close the connection; what was sent
 * over it is sent again over the next. */
int gateway_core_receive(struct gateway_core *core, uint64_t from, const struct frame *frame) NODISCARD;
/* A frame of consensus came from the node: it is there. */
void gateway_core_heard(struct gateway_core *core, uint64_t node);
/* From the driver: see driver_host.read_ready. */
void gateway_core_read_ready(struct gateway_core *core, uint64_t round, uint64_t index);
/* From the driver: see driver_host.forgot. Tells the node. */
void gateway_core_forgot(struct gateway_core *core, uint64_t node, uint64_t had, uint64_t has);

/* A node that has nothing it may count on asks for a copy of the state. 0: it may have one. ERR_NOT_LEADER: another is to be asked.
 * Others as in members_admits(). */
int gateway_core_admits(struct gateway_core *core, const struct rebuild_asks *asks,
                        struct rebuild_says *ret_says) NODISCARD;

/* From the driver: the entry has been applied, with these effects. Makes no call that changes the machine. */
void gateway_core_applied(struct gateway_core *core, uint64_t index, uint64_t term, const struct effects *effects);

/* Sends what has gathered towards the leader; proposes as far as the driver takes it. Whether anything was proposed. */
bool gateway_core_propose(struct gateway_core *core);

/* As leader: proposes an entry soon, even if there is no command for it. */
void gateway_core_tick(struct gateway_core *core);

/* Ends a turn: presence, deliveries, flushes, resumes, and the farewell to links that are over. */
void gateway_core_turn(struct gateway_core *core);

/* When gateway_core_turn() is due again at the latest, by the monotonic clock. */
uint64_t gateway_core_deadline_ms(const struct gateway_core *core);

/* Tells all clients to go elsewhere, and takes no new ones. */
void gateway_core_stop(struct gateway_core *core);
/* Whether what it had to say, such as that its sessions are detached, has been answered, or nobody can be hoped to hear it. */
bool gateway_core_finished(const struct gateway_core *core);

/* For the gateway's own files. */

uint64_t gateway_now_ms(const struct gateway_core *core);

/* gateway_command.c: commands of nodes. */

/* The encoded attach command with its tag, ready to be pushed. ERR_NOMEM. */
int gateway_attach_command(struct gateway_core *core, const struct gateway_attach *attach, uint64_t tag,
                           struct outgoing_command **ret_command) NODISCARD;
/* A detach command without content yet, and its content. ERR_NOMEM. */
int gateway_farewell_new(struct outgoing_command **ret_command) NODISCARD;
void gateway_farewell_fill(struct gateway_core *core, struct outgoing_command *command, uint64_t session,
                           uint64_t attachment, uint64_t tag);
/* As leader, into the batch. ERR_NOMEM, ERR_LIMIT. */
int gateway_push_node_present(struct gateway_core *core, uint64_t node, uint64_t run) NODISCARD;
int gateway_push_node_lost(struct gateway_core *core, uint64_t node, uint64_t run) NODISCARD;
int gateway_push_raise_version(struct gateway_core *core, uint32_t version) NODISCARD;
/* What stands for a command that is refused for want of space. Static memory. */
struct slice gateway_refused_header(void);

/* gateway.c */

/* The machine could not read what it has: this node's data is damaged, and it is to be repaired, or its process to end. A node
 * whose disk fails, or that is out of memory, must end. */
void gateway_machine_failed(struct gateway_core *core, int err, const char *what);
/* Who leads, as clients are told; node 0 when nobody is known to. Borrows the address. */
struct gateway_leader gateway_where(const struct gateway_core *core);
/* Frees a link in no callback's hands, with the commands that nobody waits for any more. */
void gateway_link_free(struct gateway_core *core, struct link *link);
/* Notes when a busy link is to be looked at again, if nothing of its own brings it back. */
void gateway_resume_at(struct gateway_core *core, const struct link *link);
/* The link is over, with `err` and a line for the protocol's side. Harmless when it is already. */
void gateway_link_doom(struct gateway_core *core, struct link *link, int err, const char *detail);
/* All of them, with UNAVAILABLE. */
void gateway_doom_all(struct gateway_core *core, const char *detail);
/* Sends the link's detach command, once. `session` is given for a link that is not bound. */
void gateway_link_farewell(struct gateway_core *core, struct link *link, uint64_t session, uint64_t attachment);
/* A command of this node's is answered: it is not stuck. */
void gateway_answered(struct gateway_core *core);
/* One of the link's commands is answered. */
void gateway_link_answered(struct gateway_core *core, struct link *link, struct outgoing_command *command);
/* The link is to be flushed at the end of the turn. */
void gateway_link_touch(struct gateway_core *core, struct link *link);
/* Deliveries of the consumer above what was sent are to be caught up. */
void gateway_consumer_behind(struct gateway_core *core, struct link *link, struct link_consumer *consumer);

/* gateway_effects.c: the session has no such consumer any more, its queue was deleted: forgets it, tells the protocol. */
void gateway_consumer_ended(struct gateway_core *core, struct link *link, uint64_t id);
/* gateway_deliver.c: sends at once what was settled as it was delivered. */
void gateway_deliver_settled(struct gateway_core *core, struct link *link, const struct effect_delivery *effect);
/* gateway_deliver.c: sends what links that are behind can take now. */
void gateway_deliver(struct gateway_core *core);

/* gateway_forward.c: towards the leader, and from other nodes. */
void gateway_route(struct gateway_core *core);
/* Into the batch, as leader. ERR_NOMEM, ERR_LIMIT. */
int gateway_batch_push(struct gateway_core *core, const struct entry_command *command) NODISCARD;
/* Sends a frame to a node. Whether it was taken. `body` is borrowed. */
bool gateway_send(struct gateway_core *core, uint64_t to, Holdfast__PeerGateway *message, struct slice body);

/* gateway_time.c: log time, and the marks of it. */
void gateway_time_init(struct gateway_core *core);
/* Every second: as leader that serves, makes a mark; keeps the newest. core->status is up to date. */
void gateway_time_turn(struct gateway_core *core, uint64_t now_ms);
/* The node says that this is the newest mark that it knows. ERR_BROKEN. */
int gateway_time_take(struct gateway_core *core, uint64_t from, const struct time_mark *mark) NODISCARD;
/* As leader that has applied everything of earlier terms: begins log time where it goes on. False: the others' wall clocks are waited
 * for; to be called again when something came, or at the deadline. core->status is up to date. */
bool gateway_time_begin(struct gateway_core *core);
uint64_t gateway_time_deadline_ms(const struct gateway_core *core);
/* As leader that serves: log time now, as the next entry would be stamped. */
uint64_t gateway_log_time_ms(const struct gateway_core *core);
/* Log time as this node knows it: as a leader that serves the above; otherwise that of the last entry, and what has passed here since
 * it was applied. 0: no entry yet. */
uint64_t gateway_log_time_known_ms(const struct gateway_core *core);

/* gateway_presence.c: who is there; whether this node is cut off; whether its disk answers. */
void gateway_presence_turn(struct gateway_core *core);
uint64_t gateway_presence_deadline_ms(const struct gateway_core *core);
/* As leader: that process of the node was heard of, or the log says that it is over. */
void gateway_presence_heard(struct gateway_core *core, uint64_t node, uint64_t run);
void gateway_presence_ended(struct gateway_core *core, uint64_t node);

/* gateway_version.c: as leader: raises the version of the machine's rules to what all members know. */
void gateway_version_turn(struct gateway_core *core);
/* As leader, when newer rules have waited for a while: which members hold them back, and why, in one line; "" for none. core->status
 * is up to date. */
void gateway_version_alarm(struct gateway_core *core, char ret_text[GATEWAY_ALARM_LEN]);

/* gateway_room.c: disk and memory. As leader: refuses new messages, and hands leadership over. */
void gateway_room_measure(struct gateway_core *core, uint64_t now_ms);
void gateway_room_refuse(struct gateway_core *core, uint64_t now_ms);
/* As one that does not lead: the leader says why it refuses new messages; "": it takes them. */
void gateway_room_heard(struct gateway_core *core, const char *refusing);
void gateway_room_hand_over(struct gateway_core *core, uint64_t now_ms);
/* As leader: whether the node is heard of, and short of nothing. */
bool gateway_room_has(const struct gateway_core *core, uint64_t node);

/* gateway_digests.c: running digests, told to all members and compared with theirs. */
void gateway_digests_init(struct gateway_core *core);
void gateway_digests_applied(struct gateway_core *core, uint64_t index);
void gateway_digests_turn(struct gateway_core *core);
/* The membership in force is another one. */
void gateway_digests_members_changed(struct gateway_core *core);
/* ERR_BROKEN. */
int gateway_digests_take(struct gateway_core *core, uint64_t from, const Holdfast__Digests *digests) NODISCARD;
/* Whether the state of this node may be wrong: no clients are taken, and as leader no commands. */
bool gateway_digests_unsure(const struct gateway_core *core);
/* Whether a copy of the state that this node had at the entry may be given to others: a majority of the voters is known to have
 * had the same there or later; or, for a node that is only behind, nobody who could tell has been there for a while. */
bool gateway_digests_give(struct gateway_core *core, uint64_t index, bool patient);
/* What operators should know, in one line; "" for nothing. Valid until the next turn. */
const char *gateway_digests_alarm(const struct gateway_core *core);

/* gateway_clocks.c: wall clocks and zones, told to all members and compared; who is to lead. */
void gateway_clocks_init(struct gateway_core *core);
void gateway_clocks_turn(struct gateway_core *core);
uint64_t gateway_clocks_deadline_ms(const struct gateway_core *core);
/* ERR_BROKEN. */
int gateway_clocks_take(struct gateway_core *core, uint64_t from, const Holdfast__WallClock *clock) NODISCARD;
/* What operators should know of our wall clock, and of the zones of the voters, in one line each; "" for nothing. */
void gateway_clocks_alarm(const struct gateway_core *core, char ret_text[CLOCKS_TEXT_LEN]);
const char *gateway_zones_alarm(const struct gateway_core *core);
/* What any node, this one included, has said of itself; "" and false when nothing is known. Borrowed until the next turn. */
const char *gateway_zone(const struct gateway_core *core, uint64_t node);
bool gateway_preferred(const struct gateway_core *core, uint64_t node);

/* gateway_members.c: changes of the membership. */
void gateway_members_init(struct gateway_core *core);
void gateway_members_done(struct gateway_core *core);
void gateway_members_turn(struct gateway_core *core);
uint64_t gateway_members_deadline_ms(const struct gateway_core *core);
/* Another leads, or nobody: what was asked of the last one has an unknown outcome. Makes no callbacks. */
void gateway_members_role_changed(struct gateway_core *core);
/* The connection to the leader is a new one: what was sent over the last one is sent again. */
void gateway_members_resend(struct gateway_core *core);
/* From other nodes: as leader, a request; the leader's answer to one. */
void gateway_members_take(struct gateway_core *core, uint64_t from, const Holdfast__ChangeMember *change);
void gateway_members_take_result(struct gateway_core *core, uint64_t from, const Holdfast__ChangeMemberResult *result);
void gateway_change(struct gateway *gateway, struct gateway_change *change);
void gateway_change_cancel(struct gateway *gateway, struct gateway_change *change);
/* Whether it is a member now; core->status is up to date afterwards. */
bool gateway_knows_member(struct gateway_core *core, uint64_t node);

/* gateway_repair.c: nodes that are to begin anew with a copy of the state. */
int gateway_repair(struct gateway *gateway, uint64_t node);
/* From another node: that this one is to. */
void gateway_repair_take(struct gateway_core *core, uint64_t from, const Holdfast__Repair *repair);

/* gateway_read.c */
void gateway_read(struct gateway *gateway, struct gateway_read *read);
void gateway_read_cancel(struct gateway *gateway, struct gateway_read *read);
void gateway_reads_turn(struct gateway_core *core);

/* gateway_look.c, gateway_look_messages.c, gateway_look_exchanges.c, gateway_look_publishing.c, gateway_status.c: what operators
 * ask. */
uint32_t gateway_machine_version(struct gateway *gateway);
int gateway_queues(struct gateway *gateway, const char *virtual_host, const char *after, void *arg,
                   bool (*each)(void *arg, const struct gateway_queue *queue), bool *ret_more);
int gateway_queue(struct gateway *gateway, const char *virtual_host, const char *name, struct gateway_queue *ret_queue);
int gateway_browse(struct gateway *gateway, const char *virtual_host, const char *name, uint64_t position, bool kept,
                   void *arg, bool (*each)(void *arg, const struct gateway_browsed *message), bool *ret_more);
int gateway_exchanges(struct gateway *gateway, const char *virtual_host, const char *after, void *arg,
                      bool (*each)(void *arg, const struct gateway_exchange *exchange), bool *ret_more);
int gateway_bindings(struct gateway *gateway, const char *virtual_host, const char *from, uint64_t after, void *arg,
                     bool (*each)(void *arg, const struct gateway_binding *binding), bool *ret_more);
int gateway_virtual_hosts(struct gateway *gateway, const char *after, void *arg,
                          bool (*each)(void *arg, const struct gateway_virtual_host *host), bool *ret_more);
int gateway_life(struct gateway *gateway, const char *virtual_host, const char *queue, uint64_t position, void *arg,
                 bool (*each)(void *arg, const struct gateway_step *step), bool *ret_more);
int gateway_consumers(struct gateway *gateway, const char *virtual_host, const char *queue, uint64_t session,
                      uint64_t consumer, void *arg, bool (*each)(void *arg, const struct gateway_consumer *consumer),
                      bool *ret_more);
int gateway_limits(struct gateway *gateway, const char *virtual_host, const char *user, void *arg,
                   bool (*each)(void *arg, const struct gateway_limit *limit));
int gateway_producer(struct gateway *gateway, const char *virtual_host, const char *name,
                     struct gateway_producer *ret_producer);
int gateway_prepared(struct gateway *gateway, const char *virtual_host, const char *after, void *arg,
                     bool (*each)(void *arg, const struct gateway_prepared *prepared), bool *ret_more);
/* The queue of that name in that virtual host. ERR_NOT_FOUND. */
int gateway_find_queue(struct gateway_core *core, const char *virtual_host, const char *name,
                       struct machine_queue *ret_queue) NODISCARD;
/* A look changes nothing, but what it finds may not stay so. */
void gateway_note_damage(struct gateway_core *core, int err, const char *what);
int gateway_transfer(struct gateway *gateway, uint64_t node);
void gateway_fill_status(struct gateway *gateway, struct gateway_status *ret_status);
/* Everything that is wrong with this node, in one line; "" for nothing. */
void gateway_own_alarm(struct gateway_core *core, char ret_text[ROSTER_ALARM_LEN]);

static inline struct gateway_core *gateway_core_of(struct gateway *gateway)
{
    return container_of(gateway, struct gateway_core, base);
}

#endif
