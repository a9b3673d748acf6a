"""AMQP clients that are silent, slow, gone, many, or greedy: each meets its bound; the node stays small, and serves the others."""

import struct
import time

import amqp_broker
import amqp_raw as raw
import harness
from amqp_broker import wait_for
from test_amqp_bad_input import GoodClient

HANDSHAKE_SECONDS = 10
# What a node takes for clients at most, half for what it is sent and half for what it sends, and what it needs besides.
CLIENT_MIB = 64
RESIDENT_MIB = 300
# It writes a lot, and is alone: a disk that takes a while is no reason to send clients elsewhere.
CONFIG = f"client_memory_mib: {CLIENT_MIB}\ncache_mib: 16\ndisk_stall_ms: 60000"


class Hostile(amqp_broker.AmqpTest):
    nodes = 1
    config = CONFIG

    def setUp(self):
        self.good = GoodClient(self.address())
        self.good.start()
        self.addCleanup(self.stop_good)
        self.before_mib = self.resident_mib()

    def stop_good(self):
        self.good.stopping.set()
        self.good.join(15)
        if self.good.error:
            raise self.good.error

    def resident_mib(self):
        with open(f"/proc/{self.cluster.pid(1)}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:")) / 1024

    def check_small(self, more=RESIDENT_MIB):
        grown = self.resident_mib() - self.before_mib
        self.assertLess(grown, more, "MiB more than before")
        return grown

    def connect(self, timeout=15.0):
        connection = raw.Connection(self.address(), timeout)
        self.addCleanup(connection.socket.close)
        return connection

    def open(self, **limits):
        return self.connect().handshake(**limits).channel()

    def test_slow_handshakes(self):
        """Who has not opened a connection after a while is let go, however far it has come."""
        stages = (b"", b"AMQP", raw.GREETING, raw.GREETING + raw.start_ok(), raw.GREETING + raw.start_ok() + raw.tune_ok())
        connections = [self.connect() for _ in stages]
        began = time.monotonic()
        for connection, data in zip(connections, stages):
            connection.send(data)
        for connection in connections:
            self.assertTrue(connection.ended(HANDSHAKE_SECONDS + 5))
        self.assertGreater(time.monotonic() - began, HANDSHAKE_SECONDS / 2)
        self.good.check()

    def test_a_byte_now_and_then(self):
        """Slowly is not silently, and is too slow all the same."""
        connection = self.connect(timeout=0.5)
        data, began = raw.GREETING + raw.start_ok(), time.monotonic()
        for byte in data:
            try:
                connection.send(bytes([byte]))
                while connection.receive() is not None:
                    pass
                break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        self.assertLess(time.monotonic() - began, HANDSHAKE_SECONDS + 5)
        self.good.check()

    def test_missed_heartbeats(self):
        """What a silent client holds goes back soon after; one that sends heartbeats stays, and is sent some."""
        queue = self.name()
        lively, silent = self.open(heartbeat=1), self.open(heartbeat=1)
        lively.send(raw.declare(1, queue) + raw.message(1, "", queue, b"held"))
        lively.expect(raw.DECLARE_OK)
        silent.send(raw.consume(1, queue))
        silent.expect(raw.CONSUME_OK)
        silent.expect(raw.DELIVER)
        began, heard = time.monotonic(), 0
        lively.send(raw.consume(1, queue))
        lively.expect(raw.CONSUME_OK)
        lively.socket.settimeout(0.3)
        while True:
            self.assertLess(time.monotonic() - began, 15, "the message goes back")
            lively.send(raw.frame(raw.HEARTBEAT, 0, b""))
            try:
                got = lively.receive()
            except TimeoutError:
                continue
            self.assertIsNotNone(got, "who sends heartbeats stays")
            heard += got[0] == raw.HEARTBEAT
            if got[0] == raw.METHOD:
                break
        self.assertGreater(time.monotonic() - began, 0.9)
        self.assertGreaterEqual(heard, 1)
        self.assertTrue(silent.ended(1))

    def test_a_flood_of_connections(self):
        """Hundreds that greet and say no more, and as many that open and go."""
        silent = [self.connect() for _ in range(500)]
        for connection in silent:
            connection.send(raw.GREETING)
        for _ in range(300):
            with raw.Connection(self.address()) as connection:
                connection.handshake()
        self.good.check()
        grown = self.check_small(100)
        print(f"  500 connections: {grown:.0f} MiB", flush=True)
        for connection in silent:
            self.assertTrue(connection.ended(HANDSHAKE_SECONDS + 5))

    def test_a_flood_of_channels(self):
        connection = self.connect().handshake()
        numbers = range(1, 2048)
        for _ in range(5):
            connection.send(b"".join(raw.open_channel(number) for number in numbers))
            for _ in numbers:
                connection.expect(raw.CHANNEL_OPEN_OK)
            close = struct.pack(">H", 200) + raw.short("") + b"\0\0\0\0"
            connection.send(b"".join(raw.method(number, raw.CHANNEL_CLOSE, close) for number in numbers))
            for _ in numbers:
                connection.expect(raw.CHANNEL_CLOSE_OK)
        self.good.check()
        self.check_small(100)

    def test_contents_that_do_not_come(self):
        """Sixteen MiB are announced on each of many channels, and little of it comes."""
        connections = [self.connect().handshake() for _ in range(10)]
        for connection in connections:
            for number in range(1, 201):
                connection.send(raw.open_channel(number) + raw.publish(number, "", "nowhere") + raw.header(number, 16 << 20) +
                                raw.body(number, b"x" * 1000))
        self.good.check()
        self.check_small()

    def test_contents_that_almost_come(self):
        """All but the last byte of large messages, on many connections: more than the memory for it."""
        connections = [self.open() for _ in range(20)]
        part = raw.body(1, bytes(131_000))
        for connection in connections:
            connection.socket.settimeout(0.2)
            try:
                connection.send(raw.publish(1, "", "nowhere") + raw.header(1, 16 << 20))
                for _ in range((16 << 20) // 131_000):
                    connection.send(part)
            except (TimeoutError, ConnectionError):
                pass
        self.good.check()
        self.check_small()

    def fill_queue(self, count, size):
        queue = self.name()
        connection = self.open()
        connection.send(raw.declare(1, queue) + raw.method(1, raw.CONFIRM, b"\0"))
        connection.expect(raw.DECLARE_OK)
        connection.expect(raw.CONFIRM_OK)
        message = raw.message(1, "", queue, bytes(size))
        acked = 0
        for number in range(1, count + 1):
            connection.send(message)
            while number - acked > 50 or (number == count and acked < count):
                arguments = connection.expect(raw.ACK)[2]
                acked = struct.unpack(">Q", arguments[:8])[0]
        return queue

    def test_a_consumer_that_does_not_read(self):
        """With no acknowledgements wanted, and a queue of more than there is memory for."""
        queue = self.fill_queue(2000, 100_000)
        before = self.resident_mib()
        connections = [self.open() for _ in range(4)]
        for connection in connections:
            connection.send(raw.consume(1, queue, flags=2))
        self.good.check()
        time.sleep(2)
        self.assertLess(self.resident_mib() - before, CLIENT_MIB * 2)
        self.good.check()

    def test_answers_that_nobody_reads(self):
        """A flood of requests: the node stops reading rather than keep answers without end."""
        queue = self.fill_queue(10, 1000)
        connection = self.open()
        connection.socket.settimeout(3)
        ask = raw.method(1, (50, 10), struct.pack(">H", 0) + raw.short(queue) + b"\1" + raw.table()) * 1000
        with self.assertRaises((TimeoutError, ConnectionError)):
            for _ in range(10_000):
                connection.send(ask)
        self.good.check()
        self.check_small()

    def test_gets_that_nobody_reads(self):
        queue = self.fill_queue(1500, 100_000)
        before = self.resident_mib()
        connection = self.open()
        connection.socket.settimeout(1)
        try:
            connection.send(raw.method(1, raw.GET, struct.pack(">H", 0) + raw.short(queue) + b"\0") * 5000)
        except TimeoutError:
            pass
        time.sleep(2)
        self.assertLess(self.resident_mib() - before, CLIENT_MIB * 2)
        self.good.check()
        connection.socket.close()
        other = self.open()
        wait_for("what was got, and not read, goes back", lambda: self.ready(other, queue) == 1500)

    def ready(self, connection, queue):
        connection.send(raw.method(1, (50, 10), struct.pack(">H", 0) + raw.short(queue) + b"\1" + raw.table()))
        arguments = connection.expect(raw.DECLARE_OK)[2]
        return struct.unpack(">I", arguments[1 + arguments[0]:][:4])[0]


if __name__ == "__main__":
    harness.main()
