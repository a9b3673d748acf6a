"""A replica that has computed something else than the others: it is found out within seconds, takes no part, has an alarm in
`cluster status`, fetches the others' state by itself, and votes again. Nothing that was confirmed is missing, and no client is
told anything wrong afterwards."""

import os
import time

import harness
from load import Consumer, Publisher

UNKNOWN = "none of them is a majority"
NOTICED = "differs from the majority's"
CONFIG = "checkpoint_mib: 1\nsegment_mib: 1\nretain_mib: 64\nscrub_interval_s: 0"


class Diverged(harness.ClusterTest):
    def begin(self, nodes=3):
        cluster = self.start_cluster(nodes, CONFIG, start=False)
        binaries = cluster.path("bin")
        os.mkdir(binaries)
        os.symlink(harness.HOLDFAST, os.path.join(binaries, "holdfast"))
        os.symlink(os.path.join(harness.BIN, "holdfastd-diverging"), os.path.join(binaries, "holdfastd"))
        cluster.environment["HOLDFAST_BIN"] = binaries
        cluster.environment["HOLDFAST_DIVERGE"] = cluster.path("diverge")
        cluster.ops("up", str(nodes))
        cluster.holdfast("queue", "declare", "work")
        leader = cluster.leader()
        self.victim = next(node for node in range(1, nodes + 1) if node != leader)
        self.others = [node for node in range(1, nodes + 1) if node != self.victim]

    def arm(self, publish):
        """The victim is started anew, and will compute something else at that publish."""
        path = self.cluster.path("diverge")
        with open(path, "w", encoding="ascii") as f:
            f.write(str(publish))
        self.cluster.ops("stop", str(self.victim))
        self.cluster.ops("start", str(self.victim))
        self.assertFalse(os.path.exists(path), "the victim has read it")
        self.said = len(self.cluster.log(self.victim))

    def log(self):
        return self.cluster.log(self.victim)[self.said:]

    def wait_repaired(self):
        def repaired():
            row = self.cluster.status(self.victim)
            return "begin anew after entry" in self.log() and row and row["role"] in ("follower", "leader")
        harness.wait_for("the replica to vote again with the others' state", repaired, 60.0)

    def wait_same(self, seconds=30.0):
        def same():
            rows = [self.cluster.status(node) for node in [self.victim, *self.others]]
            return all(rows) and len({row["applied"] for row in rows}) == 1
        harness.wait_for("all nodes to have applied the same", same, seconds)

    def address(self, nodes):
        return [self.cluster.address(node) for node in nodes]

    def check_everything_once(self, publisher, consumer):
        def all_here():
            consumer.check()
            return publisher.confirmed <= set(consumer.taken)
        harness.wait_for("everything that was confirmed to be delivered", all_here, 60.0)
        consumer.finish()

    def test_a_follower_is_found_out_and_repaired_under_load(self):
        self.begin()
        self.arm(200)
        publisher = Publisher(self.address(self.others), b"work")
        consumer = Consumer(self.address(self.others), b"work")
        publisher.start()
        consumer.start()
        harness.wait_for("the replica to be found out", lambda: NOTICED in self.log(), 30.0)
        seen = len(publisher.confirmed)
        self.wait_repaired()
        self.assertGreater(len(publisher.confirmed), seen, "the others go on meanwhile")
        publisher.finish()
        self.check_everything_once(publisher, consumer)
        self.check_it_counts()

    def test_a_leader_is_found_out_and_repaired(self):
        self.begin()
        self.arm(3000)
        self.cluster.holdfast("cluster", "transfer", str(self.victim))
        harness.wait_for("the victim to lead", lambda: self.cluster.leader() == self.victim)
        publisher = Publisher(self.address(self.others), b"work")
        publisher.start()
        harness.wait_for("the replica to be found out", lambda: NOTICED in self.log(), 30.0)
        self.wait_repaired()
        confirmed = len(publisher.confirmed)
        harness.wait_for("publishing to go on", lambda: len(publisher.confirmed) > confirmed)
        publisher.finish()
        consumer = Consumer(self.address([self.victim]), b"work")
        consumer.start()
        self.check_everything_once(publisher, consumer)
        self.check_it_counts()

    def test_an_alarm_says_so(self):
        """With one node away nobody can tell who is right: nothing is served, and status says why, until it is back."""
        self.begin()
        away = next(node for node in self.others if node != self.cluster.leader())
        self.cluster.ops("stop", str(away))
        self.arm(50)
        publisher = Publisher(self.address([node for node in self.others if node != away]), b"work")
        publisher.start()

        here = [node for node in (1, 2, 3) if node != away]

        def alarmed():
            text = self.cluster.holdfast("--timeout", "5", "cluster", "status", check=False).stdout
            return UNKNOWN in text and all(UNKNOWN in self.cluster.log(node) for node in here)
        harness.wait_for("an alarm in cluster status, and both replicas to know", alarmed, 30.0)
        before = len(publisher.confirmed)
        time.sleep(1.0)
        self.assertEqual(len(publisher.confirmed), before, "nothing is confirmed by replicas that differ")
        self.cluster.ops("start", str(away))
        self.wait_repaired()
        harness.wait_for("publishing to go on", lambda: len(publisher.confirmed) > before, 60.0)
        publisher.finish()
        consumer = Consumer(self.address(self.others), b"work")
        consumer.start()
        self.check_everything_once(publisher, consumer)

    def check_it_counts(self):
        """The repaired replica has what the others have, and is half of a majority."""
        self.wait_same()
        other = next(node for node in self.others)
        self.cluster.ops("kill", str(other))
        self.cluster.holdfast("publish", "work", stdin="after all", servers=self.cluster.address(self.victim))
        out = self.cluster.holdfast("consume", "work", "--count", "1", "--timeout", "20",
                                    servers=self.cluster.address(self.victim)).stdout
        self.assertEqual(out.rstrip("\n"), "after all")
        self.assertEqual(self.cluster.ready("work"), 0)


if __name__ == "__main__":
    harness.main()
