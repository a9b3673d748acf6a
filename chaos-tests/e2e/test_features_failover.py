"""What features promise across the loss of the leader, a restart of all nodes, and a checkpoint: nothing confirmed is lost,
nothing acknowledged comes back, nothing comes or expires early, and what was numbered is enqueued once."""

import json
import subprocess
import time

import client
import features
from features import REJECT
from native import field

# Log time may run a tenth faster than a clock while it catches up.
EARLY = 0.9
DELAY_S = 4.0


class Failover(features.FeaturesTest):
    # What is there before, and is to be there after.

    def prepare_all(self):
        for name in ("dead", "kept out"):
            self.declare(name)
        self.declare("full", "--priority", "5", "--dead-letter", "dead", "--keep", "1h", "--keep-life", "1h",
                     "--id-window", "1h", "--max-deliveries", "5")
        self.cli("exchange", "declare", "events", "--type", "topic", "--alternate", "lost")
        self.cli("exchange", "declare", "lost", "--type", "fanout")
        self.cli("bind", "events", "full", "--key", "order.*")
        self.cli("bind", "lost", "kept out")
        for number, priority in enumerate((0, 5, 3, 5), 1):
            self.to_exchange("events", "order.new", f"m{number}", "--priority", str(priority), "--id", f"id{number}",
                             "--header", f"n={number}")
        self.cli("consume", "full", "--count", "1")  # m2: accepted.
        self.cli("consume", "full", "--count", "1", "--reject")  # m4: a dead letter.
        self.cli("consume", "full", "--release", "0")  # m3: delivered once.
        self.publish("full", "numbered", options=("--producer", "p", "--no-gaps"))
        self.assertEqual(self.cli("producer", "open", "p").stdout, "epoch 1, last number 1\n")
        self.cli("publish", "full", "--prepare", "payment", stdin="prepared")
        self.cluster.holdfast("limits", "--of-vhost", self.vhost, "--exchanges", "2")

    def check_all(self):
        self.assertEqual(self.cli("producer", "open", "p").stdout, "epoch 2, last number 1\n")
        self.refused("taken by another", "publish", "full", "--producer", "p", "--epoch", "1", "--first", "2", stdin="x")
        self.publish("full", "numbered", options=("--producer", "p", "--epoch", "2", "--no-gaps"))
        self.publish("full", "m1 again", options=("--id", "id1"))
        self.cli("prepared", "commit", "payment")
        self.refused("", "exchange", "declare", "third")
        taken = self.fetch_json("full")
        self.assertEqual([(one["body"], one["delivery_count"]) for one in taken],
                         [("m3", 1), ("m1", 0), ("numbered", 0), ("prepared", 0)])
        self.assertEqual(taken[0]["headers"], {"n": 3})
        dead, = self.fetch_json("dead")
        self.assertEqual((dead["body"], dead["deaths"][0]["queue"], dead["deaths"][0]["reason"], dead["deaths"][0]["count"]),
                         ("m4", "full", "rejected", 1))
        self.to_exchange("events", "refund", "without a way")
        self.assertEqual(self.fetch("kept out"), ["without a way"])
        kept = [json.loads(line) for line in self.cli("browse", "full", "--kept", "--json").stdout.splitlines()]
        self.assertEqual(sorted((one["body"], one["state"]) for one in kept),
                         [("m1", "accepted"), ("m2", "accepted"), ("m3", "accepted"), ("m4", "rejected"),
                          ("numbered", "accepted"), ("prepared", "accepted")])
        first = next(one["position"] for one in kept if one["body"] == "m2")
        steps = [row.split()[2] for row in self.cli("message", "show", "full", str(first)).stdout.splitlines()[1:]]
        self.assertEqual(steps, ["enqueued", "delivered", "accepted"])

    def run_through(self, disturb):
        """Disturbs the cluster while a consumer holds a message, while one is delayed, one expires, and one is locked."""
        self.prepare_all()
        for name in ("held", "delayed", "late"):
            self.declare(name)
        self.declare("expires", "--ttl", f"{int(DELAY_S)}s", "--dead-letter", "late")
        self.publish("held", "1", "2")
        holder, waiting = self.consumer("held", 1), self.consumer("delayed")
        dying = self.consumer("late")
        holder.wait_for(1)
        began = time.monotonic()
        self.publish("delayed", "not before its time", options=("--delay", f"{int(DELAY_S)}s"))
        self.publish("expires", "not before its time")
        disturb()
        self.assertEqual(holder.settle_one(holder.deliveries[0]), (0, 1, 0), "what it held it holds")
        self.assertEqual(holder.wait_for(2), ["1", "2"])
        for other in (waiting, dying):
            other.wait_for(1, 30)
            self.assertGreaterEqual(time.monotonic() - began, DELAY_S * EARLY)
        self.assertEqual(waiting.texts() + dying.texts(), ["not before its time"] * 2)
        self.check_all()
        self.assertEqual((self.show("held")["locked"], self.show("held")["settled"]), (1, 1))

    def test_the_leader_is_killed(self):
        def disturb():
            down = self.kill_leader()
            self.addCleanup(lambda: self.cluster.ops("start", str(down), check=False))
        self.run_through(disturb)
        self.doCleanups()

    def test_all_are_killed(self):
        self.run_through(self.restart_all)

    def test_a_checkpoint_and_then_all_are_killed(self):
        def disturb():
            self.make_checkpoint()
            self.restart_all()
        self.run_through(disturb)

    # Under load.

    def test_exactly_once_by_sequence(self):
        """A file is published again and again, each time into something that happens, and is there once, in order."""
        self.declare("q")
        text = "".join(f"line {number}\n" for number in range(30_000))
        path = self.cluster.path("lines")
        with open(path, "w", encoding="ascii") as f:
            f.write(text)
        publish = ("publish", "q", "--lines", "--producer", "import", "--file", path)
        for disturb in (self.kill_and_start_leader, self.restart_all, lambda: None):
            running = self.cluster.start_holdfast("--vhost", self.vhost, *publish, stderr=subprocess.PIPE, text=True)
            time.sleep(0.1)
            disturb()
            said = running.communicate(timeout=60)[1]
            self.assertIn(running.returncode, (0, 3), said)
        self.assertEqual(running.returncode, 0, said)
        self.assertEqual(self.show("q")["enqueued"], 30_000)
        done = self.cli("consume", "q", "--lines", "--count", "30000")
        self.assertTrue(done.stdout == text, "each once, in order")
        self.assertIn("30000 repeated", self.cli(*publish).stderr, "for ever: also when they have left the queue")
        self.assertEqual(self.ready("q"), 0)

    def kill_and_start_leader(self):
        self.start_node(self.kill_leader())

    def test_what_was_acknowledged_does_not_come_back(self):
        """And what was not does, once: a consumer that settles every other message while the leader is killed."""
        self.declare("q")
        texts = [f"m{number}" for number in range(2000)]
        self.publish("q", *texts)
        holder = self.consumer("q", 50)
        settled, asked = set(), {}
        down = 0
        done = 0
        while done < 1000:
            holder.wait(lambda: len(holder.deliveries) > done, "a delivery")
            delivery = holder.deliveries[done]
            done += 1
            outcome = client.ACCEPT if done % 2 else REJECT
            number = holder.submit(client.settle_command(1, delivery.number, delivery.number, outcome))
            asked[number] = delivery.text
            if done == 300:
                down = self.kill_leader()
        holder.wait(lambda: all(number in holder.replies for number in asked), "all replies")
        settled = {text for number, text in asked.items() if holder.replies[number][0] == 0 and holder.replies[number][3] == 0}
        self.assertEqual(len(settled), 1000)
        self.start_node(down)
        holder.call(holder.submit(field(2, b"")))
        left = self.cli("consume", "q", "--lines").stdout.splitlines()
        self.assertEqual(set(left) & settled, set())
        self.assertEqual(sorted(left + list(settled)), sorted(texts))

    def test_a_transaction_is_whole(self):
        """A message goes from queue to queue while leaders are killed: it is in one of them, never in both or none."""
        for name in ("a", "b"):
            self.declare(name)
        self.publish("a", "the only one")
        at, other, moves, down = "a", "b", 0, 0
        end = time.monotonic() + 6
        while time.monotonic() < end:
            done = self.cli("--timeout", "20", "transact", "--take", at, "--publish", f"{other}=the only one", check=False)
            self.assertIn(done.returncode, (0, 3), done.stderr)
            counts = (self.show(at), self.show(other))
            self.assertEqual(sum(one["ready"] + one["locked"] for one in counts), 1, done.stderr)
            if counts[1]["ready"] + counts[1]["locked"] == 1:
                at, other, moves = other, at, moves + 1
            if moves == 3 and down == 0:
                down = self.kill_leader()
        self.start_node(down)
        self.assertGreater(moves, 6)
        self.assertEqual(self.fetch(at), ["the only one"])


if __name__ == "__main__":
    features.main()
