"""A node that stands still (SIGSTOP: a debugger, a virtual machine that is moved) and goes on does no harm."""

import signal
import time

import harness
import nodes
from client import Client
from load import Consumer, Publisher

QUEUE = b"stopped"
ELECTION_MS = 1000
PRESENCE_MS = 3000
SHORT_SECONDS = 0.6
LONG_SECONDS = 5.0
CONFIG = f"election_timeout_ms: {ELECTION_MS}\nheartbeat_ms: 50\npresence_timeout_ms: {PRESENCE_MS}"


class Stopped(nodes.NodesTest):
    def setUp(self):
        cluster = self.start_nodes(config=CONFIG)
        self.leader = cluster.leader()
        self.followers = cluster.followers(self.leader)
        with Client([cluster.address(self.leader)]).attach() as client:
            self.assertEqual(client.declare(QUEUE), 0)
        self.term = cluster.leads(self.leader)

    def start_load(self, publisher_nodes, consumer_nodes):
        address = self.cluster.address
        self.publisher = Publisher([address(n) for n in publisher_nodes], QUEUE, producer=b"p", lease_ms=60_000)
        self.consumer = Consumer([address(n) for n in consumer_nodes], QUEUE, lease_ms=60_000)
        self.publisher.start()
        self.consumer.start()
        self.wait_for_more(200)

    def wait_for_more(self, count):
        enough = len(self.consumer.taken) + count
        harness.wait_for(f"{count} more messages", lambda: self.consumer.check() or self.publisher.check() or
                         len(self.consumer.taken) >= enough)

    def stand_still(self, node, seconds, until=None):
        """Stops the node for so long, and for longer until something has happened."""
        self.cluster.signal(node, signal.SIGSTOP)
        stopped = time.monotonic()
        try:
            time.sleep(seconds)
            if until is not None:
                until()
        finally:
            self.cluster.signal(node, signal.SIGCONT)
        return stopped

    def finish_load(self):
        """Everything confirmed has come, once, in order, and to a session that was never lost."""
        confirmed = self.publisher.finish().confirmed
        harness.wait_for("all messages", lambda: self.consumer.check() or confirmed <= set(self.consumer.taken))
        self.consumer.finish()
        self.assertEqual(self.publisher.errors, [])
        self.assertEqual(self.consumer.errors, [])
        self.assertEqual(self.consumer.redelivered, 0)
        self.assertEqual(self.consumer.taken, sorted(confirmed), "each once, in order")

    def check_woken(self, node):
        """The node follows what the others have done, and serves."""
        with Client([self.cluster.address(node)]).attach() as client:
            self.assertEqual(client.declare(b"after"), 0)
        self.assertTrue(all(self.cluster.alive(n) for n in self.cluster.all()))

    def test_leader_for_less_than_an_election_timeout(self):
        self.start_load([self.followers[0]], [self.followers[1]])
        stopped = self.stand_still(self.leader, SHORT_SECONDS)
        self.wait_for_more(500)
        self.finish_load()
        self.assertEqual(self.cluster.leads(self.leader), self.term, "the same leader in the same term")
        self.tell(f"leader stopped for {SHORT_SECONDS * 1000:.0f} ms: pause of {self.publisher.gap(stopped) * 1000:.0f} ms")

    def test_leader_for_longer(self):
        """It wakes as a leader that is none any more: what it still says changes nothing."""
        self.start_load([self.followers[0]], [self.followers[1]])
        with Client([self.cluster.address(self.leader)]).attach() as own:
            # A client of the stopped node itself: what it sends there is answered by whoever leads, or not at all.
            stopped = self.stand_still(self.leader, LONG_SECONDS, lambda: self.cluster.leader(among=self.followers))
            number = own.submit(b"\x22\x05\x0a\x03own")
            own.wait(lambda: number in own.replies, "an answer through the woken node")
            self.assertEqual(own.replies[number][0], 0)
        self.wait_for_more(500)
        self.finish_load()
        self.check_woken(self.leader)
        self.assertGreater(max(self.cluster.leads(n) for n in self.cluster.all()), self.term)
        self.tell(f"leader stopped for {LONG_SECONDS:.0f} s: pause of {self.publisher.gap(stopped) * 1000:.0f} ms")

    def test_follower_for_longer_with_clients_elsewhere(self):
        self.start_load([self.leader], [self.followers[1]])
        stopped = self.stand_still(self.followers[0], LONG_SECONDS)
        self.wait_for_more(500)
        self.finish_load()
        self.assertEqual(self.cluster.leads(self.leader), self.term, "pre-vote: the woken node deposes nobody")
        self.check_woken(self.followers[0])
        self.assertLess(self.publisher.gap(stopped), 2.0)
        self.tell(f"a follower stopped for {LONG_SECONDS:.0f} s: pause of {self.publisher.gap(stopped) * 1000:.0f} ms elsewhere")

    def test_follower_for_less_with_its_clients(self):
        self.start_load([self.followers[0]], [self.followers[0]])
        self.stand_still(self.followers[0], SHORT_SECONDS)
        self.wait_for_more(500)
        self.finish_load()
        self.assertEqual(len(self.consumer.client.attachments), 1, "its clients only wait")
        self.assertEqual(self.cluster.leads(self.leader), self.term)

    def test_follower_for_longer_with_its_clients(self):
        """Its sessions are taken for lost and its clients wait; when it wakes, both sides find each other again."""
        self.start_load([self.followers[0], self.leader], [self.followers[0], self.leader])
        taken = len(self.consumer.taken)
        self.stand_still(self.followers[0], LONG_SECONDS)
        self.wait_for_more(500)
        self.finish_load()
        self.assertGreater(len(self.consumer.taken), taken)
        self.check_woken(self.followers[0])


if __name__ == "__main__":
    harness.main()
