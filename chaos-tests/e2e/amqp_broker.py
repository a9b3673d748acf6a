"""What the tests with AMQP clients share: where the broker is, names that nobody else has, and the command lines of clients.

A file of tests has one cluster of three nodes. With AMQP_BROKER (host:port, several separated by commas) the tests that
ask nothing of a cluster use that broker instead: they pass with RabbitMQ as well, so what they expect is what it does."""

import os
import shutil
import socket
import subprocess
import sys
import unittest
import uuid

import harness

HERE = os.path.dirname(os.path.realpath(__file__))
OTHER = os.environ.get("AMQP_BROKER", "")


def need(what, found, package):
    """Ends the program when a client is missing: a test that cannot be made has failed."""
    if not found:
        sys.exit(f"error: {what} is not there: this test needs the package {package} (ops/lib/dependencies.sh installs it)")


def need_module(name, package):
    try:
        return __import__(name)
    except ImportError as e:
        return need(f"Python's module {name} ({e})", False, package)


def need_program(name, package):
    path = shutil.which(name)
    need(f"the program {name}", path, package)
    return path


def split(address):
    host, port = address.rsplit(":", 1)
    return host, int(port)


def wait_for(what, condition, seconds=15.0, pause=0.02):
    return harness.wait_for(what, condition, seconds, pause)


class AmqpTest(unittest.TestCase):
    """Tests that need a broker at self.address(node)."""

    cluster = None
    nodes = 3
    config = ""

    @classmethod
    def setUpClass(cls):
        if OTHER:
            cls.addresses = OTHER.split(",")
            return
        cls.cluster = harness.Cluster(cls.nodes, cls.config)
        cls.addClassCleanup(cls.cluster.close)
        cls.addresses = cls.cluster.ops("hosts", "amqp").split(",")

    def address(self, node=1):
        return split(self.addresses[(node - 1) % len(self.addresses)])

    def url(self, node=1, vhost="%2F"):
        host, port = self.address(node)
        return f"amqp://guest:guest@{host}:{port}/{vhost}"

    def name(self, what="q"):
        """A name that only this test has, this time."""
        return f"{what}-{self.id().rsplit('.', 1)[-1]}-{uuid.uuid4().hex[:8]}"

    def run_client(self, *command, seconds=120, **environment):
        """Runs a client's program to its end, which has to be good; what it prints."""
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", timeout=seconds, check=False, env=dict(os.environ, **environment))
        self.assertEqual(done.returncode, 0, f"{command[0]}: exit {done.returncode}\n{done.stdout}")
        return done.stdout

    def check_said(self, text, names):
        """A client's program says `ok NAME` for each thing that it has done, in any order, and nothing else is missing."""
        said = [line.split()[1] for line in text.splitlines() if line.startswith("ok ")]
        self.assertEqual(sorted(said), sorted(names), text)


def free_address():
    """An address at which nobody listens."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return "%s:%d" % s.getsockname()


def needs_cluster(test):
    """For tests that kill nodes, or ask what only Holdfast promises."""
    return unittest.skipIf(OTHER, "asks for a cluster of Holdfast")(test)


def main():
    if OTHER:
        unittest.main(verbosity=2)
    else:
        harness.main()
