"""Delays go on while nothing happens and while no node is up: what is over meanwhile is there soon after, and nothing early."""

import time

import harness

IDLE = 8          # Seconds before the nodes are killed,
DOWN = 12         # and until they are started again.
SHORT = 10        # A delay that is over by then,
LONG = 34         # and one that is not.
SOON = 3          # What is over is there so soon after the cluster serves; what is not, so late at most.


class LogTime(harness.ClusterTest):
    def publish(self, queue, delay):
        self.cluster.holdfast("queue", "declare", queue)
        self.cluster.holdfast("publish", queue, "--delay", f"{delay}s", stdin="x")
        return time.monotonic()

    def kill_all_for(self, seconds):
        nodes = [str(node) for node in range(1, self.cluster.nodes + 1)]
        for node in nodes:
            self.cluster.ops("kill", node)
        time.sleep(seconds)
        for node in nodes:
            self.cluster.ops("start", node, "nowait")
        self.cluster.leader()

    def expect_arrival(self, queue, within):
        harness.wait_for(f"the message in {queue}", lambda: self.cluster.ready(queue) == 1, within)

    def run_through(self, nodes):
        self.start_cluster(nodes=nodes)
        self.publish("short", SHORT)
        long_at = self.publish("long", LONG)
        time.sleep(IDLE)
        self.kill_all_for(DOWN)
        self.expect_arrival("short", SOON)
        while time.monotonic() < long_at + LONG - 2:
            self.assertLess(self.cluster.ready("long"), 1, "the message came early")
            time.sleep(0.2)
        self.expect_arrival("long", long_at + LONG + SOON - time.monotonic())
        said = [node for node in range(1, nodes + 1) if "log time goes on" in self.cluster.log(node)]
        self.assertEqual(len(said), 1, "one leader said so")

    def test_one_node(self):
        self.run_through(1)

    def test_three_nodes(self):
        self.run_through(3)

    def test_without_the_file_nothing_else_is_wrong(self):
        self.start_cluster(nodes=1)
        self.publish("short", SHORT)
        time.sleep(IDLE)
        path = self.cluster.node_path(1, "data", "shard-0", "log-time")
        with open(path, "r+b") as f:
            f.write(b"\xff" * 1024)
        self.kill_all_for(1)
        self.expect_arrival("short", SHORT + SOON)


if __name__ == "__main__":
    harness.main()
