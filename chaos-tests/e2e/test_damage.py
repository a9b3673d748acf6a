"""Damaged files: a node that finds damage says which file and where, neither votes nor serves on it, and has its peers' state
again soon, by itself, while the others go on. Nothing that was confirmed is missing afterwards."""

import glob
import os
import random
import shutil
import subprocess
import sys
import time
import unittest

import harness
from load import Publisher

SMALL = "checkpoint_mib: 1\nsegment_mib: 1\nretain_mib: 1\nreserve_mib: 2"
BODY = os.urandom(2000).hex()
UNREADABLE = os.path.join(harness.BIN, "unreadable.so")  # Not there when everything is built with a sanitizer.


def flip(path, offset=None):
    """Flips one bit; returns where."""
    with open(path, "r+b") as f:
        length = f.seek(0, os.SEEK_END)
        offset = random.randrange(length) if offset is None else offset
        f.seek(offset)
        byte = f.read(1)[0]
        f.seek(offset)
        f.write(bytes([byte ^ (1 << random.randrange(8))]))
    return offset


class Damage(harness.ClusterTest):
    def begin(self, config=SMALL, count=1500):
        """A cluster with messages in checkpoints and in the log, and a node that does not lead."""
        self.start_cluster(config=config)
        self.lines = [f"{number:08d} {BODY}\n" for number in range(count)]
        path = self.cluster.path("lines")
        with open(path, "w", encoding="ascii") as f:
            f.writelines(self.lines)
        self.cluster.holdfast("queue", "declare", "kept")
        self.cluster.holdfast("publish", "kept", "--lines", "--file", path)
        leader = self.cluster.leader()
        self.victim = next(node for node in (1, 2, 3) if node != leader)
        self.wait_same()

    def wait_same(self, seconds=60.0):
        def same():
            rows = [self.cluster.status(node) for node in (1, 2, 3)]
            return all(rows) and len({row["applied"] for row in rows}) == 1
        harness.wait_for("all nodes to have applied the same", same, seconds)

    def shard(self, *parts):
        return self.cluster.node_path(self.victim, "data", "shard-0", *parts)

    def state(self):
        return self.shard(self.state_name())

    def state_name(self):
        for name in os.listdir(self.shard()):
            if name.startswith("incoming-") and os.path.exists(self.shard("current")):
                return name
        return "state"

    def stop_damage_start(self, damage):
        """Returns what the node says about itself from then on."""
        self.cluster.ops("kill", str(self.victim))
        said = len(self.cluster.log(self.victim))
        damage()
        self.cluster.ops("start", str(self.victim), "nowait")
        return said

    def wait_repaired(self, said):
        """It is a voter that has everything again; what it said is returned."""
        def voter():
            row = self.cluster.status(self.victim)
            return row and row["role"] == "follower"
        harness.wait_for("the node to be back among the voters", voter, 60.0)
        self.wait_same()
        self.assertFalse(os.path.exists(self.shard("repair")), "the mark is gone")
        return self.cluster.log(self.victim)[said:]

    def check_it_counts(self):
        """With one of the others gone the repaired node is needed for a majority, and it can serve everything."""
        other = next(node for node in (1, 2, 3) if node != self.victim)
        self.cluster.ops("kill", str(other))
        harness.wait_for("a leader", lambda: self.cluster.ready("kept") == len(self.lines))
        out = self.cluster.holdfast("consume", "kept", "--lines", "--count", str(len(self.lines)), "--timeout", "20",
                                    servers=self.cluster.address(self.victim)).stdout
        self.assertTrue(out == "".join(self.lines), f"{out.count(chr(10))} lines came back")

    def segment_with_records(self):
        """The oldest segment: it is full, and not the last batch of the log."""
        return sorted(glob.glob(self.shard("log", "*.log")))[0]

    def alarms(self, node):
        status = self.cluster.holdfast("--timeout", "3", "cluster", "status", servers=self.cluster.address(node), check=False)
        return "".join(line for line in status.stdout.splitlines(True) if line.startswith("alarm:"))

    def test_a_flipped_bit_in_the_log(self):
        self.begin()
        where = {}
        def damage():
            path = self.segment_with_records()
            where["file"] = os.path.basename(path)
            flip(path, 4096 + 900)
        said = self.stop_damage_start(damage)
        text = self.wait_repaired(said)
        self.assertIn(where["file"], text)
        self.assertIn("offset", text)
        self.check_it_counts()

    def test_term_and_vote_are_lost(self):
        self.begin()
        def damage():
            flip(self.shard("meta"), 20)
            flip(self.shard("meta"), 512 + 20)
        text = self.wait_repaired(self.stop_damage_start(damage))
        self.assertIn("meta", text)
        self.check_it_counts()

    def test_the_log_is_gone(self):
        self.begin()
        def damage():
            for path in glob.glob(self.shard("log", "*")):
                os.unlink(path)
        self.wait_repaired(self.stop_damage_start(damage))
        self.check_it_counts()

    def test_every_kind_of_file_of_the_store(self):
        self.begin(SMALL + "\nscrub_interval_s: 1")  # Long values are read when they are needed, or by the scrub.
        kinds = ["CURRENT", "MANIFEST-*", "*.sst", "*.blob"]
        for kind in kinds:
            name = {}
            def damage(kind=kind, name=name):
                found = sorted(glob.glob(os.path.join(self.state(), kind)), key=os.path.getsize)
                self.assertTrue(found, kind)
                name["file"] = os.path.basename(found[-1])
                with open(found[-1], "r+b") as f:
                    f.truncate(os.path.getsize(found[-1]) // 2)
            said = self.stop_damage_start(damage)
            harness.wait_for("the damage to be found",
                             lambda s=said: "to be repaired" in self.cluster.log(self.victim)[s:], 60.0)
            self.assertIn(name["file"] if kind != "*.blob" else "blob", self.wait_repaired(said))
            print(f"{kind}; ", end="", file=sys.stderr, flush=True)
        self.check_it_counts()

    def test_the_scrub_finds_it_while_the_node_runs_under_load(self):
        self.begin(SMALL + "\nscrub_interval_s: 1\nscrub_mib_per_s: 64")
        load = Publisher([self.cluster.address(n) for n in (1, 2, 3) if n != self.victim], b"gone")
        self.cluster.holdfast("queue", "declare", "gone")
        load.start()
        said = len(self.cluster.log(self.victim))
        path = max(glob.glob(os.path.join(self.state(), "*.blob")), key=os.path.getsize)
        flip(path, os.path.getsize(path) // 2)
        harness.wait_for("the scrub to find it", lambda: "to be repaired" in self.cluster.log(self.victim)[said:], 60.0)
        self.assertIn("Corruption", self.cluster.log(self.victim)[said:])
        harness.wait_for("the node to have begun anew",
                         lambda: "begin anew after entry" in self.cluster.log(self.victim)[said:], 60.0)
        load.finish()
        self.assertLess(load.gap(), 2.0, "the others go on meanwhile")
        self.assertEqual(load.errors, [])
        self.wait_repaired(said)
        self.check_it_counts()

    def start_beside(self, damage):
        """Kills the node, and starts it on a disk on which `unreadable()` makes files unreadable."""
        self.cluster.environment.update(LD_PRELOAD=UNREADABLE, UNREADABLE=self.cluster.path("unreadable"))
        self.addCleanup(self.cluster.environment.pop, "LD_PRELOAD", None)
        said = self.stop_damage_start(damage)
        del self.cluster.environment["LD_PRELOAD"]
        return said

    def unreadable(self, path):
        """From now on nothing of the file can be read; none: all can."""
        with open(self.cluster.path("unreadable.new"), "w", encoding="ascii") as f:
            f.write(path)
        os.replace(self.cluster.path("unreadable.new"), self.cluster.path("unreadable"))

    @unittest.skipUnless(os.path.exists(UNREADABLE), "needs a build without a sanitizer")
    def test_what_cannot_be_read_at_the_start_is_repaired(self):
        self.begin()
        for kind in ("log/*.log", "meta", "state/MANIFEST-*"):
            path = self.shard(kind)
            if kind.startswith("state/"):
                path = os.path.join(self.state(), kind[6:])
            path = sorted(glob.glob(path))[0]
            said = self.start_beside(lambda path=path: self.unreadable(path))
            harness.wait_for(f"{kind} to be found damaged",
                             lambda s=said: "to be repaired" in self.cluster.log(self.victim)[s:], 20.0)
            self.assertIn(os.path.basename(path), self.cluster.log(self.victim)[said:])
            self.unreadable("")
            self.wait_repaired(said)
        self.check_it_counts()

    @unittest.skipUnless(os.path.exists(UNREADABLE), "needs a build without a sanitizer")
    def test_what_a_start_can_do_without_is_made_anew_when_it_cannot_be_read(self):
        self.begin()
        for name in ("log/watermark", "log-time", "../members"):
            path = os.path.normpath(self.shard(name))
            said = self.start_beside(lambda path=path: self.unreadable(path))
            self.wait_repaired(said)
            self.assertNotIn("to be repaired", self.cluster.log(self.victim)[said:])
            self.unreadable("")
        said = self.start_beside(lambda: self.unreadable(os.path.normpath(self.shard("../starts"))))
        harness.wait_for("the others to take it for an older copy",
                         lambda: "begin anew after entry" in self.cluster.log(self.victim)[said:], 20.0)
        self.wait_repaired(said)

    @unittest.skipUnless(os.path.exists(UNREADABLE), "needs a build without a sanitizer")
    def test_bodies_that_cannot_be_read_are_found_by_whoever_asks_for_them(self):
        """Not only by the scrub, which comes once a day."""
        self.begin()
        for command in (["browse", "kept", "--lines", "--count", str(len(self.lines))],
                        ["consume", "kept", "--lines", "--session", "one", "--count", str(len(self.lines))]):
            self.start_beside(lambda: None)
            self.wait_same()
            said = len(self.cluster.log(self.victim))
            self.unreadable(max(glob.glob(os.path.join(self.state(), "*.blob")), key=os.path.getsize))
            client = self.cluster.start_holdfast("--servers", self.cluster.address(self.victim), *command,
                                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.addCleanup(client.wait)
            self.addCleanup(client.kill)
            harness.wait_for("the damage to be found",
                             lambda s=said: "to be repaired" in self.cluster.log(self.victim)[s:], 20.0)
            self.assertIn(".blob", self.cluster.log(self.victim)[said:])
            self.unreadable("")
            self.wait_repaired(said)
            client.kill()

    def test_what_is_no_file_is_a_damaged_one_and_is_not_waited_for(self):
        self.begin()
        for number, kind in enumerate(("log/*.log", "meta", "current", "../members", "state/MANIFEST-*", "state/*.blob")):
            make = (os.mkfifo, os.mkdir)[number % 2]
            def damage(kind=kind, make=make):
                path = self.shard(kind)
                if kind.startswith("state/"):
                    path = os.path.join(self.state(), kind[6:])
                path = (sorted(glob.glob(path)) + [path])[0]
                if os.path.exists(path):
                    os.unlink(path)
                make(path)
            self.wait_repaired(self.stop_damage_start(damage))
            print(f"{kind}; ", end="", file=sys.stderr, flush=True)
        self.check_it_counts()

    def test_an_operator_has_a_node_repaired(self):
        self.begin()
        said = len(self.cluster.log(self.victim))
        self.cluster.holdfast("cluster", "repair", str(self.victim))
        harness.wait_for("the node to have begun anew",
                         lambda: "begin anew after entry" in self.cluster.log(self.victim)[said:], 60.0)
        self.wait_repaired(said)
        self.check_it_counts()

    def test_a_damaged_node_finds_a_leader_that_it_has_never_met(self):
        """It became a member, and leads, while the damaged node was down: those that it knows say where."""
        self.begin()
        self.cluster.ops("kill", str(self.victim))
        for slot in (20, 512 + 20):
            flip(self.shard("meta"), slot)
        new = [int(self.cluster.ops("join")) for _ in range(2)]
        for node in new:
            self.cluster.holdfast("cluster", "promote", str(node))
        self.cluster.holdfast("cluster", "transfer", str(new[0]))
        harness.wait_for("the new node to lead", lambda: self.cluster.leader() == new[0])
        said = len(self.cluster.log(self.victim))
        self.cluster.ops("start", str(self.victim), "nowait")
        text = self.wait_repaired(said)
        self.assertIn(f"node {new[0]} at ", text)
        self.assertIn("has become a member, and leads", text)

    def test_two_of_three_that_have_lost_everything_do_not_begin_anew(self):
        """While the third is down they would be a majority: of an empty cluster, whose state it would be given."""
        self.begin()
        count = self.cluster.holdfast("queue", "list").stdout
        for node in (1, 2, 3):
            self.cluster.ops("kill", str(node))
        for node in (2, 3):
            shutil.rmtree(self.cluster.node_path(node, "data", "shard-0"))
        os.makedirs(self.cluster.node_path(3, "data", "shard-0"))
        with open(self.cluster.node_path(3, "data", "shard-0", "repair.new"), "wb") as f:
            f.write(bytes(272))  # Space that is kept is nothing to count on.
        for node in (2, 3):
            self.cluster.ops("start", str(node), "nowait")
        for node in (2, 3):
            harness.wait_for("the node to say so", lambda n=node: "shard-0 is empty" in self.cluster.log(n), 20.0)
        self.cluster.ops("start", "1", "nowait")
        time.sleep(3)  # Long enough for elections and copies, if there were any.
        self.assertNotEqual(self.cluster.holdfast("--timeout", "2", "queue", "list", check=False).returncode, 0)
        # The third is enough.
        self.cluster.ops("kill", "1")
        self.cluster.ops("stop", "2")
        self.cluster.ops("stop", "3")
        self.cluster.holdfast("cluster", "recover", "--accept-loss", "--yes", "local", "--data",
                              self.cluster.node_path(1, "data"))
        self.cluster.ops("start", "1")
        self.assertEqual(self.cluster.holdfast("queue", "list").stdout, count)

    def test_two_new_directories_do_not_begin_a_cluster_beside_the_third(self):
        """They know nothing of the cluster that was. A new one begins only when all three have met, and the third knows better."""
        self.begin()
        before = self.cluster.holdfast("queue", "list").stdout
        for node in (1, 2, 3):
            self.cluster.ops("kill", str(node))
        said = {}
        for node in (2, 3):
            shutil.rmtree(self.cluster.node_path(node, "data"))
            os.mkdir(self.cluster.node_path(node, "data"))
            said[node] = len(self.cluster.log(node))
            self.cluster.ops("start", str(node), "nowait")
        for node in (2, 3):
            harness.wait_for("the node to say so",
                             lambda n=node: "has not begun" in self.cluster.log(n)[said[n]:], 20.0)
        time.sleep(3)  # Long enough for elections, if there were any.
        self.assertNotEqual(self.cluster.holdfast("--timeout", "2", "queue", "list", check=False).returncode, 0)
        status = self.cluster.holdfast("--timeout", "5", "cluster", "status", servers=self.cluster.address(2), check=False)
        self.assertIn("founding", status.stdout)
        self.cluster.ops("start", "1", "nowait")
        time.sleep(3)
        self.assertNotEqual(self.cluster.holdfast("--timeout", "2", "queue", "list", check=False).returncode, 0)
        for node in (2, 3):
            self.assertNotIn("role", self.cluster.log(node)[said[node]:])
            self.cluster.ops("stop", str(node))
        self.cluster.ops("kill", "1")
        self.cluster.holdfast("cluster", "recover", "--accept-loss", "--yes", "local", "--data",
                              self.cluster.node_path(1, "data"))
        self.cluster.ops("start", "1")
        self.assertEqual(self.cluster.holdfast("queue", "list").stdout, before)

    def test_a_new_cluster_begins_with_its_last_node(self):
        cluster = self.start_cluster(start=False)
        cluster.ops("up", "3")
        self.assertEqual(cluster.log(1).count("all nodes of the cluster have met"), 1)
        cluster.holdfast("queue", "declare", "orders")
        for node in (1, 2, 3):
            cluster.ops("kill", str(node))
        for node in (1, 2):  # Later a majority is enough.
            cluster.ops("start", str(node), "nowait")
        harness.wait_for("a leader", lambda: cluster.ready("orders") == 0)

    def test_two_of_three_damaged_wait_and_lose_nothing(self):
        """Nobody can say what is right: both wait, say so, and throw nothing away. With one's file whole again, and its mark
        removed by an operator, all go on."""
        self.begin()
        leader = self.cluster.leader()
        first, second = (node for node in (1, 2, 3) if node != leader)
        self.cluster.ops("kill", str(first))
        self.cluster.ops("kill", str(second))
        kept = {}
        for node in (first, second):
            path = self.cluster.node_path(node, "data", "shard-0", "meta")
            with open(path, "rb") as f:
                kept[node] = f.read()
            flip(path, 20)
            flip(path, 512 + 20)
            self.cluster.ops("start", str(node), "nowait")
        for node in (first, second):
            harness.wait_for("the node to say so", lambda n=node: "repair" in self.cluster.log(n), 20.0)
        # That takes longer than elections and copies, if there were any.
        harness.wait_for("an alarm that says what to do", lambda: "none leads" in self.alarms(first) and
                         "holdfast cluster recover on one whose state is whole" in self.alarms(first), 20.0)
        self.assertNotEqual(self.cluster.holdfast("--timeout", "2", "queue", "list", check=False).returncode, 0)
        for node in (first, second):
            self.assertTrue(glob.glob(self.cluster.node_path(node, "data", "shard-0", "log", "*")))
            self.assertTrue(os.path.isdir(self.cluster.node_path(node, "data", "shard-0", "state")))
        self.cluster.ops("kill", str(first))
        with open(self.cluster.node_path(first, "data", "shard-0", "meta"), "wb") as f:
            f.write(kept[first])
        os.unlink(self.cluster.node_path(first, "data", "shard-0", "repair"))
        self.cluster.ops("start", str(first), "nowait")
        self.victim = second
        self.wait_repaired(0)
        self.check_it_counts()


if __name__ == "__main__":
    harness.main()
