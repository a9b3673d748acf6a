"""pika: queues, exchanges and bindings, with the answers and errors that RabbitMQ gives."""

import amqp_broker
from amqp_pika import PikaTest, pika


class Queues(PikaTest):
    def test_declare_tells_what_there_is(self):
        channel = self.channel(confirms=True)
        queue = self.queue(channel, durable=True)
        self.publish(channel, queue, "1", "2")
        channel.basic_consume(queue, lambda *_: None, consumer_tag="held", auto_ack=False)
        self.pump(channel, lambda: self.consumers(channel, queue) == 1, "the consumer counts")
        channel.basic_cancel("held")
        channel.basic_recover(requeue=True)
        self.wait_ready(channel, queue, 2)
        self.assertEqual(channel.queue_declare(queue, durable=True).method.message_count, 2)
        self.assertEqual(channel.queue_purge(queue).method.message_count, 2)
        self.publish(channel, queue, "3")
        self.assertEqual(channel.queue_delete(queue).method.message_count, 1)
        self.assert_closes(404, f"NOT_FOUND - no queue '{queue}' in vhost '/'", channel.queue_declare, queue, passive=True)

    def test_deleting_what_is_not_there_is_no_error(self):
        channel = self.channel()
        self.assertEqual(channel.queue_delete(self.name()).method.message_count, 0)
        channel.exchange_delete(self.name("x"))

    def test_if_unused_and_if_empty(self):
        channel = self.channel(confirms=True)
        queue = self.queue(channel)
        self.publish(channel, queue, "1")
        self.assert_closes(406, f"PRECONDITION_FAILED - queue '{queue}' in vhost '/' not empty",
                           channel.queue_delete, queue, if_empty=True)
        channel = self.channel()
        channel.basic_get(queue)
        self.assertEqual(channel.queue_delete(queue, if_empty=True).method.message_count, 0, "what is out is not asked about")
        queue = self.queue(channel)
        channel.basic_consume(queue, lambda *_: None)
        self.assert_closes(406, f"PRECONDITION_FAILED - queue '{queue}' in vhost '/' in use",
                           channel.connection.channel().queue_delete, queue, if_unused=True)

    def test_server_named(self):
        channel = self.channel()
        first = self.queue(channel, "", exclusive=True)
        second = self.queue(channel, "", exclusive=True)
        self.assertRegex(first, r"^amq\.gen-[A-Za-z0-9_-]{22}$")
        self.assertNotEqual(first, second)
        # The empty name is the queue that was declared last on the channel.
        self.publish(channel, second, "x")
        self.assertEqual(self.get(channel, "")[2], b"x")
        self.assert_closes(404, "NOT_FOUND - no previously declared queue",
                           channel.connection.channel().basic_get, "")

    def test_reserved_names(self):
        connection = self.connect()
        self.assert_closes(403, "ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'",
                           connection.channel().queue_declare, "amq.mine")
        self.assert_closes(403, "ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'",
                           connection.channel().exchange_declare, "amq.mine", "direct")
        self.assert_closes(403, "ACCESS_REFUSED - operation not permitted on the default exchange",
                           connection.channel().queue_bind, self.queue(connection.channel()), "")
        connection.channel().exchange_declare("amq.fanout", "fanout", durable=True)

    def test_exclusive(self):
        first, second = self.connect(1), self.connect(2)
        queue = self.queue(first.channel(), exclusive=True)
        for attempt in (lambda c: c.queue_declare(queue, passive=True), lambda c: c.basic_get(queue),
                        lambda c: c.basic_consume(queue, lambda *_: None), lambda c: c.queue_delete(queue),
                        lambda c: c.queue_purge(queue), lambda c: c.queue_bind(queue, "amq.direct", "k")):
            self.assert_closes(405, f"RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{queue}' in vhost "
                                    "'/'. It could be originally declared on another connection or the exclusive property "
                                    "value does not match that of the original declaration.", attempt, second.channel())
        first.close()
        amqp_broker.wait_for("an exclusive queue goes with its connection", lambda: self.is_gone(second, queue))

    def is_gone(self, connection, queue):
        try:
            connection.channel().queue_declare(queue, passive=True)
        except pika.exceptions.ChannelClosedByBroker as e:
            return e.reply_code == 404
        return False

    def test_auto_delete(self):
        connection = self.connect()
        channel = connection.channel()
        queue = self.queue(channel, auto_delete=True)
        self.assertFalse(self.is_gone(connection, queue), "it waits for its first consumer")
        tags = [channel.basic_consume(queue, lambda *_: None) for _ in range(2)]
        channel.basic_cancel(tags[0])
        self.assertFalse(self.is_gone(connection, queue))
        channel.basic_cancel(tags[1])
        amqp_broker.wait_for("it goes with its last consumer", lambda: self.is_gone(connection, queue))

    def test_inequivalent_arguments(self):
        connection = self.connect()
        queue = self.queue(connection.channel(), arguments={"x-message-ttl": 1000})
        words = f"for queue '{queue}' in vhost '/':"
        self.assert_closes(406, f"PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' {words} received '2000' but current is "
                                "'1000'",
                           connection.channel().queue_declare, queue, arguments={"x-message-ttl": 2000})
        self.assert_closes(406, f"PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' {words} received none but current is the "
                                "value '1000' of type 'signedint'",
                           connection.channel().queue_declare, queue)
        self.assert_closes(406, f"PRECONDITION_FAILED - inequivalent arg 'auto_delete' {words} received 'true' but current is 'false'",
                           connection.channel().queue_declare, queue, auto_delete=True, arguments={"x-message-ttl": 1000})
        connection.channel().queue_declare(queue, arguments={"x-message-ttl": 1000})

    def test_arguments_that_make_no_sense(self):
        connection = self.connect()
        for arguments, argument in (({"x-message-ttl": -1}, "x-message-ttl"), ({"x-expires": 0}, "x-expires"),
                                    ({"x-max-length": "many"}, "x-max-length"), ({"x-max-priority": 256}, "x-max-priority"),
                                    ({"x-overflow": "what"}, "x-overflow"), ({"x-queue-type": "what"}, "x-queue-type"),
                                    ({"x-dead-letter-routing-key": "k"}, "x-dead-letter-routing-key")):
            with self.subTest(arguments), self.assertRaises(pika.exceptions.ChannelClosedByBroker) as caught:
                connection.channel().queue_declare(self.name(), arguments=arguments)
            self.assertEqual(caught.exception.reply_code, 406)
            self.assertIn(argument.replace("x-queue-type", "queue"), caught.exception.reply_text)

    def test_expires(self):
        connection = self.connect()
        queue = self.queue(connection.channel(), arguments={"x-expires": 500})
        connection.sleep(1.5)
        self.assertTrue(self.is_gone(connection, queue))

    def test_length_limit(self):
        channel = self.channel(confirms=True)
        queue = self.queue(channel, arguments={"x-max-length": 2})
        self.publish(channel, queue, *"1234")
        self.assertEqual(self.get_all(channel, queue, 2), ["3", "4"])
        queue = self.queue(channel, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
        self.publish(channel, queue, "1")
        with self.assertRaises(pika.exceptions.NackError):
            self.publish(channel, queue, "2")
        self.assertEqual(self.get_all(channel, queue, 1), ["1"])

    def test_queue_types(self):
        channel = self.channel(confirms=True)
        for kind in ("classic", "quorum"):
            queue = self.queue(channel, durable=True, arguments={"x-queue-type": kind})
            self.publish(channel, queue, kind)
            self.assertEqual(self.get_all(channel, queue, 1), [kind])


class Exchanges(PikaTest):
    def routed(self, channel, exchange, bindings, published, kind_of_publish=None):
        """Binds a queue by each of `bindings`, publishes, and returns what each queue got."""
        queues = []
        for binding in bindings:
            queue = self.queue(channel, exclusive=True)
            if isinstance(binding, dict):
                channel.queue_bind(queue, exchange, "", arguments=binding)
            else:
                channel.queue_bind(queue, exchange, binding)
            queues.append(queue)
        for number, one in enumerate(published):
            headers, key = (one, "") if isinstance(one, dict) else (None, one)
            channel.basic_publish(exchange, key, str(number), pika.BasicProperties(headers=headers))
        return ["".join(self.get_all(channel, queue, self.ready(channel, queue))) for queue in queues]

    def test_direct(self):
        channel = self.channel(confirms=True)
        self.assertEqual(self.routed(channel, self.exchange(channel, "direct"), ["a", "b"], ["a", "b", "c", "a"]), ["03", "1"])

    def test_fanout(self):
        channel = self.channel(confirms=True)
        self.assertEqual(self.routed(channel, self.exchange(channel, "fanout"), ["a", ""], ["x", ""]), ["01", "01"])

    def test_topic(self):
        channel = self.channel(confirms=True)
        got = self.routed(channel, self.exchange(channel, "topic"), ["*.orange.*", "lazy.#", "#", "a.*.#.z"],
                          ["quick.orange.rabbit", "lazy.orange.elephant", "lazy", "a.b.c.z", "a.z", "orange"])
        self.assertEqual(got, ["01", "12", "012345", "3"])

    def test_headers(self):
        channel = self.channel(confirms=True)
        got = self.routed(channel, self.exchange(channel, "headers"),
                          [{"x-match": "all", "a": 1, "b": "x"}, {"x-match": "any", "a": 1, "b": "x"}, {"a": 2}],
                          [{"a": 1}, {"a": 1, "b": "x"}, {"a": 2, "c": True}, {"b": "y"}])
        self.assertEqual(got, ["1", "01", "2"])

    def test_unbind(self):
        channel = self.channel(confirms=True)
        exchange, queue = self.exchange(channel, "direct"), self.queue(channel)
        channel.queue_bind(queue, exchange, "k")
        channel.queue_bind(queue, exchange, "k")
        self.publish(channel, "k", "1", exchange=exchange)
        channel.queue_unbind(queue, exchange, "k")
        channel.queue_unbind(queue, exchange, "k")
        self.publish(channel, "k", "2", exchange=exchange)
        self.assertEqual(self.get_all(channel, queue, 1), ["1"])
        self.assertEqual(self.ready(channel, queue), 0)

    def test_exchange_to_exchange(self):
        channel = self.channel(confirms=True)
        first, second, queue = self.exchange(channel, "topic"), self.exchange(channel, "fanout", internal=True), self.queue(channel)
        channel.exchange_bind(second, first, "a.#")
        channel.queue_bind(queue, second)
        self.publish(channel, "a.b", "1", exchange=first)
        self.publish(channel, "b", "2", exchange=first)
        channel.exchange_unbind(second, first, "a.#")
        self.publish(channel, "a.b", "3", exchange=first)
        self.assertEqual(self.get_all(channel, queue, 1), ["1"])
        self.assertEqual(self.ready(channel, queue), 0)
        self.assert_closes(403, f"ACCESS_REFUSED - cannot publish to internal exchange '{second}' in vhost '/'",
                           self.publish, channel, "", "4", exchange=second)

    def test_alternate_exchange(self):
        channel = self.channel(confirms=True)
        other, queue = self.exchange(channel, "fanout"), self.queue(channel)
        channel.queue_bind(queue, other)
        exchange = self.exchange(channel, "direct", arguments={"alternate-exchange": other})
        self.publish(channel, "nowhere", "1", exchange=exchange, mandatory=True)
        self.assertEqual(self.get_all(channel, queue, 1), ["1"])

    def test_auto_delete_and_if_unused(self):
        connection = self.connect()
        channel = connection.channel()
        exchange, queue = self.exchange(channel, "fanout", auto_delete=True), self.queue(channel)
        channel.queue_bind(queue, exchange)
        self.assert_closes(406, f"PRECONDITION_FAILED - exchange '{exchange}' in vhost '/' in use",
                           connection.channel().exchange_delete, exchange, if_unused=True)
        channel.queue_unbind(queue, exchange)
        self.assert_closes(404, f"NOT_FOUND - no exchange '{exchange}' in vhost '/'",
                           connection.channel().exchange_declare, exchange, "fanout", passive=True)

    def test_errors(self):
        connection = self.connect()
        exchange = self.exchange(connection.channel(), "direct")
        self.assert_closes(406, f"PRECONDITION_FAILED - inequivalent arg 'type' for exchange '{exchange}' in vhost '/': "
                                "received 'fanout' but current is 'direct'",
                           connection.channel().exchange_declare, exchange, "fanout")
        self.assert_closes(404, "NOT_FOUND - no exchange 'nowhere' in vhost '/'",
                           connection.channel().queue_bind, self.queue(connection.channel()), "nowhere", "k")
        self.assert_closes(404, "NOT_FOUND - no queue 'nowhere' in vhost '/'",
                           connection.channel().queue_bind, "nowhere", exchange, "k")
        self.assert_connection_closes(503, "COMMAND_INVALID - unknown exchange type 'bogus'",
                                      connection.channel().exchange_declare, self.name("x"), "bogus")


if __name__ == "__main__":
    amqp_broker.main()
