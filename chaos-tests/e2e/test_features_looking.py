"""Looking without touching, virtual hosts, and their limits."""

import json
import time

import client
import features
import harness
from features import REJECT


class Looking(features.FeaturesTest):
    def browse(self, queue, *options):
        done = self.cli("browse", queue, "--json", *options)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def life(self, queue, position):
        """What happened to a message, as (what, text), and the whole rows."""
        rows = self.cli("message", "show", queue, str(position)).stdout.splitlines()[1:]
        return [row.split()[2] for row in rows], rows

    def test_browse_by_position_changes_nothing(self):
        self.declare("q", "--lock", "1h", "--redelivery-delay", "1h")
        self.publish("q", *"12345", options=("--header", "n=1"))
        holder = self.consumer("q", 2)
        holder.wait_for(2)
        self.cli("consume", "q", "--release", "1h")
        before = self.show("q")
        seen = self.browse("q")
        self.assertEqual([(one["body"], one["position"], one["state"]) for one in seen],
                         [("1", 1, "locked"), ("2", 2, "locked"), ("3", 3, "waiting"), ("4", 4, "ready"), ("5", 5, "ready")])
        self.assertEqual(seen[3]["headers"], {"n": 1})
        self.assertEqual([one["body"] for one in self.browse("q", "--from", "2", "--count", "2")], ["2", "3"])
        self.assertEqual(self.cli("browse", "q", "--from", "4", "--lines").stdout, "4\n5\n")
        self.assertEqual(self.cli("message", "get", "q", "3").stdout, "3")
        self.refused("no message at position 9", "message", "get", "q", "9")
        after = self.show("q")
        for volatile in ("log_time_ms", "oldest_age_ms"):
            before.pop(volatile), after.pop(volatile)
        self.assertEqual(before, after)

    def test_statistics(self):
        self.declare("q", "--priority", "3", "--dead-letter", "gone", "--ttl", "1h")
        self.publish("q", "1", "22", "333", "4444")
        holder = self.consumer("q", 3)
        holder.wait_for(3)
        holder.settle_one(holder.deliveries[0])
        holder.settle_one(holder.deliveries[1], client.RELEASE, delay_ms=3600_000)
        holder.wait_for(4)
        row = self.show("q")
        want = {"depth": 3, "ready": 0, "locked": 2, "waiting": 1, "consumers": 1, "enqueued": 4, "delivered": 4,
                "settled": 1, "released": 1, "expired": 0, "dropped": 0, "dead_lettered": 0}
        self.assertEqual({name: row[name] for name in want}, want)
        self.assertEqual(row["options"], {"priority": 3, "ttl_ms": 3600_000, "dead_letter_exchange": "",
                                          "dead_letter_key": "gone"})
        self.assertIn("priorities up to", self.cli("queue", "show", "q", "--interval", "0").stdout)
        holder.unsubscribe()
        self.assertLess(self.show("q")["oldest_age_ms"], 10_000)

    def test_consumers_are_shown(self):
        self.declare("q", "--single-active")
        first, second = self.consumer("q", 7), self.consumer("q", 1, priority=-2, lock_ms=5000)
        self.publish("q", "m")
        first.wait_for(1)
        rows = {int(row["session"]): row for row in harness.table(self.cli("consumers", "q").stdout, "SESSION")}
        self.assertEqual((rows[first.session]["holds"], rows[first.session]["credit"]), ("1", "7"))
        self.assertEqual((rows[second.session]["priority"], rows[second.session]["properties"]), ("-2", "standing-by"))
        self.refused("has consumers", "queue", "delete", "q", "--if-unused")
        first.unsubscribe(), second.unsubscribe()
        self.cli("queue", "delete", "q", "--if-unused")
        self.refused("no such queue", "consumers", "q")

    def test_the_life_of_a_message(self):
        self.declare("dead")
        self.declare("q", "--keep-life", "1h", "--dead-letter", "dead", "--lock", "400ms")
        self.publish("q", "m")
        holder = self.consumer("q", 1)
        holder.wait_for(2)
        holder.settle_one(holder.deliveries[1], client.RELEASE, delay_ms=200)
        holder.wait_for(3)
        holder.settle_one(holder.deliveries[2], REJECT)
        what, rows = self.life("q", 1)
        self.assertEqual(what, ["enqueued", "delivered", "lock", "delivered", "released", "waiting", "delivered",
                                "rejected", "dead-lettered"] if "waiting" in what else
                         ["enqueued", "delivered", "lock", "delivered", "released", "delivered", "rejected",
                          "dead-lettered"], rows)
        self.assertIn(str(holder.session), next(row for row in rows if " delivered " in row), "to whom")
        entries = [int(row.split()[1]) for row in rows]
        self.assertEqual(entries, sorted(entries))
        self.assertTrue(all(row.startswith("20") for row in rows), "log time")
        self.refused("nothing is known", "message", "show", "dead", "1")

    def test_lives_are_kept_for_a_while(self):
        self.declare("q", "--keep-life", "500ms")
        self.publish("q", "m")
        self.fetch("q")
        self.assertEqual(self.life("q", 1)[0][-1], "accepted")
        harness.wait_for("the end of its life", lambda: self.cli("message", "show", "q", "1", check=False).returncode == 1)

    def test_settled_messages_are_kept_and_replayed(self):
        self.declare("copies")
        self.declare("q", "--keep", "1h")
        self.publish("q", *"1234", options=("--header", "n=1"))
        self.fetch("q", 3)
        self.cli("consume", "q", "--count", "1", "--reject")
        kept = self.browse("q", "--kept")
        self.assertFalse(any("delivery_count" in one for one in kept), "nobody has counted")
        self.assertIn(" - ", self.cli("browse", "q", "--kept").stdout)
        self.assertEqual([(one["body"], one["state"]) for one in kept],
                         [("1", "accepted"), ("2", "accepted"), ("3", "accepted"), ("4", "rejected")])
        self.assertEqual((self.browse("q"), self.cli("message", "get", "q", "2").stdout), ([], "2"))
        self.cli("replay", "q", "--first", "2", "--last", "3", "--to", "copies")
        self.assertEqual([(one["body"], one["headers"]) for one in self.fetch_json("copies")],
                         [("2", {"n": 1}), ("3", {"n": 1})])
        self.cli("replay", "q", "--first", "4")
        self.assertEqual(self.fetch("q"), ["4"])
        self.assertEqual(len(self.browse("q", "--kept")), 5, "a copy is a message of its own")

    def test_kept_messages_go_in_time(self):
        self.declare("q", "--keep", "500ms")
        self.publish("q", "m")
        self.fetch("q")
        self.assertEqual(len(self.browse("q", "--kept")), 1)
        harness.wait_for("it to go", lambda: self.browse("q", "--kept") == [])


class VirtualHosts(features.FeaturesTest):
    def test_names_are_apart(self):
        """Queues, exchanges, producers and prepared ids of one are not those of another."""
        other = f"{self.vhost}.other"
        self.cluster.holdfast("vhost", "create", other, "--note", "beside it")
        elsewhere = lambda *arguments, **how: self.cluster.holdfast("--vhost", other, *arguments, **how)
        for run in (self.cli, elsewhere):
            run("queue", "declare", "q")
            run("exchange", "declare", "e", "--type", "fanout")
            run("publish", "q", "--producer", "p", stdin="one each")
            run("publish", "q", "--prepare", "id", stdin="prepared")
        self.cli("publish", "q", stdin="here alone")
        self.assertEqual(elsewhere("consume", "q", "--lines", "--fetch", "--count", "9").stdout, "one each\n")
        self.cli("prepared", "commit", "id")
        self.assertEqual(self.fetch("q"), ["one each", "here alone", "prepared"])
        elsewhere("bind", "e", "q")
        self.cli("publish", "--exchange", "e", stdin="nobody bound it here")
        self.assertEqual(self.ready("q"), 0)
        self.assertIn("beside it", self.cluster.holdfast("vhost", "list").stdout)
        done = self.cluster.holdfast("--vhost", other, "vhost", "delete", other, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("session", done.stderr)
        self.cluster.holdfast("vhost", "delete", other)
        self.assertNotIn(other, self.cluster.holdfast("vhost", "list").stdout)

    def test_deleting_one_ends_its_sessions(self):
        self.declare("q")
        holder = self.consumer("q")
        self.cluster.holdfast("vhost", "delete", self.vhost, "--force")
        with self.assertRaises(client.Ended):
            holder.stays_at(0, 15)
        began = time.monotonic()
        done = self.cli("queue", "list", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no such virtual host", done.stderr)
        done = self.cli("publish", "q", stdin="x", check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("no such virtual host", done.stderr)
        self.assertLess(time.monotonic() - began, 10, "an answer, and nothing to wait for")
        self.cluster.holdfast("vhost", "create", self.vhost)
        self.refused("no such queue", "publish", "q", stdin="x")

    def limit(self, *limits):
        self.cluster.holdfast("limits", "--of-vhost", self.vhost, *limits)

    def used(self, what, *of):
        """(used, may be) of a limit."""
        rows = harness.table(self.cluster.holdfast("limits", *(of or ("--of-vhost", self.vhost))).stdout, "LIMIT")
        return next((row["used"], row["may"]) for row in rows if row["limit"] == what)

    def over(self, *arguments, stdin=None):
        """The command is refused, and says of what there may be no more."""
        done = self.cli(*arguments, stdin=stdin, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, "as many|not be that long|limit")

    def test_limits(self):
        """Each is a clear error, and leaves alone what is there."""
        self.declare("q")
        self.limit("--queues", "2")
        self.declare("two")
        self.over("queue", "declare", "three")
        self.assertEqual(self.used("queues"), ("2", "2"))
        self.limit("--exchanges", "1", "--bindings", "1")
        self.declare("three")
        self.cli("exchange", "declare", "e")
        self.over("exchange", "declare", "f")
        self.cli("bind", "e", "q", "--key", "k")
        self.over("bind", "e", "q", "--key", "l")
        self.assertEqual((self.used("queues"), self.used("exchanges"), self.used("bindings")),
                         (("3", "-"), ("1", "1"), ("1", "1")))
        self.limit("--ready-messages", "2")
        self.publish("q", "1", "2")
        self.over("publish", "q", stdin="3")
        self.fetch("q", 1)
        self.publish("q", "3")
        self.assertEqual(self.used("ready-messages"), ("2", "2"))
        self.limit("--queue-length", "5")
        self.over("queue", "declare", "long", "--max-length", "6")
        self.declare("given")
        self.assertEqual(self.show("given")["options"], {"max_length": 5})
        self.over("queue", "change", "given", "--max-length", "6")
        self.limit("--none")
        self.cli("queue", "change", "given", "--max-length", "6")

    def test_limits_of_consumers_and_sessions(self):
        self.declare("q")
        self.limit("--consumers", "1")
        first, second = self.consumer("q"), self.consumer()
        self.assertEqual(second.consume("q"), features.LIMIT)
        self.over("consume", "q", "--count", "1")
        first.unsubscribe()
        self.assertEqual(second.consume("q", consumer=2), 0)
        self.limit("--sessions", "1")
        began = time.monotonic()
        self.over("publish", "q", stdin="x")
        self.assertLess(time.monotonic() - began, 10)
        self.limit("--none")
        self.publish("q", "x")

    def test_limits_of_users(self):
        self.declare("q")
        set_limits = lambda *limits: self.cluster.holdfast("limits", "--of-user", self.vhost, *limits)
        set_limits("--consumers", "1")
        reader = self.cluster.start_holdfast("--vhost", self.vhost, "--user", self.vhost, "consume", "q", "--follow")
        self.addCleanup(reader.wait)
        self.addCleanup(reader.kill)
        of = ("--of-user", self.vhost)
        harness.wait_for("the consumer", lambda: self.used("consumers", *of) == ("1", "1"))
        self.over("--user", self.vhost, "consume", "q", "--count", "1")
        self.assertEqual(self.cli("--user", "another", "consume", "q", "--idle", "100").stdout, "")
        set_limits("--sessions", "1")
        self.over("--user", self.vhost, "queue", "declare", "more")
        self.declare("more")
        self.refused("of a user", "limits", "--of-user", self.vhost, "--queues", "1", code=2)
        set_limits("--none")


if __name__ == "__main__":
    features.main()
