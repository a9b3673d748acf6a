"""Sessions: resumed with what they hold, which goes back when they end, when their node dies, when their lease is over; and had by
one process after the other."""

import os
import signal
import subprocess
import time

import client
import features
import harness
from features import Consumer


class Sessions(features.FeaturesTest):
    def test_a_session_is_resumed(self):
        """With what it holds, at another node, after its connection was lost."""
        self.declare("q")
        self.publish("q", "1", "2")
        holder = self.consumer("q", 1)
        holder.wait_for(1)
        session = holder.session
        holder.drop()
        time.sleep(0.3)
        holder.attach()
        self.assertEqual(holder.session, session)
        self.assertEqual(self.show("q")["locked"], 1)
        self.assertEqual(holder.settle_one(holder.deliveries[0]), (0, 1, 0))
        self.assertEqual(holder.wait_for(2), ["1", "2"])

    def test_what_it_holds_goes_back_when_it_ends(self):
        self.declare("q")
        self.publish("q", "m")
        holder = self.consumer("q", 1)
        holder.wait_for(1)
        self.assertEqual(holder.call(holder.submit(features.field(2, b""))), 0)
        back, = self.fetch_json("q")
        self.assertEqual((back["body"], back["delivery_count"]), ("m", 1))

    def test_what_it_holds_goes_back_when_the_lease_expires(self):
        self.declare("q")
        self.publish("q", "m")
        holder = self.consumer("q", 1, lease_ms=2000)
        holder.wait_for(1)
        holder.drop()
        began = time.monotonic()
        self.assertEqual(self.show("q")["locked"], 1)
        self.wait_ready("q", 1)
        self.assertGreaterEqual(time.monotonic() - began, 1.7)
        with self.assertRaises(client.Ended):
            holder.attach()

    def worker(self, queue, servers=None):
        """A process that holds a message of the queue."""
        worker = subprocess.Popen(self.cluster.command("--vhost", self.vhost, "work", queue, "--", "sleep", "3", servers=servers),
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(worker.wait)
        self.addCleanup(worker.kill)
        harness.wait_for("the message to be out", lambda: self.show(queue)["locked"] == 1)
        return worker

    def test_what_a_killed_process_held_goes_back(self):
        self.declare("q")
        self.publish("q", "m")
        began = time.monotonic()
        self.worker("q").kill()
        self.wait_ready("q", 1, 30)
        self.assertGreater(time.monotonic() - began, 9, "its lease is over")
        self.assertEqual(self.fetch("q"), ["m"])

    def test_what_it_holds_goes_back_when_its_node_dies(self):
        """And the client knows no other."""
        self.declare("q")
        self.publish("q", "m")
        node = self.cluster.leader() % 3 + 1
        holder = Consumer([self.cluster.address(node)], self.vhost, 1000).attach()
        self.addCleanup(holder.drop)
        self.assertEqual(holder.consume("q"), 0)
        holder.wait_for(1)
        self.cluster.ops("kill", str(node))
        self.wait_ready("q", 1, 30)
        self.start_node(node)
        self.assertEqual(self.fetch_json("q")[0]["delivery_count"], 1)

    # One process after the other.

    def held(self, queue, *options):
        """What the session "s" holds, and is given, as lines."""
        return self.cli("consume", queue, "--session", "s", "--hold", "--lines", *options).stdout.splitlines()

    def start_following(self, queue, session):
        worker = subprocess.Popen(
            self.cluster.command("--vhost", self.vhost, "consume", queue, "--session", session, "--follow", "--lines"),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(worker.communicate)
        self.addCleanup(worker.kill)
        harness.wait_for("it to consume", lambda: self.show(queue)["consumers"] == 1)
        return worker

    def test_the_next_process_has_what_the_first_one_held(self):
        """The same deliveries, not new ones; from any node, also after all of them were restarted."""
        self.declare("q")
        self.publish("q", *"abcde")
        self.assertEqual(self.held("q", "--lease", "5m", "--count", "2"), ["a", "b"])
        # What is held comes again to the subscription that holds it, what is new to another: in whichever order.
        self.assertCountEqual(self.held("q", "--lease", "5m", "--fetch", "--count", "3"), ["a", "b", "c"])
        self.assertEqual((self.show("q")["ready"], self.show("q")["locked"]), (2, 3))
        self.make_checkpoint()
        self.restart_all()
        self.assertEqual(self.cli("settle", "q", "--session", "s", "--lease", "5m", "--count", "1").stdout,
                         "1 messages acknowledged, 2 held\n")
        again = self.cli("consume", "q", "--session", "s", "--json", "--count", "2").stdout
        self.assertEqual(again.count('"delivery_count": 0'), 2, again)
        self.assertEqual((self.show("q")["ready"], self.show("q")["locked"]), (2, 0))
        self.assertEqual(self.fetch("q"), ["d", "e"])

    def test_what_nobody_takes_up_goes_back_with_the_lease(self):
        self.declare("q")
        self.publish("q", "m")
        self.assertEqual(self.held("q", "--lease", "2s", "--fetch"), ["m"])
        self.wait_ready("q", 1)
        self.refused("holds nothing", "settle", "q", "--session", "s")
        self.assertEqual(self.held("q", "--fetch"), ["m"])
        self.refused("holds nothing", "settle", "q", "--session", "another")

    def test_each_way_to_settle_what_is_held(self):
        self.declare("dead")
        self.declare("q", "--dead-letter-key", "dead", "--dead-letter-exchange", "", "--lock", "3s")
        self.publish("q", *"abcd")
        self.assertEqual(self.held("q", "--fetch", "--count", "4"), list("abcd"))
        began = time.monotonic()
        self.cli("settle", "q", "--session", "s", "--extend", "1h")
        self.cli("settle", "q", "--session", "s", "--count", "1")
        self.cli("settle", "q", "--session", "s", "--count", "1", "--reject")
        self.cli("settle", "q", "--session", "s", "--count", "1", "--release", "0")
        self.assertEqual(self.fetch("q"), ["c"])
        self.assertEqual(self.fetch("dead"), ["b"])
        time.sleep(max(0.0, began + 3.5 - time.monotonic()))
        self.assertEqual(self.show("q")["locked"], 1, "its lock was extended")

    def test_a_killed_process_is_followed_at_once(self):
        self.declare("q")
        first = self.start_following("q", "s")
        first.send_signal(signal.SIGSTOP)  # It is slow; what it is given now it does not settle.
        self.publish("q", "m")
        harness.wait_for("the message to be out", lambda: self.show("q")["locked"] == 1)
        first.kill()
        began = time.monotonic()
        self.assertEqual(self.cli("consume", "q", "--session", "s", "--count", "1", "--lines").stdout, "m\n")
        self.assertLess(time.monotonic() - began, 5, "nobody waits for the lease")

    def test_of_two_the_one_that_began_later_has_it(self):
        self.declare("q")
        first = self.start_following("q", "s")
        second = self.start_following("q", "s")
        _, said = first.communicate(timeout=20)
        self.assertEqual(first.returncode, 1, said)
        self.assertIn("taken over", said)
        self.publish("q", "m")
        self.wait_ready("q", 0)
        self.assertIsNone(second.poll())

    def test_a_slow_process_settles_nothing_any_more(self):
        """It stands still while another one takes the session, and wakes up with what it had been given."""
        self.declare("q")
        slow = self.start_following("q", "s")
        slow.send_signal(signal.SIGSTOP)
        self.publish("q", "m")
        harness.wait_for("the message to be out", lambda: self.show("q")["locked"] == 1)
        self.assertEqual(self.held("q", "--fetch"), ["m"])
        slow.send_signal(signal.SIGCONT)
        _, said = slow.communicate(timeout=20)
        self.assertIn("taken over", said)
        self.assertEqual(self.show("q")["locked"], 1, "it is the other one's")
        self.cli("settle", "q", "--session", "s")
        self.assertEqual(self.show("q")["settled"], 1)

    def test_a_worker_that_is_killed_again_and_again(self):
        """rpc/example/worker.c: an invoice for each order, and one only."""
        for queue in ("orders", "invoices"):
            self.cluster.holdfast("queue", "declare", queue)
            self.addCleanup(self.cluster.holdfast, "queue", "delete", queue)
        orders = [f"order {number}" for number in range(1500)]
        self.cluster.holdfast("publish", "orders", "--lines", stdin="".join(f"{order}\n" for order in orders))
        command = [os.path.join(harness.BIN, "holdfast-worker"), self.cluster.hosts(), "w", str(len(orders))]
        for _ in range(8):
            with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as worker:
                time.sleep(0.25)
                worker.kill()
        last = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.addCleanup(last.wait)
        self.addCleanup(last.kill)
        listing = lambda: self.cluster.queue("orders")
        harness.wait_for("all orders to be done", lambda: (listing()["ready"], listing()["unsettled"]) == ("0", "0"), 60)
        out = self.cluster.holdfast("consume", "invoices", "--lines", "--count", str(len(orders))).stdout
        self.assertEqual(sorted(out.splitlines()), sorted(orders))
        self.assertEqual(self.cluster.ready("invoices"), 0)


if __name__ == "__main__":
    features.main()
