"""A cluster that began under version 1 of the machine's rules is upgraded node by node, while it is used. HOLDFAST_OLD_BIN names
a directory with a holdfastd of such a version; without it new programs say to know no more (`machine_version: 1`)."""

import json
import os
import time
import unittest

import client
import features
import harness
import nodes

OLD = os.environ.get("HOLDFAST_OLD_BIN")


class Mixed(nodes.Nodes):
    """Nodes of which some are of the old version."""

    def __init__(self):
        super().__init__(config="checkpoint_mib: 1\nsegment_mib: 1")
        self.old = set(self.all())

    def write_config(self, node):
        path = super().write_config(node)
        if node in self.old and OLD is None:
            with open(path, "a", encoding="utf-8") as f:
                f.write("machine_version: 1\n")
        return path

    def start(self, node):
        new = harness.HOLDFASTD
        try:
            if node in self.old and OLD is not None:
                harness.HOLDFASTD = os.path.join(OLD, "holdfastd")
            super().start(node)
        finally:
            harness.HOLDFASTD = new

    def rules(self):
        """The version in force as each node says, as a set."""
        return {(self.info(node) or {}).get(11, [0])[0] for node in self.all()}

    def upgrade(self, node):
        self.kill(node)
        self.old.discard(node)
        self.start(node)
        harness.wait_for(f"node {node}", lambda: self.info(node) and self.info(node).get(3, [0])[0] > 0)


class Upgrade(nodes.NodesTest):
    def setUp(self):
        self.cluster = Mixed()
        self.addCleanup(self.cluster.close)
        self.cluster.start_all()

    def cli(self, *arguments, stdin="", check=True):
        done = self.cluster.holdfast(*arguments, stdin=stdin.encode(), check=check)
        done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
        return done

    def show(self, queue):
        return json.loads(self.cli("queue", "show", queue, "--interval", "0", "--json").stdout)

    def fetch(self, queue):
        return self.cli("consume", queue, "--fetch", "--count", "100", "--lines").stdout.splitlines()

    def refused_before(self):
        """What version 1 does not know is refused by nodes of the new version, with the reason, and nothing is done."""
        asked = [node for node in self.cluster.all() if OLD is None or node not in self.cluster.old]
        if not asked:
            return
        servers = self.cluster.hosts(*asked)
        for command in (("queue", "declare", "new", "--priority", "3"), ("exchange", "declare", "e"),
                        ("vhost", "create", "v"), ("publish", "q", "--ttl", "1s"), ("producer", "open", "p"),
                        ("consume", "q", "--fetch"), ("transact", "--publish", "q=x"), ("redrive", "q")):
            done = self.cli("--servers", servers, *command, stdin="x", check=False)
            self.assertEqual(done.returncode, 1, f"{command}: {done.stdout} {done.stderr}")
            self.assertIn("version", done.stderr, command)
        self.assertEqual(self.cli("queue", "declare", "new", check=True).returncode, 0)
        self.cli("queue", "delete", "new")

    def begin(self):
        """As somebody who has had version 1 for years."""
        self.cli("queue", "declare", "q")
        self.cli("publish", "q", "--lines", "--producer", "import", stdin="1\n2\n3\n4\n5\n")
        self.assertEqual(self.cli("consume", "q", "--lines", "--count", "1").stdout, "1\n")
        holder = features.Consumer([self.cluster.address(node) for node in self.cluster.all()]).attach()
        self.addCleanup(holder.drop)
        self.assertEqual(holder.consume("q", 1), 0)
        holder.wait_for(1)
        return holder

    def test_upgrade_node_by_node(self):
        holder = self.begin()
        self.refused_before()
        self.assertEqual(self.cluster.rules(), {1})
        for number, node in enumerate((1, 2, 3), 1):
            self.cluster.upgrade(node)
            self.cli("publish", "q", "--lines", "--producer", f"during {node}", stdin=f"during {node}\n")
            self.cli("publish", "q", "--lines", "--producer", "import", stdin="1\n2\n3\n4\n5\n")
            if number < 3:
                time.sleep(1.0)
                self.assertEqual(self.cluster.rules(), {1}, "not before all know it")
                self.refused_before()
        harness.wait_for("version 2 everywhere", lambda: self.cluster.rules() == {2})
        self.assertIn("rules 2", self.cli("cluster", "status").stdout)

        # What was there is there: messages, what is held, names of producers.
        self.assertEqual(holder.settle_one(holder.deliveries[0]), (0, 1, 0))
        self.assertEqual(holder.wait_for(2), ["2", "3"])
        self.assertIn("5 repeated", self.cli("publish", "q", "--lines", "--producer", "import", stdin="1\n2\n3\n4\n5\n").stderr)
        self.new_for_what_is_old(holder)

        # A checkpoint of both, and a restart of all from it.
        before = self.show("q")
        self.cli("queue", "declare", "filler", "--max-length", "1")
        applied = self.cluster.info(1)[6][0]

        def checkpoints():
            self.cli("publish", "filler", stdin=os.urandom(700_000).hex())
            return all((self.cluster.info(node) or {}).get(9, [0])[0] >= applied for node in self.cluster.all())
        harness.wait_for("a checkpoint on each node", checkpoints, pause=0.2)
        for node in self.cluster.all():
            self.cluster.kill(node)
        for node in self.cluster.all():
            self.cluster.start(node)
        self.cluster.leader()
        self.assertEqual(self.show("q")["options"], before["options"])
        self.assertEqual(self.fetch("q"), ["5", "during 1", "during 2", "during 3", "new"])
        self.assertEqual(self.cluster.rules(), {2})

    def new_for_what_is_old(self, holder):
        """Everything new is for the queue and the messages of before as well."""
        self.cli("queue", "declare", "dead")
        self.cli("queue", "change", "q", "--dead-letter", "dead", "--max-deliveries", "3", "--lock", "1h", "--keep", "1h",
                 "--note", "since years")
        self.assertEqual(holder.settle_one(holder.deliveries[1], features.REJECT), (0, 1, 0))
        holder.wait_for(3)
        holder.settle_one(holder.deliveries[2], client.RELEASE)
        holder.unsubscribe()
        dead = self.cli("consume", "dead", "--json", "--count", "1").stdout
        self.assertEqual((json.loads(dead)["body"], json.loads(dead)["deaths"][0]["reason"]), ("3", "rejected"))
        self.assertEqual(self.cli("transact", "--take", "q", "--publish", "dead=4 is done").stdout, "4\n")
        self.cli("bind", "amq.topic", "q", "--key", "#")
        self.cli("publish", "--exchange", "amq.topic", "--key", "k", "--header", "n=1", stdin="new")
        self.assertEqual(self.cli("producer", "open", "import").stdout, "epoch 1, last number 5\n")
        self.assertEqual(self.cli("browse", "q", "--kept", "--lines").stdout, "3\n4\n")

    def test_one_node_holds_it_back(self):
        """For as long as its operator wants; one that comes back under the old key later does no harm."""
        self.cluster.upgrade(1)
        self.cluster.upgrade(2)
        time.sleep(1.0)
        self.assertEqual(self.cluster.rules(), {1})
        self.cluster.upgrade(3)
        harness.wait_for("version 2 everywhere", lambda: self.cluster.rules() == {2})
        if OLD is None:
            self.cluster.old.add(2)
            self.cluster.kill(2)
            self.cluster.start(2)
            harness.wait_for("node 2", lambda: (self.cluster.info(2) or {}).get(11, [0])[0] == 2)
            self.cli("queue", "declare", "new", "--priority", "3")

    @unittest.skipIf(OLD is None, "needs HOLDFAST_OLD_BIN")
    def test_an_old_program_stops_when_the_rules_are_newer(self):
        for node in (1, 2, 3):
            self.cluster.upgrade(node)
        harness.wait_for("version 2 everywhere", lambda: self.cluster.rules() == {2})
        self.cluster.kill(2)
        self.cluster.old.add(2)
        self.cluster.start(2)
        harness.wait_for("its end", lambda: not self.cluster.alive(2))
        self.assertIn("version", self.cluster.log(2)[-2000:])
        self.cli("queue", "declare", "goes on", "--priority", "3")


if __name__ == "__main__":
    harness.main()
