"""Where messages go: exchanges of each kind, what leads from one to another, and dead letters."""

import os

import client
import features
from features import REJECT
from native import field

BIND = 22


class Routing(features.FeaturesTest):
    def queues(self, *names):
        for name in names:
            self.declare(name)

    def exchange(self, name, kind, *options):
        self.cli("exchange", "declare", name, "--type", kind, *options)

    def bind(self, exchange, queue, *options):
        self.cli("bind", exchange, queue, *options)

    def in_queues(self, *names):
        """What is in each of them, taken out."""
        return tuple(" ".join(self.fetch(name)) for name in names)

    # Kinds.

    def test_default_exchange(self):
        self.queues("q")
        self.to_exchange("", "q", "by its name")
        self.assertEqual(self.fetch("q"), ["by its name"])
        self.refused("default exchange", "bind", "", "q")
        self.refused("always there", "exchange", "delete", "amq.topic")
        self.refused("amq.", "exchange", "declare", "amq.mine")

    def test_direct(self):
        self.queues("red", "blue")
        self.exchange("colors", "direct")
        self.bind("colors", "red", "--key", "red")
        self.bind("colors", "blue", "--key", "blue")
        self.to_exchange("colors", "red", "r")
        self.to_exchange("colors", "green", "nobody's")
        self.assertEqual(self.in_queues("red", "blue"), ("r", ""))

    def test_fanout(self):
        self.queues("a", "b")
        self.exchange("all", "fanout")
        self.bind("all", "a")
        self.bind("all", "b", "--key", "ignored")
        self.to_exchange("all", "any", "m")
        self.assertEqual(self.in_queues("a", "b"), ("m", "m"))

    def test_topic(self):
        self.queues("one", "rest", "end", "all")
        self.exchange("events", "topic")
        for queue, pattern in (("one", "order.*"), ("rest", "order.#"), ("end", "#.paid"), ("all", "#")):
            self.bind("events", queue, "--key", pattern)
        for key in ("order", "order.new", "order.new.paid", "refund.paid", ""):
            self.to_exchange("events", key, key or "empty")
        self.assertEqual(self.in_queues("one", "rest", "end", "all"),
                         ("order.new", "order order.new order.new.paid", "order.new.paid refund.paid",
                          "order order.new order.new.paid refund.paid empty"))

    def test_headers(self):
        self.queues("both", "any", "typed")
        self.exchange("by.header", "headers")
        self.bind("by.header", "both", "--header", "color=red", "--header", "size=5")
        self.bind("by.header", "any", "--header", "x-match=any", "--header", "color=red", "--header", "size=5")
        self.bind("by.header", "typed", "--header", 'size="5"')
        listed = self.cli("bindings", "by.header").stdout
        self.assertIn('color="red" size=5', listed)
        self.assertIn('size="5"', listed)
        self.to_exchange("by.header", "", "1", "--header", "color=red", "--header", "size=5")
        self.to_exchange("by.header", "", "2", "--header", "color=red")
        self.to_exchange("by.header", "", "3", "--header", 'size="5"', "--header", "other=true")
        self.assertEqual(self.in_queues("both", "any", "typed"), ("1", "1 2", "3"))

    # Ways.

    def test_exchange_to_exchange_and_each_queue_once(self):
        self.queues("q")
        self.exchange("front", "topic")
        self.exchange("left", "fanout")
        self.exchange("right", "direct", "--internal")
        for other in ("left", "right"):
            self.bind("front", other, "--key", "#", "--to-exchange")
        self.bind("left", "q")
        self.bind("right", "q", "--key", "k")
        self.bind("front", "q", "--key", "k")
        self.bind("left", "front", "--to-exchange")  # A ring.
        self.to_exchange("front", "k", "by three ways, and once")
        self.assertEqual(self.fetch("q"), ["by three ways, and once"])
        self.refused("internal", "publish", "--exchange", "right", "--key", "k", stdin="x")
        listed = features.harness.table(self.cli("bindings", "front").stdout, "EXCHANGE")
        self.assertEqual(sorted((row["to"], row["name"], row["key"]) for row in listed),
                         [("exchange", "left", "#"), ("exchange", "right", "#"), ("queue", "q", "k")])

    def test_several_keys(self):
        self.queues("a", "b", "c")
        self.exchange("e", "direct")
        for name in "abc":
            self.bind("e", name, "--key", name)
        self.to_exchange("e", "a", "m", "--also-key", "b", "--also-key", "a")
        self.assertEqual(self.in_queues("a", "b", "c"), ("m", "m", ""))

    def test_alternate(self):
        self.queues("known", "unknown")
        self.exchange("lost", "fanout")
        self.exchange("front", "direct", "--alternate", "lost")
        self.bind("lost", "unknown")
        self.bind("front", "known", "--key", "known")
        self.to_exchange("front", "known", "1")
        self.to_exchange("front", "nobody knows", "2", "--mandatory")
        self.assertEqual(self.in_queues("known", "unknown"), ("1", "2"))

    def test_mandatory(self):
        self.exchange("e", "topic")
        self.to_exchange("e", "k", "dropped")
        done = self.to_exchange("e", "k", "back", "--mandatory", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("reached no queue", done.stderr)

    def test_auto_delete_and_declaring(self):
        self.queues("q")
        self.exchange("e", "fanout", "--auto-delete")
        self.exchange("e", "fanout", "--auto-delete")
        self.refused("other properties", "exchange", "declare", "e", "--type", "topic")
        self.bind("e", "q")
        self.bind("e", "q")
        self.cli("unbind", "e", "q")
        self.assertNotIn("\ne ", self.cli("exchange", "list").stdout)
        self.exchange("kept", "direct", "--protected", "yes")
        self.refused("protected", "exchange", "delete", "kept")
        self.cli("exchange", "change", "kept", "--protected", "no", "--note", "may go")
        self.assertIn("may go", self.cli("exchange", "list").stdout)
        self.refused("always", "exchange", "change", "amq.topic", "--note", "x")
        self.exchange("used", "direct")
        self.bind("used", "q", "--key", "k")
        self.refused("bindings", "exchange", "delete", "used", "--if-unused")
        self.cli("queue", "delete", "q")
        self.cli("exchange", "delete", "used", "--if-unused")
        self.refused("no such queue", "bind", "kept", "q")
        self.refused("no such exchange", "publish", "--exchange", "nowhere", stdin="x")

    def stored(self):
        """Bytes in the data directory of a node."""
        files = [os.path.join(at, name) for at, _, names in os.walk(self.cluster.node_path(1, "data")) for name in names]
        return sum(os.path.getsize(file) for file in files if os.path.exists(file))

    def test_a_body_for_a_thousand_queues_is_there_once(self):
        names = [f"q{number}" for number in range(1000)]
        self.exchange("all", "fanout")
        maker = self.consumer()
        for command, part in ((client.DECLARE, lambda name: field(1, name)),
                              (BIND, lambda name: field(1, b"all") + field(2, name))):
            numbers = [maker.submit(field(command, part(name.encode()))) for name in names[:500]]
            self.assertEqual({maker.call(number) for number in numbers}, {0})
            numbers = [maker.submit(field(command, part(name.encode()))) for name in names[500:]]
            self.assertEqual({maker.call(number) for number in numbers}, {0})
        before = self.stored()
        self.cli("publish", "--exchange", "all", stdin=os.urandom(1 << 20).hex())
        self.make_checkpoint()
        self.assertLess(self.stored() - before, 200 << 20, "not a thousand bodies of 2 MiB")
        rows = features.harness.table(self.cli("queue", "list").stdout, "QUEUE")
        self.assertEqual([row["ready"] for row in rows], ["1"] * 1000)
        for name in ("q0", "q999"):
            self.assertEqual(len(self.fetch(name)[0]), 2 << 20)

    # Dead letters.

    def test_each_reason_and_its_record(self):
        self.queues("dead")
        self.declare("q", "--dead-letter", "dead", "--max-deliveries", "1", "--max-length", "1")
        self.publish("q", "rejected")
        holder = self.consumer("q", 1)
        holder.wait_for(1)
        holder.settle_one(holder.deliveries[0], REJECT)
        self.publish("q", "delivered")
        holder.wait_for(2)
        holder.settle_one(holder.deliveries[1], client.RELEASE)
        holder.unsubscribe()
        self.publish("q", "pushed out")
        self.publish("q", "expires", options=("--ttl", "200ms"))
        self.wait_ready("dead", 4)
        died = {one["body"]: one["deaths"] for one in self.fetch_json("dead")}
        reasons = {body: (deaths[0]["queue"], deaths[0]["reason"], deaths[0]["count"]) for body, deaths in died.items()}
        self.assertEqual(reasons, {"rejected": ("q", "rejected", 1), "delivered": ("q", "delivery_limit", 1),
                                   "pushed out": ("q", "maxlen", 1), "expires": ("q", "expired", 1)})

    def test_to_any_exchange_with_any_key(self):
        self.queues("own key", "other key")
        self.exchange("dlx", "direct")
        self.bind("dlx", "own key", "--key", "order.new")
        self.bind("dlx", "other key", "--key", "died")
        self.declare("keeps", "--dead-letter-exchange", "dlx", "--ttl", "0")
        self.declare("changes", "--dead-letter-exchange", "dlx", "--dead-letter-key", "died", "--ttl", "0")
        self.exchange("shop", "topic")
        self.bind("shop", "keeps", "--key", "order.*")
        self.bind("shop", "changes", "--key", "order.*")
        self.to_exchange("shop", "order.new", "m", "--header", "n=1")
        one, = self.fetch_json("own key")
        two, = self.fetch_json("other key")
        self.assertEqual((one["body"], two["body"], one["headers"], two["deaths"][0]["queue"]),
                         ("m", "m", {"n": 1}, "changes"))

    def test_how_often_and_in_which_order(self):
        """A message that dies here and there by turns: the last death first, each counted."""
        self.declare("b", "--dead-letter", "a")
        self.declare("a", "--dead-letter", "b")
        self.publish("a", "m")
        for queue in ("a", "b", "a", "b"):
            self.cli("consume", queue, "--count", "1", "--reject")
        message, = self.fetch_json("a")
        self.assertEqual([(death["queue"], death["count"]) for death in message["deaths"]], [("b", 2), ("a", 2)])

    def test_a_cycle_ends(self):
        """Expired in both queues, by nobody's will: it is not sent round for ever."""
        self.declare("b", "--ttl", "50ms", "--dead-letter", "a")
        self.declare("a", "--ttl", "50ms", "--dead-letter", "b")
        self.publish("a", "m")
        features.harness.wait_for("an end", lambda: self.ready("a") + self.ready("b") == 0 and
                                  self.show("b")["expired"] == 1)
        self.assertEqual((self.show("a")["enqueued"], self.show("b")["enqueued"]), (1, 1))

    def test_redrive(self):
        """Back to where each died, or elsewhere; only those from one queue; so many; what has nowhere to go stays."""
        self.queues("dead", "elsewhere")
        for name in ("one", "two", "gone"):
            self.declare(name, "--dead-letter", "dead", "--ttl", "0")
        for name in ("one", "two", "one", "gone"):
            self.publish(name, f"of {name}")
        self.publish("dead", "never died")
        self.wait_ready("dead", 5)
        for name in ("one", "two"):
            self.cli("queue", "change", name, "--ttl", "none")
        self.cli("queue", "delete", "gone")
        self.assertIn("1 messages moved", self.cli("redrive", "dead", "--from", "one", "--count", "1").stderr)
        self.assertEqual(self.in_queues("one", "two"), ("of one", ""))
        self.cli("redrive", "dead", "--from", "two", "--to", "elsewhere")
        self.assertEqual(self.fetch("elsewhere"), ["of two"])
        self.cli("redrive", "dead")
        back, = self.fetch_json("one")
        self.assertEqual((back["body"], back.get("deaths")), ("of one", None), "its record is taken off")
        self.assertEqual(self.fetch("dead"), ["of gone", "never died"])
        self.assertEqual(self.show("dead")["redriven"], 3)


if __name__ == "__main__":
    features.main()
