"""Random sessions on a live cluster: methods that make sense, in an order that need not, on several connections and nodes at once, over
queues and exchanges that they share; some end in mid-sentence. No node ends, nobody waits for ever, the replicas stay equal, and in the
end everything still works. AMQP_SEED repeats a run's choices."""

import os
import random
import select
import struct
import threading
import time

import amqp_broker
import amqp_raw as raw
import harness

SECONDS = 15
SESSIONS = 6
BIND, UNBIND, PURGE, DELETE, QOS, CANCEL, RECOVER, NACK, REJECT = (50, 20), (50, 50), (50, 30), (50, 40), (60, 10), (60, 30), (60, 110), \
    (60, 120), (60, 90)
X_DECLARE, X_DELETE, X_BIND, X_UNBIND = (40, 10), (40, 20), (40, 30), (40, 40)
TX_SELECT, TX_COMMIT, TX_ROLLBACK = (90, 10), (90, 20), (90, 30)
ZERO = struct.pack(">H", 0)


class Session:
    """One connection that says random things, and reads what it is told; Channel.Close it answers."""

    def __init__(self, address, rng, names):
        self.rng, self.names = rng, names
        self.connection = raw.Connection(address)
        self.connection.handshake(frame_max=rng.choice((4096, 131072)))
        self.open, self.tags, self.over, self.said = set(), {}, False, 0

    def queue(self):
        return self.rng.choice(self.names)

    def exchange(self):
        return self.rng.choice(["", "amq.direct", "amq.topic", "amq.fanout", "amq.headers", *(f"x-{name}" for name in self.names)])

    def arguments(self):
        """Of a queue: often none, so that declarations agree."""
        rng, entries = self.rng, b""
        if rng.random() < 0.2:
            for name, low, high in (("x-message-ttl", 0, 500), ("x-max-length", 0, 5), ("x-max-priority", 0, 5),
                                    ("x-expires", 1, 2000), ("x-delivery-limit", 0, 3)):
                if rng.random() < 0.3:
                    entries += raw.entry(name, b"I", struct.pack(">i", rng.randint(low, high)))
            if rng.random() < 0.5:
                entries += raw.entry("x-dead-letter-exchange", b"S", raw.long(self.exchange()))
            if rng.random() < 0.3:
                entries += raw.entry("x-single-active-consumer", b"t", b"\1")
        return raw.table(entries)

    def message(self, channel):
        rng, flags, properties = self.rng, 0, b""
        if rng.random() < 0.5:
            flags |= 0x2000
            properties += raw.table(raw.entry("n", b"I", struct.pack(">i", rng.randint(0, 9))))
        if rng.random() < 0.3:
            flags |= 0x0800
            properties += bytes([rng.randint(0, 9)])
        if rng.random() < 0.2:
            flags |= 0x0100
            properties += raw.short(str(rng.randint(0, 1000)))
        size = rng.choice((0, 1, 100, 1000, 5000))
        parts = [raw.body(channel, b"b" * min(4088, size - at)) for at in range(0, size, 4088)]
        return raw.publish(channel, self.exchange(), self.queue(), rng.choice((0, 0, 1))) + \
            raw.header(channel, size, flags, properties) + b"".join(parts)

    def something(self, channel):
        """The bytes of one method."""
        rng, q, method = self.rng, raw.short(self.queue()), raw.method
        bits = bytes([rng.choice((0, 0, 0, rng.getrandbits(3)))])
        tag = struct.pack(">Q", rng.choice((self.tags.get(channel, 0), rng.randint(0, self.tags.get(channel, 0) + 1))))
        return rng.choice((
            lambda: raw.declare(channel, self.queue(), rng.choice((0, 0, 0, 2, 4, 8, 16)), self.arguments()),
            lambda: method(channel, BIND, ZERO + q + raw.short(self.exchange()) + q + b"\0" + raw.table()),
            lambda: method(channel, UNBIND, ZERO + q + raw.short(self.exchange()) + q + raw.table()),
            lambda: method(channel, PURGE, ZERO + q + b"\0"),
            lambda: method(channel, DELETE, ZERO + q + bits) if rng.random() < 0.3 else b"",
            lambda: method(channel, QOS, struct.pack(">IHB", 0, rng.choice((0, 1, 3, 100)), rng.random() < 0.2)),
            lambda: method(channel, CANCEL, raw.short(f"c{rng.randint(0, 3)}") + b"\0"),
            lambda: method(channel, RECOVER, b"\1"),
            lambda: method(channel, X_DECLARE, ZERO + raw.short("x-" + self.queue()) +
                           raw.short(rng.choice(("direct", "fanout", "topic", "headers"))) + bits + raw.table()),
            lambda: method(channel, X_DELETE, ZERO + raw.short(self.exchange()) + bits) if rng.random() < 0.3 else b"",
            lambda: method(channel, X_BIND, ZERO + raw.short(self.exchange()) + raw.short(self.exchange()) + q + b"\0" + raw.table()),
            lambda: method(channel, X_UNBIND, ZERO + raw.short(self.exchange()) + raw.short(self.exchange()) + q + b"\0" + raw.table()),
            lambda: method(channel, rng.choice((TX_SELECT, raw.CONFIRM)), b"") if rng.random() < 0.2 else b"",
            lambda: method(channel, rng.choice((TX_COMMIT, TX_ROLLBACK))),
            lambda: method(channel, raw.GET, ZERO + q + bytes([rng.getrandbits(1)])),
            lambda: raw.consume(channel, self.queue(), f"c{rng.randint(0, 3)}", rng.choice((0, 2, 4, 0))),
            lambda: method(channel, raw.ACK, tag + bits[:1]),
            lambda: method(channel, NACK, tag + bytes([rng.getrandbits(2)])),
            lambda: method(channel, REJECT, tag + bytes([rng.getrandbits(1)])),
            lambda: self.message(channel), lambda: self.message(channel), lambda: self.message(channel),
            lambda: b"".join(self.message(channel) for _ in range(20)),
            lambda: method(channel, raw.CHANNEL_CLOSE, struct.pack(">H", 200) + raw.short("") + ZERO + ZERO),
        ))()

    def step(self):
        channel = self.rng.randint(1, 4)
        if channel not in self.open:
            self.open.add(channel)
            self.tags[channel] = 0
            self.connection.send(raw.open_channel(channel))
        data = self.something(channel)
        if data[3 + 4:].startswith(struct.pack(">HH", *raw.CHANNEL_CLOSE)):
            self.open.discard(channel)
        self.connection.send(data)
        self.said += 1
        self.listen(0.0)

    def listen(self, seconds):
        while not self.over and (self.connection.buffer or select.select([self.connection.socket], [], [], seconds)[0]):
            got = self.connection.receive()
            if got is None:
                self.over = True
                return
            kind, channel, payload = got
            which = struct.unpack(">HH", payload[:4]) if kind == raw.METHOD else None
            if which in (raw.DELIVER, (60, 71)):
                self.tags[channel] = self.tags.get(channel, 0) + 1
            elif which == raw.CHANNEL_CLOSE:
                self.open.discard(channel)
                self.connection.send(raw.method(channel, raw.CHANNEL_CLOSE_OK))
            elif which == raw.CLOSE:
                self.connection.send(raw.method(0, raw.CLOSE_OK))
                self.over = True

    def end(self):
        """As it should be, or not."""
        if not self.over and self.rng.random() < 0.5:
            self.connection.send(raw.method(0, raw.CLOSE, struct.pack(">H", 200) + raw.short("") + ZERO + ZERO))
            self.connection.socket.settimeout(20)
            while True:
                got = self.connection.receive_method()  # Fails when nothing comes.
                if got is None or got[1] in (raw.CLOSE_OK, raw.CLOSE):
                    break
        self.connection.socket.close()


class Random(amqp_broker.AmqpTest):
    def setUp(self):
        self.seed = int(os.environ.get("AMQP_SEED", random.randrange(1 << 32)))
        self.errors, self.said, self.sessions = [], 0, 0
        self.lock = threading.Lock()

    def run_sessions(self, number):
        rng = random.Random(self.seed * 100 + number)
        names = [f"r{name}" for name in range(4)]
        until = time.monotonic() + SECONDS
        try:
            while time.monotonic() < until:
                session = Session(self.address(rng.randint(1, 3)), rng, names)
                for _ in range(rng.choice((5, 50, 300))):
                    try:
                        session.step()
                    except ConnectionError:
                        session.over = True
                    if session.over:
                        break
                session.end()
                with self.lock:
                    self.said, self.sessions = self.said + session.said, self.sessions + 1
        except Exception as e:  # pylint: disable=broad-except; the test raises it
            self.errors.append(e)

    def test_random_sessions(self):
        threads = [threading.Thread(target=self.run_sessions, args=(number,)) for number in range(SESSIONS)]
        for thread in threads:
            thread.start()
        if not amqp_broker.OTHER:
            time.sleep(SECONDS / 2)
            leader = self.cluster.leader()
            self.cluster.holdfast("cluster", "transfer", str(leader % 3 + 1), check=False)
        for thread in threads:
            thread.join(SECONDS + 60)
            self.assertFalse(thread.is_alive(), f"somebody waits for ever (AMQP_SEED={self.seed})")
        if self.errors:
            raise AssertionError(f"AMQP_SEED={self.seed}: {self.errors}") from self.errors[0]
        print(f"  {self.sessions} sessions, {self.said} methods (AMQP_SEED={self.seed})", flush=True)
        self.assertGreater(self.said, 1000)
        self.check_works()

    def check_works(self):
        """A queue of one's own, at each node; all nodes are there, and none has an alarm."""
        for node in (1, 2, 3):
            queue = self.name()
            with raw.Connection(self.address(node)) as connection:
                connection.handshake().channel()
                connection.send(raw.declare(1, queue, 4) + raw.message(1, "", queue, b"x") + raw.method(1, raw.GET, ZERO + raw.short("") + b"\1"))
                connection.expect(raw.DECLARE_OK)
                connection.expect((60, 71))
        if not amqp_broker.OTHER:
            for node in (1, 2, 3):
                self.assertIsNotNone(self.cluster.status(node), f"node {node}")
            said = self.cluster.holdfast("cluster", "status").stdout
            self.assertNotRegex(said, r"(?i)differ|damaged|alarm", said)


if __name__ == "__main__":
    amqp_broker.main()
