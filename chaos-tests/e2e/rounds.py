"""Sends files through a cluster again and again while its leader or all nodes are killed, or the leader is paused;
prints a table."""

import sys
import time

import harness
import lines

INTERRUPTIONS = {"kill leader": lines.kill_leader, "kill all": lines.kill_all, "pause leader": lines.pause_leader}


def run_round(number, interruption):
    """Runs one kind of interruption on all files in a new cluster; returns the lines sent and the failures."""
    sent, failures = 0, 0
    cluster = harness.Cluster()
    try:
        for name, path in harness.input_files(cluster.directory, seed=number).items():
            one = lines.Round(cluster, name, path)
            started = time.monotonic()
            try:
                one.run(lambda: INTERRUPTIONS[interruption](cluster))
                result = "every line once, in order"
                sent += one.lines
            except Exception as e:  # pylint: disable=broad-except; a round that fails is a row of the table
                result = "FAILED: " + str(e).splitlines()[0]
                failures += 1
                cluster.show_logs()
            print(f"{number:5}  {interruption:12}  {name:9}  {one.lines:7}  {one.confirmed_at_kill:7}  {one.seconds:7.1f}  "
                  f"{time.monotonic() - started:7.1f}  {result}", flush=True)
    finally:
        cluster.close()
    return sent, failures


def main():
    rounds = int(sys.argv[1])
    started, sent, failures = time.monotonic(), 0, 0
    print("`then` is how many lines were confirmed when the interruption began; times are seconds.\n")
    print("round  interruption  file         lines     then  publish    total  result")
    for number in range(1, rounds + 1):
        for interruption in INTERRUPTIONS:
            more, failed = run_round(number, interruption)
            sent, failures = sent + more, failures + failed
    print(f"\n{rounds} rounds, {sent} lines back once and in order, {failures} failures, "
          f"{time.monotonic() - started:.0f} s")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
