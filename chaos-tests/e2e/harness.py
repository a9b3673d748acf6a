"""A cluster of real processes in a directory of its own, for end-to-end tests.

A test that fails prints the last lines of every node's log; whatever happens, the nodes are stopped and the directory
is removed. Python's standard library alone.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
BIN = os.environ.get("HOLDFAST_BIN", os.path.join(ROOT, "build", "bin"))
HOLDFAST = os.path.join(BIN, "holdfast")
HOLDFASTD = os.path.join(BIN, "holdfastd")
COMMAND_SECONDS = 120


def table(text, first):
    """The rows below the header that begins with `first`, as dictionaries; the columns' names are lower case. What the
    tests read has no spaces within a column, but for the last."""
    names, rows = None, []
    for line in text.splitlines():
        cells = line.split()
        if names:
            rows.append(dict(zip(names, cells)))
        elif cells and cells[0] == first:
            names = [name.lower() for name in cells]
    return rows


def wait_for(what, condition, seconds=30.0, pause=0.05):
    """Returns the first true value of condition(); fails after a while, saying what did not happen."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds:.0f} s")
        time.sleep(pause)


class Cluster:
    """ops/cluster, with a directory of its own."""

    def __init__(self, nodes=3, config="", start=True):
        self.directory = tempfile.mkdtemp(prefix="holdfast-e2e-")
        self.environment = dict(os.environ, CLUSTER_DIR=os.path.join(self.directory, "cluster"), CLUSTER_CONFIG=config,
                                HOLDFAST_BIN=BIN)
        self.nodes = nodes
        try:
            if start:
                self.ops("up", str(nodes))
        except BaseException:
            self.close()
            raise

    def close(self):
        subprocess.run([os.path.join(ROOT, "ops", "cluster"), "down"], env=self.environment, check=False,
                       stdin=subprocess.DEVNULL, timeout=COMMAND_SECONDS)
        shutil.rmtree(self.directory, ignore_errors=True)

    def ops(self, *arguments, check=True):
        done = subprocess.run([os.path.join(ROOT, "ops", "cluster"), *arguments], env=self.environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMMAND_SECONDS)
        if check and done.returncode != 0:
            what = f"ops/cluster {' '.join(arguments)}: exit {done.returncode}"
            raise AssertionError(f"{what}\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def node_path(self, node, *parts):
        return self.path("cluster", f"node-{node}", *parts)

    def log(self, node):
        try:
            with open(self.node_path(node, "log"), encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def show_logs(self, lines=40):
        for node in range(1, self.nodes + 1):
            tail = "\n".join(self.log(node).splitlines()[-lines:])
            print(f"--- node {node}: the end of its log\n{tail}", file=sys.stderr)

    def hosts(self):
        return self.ops("hosts")

    def address(self, node):
        return self.hosts().split(",")[node - 1]

    def pid(self, node):
        with open(self.node_path(node, "pid"), encoding="ascii") as f:
            return int(f.read())

    def leader(self, seconds=30.0):
        return int(wait_for("a leader", lambda: self.ops("leader", "any", check=False), seconds))

    def command(self, *arguments, servers=None):
        return [HOLDFAST, "--servers", servers or self.hosts(), *arguments]

    def holdfast(self, *arguments, servers=None, check=True, stdin=None, text=True, timeout=COMMAND_SECONDS):
        """Runs the command line. With check, anything but exit 0 is a failure."""
        done = subprocess.run(self.command(*arguments, servers=servers), input=stdin,
                              stdin=subprocess.DEVNULL if stdin is None else None, capture_output=True, text=text,
                              errors="replace" if text else None, timeout=timeout)
        if check and done.returncode != 0:
            raise AssertionError(f"holdfast {arguments}: exit {done.returncode}\n{done.stdout!r}\n{done.stderr!r}")
        return done

    def start_holdfast(self, *arguments, **options):
        return subprocess.Popen(self.command(*arguments), stdin=subprocess.DEVNULL, **options)

    def queue(self, name):
        """The row of a queue in the listing, or None; also None while nobody leads."""
        done = self.holdfast("--timeout", "5", "queue", "list", check=False)
        for row in table(done.stdout, "QUEUE"):
            if row["queue"] == name:
                return row
        return None

    def ready(self, name):
        row = self.queue(name)
        return -1 if row is None else int(row["ready"])

    def status(self, node):
        """The row that the node gives of itself in `cluster status`, or None when it does not answer."""
        done = self.holdfast("--timeout", "5", "cluster", "status", servers=self.address(node), check=False)
        for row in table(done.stdout, "NODE"):
            if row["node"] == str(node) and row["role"] in ("leader", "follower", "candidate", "learner"):
                return row
        return None


class ClusterTest(unittest.TestCase):
    """A test with a cluster, made by self.start_cluster()."""

    cluster = None

    def start_cluster(self, nodes=3, config="", start=True):
        self.cluster = Cluster(nodes, config, start)
        self.addCleanup(self.cluster.close)
        return self.cluster


class LogShowingResult(unittest.TextTestResult):
    """Shows the nodes' logs when a test fails, before its clean-up removes them."""

    def addError(self, test, err):
        self._show(test)
        super().addError(test, err)

    def addFailure(self, test, err):
        self._show(test)
        super().addFailure(test, err)

    @staticmethod
    def _show(test):
        cluster = getattr(test, "cluster", None)
        if cluster is not None:
            cluster.show_logs()


def generate_lines(count, seed):
    """Lines of all kinds: empty, short, long, UTF-8, any bytes but the newline."""
    rng = random.Random(seed)
    any_byte = bytes(b for b in range(256) if b != 10)
    words = "Nachricht Größe файл 消息 ✓ queue log commit \t  ".split(" ")
    lines = []
    for number in range(count):
        kind = number % 10
        if kind == 0:
            line = b""
        elif kind < 4:
            line = " ".join(rng.choices(words, k=rng.randint(1, 20))).encode()
        elif kind < 7:
            line = bytes(rng.choices(any_byte, k=rng.randint(1, 200)))
        else:
            line = b"line %d of many" % number
        lines.append(line)
    for number in rng.sample(range(count), 5):
        lines[number] = bytes(rng.choices(any_byte, k=rng.randint(20_000, 100_000)))
    lines[count // 2] = b"x" * (1 << 20)
    return b"".join(line + b"\n" for line in lines)


def input_files(directory, count=20_000, seed=1):
    """Paths of files to send: always a generated one, and a real one where there is one."""
    generated = os.path.join(directory, "generated")
    with open(generated, "wb") as f:
        f.write(generate_lines(count, seed))
    files = {"generated": generated}
    real = "/var/lib/dpkg/status"
    if os.path.exists(real) and os.path.getsize(real) > 0:
        with open(real, "rb") as f:
            content = f.read()
        # What comes back ends every line with a newline.
        copy = os.path.join(directory, "real")
        with open(copy, "wb") as f:
            f.write(content if content.endswith(b"\n") else content + b"\n")
        files["real"] = copy
    return files


def main():
    if not os.access(HOLDFASTD, os.X_OK):
        sys.exit(f"error: {HOLDFASTD} is not there: build first, or set HOLDFAST_BIN")
    unittest.main(testRunner=unittest.TextTestRunner(verbosity=2, resultclass=LogShowingResult))
