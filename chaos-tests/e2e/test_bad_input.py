"""Whoever says something wrong, a client, an operator or a directory, is told what and where; nobody else notices."""

import os
import shutil
import socket
import subprocess
import threading
import time

import harness
import native

BROKEN, INVALID, TOO_BIG, VERSION, TIMEOUT, CHECKSUM = 27, 6, 7, 10, 14, 21


class GoodClient(threading.Thread):
    """Publishes one message after the other, all the time: bad neighbours must not disturb it."""

    def __init__(self, cluster, queue):
        super().__init__()
        self.cluster, self.queue, self.sent, self.error = cluster, queue, 0, None
        self.stopping = threading.Event()

    def run(self):
        try:
            while not self.stopping.is_set():
                self.cluster.holdfast("publish", self.queue, stdin="still here", timeout=30)
                self.sent += 1
        except Exception as e:  # pylint: disable=broad-except; reported by finish()
            self.error = e

    def finish(self):
        self.stopping.set()
        self.join()
        if self.error:
            raise self.error
        return self.sent


class BadClients(harness.ClusterTest):
    """Raw connections to a node, with a good client beside them."""

    def setUp(self):
        self.start_cluster(nodes=1)
        self.cluster.holdfast("queue", "declare", "good")
        self.good = GoodClient(self.cluster, "good")
        self.good.start()
        self.addCleanup(self.good.stopping.set)

    def connect(self):
        return native.Connection(self.cluster.address(1))

    def goodbye_after(self, *sent, hello=False):
        with self.connect() as connection:
            if hello:
                connection.hello()
            for data in sent:
                connection.send(data)
            said = connection.receive_goodbye()
        self.assertIsNotNone(said, "closed without saying why")
        self.assertTrue(said[1], "a goodbye says in words what is wrong")
        return said

    def check_good_client(self):
        sent = self.good.sent
        harness.wait_for("the good client goes on", lambda: self.good.error or self.good.sent >= sent + 3)
        self.good.finish()
        self.assertEqual(self.cluster.ready("good"), self.good.sent)

    def test_other_magic(self):
        self.assertEqual(self.goodbye_after(native.frame(native.HELLO, magic=b"GE"))[0], BROKEN)
        with self.connect() as connection:
            connection.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertIsNotNone(connection.receive_goodbye())
        self.check_good_client()

    def test_other_version(self):
        self.assertEqual(self.goodbye_after(native.frame(native.HELLO, version=9))[0], VERSION)
        self.check_good_client()

    def test_lengths_over_the_limit(self):
        self.assertEqual(self.goodbye_after(native.prefix(native.HELLO, native.HEADER_LEN_MAX + 1))[0], TOO_BIG)
        self.assertEqual(self.goodbye_after(native.prefix(native.HELLO, 0xFFFFFFFF, 0xFFFFFFFF))[0], TOO_BIG)
        self.assertEqual(self.goodbye_after(native.prefix(native.COMMAND, 10, 0xFFFFFFF0), hello=True)[0], TOO_BIG)
        self.check_good_client()

    def test_frames_that_make_no_sense(self):
        self.goodbye_after(native.frame(native.COMMAND, b"\x08\x01"))
        self.goodbye_after(native.frame(native.HELLO, b"\xff\xff\xff\xff"))
        self.goodbye_after(native.frame(200), hello=True)
        self.goodbye_after(native.frame(native.COMMAND, b"\x08\x01"), hello=True)
        self.goodbye_after(native.frame(native.ATTACH, native.field(1, b"short")), hello=True)
        self.check_good_client()

    def test_a_frame_in_single_bytes_is_taken(self):
        with self.connect() as connection:
            for byte in native.frame(native.HELLO, native.field(1, b"slow")):
                connection.send(bytes([byte]))
            self.assertEqual(connection.receive()[0], native.WELCOME)
            connection.send(native.frame(native.PING, native.field(1, 77)))
            kind, header, _ = connection.receive()
            self.assertEqual((kind, native.fields(header)), (native.PONG, {1: [77]}))
        self.check_good_client()

    def test_half_a_frame_and_gone(self):
        for count in (1, 15, 16, 20):
            with self.connect() as connection:
                connection.send(native.frame(native.HELLO, native.field(1, b"x" * 100))[:count])
        self.check_good_client()

    def test_silent_client_is_closed(self):
        with self.connect() as connection:
            started = time.monotonic()
            said = connection.receive_goodbye()
            self.assertLess(time.monotonic() - started, 29)
            self.assertIsNotNone(said)
            self.assertEqual(said[0], TIMEOUT)
        self.check_good_client()

    def test_client_that_reads_no_answers(self):
        with self.connect() as connection:
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.hello()
            connection.socket.settimeout(5)
            query = native.frame(native.QUERY, native.field(1, 1)) * 1000
            # The node stops reading rather than buffer answers without end: sending comes to a halt.
            with self.assertRaises((TimeoutError, ConnectionError)):
                for _ in range(100_000):
                    connection.socket.sendall(query)
            self.assertLess(resident_kib(self.cluster.pid(1)), 512 * 1024)
        self.check_good_client()


class BadRequests(harness.ClusterTest):
    """What the command line refuses, or the node refuses through it."""

    def refused(self, *arguments, says, stdin=None, code=1):
        done = self.cluster.holdfast(*arguments, check=False, stdin=stdin, text=stdin is None or isinstance(stdin, str))
        text = done.stderr if isinstance(done.stderr, str) else done.stderr.decode()
        self.assertEqual(done.returncode, code, text)
        self.assertIn(says, text)

    def test_requests(self):
        self.start_cluster(nodes=1)
        self.cluster.holdfast("queue", "declare", "q")
        self.refused("publish", "nowhere", stdin="x", says="nowhere")
        self.refused("consume", "nowhere", "--count", "1", says="nowhere")
        self.refused("queue", "delete", "nowhere", says="nowhere")
        self.refused("queue", "declare", "n" * 256, says="name")
        self.refused("queue", "declare", "a\nb", says="name")
        self.refused("queue", "declare", b"\xff\xfe", says="UTF-8")
        largest = os.urandom(1 << 20) * 16
        self.cluster.holdfast("publish", "q", stdin=largest, text=False)
        self.refused("publish", "q", stdin=largest + b"1", says="limit")
        out = self.cluster.holdfast("consume", "q", "--count", "1", text=False).stdout
        self.assertTrue(out == largest, "the largest message comes back byte for byte")
        self.assertEqual(self.cluster.ready("q"), 0)


    def test_a_message_over_the_configured_limit(self):
        self.start_cluster(nodes=1, config="body_mib: 1")
        self.cluster.holdfast("queue", "declare", "q")
        largest = os.urandom(1 << 20)
        self.cluster.holdfast("publish", "q", stdin=largest, text=False)
        self.refused("publish", "q", stdin=largest + b"1", says="at most 1048576 bytes")
        lines = b"short\n" + b"x" * (1 << 20) + b"y\nafter\n"
        self.refused("publish", "q", "--lines", "--producer", "p", stdin=lines, says="at most 1048576 bytes")
        # What came before is in; nothing later of the same producer has overtaken what was refused.
        done = self.cluster.holdfast("publish", "q", "--lines", "--producer", "p", stdin="short\nfits\nafter\n")
        self.assertIn("3 messages, 1 repeated", done.stderr)
        self.assertEqual(self.cluster.ready("q"), 4)

    def test_a_node_refuses_a_message_over_its_limit(self):
        """A client that does not look at what the WELCOME says is answered by the node, and stays connected."""
        self.start_cluster(nodes=1, config="body_mib: 1")
        self.cluster.holdfast("queue", "declare", "q")
        with native.Connection(self.cluster.address(1)) as connection:
            self.assertEqual(connection.hello()[7], [1 << 20])
            connection.send(native.frame(native.ATTACH, native.field(1, b"0123456789abcdef")))
            self.assertEqual(connection.receive()[0], native.ATTACHED)
            for number, size in ((1, (1 << 20) + 1), (2, (16 << 20) + 1), (3, 3)):
                publish = native.field(1, b"q") + native.field(2, native.varint(size)) + native.field(3, b"\0" * 8)
                command = native.field(1, number) + native.field(3, native.field(6, publish))
                connection.send(native.frame(native.COMMAND, command, b"x" * size))
                kind, header, _ = connection.receive()
                self.assertEqual(kind, native.REPLIES)
                reply = native.fields(native.fields(header)[1][0])
                self.assertEqual(reply[1], [number])
                # The third is within the limit, but its hash is not that of its body: refused by the machine.
                self.assertEqual(reply[2], [TOO_BIG] if number < 3 else [CHECKSUM])
                if number < 3:
                    self.assertIn(b"at most 1048576 bytes", reply[3][0])
        self.assertEqual(self.cluster.ready("q"), 0)


class BadDirectories(harness.ClusterTest):
    """What a node refuses to start with."""

    def daemon(self, config_text, code=None):
        path = self.cluster.path("config.yml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(config_text)
        done = subprocess.run([harness.HOLDFASTD, "--config", path], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=30)
        self.assertNotEqual(done.returncode, 0, "it started")
        self.assertGreater(done.returncode, 0, f"it ended by a signal: {done.stderr}")
        if code is not None:
            self.assertEqual(done.returncode, code)
        return done.stdout + done.stderr

    def node_config(self, data=None):
        with open(self.cluster.node_path(1, "config.yml"), encoding="utf-8") as f:
            text = f.read()
        return text.replace(self.cluster.node_path(1, "data"), data or self.cluster.node_path(1, "data"))

    def test_refused_at_the_start(self):
        self.start_cluster(nodes=1)
        config = self.node_config()

        line = config.count("\n") + 1
        text = self.daemon(config + "  - {id: 1, peer: localhost:1, client: localhost:2}\n")
        self.assertRegex(text, rf"config\.yml:{line}: id: two members have id 1")
        self.assertRegex(self.daemon(config + "cluste: x\n"), rf"config\.yml:{line}: cluste: unknown key")

        # The running node's own directory, with other addresses so that only the directory is in the way.
        text = self.daemon(config)
        self.assertIn(self.cluster.node_path(1, "data"), text)
        self.assertIn(str(self.cluster.pid(1)), text)

        self.cluster.ops("stop", "1")
        text = self.daemon(config.replace("cluster: local", "cluster: other"))
        self.assertIn("local", text)
        self.assertIn("other", text)

        copy = self.cluster.path("newer")
        shutil.copytree(self.cluster.node_path(1, "data"), copy)
        identity = os.path.join(copy, "identity")
        with open(identity, encoding="utf-8") as f:
            first, rest = f.read().split("\n", 1)
        kind, version = first.split(" ")
        with open(identity, "w", encoding="utf-8") as f:
            f.write(f"{kind} {int(version) + 1}\n{rest}")
        text = self.daemon(self.node_config(copy))
        self.assertIn(identity, text)
        self.assertIn("version", text)

        with open(identity, "w", encoding="utf-8") as f:
            f.write("nonsense")
        self.assertIn(identity, self.daemon(self.node_config(copy)))

        # None of this has changed anything.
        self.cluster.ops("start", "1")
        self.cluster.holdfast("queue", "declare", "q")

    def test_no_file(self):
        done = subprocess.run([harness.HOLDFASTD, "--config", "/nonexistent/holdfast.yml"], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=30)
        self.assertGreater(done.returncode, 0)
        self.assertIn("/nonexistent/holdfast.yml", done.stdout + done.stderr)


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))


if __name__ == "__main__":
    harness.main()
