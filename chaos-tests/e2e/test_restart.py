"""A restart reads a checkpoint and replays the log after it: all of the log without a checkpoint, less with one."""

import os

import harness


class Restart(harness.ClusterTest):
    def fill(self, queue, mebibytes):
        path = self.cluster.path("input")
        with open(path, "wb") as f:
            for number in range(mebibytes * 256):
                f.write(b"%08d " % number + os.urandom(2043).hex().encode()[:4086] + b"\n")
        self.cluster.holdfast("queue", "declare", queue)
        self.cluster.holdfast("publish", queue, "--lines", "--file", path)
        return path, mebibytes * 256

    def restart(self):
        """Kills the only node and starts it; returns its status before and after."""
        before = harness.wait_for("the node's status", lambda: self.cluster.status(1))
        self.cluster.ops("kill", "1")
        self.cluster.ops("start", "1")
        after = harness.wait_for("everything replayed", lambda: self.caught_up(int(before["applied"])))
        return before, after

    def caught_up(self, index):
        row = self.cluster.status(1)
        return row if row and int(row["applied"]) >= index else None

    def check_content(self, queue, path, count):
        out = self.cluster.holdfast("consume", queue, "--lines", "--count", str(count), text=False).stdout
        with open(path, "rb") as f:
            self.assertTrue(out == f.read(), "what was published before the restart is there after it")

    def test_all_is_replayed_without_a_checkpoint(self):
        self.start_cluster(nodes=1)
        path, count = self.fill("q", 2)
        before, after = self.restart()
        self.assertEqual(int(before["checkpoint"]), 0)
        self.assertEqual(int(after["replayed"]), int(before["applied"]))
        self.check_content("q", path, count)

    def test_less_is_replayed_with_a_checkpoint(self):
        self.start_cluster(nodes=1, config="checkpoint_mib: 1\nsegment_mib: 1")
        path, count = self.fill("q", 8)
        harness.wait_for("a checkpoint", lambda: int((self.cluster.status(1) or {"checkpoint": 0})["checkpoint"]) > 0)
        before, after = self.restart()
        self.assertLess(int(after["replayed"]), int(before["applied"]))
        # A checkpoint may have been made after the status was asked for, never undone.
        self.assertLessEqual(int(after["replayed"]), int(before["applied"]) - int(before["checkpoint"]))
        self.check_content("q", path, count)


if __name__ == "__main__":
    harness.main()
