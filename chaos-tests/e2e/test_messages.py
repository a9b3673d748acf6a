"""Options of queues, exchanges and properties of messages: the examples of the client library, and the command line."""

import json
import os
import subprocess

import harness


class Messages(harness.ClusterTest):
    def setUp(self):
        self.cluster = self.start_cluster()
        harness.wait_for("version 2 of the rules", lambda: self.try_run("queue", "declare", "ready", "--priority", "1"))

    def try_run(self, *arguments):
        return self.cluster.holdfast(*arguments, check=False).returncode == 0

    def consume(self, queue):
        done = self.cluster.holdfast("consume", queue, "--json", "--idle", "300")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_examples(self):
        for name in ("orders", "parcels"):
            example = os.path.join(os.path.dirname(harness.HOLDFAST), f"holdfast-{name}")
            for node in (1, 2, 3):
                done = subprocess.run([example, self.cluster.address(node)], capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, 0, done.stderr)
            self.assertNotIn(name, self.cluster.holdfast("queue", "list").stdout)

    def test_exchanges_lead_to_queues(self):
        run = self.cluster.holdfast
        run("queue", "declare", "jobs", "--priority", "9", "--note", "for tests")
        run("exchange", "declare", "events", "--type", "topic")
        run("bind", "events", "jobs", "--key", "order.*")
        self.assertEqual(harness.table(run("bindings", "events").stdout, "EXCHANGE")[0]["key"], "order.*")
        run("publish", "--exchange", "events", "--key", "order.new", "--priority", "1", stdin="low")
        run("publish", "--exchange", "events", "--key", "order.paid", "--priority", "9", "--header", "n=5", "--header",
            "color=red", stdin="high")
        lost = run("publish", "--exchange", "events", "--key", "refund", "--mandatory", stdin="lost", check=False)
        self.assertEqual(lost.returncode, 1)
        self.assertIn("reached no queue", lost.stderr)
        taken = self.consume("jobs")
        self.assertEqual([message["body"] for message in taken], ["high", "low"])
        self.assertEqual(taken[0]["headers"], {"n": 5, "color": "red"})
        self.assertEqual(taken[0]["routing_key"], "order.paid")
        other = run("queue", "declare", "jobs", "--priority", "8", check=False)
        self.assertEqual(other.returncode, 1)
        self.assertIn("other options", other.stderr)
        run("unbind", "events", "jobs", "--key", "order.*")
        run("exchange", "delete", "events", "--if-unused")
        self.assertNotIn("events", run("exchange", "list").stdout)

    def test_dead_letters_come_back(self):
        run = self.cluster.holdfast
        run("queue", "declare", "dead")
        run("queue", "declare", "work", "--ttl", "100ms", "--dead-letter", "dead", "--paused", "yes", "--keep-life", "1h")
        run("publish", "work", "--lines", stdin="one\ntwo\n")
        harness.wait_for("dead letters", lambda: self.cluster.ready("dead") == 2)
        run("queue", "change", "work", "--ttl", "none", "--paused", "no")
        self.assertIn("dead-lettered", run("message", "show", "work", "1").stdout)
        run("redrive", "dead", "--from", "work")
        self.assertEqual([message["body"] for message in self.consume("work")], ["one", "two"])

    def test_virtual_hosts_are_apart(self):
        run = self.cluster.holdfast
        run("vhost", "create", "billing", "--note", "money")
        run("--vhost", "billing", "queue", "declare", "bills")
        self.assertIn("bills", run("--vhost", "billing", "queue", "list").stdout)
        self.assertNotIn("bills", run("queue", "list").stdout)
        run("limits", "--of-vhost", "billing", "--queues", "1")
        self.assertFalse(self.try_run("--vhost", "billing", "queue", "declare", "more"))
        run("vhost", "delete", "billing", "--force")
        self.assertFalse(self.try_run("--vhost", "billing", "queue", "list"))


if __name__ == "__main__":
    harness.main()
