"""What an operator is told: by a cluster of which the first node that is asked takes no part, by one that has not begun, of a
handover that cannot be, and when two nodes are to give way to the same one."""

import subprocess
import sys
import time

import harness
import nodes
from test_membership import SMALL, Growing

# So slow that a node is seen while it fetches a copy.
SLOW = SMALL + "\nrebuild_mib_per_s: 1"


class Operator(nodes.NodesTest):
    def start_growing(self, count, spare, config=SMALL):
        self.cluster = Growing(count, spare, config)
        self.addCleanup(self.cluster.close)
        self.cluster.start_all()
        return self.cluster

    def order(self, *arguments, servers=None):
        since = time.monotonic()
        done = self.cluster.holdfast("cluster", *arguments, servers=servers or self.cluster.servers(), check=False)
        self.took = time.monotonic() - since
        return done

    def says(self, code, part, *arguments, servers=None):
        """The command ends with that code, and says that."""
        done = self.order(*arguments, servers=servers)
        self.assertEqual(done.returncode, code, done)
        self.assertIn(part, done.stderr + done.stdout, done)
        self.assertNotIn("there is no leader", done.stderr.decode(), done)
        return done

    def repair_one(self):
        """One that does not lead is being repaired, for some seconds. Returns it, the leader, and the other one."""
        cluster = self.start_growing(3, 1, SLOW)
        cluster.holdfast("queue", "declare", "kept", servers=cluster.servers())
        cluster.holdfast("bench", "publish", "--queue", "kept", "--size", "5000", "--batch", "1", "--count", "1600",
                         servers=cluster.servers(), timeout=120)
        leader = cluster.leader()
        patient, other = cluster.members - {leader}
        cluster.change("repair", str(patient))
        harness.wait_for("the repair", lambda: cluster.roles().get(patient) == "repairing", 10.0)
        return patient, leader, other

    def test_a_handover_is_seen_when_the_node_that_is_asked_first_is_being_repaired(self):
        patient, leader, other = self.repair_one()
        servers = self.cluster.hosts(patient, leader, other)
        for to, arguments in ((other, ()), (leader, (str(leader),))):
            self.says(0, f"node {to} leads, in term".encode(), "transfer", *arguments, servers=servers)
            self.assertEqual(self.cluster.find_leader(self.cluster.members), to)
        self.says(0, f"node {other} leads, in term".encode(), "transfer", servers=self.cluster.address(patient))
        self.assertEqual(self.cluster.roles()[patient], "repairing", "too quick: nothing was tested")

    def test_changes_are_seen_when_the_node_that_is_asked_first_is_being_repaired(self):
        patient, leader, other = self.repair_one()
        servers = self.cluster.hosts(patient, leader)
        self.says(0, b"votes already", "promote", str(leader), servers=servers)
        self.says(0, b"is a member: it", "add", "4", "--peer", self.cluster.peer(4), servers=servers)
        self.says(0, b"is a member already", "add", "4", "--peer", self.cluster.peer(4), servers=servers)
        self.says(0, b"node 4 is no member any more", "remove", "4", servers=servers)
        self.says(0, b"node 4 is no member\n", "remove", "4", servers=servers)
        self.says(1, b"fewer than two voters", "demote", str(other), servers=servers)
        self.says(1, b"no such member", "repair", "4", servers=servers)
        for order in ("repair", "promote"):  # Passed on to those that it knows.
            self.says(1, b"no such member", order, "4", servers=self.cluster.address(patient))
        self.assertEqual(self.cluster.roles()[patient], "repairing", "too quick: nothing was tested")

    def test_a_node_that_is_no_member_does_not_say_that_it_is_being_repaired(self):
        cluster = self.start_growing(3, 1)
        cluster.start(4)
        harness.wait_for("node 4", lambda: cluster.info(4) is not None)
        self.says(1, b"no such member", "repair", "4", servers=cluster.hosts(4, 1))

    def test_why_a_node_cannot_lead(self):
        cluster = self.start_growing(3, 1)
        cluster.add(4)
        harness.wait_for("the learner", lambda: cluster.roles().get(4) == "learner", 30.0)
        leader = cluster.leader()
        follower, other = (node for node in (1, 2, 3) if node != leader)
        for through in (leader, follower, 4):
            self.says(1, b"node 4: it does not vote", "transfer", "4", servers=cluster.address(through))
            self.says(1, b"node 77: there is no such member", "transfer", "77", servers=cluster.address(through))
            self.assertLess(self.took, 2.0)
        cluster.kill(other)
        self.says(3, b"does not run, or cannot be reached", "transfer", str(other))
        cluster.change("demote", str(other))
        cluster.change("promote", "4")
        cluster.change("demote", "4")
        self.cluster.kill(follower)
        self.says(1, b"nobody can take over", "transfer", servers=cluster.address(leader))

    def test_a_cluster_that_has_not_begun_says_just_that(self):
        self.cluster = cluster = Growing(3, 1)
        self.addCleanup(cluster.close)
        cluster.start(1)
        cluster.start(2)
        for node in (1, 2):
            harness.wait_for("an answer", lambda n=node: cluster.info(n) is not None)
        for arguments in (("transfer",), ("transfer", "2"), ("repair", "1"), ("promote", "1", "--timeout", "1")):
            done = self.says(3, b"this cluster has not begun", *arguments)
            self.assertNotIn(b"copy of the state", done.stderr)
            self.assertLess(self.took, 5.0, arguments)

    def test_a_node_that_is_not_there_cannot_be_repaired(self):
        cluster = self.start_growing(3, 0)
        gone = cluster.followers()[0]
        cluster.kill(gone)
        for node in cluster.members - {gone}:
            self.says(3, b"run this again when it does", "repair", str(gone), "--timeout", "2",
                      servers=cluster.address(node))
            self.assertLess(self.took, 6.0)

    def test_where_clients_reach_a_member_is_nobodys_address_for_nodes(self):
        cluster = self.start_growing(3, 1)
        address = cluster.address(2)
        for arguments in (("add", "4"), ("replace", "3", "4")):
            self.says(1, f"clients reach node 2 at {address}".encode(), *arguments, "--peer", address)
        self.assertEqual(set(cluster.roles()), {1, 2, 3})

    def test_who_replaces_by_a_node_that_votes_already_is_told_how_many_are_left(self):
        cluster = self.start_growing(3, 1)
        cluster.start(4)
        self.says(0, b"has taken the place", "replace", "2", "4", "--peer", cluster.peer(4))
        cluster.gone(2)
        cluster.members.add(4)
        done = self.says(0, b"without node 3 2 nodes vote", "replace", "3", "4", "--peer", cluster.peer(4))
        self.assertIn(b"two voters are left", done.stderr)

    def test_of_two_that_replace_by_the_same_node_one_is_told(self):
        cluster = self.start_growing(3, 1)
        command = [harness.HOLDFAST, "--servers", cluster.servers(), "cluster", "replace"]
        both = [subprocess.Popen([*command, old, "4", "--peer", cluster.peer(4)], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE) for old in ("2", "3")]
        harness.wait_for("node 4 as a member", lambda: 4 in cluster.roles())
        cluster.start(4)
        said = b"".join(process.communicate(timeout=60)[1] for process in both)
        codes = [process.returncode for process in both]
        self.tell(f"exit codes {codes}")
        if codes == [0, 0]:  # Each looked before the other's had happened.
            self.assertIn(b"2 nodes vote, and 3 did before", said)
        else:
            self.assertEqual(sorted(codes), [0, 1], said)
            self.assertIn(b"not removed: 3 nodes voted when this began", said)
            self.assertEqual(len(cluster.voters()), 3)


if __name__ == "__main__":
    print(f"operator: {harness.BIN}", file=sys.stderr)
    harness.main()
