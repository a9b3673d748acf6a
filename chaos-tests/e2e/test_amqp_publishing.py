"""pika: publishing. Confirms and returns, properties and bodies of all kinds, transactions, delay, exactly-once."""

import datetime
import decimal
import os

import amqp_broker
from amqp_pika import PikaTest, pika

# Values that pika reads as it writes them: it has no floats, and takes negative numbers of 64 bits for unsigned ones.
TABLE = {"text": "Größe 消息", "bytes": b"\xff\x00\xfe", "true": True, "false": False, "small": -7, "large": 1 << 40,
         "nothing": None, "time": datetime.datetime(2026, 11, 22, 8, 30, 5),
         "decimal": decimal.Decimal("3.14"), "list": ["a", 1, None, ["deeper", {"k": "v"}]],
         "table": {"one": 1, "two": {"three": {"four": [1, 2, 3]}}}, "empty": "", "no list": [], "no table": {}}


class Publishing(PikaTest):
    def test_confirms(self):
        channel = self.channel(confirms=True)
        queue = self.queue(channel)
        for number in range(50):
            channel.basic_publish("", queue, str(number))
        self.assertEqual(self.ready(channel, queue), 50)
        self.assertEqual(self.get_all(channel, queue, 50), [str(number) for number in range(50)])

    def test_confirms_of_many_at_once(self):
        """Acks may be for several; together they are for each message once."""
        host, port = self.address()
        got, counted = [], 2000
        queue = self.queue(self.channel())

        def opened(channel):
            channel.confirm_delivery(lambda frame: confirmed(channel, frame.method))
            for _ in range(counted):
                channel.basic_publish("", queue, b"x")

        def confirmed(channel, method):
            self.assertIsInstance(method, pika.spec.Basic.Ack)
            first = got[-1] + 1 if got else 1
            got.extend(range(first, method.delivery_tag + 1) if method.multiple else [method.delivery_tag])
            if len(got) == counted:
                channel.connection.close()

        connection = pika.SelectConnection(
            pika.ConnectionParameters(host, port), on_open_callback=lambda c: c.channel(on_open_callback=opened),
            on_close_callback=lambda c, _: c.ioloop.stop())
        connection.ioloop.call_later(30, connection.ioloop.stop)
        connection.ioloop.start()
        self.assertEqual(sorted(got), list(range(1, counted + 1)))
        self.assertEqual(self.ready(self.channel(), queue), counted)

    def test_mandatory(self):
        channel = self.channel(confirms=True)
        queue = self.queue(channel)
        with self.assertRaises(pika.exceptions.UnroutableError) as caught:
            self.publish(channel, "nowhere", "lost", mandatory=True, message_id="m1", headers={"a": 1})
        (returned,) = caught.exception.messages
        self.assertEqual((returned.method.reply_code, returned.method.reply_text, returned.method.exchange,
                          returned.method.routing_key), (312, "NO_ROUTE", "", "nowhere"))
        self.assertEqual((returned.properties.message_id, returned.properties.headers, returned.body), ("m1", {"a": 1}, b"lost"))
        self.publish(channel, queue, "found", mandatory=True)
        self.publish(channel, "nowhere", "dropped, and confirmed")
        self.assertEqual(self.get_all(channel, queue, 1), ["found"])

    def test_mandatory_without_confirms(self):
        channel, returned = self.channel(), []
        channel.add_on_return_callback(lambda _, *message: returned.append(message))
        self.publish(channel, "nowhere", "x" * 200_000, mandatory=True)
        self.pump(channel, lambda: returned, "the message comes back")
        self.assertEqual(returned[0][2], b"x" * 200_000)

    def test_what_comes_back_comes_before_later_answers(self):
        channel, returned = self.channel(), []
        channel.add_on_return_callback(lambda _, *message: returned.append(message))
        self.publish(channel, "nowhere", "x", mandatory=True)
        channel.confirm_delivery()
        channel.connection.process_data_events(0)
        self.assertEqual(len(returned), 1)

    def test_errors_leave_the_connection(self):
        connection = self.connect()
        channel = connection.channel()
        channel.confirm_delivery()
        self.assert_closes(404, "NOT_FOUND - no exchange 'nowhere' in vhost '/'",
                           channel.basic_publish, "nowhere", "k", b"x")
        # The same number again.
        channel = connection.channel(channel.channel_number)
        channel.confirm_delivery()
        self.publish(channel, self.queue(channel), "good")

    def test_immediate_is_not_there(self):
        channel = self.channel()
        immediate = pika.spec.Basic.Publish(exchange="", routing_key="q", immediate=True)
        channel._impl._send_method(immediate, (pika.BasicProperties(), b"x"))  # pylint: disable=protected-access
        self.assert_connection_closes(540, "NOT_IMPLEMENTED - immediate=true", channel.connection.process_data_events, 10)

    def test_properties(self):
        channel = self.channel(confirms=True)
        queue = self.queue(channel)
        given = {"content_type": "text/plain", "content_encoding": "utf-8", "headers": TABLE, "delivery_mode": 1, "priority": 9,
                 "correlation_id": "c-1", "reply_to": "somewhere", "expiration": "60000", "message_id": "m-1",
                 "timestamp": 1_900_000_000, "type": "kind", "user_id": "guest", "app_id": "app", "cluster_id": "cl"}
        self.publish(channel, queue, "with all", **given)
        _, properties, body = self.get(channel, queue)
        self.assertEqual((properties.__dict__, body), (given, b"with all"))
        self.publish(channel, queue, "with none")
        self.assertEqual(self.get(channel, queue)[1], pika.BasicProperties())
        self.publish(channel, queue, "mode 2", delivery_mode=2, headers={})
        self.assertEqual(self.get(channel, queue)[1], pika.BasicProperties(delivery_mode=2, headers={}))

    def test_user_id_is_checked(self):
        connection = self.connect()
        queue = self.queue(connection.channel())
        self.assert_closes(406, "PRECONDITION_FAILED - user_id property set to 'other' but authenticated user was 'guest'",
                           self.publish_confirmed, connection, queue, user_id="other")
        self.assert_closes(406, "PRECONDITION_FAILED - invalid expiration 'soon': no_integer",
                           self.publish_confirmed, connection, queue, expiration="soon")

    def publish_confirmed(self, connection, queue, **properties):
        channel = connection.channel()
        channel.confirm_delivery()
        self.publish(channel, queue, "x", **properties)

    def test_bodies(self):
        channel = self.channel(confirms=True)
        queue = self.queue(channel)
        # Empty, around the size of a frame, which is negotiated as 131072, and large.
        sizes = [0, 1, 131_072 - 9, 131_072 - 8, 131_072 - 7, 131_072, 1 << 20, 5_000_000]
        bodies = [os.urandom(size) for size in sizes]
        self.publish(channel, queue, *bodies)
        for body in bodies:
            self.assertEqual(self.get(channel, queue)[2], body)

    def test_bodies_in_small_frames(self):
        channel = self.channel(confirms=True, frame_max=4096)
        queue = self.queue(channel)
        bodies = [os.urandom(size) for size in (4087, 4088, 4089, 8176, 1 << 20)]
        self.publish(channel, queue, *bodies)
        got = []
        self.collect(channel, queue, got, auto_ack=True)
        self.pump(channel, lambda: len(got) == len(bodies), "all bodies")
        self.assertEqual([body for _, _, body in got], bodies)

    def test_carbon_copies(self):
        channel = self.channel(confirms=True)
        first, second, third = (self.queue(channel) for _ in range(3))
        self.publish(channel, first, "x", headers={"CC": [second], "BCC": [third], "h": 1})
        for queue in (first, second, third):
            _, properties, body = self.get(channel, queue)
            self.assertEqual((properties.headers, body), ({"CC": [second], "h": 1}, b"x"))

    def test_transactions(self):
        channel, other = self.channel(), self.channel()
        first, second = self.queue(channel), self.queue(channel)
        channel.tx_select()
        self.publish(channel, first, "1", "2")
        self.publish(channel, second, "3")
        self.settle_down(other)
        self.assertEqual((self.ready(other, first), self.ready(other, second)), (0, 0))
        channel.tx_commit()
        self.assertEqual((self.ready(other, first), self.ready(other, second)), (2, 1))
        self.publish(channel, first, "dropped")
        channel.tx_rollback()
        channel.tx_commit()
        self.assertEqual(self.get_all(other, first, 2), ["1", "2"])
        self.assertEqual(self.ready(other, first), 0)

    def test_transactions_settle(self):
        channel = self.channel()
        queue, target = self.queue(channel), self.queue(channel)
        self.publish(channel, queue, "1", "2")
        channel.tx_select()
        method, _, body = self.get(channel, queue, auto_ack=False)
        channel.basic_ack(method.delivery_tag)
        self.publish(channel, target, body)
        channel.tx_rollback()
        # The acknowledgement is undone: the message is still held, and may be acknowledged again.
        channel.basic_ack(method.delivery_tag)
        self.publish(channel, target, body)
        channel.tx_commit()
        channel.connection.close()
        other = self.channel()
        self.assertEqual(self.get_all(other, queue, 1), ["2"])
        self.assertEqual(self.get_all(other, target, 1), ["1"])
        self.assertEqual((self.ready(other, queue), self.ready(other, target)), (0, 0))

    def test_tx_and_confirms_exclude_each_other(self):
        connection = self.connect()
        channel = connection.channel()
        channel.tx_select()
        self.assert_closes(406, "PRECONDITION_FAILED - cannot switch from tx to confirm mode", channel.confirm_delivery)
        channel = connection.channel()
        channel.confirm_delivery()
        self.assert_closes(406, "PRECONDITION_FAILED - cannot switch from confirm to tx mode", channel.tx_select)
        self.assert_closes(406, "PRECONDITION_FAILED - channel is not transactional", connection.channel().tx_commit)


@amqp_broker.needs_cluster
class Ours(PikaTest):
    """What RabbitMQ has as a plugin, or not at all."""

    def test_delayed_messages(self):
        channel = self.channel(confirms=True)
        exchange = self.exchange(channel, "x-delayed-message", arguments={"x-delayed-type": "direct"})
        queue = self.queue(channel)
        channel.queue_bind(queue, exchange, "k")
        self.publish(channel, "k", "late", exchange=exchange, headers={"x-delay": 1000})
        self.publish(channel, "k", "soon", exchange=exchange)
        self.assertEqual(self.get_all(channel, queue, 1), ["soon"])
        self.settle_down(channel)
        self.assertEqual(self.ready(channel, queue), 0)
        self.assertEqual(self.get_all(channel, queue, 1), ["late"])

    def test_exactly_once(self):
        producer = self.name("producer")
        channel = self.channel(confirms=True)
        queue = self.queue(channel)
        for node in (1, 2, 3):
            again = self.channel(node, confirms=True)
            for sequence in (1, 2, 3):
                self.publish(again, queue, str(sequence),
                             headers={"x-holdfast-producer": producer, "x-holdfast-sequence": sequence})
        self.assertEqual(self.ready(channel, queue), 3)
        self.assertEqual(self.get_all(channel, queue, 3), ["1", "2", "3"])

    def test_streams_are_refused(self):
        with self.assertRaises((pika.exceptions.ChannelClosedByBroker, pika.exceptions.ConnectionClosedByBroker)) as caught:
            self.channel().queue_declare(self.name(), durable=True, arguments={"x-queue-type": "stream"})
        self.assertIn(caught.exception.reply_code, (406, 540))
        self.assertIn("stream", caught.exception.reply_text)


if __name__ == "__main__":
    amqp_broker.main()
