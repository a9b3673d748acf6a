"""A Celery application: late acknowledgements, retries, countdown and eta, revoke, ping, purge, and the loss of a worker and of a node."""

import datetime
import os
import signal
import subprocess
import sys
import tempfile
import time

import amqp_broker

amqp_broker.need_module("celery", "python3-celery")


class Celery(amqp_broker.AmqpTest):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory(prefix="holdfast-celery-")
        self.addCleanup(self.directory.cleanup)
        self.notes = os.path.join(self.directory.name, "notes")
        self.environment = {"CELERY_BROKER": ";".join(self.url(node, "/") for node in range(1, len(self.addresses) + 1)),
                            "CELERY_NOTES": self.notes, "CELERY_PREFIX": self.name("celery"), "PYTHONDONTWRITEBYTECODE": "1",
                            "PYTHONPATH": amqp_broker.HERE}
        self.app = self.load()
        self.workers = []

    def load(self):
        """The application in this process, anew for each test."""
        os.environ.update(self.environment)
        for module in [name for name in sys.modules if name == "amqp_celery_app"]:
            del sys.modules[module]
        import amqp_celery_app  # pylint: disable=import-outside-toplevel
        self.addCleanup(amqp_celery_app.app.close)
        return amqp_celery_app

    def start_worker(self, name="w", concurrency=2, broker=None):
        environment = dict(os.environ, **self.environment)
        if broker:
            environment["CELERY_BROKER"] = broker
        log = os.path.join(self.directory.name, f"{name}.log")
        with open(log, "wb") as out:
            worker = subprocess.Popen([sys.executable, "-m", "celery", "-A", "amqp_celery_app", "worker", "-n", f"{name}@here",
                                       "-c", str(concurrency), "--loglevel", "INFO", "--without-mingle"], stdin=subprocess.DEVNULL,
                                      stdout=out, stderr=out, env=environment, cwd=self.directory.name, start_new_session=True)
        self.addCleanup(self.kill_worker, worker)
        amqp_broker.wait_for(f"worker {name} is ready: {log}", lambda: self.said_ready(worker, log), 40)
        return worker

    def said_ready(self, worker, log):
        with open(log, encoding="utf-8", errors="replace") as f:
            text = f.read()
        if worker.poll() is not None:
            raise AssertionError(f"the worker has ended\n{text}")
        return " ready." in text

    @staticmethod
    def kill_worker(worker):
        """It and its children, without a word."""
        try:
            os.killpg(worker.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        worker.wait()

    def said(self, name=None):
        """[(time, words)] of the task with this name."""
        if not os.path.exists(self.notes):
            return []
        with open(self.notes, encoding="utf-8") as f:
            lines = [line.split() for line in f]
        return [(float(line[0]), line[2:]) for line in lines if name is None or line[1] == name]

    def wait_done(self, name, seconds=30.0):
        amqp_broker.wait_for(f"task {name} is done", lambda: [words for _, words in self.said(name) if words[0] == "done"], seconds,
                             0.05)
        return self.said(name)

    def test_day_of_work(self):
        self.start_worker()
        # Plain ones, all of them.
        for number in range(100):
            self.app.add.delay(f"add{number}", number, 1)
        for number in range(100):
            self.assertEqual(self.wait_done(f"add{number}")[0][1], ["done", str(number + 1)])
        # Retries.
        self.app.stubborn.delay("stubborn", 2)
        self.assertEqual([words for _, words in self.wait_done("stubborn")],
                         [["tried", "0"], ["tried", "1"], ["tried", "2"], ["done"]])
        # Countdown and eta.
        sent = time.time()
        self.app.add.apply_async(("countdown", 1, 1), countdown=1)
        self.app.add.apply_async(("eta", 1, 1), eta=datetime.datetime.utcnow() + datetime.timedelta(seconds=1))
        for name in ("countdown", "eta"):
            self.assertGreaterEqual(self.wait_done(name)[0][0] - sent, 0.9)
        # What Celery asks its workers, and tells them.
        control = self.app.app.control
        self.assertEqual(control.ping(timeout=5), [{"w@here": {"ok": "pong"}}])
        self.assertIn("amqp_celery_app.slow", control.inspect(timeout=5).registered()["w@here"])
        revoked = self.app.add.apply_async(("revoked", 1, 1), countdown=2)
        control.revoke(revoked.id)
        stopped = self.app.slow.delay("stopped", 30)
        amqp_broker.wait_for("it has begun", lambda: self.said("stopped"))
        control.revoke(stopped.id, terminate=True, signal="SIGKILL")
        time.sleep(3)
        self.assertEqual(self.said("revoked"), [])
        self.assertEqual(len(self.said("stopped")), 1)

    def test_purge(self):
        for number in range(50):
            self.app.add.delay(f"never{number}", 1, 1)
        with self.app.app.connection_for_write() as connection:
            self.assertEqual(self.app.app.control.purge(connection), 50)
        self.start_worker()
        self.app.add.delay("after", 1, 1)
        self.wait_done("after")
        self.assertEqual(len(self.said()), 1)

    def test_loss_of_a_worker(self):
        """What it had begun, and acknowledges late, another one does."""
        first = self.start_worker("first")
        self.app.slow.delay("carried-on", 3)
        amqp_broker.wait_for("it has begun", lambda: self.said("carried-on"))
        self.kill_worker(first)
        self.start_worker("second")
        words = [words[0] for _, words in self.wait_done("carried-on")]
        self.assertEqual(words, ["begun", "begun", "done"])

    def test_loss_of_a_child(self):
        """Celery itself notices; the task goes back to the queue."""
        self.start_worker()
        self.app.slow.delay("again", 2)
        amqp_broker.wait_for("it has begun", lambda: self.said("again"))
        os.kill(int(self.said("again")[0][1][1]), signal.SIGKILL)
        self.assertEqual([words[0] for _, words in self.wait_done("again")], ["begun", "begun", "done"])

    @amqp_broker.needs_cluster
    def test_loss_of_a_node(self):
        """The worker's node dies while it works and there is more to do: it goes on at another; nothing is lost."""
        urls = [self.url(node, "/") for node in (1, 2, 3)]
        self.start_worker(broker=";".join(urls))
        for number in range(20):
            self.app.slow.delay(f"node{number}", 0.4)
        amqp_broker.wait_for("some are done", lambda: len(self.said()) > 8)
        self.cluster.ops("kill", "1")
        for number in range(20, 30):
            self.app.slow.delay(f"node{number}", 0.1)
        for number in range(30):
            self.wait_done(f"node{number}", 60)
        self.cluster.ops("start", "1")


if __name__ == "__main__":
    amqp_broker.main()
