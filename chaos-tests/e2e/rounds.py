"""Sends files through a cluster again and again while its leader, or all of its nodes, are killed; prints a table."""

import sys
import time

import harness
import lines

KILLS = {"leader": lines.kill_leader, "all": lines.kill_all}


def run_round(number, kill):
    """Runs one kind of kill on all files in a new cluster; returns the lines sent and the failures."""
    sent, failures = 0, 0
    cluster = harness.Cluster()
    try:
        for name, path in harness.input_files(cluster.directory, seed=number).items():
            one = lines.Round(cluster, name, path)
            started = time.monotonic()
            try:
                one.run(lambda: KILLS[kill](cluster))
                result = "every line once, in order"
                sent += one.lines
            except Exception as e:  # pylint: disable=broad-except; a round that fails is a row of the table
                result = "FAILED: " + str(e).splitlines()[0]
                failures += 1
                cluster.show_logs()
            print(f"{number:5}  {kill:6}  {name:9}  {one.lines:7}  {one.confirmed_at_kill:7}  {one.seconds:7.1f}  "
                  f"{time.monotonic() - started:7.1f}  {result}", flush=True)
    finally:
        cluster.close()
    return sent, failures


def main():
    rounds = int(sys.argv[1])
    started, sent, failures = time.monotonic(), 0, 0
    print("round  killed  file         lines  at kill  publish    total  result")
    for number in range(1, rounds + 1):
        for kill in KILLS:
            more, failed = run_round(number, kill)
            sent, failures = sent + more, failures + failed
    print(f"\n{rounds} rounds, {sent} lines back once and in order, {failures} failures, "
          f"{time.monotonic() - started:.0f} s")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
