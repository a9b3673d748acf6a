"""pika at a follower, while the leader is killed: the connection survives; what was confirmed is delivered, what was not is confirmed
once afterwards, what was acknowledged does not come back. Then the node that the client is connected to is killed."""

import collections
import threading
import time

import amqp_broker
import harness
from amqp_pika import PERSISTENT, PikaTest, pika

AFTER_SECONDS = 2.0


class Publisher(threading.Thread):
    """Publishes numbers on one connection without waiting, with a window, and counts what is said of each."""

    WINDOW = 200

    def __init__(self, parameters, queue):
        super().__init__()
        self.queue, self.stopping, self.error = queue, threading.Event(), None
        self.sent, self.acks, self.nacks, self.ended = 0, collections.Counter(), collections.Counter(), None
        self.unanswered, self.last_ack = set(), time.monotonic()
        self.longest = 0.0
        self.channel = None
        self.connection = pika.SelectConnection(
            parameters, on_open_callback=lambda c: c.channel(on_open_callback=self.opened),
            on_open_error_callback=lambda c, e: self.closed(c, e), on_close_callback=self.closed)

    def run(self):
        self.connection.ioloop.start()

    def opened(self, channel):
        self.channel = channel
        channel.confirm_delivery(self.confirmed)
        self.fill()

    def fill(self):
        while not self.stopping.is_set() and len(self.unanswered) < self.WINDOW:
            self.sent += 1
            self.unanswered.add(self.sent)
            self.channel.basic_publish("", self.queue, str(self.sent), PERSISTENT)
        if self.stopping.is_set() and not self.unanswered and self.connection.is_open:
            self.connection.close()

    def confirmed(self, frame):
        tag, now = frame.method.delivery_tag, time.monotonic()
        tags = [one for one in self.unanswered if one <= tag] if frame.method.multiple else [tag]
        (self.acks if isinstance(frame.method, pika.spec.Basic.Ack) else self.nacks).update(tags)
        self.unanswered.difference_update(tags)
        self.longest, self.last_ack = max(self.longest, now - self.last_ack), now
        self.fill()

    def closed(self, connection, reason):
        self.ended = reason
        connection.ioloop.stop()

    def finish(self, seconds=30):
        """Waits for what is not confirmed; returns how the connection ended."""
        self.stopping.set()
        self.connection.ioloop.add_callback_threadsafe(self.fill)
        self.join(seconds)
        if self.is_alive():
            raise AssertionError(f"{len(self.unanswered)} of {self.sent} are not confirmed within {seconds} s")
        return self.ended


class Consumer(threading.Thread):
    """Acknowledges what it is given; where its connection ends it takes another node's."""

    def __init__(self, test, nodes, queue, prefetch=50):
        super().__init__()
        self.test, self.nodes, self.queue, self.prefetch = test, nodes, queue, prefetch
        self.given, self.acked, self.again, self.connections = collections.Counter(), set(), [], 0
        self.until, self.failure = None, None

    def run(self):
        try:
            while self.until is None or time.monotonic() < self.until:
                try:
                    self.consume(self.nodes[self.connections % len(self.nodes)])
                except pika.exceptions.AMQPError:
                    time.sleep(0.05)
        except Exception as e:  # pylint: disable=broad-except; finish() raises it
            self.failure = e

    def consume(self, node):
        host, port = self.test.address(node)
        self.connections += 1
        connection = pika.BlockingConnection(pika.ConnectionParameters(host, port, blocked_connection_timeout=30))
        channel = connection.channel()
        channel.basic_qos(prefetch_count=self.prefetch)
        for method, _, body in channel.consume(self.queue, inactivity_timeout=0.2):
            if method is None:
                if self.until is not None and time.monotonic() > self.until:
                    break
                continue
            number = int(body)
            # With a connection that lives, each acknowledgement has arrived: an acknowledged message must never come again.
            if number in self.acked:
                self.again.append(number)
            self.given[number] += 1
            channel.basic_ack(method.delivery_tag)
            self.acked.add(number)
        channel.cancel()
        connection.close()

    def finish(self, seconds=AFTER_SECONDS):
        """Lets it work until nothing has come for a while."""
        self.until = time.monotonic() + seconds
        self.join(60)
        if self.failure:
            raise self.failure


@amqp_broker.needs_cluster
class LeaderDies(PikaTest):
    def setUp(self):
        for node in range(1, 4):
            self.cluster.ops("start", str(node), check=False)
        self.leader = self.cluster.leader()
        self.followers = [node for node in range(1, 4) if node != self.leader]

    def remove_queue(self, name):
        self.channel(self.followers[0]).queue_delete(name)

    def parameters(self, node):
        host, port = self.address(node)
        return pika.ConnectionParameters(host, port, heartbeat=10)

    def start(self, publisher_at, consumer_at):
        queue = self.queue(self.channel(publisher_at), durable=True)
        publisher = Publisher(self.parameters(publisher_at), queue)
        consumer = Consumer(self, consumer_at, queue)
        consumer.start()
        publisher.start()
        amqp_broker.wait_for("they are at work", lambda: len(publisher.acks) > 500 and len(consumer.acked) > 500, 30)
        return publisher, consumer

    def check_all_once(self, publisher, consumer):
        self.assertNotEqual(self.cluster.leader(), self.leader)
        self.assertFalse(publisher.nacks, "nothing is refused")
        self.assertEqual(set(publisher.acks), set(range(1, publisher.sent + 1)))
        self.assertEqual(set(publisher.acks.values()), {1}, "each is confirmed once")
        self.assertEqual(set(publisher.acks) - set(consumer.given), set(), "confirmed and not delivered")

    def test_at_followers(self):
        """Nobody's own node dies: connections stay, nothing is lost or doubled."""
        publisher, consumer = self.start(self.followers[0], [self.followers[1]])
        self.cluster.ops("kill", str(self.leader))
        killed_at = len(publisher.acks)
        amqp_broker.wait_for("confirms go on", lambda: len(publisher.acks) > killed_at + 1000, 30)
        ended = publisher.finish()
        self.assertIsInstance(ended, pika.exceptions.ConnectionClosedByClient, ended)
        consumer.finish()
        self.check_all_once(publisher, consumer)
        self.assertEqual((consumer.again, consumer.connections), ([], 1))
        self.assertEqual(set(consumer.given.values()), {1}, "a connection that lives is given each message once")
        print(f"  {publisher.sent} messages, confirms paused for {publisher.longest:.2f} s", flush=True)

    def test_consumer_at_the_leader(self):
        """The consumer's node dies, and it goes on at another: what was not acknowledged comes again."""
        publisher, consumer = self.start(self.followers[0], [self.leader, self.followers[1]])
        self.cluster.ops("kill", str(self.leader))
        killed_at = len(publisher.acks)
        amqp_broker.wait_for("confirms go on", lambda: len(publisher.acks) > killed_at + 1000, 30)
        ended = publisher.finish()
        self.assertIsInstance(ended, pika.exceptions.ConnectionClosedByClient, ended)
        consumer.finish(10)
        self.check_all_once(publisher, consumer)
        # What it had acknowledged may have been under way when its node died; no more than it could hold.
        self.assertLessEqual(len(consumer.again), consumer.prefetch * 2)

    def test_transactions(self):
        """Each commit is there as a whole, whatever happens to the leader meanwhile."""
        channel = self.channel(self.followers[0], heartbeat=10)
        queues = [self.queue(channel, durable=True) for _ in range(2)]
        channel.tx_select()
        for number in range(60):
            if number == 20:
                self.cluster.ops("kill", str(self.leader))
            for queue in queues:
                self.publish(channel, queue, str(number))
            channel.tx_commit()
        other = self.channel(self.followers[1])
        for queue in queues:
            self.assertEqual(self.get_all(other, queue, 60), [str(number) for number in range(60)])

    def test_held_over_the_change(self):
        """What a living connection holds it still holds; exclusive queues and consumers are still there."""
        channel = self.channel(self.followers[0], confirms=True, heartbeat=10)
        queue, own, got = self.queue(channel), self.queue(channel, "", exclusive=True), []
        self.publish(channel, queue, *[str(number) for number in range(10)])
        channel.basic_qos(prefetch_count=10)
        self.collect(channel, queue, got)
        self.collect(channel, own, got, auto_ack=True)
        self.pump(channel, lambda: len(got) == 10, "all messages")
        channel.basic_ack(5, multiple=True)
        self.cluster.ops("kill", str(self.leader))
        self.publish(channel, own, "own")
        self.pump(channel, lambda: len(got) == 11, "the exclusive queue delivers")
        channel.basic_ack(8, multiple=True)
        channel.connection.close()
        other = self.channel(self.followers[1])
        self.wait_ready(other, queue, 2)
        self.assertEqual(self.get_all(other, queue, 2), ["8", "9"])


if __name__ == "__main__":
    harness.main()
