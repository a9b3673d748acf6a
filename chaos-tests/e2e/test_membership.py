"""Nodes come, vote, lead, are killed and go, one after the other until none is left of those that there were at first, while
messages are published and consumed: none that was confirmed is missing, and none comes twice. A node that has lost its
directory does not come back under its name."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import harness
import nodes
from load import Consumer, Publisher

# Small, so that logs are dropped and a new node needs a copy of the state.
SMALL = "checkpoint_mib: 1\nsegment_mib: 1\nretain_mib: 1\nreserve_mib: 2"
FIRST = (1, 2, 3)
QUEUE = b"grown"


class Growing(nodes.Nodes):
    """A cluster of the first `count` nodes; the others have addresses, and join when they are started."""

    def __init__(self, count, spare, config=""):
        super().__init__(count + spare, config)
        self.first = tuple(range(1, count + 1))
        self.members = set(self.first)

    def write_config(self, node):
        path = self.path(f"node-{node}", "config.yml")
        listed = self.first if node in self.first else sorted(self.members | {node})
        members = "".join(f"  - {{id: {i}, peer: {self.peer(i)}, client: {self.address(i)}}}\n" for i in listed)
        join = "" if node in self.first else "join: true\n"
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"cluster: e2e\nnode: {node}\ndata: \"{self.data(node)}\"\nmembers:\n{members}{join}{self.config}\n")
        return path

    def peer(self, node):
        return self.addresses[node - 1][0]

    def start_all(self):
        for node in self.first:
            self.start(node)
        return self.leader(among=self.first)

    def leader(self, seconds=30.0, among=None):
        return super().leader(seconds, among or self.members)

    def servers(self):
        return self.hosts(*sorted(self.members))

    def change(self, *arguments, timeout=120):
        return self.holdfast("cluster", *arguments, servers=self.servers(), timeout=timeout)

    def roles(self):
        """The role of each member as a living one has it, by its number."""
        done = self.holdfast("--timeout", "5", "cluster", "status", servers=self.servers(), check=False)
        rows = harness.table(done.stdout.decode(), "NODE")
        return {int(row["node"]): row["role"] for row in rows if row["node"].isdigit()}

    def voters(self):
        return {node for node, role in self.roles().items() if role in ("leader", "follower", "candidate")}

    def add(self, node):
        self.start(node)
        self.change("add", str(node), "--peer", self.peer(node))
        self.members.add(node)

    def gone(self, node):
        """It is no member any more, and its process ends, or is ended."""
        self.members.discard(node)
        if node in self.processes and self.alive(node):
            self.kill(node)


class Membership(nodes.NodesTest):
    def start_growing(self, count, spare, config=SMALL):
        self.cluster = Growing(count, spare, config)
        self.addCleanup(self.cluster.close)
        self.cluster.start_all()
        self.cluster.holdfast("queue", "declare", QUEUE.decode(), servers=self.cluster.servers())
        return self.cluster

    def start_load(self):
        """One publishes to, and one consumes from, whatever nodes there are."""
        everywhere = [address for _, address in self.cluster.addresses]
        publisher = Publisher(everywhere, QUEUE, window=16, producer=b"grower", lease_ms=20_000)
        consumer = Consumer(everywhere, QUEUE, lease_ms=20_000)
        publisher.start()
        consumer.start()
        harness.wait_for("the first messages", lambda: len(publisher.confirmed) > 100 and len(consumer.taken) > 100)
        return publisher, consumer

    def finish_load(self, publisher, consumer):
        """Everything that was confirmed has been taken once; what was taken twice had been marked."""
        publisher.finish()
        self.assertEqual(publisher.errors, [])
        harness.wait_for("all that was confirmed", lambda: publisher.confirmed <= set(consumer.taken) or consumer.check())
        consumer.finish()
        twice = len(consumer.taken) - len(set(consumer.taken))
        self.assertLessEqual(twice, consumer.redelivered, "delivered twice without being marked")
        self.assertLessEqual(set(consumer.taken), publisher.confirmed, "what was never confirmed has come")
        self.tell(f"{len(publisher.confirmed)} messages; longest pause {publisher.gap():.2f} s")

    def moves(self, publisher, count=200):
        """Messages go on being confirmed."""
        before = len(publisher.confirmed)
        harness.wait_for("more messages", lambda: publisher.check() or len(publisher.confirmed) > before + count, 60.0)

    def fill(self, megabytes):
        """Messages that stay, so that there is a state to be copied, and a log that has been dropped."""
        self.cluster.holdfast("queue", "declare", "kept", servers=self.cluster.servers())
        self.cluster.holdfast("bench", "publish", "--queue", "kept", "--size", "5000", "--batch", "1", "--count",
                              str(200 * megabytes), servers=self.cluster.servers(), timeout=120)

    def test_three_become_five_and_three_again(self):
        cluster = self.start_growing(3, 2)
        self.fill(8)
        publisher, consumer = self.start_load()
        for node in (4, 5):
            cluster.add(node)
            harness.wait_for("a learner", lambda n=node: cluster.roles()[n] == "learner", 60.0)
        for node in (4, 5):
            cluster.change("promote", str(node))
        self.assertEqual(cluster.voters(), {1, 2, 3, 4, 5})
        self.moves(publisher)
        dead = cluster.leader()
        cluster.kill(dead)
        harness.wait_for("another leader", lambda: cluster.find_leader(cluster.members - {dead}) not in (0, dead))
        self.moves(publisher)
        cluster.change("remove", str(dead))
        cluster.gone(dead)
        other = next(node for node in FIRST if node in cluster.members)
        cluster.change("remove", str(other))
        cluster.gone(other)
        self.assertEqual(len(cluster.voters()), 3)
        self.moves(publisher)
        # Each of the three is needed for a majority together with one other.
        for node in sorted(cluster.members):
            cluster.kill(node)
            harness.wait_for("a leader of two", lambda n=node: cluster.find_leader(cluster.members - {n}))
            self.moves(publisher, 20)
            cluster.start(node)
            harness.wait_for("its return", lambda n=node: cluster.info(n) is not None and
                             cluster.roles().get(n) in ("follower", "leader"))
        self.finish_load(publisher, consumer)

    def test_every_node_is_replaced(self):
        cluster = self.start_growing(3, 3)
        self.fill(4)
        publisher, consumer = self.start_load()
        for old in FIRST:
            new = old + 3
            if old == 2:
                cluster.kill(old)  # One of them is dead already.
            cluster.start(new)
            cluster.change("replace", str(old), str(new), "--peer", cluster.peer(new))
            cluster.members.add(new)
            cluster.gone(old)
            self.moves(publisher)
            again = cluster.change("replace", str(old), str(new), "--peer", cluster.peer(new))
            self.assertIn(b"has taken the place", again.stdout, "what is done is done")
        self.assertEqual(cluster.voters(), {4, 5, 6})
        self.finish_load(publisher, consumer)
        # All of them at once: what was confirmed is with the new ones alone.
        for node in cluster.members:
            cluster.kill(node)
        for node in cluster.members:
            cluster.start(node)
        cluster.leader()
        row = harness.table(cluster.holdfast("queue", "list", servers=cluster.servers()).stdout.decode(), "QUEUE")
        self.assertEqual([int(r["ready"]) for r in row if r["queue"] == "kept"], [800])

    def test_nodes_are_replaced_while_leaders_are_killed(self):
        cluster = self.start_growing(3, 3)
        self.fill(4)
        publisher, consumer = self.start_load()
        for old in FIRST:
            new = old + 3
            cluster.start(new)
            everybody = cluster.hosts(*sorted(cluster.members | {new}))
            command = [harness.HOLDFAST, "--servers", everybody, "cluster", "replace", str(old), str(new), "--peer",
                       cluster.peer(new)]
            with open(cluster.path("replace.log"), "ab") as log:
                replacing = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            while replacing.poll() is None:
                time.sleep(random.uniform(0.1, 1.0))  # When is the point: at any moment.
                leader = cluster.find_leader(cluster.members | {new})
                if leader:
                    cluster.kill(leader)
                    harness.wait_for("another leader", lambda: cluster.find_leader(cluster.members | {new}))
                    if leader != old or replacing.poll() is None:
                        cluster.start(leader)
                time.sleep(1.0)
            with open(cluster.path("replace.log"), encoding="utf-8") as log:
                self.assertEqual(replacing.returncode, 0, log.read())
            cluster.members.add(new)
            cluster.gone(old)
            self.moves(publisher)
        self.assertEqual(cluster.voters(), {4, 5, 6})
        self.finish_load(publisher, consumer)

    def test_repaired_nodes_vote_again(self):
        cluster = self.start_growing(3, 0)
        self.fill(4)
        publisher, consumer = self.start_load()
        for node in (*cluster.followers()[:1], cluster.leader()):
            done = cluster.change("repair", str(node))
            self.assertIn(b"has been told", done.stdout)
            harness.wait_for("its repair", lambda n=node: "a copy of the state is here" in cluster.log(n), 60.0)
            harness.wait_for("its vote", lambda: cluster.voters() == set(FIRST) and
                             "repairing" not in cluster.roles().values(), 60.0)
            self.moves(publisher)
        # Each of them is needed.
        other = next(n for n in FIRST if "a copy of the state is here" not in cluster.log(n))
        cluster.kill(other)
        harness.wait_for("a leader", lambda: cluster.find_leader([n for n in FIRST if n != other]))
        self.moves(publisher)
        cluster.start(other)
        self.finish_load(publisher, consumer)

    def follows_without_a_vote(self, node):
        """It has a copy of the state and has caught up; nobody gives it a vote, in the time in which others get theirs."""
        cluster = self.cluster
        harness.wait_for("its copy", lambda: "a copy of the state is here" in cluster.log(node), 60.0)
        harness.wait_for("it to follow", lambda: cluster.roles().get(node) == "learner", 30.0)
        end = time.monotonic() + 5
        while time.monotonic() < end:
            self.assertEqual(cluster.roles().get(node), "learner")
            time.sleep(0.2)
        self.assertNotIn("votes again", cluster.log(node))

    def test_a_vote_that_was_taken_away_stays_away_after_a_repair(self):
        cluster = self.start_growing(3, 1)
        cluster.add(4)
        cluster.change("promote", "4")
        away, other = cluster.followers()[:2]
        cluster.kill(away)
        cluster.change("demote", str(away))
        shutil.rmtree(os.path.join(cluster.data(away), "shard-0"))
        cluster.start(away)
        self.follows_without_a_vote(away)
        self.assertIn("this node had a vote when it last knew, and has none now", cluster.log(away))
        # It has not learned of it when it is told to begin anew.
        cluster.change("promote", str(away))
        cluster.change("demote", str(other))
        cluster.change("repair", str(other))
        self.follows_without_a_vote(other)

    def test_a_vote_is_not_taken_away_from_a_node_that_is_about_to_get_it_back(self):
        cluster = self.start_growing(3, 1)
        cluster.add(4)
        cluster.change("promote", "4")
        node = cluster.followers()[0]
        cluster.change("repair", str(node))
        cluster.change("demote", str(node))
        self.follows_or_waits(node)

    def follows_or_waits(self, node):
        """Whether the order to vote no more came before the repair, or after it: it has no vote, and gets none."""
        cluster = self.cluster
        harness.wait_for("it to follow", lambda: cluster.roles().get(node) == "learner", 60.0)
        end = time.monotonic() + 5
        while time.monotonic() < end:
            self.assertNotIn(node, cluster.voters())
            time.sleep(0.2)

    def test_a_node_that_is_added_has_no_vote_even_if_it_takes_the_cluster_for_new(self):
        cluster = self.start_growing(3, 1)
        cluster.first = (1, 2, 3, 4)  # Without `join`.
        cluster.add(4)
        self.follows_without_a_vote(4)
        cluster.change("promote", "4")
        self.assertEqual(cluster.voters(), {1, 2, 3, 4})

    def test_a_replacement_that_was_interrupted_goes_on(self):
        cluster = self.start_growing(3, 1)
        publisher, consumer = self.start_load()
        arguments = ("replace", "3", "4", "--peer", cluster.peer(4))
        # Node 4 does not run: it is added, and waited for in vain.
        done = cluster.holdfast("cluster", *arguments, "--timeout", "2", servers=cluster.servers(), check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(b"caught up", done.stderr)
        cluster.members.add(4)
        cluster.start(4)
        cluster.change(*arguments)
        cluster.gone(3)
        self.assertEqual(cluster.voters(), {1, 2, 4})
        self.moves(publisher)
        self.finish_load(publisher, consumer)

    def test_the_largest_cluster_takes_a_new_node_for_an_old_one(self):
        """The one that goes is still being told so when the one that comes is to be dialled."""
        cluster = self.start_growing(9, 1)
        old = 9 if cluster.leader() != 9 else 8
        cluster.change("remove", str(old))
        cluster.gone(old)
        cluster.add(10)
        harness.wait_for("the new node to follow", lambda: cluster.roles().get(10) == "learner", 30.0)

    def test_a_removed_node_ends_and_stays_away(self):
        cluster = self.start_growing(3, 1)
        publisher, consumer = self.start_load()
        cluster.add(4)
        cluster.change("promote", "4")
        away = cluster.followers()[0]
        cluster.change("remove", str(away))
        cluster.members.discard(away)
        harness.wait_for("the end of the removed node", lambda: not cluster.alive(away))
        self.assertIn("was removed from cluster e2e", cluster.log(away))
        self.moves(publisher)
        cluster.start(away)
        harness.wait_for("its end once more", lambda: not cluster.alive(away))
        self.assertNotEqual(cluster.processes[away].returncode, 0)
        # A removed leader hands over first, and ends as well.
        leader = cluster.leader()
        cluster.change("promote", str(leader))
        cluster.change("remove", str(leader))
        cluster.members.discard(leader)
        harness.wait_for("the end of the leader that was removed", lambda: not cluster.alive(leader))
        self.moves(publisher)
        self.assertEqual(cluster.voters(), cluster.members)
        self.finish_load(publisher, consumer)

    def test_a_node_that_has_lost_its_directory_is_refused_and_does_not_vote(self):
        cluster = self.start_growing(3, 0)
        cluster.holdfast("publish", QUEUE.decode(), "--lines", stdin=b"one\ntwo\nthree\n")
        leader = cluster.leader()
        wiped, other = cluster.followers(leader)
        cluster.kill(wiped)
        shutil.rmtree(cluster.data(wiped))
        os.makedirs(cluster.data(wiped))
        cluster.start(wiped)
        harness.wait_for("the refusal", lambda: "refuse" in cluster.log(wiped) or "refuse" in cluster.log(leader))
        cluster.kill(other)
        # One of three is left that knows what was confirmed: it must not find a majority in one that has forgotten.
        end = time.monotonic() + 5
        harness.wait_for("the end of its leadership", lambda: not cluster.leads(leader))
        while time.monotonic() < end:
            self.assertEqual([node for node in (wiped, leader) if cluster.alive(node) and cluster.leads(node)], [])
            time.sleep(0.1)
        cluster.start(other)
        cluster.leader(among=(leader, other))
        out = cluster.holdfast("consume", QUEUE.decode(), "--lines", "--count", "3",
                               servers=cluster.hosts(leader, other)).stdout
        self.assertEqual(out, b"one\ntwo\nthree\n")

    def test_a_rolling_restart_goes_on_serving(self):
        cluster = self.start_growing(3, 0)
        publisher, consumer = self.start_load()
        for _ in range(2):
            for node in FIRST:
                cluster.signal(node, signal.SIGTERM)
                self.assertEqual(cluster.processes[node].wait(timeout=15), 0)
                self.moves(publisher, 50)
                cluster.start(node)
                harness.wait_for("its return", lambda n=node: cluster.roles().get(n) in ("follower", "leader"))
                applied = int(cluster.info(cluster.leader()).get(6, [0])[0])
                harness.wait_for("it to have caught up", lambda n=node, a=applied:
                                 (cluster.info(n) or {}).get(6, [0])[0] >= a)
        self.assertLess(publisher.gap(), 5.0)
        self.finish_load(publisher, consumer)

    def test_what_cannot_be_is_refused(self):
        cluster = self.start_growing(3, 2)
        def refused(part, *arguments):
            done = cluster.holdfast("cluster", *arguments, servers=cluster.servers(), check=False)
            self.assertEqual(done.returncode, 1, done)
            self.assertIn(part, done.stderr, done)
        refused(b"not host:port", "add", "4", "--peer", "nowhere")
        refused(b"another member has this address", "add", "4", "--peer", cluster.peer(1))
        refused(b"another address", "add", "1", "--peer", cluster.peer(4))
        refused(b"no such member", "promote", "4")
        refused(b"no such member", "demote", "4")
        refused(b"no such member", "repair", "4")
        refused(b"neither of the nodes", "replace", "4", "5", "--peer", cluster.peer(5))
        for _ in range(2):
            done = cluster.change("remove", "4")
            self.assertIn(b"node 4 is no member", done.stdout)
        done = cluster.change("add", "1", "--peer", cluster.peer(1))
        self.assertIn(b"node 1 is a member already", done.stdout)
        done = cluster.change("promote", "1")
        self.assertIn(b"node 1 votes already", done.stdout)
        leader = cluster.leader()
        done = cluster.change("demote", str(leader))
        self.assertIn(b"votes no more", done.stdout)
        harness.wait_for("the learner", lambda: cluster.roles().get(leader) == "learner")
        refused(b"fewer than two voters", "demote", str(next(n for n in FIRST if n not in (leader, cluster.leader()))))
        cluster.change("promote", str(leader))
        self.assertEqual(cluster.voters(), set(FIRST))
        done = cluster.holdfast("cluster", "replace", "1", "4", "--peer", cluster.peer(1), servers=cluster.servers(),
                                check=False)
        self.assertEqual(done.returncode, 1, done)
        self.assertIn(b"another member has this address", done.stderr)
        self.assertNotIn(b"is added", done.stderr)
        # Without a majority nothing is changed, and that is said.
        for node in FIRST[1:]:
            cluster.kill(node)
        done = cluster.holdfast("cluster", "add", "4", "--peer", cluster.peer(4), "--timeout", "3",
                                servers=cluster.servers(), check=False)
        self.assertEqual(done.returncode, 3, done)

    def test_a_node_that_nobody_has_added_says_so(self):
        cluster = self.start_growing(3, 1)
        cluster.start(4)

        def detail():
            done = cluster.holdfast("cluster", "status", servers=cluster.address(4), check=False)
            return done.stdout.decode()
        harness.wait_for("the cause", lambda: "refuses this node: node 4 is not a member that" in detail())
        self.assertIn("holdfast cluster add", detail())
        began = time.monotonic()
        harness.wait_for("many rounds", lambda: time.monotonic() - began > 5 and detail())
        self.assertLess(cluster.log(4).count("no copy of the state yet"), 4)
        cluster.change("add", "4", "--peer", cluster.peer(4))
        harness.wait_for("node 4 to follow", lambda: cluster.roles().get(4) == "learner")

    def test_a_voter_that_is_down_holds_nobody_up_without_a_word(self):
        cluster = self.start_growing(3, 1)
        gone = next(node for node in FIRST if node != cluster.leader())
        cluster.kill(gone)
        harness.wait_for("the leader to notice", lambda: cluster.roles().get(gone) == "unreachable")
        began = time.monotonic()
        done = cluster.change("promote", str(gone))
        self.assertIn(f"node {gone} votes already".encode(), done.stdout)
        self.assertLess(time.monotonic() - began, 5)
        # A replacement by it waits for it, and whoever comes next waits for that.
        other = next(node for node in FIRST if node not in (gone, cluster.leader()))
        command = [harness.HOLDFAST, "--servers", cluster.servers(), "cluster", "replace", str(other), str(gone), "--peer",
                   cluster.peer(gone)]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as waits:
            try:
                self.assertTrue(any(b"; waiting" in line for line in iter(waits.stderr.readline, b"")))
                done = cluster.change("add", "4", "--peer", cluster.peer(4))
                self.assertIn(b"may wait for another change", done.stderr)
            finally:
                waits.kill()


if __name__ == "__main__":
    print(f"members: {harness.BIN}", file=sys.stderr)
    harness.main()
