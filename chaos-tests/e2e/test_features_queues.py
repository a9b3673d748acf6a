"""Each option of a queue and of a consumer does what it says, in a cluster of real processes."""

import time

import client
import features
from features import EXCLUSIVE, STALE


class Queues(features.FeaturesTest):
    # Times.

    def test_messages_expire(self):
        """By their own time, by the queue's, whichever is shorter; none before it."""
        self.declare("dead")
        self.declare("own", "--dead-letter", "dead")
        self.declare("queue", "--ttl", "2s", "--dead-letter", "dead")
        began = time.monotonic()
        self.publish("own", "short", options=("--ttl", "600ms"))
        self.publish("own", "stays")
        self.publish("queue", "of the queue")
        self.publish("queue", "shorter", options=("--ttl", "300ms"))
        holder = self.consumer("dead")
        holder.wait_for(1)
        self.assertGreaterEqual(time.monotonic() - began, 0.29)
        texts = holder.wait_for(3)
        self.assertGreaterEqual(time.monotonic() - began, 1.95)
        self.assertEqual(sorted(texts[:2]) + texts[2:], ["short", "shorter", "of the queue"])
        self.assertEqual(self.show("queue")["expired"], 2)
        self.assertEqual(self.fetch("own"), ["stays"])

    def test_a_locked_message_does_not_expire(self):
        self.declare("q", "--ttl", "300ms")
        self.publish("q", "held")
        holder = self.consumer("q")
        holder.wait_for(1)
        time.sleep(0.6)
        self.assertEqual(holder.settle_one(holder.deliveries[0]), (0, 1, 0))
        self.assertEqual(self.show("q")["expired"], 0)

    def test_a_queue_that_nobody_uses_goes(self):
        self.declare("q", "--expires", "1s")
        self.declare("used", "--expires", "1s")
        holder = self.consumer("used")
        self.publish("q", "content")
        features.harness.wait_for("the queue to go", lambda: "q" not in self.queues())
        self.assertIn("used", self.queues())
        holder.unsubscribe()
        features.harness.wait_for("the other to go", lambda: "used" not in self.queues())

    def queues(self):
        """Asks without using them: a passive declaration would count as a use."""
        listed = self.cli("queue", "list").stdout
        return [row["queue"] for row in features.harness.table(listed, "QUEUE")]

    def test_delivery_at_or_after_a_time(self):
        self.declare("q")
        holder = self.consumer("q")
        began, at = time.monotonic(), int(time.time()) + 2
        self.publish("q", "after", options=("--delay", "500ms"))
        self.publish("q", "at", options=("--deliver-at", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))))
        self.publish("q", "now")
        holder.wait_for(2)
        self.assertGreaterEqual(time.monotonic() - began, 0.45)
        holder.wait_for(3)
        self.assertGreaterEqual(time.time(), at - 0.1)
        self.assertEqual(holder.texts(), ["now", "after", "at"])
        self.refused("ten years", "publish", "q", "--deliver-at", "2999-01-01T00:00:00Z", stdin="late")
        self.refused("--delay or --deliver-at", "publish", "q", "--delay", "1s", "--deliver-at", "2999-01-01T00:00:00Z",
                     stdin="x", code=2)

    # Limits on length.

    def test_drop_oldest(self):
        self.declare("dead")
        self.declare("q", "--max-length", "2", "--dead-letter", "dead")
        self.publish("q", "1", "2", "3", "4")
        self.assertEqual(self.fetch("q"), ["3", "4"])
        died = self.fetch_json("dead")
        self.assertEqual([(one["body"], one["deaths"][0]["reason"]) for one in died], [("1", "maxlen"), ("2", "maxlen")])
        self.declare("bytes", "--max-bytes", "10")
        self.publish("bytes", "four", "five5", "six666")
        self.assertEqual(self.fetch("bytes"), ["six666"])
        self.assertEqual(self.show("bytes")["dropped"], 2)

    def test_reject_new(self):
        self.declare("q", "--max-length", "2", "--overflow", "reject")
        self.publish("q", "1", "2")
        self.refused("the queue is full", "publish", "q", stdin="3")
        self.fetch("q", 1)
        self.publish("q", "4")
        self.assertEqual(self.fetch("q"), ["2", "4"])

    def test_reject_new_to_the_dead_letters(self):
        self.declare("dead")
        self.declare("q", "--max-length", "1", "--overflow", "reject-dead-letter", "--dead-letter", "dead")
        self.publish("q", "1", "2", "3")
        self.assertEqual((self.fetch("q"), self.fetch("dead")), (["1"], ["2", "3"]))

    # Order.

    def test_priorities(self):
        self.declare("q", "--priority", "2")
        for text, priority in (("low 1", 0), ("high 1", 2), ("middle", 1), ("above all", 9), ("low 2", 0)):
            self.publish("q", text, options=("--priority", str(priority)))
        self.assertEqual(self.fetch("q"), ["high 1", "above all", "middle", "low 1", "low 2"])

    def test_groups(self):
        """Of one group one at a time and in order; groups beside each other; what came back comes first."""
        self.declare("q", "--group")
        for text in ("a1", "b1", "a2", "b2", "a3"):
            self.publish("q", text, options=("--group", text[0]))
        self.publish("q", "free 1", "free 2")
        one, two = self.consumer("q", 10), self.consumer("q", 10)
        one.wait_for(4)
        self.assertEqual(sorted(one.texts() + two.texts()), ["a1", "b1", "free 1", "free 2"])
        self.assertTrue(one.stays_at(4))
        self.assertEqual(self.show("q")["parked"], 3)
        first = next(delivery for delivery in one.deliveries if delivery.text == "a1")
        one.settle_one(first, client.RELEASE)
        one.wait_for(5)
        self.assertEqual(one.texts()[4], "a1", "not a2 before it")
        one.settle_one(one.deliveries[4])
        both = lambda: one.texts()[5:] + two.texts()
        one.wait(lambda: two.step(0.01) or "a2" in both(), "the next of the group")
        self.assertNotIn("a3", both())

    # Deliveries.

    def test_deliveries_are_counted_and_limited(self):
        self.declare("dead")
        self.declare("q", "--max-deliveries", "3", "--dead-letter", "dead")
        self.publish("q", "poison")
        for count in range(3):
            taken = self.fetch_json("q", 1, "--release", "0")
            self.assertEqual(taken[0]["delivery_count"], count)
        self.assertEqual(self.fetch("q"), [])
        self.assertEqual(self.fetch_json("dead")[0]["deaths"][0]["reason"], "delivery_limit")

    def test_redelivery_waits_longer_each_time(self):
        self.declare("q", "--redelivery-delay", "300ms", "--redelivery-delay-max", "600ms")
        self.publish("q", "again")
        holder, times = self.consumer("q"), []
        for count in range(1, 5):
            holder.wait_for(count)
            times.append(time.monotonic())
            if count < 4:
                holder.settle_one(holder.deliveries[-1], client.RELEASE)
        gaps = [after - before for before, after in zip(times, times[1:])]
        for gap, least in zip(gaps, (0.28, 0.58, 0.58)):
            self.assertGreaterEqual(gap, least, gaps)
        holder.settle_one(holder.deliveries[-1], client.RELEASE, delay_ms=0)
        holder.wait_for(5)
        self.assertLess(time.monotonic() - times[-1], 0.55, "a delay of its own goes before the queue's")

    def test_locks(self):
        """What is not settled in time goes to another; its token is worth nothing then, and its holder is told."""
        self.declare("q", "--lock", "700ms")
        self.publish("q", "slow")
        slow = self.consumer("q", 1)
        slow.wait_for(1)
        began = time.monotonic()
        other = self.consumer("q", 1)
        other.wait_for(1)
        self.assertGreaterEqual(time.monotonic() - began, 0.5)
        self.assertEqual(other.deliveries[0].count, 1)
        self.assertEqual(slow.settle_one(slow.deliveries[0]), (0, 0, 1), "stale, and told so")
        self.assertEqual(slow.settle_one(slow.deliveries[0], whole=True)[0], STALE)
        self.assertEqual(slow.extend(slow.deliveries[0], 1000), (0, 0, 1))
        self.assertEqual(slow.lock_ended, [slow.deliveries[0].number])
        self.assertEqual(other.settle_one(other.deliveries[0]), (0, 1, 0))
        self.assertEqual(self.show("q")["locks_ended"], 1)

    def test_locks_are_extended(self):
        self.declare("q", "--lock", "600ms")
        self.publish("q", "long work")
        holder, other = self.consumer("q", 1), self.consumer("q", 1)
        holder.wait_for(1)
        for _ in range(4):
            time.sleep(0.3)
            self.assertEqual(holder.extend(holder.deliveries[0], 600), (0, 1, 0))
        self.assertTrue(other.stays_at(0, 0.1))
        self.assertEqual(holder.settle_one(holder.deliveries[0]), (0, 1, 0))

    def test_a_lock_of_a_consumer(self):
        self.declare("q")
        self.publish("q", "mine")
        holder = self.consumer("q", 1, lock_ms=400)
        holder.wait_for(2)
        self.assertEqual([delivery.count for delivery in holder.deliveries], [0, 1])

    # Consumers.

    def test_single_active(self):
        """The first is given everything; the one that stands by takes over when it ends."""
        self.declare("q", "--single-active")
        first, second = self.consumer("q", 1), self.consumer("q", 10)
        self.publish("q", "1", "2", "3")
        first.wait_for(1)
        self.assertTrue(second.stays_at(0))
        second.drop()
        second.attach()
        self.assertTrue(second.stays_at(0), "nor when it has come back")
        self.assertEqual(self.show("q")["active"]["session"], first.session)
        first.unsubscribe()
        self.assertEqual(second.wait_for(3), ["1", "2", "3"])

    def test_exclusive_consumer(self):
        self.declare("q")
        alone = self.consumer("q", 1, exclusive=True)
        other = self.consumer()
        self.assertEqual(other.consume("q"), EXCLUSIVE)
        self.refused("exclusive", "consume", "q", "--count", "1")
        alone.unsubscribe()
        self.assertEqual(other.consume("q", consumer=2), 0)
        self.assertEqual(self.consumer().consume("q", exclusive=True), EXCLUSIVE)

    def test_consumer_priorities(self):
        self.declare("q")
        low, high = self.consumer("q", 10, priority=-1), self.consumer("q", 2, priority=5)
        self.publish("q", "1", "2", "3")
        self.assertEqual(high.wait_for(2), ["1", "2"])
        self.assertEqual(low.wait_for(1), ["3"], "it has no more credit: the next one's turn")

    def test_paused(self):
        self.declare("q", "--paused", "yes")
        self.publish("q", "later")
        holder = self.consumer("q")
        self.assertTrue(holder.stays_at(0))
        self.assertEqual(self.fetch("q"), [])
        self.cli("queue", "change", "q", "--paused", "no")
        self.assertEqual(holder.wait_for(1), ["later"])

    # Whose it is.

    def test_exclusive_and_auto_delete_queues(self):
        """Tied to a session: the one goes when it ends, the other when its last consumer does."""
        owner = self.consumer()
        declare = lambda name, option: owner.call(owner.submit(features.field(client.DECLARE, features.field(
            1, name) + features.field(2, features.field(option, 1)))))
        self.assertEqual((declare(b"mine", 1), declare(b"until unused", 2)), (0, 0))
        self.publish("until unused", "x")
        self.refused("another session", "publish", "mine", stdin="x")
        self.refused("another session", "queue", "delete", "mine")
        self.assertEqual(owner.consume("until unused"), 0)
        owner.wait_for(1)
        owner.unsubscribe()
        self.assertNotIn("until unused", self.queues())
        self.assertIn("mine", self.queues())
        owner.call(owner.submit(features.field(2, b"")))
        features.harness.wait_for("its queue to go", lambda: "mine" not in self.queues())

    def test_protection(self):
        self.declare("q", "--protected", "yes", "--note", "not to be touched")
        self.publish("q", "precious")
        for command in ("delete", "purge"):
            self.refused("protected", "queue", command, "q")
        self.assertEqual(self.show("q")["options"], {"protected": True, "note": "not to be touched"})
        self.cli("queue", "change", "q", "--protected", "no")
        self.cli("queue", "purge", "q")
        self.assertEqual(self.ready("q"), 0)
        self.publish("q", "x")
        self.refused("has messages", "queue", "delete", "q", "--if-empty")
        self.cli("queue", "delete", "q")
        self.assertFalse(self.exists("q"))

    def test_options_are_compared_changed_and_checked(self):
        self.declare("q", "--ttl", "1h", "--max-length", "5")
        self.declare("q", "--ttl", "1h", "--max-length", "5")
        self.refused("other options", "queue", "declare", "q", "--ttl", "2h", "--max-length", "5")
        self.cli("queue", "change", "q", "--ttl", "none", "--max-length", "7", "--lock", "5s")
        self.assertEqual(self.show("q")["options"], {"max_length": 7, "lock_ms": 5000})
        self.refused("fixed", "queue", "change", "q", "--priority", "3", code=2)
        self.refused("ten years", "queue", "declare", "long", "--ttl", "4000d", code=2)
        self.refused("out of range", "queue", "declare", "long", "--max-deliveries", str(2 ** 32))
        self.refused("goes with --dead-letter", "queue", "declare", "x", "--dead-letter-key", "k", code=2)
        self.refused("no such queue", "queue", "declare", "x", "--passive")


if __name__ == "__main__":
    features.main()
