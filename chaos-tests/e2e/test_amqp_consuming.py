"""pika: consuming. Acknowledgements, prefetch, redelivery, dead letters, time to live, priorities, cancellation, direct replies."""

import threading
import time

import amqp_broker
from amqp_pika import PikaTest, pika


class Consuming(PikaTest):
    def numbers(self, got):
        return [body.decode() for _, _, body in got]

    def tags(self, got):
        return [method.delivery_tag for method, _, _ in got]

    def test_tags_and_acknowledgements(self):
        channel = self.channel(confirms=True)
        queue, got = self.queue(channel), []
        self.publish(channel, queue, *"123456")
        self.collect(channel, queue, got, consumer_tag="me")
        self.pump(channel, lambda: len(got) == 6, "all messages")
        self.assertEqual(self.tags(got), [1, 2, 3, 4, 5, 6])
        self.assertEqual({(m.consumer_tag, m.redelivered, m.exchange, m.routing_key) for m, _, _ in got},
                         {("me", False, "", queue)})
        channel.basic_ack(2)
        channel.basic_ack(4, multiple=True)
        channel.connection.close()
        other = self.channel()
        self.wait_ready(other, queue, 2)
        back = [self.get(other, queue) for _ in range(2)]
        self.assertEqual([(m.redelivered, body) for m, _, body in back], [(True, b"5"), (True, b"6")])

    def test_unknown_tags(self):
        connection = self.connect()
        queue = self.queue(connection.channel())
        self.publish(connection.channel(), queue, "1")
        for settle in (lambda c: c.basic_ack(5), lambda c: c.basic_nack(5), lambda c: c.basic_reject(5)):
            channel = connection.channel()
            settle(channel)
            self.assert_closes(406, "PRECONDITION_FAILED - unknown delivery tag 5", channel.queue_declare, queue, passive=True)
        channel = connection.channel()
        method, _, _ = self.get(channel, queue, auto_ack=False)
        channel.basic_ack(method.delivery_tag)
        channel.basic_ack(method.delivery_tag)
        self.assert_closes(406, f"PRECONDITION_FAILED - unknown delivery tag {method.delivery_tag}",
                           channel.queue_declare, queue, passive=True)
        channel = connection.channel()
        channel.basic_ack(0, multiple=True)
        self.assertEqual(self.ready(channel, queue), 0, "nothing was held: it is no error")

    def test_prefetch(self):
        channel = self.channel(confirms=True)
        queue, got = self.queue(channel), []
        self.publish(channel, queue, *"123456789")
        channel.basic_qos(prefetch_count=3)
        self.collect(channel, queue, got)
        self.pump(channel, lambda: len(got) == 3, "as many as the limit")
        self.settle_down(channel)
        self.assertEqual(self.numbers(got), ["1", "2", "3"])
        channel.basic_ack(2, multiple=True)
        self.pump(channel, lambda: len(got) == 5, "as many more")
        self.settle_down(channel)
        self.assertEqual(self.numbers(got), ["1", "2", "3", "4", "5"])

    def test_prefetch_of_a_channel(self):
        channel = self.channel(confirms=True)
        first, second, got = self.queue(channel), self.queue(channel), []
        self.publish(channel, first, *"1234")
        self.publish(channel, second, *"5678")
        channel.basic_qos(prefetch_count=3, global_qos=True)
        self.collect(channel, first, got)
        self.collect(channel, second, got)
        self.pump(channel, lambda: len(got) == 3, "as many as the limit")
        self.settle_down(channel)
        self.assertEqual(len(got), 3)
        for _ in range(5):
            count = len(got)
            channel.basic_ack(got[-1][0].delivery_tag)
            self.pump(channel, lambda before=count: len(got) == before + 1, "one for one")
        self.assertEqual(sorted(self.numbers(got)), [*"12345678"])

    def test_round_robin(self):
        channel = self.channel(confirms=True)
        queue, first, second = self.queue(channel), [], []
        self.collect(channel, queue, first, auto_ack=True)
        self.collect(channel, queue, second, auto_ack=True)
        for number in range(10):
            self.publish(channel, queue, str(number))
            self.pump(channel, lambda n=number: len(first) + len(second) == n + 1, "each message")
        self.assertEqual((len(first), len(second)), (5, 5))

    def test_requeue(self):
        channel = self.channel(confirms=True)
        queue, got = self.queue(channel), []
        self.publish(channel, queue, *"12")
        channel.basic_qos(prefetch_count=1)
        self.collect(channel, queue, got)
        self.pump(channel, lambda: len(got) == 1, "the first")
        channel.basic_nack(1, requeue=True)
        self.pump(channel, lambda: len(got) == 2, "it again")
        self.assertEqual([(m.redelivered, body) for m, _, body in got], [(False, b"1"), (True, b"1")])
        channel.basic_reject(2, requeue=True)
        self.pump(channel, lambda: len(got) == 3, "and again")
        channel.basic_nack(3, requeue=False)
        self.pump(channel, lambda: len(got) == 4, "then the next")
        self.assertEqual(got[3][2], b"2")

    def test_recover(self):
        channel = self.channel(confirms=True)
        queue, got = self.queue(channel), []
        self.publish(channel, queue, *"12")
        self.collect(channel, queue, got)
        self.pump(channel, lambda: len(got) == 2, "both")
        channel.basic_recover(requeue=True)
        self.pump(channel, lambda: len(got) == 4, "both again")
        self.assertEqual([(m.delivery_tag, m.redelivered) for m, _, _ in got[2:]], [(3, True), (4, True)])
        self.assertEqual(sorted(self.numbers(got[2:])), ["1", "2"])

    def test_dead_letters(self):
        channel = self.channel(confirms=True)
        exchange, dead = self.exchange(channel, "direct"), self.queue(channel)
        channel.queue_bind(dead, exchange, "dead")
        queue = self.queue(channel, arguments={"x-dead-letter-exchange": exchange, "x-dead-letter-routing-key": "dead"})
        before = int(time.time())
        self.publish(channel, queue, "x", headers={"mine": 1}, message_id="m")
        method, _, _ = self.get(channel, queue, auto_ack=False)
        channel.basic_reject(method.delivery_tag, requeue=False)
        method, properties, body = self.get(channel, dead)
        self.assertEqual((method.exchange, method.routing_key, body, properties.message_id), (exchange, "dead", b"x", "m"))
        (death,) = properties.headers.pop("x-death")
        died = death.pop("time").timestamp() - time.timezone
        self.assertTrue(before - 5 <= died <= time.time() + 5, died)
        self.assertEqual(death, {"count": 1, "reason": "rejected", "queue": queue, "exchange": "", "routing-keys": [queue]})
        last = {"x-last-death-reason": "rejected", "x-last-death-queue": queue, "x-last-death-exchange": ""}  # Since 3.13.
        self.assertEqual({**properties.headers, **last},
                         {"mine": 1, "x-first-death-reason": "rejected", "x-first-death-queue": queue,
                          "x-first-death-exchange": "", **last})

    def test_a_round_of_dead_letters(self):
        """Back and forth: rejected here, expired there; counted each."""
        channel = self.channel(confirms=True)
        work, wait = self.name("work"), self.name("wait")
        self.queue(channel, work, arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": wait})
        self.queue(channel, wait, arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": work, "x-message-ttl": 50})
        self.publish(channel, work, "x")
        for _ in range(3):
            method, _, _ = self.get(channel, work, auto_ack=False)
            channel.basic_reject(method.delivery_tag, requeue=False)
        _, properties, _ = self.get(channel, work)
        self.assertEqual([(one["queue"], one["reason"], one["count"]) for one in properties.headers["x-death"]],
                         [(wait, "expired", 3), (work, "rejected", 3)])
        self.assertEqual((properties.headers["x-first-death-queue"], properties.headers["x-first-death-reason"]),
                         (work, "rejected"))

    def test_time_to_live(self):
        channel = self.channel(confirms=True)
        dead = self.queue(channel)
        queue = self.queue(channel, arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
        self.publish(channel, queue, "short", expiration="100")
        self.publish(channel, queue, "long", expiration="60000")
        _, properties, body = self.get(channel, dead)
        self.assertEqual(body, b"short")
        (death,) = properties.headers["x-death"]
        self.assertEqual((death["reason"], death["original-expiration"], properties.expiration), ("expired", "100", None))
        self.assertEqual(self.get_all(channel, queue, 1), ["long"])
        limited = self.queue(channel, arguments={"x-message-ttl": 0})
        self.publish(channel, limited, "to nobody")
        self.assertIsNone(channel.basic_get(limited)[0])

    def test_maxlen_dead_letters(self):
        channel = self.channel(confirms=True)
        dead = self.queue(channel)
        queue = self.queue(channel, arguments={"x-max-length": 1, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
        self.publish(channel, queue, "1", "2")
        _, properties, body = self.get(channel, dead)
        self.assertEqual((body, properties.headers["x-death"][0]["reason"]), (b"1", "maxlen"))

    def test_delivery_limit(self):
        channel = self.channel(confirms=True)
        dead = self.queue(channel)
        queue = self.queue(channel, durable=True,
                           arguments={"x-queue-type": "quorum", "x-delivery-limit": 2, "x-dead-letter-exchange": "",
                                      "x-dead-letter-routing-key": dead})
        self.publish(channel, queue, "x")
        counts = []
        for _ in range(3):
            method, properties, _ = self.get(channel, queue, auto_ack=False)
            counts.append((properties.headers or {}).get("x-delivery-count", 0))
            channel.basic_nack(method.delivery_tag, requeue=True)
        self.assertEqual(counts, [0, 1, 2])
        _, properties, _ = self.get(channel, dead)
        self.assertEqual(properties.headers["x-death"][0]["reason"], "delivery_limit")

    def test_priorities(self):
        channel = self.channel(confirms=True)
        queue = self.queue(channel, arguments={"x-max-priority": 5})
        for priority in (0, 3, 5, 1, 9, None):
            self.publish(channel, queue, str(priority), priority=priority)
        self.assertEqual(self.get_all(channel, queue, 6), ["5", "9", "3", "1", "0", "None"])

    def test_consumer_priorities(self):
        channel = self.channel(confirms=True)
        queue, low, high = self.queue(channel), [], []
        self.collect(channel, queue, low, auto_ack=True)
        channel.basic_consume(queue, lambda *m: high.append(m), auto_ack=True, arguments={"x-priority": 10})
        self.publish(channel, queue, *"123")
        self.pump(channel, lambda: len(high) == 3, "all to the one with the higher priority")
        self.assertEqual(low, [])

    def test_single_active_consumer(self):
        channel = self.channel(confirms=True)
        queue, first, second = self.queue(channel, arguments={"x-single-active-consumer": True}), [], []
        tag = self.collect(channel, queue, first, auto_ack=True)
        self.collect(channel, queue, second, auto_ack=True)
        self.publish(channel, queue, *"12")
        self.pump(channel, lambda: len(first) == 2, "all to the first")
        channel.basic_cancel(tag)
        self.publish(channel, queue, "3")
        self.pump(channel, lambda: len(second) == 1, "then to the second")

    def test_exclusive_consumer(self):
        connection = self.connect()
        queue = self.queue(connection.channel())
        connection.channel().basic_consume(queue, lambda *_: None, exclusive=True)
        self.assert_closes(403, f"ACCESS_REFUSED - queue '{queue}' in vhost '/' in exclusive use",
                           connection.channel().basic_consume, queue, lambda *_: None)

    def test_a_tag_once(self):
        channel = self.channel()
        queue = self.queue(channel)
        channel.basic_consume(queue, lambda *_: None, consumer_tag="t")
        again = pika.spec.Basic.Consume(queue=queue, consumer_tag="t")
        channel._impl._send_method(again)  # pylint: disable=protected-access; pika itself would not let it pass
        self.assert_connection_closes(530, "NOT_ALLOWED - attempt to reuse consumer tag 't'",
                                      channel.connection.process_data_events, 10)

    def test_cancel_notification(self):
        channel, got = self.channel(), []
        queue = self.queue(channel)
        channel.add_on_cancel_callback(lambda frame: got.append(frame.method.consumer_tag))
        tag = channel.basic_consume(queue, lambda *_: None)
        self.channel(2).queue_delete(queue)
        self.pump(channel, lambda: got, "the consumer is told")
        self.assertEqual(got, [tag])

    def test_cancel_keeps_what_is_held(self):
        channel = self.channel(confirms=True)
        queue, got = self.queue(channel), []
        self.publish(channel, queue, "1", "2")
        tag = self.collect(channel, queue, got)
        self.pump(channel, lambda: len(got) == 2, "both")
        channel.basic_cancel(tag)
        self.assertEqual(self.ready(channel, queue), 0)
        channel.basic_ack(1)
        channel.basic_nack(2)
        self.assertEqual(self.get_all(channel, queue, 1), ["2"])

    def test_get(self):
        channel = self.channel(confirms=True)
        queue = self.queue(channel)
        self.assertEqual(channel.basic_get(queue), (None, None, None))
        self.publish(channel, queue, "1", "2", "3")
        method, _, body = channel.basic_get(queue)
        self.assertEqual((method.message_count, method.redelivered, body), (2, False, b"1"))
        channel.basic_nack(method.delivery_tag)
        method, _, body = self.get(channel, queue, auto_ack=False)
        self.assertEqual((method.message_count, method.redelivered, body), (2, True, b"1"))
        channel.close()
        channel = self.channel()
        self.wait_ready(channel, queue, 3)
        self.assert_closes(404, "NOT_FOUND - no queue 'nowhere' in vhost '/'", channel.basic_get, "nowhere")

    def test_many_gets_before_one_acknowledgement(self):
        """What is held is no consumer each: any number of messages is got one by one, and settled together."""
        channel, count = self.channel(), 3000
        queue = self.queue(channel)
        self.publish(channel, queue, *map(str, range(count)))
        self.wait_ready(channel, queue, count)
        got = [channel.basic_get(queue) for _ in range(count)]
        self.assertEqual([int(body) for _, _, body in got], [*range(count)])
        self.assertEqual([method.message_count for method, _, _ in got], [*reversed(range(count))])
        self.assertEqual(channel.basic_get(queue), (None, None, None))
        channel.basic_ack(count - 2, multiple=True)
        channel.basic_nack(count, requeue=True)
        channel.connection.close()
        other = self.channel()
        self.wait_ready(other, queue, 2)
        self.assertEqual(self.get_all(other, queue, 2), [str(count - 2), str(count - 1)])

    def test_direct_reply_to(self):
        asking, answering = self.channel(1), self.channel(2)
        queue, replies = self.queue(answering), []
        asking.basic_consume("amq.rabbitmq.reply-to", lambda _, *m: replies.append(m), auto_ack=True)
        asking.basic_publish("", queue, "question", pika.BasicProperties(reply_to="amq.rabbitmq.reply-to"))
        _, properties, _ = self.get(answering, queue)
        self.assertTrue(properties.reply_to.startswith("amq.rabbitmq.reply-to."), properties.reply_to)
        answering.basic_publish("", properties.reply_to, "answer", pika.BasicProperties(correlation_id="c"))
        self.pump(asking, lambda: replies, "the answer")
        self.assertEqual((replies[0][2], replies[0][1].correlation_id), (b"answer", "c"))
        self.assert_closes(406, "PRECONDITION_FAILED - fast reply consumer does not exist",
                           self.ask_without_consumer, asking.connection.channel(), queue)

    def ask_without_consumer(self, channel, queue):
        channel.basic_publish("", queue, "x", pika.BasicProperties(reply_to="amq.rabbitmq.reply-to"))
        channel.queue_declare(queue, passive=True)

    def test_many_with_threads(self):
        """Several connections at all nodes work on one queue: each message is done once."""
        channel = self.channel(confirms=True)
        queue, done = self.queue(channel), []
        threads = [threading.Thread(target=self.work, args=(node, queue, done)) for node in (1, 2, 3)]
        for thread in threads:
            thread.start()
        for number in range(300):
            self.publish(channel, queue, str(number))
        self.publish(channel, queue, *["end"] * 3)
        for thread in threads:
            thread.join(30)
        self.assertEqual(sorted(done, key=int), [str(number) for number in range(300)])

    def work(self, node, queue, done):
        channel = self.channel(node)
        channel.basic_qos(prefetch_count=10)
        for method, _, body in channel.consume(queue, inactivity_timeout=20):
            if method is None or body == b"end":
                break
            done.append(body.decode())
            channel.basic_ack(method.delivery_tag)
        channel.basic_ack(method.delivery_tag)
        channel.connection.close()


if __name__ == "__main__":
    amqp_broker.main()
