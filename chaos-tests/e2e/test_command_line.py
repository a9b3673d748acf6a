"""The command line's exit codes, help and output."""

import json
import signal
import socket
import subprocess
import threading
import time

import harness

MIB = 1024 * 1024


class SlowLine:
    """A proxy to one address that passes so many bytes a second each way, and counts its connections."""

    def __init__(self, address, bytes_per_second):
        host, port = address.split(":")
        self.to = (host, int(port))
        self.rate = bytes_per_second
        self.connections = 0
        self.listener = self.small_buffers(socket.socket())
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen()
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    @staticmethod
    def small_buffers(end):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
        return end

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            far = self.small_buffers(socket.socket())
            far.connect(self.to)
            for ends in ((near, far), (far, near)):
                threading.Thread(target=self.pump, args=ends, daemon=True).start()

    def pump(self, source, sink):
        try:
            while data := source.recv(16 * 1024):
                sink.sendall(data)
                time.sleep(len(data) / self.rate)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()


class CommandLine(harness.ClusterTest):
    def run_plain(self, *arguments, program=harness.HOLDFAST):
        return subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60)

    def test_help(self):
        for arguments in ([], ["queue"], ["queue", "declare"], ["publish"], ["consume"], ["cluster"]):
            done = self.run_plain(*arguments, "--help")
            self.assertEqual(done.returncode, 0, f"{arguments}: {done.stderr}")
            self.assertIn("holdfast", done.stdout)
            self.assertEqual(self.run_plain(*arguments, "-h").stdout, done.stdout)
        self.assertEqual(self.run_plain("help").stdout, self.run_plain("--help").stdout)
        done = self.run_plain("--help", program=harness.HOLDFASTD)
        self.assertEqual(done.returncode, 0)
        self.assertIn("--config", done.stdout)

    def test_usage(self):
        for arguments in ([], ["nonsense"], ["publish"], ["queue", "nonsense"], ["consume", "q", "--count", "many"],
                          ["--nonsense"], ["bench", "both", "-x"], ["--servers", "no-port", "queue", "list"],
                          ["--servers", "host:99999", "cluster", "transfer", "1"], ["cluster", "transfer", "me"]):
            done = self.run_plain(*arguments)
            self.assertEqual(done.returncode, 2, f"{arguments}: {done.stdout} {done.stderr}")
            self.assertTrue(done.stderr, f"{arguments}: says nothing")
        self.assertEqual(self.run_plain("--nonsense", program=harness.HOLDFASTD).returncode, 2)

    def test_version(self):
        for program in (harness.HOLDFAST, harness.HOLDFASTD):
            done = self.run_plain("version" if program == harness.HOLDFAST else "--version", program=program)
            self.assertEqual(done.returncode, 0)
            self.assertRegex(done.stdout, r"\d+\.\d+\.\d+")
        self.assertEqual(self.run_plain("--version").stdout, self.run_plain("version").stdout)

    def test_nobody_there(self):
        # Port 1 of the loopback: nothing of ours listens there.
        done = self.run_plain("--servers", "127.0.0.1:1", "--timeout", "3", "queue", "list")
        self.assertEqual((done.returncode, done.stdout), (3, ""), done.stderr)
        first, last = done.stderr.splitlines()
        self.assertIn("still trying", first, "it says early what is wrong")
        self.assertIn("connection refused", last)

    def test_one_server_names_the_others(self):
        """Each of those is asked, too, although nobody is left to be waited for when they are named."""
        cluster = self.start_cluster()
        done = cluster.holdfast("cluster", "status", servers=cluster.address(1))
        roles = sorted(row["role"] for row in harness.table(done.stdout, "NODE"))
        self.assertEqual(roles, ["follower", "follower", "leader"], done.stdout)

    def test_status_of_a_broken_cluster(self):
        cluster = self.start_cluster()
        down = cluster.leader() % 3 + 1
        cluster.ops("kill", str(down))
        began = time.monotonic()
        done = cluster.holdfast("cluster", "status")
        self.assertLess(time.monotonic() - began, 2.5, "one that refuses is not waited for")
        row = next(row for row in harness.table(done.stdout, "NODE") if row["node"] == str(down))
        self.assertEqual(row["role"], "unreachable")
        done = cluster.holdfast("cluster", "transfer", str(down), check=False)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn(f"node {down} does not run", done.stderr)
        self.assertEqual(cluster.holdfast("cluster", "transfer", "9", check=False).returncode, 1)
        self.assertIn("leads already", cluster.holdfast("cluster", "transfer", str(cluster.leader())).stdout)
        cluster.ops("kill", str(cluster.leader()))

        def alone():
            status = cluster.holdfast("cluster", "status", check=False)
            return status if "leader none" in status.stdout else None
        done = harness.wait_for("a node that knows no leader", alone)
        self.assertEqual(done.returncode, 3)
        self.assertIn("a majority of the nodes must run", done.stderr)
        done = cluster.holdfast("--timeout", "2", "queue", "list", check=False)
        self.assertEqual((done.returncode, done.stdout), (3, ""))

    def test_bodies_of_all_kinds(self):
        cluster = self.start_cluster(nodes=1)
        cluster.holdfast("queue", "declare", "q")
        for body in (b"", b"\0\xff\n" * 1000, b"x" * (16 * MIB)):
            cluster.holdfast("publish", "q", stdin=body, text=False)
            self.assertEqual(cluster.holdfast("consume", "q", "--count", "1", text=False).stdout, body)
        done = cluster.holdfast("publish", "q", stdin=b"x" * (16 * MIB + 1), text=False, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"over the limit of 16 MiB", done.stderr)
        self.assertEqual(cluster.ready("q"), 0)

    def test_following(self):
        """What is published shows at once, and what was written is settled when it is interrupted."""
        cluster = self.start_cluster(nodes=1)
        cluster.holdfast("queue", "declare", "q")
        reader = cluster.start_holdfast("consume", "q", "--lines", "--follow", stdout=subprocess.PIPE, text=True)
        self.addCleanup(reader.kill)
        for text in ("first", "second", "third"):
            cluster.holdfast("publish", "q", stdin=text)
            published = time.monotonic()
            self.assertEqual(reader.stdout.readline(), text + "\n")
            self.assertLess(time.monotonic() - published, 1.5)
        reader.send_signal(signal.SIGINT)
        self.assertEqual(reader.wait(timeout=30), 0)
        reader.stdout.close()
        row = cluster.queue("q")
        self.assertEqual((row["ready"], row["unsettled"]), ("0", "0"))

    def test_a_reader_that_has_stopped_reading(self):
        cluster = self.start_cluster(nodes=1)
        cluster.holdfast("queue", "declare", "q")
        cluster.holdfast("publish", "q", stdin="x" * MIB)
        reader = cluster.start_holdfast("consume", "q", "--follow", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(reader.kill)
        harness.wait_for("the message to be out", lambda: cluster.queue("q")["unsettled"] == "1")
        reader.send_signal(signal.SIGINT)
        self.assertEqual(reader.wait(timeout=30), 1)
        self.assertIn(b"goes back to the queue", reader.communicate()[1])
        self.assertEqual(cluster.ready("q"), 1)

    def test_a_slow_line(self):
        """A message that takes longer than a node may be silent gets through, both ways, on one connection."""
        cluster = self.start_cluster(nodes=1)
        cluster.holdfast("queue", "declare", "q")
        line = SlowLine(cluster.address(1), MIB)
        self.addCleanup(line.close)
        body = b"slowly " * (5 * MIB // 7)
        cluster.holdfast("publish", "q", stdin=body, text=False, servers=line.address)
        self.assertEqual(line.connections, 1)
        done = cluster.holdfast("consume", "q", "--count", "1", text=False, servers=line.address)
        self.assertEqual(done.stdout, body)
        self.assertEqual(line.connections, 2)

    def test_a_day_of_work(self):
        cluster = self.start_cluster()
        cluster.holdfast("queue", "declare", "orders")
        cluster.holdfast("queue", "declare", "orders")
        cluster.holdfast("publish", "orders", "--lines", stdin="one\n\nthree\nlast without newline")
        self.assertEqual(cluster.ready("orders"), 4)
        done = cluster.holdfast("consume", "orders", "--lines", "--count", "2")
        self.assertEqual(done.stdout, "one\n\n")
        done = cluster.holdfast("consume", "orders", "--lines")
        self.assertEqual(done.stdout, "three\nlast without newline\n")
        self.assertEqual(cluster.ready("orders"), 0)
        for node in (1, 2, 3):
            self.assertIsNotNone(cluster.status(node), f"node {node} says nothing of itself")
        leading = [node for node in (1, 2, 3) if cluster.status(node)["role"] == "leader"]
        self.assertEqual(leading, [cluster.leader()])
        # Any node takes any client: those that do not lead say who does.
        for node in (1, 2, 3):
            cluster.holdfast("publish", "orders", stdin="through any", servers=cluster.address(node))
        self.assertEqual(cluster.ready("orders"), 3)
        cluster.holdfast("queue", "delete", "orders")
        self.assertIsNone(cluster.queue("orders"))

    def test_the_queue_is_deleted_while_it_is_consumed(self):
        cluster = self.start_cluster(nodes=1)
        cluster.holdfast("queue", "declare", "q")
        cluster.holdfast("publish", "q", stdin="first")
        reader = cluster.start_holdfast("consume", "q", "--lines", "--idle", "0", stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.assertEqual(reader.stdout.readline(), "first\n")
        cluster.holdfast("queue", "delete", "q")
        out, err = reader.communicate(timeout=30)
        self.assertEqual((reader.returncode, out), (1, ""), err)
        self.assertEqual(err, "holdfast: q: the queue has been deleted\n")

    def test_a_full_disk_of_the_reader(self):
        cluster = self.start_cluster(nodes=1)
        cluster.holdfast("queue", "declare", "q")
        cluster.holdfast("publish", "q", stdin="precious")
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run(cluster.command("consume", "q", "--count", "1"), stdin=subprocess.DEVNULL,
                                  stdout=full, stderr=subprocess.PIPE, timeout=60)
        self.assertEqual(done.returncode, 1, done.stderr)
        done = cluster.holdfast("consume", "q", "--count", "1")
        self.assertEqual(done.stdout, "precious", "what could not be written was not acknowledged")

    def test_what_others_wrote_is_not_obeyed(self):
        """A note, a tag or a key that would turn a terminal's colours, or look like a row of its own, is shown."""
        cluster = self.start_cluster(nodes=1)
        evil, shown = "\x1b[31m\n\u009b2J", "\\x1b[31m\\x0a\\xc2\\x9b2J"
        cluster.holdfast("queue", "declare", "q", "--note", evil, "--dead-letter-exchange", "amq.direct",
                         "--dead-letter-key", evil)
        cluster.holdfast("exchange", "declare", "e", "--note", evil)
        cluster.holdfast("vhost", "create", "v", "--note", evil)
        cluster.holdfast("bind", "amq.direct", "q", "--key", evil, "--header", f"{evil}=x")
        reader = cluster.start_holdfast("consume", "q", "--follow", "--tag", evil)
        self.addCleanup(reader.wait)
        self.addCleanup(reader.terminate)
        harness.wait_for("the consumer", lambda: cluster.queue("q")["consumers"] == "1")
        for times, command in ((2, ("queue", "show", "q", "--interval", "0")), (1, ("exchange", "list")),
                               (1, ("vhost", "list")), (2, ("bindings", "amq.direct")),
                               (1, ("consumers", "q"))):
            said = cluster.holdfast(*command).stdout
            self.assertEqual(said.count(shown), times, f"{command}: {said!r}")
            self.assertNotRegex(said, "[\x1b\u009b]", f"{command}: {said!r}")
        done = cluster.holdfast("queue", "delete", evil, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(shown, done.stderr)

    def test_all_options_at_once(self):
        cluster = self.start_cluster(nodes=1)
        cluster.holdfast("queue", "declare", "q")
        given = {"expires": "1h", "ttl": "1m", "max-length": "1", "max-bytes": "2", "overflow": "reject",
                 "dead-letter-exchange": "e", "dead-letter-key": "k", "max-deliveries": "3",
                 "redelivery-delay": "4s", "redelivery-delay-max": "5s", "lock": "6s", "keep": "7s", "keep-life": "8s", "id-window": "9s", "paused": "yes", "protected": "yes",
                 "note": "the last"}
        options = [word for name, value in given.items() for word in (f"--{name}", value)]
        cluster.holdfast("queue", "change", "q", *options, "--ttl", "2m", *["--lock", "1m"] * 40)
        said = json.loads(cluster.holdfast("queue", "show", "q", "--interval", "0", "--json").stdout)["options"]
        self.assertEqual(len(said), len(given), said)
        self.assertEqual((said["ttl_ms"], said["lock_ms"], said["note"]), (120000, 60000, "the last"))

    def test_what_cannot_be_meant(self):
        """Refused before anything is sent, with what is wrong."""
        for words, arguments in (("not empty", ["consume", "q", "--session", "", "--hold", "--fetch"]),
                                 ("not empty", ["settle", "q", "--session", ""]),
                                 ("--dead-letter, or", ["queue", "declare", "q", "--dead-letter", "a",
                                                        "--dead-letter-exchange", "b"]),
                                 ("ten years", ["queue", "declare", "q", "--ttl", "4000d"]),
                                 ("255 bytes", ["queue", "change", "q", "--note", "x" * 256]),
                                 ("ten years", ["publish", "q", "--delay", "4000d"]),
                                 ("a time in UTC", ["publish", "q", "--deliver-at", "2027-02-30T00:00:00Z"])):
            done = self.run_plain("--servers", "127.0.0.1:1", *arguments)
            self.assertEqual(done.returncode, 2, f"{arguments}: {done.stderr}")
            self.assertIn(words, done.stderr)

    def test_a_message_is_waited_for_as_long_as_was_said(self):
        cluster = self.start_cluster(nodes=1)
        cluster.holdfast("queue", "declare", "q")
        began = time.monotonic()
        done = cluster.holdfast("consume", "q", "--count", "1", "--idle", "10000", "--timeout", "1", check=False)
        self.assertEqual(done.returncode, 3)
        self.assertIn("no message for 1 s", done.stderr)
        self.assertLess(time.monotonic() - began, 5)


if __name__ == "__main__":
    harness.main()
