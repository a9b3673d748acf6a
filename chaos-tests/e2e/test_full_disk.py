"""Full disks: those of a minority disturb nobody, and leadership goes to a node that has room; without room on a majority
new messages are refused, clearly, and nothing else is. Consumers go on, nothing is lost, no process ends, and when there is
room again everything goes on by itself."""

import os
import struct
import time

import harness
import nodes
from client import Client, hash_of_eight, publish_command
from load import Consumer, Publisher

QUEUE, KEPT, BIG = b"full", b"kept", b"big"
DISK_MIB = 256
CONFIG = "segment_mib: 4\nreserve_mib: 16\ncheckpoint_mib: 4\nretain_mib: 64\ncache_mib: 4\ndisk_free_mib: 48"
FILLER_LEN = 64 * 1024
SECONDS = 60.0


class BigPublisher(Publisher):
    """Each number comes with a filler in the same command: both are there or none."""

    def __init__(self, addresses, queue, filler_hash):
        super().__init__(addresses, queue, window=16)
        self.filler_hash = filler_hash

    def turn(self):
        while len(self.client.unanswered) < self.window and self.client.connection is not None:
            body = struct.pack("<Q", self.next)
            command = publish_command(self.queue, [hash_of_eight(body), self.filler_hash], [8, FILLER_LEN])
            self.sent[self.client.submit(command, body + bytes(FILLER_LEN))] = self.next
            self.next += 1
        self.client.step()
        self.collect()


class FullDisk(nodes.NodesTest):
    def setUp(self):
        self.cluster = cluster = nodes.Nodes(config=CONFIG)
        self.addCleanup(cluster.close)
        for node in cluster.all():
            nodes.run("mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "none", cluster.data(node))
            self.addCleanup(nodes.run, "umount", "--lazy", cluster.data(node))
        self.leader = cluster.start_all()
        self.followers = cluster.followers(self.leader)
        with Client([cluster.address(self.leader)]).attach() as client:
            for queue in (QUEUE, KEPT, BIG):
                self.assertEqual(client.declare(queue), 0)
            for value in range(100):
                self.assertEqual(client.call(client.publish_id(KEPT, value)), 0)

    def fill(self, node):
        """A foreign file takes all that is left, and what comes free while it is written."""
        with open(os.path.join(self.cluster.data(node), "foreign"), "wb", buffering=0) as f:
            for size in (1 << 20, 4096):
                try:
                    while True:
                        f.write(bytes(size))
                except OSError:
                    pass

    def unfill(self, node):
        os.unlink(os.path.join(self.cluster.data(node), "foreign"))

    def check_refusing(self, *full):
        """`cluster status` says it, and of which nodes."""
        def said():
            status = self.cluster.holdfast("cluster", "status").stdout.decode()
            return all(f"node {node}: its disk" in status for node in full) and "refused" in status
        harness.wait_for("`cluster status` says why messages are refused", said)

    def nothing_refused(self):
        return all(self.cluster.refusing(node) == "" for node in self.cluster.all())

    def caught_up(self, node):
        """Whether the node has applied what the leader has committed by now."""
        leader, own = self.cluster.info(self.cluster.leader()), self.cluster.info(node)
        return leader and own and own.get(6, [0])[0] >= leader.get(5, [0])[0]

    def check_consuming(self, count=100):
        """What was there before is taken and settled while new messages are refused."""
        with Client([self.cluster.address(self.followers[0])]).attach() as client:
            self.assertEqual(client.call(client.subscribe(KEPT)), 0)
            client.wait(lambda: len(client.deliveries) == count, f"{count} messages")
            self.assertEqual([d.id() for d in client.deliveries], list(range(count)))
            for delivery in client.deliveries:
                self.assertEqual(client.call(client.settle(delivery)), 0)

    def check_refused(self):
        done = self.cluster.holdfast("publish", QUEUE.decode(), stdin=b"x", check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(b"new messages are refused", done.stderr)

    def check_alive(self):
        for node in self.cluster.all():
            self.assertTrue(self.cluster.alive(node), f"node {node} has ended")

    def wait_refused(self, publisher):
        harness.wait_for("a refusal", lambda: publisher.check() or publisher.refused > 0, SECONDS)

    def wait_full(self, publisher, quiet=3.0):
        """Until refusals last: a checkpoint that was under way at the first one may still have made some room."""
        taken, since = -1, 0.0

        def full():
            nonlocal taken, since
            if len(publisher.confirmed) != taken:
                taken, since = len(publisher.confirmed), time.monotonic()
            return publisher.check() or (publisher.refused > 0 and time.monotonic() >= since + quiet)
        harness.wait_for("lasting refusals", full, SECONDS)

    def wait_confirmed(self, publisher, seconds=SECONDS):
        confirmed, started = len(publisher.confirmed), time.monotonic()
        harness.wait_for("publishing works again", lambda: publisher.check() or
                         len(publisher.confirmed) > confirmed + 100, seconds)
        return time.monotonic() - started

    def fill_some(self, *full):
        """Publishes and consumes at nodes that keep their room; fills the others, and makes room again."""
        rest = [node for node in self.cluster.all() if node not in full]
        publisher = Publisher([self.cluster.address(rest[0])], QUEUE, window=4)
        consumer = Consumer([self.cluster.address(rest[-1])], QUEUE)
        publisher.start()
        consumer.start()
        self.wait_confirmed(publisher)
        for node in full:
            self.fill(node)
        return publisher, consumer

    def empty_some(self, publisher, consumer, *full):
        for node in full:
            self.unfill(node)
        waited = self.wait_confirmed(publisher)
        confirmed = publisher.finish().confirmed
        harness.wait_for("all messages", lambda: consumer.check() or confirmed <= set(consumer.taken), SECONDS)
        consumer.finish()
        self.assertEqual(publisher.errors + consumer.errors, [])
        self.assertEqual(consumer.taken, sorted(confirmed), "what was confirmed, once, in order, and nothing refused")
        self.assertEqual(publisher.client.events + consumer.client.events, [], "nobody lost a connection")
        harness.wait_for("nothing is refused", self.nothing_refused)
        for node in full:
            harness.wait_for(f"node {node} has all of it", lambda n=node: self.caught_up(n), SECONDS)
        self.check_alive()
        self.tell(f"{len(confirmed)} confirmed, {publisher.refused} refused; publishing worked {waited:.1f} s after there "
                  "was room")

    def test_disk_of_the_leader(self):
        """Another leads, and publishing goes on."""
        publisher, consumer = self.fill_some(self.leader)
        harness.wait_for("a leader with room", lambda: self.cluster.find_leader() not in (0, self.leader))
        self.wait_confirmed(publisher)
        self.check_consuming()
        self.check_alive()
        self.empty_some(publisher, consumer, self.leader)

    def test_disk_of_a_follower(self):
        """Publishing goes on: a majority has room."""
        publisher, consumer = self.fill_some(self.followers[0])
        harness.wait_for("`cluster status` says so", lambda: b"its disk is nearly full" in
                         self.cluster.holdfast("cluster", "status").stdout)
        self.wait_confirmed(publisher)
        self.check_consuming()
        self.check_alive()
        self.assertEqual(self.cluster.find_leader(), self.leader)
        self.empty_some(publisher, consumer, self.followers[0])

    def test_disks_of_a_majority(self):
        publisher, consumer = self.fill_some(*self.followers)
        self.wait_refused(publisher)
        self.check_refusing(*self.followers)
        self.check_consuming()
        self.check_refused()
        self.check_alive()
        self.empty_some(publisher, consumer, *self.followers)

    def test_repair_on_a_full_disk(self):
        """A node that may not count on its data notes that even so, waits for room, and goes on by itself when there is some."""
        node = self.followers[0]
        self.fill(node)
        self.cluster.holdfast("cluster", "repair", str(node))
        said = (b"there is no room on its disk to note whether it votes", b"there is no room for a copy")
        harness.wait_for("it to say that there is no room", lambda: any(
            text in self.cluster.holdfast("cluster", "status", check=False).stdout for text in said))
        self.check_alive()
        self.unfill(node)
        harness.wait_for("its vote", lambda: "this node votes again" in self.cluster.log(node), SECONDS)
        harness.wait_for("all of it", lambda: self.caught_up(node), SECONDS)
        self.check_alive()

    def filler_hash(self):
        """XXH3 of the filler, as the cluster says it."""
        self.cluster.holdfast("publish", QUEUE.decode(), stdin=bytes(FILLER_LEN))
        with Client([self.cluster.address(self.leader)]).attach() as client:
            self.assertEqual(client.call(client.subscribe(QUEUE)), 0)
            client.wait(lambda: client.deliveries, "the filler")
            self.assertEqual(client.call(client.settle(client.deliveries[0])), 0)
            return client.deliveries[0].hash

    def test_all_disks_by_publishing_until_consumers_make_room(self):
        publisher = BigPublisher([self.cluster.address(self.followers[0])], BIG, self.filler_hash())
        publisher.start()
        self.wait_full(publisher)
        first = publisher.finish().confirmed
        self.assertEqual(publisher.errors, [])
        self.check_consuming()
        self.check_refused()
        self.check_alive()
        with Client([self.cluster.address(self.followers[1])]).attach() as client:
            self.assertEqual(client.call(client.subscribe(BIG, credit=64)), 0)
            taken = []
            while len(taken) < len(first):
                client.wait(lambda: client.deliveries, "the next messages", SECONDS)
                taken += [d.id() for d in client.deliveries if len(d.body) == 8]
                for delivery in client.deliveries:
                    client.settle(delivery)
                client.deliveries = []
                client.wait(lambda: not client.unanswered, "settled", SECONDS)
            self.assertEqual(taken, sorted(first))
        started = time.monotonic()
        harness.wait_for("room again", self.nothing_refused, SECONDS)
        again = BigPublisher([self.cluster.address(self.followers[0])], BIG, publisher.filler_hash)
        again.start()
        self.wait_confirmed(again)
        self.assertEqual(again.finish().errors, [])
        self.check_alive()
        self.tell(f"{len(first)} messages of {FILLER_LEN // 1024} KiB fitted; room again {time.monotonic() - started:.1f} s "
                  "after they were consumed")


if __name__ == "__main__":
    nodes.enter_namespaces("mount")
    harness.main()
