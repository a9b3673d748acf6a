"""Sessions: resumed with what they hold, which goes back when they end, when their node dies, when their lease is over."""

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


if __name__ == "__main__":
    features.main()
