"""Whoever reaches the ports of a cluster can say what they like: the nodes live, stay small and serve the others."""

import os
import random
import re
import socket
import struct
import time

import harness
import native
from native import field, frame, prefix, varint
from test_bad_input import GoodClient, resident_kib

EXISTS, NOT_FOUND, INVALID, TOO_BIG, OUT_OF_ORDER, NAME, UTF8, CHECKSUM, REFUSED, DISPLACED, BROKEN = \
    5, 4, 6, 7, 17, 20, 19, 21, 24, 26, 27
ATTACHED, REPLIES = 33, 34
PEER_HELLO, PEER_RAFT = 64, 65
# Kinds of commands, and of messages between nodes.
ATTACH_SESSION, CLOSE_SESSION, GONE, DECLARE, DELETE, PUBLISH, SUBSCRIBE, UNSUBSCRIBE, SETTLE, SET_CREDIT, \
    RAISE_VERSION, DETACH_SESSION, NODE_PRESENT, NODE_LOST, REFUSAL, PURGE = range(1, 17)
APPEND_ENTRIES, APPEND_RESULT, REQUEST_VOTE, VOTE_RESULT, INSTALL_SNAPSHOT, TIMEOUT_NOW = range(3, 9)
LAST = 2**64 - 1
HASH_OF_NOTHING = 0x2D06800538D394C2  # XXH3-64 of the empty body.


def fixed64(number, value):
    return varint(number << 3 | 1) + struct.pack("<Q", value)


def publish(queue, lens, hashes, producer=b"", sequence=0):
    return field(PUBLISH, field(1, queue) + field(2, b"".join(varint(n) for n in lens)) +
                 field(3, b"".join(struct.pack("<Q", h) for h in hashes)) + field(4, producer) + field(5, sequence))


def settle(consumer, firsts, lasts, outcome=0):
    return field(SETTLE, field(1, consumer) + field(2, outcome) + field(3, b"".join(varint(n) for n in firsts)) +
                 field(4, b"".join(varint(n) for n in lasts)))


class Session(native.Connection):
    """An attached session."""

    def __init__(self, address, key=None, small=False):
        super().__init__(address, timeout=10)
        if small:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.key, self.number = key or os.urandom(16), 0
        self.hello()
        self.send(frame(native.ATTACH, field(1, self.key)))
        kind, header, _ = self.receive()
        assert kind == ATTACHED, kind
        self.id = native.fields(header)[1][0]

    def submit(self, command, body=b"", number=None, answered=0):
        if number is None:
            self.number += 1
            number = self.number
        self.send(frame(native.COMMAND, field(1, number) + field(2, answered) + field(3, command), body))
        return number

    def error_of(self, command, body=b"", **more):
        """The error of the reply; that of the goodbye as ("goodbye", error)."""
        number = self.submit(command, body, **({"answered": self.number} | more))
        while True:
            got = self.receive()
            assert got is not None, "closed without a word"
            kind, header, _ = got
            if kind == native.GOODBYE:
                return "goodbye", native.fields(header)[1][0]
            for reply in native.fields(header).get(1, []) if kind == REPLIES else []:
                found = native.fields(reply)
                if found[1][0] == number:
                    return found.get(2, [0])[0]


class Hostile(harness.ClusterTest):
    def setUp(self):
        self.start_cluster(nodes=3)
        self.pids = [self.cluster.pid(node) for node in (1, 2, 3)]
        self.cluster.holdfast("queue", "declare", "good")
        self.cluster.holdfast("queue", "declare", "q")
        self.leader = self.cluster.address(self.cluster.leader())
        self.random = random.Random(1)
        self.good = GoodClient(self.cluster, "good")
        self.good.start()
        self.addCleanup(self.good.stopping.set)

    def check_cluster(self, same_leader=True):
        """The good client has never been refused, and the same processes do nothing now that nobody asks for anything."""
        sent = self.good.sent
        harness.wait_for("the good client goes on", lambda: self.good.error or self.good.sent >= sent + 3)
        self.good.finish()
        if same_leader:
            self.assertEqual(self.cluster.ready("good"), self.good.sent)
        self.assertEqual([self.cluster.pid(node) for node in (1, 2, 3)], self.pids)
        for pid in self.pids:
            os.kill(pid, 0)
        before = [cpu_seconds(pid) for pid in self.pids]
        time.sleep(1)
        for pid, seconds in zip(self.pids, before):
            self.assertLess(cpu_seconds(pid) - seconds, 0.5, "a node is busy with nothing")

    def test_commands_that_lie(self):
        with Session(self.leader) as s:
            for command, error in (
                    (field(RAISE_VERSION, field(1, 99)), REFUSED),
                    (field(DECLARE, field(1, b"x")) + field(RAISE_VERSION, field(1, 99)), REFUSED),
                    (field(DETACH_SESSION, field(1, s.id) + field(2, 1)), REFUSED),
                    (field(NODE_PRESENT, field(1, 9) + fixed64(2, 1)), REFUSED),
                    (field(NODE_LOST, field(1, 1) + fixed64(2, 1)), REFUSED),
                    (field(REFUSAL, field(1, TOO_BIG)), TOO_BIG),  # Who asks for a refusal gets it.
                    (field(GONE, field(1, s.id) + field(2, 1)), INVALID),
                    (field(PURGE, field(1, b"nowhere")), NOT_FOUND),
                    (field(ATTACH_SESSION, field(1, b"k" * 16)), REFUSED),
                    (field(200, b"?"), INVALID),
                    (b"\xff" * 50, INVALID),
                    (field(PUBLISH, field(1, b"q") + field(2, b"\0" * 100_000)), INVALID),
                    (field(PUBLISH, field(1, b"q") * 60_000), INVALID),
                    (field(DECLARE, field(1, b"n" * 255)), 0),
                    (field(DECLARE, field(1, b"n" * 256)), NAME),
                    (field(DECLARE, field(1, b"")), NAME),
                    (field(DECLARE, field(1, b"q\0x")), INVALID),
                    (field(DECLARE, field(1, b"a\nb")), NAME),
                    (field(DECLARE, field(1, b"\xed\xa0\x80")), UTF8),
                    (publish(b"q", [], []), INVALID),
                    (publish(b"q", [0] * 4097, [HASH_OF_NOTHING] * 4097), INVALID),
                    (publish(b"q", [4], [0]), INVALID),
                    (publish(b"q", [2**32 - 1, 2], [0, 0]), TOO_BIG),
                    (publish(b"q", [0], [7]), CHECKSUM),
                    (publish(b"q", [0] * 20, [HASH_OF_NOTHING] * 20), 0),
                    (publish(b"q", [0], [HASH_OF_NOTHING], b"p", LAST), INVALID),
                    (publish(b"q", [0, 0], [HASH_OF_NOTHING] * 2, b"p", LAST - 1), INVALID),
                    (publish(b"q", [0], [HASH_OF_NOTHING], b"p", LAST - 1), 0),
                    (publish(b"q", [0], [HASH_OF_NOTHING], b"p", 1), 0),
                    (field(SUBSCRIBE, field(1, b"q") + field(2, LAST) + field(3, 65536)), INVALID),
                    (field(SUBSCRIBE, field(1, b"q") + field(2, LAST) + field(3, 10)), 0),
                    (field(SUBSCRIBE, field(1, b"q") + field(2, LAST) + field(3, 10)), EXISTS),
                    (settle(LAST, [1], [LAST]), INVALID),
                    (settle(LAST, [5], [1]), INVALID),
                    (settle(LAST, [1] * 4097, [1] * 4097), INVALID),
                    (settle(LAST, [1], [1], LAST), INVALID),
                    (settle(LAST, [1] * 4096, [10] * 4096, 2), 0),
                    (field(SET_CREDIT, field(1, LAST)), 0),
                    (field(SET_CREDIT, field(1, LAST) + field(2, 65535)), 0)):
                self.assertEqual(s.error_of(command), error, command[:100])
            self.assertEqual(s.error_of(field(DECLARE, field(1, b"x")), b"body"), INVALID)
            declare = field(DECLARE, field(1, b"x"))
            self.assertEqual(s.error_of(declare), 0)
            for number in (s.number + 2, LAST):
                self.assertEqual(s.error_of(declare, number=number), OUT_OF_ORDER)
            self.assertEqual(s.error_of(declare, number=s.number + 1), ("goodbye", BROKEN), "after the last number")
            with Session(self.leader, s.key) as again:
                self.assertEqual(again.error_of(declare, number=1, answered=0), OUT_OF_ORDER, "it was answered")
                with Session(self.leader, s.key) as thief:
                    self.assertEqual(again.receive_goodbye()[0], DISPLACED)
                    self.assertEqual(thief.error_of(declare, number=LAST), OUT_OF_ORDER)
        for number, answered in ((0, 0), (1, 1), (5, LAST)):
            with Session(self.leader) as s:
                self.assertEqual(s.error_of(declare, number=number, answered=answered), ("goodbye", BROKEN))
        self.check_cluster()

    def test_random_frames_in_every_state(self):
        before = [len(os.listdir(f"/proc/{pid}/fd")) for pid in self.pids]
        for _ in range(400):
            with native.Connection(self.cluster.address(self.random.randint(1, 3))) as c:
                sent = b""
                if self.random.random() < 0.8:
                    sent += frame(native.HELLO, field(1, b"hostile"))
                if self.random.random() < 0.6:
                    sent += frame(native.ATTACH, field(1, self.random.randbytes(16)))
                for _ in range(self.random.randrange(6)):
                    sent += frame(self.random.choice([0, 1, 2, 3, 4, 5, 32, 34, 64, 65, 255]),
                                  self.random.choice([b"", field(1, 1) + field(3, field(DECLARE, field(1, b"r"))),
                                                      self.random.randbytes(self.random.randrange(300))]),
                                  self.random.randbytes(self.random.choice([0, 0, 50])))
                sent = bytearray(sent)
                for _ in range(self.random.choice([0, 0, 1, 5])):
                    if sent:
                        sent[self.random.randrange(len(sent))] = self.random.randrange(256)
                c.send(bytes(sent[:self.random.choice([len(sent), len(sent), self.random.randrange(len(sent) + 1)])]))
        for _ in range(50):  # Attached, and gone within a large body.
            with Session(self.leader) as s:
                s.send(prefix(native.COMMAND, 20, 16 << 20) + b"x" * self.random.randrange(100_000))
        harness.wait_for("the connections are closed", lambda: all(
            len(os.listdir(f"/proc/{pid}/fd")) < count + 20 for pid, count in zip(self.pids, before)), seconds=20)
        self.check_cluster()

    def test_clients_that_read_nothing(self):
        for _ in range(4):
            self.cluster.holdfast("publish", "q", stdin=b"z" * (15 << 20), text=False)
        before = [resident_kib(pid) for pid in self.pids]
        sessions = [Session(self.leader, small=True) for _ in range(20)]
        for s in sessions:
            for consumer in range(1, 21):
                s.submit(field(SUBSCRIBE, field(1, b"q") + field(2, consumer) + field(3, 65535)))
        s = sessions[0]
        s.socket.settimeout(1)
        more = frame(native.QUERY, field(1, 1)) * 1000
        with self.assertRaises((TimeoutError, ConnectionError)):
            while True:
                s.socket.sendall(more)
        for pid, kib in zip(self.pids, before):
            self.assertLess(resident_kib(pid) - kib, 200 * 1024)
        for s in sessions:
            s.socket.close()
        self.check_cluster()

    def peer(self, to, me, **wrong):
        """A connection to the peer port of a node that says to be another; what the node has answered, its type."""
        with open(self.cluster.path("cluster", "peers"), encoding="ascii") as f:
            address = f.read().split()[to - 1]
        with open(self.cluster.node_path(me, "data", "identity"), encoding="ascii") as f:
            incarnation = int(re.search(r"incarnation ([0-9a-f]+)", f.read()).group(1), 16)
        c = native.Connection(address, timeout=10)
        self.addCleanup(c.socket.close)
        c.send(frame(PEER_HELLO, field(1, wrong.get("cluster", b"local")) + field(2, wrong.get("node", me)) +
                     field(3, wrong.get("looks_for", to)) + fixed64(4, wrong.get("incarnation", incarnation)) + field(5, 1)))
        got = c.receive()
        return c, got[0] if got is not None else None

    def test_peer_port(self):
        for wrong in ({"cluster": b"other"}, {"node": 9}, {"node": LAST}, {"node": 0}, {"looks_for": 3}, {"incarnation": 5}):
            self.assertEqual(self.peer(1, 2, **wrong)[1], native.GOODBYE, wrong)
        log_before = len(self.cluster.log(1))
        for _ in range(300):
            self.peer(1, 2, incarnation=self.random.getrandbits(64))[0].socket.close()
        self.assertLess(len(self.cluster.log(1)) - log_before, 10_000, "strangers fill the disk")
        with open(self.cluster.path("cluster", "peers"), encoding="ascii") as f:
            host, port = f.read().split()[0].rsplit(":", 1)
        for _ in range(100):
            with socket.create_connection((host, int(port)), timeout=10) as s:
                s.sendall(self.random.randbytes(self.random.randrange(1, 200)))
        self.check_cluster()

    def test_impostors_among_the_nodes(self):
        """Who knows a member's incarnation is believed to be it: that costs elections, but must end no process."""
        self.good.stopping.set()
        self.good.join()
        vote = field(2, 1 << 30) + field(3, 1) + field(4, 1)  # Log as long as can be, in an old term; disrupts.
        taken = 0
        for round_number in range(60):
            to, me = self.random.sample((1, 2, 3), 2)
            c, said = self.peer(to, me)
            if said != PEER_HELLO:
                continue  # The member itself has connected again meanwhile, and took our place.
            taken += 1
            term = self.random.choice([1, 2, LAST, LAST, LAST // 2, 1 << 40])
            kind, message = self.random.choice([
                (REQUEST_VOTE, field(1, me) + vote), (REQUEST_VOTE, vote), (REQUEST_VOTE, field(1, LAST) + vote),
                (VOTE_RESULT, field(1, 1) + field(2, 1)), (VOTE_RESULT, field(1, 1)),
                (APPEND_RESULT, field(1, LAST) + field(2, LAST)), (APPEND_RESULT, field(1, 1)),
                (APPEND_ENTRIES, field(1, LAST) + field(2, 1) + field(3, LAST)),
                (APPEND_ENTRIES, field(4, b"\1" * 300) + field(5, b"\1" * 300) + field(6, b"\0" * 300)),
                (INSTALL_SNAPSHOT, field(1, 1 << 40) + field(2, 1) + field(3, 1) + field(4, b"\1" + b"\0" * 8)),
                (TIMEOUT_NOW, field(1, LAST)), (9, b""), (REQUEST_VOTE, self.random.randbytes(30))])
            if kind == APPEND_ENTRIES and term <= 2:
                term = LAST  # To lead in a term that has a leader is a contradiction, which ends the process by design.
            c.send(frame(PEER_RAFT, field(2, term) + field(kind, message)))
            if round_number % 10 == 0:
                c.receive()
            c.socket.close()
        self.assertGreater(taken, 20)
        # Terms are for ever: none of the absurd ones may have been taken over.
        harness.wait_for("a leader in a term of this world", lambda: self.in_this_world(self.cluster.leader()))
        self.good = GoodClient(self.cluster, "good")
        self.good.start()
        self.addCleanup(self.good.stopping.set)
        self.check_cluster(same_leader=False)

    def in_this_world(self, leader):
        row = self.cluster.status(leader)
        return row is not None and int(row["term"]) < 1 << 20


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        cells = f.read().rsplit(")", 1)[1].split()
    return (int(cells[11]) + int(cells[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    harness.main()
