"""Settling: accepted, rejected, released, extended; one by one, up to a message, by list; and what a token is worth."""

import signal
import subprocess
import time

import client
import features
from features import REJECT, STALE


class Settling(features.FeaturesTest):
    def test_accept_reject_release(self):
        self.declare("dead")
        self.declare("q", "--dead-letter", "dead")
        self.publish("q", "1", "2", "3", "4")
        self.assertEqual(self.cli("consume", "q", "--count", "1").stdout, "1")
        self.assertEqual(self.cli("consume", "q", "--count", "1", "--reject").stdout, "2")
        began = time.monotonic()
        self.assertEqual(self.cli("consume", "q", "--release", "3s").stdout, "3")
        self.assertEqual(self.cli("consume", "q", "--release", "0").stdout, "4")
        self.assertEqual((self.show("q")["ready"], self.show("q")["waiting"]), (1, 1))
        self.assertEqual(self.cli("consume", "q", "--lines", "--count", "2").stdout, "4\n3\n")
        self.assertGreaterEqual(time.monotonic() - began, 2.9)
        self.assertEqual(self.fetch("dead"), ["2"])

    def test_work(self):
        """A command for each message: done when it succeeds, else back or a dead letter; its lock is extended meanwhile."""
        self.declare("dead")
        self.declare("q", "--lock", "900ms", "--dead-letter", "dead", "--max-deliveries", "2")
        self.publish("q", "good", "bad")
        command = ('read -r line; echo "$line $HOLDFAST_QUEUE $HOLDFAST_POSITION $HOLDFAST_DELIVERIES"; sleep 1.5; '
                   'test "$line" = good')
        done = self.cli("work", "q", "--retry", "10ms", "--count", "3", "--", "sh", "-c", command, check=False)
        self.assertEqual(done.stdout.splitlines(), ["good q 1 0", "bad q 2 0", "bad q 2 1"], done.stderr)
        self.assertEqual((done.returncode, done.stderr), (1, "3 messages, 2 failed\n"))
        self.assertEqual(self.fetch("dead"), ["bad"])
        row = self.show("q")
        self.assertEqual((row["depth"], row["settled"], row["locks_ended"]), (0, 1, 0))
        self.publish("q", "not wanted")
        self.cli("work", "q", "--reject", "--idle", "100", "--", "false", check=False)
        self.assertEqual(self.fetch("dead"), ["not wanted"])
        self.publish("q", "x")
        self.refused("No such file", "work", "q", "--", "/no/such/command")
        self.assertEqual(self.fetch("q"), ["x"])

    def test_work_that_has_lost_its_message_is_told_to_end(self):
        self.declare("q", "--lock", "1h")
        self.publish("q", "m")
        worker = self.cluster.start_holdfast("--vhost", self.vhost, "work", "q", "--count", "1", "--lock", "600ms", "--",
                                             "sh", "-c", "echo begun; exec sleep 60", stdout=subprocess.PIPE,
                                             stderr=subprocess.PIPE, text=True)
        self.addCleanup(worker.kill)
        self.assertEqual(worker.stdout.readline(), "begun\n")
        self.cli("queue", "change", "q", "--paused", "yes")
        worker.send_signal(signal.SIGSTOP)
        self.wait_ready("q", 1)
        worker.send_signal(signal.SIGCONT)
        said = worker.communicate(timeout=30)[1]
        self.assertEqual(worker.returncode, 1, said)
        self.assertIn("no longer held", said)

    def test_by_list_and_cumulative(self):
        self.declare("q")
        self.publish("q", *"123456")
        holder = self.consumer("q")
        holder.wait_for(6)
        self.assertEqual(holder.settle_range(2, 2), (0, 1, 0))
        self.assertEqual(holder.settle_range(1, 4), (0, 3, 1), "all up to 4; one of them was settled before")
        self.assertEqual(holder.settle_range(1, 6, whole=True)[0], STALE)
        self.assertEqual(self.show("q")["locked"], 2, "what was refused has changed nothing")
        self.assertEqual(holder.settle_range(5, 6, client.RELEASE), (0, 2, 0))
        self.assertEqual(holder.wait_for(8)[6:], ["5", "6"])

    def test_a_stale_token_changes_nothing(self):
        """What a session held that has ended is another's now."""
        self.declare("q")
        self.publish("q", "m")
        first, second = self.consumer("q", 1), self.consumer("q", 1)
        first.wait_for(1)
        token = first.deliveries[0]
        first.settle_one(token, client.RELEASE, delay_ms=0)
        second.wait_for(1)
        for outcome in (client.ACCEPT, REJECT, client.RELEASE):
            self.assertEqual(first.settle_one(token, outcome), (0, 0, 1))
        self.assertEqual(second.settle_one(second.deliveries[0]), (0, 1, 0))
        self.assertEqual(second.settle_one(second.deliveries[0]), (0, 0, 1), "nor is it settled twice")
        self.assertEqual(self.show("q")["settled"], 1)

    def test_so_many_and_no_more(self):
        """`consume --count` is given as many as it takes: the next one has not been delivered, and no delivery of it counts."""
        self.declare("dead")
        self.declare("q", "--max-deliveries", "1", "--dead-letter", "dead")
        self.publish("q", *[str(number) for number in range(1500)])
        for options in (("--count", "1"), ("--count", "1", "--no-ack"), ("--count", "1100"), ("--count", "1", "--reject")):
            self.cli("consume", "q", "--lines", *options)
        left = self.fetch_json("q", 2)
        self.assertEqual([(one["body"], one["delivery_count"]) for one in left], [("1103", 0), ("1104", 0)])
        self.assertEqual(self.fetch("dead"), ["1102"])


if __name__ == "__main__":
    features.main()
