"""A bit of a message changes in a node's memory, wherever the node has it: in the log's newest entries, in the state. Nobody takes it
over from there, no client is given it, and the node goes on, or is repaired from the others."""

import os

import harness
import nodes

CONFIG = "checkpoint_mib: 8\nsegment_mib: 4\nretain_mib: 64\nscrub_interval_s: 0"
COUNT, VICTIM = 300, "MARK-000150-"
# Sanitizers map more than that without using it.
REGION_MAX = 2 << 30


def regions(pid):
    """What the process may write to, and has not mapped from a file."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
        for line in maps:
            words = line.split()
            start, end = (int(word, 16) for word in words[0].split("-"))
            if "w" in words[1] and not (len(words) > 5 and words[5].startswith("/")) and end - start < REGION_MAX:
                yield start, end


def change_memory(pid, marker):
    """Changes a bit behind each occurrence of the marker, and says how many there were."""
    changed = 0
    with open(f"/proc/{pid}/mem", "r+b", 0) as memory:
        for start, end in regions(pid):
            try:
                memory.seek(start)
                data = memory.read(end - start)
            except OSError:
                continue  # Guard pages, and what the kernel keeps for itself.
            at = data.find(marker)
            while at >= 0:
                byte = at + len(marker) + 20
                if byte < len(data):
                    memory.seek(start + byte)
                    memory.write(bytes([data[byte] ^ 1]))
                    changed += 1
                at = data.find(marker, at + 1)
    return changed


class Memory(nodes.NodesTest):
    def begin(self):
        self.start_nodes(3, CONFIG)
        self.cluster.holdfast("queue", "declare", "q")
        self.lines = [f"MARK-{number:06d}-{os.urandom(1500).hex()}" for number in range(COUNT)]

    def publish(self):
        self.cluster.holdfast("publish", "q", "--lines", stdin="".join(f"{line}\n" for line in self.lines).encode())

    def damage(self, node):
        changed = change_memory(self.cluster.pid(node), VICTIM.encode())
        self.assertGreater(changed, 0, "the message was found in the node's memory")
        self.tell(f"{changed} places in the memory of node {node}")

    def browse(self, node):
        done = self.cluster.holdfast("--timeout", "10", "browse", "q", "--lines", "--count", "0",
                                     servers=self.cluster.address(node), check=False)
        lines = done.stdout.decode(errors="replace").splitlines()
        self.assertEqual(set(lines) - set(self.lines), set(), "nothing is given out that was not published")
        return done.returncode == 0 and lines == self.lines

    def expect_whole(self):
        """All three nodes count, have applied the same, and give all messages."""
        def whole():
            infos = [self.cluster.info(node) for node in self.cluster.all()]
            applied = {info.get(6, [0])[0] if info else None for info in infos}
            return len(applied) == 1 and None not in applied
        for node in self.cluster.all():
            harness.wait_for(f"node {node} to give all messages", lambda node=node: self.browse(node), 90)
        harness.wait_for("all nodes to have applied the same", whole, 60)
        for node in self.cluster.all():
            self.assertTrue(self.cluster.alive(node))

    def test_the_leaders_while_a_follower_is_down(self):
        self.begin()
        leader = self.cluster.leader()
        down, _ = self.cluster.followers(leader)
        self.cluster.kill(down)
        self.publish()
        self.damage(leader)
        self.cluster.start(down)
        harness.wait_for("the leader to notice", lambda: "has changed in memory" in self.cluster.log(leader))
        self.cluster.holdfast("--timeout", "10", "publish", "q", stdin=b"MARK-after")
        self.lines.append("MARK-after")
        self.expect_whole()
        self.assertNotIn("differs", self.cluster.log(down), "the follower has got what was published")

    def test_a_followers_that_leads_next(self):
        self.begin()
        leader = self.cluster.leader()
        down, heir = self.cluster.followers(leader)
        self.cluster.kill(down)
        self.publish()
        self.damage(heir)
        self.cluster.holdfast("cluster", "transfer", str(heir))
        self.cluster.leader(among=[heir])
        self.cluster.start(down)
        self.expect_whole()
        self.assertNotIn("differs", self.cluster.log(down), "the follower has got what was published")


if __name__ == "__main__":
    harness.main()
