"""AMQP spoken wrongly: the node answers as the protocol says, or closes, and lives; memory is bounded; a good client beside them does
not notice. With RabbitMQ's codes where a client can tell."""

import random
import struct
import threading
import time

import amqp_broker
import amqp_raw as raw
from amqp_broker import wait_for


class GoodClient(threading.Thread):
    """Publishes with confirms, all the time."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address, self.count, self.error, self.stopping = address, 0, None, threading.Event()

    def run(self):
        try:
            with raw.Connection(self.address) as c:
                c.handshake().channel()
                c.send(raw.declare(1, "", 4) + raw.method(1, raw.CONFIRM, b"\0"))
                c.expect(raw.DECLARE_OK)
                c.expect(raw.CONFIRM_OK)
                while not self.stopping.wait(0.02):
                    c.send(raw.message(1, "", "", b"still here"))
                    c.expect(raw.ACK)
                    self.count += 1
        except Exception as e:  # pylint: disable=broad-except; check() raises it
            self.error = e

    def check(self):
        before = self.count
        wait_for("the good client goes on", lambda: self.error or self.count > before + 2)
        if self.error:
            raise self.error


class BadInput(amqp_broker.AmqpTest):
    nodes = 1
    config = "disk_stall_ms: 60000"  # It is alone: nobody is to be sent elsewhere.

    def setUp(self):
        self.good = GoodClient(self.address())
        self.good.start()
        self.addCleanup(self.stop_good)

    def stop_good(self):
        self.good.stopping.set()
        self.good.join(15)
        if self.good.error:
            raise self.good.error

    def connect(self):
        connection = raw.Connection(self.address())
        self.addCleanup(connection.socket.close)
        return connection

    def open(self, **limits):
        return self.connect().handshake(**limits).channel()

    def closes(self, code, *sent, connection=None, channel=False):
        """What is sent ends the connection (or only the channel) with this code."""
        connection = connection or self.open()
        for data in sent:
            connection.send(data)
        said = connection.closing()
        self.assertIsNotNone(said, f"closed without a word instead of {code}")
        self.assertEqual(said[0], code, said)
        if channel:
            connection.send(raw.method(1, raw.CHANNEL_CLOSE_OK))
            connection.channel()
        else:
            connection.send(raw.method(0, raw.CLOSE_OK))
            self.assertTrue(connection.ended(), "the connection is closed")
        self.good.check()
        return said

    def test_greetings(self):
        for greeting in (b"AMQP\x01\x01\x00\x0a", b"AMQP\x00\x01\x00\x00", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01",
                         b"\0" * 64):
            connection = self.connect()
            connection.send(greeting)
            self.assertEqual(connection.read(8), raw.GREETING)
            self.assertTrue(connection.ended())
        self.good.check()

    def test_wrong_user(self):
        properties = raw.table(raw.entry("capabilities", b"F", raw.table(raw.entry("authentication_failure_close", b"t", b"\1"))))
        connection = self.connect()
        connection.send(raw.GREETING + raw.start_ok(response=b"\0guest\0wrong", properties=properties))
        said = connection.closing()
        self.assertEqual(said[:2], (403, "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see "
                                         "the broker logfile."))
        # Who does not know of that is only closed.
        connection = self.connect()
        connection.send(raw.GREETING + raw.start_ok(response=b"\0guest\0wrong"))
        self.assertIsNone(connection.closing())
        for bad in (raw.start_ok(mechanism="WHAT"), raw.start_ok(response=b"guest"), raw.start_ok(response=b"\0" * 200)):
            connection = self.connect()
            connection.send(raw.GREETING + bad)
            self.assertTrue(connection.ended())
        self.good.check()

    @amqp_broker.needs_cluster  # RabbitMQ says less, or waits.
    def test_tuning(self):
        for bad in ({"frame_max": 200}, {"frame_max": 1 << 20}, {"channels": 65535}):
            connection = self.connect()
            connection.send(raw.GREETING + raw.start_ok() + raw.tune_ok(**bad))
            self.assertEqual(connection.closing()[0], 530, bad)
        for good in ({"frame_max": 4096}, {"channels": 1}, {"channels": 0, "frame_max": 0}):
            self.connect().handshake(**good).channel(1)

    def test_no_such_virtual_host(self):
        connection = self.connect()
        connection.send(raw.GREETING + raw.start_ok() + raw.tune_ok() + raw.open_vhost("nowhere"))
        self.assertEqual(connection.closing()[:2], (530, "NOT_ALLOWED - vhost nowhere not found"))

    def test_before_the_handshake(self):
        for early in (raw.declare(1), raw.open_channel(1), raw.method(0, raw.CLOSE), raw.header(1, 5), raw.frame(raw.HEARTBEAT, 0, b"") * 3,
                      raw.frame(raw.METHOD, 0, b"x" * 5000), raw.frame(raw.BODY, 3, b"x" * 100)):
            connection = self.connect()
            connection.send(raw.GREETING)
            connection.expect(raw.START)
            connection.send(early + b"\0" * 8)
            self.assertTrue(connection.ended(), early)
        # Before a client is known its frames have at most 4 KiB.
        connection = self.connect()
        connection.send(raw.GREETING + raw.start_ok(properties=raw.table(raw.entry("x", b"S", raw.long("y" * 8000)))))
        self.assertTrue(connection.ended())
        self.good.check()

    def test_frames(self):
        self.closes(501, raw.frame(raw.METHOD, 1, b"\0\x32", b"\xcd"))
        self.closes(501, struct.pack(">BHI", raw.BODY, 1, 200_000))
        self.closes(501, struct.pack(">BHI", raw.BODY, 1, 0xFFFFFFFF))
        self.closes(501, struct.pack(">BHI", raw.BODY, 1, 5000), connection=self.open(frame_max=4096))
        self.closes(501, raw.frame(77, 1, b"what"))

    def test_truncated_and_gone(self):
        whole = raw.message(1, "", "nowhere", b"x" * 1000)
        for count in (1, 6, 7, 8, 20, 60, len(whole) - 1001, len(whole) - 1):
            self.open().send(whole[:count])
        self.good.check()

    def test_single_bytes_are_taken(self):
        connection = self.connect()
        for byte in raw.GREETING + raw.start_ok() + raw.tune_ok() + raw.open_vhost() + raw.open_channel(1) + raw.declare(1, "", 4):
            connection.send(bytes([byte]))
        for which in (raw.START, raw.TUNE, raw.OPEN_OK, raw.CHANNEL_OPEN_OK):
            connection.expect(which)
        queue = connection.expect(raw.DECLARE_OK)[2]
        queue = queue[1:1 + queue[0]]
        # A content as well, in two frames, with time for a turn between any two bytes of it.
        for byte in raw.publish(1, "", queue) + raw.header(1, 4) + raw.body(1, b"ab") + raw.body(1, b"cd"):
            connection.send(bytes([byte]))
            time.sleep(0.002)
        connection.send(raw.consume(1, queue, flags=2))
        connection.expect(raw.CONSUME_OK)
        connection.expect(raw.DELIVER)
        self.assertEqual(connection.receive()[0], raw.HEADER)
        self.assertEqual(connection.receive()[2], b"abcd")

    @amqp_broker.needs_cluster  # RabbitMQ says less, or waits.
    def test_methods_that_are_not_there(self):
        self.closes(503, raw.method(1, (77, 1)))
        self.closes(503, raw.method(1, (50, 99)))
        self.closes(540, raw.method(1, (60, 100), b"\0"))
        for bad in (raw.method(1, raw.DECLARE), raw.method(1, raw.DECLARE, b"\0\0\xffq"), raw.frame(raw.METHOD, 1, b"\0"),
                    raw.method(1, raw.DECLARE, struct.pack(">H", 0) + raw.short("q") + b"\0" + struct.pack(">I", 1 << 30)),
                    raw.method(1, raw.ACK, b"\0\0\0\0\0\0\0\1\0more")):
            with self.subTest(bad):
                connection = self.open()
                connection.send(bad)
                said = connection.closing()
                self.assertIn(said[0] if said else 0, (501, 502, 541), said)
        self.good.check()

    @amqp_broker.needs_cluster  # RabbitMQ says less, or waits.
    def test_tables(self):
        deep = self.open()
        deep.send(raw.declare(1, self.name(), 4, raw.nested(1000)))
        self.assertEqual(deep.closing()[0], 406)
        for kind, value in ((b"?", b"\0"), (b"S", struct.pack(">I", 1 << 31)), (b"A", struct.pack(">I", 500) + b"t\1"),
                            (b"F", struct.pack(">I", 0xFFFFFFFF)), (b"I", b"\0")):
            connection = self.open()
            connection.send(raw.declare(1, self.name(), 4, raw.table(raw.entry("x-max-length", kind, value))))
            said = connection.closing()
            self.assertTrue(said is None or said[0] in (406, 501, 502, 541), (kind, said))
        # In the properties of a message as well.
        connection = self.open()
        connection.send(raw.publish(1, "", "q") + raw.header(1, 1, 0x2000, raw.table(raw.entry("k", b"?", b""))) + raw.body(1, b"x"))
        said = connection.closing()
        self.assertTrue(said is None or said[0] in (501, 502, 541), said)
        self.good.check()

    def test_wrong_order(self):
        self.closes(504, raw.method(0, raw.OPEN, raw.short("/") + raw.short("") + b"\0"))
        self.closes(504, raw.open_channel(1))
        self.closes(504, raw.declare(9))
        for bad in (raw.declare(0), raw.frame(raw.BODY, 9, b"x")):
            connection = self.open()
            connection.send(bad)
            self.assertIn(connection.closing()[0], (503, 504, 505))
        self.closes(503, raw.method(1, (50, 11), raw.short("q") + b"\0" * 8))

    def test_content(self):
        self.closes(505, raw.header(1, 5))
        self.closes(505, raw.body(1, b"x"))
        self.closes(505, raw.publish(1, "", "q"), raw.body(1, b"x"))
        self.closes(505, raw.publish(1, "", "q"), raw.declare(1))
        self.closes(505, raw.publish(1, "", "q"), raw.header(1, 5), raw.header(1, 5))
        self.closes(505, raw.publish(1, "", "q"), raw.header(1, 5), raw.publish(1, "", "q"))
        self.closes(505, raw.publish(1, "", "q"), raw.header(1, 5, class_id=50))
        self.closes(505, raw.publish(1, "", "q"), raw.header(1, 0), raw.body(1, b"x"))

    @amqp_broker.needs_cluster  # RabbitMQ says less, or waits.
    def test_content_that_is_too_long(self):
        connection = self.open()
        connection.send(raw.publish(1, "", "q") + raw.header(1, 5) + raw.body(1, b"x" * 50))
        said = connection.closing()
        self.assertIn(said[0], (501, 505), said)
        self.closes(406, raw.publish(1, "", "q"), raw.header(1, 1 << 62), channel=True)
        self.closes(406, raw.publish(1, "", "q"), raw.header(1, (512 << 20) + 1), channel=True)

    def test_interleaved_channels(self):
        """Contents of two channels, frame by frame in turns, are two messages."""
        connection = self.open()
        connection.channel(2)
        queue = self.name()
        connection.send(raw.declare(1, queue, 4))
        connection.expect(raw.DECLARE_OK)
        for channel in (1, 2):
            connection.send(raw.publish(channel, "", queue))
        for channel in (1, 2):
            connection.send(raw.header(channel, 4))
        for part in (b"ab", b"cd"):
            for channel in (1, 2):
                connection.send(raw.body(channel, part))
        connection.send(raw.consume(1, queue, flags=2))
        connection.expect(raw.CONSUME_OK)
        bodies = []
        while len(bodies) < 2:
            kind, _, payload = connection.receive()
            if kind == raw.BODY:
                bodies.append(payload)
        self.assertEqual(bodies, [b"abcd", b"abcd"])

    @amqp_broker.needs_cluster  # RabbitMQ says less, or waits.
    def test_channels_beyond_the_limit(self):
        connection = self.open(channels=5)
        for number in 2, 65535, 7, 4:  # It is how many are open that counts, not their numbers.
            connection.channel(number)
        said = self.closes(530, raw.open_channel(6), connection=connection)
        self.assertIn("number of channels opened (5) has reached the negotiated channel_max (5)", said[1])

    def test_random_frames(self):
        """Whatever comes, the node lives; a session that made sense so far is told what is wrong, or closed."""
        rng = random.Random(6)
        for _ in range(300):
            connection = self.open()
            try:
                for _ in range(rng.randint(1, 20)):
                    connection.send(self.random_frame(rng))
            except ConnectionError:
                pass
            connection.socket.close()
        self.good.check()

    @staticmethod
    def random_frame(rng):
        some = rng.randbytes(rng.choice((0, 1, 3, 8, 30, 200)))
        which = rng.choice(((10, 50), (20, 40), (20, 20), (40, 10), (50, 10), (50, 20), (60, 20), (60, 40), (60, 70), (60, 80), (60, 120),
                            (85, 10), (90, 10), (90, 20), (rng.randint(0, 100), rng.randint(0, 120))))
        kind = rng.randint(0, 6)
        if kind == 0:
            return some
        if kind < 4:
            return raw.method(rng.choice((0, 1, 1, 1, 2)), which, some)
        if kind == 4:
            return raw.header(1, rng.choice((0, 1, 5, 1 << 40)), rng.getrandbits(16), some)
        if kind == 5:
            return raw.body(rng.choice((0, 1, 2)), some)
        return raw.message(1, "", "amq.gen-x", some)


if __name__ == "__main__":
    amqp_broker.main()
