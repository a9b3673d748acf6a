"""A file goes through a cluster line by line while nodes are killed: what the kill tests and ops/rounds share."""

import filecmp
import os
import signal
import subprocess
import time

from harness import wait_for

# Messages in flight: few, so that a file takes long enough to be interrupted in its middle.
WINDOW = 16
PUBLISH_SECONDS = 180


class Round:
    """One file, one queue, one interruption."""

    def __init__(self, cluster, name, path):
        self.cluster = cluster
        self.queue = f"lines.{name}"
        self.path = path
        with open(path, "rb") as f:
            self.lines = f.read().count(b"\n")
        self.confirmed_at_kill = 0
        self.seconds = 0.0

    def publish_arguments(self):
        return ("--timeout", str(PUBLISH_SECONDS), "publish", self.queue, "--lines", "--producer", self.queue, "--file",
                self.path, "--window", str(WINDOW))

    def run(self, interrupt):
        """Publishes; calls interrupt() when a third is confirmed; checks that every line comes back once, in order."""
        self.cluster.holdfast("queue", "declare", self.queue)
        started = time.monotonic()
        with open(self.cluster.path(self.queue + ".publish"), "wb") as said:
            publisher = self.cluster.start_holdfast(*self.publish_arguments(), stdout=said, stderr=said)
        try:
            self.wait_for_a_third(publisher)
            interrupt()
            code = publisher.wait(timeout=PUBLISH_SECONDS)
        finally:
            if publisher.poll() is None:
                publisher.kill()
                publisher.wait()
        self.seconds = time.monotonic() - started
        if code != 0:
            raise AssertionError(f"publish: exit {code}: {self.said()}")
        self.check_queue(self.lines)
        self.consume_and_compare()
        self.publish_again()

    def said(self):
        with open(self.cluster.path(self.queue + ".publish"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def wait_for_a_third(self, publisher):
        def third_confirmed():
            if publisher.poll() is not None:
                raise AssertionError(f"publish ended (exit {publisher.returncode}) before the kill: {self.said()}")
            self.confirmed_at_kill = self.cluster.ready(self.queue)
            return self.confirmed_at_kill >= self.lines // 3
        wait_for("a third of the lines confirmed", third_confirmed, PUBLISH_SECONDS, pause=0.01)
        if self.confirmed_at_kill >= self.lines:
            raise AssertionError("everything was confirmed before the kill: nothing was tested")

    def check_queue(self, ready):
        found = wait_for("the queue's listing", lambda: self.cluster.queue(self.queue))
        if int(found["ready"]) != ready:
            raise AssertionError(f"{self.queue}: {found['ready']} messages are ready, not {ready}")

    def consume_and_compare(self):
        out = self.cluster.path(self.queue + ".out")
        with open(out, "wb") as f:
            done = subprocess.run(self.cluster.command("consume", self.queue, "--lines", "--count", str(self.lines)),
                                  stdin=subprocess.DEVNULL, stdout=f, stderr=subprocess.PIPE, timeout=PUBLISH_SECONDS)
        if done.returncode != 0:
            raise AssertionError(f"consume: exit {done.returncode}: {done.stderr!r}")
        if not filecmp.cmp(self.path, out, shallow=False):
            raise AssertionError(f"{self.queue}: not what was sent: {first_difference(self.path, out)}")
        os.unlink(out)
        self.check_queue(0)

    def publish_again(self):
        """The same lines from the same producer are known: nothing is enqueued a second time."""
        self.cluster.holdfast(*self.publish_arguments()[:-1], "1024")
        self.check_queue(0)


def first_difference(path, other):
    with open(path, "rb") as a, open(other, "rb") as b:
        expected, found = a.read().split(b"\n"), b.read().split(b"\n")
    for number, (x, y) in enumerate(zip(expected, found), 1):
        if x != y:
            return f"line {number}: {x[:80]!r} came back as {y[:80]!r} ({len(expected)} and {len(found)} lines)"
    return f"{len(expected)} and {len(found)} lines"


def kill_leader(cluster):
    """SIGKILL for the leader; it is started again when the others have gone on."""
    leader = cluster.leader()
    cluster.ops("kill", str(leader))
    wait_for("another leader", lambda: cluster.leader() != leader)
    cluster.ops("start", str(leader), "nowait")
    return leader


def pause_leader(cluster):
    """SIGSTOP for the leader until there is another: when it goes on, it does not know yet that it is deposed."""
    leader = cluster.leader()
    cluster.ops("pause", str(leader))
    try:
        wait_for("another leader", lambda: cluster.leader() != leader)
    finally:
        cluster.ops("resume", str(leader))
    return leader


def kill_all(cluster):
    """SIGKILL for all nodes at once, then all are started again."""
    for pid in [cluster.pid(node) for node in range(1, cluster.nodes + 1)]:
        os.kill(pid, signal.SIGKILL)
    wait_for("the end of all nodes", lambda: cluster.ops("pids") == "")
    for node in range(1, cluster.nodes + 1):
        cluster.ops("start", str(node), "nowait")
