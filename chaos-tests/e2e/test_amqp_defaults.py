"""As people begin: `holdfastd --dev`, port 5672, guest/guest from loopback, and clients that are told nothing; in a network of its own,
where that port is free. And a disk that fills up: connection.blocked, and connection.unblocked when there is room again."""

import os
import shutil
import subprocess
import tempfile
import threading
import time
import unittest

import amqp_broker
import harness
import nodes

pika = amqp_broker.need_module("pika", "python3-pika")
DISK_MIB = 256
CONFIG = "segment_mib: 4\nreserve_mib: 16\ncheckpoint_mib: 4\nretain_mib: 64\ncache_mib: 4\ndisk_free_mib: 48\nlisten_amqp: 127.0.0.1:5672"


class Dev(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="holdfast-e2e-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        with open(os.path.join(self.directory, "log"), "wb") as log:
            self.daemon = subprocess.Popen([harness.HOLDFASTD, "--dev"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           cwd=self.directory, preexec_fn=nodes.die_with_parent)
        self.addCleanup(self.stop)
        amqp_broker.wait_for("holdfastd --dev serves", self.serves, 30, 0.1)

    def stop(self):
        self.daemon.terminate()
        self.daemon.wait()

    def serves(self):
        self.assertIsNone(self.daemon.poll(), "it has ended")
        try:
            pika.BlockingConnection().close()
        except pika.exceptions.AMQPError:
            return False
        return True

    def test_pika(self):
        """Line by line what the first tutorials have."""
        connection = pika.BlockingConnection(pika.ConnectionParameters("localhost"))
        channel = connection.channel()
        channel.queue_declare(queue="hello")
        channel.basic_publish(exchange="", routing_key="hello", body="Hello World!")
        got = []

        def callback(ch, method, properties, body):
            got.append(body)
            ch.stop_consuming()

        channel.basic_consume(queue="hello", on_message_callback=callback, auto_ack=True)
        channel.start_consuming()
        self.assertEqual(got, [b"Hello World!"])
        channel.exchange_declare(exchange="direct_logs", exchange_type="direct")
        queue = channel.queue_declare(queue="", exclusive=True).method.queue
        channel.queue_bind(exchange="direct_logs", queue=queue, routing_key="error")
        channel.basic_publish(exchange="direct_logs", routing_key="error", body="Run. Run. Or it will explode.")
        channel.basic_publish(exchange="direct_logs", routing_key="info", body="nothing")
        time.sleep(0.2)
        method, _, body = channel.basic_get(queue, auto_ack=True)
        self.assertEqual((body, method.message_count), (b"Run. Run. Or it will explode.", 0))
        connection.close()

    def test_tools(self):
        """amqp-tools without an address."""
        tool = amqp_broker.need_program("amqp-publish", "amqp-tools")
        subprocess.run(["amqp-declare-queue", "-q", "tools"], check=True, stdout=subprocess.DEVNULL, timeout=30)
        subprocess.run([tool, "-r", "tools", "-b", "x"], check=True, timeout=30)
        self.assertEqual(subprocess.run(["amqp-get", "-q", "tools"], check=True, capture_output=True, timeout=30).stdout, b"x")


class Blocked(nodes.NodesTest):
    """A publisher is told that its messages are not taken, and why; they are confirmed when there is room."""

    def setUp(self):
        self.cluster = nodes.Nodes(1, CONFIG)
        self.addCleanup(self.cluster.close)
        nodes.run("mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "none", self.cluster.data(1))
        self.addCleanup(nodes.run, "umount", "--lazy", self.cluster.data(1))
        self.cluster.start_all()

    def test_blocked(self):
        connection = amqp_broker.wait_for("the node serves", self.connect, 30, 0.1)
        self.addCleanup(lambda: connection.is_open and connection.close())
        told = []
        connection.add_on_connection_blocked_callback(lambda _, frame: told.append(frame.method.reason))
        connection.add_on_connection_unblocked_callback(lambda _, frame: told.append("unblocked"))
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("q")
        channel.basic_publish("", "q", b"1")
        filler = os.path.join(self.cluster.data(1), "filler")
        free = shutil.disk_usage(self.cluster.data(1)).free
        with open(filler, "wb") as f:
            f.write(bytes(free - (20 << 20)))
        amqp_broker.wait_for("messages are refused", lambda: self.cluster.refusing(1), 30)
        self.wait_told(connection, told, 1)
        self.assertTrue(told[0], "it is told why")
        # What needs no room goes on.
        self.assertEqual(channel.queue_declare("q", passive=True).method.message_count, 1)
        plain = connection.channel()
        plain.queue_declare("order")
        for number in range(300):
            plain.basic_publish("", "order", str(number))
        timer = threading.Timer(2, os.remove, [filler])
        timer.start()
        began = time.monotonic()
        channel.basic_publish("", "q", b"2")
        self.assertGreater(time.monotonic() - began, 1, "it is confirmed when there is room, not before")
        self.wait_told(connection, told, 2)
        self.assertEqual(told[1], "unblocked")
        self.assertEqual([channel.basic_get("q", auto_ack=True)[2] for _ in range(2)], [b"1", b"2"])
        self.assertEqual([int(channel.basic_get("order", auto_ack=True)[2]) for _ in range(300)], [*range(300)])

    @staticmethod
    def connect():
        try:
            return pika.BlockingConnection(pika.ConnectionParameters("localhost"))
        except pika.exceptions.AMQPError:
            return None

    def wait_told(self, connection, told, count):
        end = time.monotonic() + 30
        while len(told) < count:
            self.assertLess(time.monotonic(), end, f"the client is told ({told})")
            connection.process_data_events(0.1)


if __name__ == "__main__":
    nodes.enter_namespaces("mount", "net")
    nodes.run("ip", "link", "set", "lo", "up")
    harness.main()
