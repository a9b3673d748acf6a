"""A leader that is asked to stop hands over and ends by itself, while clients go on. A disk that does not answer cannot
keep a node from ending."""

import os
import signal
import subprocess
import sys
import time
import unittest

import harness
import lines

STOP_SECONDS = 5
EXIT_FATAL = 70
FIRST_THREAD_ENDS = """
import ctypes, threading
threading.Thread(target=threading.Event().wait).start()
ctypes.CDLL(None).pthread_exit(None)
"""
STALLED = os.path.join(harness.BIN, "stalled.so")  # Not there when everything is built with a sanitizer.


class Stop(harness.ClusterTest):
    def adopt(self, node, **environment):
        """Starts the node as a child of this process, which alone learns how it ends."""
        cluster = self.cluster
        cluster.ops("kill", str(node))
        with open(cluster.node_path(node, "log"), "ab") as log:
            process = subprocess.Popen([harness.HOLDFASTD, "--config", cluster.node_path(node, "config.yml")],
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       env=dict(os.environ, **environment))
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

    def test_a_killed_node_is_gone_when_its_last_thread_is(self):
        cluster = self.start_cluster(nodes=1)
        cluster.ops("kill", "1")
        process = subprocess.Popen([sys.executable, "-c", FIRST_THREAD_ENDS, "--config", cluster.node_path(1, "config.yml")],
                                   stdin=subprocess.DEVNULL)
        self.addCleanup(self.reap, process)
        with open(cluster.node_path(1, "pid"), "w", encoding="ascii") as f:
            f.write(f"{process.pid}\n")

        def first_thread_has_ended():
            with open(f"/proc/{process.pid}/stat", encoding="ascii") as f:
                return f.read().rsplit(")", 1)[1].split()[0] == "Z"

        harness.wait_for("the end of a thread", first_thread_has_ended)
        self.assertEqual(cluster.ops("pids"), str(process.pid), "what it has open is not closed yet")
        cluster.ops("kill", "1")
        self.assertEqual(cluster.ops("pids"), "", "nobody has reaped it, but it has nothing open any more")
        cluster.ops("start", "1")

    def test_a_single_node_stops_and_is_gone(self):
        cluster = self.start_cluster(nodes=1)
        started = time.monotonic()
        cluster.ops("stop", "1")
        self.assertLess(time.monotonic() - started, STOP_SECONDS)
        done = cluster.holdfast("--timeout", "2", "queue", "list", check=False)
        self.assertEqual(done.returncode, 3, done.stderr)

    def stop_with_a_stalled_disk(self, config=""):
        """A node that waits for its disk, with a client that waits for the node, and has been asked to stop."""
        cluster = self.start_cluster(nodes=1, config=config)
        stalled = cluster.path("stalled")
        process = self.adopt(1, LD_PRELOAD=STALLED, STALLED=stalled)
        cluster.holdfast("queue", "declare", "q")
        with open(stalled, "wb"):
            pass
        client = cluster.start_holdfast("--timeout", "60", "queue", "declare", "stalled", stderr=subprocess.DEVNULL)
        self.addCleanup(self.reap, client)
        time.sleep(1)  # So that the command has come as far as the disk.
        process.send_signal(signal.SIGTERM)
        return process

    @unittest.skipUnless(os.path.exists(STALLED), "needs a build without a sanitizer")
    def test_a_disk_that_does_not_answer_is_not_waited_for(self):
        process = self.stop_with_a_stalled_disk()
        self.assertEqual(process.wait(timeout=STOP_SECONDS), EXIT_FATAL, "what it had been told is not on the disk")

    @unittest.skipUnless(os.path.exists(STALLED), "needs a build without a sanitizer")
    def test_a_second_signal_ends_a_node_that_waits_for_its_disk(self):
        process = self.stop_with_a_stalled_disk(config="disk_stall_ms: 60000")
        with self.assertRaises(subprocess.TimeoutExpired, msg="the disk may take so long"):
            process.wait(timeout=STOP_SECONDS)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(timeout=1), -signal.SIGTERM)


if __name__ == "__main__":
    harness.main()
