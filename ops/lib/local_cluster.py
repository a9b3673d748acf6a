"""A cluster of real nodes on this machine for a measurement, in a directory of its own. Python's standard library alone."""

import json
import os
import pathlib
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BIN = pathlib.Path(os.environ.get("HOLDFAST_BIN", ROOT / "build/bin")).resolve()


def memory_mb(pids):
    pages = sum(int(pathlib.Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) for pid in pids)
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def side(result, name):
    """Of what `holdfast bench --json` says: messages a second, p50 and p99 in ms, longest gap in ms; blanks for what was not
    measured."""
    found = result.get(name)
    if not found or not found["messages"]:
        return "", "", "", ""
    latency = found["latency_ms"]
    return (f"{found['per_second']:,.0f}", f"{latency['p50']:.2f}" if latency["count"] else "",
            f"{latency['p99']:.2f}" if latency["count"] else "", f"{found['longest_gap_ms']:.0f}")


class Cluster:
    """Three nodes, started with the block and gone at its end. What goes wrong ends the program."""

    def __init__(self, directory, config=""):
        self.directory = pathlib.Path(directory)
        self.environment = dict(os.environ, CLUSTER_DIR=str(directory), CLUSTER_CONFIG=config, HOLDFAST_BIN=str(BIN))

    def __enter__(self):
        self.do("up")
        return self

    def __exit__(self, *_):
        self.do("down")

    def do(self, *words):
        done = subprocess.run([ROOT / "ops/cluster", *words], env=self.environment, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            sys.exit(f"error: ops/cluster {' '.join(words)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def pids(self):
        return self.do("pids").split()

    def leader(self):
        return int(self.do("leader", "any"))

    def command(self, *words):
        return [BIN / "holdfast", "--servers", self.do("hosts"), *words]

    def holdfast(self, *words):
        done = subprocess.run(self.command(*words), stdout=subprocess.PIPE, check=False)
        if done.returncode != 0:
            sys.exit(f"error: holdfast {' '.join(words)}: exit code {done.returncode}\n{done.stdout[-1000:]}")
        return done.stdout

    def bench(self, *words):
        return json.loads(self.holdfast("bench", *words, "--json", "--pids", ",".join(self.pids())))

    def bench_during(self, work, *words):
        """Runs the load for as long as work() takes. Returns what was measured, and what work() returned."""
        with subprocess.Popen(self.command("bench", *words, "--seconds", "3600", "--json"), stdout=subprocess.PIPE) as load:
            try:
                returned = work()
            finally:
                load.send_signal(signal.SIGINT)
                out = load.communicate()[0]
        if load.returncode != 0:
            sys.exit(f"error: the load beside it: exit code {load.returncode}\n{out[-1000:]}")
        return json.loads(out), returned
