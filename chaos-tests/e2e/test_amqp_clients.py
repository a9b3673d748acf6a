"""Other people's clients, as Debian and npm have them, each in its own language: C, Ruby, JavaScript, Java, Python, shell."""

import os
import socket
import subprocess
import uuid

import amqp_broker
import harness

amqp = amqp_broker.need_module("amqp", "python3-amqp")
kombu = amqp_broker.need_module("kombu", "python3-kombu")

PROGRAMS = os.path.join(amqp_broker.HERE, "amqp")
NPM = os.path.join(harness.ROOT, "build", "npm", "node_modules")
JARS = [f"/usr/share/java/{jar}.jar" for jar in ("amqp-client", "slf4j-api", "slf4j-nop")]
# What each of the programs does.
COMMON = ["confirms_and_returns", "consume_ack_nack", "errors", "heartbeats"]
MORE = COMMON + ["routing", "properties_and_bodies", "dead_letters_and_priorities", "cancel_notification", "direct_reply_to"]


class Programs(amqp_broker.AmqpTest):
    def host_port_prefix(self, node):
        host, port = self.address(node)
        return host, str(port), self.name("e2e")

    def test_librabbitmq(self):
        program = os.path.join(harness.BIN, "amqp_rabbitmq_c")
        amqp_broker.need(program, os.access(program, os.X_OK), "librabbitmq-dev, and to be built with it")
        self.check_said(self.run_client(program, *self.host_port_prefix(1)), COMMON + ["properties", "big", "get_and_tx"])

    def test_bunny(self):
        ruby = amqp_broker.need_program("ruby", "ruby-bunny")
        amqp_broker.need("bunny", subprocess.run([ruby, "-e", "require 'bunny'"], check=False).returncode == 0, "ruby-bunny")
        said = self.run_client(ruby, os.path.join(PROGRAMS, "bunny.rb"), *self.host_port_prefix(2))
        self.check_said(said, MORE + ["transactions", "login_refused"])

    def test_amqplib(self):
        node = amqp_broker.need_program("node", "nodejs")
        amqp_broker.need(f"{NPM}/amqplib", os.path.isdir(f"{NPM}/amqplib"), "amqplib of npm")
        said = self.run_client(node, os.path.join(PROGRAMS, "amqplib.js"), self.url(3), self.name("e2e"), NODE_PATH=NPM)
        self.check_said(said, MORE)

    def test_java(self):
        java = amqp_broker.need_program("java", "default-jdk-headless")
        for jar in JARS:
            amqp_broker.need(jar, os.path.exists(jar), "librabbitmq-client-java")
        said = self.run_client(java, "-XX:TieredStopAtLevel=1", "-cp", ":".join(JARS),
                               os.path.join(PROGRAMS, "JavaClient.java"), *self.host_port_prefix(1))
        self.check_said(said, MORE + ["transactions", "login_refused"])


class Tools(amqp_broker.AmqpTest):
    """amqp-declare-queue and its like."""

    def tool(self, name, *arguments, stdin=None, node=1):
        program = amqp_broker.need_program(f"amqp-{name}", "amqp-tools")
        done = subprocess.run([program, f"--url={self.url(node, '%2f')}", *arguments], input=stdin, capture_output=True,
                              text=True, timeout=30, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_shell(self):
        queue = self.name()
        self.assertEqual(self.tool("declare-queue", "-q", queue), f"{queue}\n")
        for body in ("1", "2"):
            self.tool("publish", "-r", queue, "-b", body, "-p")
        self.assertEqual(self.tool("get", "-q", queue, node=2), "1")
        self.assertEqual(self.tool("consume", "-q", queue, "-c", "1", "cat", node=3), "2")
        self.tool("publish", "-r", queue, "-l", stdin="a\nb\n")
        self.assertEqual(self.tool("consume", "-q", queue, "-c", "2", "-p", "1", "cat"), "a\nb\n")
        self.tool("delete-queue", "-q", queue)


class PyAmqp(amqp_broker.AmqpTest):
    def connect(self, node=1, **options):
        host, port = self.address(node)
        connection = amqp.Connection(f"{host}:{port}", **options)
        connection.connect()
        self.addCleanup(connection.close)
        return connection

    def test_confirms_and_consume(self):
        connection = self.connect(confirm_publish=True)
        channel, got = connection.channel(), []
        queue = channel.queue_declare(self.name(), durable=True, auto_delete=False).queue
        headers = {"f": 0.5, "n": -(1 << 40), "l": [1, [2, {"k": None}]], "t": {"deep": {"er": True}}}
        channel.basic_publish_confirm(amqp.Message("body", application_headers=headers, priority=3), routing_key=queue)
        channel.basic_qos(0, 1, False)
        tag = channel.basic_consume(queue, callback=got.append)
        connection.drain_events(timeout=15)
        self.assertEqual((got[0].body, got[0].headers, got[0].properties["priority"]), ("body", headers, 3))
        channel.basic_ack(got[0].delivery_tag)
        channel.basic_cancel(tag)
        self.assertEqual(channel.queue_delete(queue), 0)

    def test_errors_and_channels(self):
        connection = self.connect()
        channel = connection.channel()
        with self.assertRaises(amqp.NotFound) as caught:
            channel.queue_declare(self.name(), passive=True)
        self.assertEqual((caught.exception.code, caught.exception.method_name), (404, "Queue.declare"))
        queue = connection.channel().queue_declare(exclusive=True).queue
        with self.assertRaises(amqp.PreconditionFailed) as caught:
            connection.channel().queue_declare(queue="", exclusive=True, arguments={"x-max-priority": -1})
        self.assertEqual(caught.exception.method_name, "Queue.declare")
        self.assertEqual(connection.channel().queue_declare(queue, passive=True).message_count, 0)

    def test_amqplain(self):
        connection = self.connect(login_method="AMQPLAIN")
        self.assertTrue(connection.server_properties["capabilities"]["publisher_confirms"])

    def test_heartbeats(self):
        connection = self.connect(heartbeat=2)
        self.assertEqual(connection.heartbeat, 2)
        for _ in range(20):
            try:
                connection.drain_events(timeout=0.25)
            except socket.timeout:
                connection.heartbeat_tick()
        self.assertEqual(connection.channel().queue_declare(exclusive=True).message_count, 0)


class Kombu(amqp_broker.AmqpTest):
    def test_producer_and_consumer(self):
        exchange = kombu.Exchange(self.name("x"), "topic", durable=True)
        queue = kombu.Queue(self.name(), exchange, routing_key="task.#", max_priority=3, message_ttl=60.0)
        got = []
        with kombu.Connection(self.url(1)) as here, kombu.Connection(self.url(2)) as there:
            producer = here.Producer(serializer="json")
            for number in range(20):
                producer.publish({"number": number}, exchange=exchange, routing_key="task.run", declare=[queue], retry=True,
                                 compression="zlib", headers={"n": number})
            consumer = there.Consumer([queue], prefetch_count=5,
                                      callbacks=[lambda body, message: (got.append(body["number"]), message.ack())])
            with consumer:
                while len(got) < 20:
                    there.drain_events(timeout=15)
            queue(there.channel()).delete()
            exchange(there.channel()).delete()
        self.assertEqual(got, list(range(20)))

    def test_failover(self):
        """A list of nodes, of which the first is not there."""
        with kombu.Connection(f"amqp://{amqp_broker.free_address()}//;{self.url(2)}") as connection:
            connection.ensure_connection(max_retries=3, interval_start=0)
            with connection.SimpleQueue(self.name()) as queue:
                queue.put({"id": uuid.uuid4().hex})
                queue.get(timeout=15).ack()
            queue.queue(connection.channel()).delete()


if __name__ == "__main__":
    amqp_broker.main()
