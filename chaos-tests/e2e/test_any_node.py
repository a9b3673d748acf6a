"""Every node serves every client, and the loss of one, leader or not, is a short pause for them and nothing else."""

import time

import harness
import nodes
from client import Client
from load import Consumer, Publisher

QUEUE = b"any"
LEASE_MS = 3000
PAUSE_SECONDS = 10.0


class AnyNode(nodes.NodesTest):
    def setUp(self):
        cluster = self.start_nodes()
        self.leader = cluster.leader()
        self.followers = cluster.followers(self.leader)
        with Client([cluster.address(self.leader)]).attach() as client:
            self.assertEqual(client.declare(QUEUE), 0)

    def from_node(self, node):
        """The addresses of all nodes, that one first."""
        return [self.cluster.address(n) for n in (node, *(m for m in self.cluster.all() if m != node))]

    def publish(self, node, values):
        with Client([self.cluster.address(node)]).attach() as client:
            for value in values:
                self.assertEqual(client.call(client.publish_id(QUEUE, value)), 0)

    def take(self, client, count):
        client.wait(lambda: len(client.deliveries) >= count, f"{count} deliveries")
        return [delivery.id() for delivery in client.deliveries]

    def drain(self, node, count):
        """Takes and settles that many, and makes sure that there is no other."""
        with Client([self.cluster.address(node)]).attach() as client:
            self.assertEqual(client.call(client.subscribe(QUEUE)), 0)
            taken = self.take(client, count)
            for delivery in client.deliveries:
                self.assertEqual(client.call(client.settle(delivery)), 0)
            self.assertEqual(len(client.deliveries), count)
        return taken

    def test_published_at_one_consumed_at_another(self):
        for start, node in enumerate(self.cluster.all()):
            self.publish(node, range(start * 10, start * 10 + 10))
            for reader in self.cluster.all():
                listed = self.cluster.holdfast("queue", "list", servers=self.cluster.address(reader)).stdout
                row = harness.table(listed.decode(), "QUEUE")[0]
                self.assertEqual(row["ready"], str(start * 10 + 10), f"a confirmed message is seen at node {reader}")
        self.assertEqual(self.drain(self.followers[0], 30), list(range(30)))

    def test_leader_is_killed_under_clients_of_followers(self):
        cluster = self.cluster
        publishers = [Publisher([cluster.address(node)], QUEUE, first=n << 32) for n, node in enumerate(self.followers)]
        consumer = Consumer([cluster.address(self.followers[1])], QUEUE)
        for load in (*publishers, consumer):
            load.start()
        harness.wait_for("some messages", lambda: consumer.check() or len(consumer.taken) > 500)
        killed = time.monotonic()
        cluster.kill(self.leader)
        cluster.leader(among=self.followers)
        harness.wait_for("messages after the kill", lambda: consumer.check() or
                         all(p.times[-1] > killed + 1 for p in publishers))
        confirmed = set().union(*(p.finish().confirmed for p in publishers))
        harness.wait_for("all messages", lambda: consumer.check() or confirmed <= set(consumer.taken))
        consumer.finish()
        for load in (*publishers, consumer):
            self.assertEqual(load.client.events, [], "a client of a follower is told nothing")
            self.assertEqual(len(load.client.attachments), 1, "nor loses its connection")
            self.assertEqual(load.errors, [])
            self.assertLess(load.gap(killed), PAUSE_SECONDS)
        self.assertEqual(len(consumer.taken), len(set(consumer.taken)), "no message came twice")
        self.assertEqual(consumer.redelivered, 0)
        self.assertEqual(set(consumer.taken), confirmed)
        for n in range(len(publishers)):
            own = [value for value in consumer.taken if value >> 32 == n]
            self.assertEqual(own, sorted(own), "in order")
        self.tell(f"leader killed: publishers paused for {max(p.gap(killed) for p in publishers) * 1000:.0f} ms, "
                  f"the consumer for {consumer.gap(killed) * 1000:.0f} ms; {len(confirmed)} messages")

    def test_clients_of_a_killed_node_go_on_elsewhere(self):
        cluster, victim = self.cluster, self.followers[0]
        publisher = Publisher(self.from_node(victim), QUEUE)
        consumer = Consumer(self.from_node(victim), QUEUE)
        publisher.start()
        consumer.start()
        harness.wait_for("some messages", lambda: consumer.check() or len(consumer.taken) > 500)
        killed = time.monotonic()
        cluster.kill(victim)
        harness.wait_for("messages after the kill", lambda: publisher.check() or publisher.times[-1] > killed + 1)
        publisher.finish()
        harness.wait_for("all messages", lambda: consumer.check() or publisher.confirmed <= set(consumer.taken))
        consumer.finish()
        self.assertEqual(publisher.errors + consumer.errors, [])
        self.assertEqual(consumer.taken, sorted(set(consumer.taken)), "each once, in order")
        self.assertEqual(consumer.redelivered, 0)
        self.assertEqual(set(consumer.taken), publisher.confirmed)
        self.tell(f"their node killed: the publisher paused for {publisher.gap(killed) * 1000:.0f} ms, "
                  f"the consumer for {consumer.gap(killed) * 1000:.0f} ms")

    def test_what_a_client_holds_stays_with_it_within_the_lease(self):
        cluster, victim = self.cluster, self.followers[0]
        self.publish(self.leader, range(10))
        with Client(self.from_node(victim), lease_ms=60_000).attach() as client:
            self.assertEqual(client.call(client.subscribe(QUEUE, credit=5)), 0)
            self.assertEqual(self.take(client, 5), list(range(5)))
            cluster.kill(victim)
            client.wait(lambda: len(client.attachments) == 2, "attached elsewhere")
            # Nobody else gets them meanwhile: another consumer has the other five.
            with Client([cluster.address(self.leader)]).attach() as other:
                self.assertEqual(other.call(other.subscribe(QUEUE, credit=100)), 0)
                self.assertEqual(self.take(other, 5), list(range(5, 10)))
                for delivery in client.deliveries:
                    number = client.settle(delivery)
                    self.assertEqual(client.call(number), 0)
                    self.assertEqual(client.replies[number][2:], (1, 0), "settled, not stale")
                self.assertEqual(len(client.deliveries), 5, "nothing was delivered again")
                self.assertEqual(len(other.deliveries), 5)

    def test_what_a_client_held_returns_after_the_lease(self):
        cluster, victim = self.cluster, self.followers[0]
        self.publish(self.leader, range(10))
        with Client([cluster.address(victim)], lease_ms=LEASE_MS).attach() as gone, \
                Client([cluster.address(self.leader)]).attach() as other:
            self.assertEqual(gone.call(gone.subscribe(QUEUE, credit=5)), 0)
            self.assertEqual(self.take(gone, 5), list(range(5)))
            self.assertEqual(other.call(other.subscribe(QUEUE, credit=100)), 0)
            self.take(other, 5)
            killed = time.monotonic()
            cluster.kill(victim)
            other.wait(lambda: len(other.deliveries) == 10, "the other five", LEASE_MS / 1000 + PAUSE_SECONDS)
            waited = time.monotonic() - killed
            self.assertGreater(waited, LEASE_MS / 1000, "not before the lease has ended")
            self.assertEqual([d.id() for d in other.deliveries[5:]], list(range(5)))
            self.assertTrue(all(d.count == 1 for d in other.deliveries[5:]), "marked as redelivered")
            self.tell(f"lease of {LEASE_MS} ms: back {waited * 1000:.0f} ms after the kill")


if __name__ == "__main__":
    harness.main()
