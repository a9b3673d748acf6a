"""A node that its peers cannot reach, while its clients can: they are told, and go on elsewhere with what they hold."""

import time

import harness
import nodes
from client import UNAVAILABLE, Client
from load import Consumer, Publisher

QUEUE = b"isolated"
PEER_NET, CLIENT_NET = "10.71.1", "10.71.2"
PAUSE_SECONDS = 10.0


class Network:
    """Each node in a namespace of its own, with one wire to its peers and one to its clients, in this test's namespace."""

    def __init__(self, count):
        nodes.run("mount", "-t", "tmpfs", "none", "/run")  # Where `ip netns` keeps its names.
        nodes.run("ip", "link", "set", "lo", "up")
        for bridge in ("peers", "clients"):
            nodes.run("ip", "link", "add", bridge, "type", "bridge")
            nodes.run("ip", "link", "set", bridge, "up")
        nodes.run("ip", "addr", "add", f"{CLIENT_NET}.100/24", "dev", "clients")
        for node in range(1, count + 1):
            nodes.run("ip", "netns", "add", self.name(node))
            nodes.run("ip", "-n", self.name(node), "link", "set", "lo", "up")
            self.wire(node, "peers", f"{PEER_NET}.{node}")
            self.wire(node, "clients", f"{CLIENT_NET}.{node}")

    @staticmethod
    def name(node):
        return f"node{node}"

    def wire(self, node, bridge, address):
        inside, outside = bridge, f"{bridge}{node}"
        nodes.run("ip", "link", "add", outside, "type", "veth", "peer", "name", inside, "netns", self.name(node))
        nodes.run("ip", "link", "set", outside, "master", bridge, "up")
        nodes.run("ip", "-n", self.name(node), "addr", "add", f"{address}/24", "dev", inside)
        nodes.run("ip", "-n", self.name(node), "link", "set", inside, "up")

    @staticmethod
    def cut(node, bridge="peers"):
        """The wire leads nowhere: what is sent is lost without a word."""
        nodes.run("ip", "link", "set", f"{bridge}{node}", "nomaster")

    @staticmethod
    def mend(node, bridge="peers"):
        nodes.run("ip", "link", "set", f"{bridge}{node}", "master", bridge)


class Isolated(nodes.NodesTest):
    network = None

    @classmethod
    def setUpClass(cls):
        cls.network = Network(3)

    def setUp(self):
        for node in (1, 2, 3):
            self.network.mend(node)
        cluster = self.start_nodes(addresses=[(f"{PEER_NET}.{n}:7471", f"{CLIENT_NET}.{n}:7470") for n in (1, 2, 3)],
                                   prefix=lambda node: ["ip", "netns", "exec", self.network.name(node)])
        self.leader = cluster.leader()
        self.followers = cluster.followers(self.leader)
        with Client([cluster.address(self.leader)]).attach() as client:
            self.assertEqual(client.declare(QUEUE), 0)

    def isolate(self, node, others):
        """Cuts off the node with clients of its own; they go on at the others, and nothing is lost or doubled."""
        cluster = self.cluster
        addresses = [cluster.address(n) for n in (node, *others)]
        publisher = Publisher(addresses, QUEUE, producer=b"p", lease_ms=60_000)
        consumer = Consumer(addresses, QUEUE, lease_ms=60_000)
        publisher.start()
        consumer.start()
        harness.wait_for("some messages", lambda: consumer.check() or len(consumer.taken) > 500)
        cut = time.monotonic()
        self.network.cut(node)
        harness.wait_for("messages after the cut", lambda: consumer.check() or publisher.check() or
                         (publisher.times[-1] > cut + 3 and consumer.times[-1] > cut + 3))
        for load in (publisher, consumer):
            told = [event for event in load.client.events if event[1] == cluster.address(node)]
            self.assertTrue(told, "a client of the isolated node is told")
            self.assertEqual({event[2] for event in told}, {UNAVAILABLE})
        self.network.mend(node)
        confirmed = publisher.finish().confirmed
        harness.wait_for("all messages", lambda: consumer.check() or confirmed <= set(consumer.taken))
        consumer.finish()
        self.assertEqual(publisher.errors + consumer.errors, [])
        self.assertEqual(consumer.taken, sorted(confirmed), "each once, in order")
        self.assertEqual(consumer.redelivered, 0)
        self.assertLess(max(publisher.gap(cut), consumer.gap(cut)), PAUSE_SECONDS)
        self.tell(f"told after {(told[0][0] - cut) * 1000:.0f} ms; the publisher paused for "
                  f"{publisher.gap(cut) * 1000:.0f} ms, the consumer for {consumer.gap(cut) * 1000:.0f} ms")
        with Client([cluster.address(node)]).attach() as client:
            self.assertEqual(client.declare(b"after"), 0, "it serves again")

    def test_follower(self):
        self.isolate(self.followers[0], [self.followers[1], self.leader])

    def test_leader(self):
        self.isolate(self.leader, self.followers)

    def test_leader_with_clients_elsewhere(self):
        """Clients of the others are told nothing: they wait for the next leader."""
        cluster = self.cluster
        publisher = Publisher([cluster.address(self.followers[0])], QUEUE)
        consumer = Consumer([cluster.address(self.followers[1])], QUEUE)
        publisher.start()
        consumer.start()
        harness.wait_for("some messages", lambda: consumer.check() or len(consumer.taken) > 500)
        cut = time.monotonic()
        self.network.cut(self.leader)
        harness.wait_for("messages after the cut", lambda: consumer.check() or publisher.check() or
                         publisher.times[-1] > cut + 3)
        # What the old leader would confirm, nobody else knows: it must not.
        with Client([cluster.address(self.leader)]) as alone:
            self.assertFalse(alone.attach_once(), "an isolated leader serves nobody")
        self.network.mend(self.leader)
        confirmed = publisher.finish().confirmed
        harness.wait_for("all messages", lambda: consumer.check() or confirmed <= set(consumer.taken))
        consumer.finish()
        self.assertEqual(publisher.client.events + consumer.client.events, [])
        self.assertEqual(publisher.errors + consumer.errors, [])
        self.assertEqual(consumer.taken, sorted(confirmed), "each once, in order")
        self.assertLess(publisher.gap(cut), PAUSE_SECONDS)
        self.tell(f"publishers of the others paused for {publisher.gap(cut) * 1000:.0f} ms, consumers for "
                  f"{consumer.gap(cut) * 1000:.0f} ms")


if __name__ == "__main__":
    nodes.enter_namespaces("mount", "net")
    harness.main()
