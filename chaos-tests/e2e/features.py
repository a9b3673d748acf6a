"""What the tests of features share: one cluster for a file of tests, a virtual host of its own for each of them, and a consumer
that holds what it is given. The consumer speaks the native protocol by hand: it owes nothing to the C library."""

import json
import os
import subprocess
import time
import unittest

import client
import harness
from native import field, fields, varint

CONSUMERS_ENDED, NOTICES = 39, 40
UNSUBSCRIBE, EXTEND = 8, 25
REJECT = 1
# As proto/base/err.h.
NOT_FOUND, EXISTS, STALE, LIMIT, REFUSED, FENCED, EXCLUSIVE, FULL, GAP = 4, 5, 16, 23, 24, 29, 30, 31, 32


def int32(value):
    """A protobuf int32: negative ones are 64 bits long."""
    return value & (1 << 64) - 1


class Held(client.Delivery):
    def __init__(self, message, body):
        super().__init__(message, body)
        found = fields(message)
        self.enqueued_ms, self.lock_until_ms = found.get(7, [0])[0], found.get(10, [0])[0]
        self.text = body.decode(errors="replace")


class Consumer(client.Client):
    """A session with one subscription, which settles nothing by itself."""

    delivery_type = Held
    hello = field(1, b"e2e") + field(2, 1)  # It knows of heads and notices.

    def __init__(self, addresses, vhost="/", lease_ms=10_000):
        super().__init__(addresses, lease_ms)
        self.vhost, self.lock_ended, self.asked, self.ended = vhost, [], [], []

    def attach_header(self):
        return super().attach_header() + field(3, self.vhost.encode())

    def take(self, kind, header, body):
        if kind == NOTICES:
            found = fields(header)
            self.lock_ended += [fields(one)[2][0] for one in found.get(1, [])]
            self.asked += [one.decode() for one in found.get(2, [])]
        elif kind == CONSUMERS_ENDED:
            found = fields(header)
            self.ended.append((found.get(2, [0])[0], found.get(3, [b""])[0].decode()))
        else:
            super().take(kind, header, body)

    def take_delivery(self, delivery):
        """Numbers may be missing: what went back under a lock before it was sent."""
        self.seen[delivery.consumer] = max(self.seen[delivery.consumer], delivery.number)
        self.deliveries.append(delivery)

    def consume(self, queue, credit=100, priority=0, exclusive=False, lock_ms=0, consumer=1):
        """Subscribes; returns the error."""
        self.seen.setdefault(consumer, 0)
        command = field(1, queue.encode()) + field(2, consumer) + field(3, credit)
        if priority != 0:
            command += field(4, int32(priority))
        command += field(5, 1) if exclusive else b""
        command += field(6, lock_ms) if lock_ms > 0 else b""
        return self.call(self.submit(field(client.SUBSCRIBE, command)))

    def wait_for(self, count, seconds=15.0):
        """The texts of all deliveries so far, when there are so many."""
        self.wait(lambda: len(self.deliveries) >= count, f"{count} deliveries ({self.texts()})", seconds)
        return self.texts()

    def texts(self):
        return [delivery.text for delivery in self.deliveries]

    def stays_at(self, count, seconds=0.4):
        """True when nothing more comes for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.step()
        return len(self.deliveries) == count

    def settle_range(self, first, last, outcome=client.ACCEPT, delay_ms=None, whole=False, consumer=1):
        """(error, settled, stale) of what the node says."""
        command = field(1, consumer) + field(2, outcome) + field(3, varint(first)) + field(4, varint(last))
        if delay_ms is not None:
            command += field(5, 1) + field(6, delay_ms)
        command += field(7, 1) if whole else b""
        number = self.submit(field(client.SETTLE, command))
        self.call(number)
        error, _, count, stale = self.replies[number]
        return error, count, stale

    def settle_one(self, delivery, outcome=client.ACCEPT, **how):
        return self.settle_range(delivery.number, delivery.number, outcome, **how)

    def extend(self, delivery, lock_ms):
        command = (field(1, delivery.consumer) + field(2, varint(delivery.number)) + field(3, varint(delivery.number)) +
                   field(4, lock_ms))
        number = self.submit(field(EXTEND, command))
        self.call(number)
        error, _, count, stale = self.replies[number]
        return error, count, stale

    def unsubscribe(self, consumer=1):
        return self.call(self.submit(field(UNSUBSCRIBE, field(1, consumer))))



class FeaturesTest(unittest.TestCase):
    """Tests that share a cluster of three nodes. Each has a virtual host of its own."""

    cluster = None
    config = "checkpoint_mib: 1\nsegment_mib: 1"

    @classmethod
    def setUpClass(cls):
        cls.cluster = harness.Cluster(3, cls.config)
        cls.addClassCleanup(cls.cluster.close)
        harness.wait_for("version 2 of the rules", lambda: "rules 2" in cls.cluster.holdfast("cluster", "status").stdout)

    def setUp(self):
        self.vhost = self.id().split(".")[-1]
        self.cluster.holdfast("vhost", "create", self.vhost)

    def cli(self, *arguments, stdin=None, check=True):
        return self.cluster.holdfast("--vhost", self.vhost, *arguments, stdin=stdin, check=check)

    def refused(self, words, *arguments, stdin=None, code=1):
        """The command is refused, with these words."""
        done = self.cli(*arguments, stdin=stdin, check=False)
        self.assertEqual(done.returncode, code, f"{arguments}: {done.stdout} {done.stderr}")
        self.assertIn(words, done.stderr)

    def declare(self, queue, *options):
        self.cli("queue", "declare", queue, *options)

    def publish(self, queue, *texts, options=()):
        self.cli("publish", queue, "--lines", *options, stdin="".join(f"{text}\n" for text in texts))

    def to_exchange(self, exchange, key, text, *options, check=True):
        return self.cli("publish", "--exchange", exchange, "--key", key, *options, stdin=text, check=check)

    def fetch(self, queue, count=100, *options):
        """The bodies of what is ready now, acknowledged."""
        return self.cli("consume", queue, "--fetch", "--lines", "--count", str(count), *options).stdout.splitlines()

    def fetch_json(self, queue, count=100, *options):
        done = self.cli("consume", queue, "--fetch", "--json", "--count", str(count), *options)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def show(self, queue):
        return json.loads(self.cli("queue", "show", queue, "--interval", "0", "--json").stdout)

    def ready(self, queue):
        return self.show(queue)["ready"]

    def exists(self, queue):
        return self.cli("queue", "declare", queue, "--passive", check=False).returncode == 0

    def wait_ready(self, queue, count, seconds=20.0):
        harness.wait_for(f"{count} messages in {queue}", lambda: self.ready(queue) == count, seconds)

    def consumer(self, queue=None, credit=100, **how):
        addresses = self.cluster.hosts().split(",")
        lease_ms = how.pop("lease_ms", 10_000)
        held = Consumer(addresses, self.vhost, lease_ms).attach()
        self.addCleanup(held.drop)
        if queue is not None:
            self.assertEqual(held.consume(queue, credit, **how), 0)
        return held

    # What happens to a cluster.

    def kill_leader(self):
        """Kills the leader for good while the next step runs: the others elect one. Returns its number."""
        leader = self.cluster.leader()
        self.cluster.ops("kill", str(leader))
        return leader

    def start_node(self, node):
        self.cluster.ops("start", str(node))

    def restart_all(self):
        for node in (1, 2, 3):
            self.cluster.ops("kill", str(node))
        for node in (1, 2, 3):
            self.cluster.ops("start", str(node), "nowait")
        for node in (1, 2, 3):
            harness.wait_for(f"node {node}", lambda: subprocess.run(
                [os.path.join(harness.ROOT, "ops", "cluster"), "ready", str(node)], env=self.cluster.environment,
                stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0)

    def make_checkpoint(self):
        """Fills the log until every node has written a checkpoint that holds all that was before."""
        leader = self.cluster.leader()
        applied = int(harness.wait_for("its status", lambda: self.cluster.status(leader))["applied"])
        self.declare("filler", "--max-length", "1")
        filler = os.urandom(700_000).hex()

        def all_have():
            self.cli("publish", "filler", stdin=filler)
            rows = [self.cluster.status(node) for node in (1, 2, 3)]
            return all(row and int(row["checkpoint"]) >= applied for row in rows)
        harness.wait_for("a checkpoint on each node", all_have, pause=0.2)
        self.cli("queue", "delete", "filler")


def main():
    harness.main()
