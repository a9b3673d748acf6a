"""A node whose entries are gone from the leader's log fetches a copy of its state, while the others go on; whoever is killed
meanwhile starts again, and in the end all have the same and nothing that was confirmed is missing."""

import os
import random
import signal
import sys
import time

import harness
from load import Publisher

# So that the log a stopped node lacks is gone after a few seconds.
SMALL = "checkpoint_mib: 1\nsegment_mib: 1\nretain_mib: 1\nreserve_mib: 2"
SLOW = SMALL + "\nrebuild_mib_per_s: 4"
BODY = os.urandom(2000).hex()


class Rebuild(harness.ClusterTest):
    def fill(self, queue, count):
        """Messages that stay, so that there is a state to be copied. Returns their lines."""
        lines = [f"{number:08d} {BODY}\n" for number in range(count)]
        path = self.cluster.path(queue)
        with open(path, "w", encoding="ascii") as f:
            f.writelines(lines)
        self.cluster.holdfast("queue", "declare", queue)
        self.cluster.holdfast("publish", queue, "--lines", "--file", path)
        return lines

    def first_entry(self, node):
        row = self.cluster.status(node)
        return int(row["log"].split("-")[0]) if row else 0

    def leave_behind(self, queue="gone"):
        """Kills a node that does not lead, and has the others go on until they have dropped what it lacks. A log keeps the last
        512 entries in any case: each of these messages is one."""
        leader = self.cluster.leader()
        away = next(node for node in (1, 2, 3) if node != leader)
        has = int(harness.wait_for("its status", lambda: self.cluster.status(away))["applied"])
        self.cluster.ops("kill", str(away))
        self.cluster.holdfast("queue", "declare", queue)
        self.cluster.holdfast("bench", "publish", "--queue", queue, "--window", "1", "--batch", "1", "--size", "5000",
                              "--count", "1500")
        others = [node for node in (1, 2, 3) if node != away]
        harness.wait_for("logs that begin later", lambda: all(self.first_entry(node) > has + 1 for node in others))
        return away, leader

    def wait_caught_up(self, seconds=60.0):
        def all_the_same():
            rows = [self.cluster.status(node) for node in (1, 2, 3)]
            return all(rows) and len({row["applied"] for row in rows}) == 1
        harness.wait_for("all nodes to have applied the same", all_the_same, seconds)

    def check_rebuilt(self, node):
        self.assertIn("begins anew after entry", self.cluster.log(node))
        names = sorted(os.listdir(self.cluster.node_path(node, "data", "shard-0")))
        states = [name for name in names if name == "state" or name.startswith(("incoming-", "copy-"))]
        self.assertEqual(len(states), 1, names)
        self.assertTrue(states[0].startswith("incoming-"), names)

    def check_all_at(self, node, queue, lines):
        """The node alone with one other has everything: so it has it too, and can lead."""
        self.assertEqual(self.cluster.ready(queue), len(lines))
        out = self.cluster.holdfast("consume", queue, "--lines", "--count", str(len(lines)), "--timeout", "20",
                                    servers=self.cluster.address(node)).stdout
        self.assertTrue(out == "".join(lines), f"{out.count(chr(10))} lines came back, of {len(lines)}")

    def test_a_node_too_far_behind_is_rebuilt_under_load(self):
        self.start_cluster(config=SMALL)
        lines = self.fill("before", 2000)
        away, _ = self.leave_behind()
        load = Publisher([self.cluster.address(n) for n in (1, 2, 3) if n != away], b"gone")
        load.start()
        self.cluster.ops("start", str(away))
        self.wait_caught_up_roughly(away)
        load.finish()
        self.assertLess(load.gap(), 2.0, "the others go on meanwhile")
        self.assertEqual(load.errors, [])
        self.wait_caught_up()
        self.check_rebuilt(away)
        # Without the old leader the rebuilt node is needed for a majority.
        old = self.cluster.leader()
        self.cluster.ops("kill", str(old if old != away else next(n for n in (1, 2, 3) if n != away)))
        self.check_all_at(away, "before", lines)

    def wait_caught_up_roughly(self, node):
        """Under load the nodes are never at the same entry: at the one where another was when we asked it is enough."""
        other = next(n for n in (1, 2, 3) if n != node)
        def there():
            theirs, own = self.cluster.status(other), self.cluster.status(node)
            return theirs and own and int(own["applied"]) > int(theirs["applied"]) - 200 and int(own["applied"]) > 0
        harness.wait_for("the node to have caught up", there, 60.0)

    def test_the_rebuilt_node_starts_again_by_itself(self):
        self.start_cluster(config=SMALL)
        lines = self.fill("before", 1000)
        away, _ = self.leave_behind()
        self.cluster.ops("start", str(away))
        self.wait_caught_up()
        self.check_rebuilt(away)
        for node in (1, 2, 3):
            self.cluster.ops("kill", str(node))
        for node in (1, 2, 3):
            self.cluster.ops("start", str(node), "nowait")
        self.wait_caught_up()
        self.check_all_at(away, "before", lines)

    def kill_at_random(self, victims, away, rounds):
        """SIGKILLs one of them again and again while the copy is on its way."""
        for _ in range(rounds):
            time.sleep(random.uniform(0.05, 1.5))  # When is the point: at any moment.
            node = random.choice(victims)
            try:
                os.kill(self.cluster.pid(node), signal.SIGKILL)
            except ProcessLookupError:
                pass
            harness.wait_for("its end", lambda n=node: self.ended(n))
            self.cluster.ops("start", str(node), "nowait")
        print(f"killed {rounds} times; node {away} fetched a copy; ", end="", file=sys.stderr, flush=True)

    def ended(self, node):
        try:
            os.kill(self.cluster.pid(node), 0)
        except ProcessLookupError:
            return True
        return False

    def test_kills_of_the_node_that_fetches(self):
        self.start_cluster(config=SLOW)
        lines = self.fill("before", 3000)
        away, _ = self.leave_behind()
        self.cluster.ops("start", str(away), "nowait")
        self.kill_at_random([away], away, 6)
        self.wait_caught_up()
        self.check_rebuilt(away)
        self.check_all_at(away, "before", lines)

    def test_kills_of_everybody(self):
        self.start_cluster(config=SLOW)
        lines = self.fill("before", 3000)
        away, _ = self.leave_behind()
        self.cluster.ops("start", str(away), "nowait")
        self.kill_at_random([1, 2, 3], away, 6)
        self.wait_caught_up(120.0)
        self.check_all_at(away, "before", lines)


if __name__ == "__main__":
    harness.main()
