"""What was confirmed survives a loss of power on all nodes at once; without the syncs it does not, and that is noticed.

The nodes run on `unsynced.so` (unsynced/unsynced.c), which keeps from the files what has not been synced: SIGKILL takes
it away. What is asked of the cluster afterwards is the same with the syncs and without them.
"""

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import unittest

import harness

LAYER = os.path.join(harness.BIN, "unsynced.so")
FIRST = 3_000    # Lines that are confirmed before anything happens.
TOTAL = 12_000   # With those during which the power fails.
WINDOW = 32      # Of the publisher that is interrupted: few messages in flight, so that it takes a while.
UNREACHABLE = 2  # Seconds for which it goes on trying when the nodes are gone.
SMALL = "checkpoint_mib: 1\nsegment_mib: 1"


class Lost(Exception):
    """What was confirmed is not there."""


def layered(environment, match, ignore_sync=False, direct=True):
    return dict(environment, LD_PRELOAD=LAYER, UNSYNCED_MATCH=match, UNSYNCED_IGNORE_SYNC="1" if ignore_sync else "0",
                UNSYNCED_NO_DIRECT="0" if direct else "1")


class Layer(unittest.TestCase):
    """The layer loses what it should, and nothing else: a program writes, syncs, writes, reads and gets SIGKILL."""

    PROGRAM = """
import os, signal, sys
def write(path):
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    os.write(fd, b"synced " * 1000)
    os.fdatasync(fd)
    os.pwritev(fd, [b"SYN", b"CED"], 3500)
    os.lseek(fd, 0, os.SEEK_END)
    os.write(fd, b"lost" * 5000)
    os.close(fd)
    fd = os.open(path, os.O_RDONLY)
    assert os.pread(fd, 14, 3493) == b"synced SYNCED "
    assert os.fstat(fd).st_size == os.stat(path).st_size == os.lseek(fd, 0, os.SEEK_END) == 27000
    os.lseek(fd, 6993, os.SEEK_SET)
    assert os.read(fd, 30000) == b"synced " + b"lost" * 5000
for path in sys.argv[1:]:
    write(path)
fd = os.open(sys.argv[1] + ".cut", os.O_RDWR | os.O_CREAT)
os.write(fd, b"0123456789" * 1000)
os.ftruncate(fd, 5)
os.write(os.open(sys.argv[1] + ".cut", os.O_WRONLY | os.O_APPEND), b"end")
os.fsync(fd)
os.kill(os.getpid(), signal.SIGKILL)
"""

    def run_program(self, ignore_sync):
        """Returns what is in a file that matches, in one that does not, and in one that was cut and synced."""
        cluster = harness.Cluster(start=False)
        self.addCleanup(cluster.close)
        matching, other = cluster.path("matching"), cluster.path("other")
        done = subprocess.run([sys.executable, "-c", self.PROGRAM, matching, other], stderr=subprocess.PIPE, timeout=60,
                              env=layered(os.environ, "/matching", ignore_sync), check=False)
        self.assertEqual((done.returncode, done.stderr), (-signal.SIGKILL, b""))
        contents = []
        for path in (matching, other, matching + ".cut"):
            with open(path, "rb") as f:
                contents.append(f.read())
        return contents

    def test_what_is_not_synced_is_lost(self):
        matching, other, cut = self.run_program(ignore_sync=False)
        self.assertEqual(matching, b"synced " * 1000)
        self.assertEqual(len(other), 27000)
        self.assertEqual(cut, b"01234end")

    def test_without_syncs_everything_is_lost(self):
        matching, other, cut = self.run_program(ignore_sync=True)
        self.assertEqual(matching, b"")
        self.assertEqual(len(other), 27000)
        self.assertEqual(cut, bytes(5))  # Sizes are durable at once.


def confirmed(said):
    """How many lines were confirmed, by the publisher's last words."""
    found = re.search(r"^(\d+) messages, \d+ repeated", said, re.MULTILINE)
    if found is None:
        raise AssertionError("the publisher did not say how much was confirmed: " + said)
    return int(found.group(1))


def feed(pipe, made, failed):
    """Writes the lines; the last one only when the power has failed, so that it cannot come too late."""
    try:
        with pipe:
            pipe.write(b"".join(made[:-1]))
            pipe.flush()
            failed.wait()
            pipe.write(made[-1])
    except BrokenPipeError:
        pass  # The publisher has given up.


class Power(harness.ClusterTest):
    def start(self, match, config="", ignore_sync=False, direct=True):
        cluster = self.start_cluster(config=config, start=False)
        cluster.environment = layered(cluster.environment, match, ignore_sync, direct)
        cluster.ops("up", "3")
        for node in range(1, 4):
            with open(f"/proc/{cluster.pid(node)}/maps", encoding="utf-8") as f:
                self.assertIn(LAYER, f.read(), "the nodes run on the layer")

    def make_lines(self, seed):
        """TOTAL lines, and the files with the first of them and with all."""
        rng = random.Random(seed)
        made = [b"%06d %s\n" % (number, rng.randbytes(rng.randint(0, 500)).hex().encode()) for number in range(TOTAL)]
        for name, count in (("first", FIRST), ("all", TOTAL)):
            with open(self.cluster.path(name), "wb") as f:
                f.writelines(made[:count])
        return made

    def publish_all(self, queue, name, count):
        """One producer per queue: lines that are known already are not enqueued again."""
        path = self.cluster.path(name)
        done = self.cluster.holdfast("publish", queue, "--lines", "--producer", queue, "--file", path)
        self.assertEqual(confirmed(done.stderr), count)

    def lose_power(self, queue, made):
        """All nodes get SIGKILL while lines come in, and are started again; returns how many lines were confirmed."""
        said = self.cluster.path(queue + ".publish")
        failed = threading.Event()
        with open(said, "wb") as f:
            publisher = subprocess.Popen(
                self.cluster.command("--timeout", str(UNREACHABLE), "publish", queue, "--lines", "--producer", queue,
                                     "--window", str(WINDOW)), stdin=subprocess.PIPE, stdout=f, stderr=f)
        feeder = threading.Thread(target=feed, args=(publisher.stdin, made, failed))
        feeder.start()
        try:
            harness.wait_for("lines of the second publisher", lambda: self.cluster.ready(queue) > FIRST, pause=0.01)
            # So that the kill comes at any time, also within a checkpoint.
            time.sleep(random.uniform(0, 0.1))
            for pid in [self.cluster.pid(node) for node in range(1, 4)]:
                os.kill(pid, signal.SIGKILL)
            failed.set()
            code = publisher.wait(timeout=harness.COMMAND_SECONDS)
        finally:
            failed.set()
            publisher.kill()
            publisher.wait()
            feeder.join()
        harness.wait_for("the end of all nodes", lambda: self.cluster.ops("pids") == "")
        for node in range(1, 4):
            self.cluster.ops("start", str(node), "nowait")
        with open(said, encoding="utf-8") as f:
            text = f.read()
        self.assertNotEqual(code, 0, "the last line cannot have been confirmed: " + text)
        return confirmed(text)

    def row_after_start(self, queue):
        """The queue's row as soon as there is a leader; Lost when a node refuses to start, or knows no such queue."""
        def answer():
            if len(self.cluster.ops("pids").split()) < 3:
                raise Lost("a node has ended: " + self.last_words())
            if self.damage():
                raise Lost("a node is to be repaired: " + self.damage())
            done = self.cluster.holdfast("--timeout", "1", "queue", "list", check=False)
            return [harness.table(done.stdout, "QUEUE")] if done.returncode == 0 else None
        for row in harness.wait_for("a listing", answer)[0]:
            if row["queue"] == queue:
                return row
        raise Lost("there is no such queue any more")

    def damage(self):
        """What nodes found when they started: each of them waits for a copy of the others' state."""
        return "; ".join(line for node in range(1, 4) for line in self.cluster.log(node).splitlines()
                         if "subject=damage" in line)

    def last_words(self):
        return "; ".join((self.cluster.log(node).splitlines() or [""])[-1] for node in range(1, 4))

    def check_confirmed(self, queue, made, count):
        """Raises Lost unless the first lines, at least `count` of them, are there once and in order. Consumes them."""
        ready = int(self.row_after_start(queue)["ready"])
        if ready < count:
            raise Lost(f"{count} lines were confirmed, {ready} are there")
        self.consume(queue, made[:ready])
        return ready

    def consume(self, queue, expected):
        out = self.cluster.holdfast("consume", queue, "--lines", "--count", str(len(expected)), text=False).stdout
        if out != b"".join(expected):
            raise Lost(f"{out.count(10)} lines came back, not the {len(expected)} expected")

    def run_round(self, number):
        queue = f"power.{number}"
        made = self.make_lines(number)
        self.cluster.holdfast("queue", "declare", queue)
        self.publish_all(queue, "first", FIRST)
        count = self.lose_power(queue, made)
        ready = self.check_confirmed(queue, made, count)
        # The same producer goes on where it was, whatever it had been told.
        self.publish_all(queue, "all", TOTAL)
        self.consume(queue, made[ready:])
        self.assertEqual(self.cluster.ready(queue), 0)
        print(f"{count} lines confirmed, {ready} there, of {TOTAL}; ", end="", file=sys.stderr, flush=True)

    def checkpoints(self):
        return [int((self.cluster.status(node) or {"checkpoint": 0})["checkpoint"]) for node in range(1, 4)]

    def test_confirmed_lines_survive(self):
        self.start("/data/")
        self.run_round(1)

    def test_confirmed_lines_survive_among_checkpoints(self):
        self.survive_among_checkpoints(direct=True)

    def test_confirmed_lines_survive_on_a_file_system_without_direct_writes(self):
        self.survive_among_checkpoints(direct=False)

    def survive_among_checkpoints(self, direct):
        self.start("/data/", config=SMALL, direct=direct)
        for number in range(1, 4):
            self.run_round(number)
        self.assertTrue(all(self.checkpoints()), self.checkpoints())

    def lose_without_syncs(self, match, config):
        self.start(match, config, ignore_sync=True)
        with self.assertRaises(Lost) as caught:
            self.run_round(1)
        return str(caught.exception)

    def test_log_without_syncs_is_noticed(self):
        self.assertIn("no such queue", self.lose_without_syncs("/shard-0/log/", ""))

    def test_log_without_syncs_is_noticed_by_checkpoints(self):
        self.assertIn("but the state ends at entry", self.lose_without_syncs("/shard-0/log/", SMALL))

    def test_term_and_vote_without_syncs_are_noticed(self):
        self.assertIn("term and vote are lost", self.lose_without_syncs("/shard-0/meta", ""))


if __name__ == "__main__":
    if not os.path.exists(LAYER):
        sys.exit(f"error: {LAYER} is not there: build first, without sanitizers")
    harness.main()
