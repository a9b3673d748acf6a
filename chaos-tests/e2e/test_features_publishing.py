"""Publishing: producers, ids, transactions, messages in two phases."""

import time

import client
import features
from features import STALE
from native import field

TRANSACT = 26


class Publishing(features.FeaturesTest):
    # Producers.

    def test_a_repeated_message_is_confirmed_and_enqueued_once(self):
        self.declare("q")
        for _ in range(3):
            done = self.cli("publish", "q", "--lines", "--producer", "import", stdin="1\n2\n3\n")
        self.assertIn("3 repeated", done.stderr)
        self.cli("publish", "q", "--lines", "--producer", "import", stdin="1\n2\n3\n4\n")
        self.assertEqual(self.fetch("q"), ["1", "2", "3", "4"])
        self.publish("q", "5", options=("--producer", "import", "--first", "5"))
        self.publish("q", "5", options=("--producer", "import", "--first", "5"))
        self.assertEqual(self.fetch("q"), ["5"])

    def test_an_older_epoch_is_fenced_off(self):
        self.declare("q")
        self.assertEqual(self.cli("producer", "open", "p").stdout, "epoch 1, last number 0\n")
        self.publish("q", "1", "2", options=("--producer", "p", "--epoch", "1"))
        self.assertEqual(self.cli("producer", "open", "p").stdout, "epoch 2, last number 2\n")
        self.refused("taken by another", "publish", "q", "--producer", "p", "--epoch", "1", "--first", "3", stdin="old")
        self.publish("q", "3", options=("--producer", "p", "--epoch", "2", "--first", "3"))
        self.assertEqual(self.fetch("q"), ["1", "2", "3"])
        self.assertEqual(self.cli("producer", "show", "p").stdout, "epoch 2, last number 3\n")
        self.refused("no such producer", "producer", "show", "unknown")

    def test_gaps_can_be_refused(self):
        self.declare("q")
        numbered = ("--producer", "p", "--no-gaps", "--first")
        self.refused("skipped", "publish", "q", *numbered, "2", stdin="2")
        self.publish("q", "1", "2", options=(*numbered, "1"))
        self.refused("skipped", "publish", "q", *numbered, "4", stdin="4")
        self.publish("q", "2 again", options=(*numbered, "2"))
        self.publish("q", "3", options=(*numbered, "3"))
        self.assertEqual(self.fetch("q"), ["1", "2", "3"])

    def test_ids_within_a_window(self):
        self.declare("q", "--id-window", "1s")
        self.declare("no window")
        for queue in ("q", "no window"):
            self.publish(queue, "first", options=("--id", "17"))
            self.publish(queue, "second", options=("--id", "17"))
            self.publish(queue, "other", options=("--id", "18"))
        self.assertEqual(self.fetch("q"), ["first", "other"])
        self.assertEqual(self.fetch("no window"), ["first", "second", "other"])
        time.sleep(1.2)
        self.publish("q", "later", options=("--id", "17"))
        self.assertEqual(self.fetch("q"), ["later"])

    def test_all_or_nothing_of_a_publish(self):
        """The lines of a command that do not all fit are not in at all."""
        self.declare("q", "--max-length", "3", "--overflow", "reject")
        self.refused("full", "publish", "q", "--lines", stdin="1\n2\n3\n4\n")
        self.assertEqual(self.ready("q"), 0)

    # Transactions.

    def test_a_transaction_across_queues(self):
        for name in ("orders", "invoices", "parcels"):
            self.declare(name)
        self.publish("orders", "order 17")
        done = self.cli("transact", "--take", "orders", "--publish", "invoices=invoice 17", "--publish",
                        "parcels=parcel 17", "--publish-to", "amq.topic/order.done=17")
        self.assertEqual(done.stdout, "order 17\n")
        self.assertEqual((self.fetch("orders"), self.fetch("invoices"), self.fetch("parcels")),
                         ([], ["invoice 17"], ["parcel 17"]))

    def test_nothing_of_a_transaction_that_is_refused(self):
        self.declare("orders")
        self.declare("invoices")
        self.declare("full", "--max-length", "1", "--overflow", "reject")
        self.publish("full", "there")
        self.publish("orders", "order 17")
        take = ("transact", "--take", "orders", "--publish", "invoices=invoice 17")
        self.refused("the queue is full", *take, "--publish", "full=one too many")
        self.refused("no such", *take, "--publish", "nowhere=x")
        self.refused("nothing is ready", *take, "--take", "invoices")
        self.assertEqual((self.fetch("orders"), self.fetch("invoices"), self.fetch("full")),
                         (["order 17"], [], ["there"]))

    def test_a_transaction_with_a_stale_settlement(self):
        self.declare("q")
        self.declare("out")
        self.publish("q", "m")
        holder = self.consumer("q", 1)
        holder.wait_for(1)
        body = b"12345678"
        publish = field(1, b"out") + field(2, client.varint(8)) + field(3, client.struct.pack(
            "<Q", client.hash_of_eight(body)))
        settle = field(1, 1) + field(3, client.varint(1)) + field(4, client.varint(1))
        transact = field(TRANSACT, field(1, publish) + field(2, settle))
        self.assertEqual(holder.call(holder.submit(transact, body)), 0)
        self.assertEqual(holder.call(holder.submit(transact, body)), STALE)
        self.assertEqual((self.fetch("out"), self.ready("q")), (["12345678"], 0))

    # Two phases.

    def prepare(self, queue, ident, text, *options):
        self.cli("publish", queue, "--prepare", ident, *options, stdin=text)

    def prepared(self):
        rows = features.harness.table(self.cli("prepared", "list").stdout, "ID")
        return [(row["id"], row["state"]) for row in rows]

    def test_prepared_messages_are_invisible_until_committed(self):
        self.declare("q")
        self.prepare("q", "a", "committed")
        self.prepare("q", "b", "dropped")
        self.assertEqual((self.ready("q"), self.fetch("q")), (0, []))
        self.refused("prepared under that id already", "publish", "q", "--prepare", "a", stdin="again")
        self.assertEqual(self.prepared(), [("a", "prepared"), ("b", "prepared")])
        self.cli("prepared", "commit", "a")
        self.cli("prepared", "commit", "a")
        self.cli("prepared", "abort", "b")
        self.refused("other way", "prepared", "commit", "b")
        self.refused("no messages are prepared", "prepared", "abort", "c")
        self.assertEqual(self.fetch("q"), ["committed"])
        self.assertEqual(self.prepared(), [("a", "committed"), ("b", "dropped")])

    def test_outcomes_at_a_deadline(self):
        self.declare("q")
        began = time.monotonic()
        self.prepare("q", "a", "dropped", "--deadline", "600ms")
        self.prepare("q", "b", "committed", "--deadline", "600ms", "--commit-at-deadline")
        holder = self.consumer("q")
        self.assertEqual(holder.wait_for(1), ["committed"])
        self.assertGreaterEqual(time.monotonic() - began, 0.55)
        self.refused("other way", "prepared", "commit", "a")
        self.refused("needs a --deadline", "publish", "q", "--prepare", "c", "--commit-at-deadline", stdin="x", code=2)

    def test_a_silent_producer_is_asked(self):
        """Who opened the producer of the group's name is asked, again and again, until it says what becomes of it."""
        self.declare("q")
        group = self.consumer()
        group.call(group.submit(field(27, field(1, b"shop"))))
        self.prepare("q", "payment 17", "order", "--ask", "shop", "--ask-after", "300ms")
        group.wait(lambda: len(group.asked) >= 2, "two questions")
        self.assertEqual(set(group.asked), {"payment 17"})
        self.cli("prepared", "commit", "payment 17")
        self.assertEqual(self.fetch("q"), ["order"])
        group.stays_at(0, 0.4)
        asked = len(group.asked)
        group.stays_at(0, 0.5)
        self.assertEqual(len(group.asked), asked, "nobody asks any more")

    def test_a_prepared_message_counts_for_its_producer(self):
        self.declare("q")
        self.prepare("q", "a", "1", "--producer", "p")
        self.prepare("q", "other id", "1 once more", "--producer", "p")
        self.cli("prepared", "commit", "a")
        self.publish("q", "1 and again", options=("--producer", "p", "--first", "1"))
        self.assertEqual(self.fetch("q"), ["1"])


if __name__ == "__main__":
    features.main()
