"""Two orders of an operator to begin anew, one after the other: each was right when it was given, both together leave no majority.
The cluster finds out by itself, and loses nothing."""

import signal
import struct
import time

import harness
import nodes
from load import Publisher

QUEUE = "kept"
PATIENT = "this node takes no part until it has a copy of the state"
AGAIN = "this node votes again"
WITHDRAWN = "the operator's order is withdrawn"
SERVES_SECONDS = 60.0


class TwoOrders(nodes.NodesTest):
    def setUp(self):
        cluster = self.start_nodes()
        self.leader = cluster.leader()
        self.paused, self.other = cluster.followers(self.leader)
        cluster.holdfast("queue", "declare", QUEUE)
        # Where there is no majority its session waits, and is resumed.
        self.load = Publisher([cluster.address(self.leader)], QUEUE.encode(), producer=b"p", lease_ms=120_000)
        self.load.start()
        harness.wait_for("messages", lambda: len(self.load.confirmed) > 500)
        self.said = {node: len(cluster.log(node)) for node in cluster.all()}

    def says(self, node):
        return self.cluster.log(node)[self.said[node]:]

    def order(self, node, via):
        return self.cluster.holdfast("cluster", "repair", str(node), servers=self.cluster.address(via), check=False)

    def wait_says(self, node, what, seconds):
        harness.wait_for(f"node {node} to say '{what}'", lambda: what in self.says(node), seconds)

    def give_both(self, via):
        """The order for the node that stands still lies there until the other one has begun anew: neither the leader nor that
        other one could know that it would not be there."""
        self.cluster.signal(self.paused, signal.SIGSTOP)
        try:
            for node, through in ((self.paused, via), (self.other, self.leader)):
                done = self.order(node, through)
                self.assertEqual(done.returncode, 0, done.stderr)
            self.wait_says(self.other, PATIENT, 10.0)
        finally:
            self.cluster.signal(self.paused, signal.SIGCONT)
        return time.monotonic()

    def two_patients(self):
        since = self.give_both(self.leader)
        self.wait_says(self.paused, PATIENT, 10.0)
        return since

    def check_served(self, since):
        """All nodes vote again, publishing goes on, and everything that was confirmed is there, once."""
        cluster = self.cluster
        before = len(self.load.confirmed)
        harness.wait_for("messages to be confirmed again", lambda: self.load.check() or len(self.load.confirmed) > before,
                         SERVES_SECONDS)
        self.tell(f"served again {time.monotonic() - since:.0f} s after the second order")
        for node in (self.paused, self.other):
            if PATIENT in self.says(node):
                self.wait_says(node, AGAIN, SERVES_SECONDS)
        harness.wait_for("three voters", lambda: self.voters() == 3, SERVES_SECONDS)
        confirmed = self.load.finish(SERVES_SECONDS).confirmed
        self.assertEqual(self.load.errors, [])
        cluster.kill(self.leader)  # What had been put aside is needed from now on.
        cluster.leader(among=[self.paused, self.other])
        out = cluster.holdfast("consume", QUEUE, "--count", str(len(confirmed)), "--timeout", "20",
                               servers=cluster.hosts(self.paused, self.other)).stdout
        self.assertEqual(sorted(value for value, in struct.iter_unpack("<Q", out)), sorted(confirmed))

    def voters(self):
        """As the leader has it: who was taken out of the votes for a copy may not have heard of it."""
        done = self.cluster.holdfast("--timeout", "5", "cluster", "status", check=False,
                                     servers=self.cluster.address(self.cluster.find_leader() or self.leader))
        rows = harness.table(done.stdout.decode(), "NODE")
        return sum(row["role"] in ("leader", "follower") for row in rows)

    def check_withdrawn(self):
        for node in (self.paused, self.other):
            self.assertIn(WITHDRAWN, self.says(node))
            self.assertNotIn("begin anew after entry", self.says(node), "there was nobody who could give a copy")

    def test_both_through_the_leader(self):
        since = self.two_patients()
        self.check_served(since)
        self.check_withdrawn()

    def test_and_then_the_leader_dies(self):
        since = self.two_patients()
        self.cluster.kill(self.leader)
        self.cluster.start(self.leader)
        self.check_served(since)
        self.check_withdrawn()

    def test_the_first_through_the_node_of_the_second(self):
        """What it had passed on may end with its connection, before the paused node reads it: one patient, or two."""
        self.check_served(self.give_both(self.other))

    def test_the_second_is_refused_when_the_first_node_is_known_to_be_gone(self):
        """It stands still for longer than its connections hold: then the second order is not given at all."""
        since = time.monotonic()
        self.cluster.signal(self.paused, signal.SIGSTOP)
        try:
            self.assertEqual(self.order(self.paused, self.leader).returncode, 0)
            harness.wait_for("the leader to miss it", lambda: f"node {self.paused} is disconnected" in
                             self.says(self.leader), 20.0)
            done = self.order(self.other, self.leader)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn(b"majority", done.stderr)
        finally:
            self.cluster.signal(self.paused, signal.SIGCONT)
        self.assertNotIn(PATIENT, self.says(self.other))
        self.check_served(since)


if __name__ == "__main__":
    harness.main()
