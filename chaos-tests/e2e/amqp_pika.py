"""pika, as people use it: one connection or several, and what a test asks of them again and again."""

import time

import amqp_broker

pika = amqp_broker.need_module("pika", "python3-pika")
PERSISTENT = pika.BasicProperties(delivery_mode=2)


class PikaTest(amqp_broker.AmqpTest):
    def connect(self, node=1, **parameters):
        host, port = self.address(node)
        connection = pika.BlockingConnection(pika.ConnectionParameters(host, port, **parameters))
        self.addCleanup(self.close, connection)
        return connection

    @staticmethod
    def close(connection):
        if connection.is_open:
            connection.close()

    def channel(self, node=1, confirms=False, **parameters):
        """A channel of a connection of its own."""
        channel = self.connect(node, **parameters).channel()
        if confirms:
            channel.confirm_delivery()
        return channel

    def queue(self, channel, name=None, arguments=None, **options):
        """Declares a queue, which is deleted with the test."""
        name = channel.queue_declare(self.name() if name is None else name, arguments=arguments, **options).method.queue
        if not options.get("exclusive") and not options.get("passive"):
            self.addCleanup(self.remove_queue, name)
        return name

    def exchange(self, channel, kind, arguments=None, **options):
        name = self.name("x")
        channel.exchange_declare(name, kind, arguments=arguments, **options)
        self.addCleanup(self.remove_exchange, name)
        return name

    def remove_queue(self, name):
        self.channel().queue_delete(name)

    def remove_exchange(self, name):
        self.channel().exchange_delete(name)

    def publish(self, channel, queue, *bodies, exchange="", mandatory=False, **properties):
        for body in bodies:
            channel.basic_publish(exchange, queue, body, pika.BasicProperties(**properties), mandatory=mandatory)

    def get(self, channel, queue, seconds=15.0, auto_ack=True):
        """(method, properties, body) of the next message, which comes within so long."""
        end = time.monotonic() + seconds
        while True:
            got = channel.basic_get(queue, auto_ack=auto_ack)
            if got[0] is not None:
                return got
            self.assertLess(time.monotonic(), end, f"no message in {queue} within {seconds} s")
            channel.connection.sleep(0.02)

    def get_all(self, channel, queue, count):
        return [self.get(channel, queue)[2].decode() for _ in range(count)]

    def ready(self, channel, queue):
        return channel.queue_declare(queue, passive=True).method.message_count

    def consumers(self, channel, queue):
        return channel.queue_declare(queue, passive=True).method.consumer_count

    def wait_ready(self, channel, queue, count, seconds=15.0):
        amqp_broker.wait_for(f"{count} messages in {queue}", lambda: self.ready(channel, queue) == count, seconds)

    def collect(self, channel, queue, into, **options):
        """Consumes into a list, of (method, properties, body); returns the tag."""
        return channel.basic_consume(queue, lambda _, *message: into.append(message), **options)

    def pump(self, channel, condition, what, seconds=15.0):
        """Lets the connection work until something is so."""
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, f"{what}: not within {seconds:.0f} s")
            channel.connection.process_data_events(time_limit=0.05)

    def settle_down(self, channel, seconds=0.3):
        """Whatever comes by itself has come: for what must not."""
        channel.connection.sleep(seconds)

    def assert_closes(self, code, words, call, *arguments, **options):
        """The call closes its channel, with this code and text; the connection stays."""
        with self.assertRaises(pika.exceptions.ChannelClosedByBroker) as caught:
            call(*arguments, **options)
        self.assertEqual((caught.exception.reply_code, caught.exception.reply_text), (code, words))

    def assert_connection_closes(self, code, words, call, *arguments, **options):
        with self.assertRaises(pika.exceptions.ConnectionClosedByBroker) as caught:
            call(*arguments, **options)
        self.assertEqual(caught.exception.reply_code, code)
        self.assertIn(words, caught.exception.reply_text)
