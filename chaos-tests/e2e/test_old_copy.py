"""A node whose data directory was put back from an older copy, as a whole or in part, or that has lost part of it, has forgotten what
it promised: it notices, or the others do, whatever the directory says of itself, and it is repaired from them before it counts
again."""

import os
import shutil
import signal
import subprocess
import time

import harness
import nodes


class OldCopy(nodes.NodesTest):
    def publish(self, count):
        lines = [f"message {number} {os.urandom(200).hex()}\n" for number in range(len(self.lines), len(self.lines) + count)]
        path = self.cluster.path("lines")
        with open(path, "w", encoding="ascii") as f:
            f.writelines(lines)
        self.cluster.holdfast("publish", "q", "--lines", "--file", path)
        self.lines += lines

    def begin(self):
        self.lines = []
        self.start_nodes()
        self.cluster.holdfast("queue", "declare", "q")
        self.publish(200)

    def stop(self, node):
        self.cluster.signal(node, signal.SIGTERM)
        self.cluster.processes[node].wait(20)

    def applied(self, node):
        info = self.cluster.info(node)
        return info.get(6, [0])[0] if info else 0

    def votes(self, node):
        """Whether the leader takes it for a voter that has caught up."""
        info = self.cluster.info(self.cluster.leader())
        members = [nodes.native.fields(member) for member in info.get(13, [])] if info else []
        return any(member.get(1, [0])[0] == node and member.get(8, [0])[0] for member in members)

    def put_back(self, node, copy):
        shutil.rmtree(self.cluster.data(node))
        shutil.copytree(copy, self.cluster.data(node))

    def expect_repaired(self, node, said):
        harness.wait_for("the node to be told", lambda: said in self.cluster.log(node))
        harness.wait_for("the node to be repaired", lambda: "log and term begin anew" in self.cluster.log(node), 60)
        others = [other for other in self.cluster.all() if other != node]
        harness.wait_for("the node to have caught up", lambda: self.applied(node) >= self.applied(others[0]) > 0, 60)
        harness.wait_for("its vote", lambda: self.votes(node), 60)
        # With it, and without the leader, everything is there.
        self.cluster.kill(self.cluster.leader(among=others))
        self.cluster.leader()
        out = self.cluster.holdfast("consume", "q", "--lines", "--count", str(len(self.lines)), "--timeout", "20",
                                    servers=self.cluster.address(node)).stdout.decode()
        self.assertTrue(out == "".join(self.lines), f"{out.count(chr(10))} lines came back, of {len(self.lines)}")

    def test_a_directory_from_a_backup_is_noticed_and_repaired(self):
        self.begin()
        node = self.cluster.followers()[0]
        self.stop(node)
        copy = self.cluster.path("copy")
        shutil.copytree(self.cluster.data(node), copy)
        self.cluster.start(node)
        self.publish(200)
        harness.wait_for("the node to have caught up", lambda: self.applied(node) == self.applied(self.cluster.leader()))
        self.stop(node)
        self.put_back(node, copy)
        self.cluster.start(node)
        self.expect_repaired(node, "older copy")

    def test_so_it_is_when_it_has_been_started_often(self):
        """By its number alone it would be newer than the one that the others know."""
        self.begin()
        node = self.cluster.followers()[0]
        self.stop(node)
        copy = self.cluster.path("copy")
        shutil.copytree(self.cluster.data(node), copy)
        self.cluster.start(node)
        self.publish(200)
        harness.wait_for("the node to have caught up", lambda: self.applied(node) == self.applied(self.cluster.leader()))
        self.stop(node)
        self.put_back(node, copy)
        for other in self.cluster.all():
            if other != node:
                self.cluster.signal(other, signal.SIGSTOP)
        for _ in range(3):
            self.cluster.start(node)
            harness.wait_for("the node to run", lambda: self.cluster.info(node) is not None)
            self.cluster.kill(node)
        for other in self.cluster.all():
            if other != node:
                self.cluster.signal(other, signal.SIGCONT)
        self.cluster.start(node)
        self.expect_repaired(node, "older copy that has been started since")

    def one_was_behind(self):
        """The messages confirmed last are on two nodes, and all are down. Returns the node that lacks them, and those two: the
        second was started twice more, and between them its shard was copied to `copy`."""
        self.begin()
        leader = self.cluster.leader()
        behind, node = self.cluster.followers(leader)
        for _ in range(2):
            self.stop(node)
            shutil.rmtree(self.cluster.path("copy"), ignore_errors=True)
            shutil.copytree(self.shard(node), self.cluster.path("copy"))
            self.cluster.start(node)
            harness.wait_for("the node to have caught up", lambda: self.applied(node) == self.applied(leader) > 0)
        self.cluster.kill(behind)
        self.publish(100)
        for other in (leader, node):
            self.cluster.kill(other)
        return behind, leader, node

    def shard(self, node):
        return os.path.join(self.cluster.data(node), "shard-0")

    def lose_shard(self, node):
        """With all that says that it was there, as an earlier program leaves it."""
        shutil.rmtree(self.shard(node))
        os.unlink(os.path.join(self.cluster.data(node), "part"))
        with open(os.path.join(self.cluster.data(node), "starts"), "r+b") as f:
            for slot in (0, 512):
                f.seek(slot + 280)
                f.write(bytes(512 - 280))

    def expect_no_leader(self, *among):
        until = time.monotonic() + 3  # Some elections.
        while time.monotonic() < until:
            self.assertEqual(self.cluster.find_leader(among), 0)
        self.assertNotEqual(self.cluster.holdfast("--timeout", "1", "queue", "list", check=False).returncode, 0)

    def put_back_and_expect_repaired(self, name, *parts):
        """The parts of the shard are put back: the node that was behind would be led by what is there then. `name` is what the
        node names."""
        behind, other, node = self.one_was_behind()
        for part in parts:
            shutil.rmtree(os.path.join(self.shard(node), part))
            shutil.copytree(self.cluster.path("copy", part), os.path.join(self.shard(node), part))
        for started in (behind, node):
            self.cluster.start(started)
        harness.wait_for("the node to say so", lambda: f"{name} is an older copy (of start" in self.cluster.log(node))
        self.expect_no_leader(behind, node)
        self.cluster.start(other)
        self.expect_repaired(node, f"{name} is an older copy")

    def test_the_shard_alone_is_an_older_copy(self):
        self.put_back_and_expect_repaired("shard-0", "")

    def test_the_log_alone_is_an_older_copy(self):
        """As when it is on a disk of its own, which is rolled back."""
        self.put_back_and_expect_repaired("shard-0/log", "log")

    def test_the_log_and_the_state_are_an_older_copy(self):
        self.put_back_and_expect_repaired("shard-0/log", "log", "state")

    def test_a_shard_that_is_gone_is_not_begun_again(self):
        """Nothing in the directory says that it was there: who is left tells."""
        behind, other, node = self.one_was_behind()
        said = len(self.cluster.log(node))
        self.lose_shard(node)
        self.cluster.start(node)
        harness.wait_for("the node to found", lambda: "has not begun" in self.cluster.log(node)[said:])
        self.cluster.start(behind)
        harness.wait_for("the node to be told", lambda: "this cluster has begun" in self.cluster.log(node)[said:])
        self.expect_no_leader(behind, node)
        self.cluster.start(other)
        self.expect_repaired(node, "this cluster has begun")

    def test_two_shards_that_are_gone_make_no_cluster(self):
        """The third, behind or not, is all that is left, and it is for an operator to say so."""
        behind, other, node = self.one_was_behind()
        self.lose_shard(node)
        self.lose_shard(behind)
        for started in (behind, node):
            self.cluster.start(started)
        for started in (behind, node):
            harness.wait_for("the nodes to found", lambda n=started: "has not begun" in self.cluster.log(n).split(" starts, ")[-1])
        self.cluster.start(other)
        for started in (behind, node):
            harness.wait_for("the nodes to be told", lambda n=started: "this cluster has begun" in self.cluster.log(n))
        self.expect_no_leader(behind, node, other)
        for started in self.cluster.all():
            self.stop(started)
        self.cluster.holdfast("cluster", "recover", "--accept-loss", "--yes", "e2e", "--data", self.cluster.data(other))
        self.cluster.start(other)
        self.cluster.leader()
        out = self.cluster.holdfast("consume", "q", "--lines", "--count", str(len(self.lines)), "--timeout", "20",
                                    servers=self.cluster.address(other)).stdout.decode()
        self.assertTrue(out == "".join(self.lines), f"{out.count(chr(10))} lines came back, of {len(self.lines)}")

    def test_a_shard_and_the_file_part_that_are_gone(self):
        """The starts know it as well, so the node needs nobody to tell it."""
        self.begin()
        node = self.cluster.followers()[0]
        self.stop(node)
        shutil.rmtree(self.shard(node))
        os.unlink(os.path.join(self.cluster.data(node), "part"))
        self.cluster.start(node)
        self.expect_repaired(node, "shard-0 is empty, though this node has taken part")

    def test_a_node_alone_stops_rather_than_guesses(self):
        self.lines = []
        self.start_nodes(1)
        self.cluster.holdfast("queue", "declare", "q")
        self.publish(10)
        for _ in range(2):
            self.stop(1)
            shutil.rmtree(self.cluster.path("copy"), ignore_errors=True)
            shutil.copytree(self.shard(1), self.cluster.path("copy"))
            self.cluster.start(1)
            self.cluster.leader()
        self.stop(1)
        shutil.rmtree(self.shard(1))
        shutil.copytree(self.cluster.path("copy"), self.shard(1))
        for _ in range(2):
            said = len(self.cluster.log(1))
            self.cluster.start(1)
            self.assertEqual(self.cluster.processes[1].wait(20), 1)
            self.assertIn("shard-0 is an older copy", self.cluster.log(1)[said:])
            self.assertIn("remove " + os.path.join(self.cluster.data(1), "starts"), self.cluster.log(1)[said:])
        os.unlink(os.path.join(self.cluster.data(1), "starts"))
        self.cluster.start(1)
        self.cluster.leader()
        self.publish(10)
        self.stop(1)
        self.cluster.start(1)
        self.cluster.leader()

    def test_without_what_it_knows_of_the_others_a_node_does_not_start(self):
        self.begin()
        node = self.cluster.followers()[0]
        self.stop(node)
        os.unlink(os.path.join(self.cluster.data(node), "peers"))
        for earlier in (False, True):
            if earlier:  # The file `starts` does not know either.
                os.unlink(os.path.join(self.cluster.data(node), "starts"))
            said = len(self.cluster.log(node))
            self.cluster.start(node)
            self.assertEqual(self.cluster.processes[node].wait(20), 1)
            self.assertIn("/peers is missing", self.cluster.log(node)[said:])
            self.assertIn("holdfast cluster replace", self.cluster.log(node)[said:])

    def start_copy_of(self, node, copy):
        """A second process with the node's identity, at addresses of its own. Returns it, and where it writes its log."""
        peer, client = nodes.free_ports(2)
        with open(self.cluster.write_config(node), encoding="utf-8") as f:
            config = f.read().replace(self.cluster.data(node), copy)
        path, log = self.cluster.path("copy.yml"), self.cluster.path("copy.log")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"{config}listen_peer: 127.0.0.1:{peer}\nlisten_client: 127.0.0.1:{client}\n")
        with open(log, "wb") as f:
            process = subprocess.Popen([harness.HOLDFASTD, "--config", path], stdin=subprocess.DEVNULL, stdout=f, stderr=f,
                                       preexec_fn=nodes.die_with_parent)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process, log

    def test_a_directory_that_is_used_twice(self):
        """The second process is refused everywhere, and ends; the first one does not notice."""
        self.begin()
        node = self.cluster.followers()[0]
        self.stop(node)  # A copy of a directory that is written to would be refused for being torn.
        copy = self.cluster.path("copy")
        shutil.copytree(self.cluster.data(node), copy)
        self.cluster.start(node)
        harness.wait_for("the node to be back", lambda: self.applied(node) == self.applied(self.cluster.leader()) > 0)
        process, log = self.start_copy_of(node, copy)
        self.assertEqual(process.wait(60), 70)
        with open(log, encoding="utf-8") as f:
            self.assertIn("a copied data directory?", f.read())
        self.publish(200)
        self.assertTrue(self.cluster.alive(node))
        harness.wait_for("the node to have all", lambda: self.applied(node) == self.applied(self.cluster.leader()))


if __name__ == "__main__":
    harness.main()
