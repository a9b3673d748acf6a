"""Clients that are there and are not: stopped in mid-frame, gone without a word, or not reading. The nodes stay small and
serve the others."""

import contextlib
import ctypes
import os
import socket
import threading
import time

import harness
import native
import nodes
from client import Client
from load import Consumer, Publisher

QUEUE, SLOW = b"half", b"slow"
CONFIG = "client_memory_mib: 64\ncache_mib: 4\ncheckpoint_mib: 4\nsegment_mib: 4\nreserve_mib: 16\ndisk_free_mib: 0"
CLONE_NEWNET = 0x40000000
HERE, THERE = "10.72.0.100", "10.72.0.1"
FRAME_SECONDS = 20
UNACKED_SECONDS = 10
LEASE_MS = 2000
BODY_LEN = 16 << 20
GROWTH_MIB = 200  # The clients' memory, and as much again for what the allocator keeps.


@contextlib.contextmanager
def in_network(name):
    """Sockets made meanwhile by this thread are in that namespace, and stay there."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net", "rb") as own, open(f"/run/netns/{name}", "rb") as other:
        if libc.setns(other.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        try:
            yield
        finally:
            libc.setns(own.fileno(), CLONE_NEWNET)


def make_network():
    nodes.run("mount", "-t", "tmpfs", "none", "/run")
    nodes.run("ip", "link", "set", "lo", "up")
    nodes.run("ip", "netns", "add", "far")
    nodes.run("ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", "far")
    nodes.run("ip", "addr", "add", f"{HERE}/24", "dev", "near")
    nodes.run("ip", "link", "set", "near", "up")
    nodes.run("ip", "-n", "far", "addr", "add", f"{THERE}/24", "dev", "far")
    nodes.run("ip", "-n", "far", "link", "set", "far", "up")


def lose_far_side():
    """The wire stays, and who is at its other end hears nothing any more: what is sent there is lost."""
    nodes.run("ip", "neigh", "replace", THERE, "lladdr", "02:00:00:00:00:01", "nud", "permanent", "dev", "near")
    nodes.run("ip", "-n", "far", "neigh", "replace", HERE, "lladdr", "02:00:00:00:00:02", "nud", "permanent", "dev", "far")


class HalfOpen(nodes.NodesTest):
    @classmethod
    def setUpClass(cls):
        make_network()

    def setUp(self):
        for where, address in (((), THERE), (("-n", "far"), HERE)):
            nodes.run("ip", *where, "neigh", "flush", "to", address, "nud", "all")
        addresses = [(f"{HERE}:{7471 + 10 * n}", f"{HERE}:{7470 + 10 * n}") for n in range(3)]
        cluster = self.start_nodes(config=CONFIG, addresses=addresses)
        self.node = cluster.followers()[0]
        with Client([cluster.address(self.node)]).attach() as client:
            for queue in (QUEUE, SLOW):
                self.assertEqual(client.declare(queue), 0)
        self.publisher = Publisher([cluster.address(self.node)], QUEUE)
        self.consumer = Consumer([cluster.address(self.node)], QUEUE)
        self.publisher.start()
        self.consumer.start()
        harness.wait_for("some messages", lambda: self.consumer.check() or len(self.consumer.taken) > 500)
        self.before_mib = cluster.resident_mib(self.node)
        self.started = time.monotonic()

    def check_others(self):
        """Publisher and consumer at the same node have noticed nothing."""
        confirmed = self.publisher.finish().confirmed
        harness.wait_for("all messages", lambda: self.consumer.check() or confirmed <= set(self.consumer.taken))
        self.consumer.finish()
        for load in (self.publisher, self.consumer):
            self.assertEqual(load.errors + load.client.events, [])
            self.assertEqual(len(load.client.attachments), 1)
            self.assertLess(load.gap(self.started), 3.0)
        self.assertEqual(self.consumer.taken, sorted(confirmed))
        pids = [self.cluster.alive(node) for node in self.cluster.all()]
        self.assertEqual(pids, [True] * 3)

    def check_memory(self):
        grown = self.cluster.resident_mib(self.node) - self.before_mib
        self.assertLess(grown, GROWTH_MIB, "the node's memory is bounded")
        return grown

    def test_stopped_in_mid_frame(self):
        """Each has begun a message of 16 MiB, together many times what the node has for its clients."""
        body_hash = b"\0" * 8
        publish = native.field(1, QUEUE) + native.field(2, native.varint(BODY_LEN)) + native.field(3, body_hash)
        header = native.field(1, 1) + native.field(3, native.field(6, publish))
        begun = native.prefix(native.COMMAND, len(header), BODY_LEN) + header + bytes(1 << 20)
        with contextlib.ExitStack() as stack:
            halves = []
            for _ in range(64):
                connection = stack.enter_context(native.Connection(self.cluster.address(self.node)))
                connection.hello()
                connection.send(native.frame(native.ATTACH, native.field(1, os.urandom(16))))
                self.assertEqual(connection.receive()[0], native.ATTACHED)
                connection.socket.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    connection.socket.send(begun)
                halves.append(connection.socket)
            time.sleep(2)
            grown = self.check_memory()
            ended = harness.wait_for("the first is closed", lambda: [s for s in halves if self.closed(s)],
                                     FRAME_SECONDS + 15)
            self.assertTrue(ended)
            self.check_others()
        self.tell(f"64 begun messages of 16 MiB: {grown:.0f} MiB more; closed after {time.monotonic() - self.started:.0f} s")

    @staticmethod
    def closed(connection):
        try:
            while data := connection.recv(65536):
                del data
            return True
        except BlockingIOError:
            return False
        except OSError:
            return True

    def test_gone_without_a_word(self):
        """What it held comes back to others, in spite of a connection that nobody has closed."""
        cluster = self.cluster
        with Client([cluster.address(self.node)], lease_ms=LEASE_MS) as gone, \
                Client([cluster.address(self.node)]).attach() as other:
            for value in range(10):
                self.assertEqual(other.call(other.publish_id(SLOW, value)), 0)
            with in_network("far"):
                gone.attach()
            self.assertEqual(gone.call(gone.subscribe(SLOW, credit=20)), 0)
            gone.wait(lambda: len(gone.deliveries) == 10, "its messages")
            lose_far_side()
            lost = time.monotonic()
            # Something for it: what is sent and never acknowledged shows that it is gone.
            self.assertEqual(other.call(other.publish_id(SLOW, 10)), 0)
            self.assertEqual(other.call(other.subscribe(SLOW)), 0)
            other.wait(lambda: len(other.deliveries) == 11, "its messages, elsewhere",
                       UNACKED_SECONDS + LEASE_MS / 1000 + 15)
            waited = time.monotonic() - lost
            self.assertEqual([d.id() for d in other.deliveries], list(range(11)))
            self.assertGreater(waited, LEASE_MS / 1000)
        self.check_others()
        self.tell(f"lease of {LEASE_MS} ms: its messages were back {waited:.1f} s after its last packet")

    def test_a_consumer_that_does_not_read(self):
        """It has asked for everything and takes nothing; what waits for it does not wait in the node's memory."""
        cluster = self.cluster
        with Client([cluster.address(self.node)], lease_ms=LEASE_MS) as lazy:
            lazy.attach()
            lazy.connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lazy.submit(native.field(7, native.field(1, SLOW) + native.field(2, 1) + native.field(3, 65535)))
            line = b"x" * 65535 + b"\n"
            path = cluster.path("lines")
            with open(path, "wb") as f:
                for _ in range(4096):
                    f.write(line)
            peak, done = 0.0, threading.Event()

            def publish():
                try:
                    cluster.holdfast("publish", SLOW.decode(), "--lines", "--file", path, "--window", "64")
                finally:
                    done.set()
            thread = threading.Thread(target=publish)
            thread.start()
            while not done.wait(0.1):
                peak = max(peak, self.check_memory())
            thread.join()
            self.check_others()
        with Client([cluster.address(self.node)]).attach() as other:
            self.assertEqual(other.call(other.subscribe(SLOW, credit=64)), 0)
            taken = 0
            while taken < 4096:
                other.wait(lambda: other.deliveries, "the messages that it did not read")
                taken += len(other.deliveries)
                for delivery in other.deliveries:
                    other.settle(delivery)
                other.deliveries = []
        self.tell(f"256 MiB for a consumer that does not read: {peak:.0f} MiB more at the most")


if __name__ == "__main__":
    nodes.enter_namespaces("mount", "net")
    harness.main()
