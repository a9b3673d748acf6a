"""A leader that is asked to stop hands over and ends by itself, while clients go on."""

import signal
import subprocess
import time

import harness
import lines

STOP_SECONDS = 5


class Stop(harness.ClusterTest):
    def adopt(self, node):
        """Starts the node as a child of this process, which alone learns how it ends."""
        cluster = self.cluster
        cluster.ops("kill", str(node))
        with open(cluster.node_path(node, "log"), "ab") as log:
            process = subprocess.Popen([harness.HOLDFASTD, "--config", cluster.node_path(node, "config.yml")],
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.addCleanup(self.reap, process)
        with open(cluster.node_path(node, "pid"), "w", encoding="ascii") as f:
            f.write(f"{process.pid}\n")
        harness.wait_for(f"node {node}", lambda: cluster.status(node))
        return process

    @staticmethod
    def reap(process):
        process.kill()
        process.wait()

    def test_sigterm_to_the_leader(self):
        cluster = self.start_cluster()
        processes = {node: self.adopt(node) for node in (1, 2, 3)}
        path = harness.input_files(cluster.directory, count=10_000)["generated"]

        def stop_leader():
            leader = cluster.leader()
            processes[leader].send_signal(signal.SIGTERM)
            self.assertEqual(processes[leader].wait(timeout=STOP_SECONDS), 0, "a node that is asked to stop ends well")
            harness.wait_for("another leader", lambda: cluster.leader() != leader)

        lines.Round(cluster, "sigterm", path).run(stop_leader)

    def test_a_single_node_stops_and_is_gone(self):
        cluster = self.start_cluster(nodes=1)
        started = time.monotonic()
        cluster.ops("stop", "1")
        self.assertLess(time.monotonic() - started, STOP_SECONDS)
        done = cluster.holdfast("--timeout", "2", "queue", "list", check=False)
        self.assertEqual(done.returncode, 3, done.stderr)


if __name__ == "__main__":
    harness.main()
