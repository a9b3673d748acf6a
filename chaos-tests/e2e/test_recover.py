"""The majority of a cluster is gone for good: an operator makes the survivor go on alone, and is told before what that costs.
Nothing is changed before it is confirmed; nodes that were given up cannot come back; new ones can join."""

import glob
import hashlib
import os
import pty
import shutil
import signal
import subprocess

import harness
import nodes
from client import Client

SMALL = "checkpoint_mib: 1\nsegment_mib: 1\nretain_mib: 1\nreserve_mib: 2"


def digest(directory):
    """Of all names and contents."""
    total = hashlib.sha256()
    for path, names, files in sorted(os.walk(directory)):
        names.sort()
        for name in sorted(files):
            with open(os.path.join(path, name), "rb") as f:
                total.update(f"{os.path.relpath(path, directory)}/{name}\0".encode() + f.read())
    return total.hexdigest()


class Recover(nodes.NodesTest):
    def start_with_messages(self, count=500, config=""):
        """Three nodes that all have the same confirmed messages."""
        self.start_nodes(config=config)
        self.lines = [f"message {number} {os.urandom(500).hex()}\n" for number in range(count)]
        path = self.cluster.path("lines")
        with open(path, "w", encoding="ascii") as f:
            f.writelines(self.lines)
        self.cluster.holdfast("queue", "declare", "q")
        self.cluster.holdfast("publish", "q", "--lines", "--file", path)
        self.wait_all_the_same()

    def wait_all_the_same(self):
        def same():
            infos = [self.cluster.info(node) for node in self.cluster.all()]
            return all(infos) and len({info.get(6, [0])[0] for info in infos}) == 1
        harness.wait_for("all nodes to have applied the same", same)

    def lose(self, *gone):
        for node in gone:
            self.cluster.kill(node)
            os.rename(self.cluster.data(node), self.cluster.data(node) + ".gone")

    def put_back(self, *gone):
        for node in gone:
            os.rename(self.cluster.data(node) + ".gone", self.cluster.data(node))

    def recover(self, node, *arguments, data=None):
        return subprocess.run([harness.HOLDFAST, "cluster", "recover", "--data", data or self.cluster.data(node),
                               *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
                              check=False)

    def lose_majority(self):
        """Leaves one that does not lead, stopped. Returns it."""
        survivor = self.cluster.followers()[0]
        self.lose(*(node for node in self.cluster.all() if node != survivor))
        self.cluster.kill(survivor)
        return survivor

    def recover_survivor(self):
        survivor = self.lose_majority()
        done = self.recover(survivor, "--accept-loss", "--yes", "e2e")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.cluster.start(survivor)
        self.cluster.leader(among=[survivor])
        return survivor, done

    def check_content(self, node, lines):
        out = self.cluster.holdfast("consume", "q", "--lines", "--count", str(len(lines)), "--timeout", "20",
                                    servers=self.cluster.address(node)).stdout.decode()
        self.assertTrue(out == "".join(lines), f"{out.count(chr(10))} lines came back, of {len(lines)}")

    def fill_log(self):
        """Until the logs no longer have the entry with the first membership."""
        self.cluster.holdfast("queue", "declare", "other")
        self.cluster.holdfast("bench", "publish", "--queue", "other", "--window", "1", "--batch", "1", "--size", "5000",
                              "--count", "1500")
        harness.wait_for("logs that begin later",
                         lambda: all(self.cluster.info(node).get(7, [0])[0] > 1 for node in self.cluster.all()))
        self.wait_all_the_same()

    def check_serves_alone(self, config):
        self.start_with_messages(config=config)
        if config:
            self.fill_log()
        survivor, done = self.recover_survivor()
        gone = [node for node in self.cluster.all() if node != survivor]
        self.assertIn(f"goes on    node {survivor} ", done.stdout)
        for node in gone:
            self.assertIn(f"given up   node {node} ", done.stdout)
        self.assertIn("committed  up to entry", done.stdout)
        self.cluster.holdfast("publish", "q", stdin=b"one more", servers=self.cluster.address(survivor))
        # A start later everything is as it was.
        self.cluster.kill(survivor)
        self.cluster.start(survivor)
        self.cluster.leader(among=[survivor])
        self.check_content(survivor, [*self.lines, "one more\n"])
        with open(os.path.join(self.cluster.data(survivor), "recoveries"), encoding="utf-8") as f:
            said = f.read()
        self.assertIn(f"done forced recovery of node {survivor} ", said)
        self.assertIn(f"given up: nodes {gone[0]} {gone[1]}", said)
        return survivor

    def test_what_clients_held_is_delivered_again(self):
        """One keeps its session and what it holds, at the survivor; what is held by one that went with its node goes back."""
        self.start_with_messages(count=200)
        survivor = self.cluster.followers()[0]
        gone = [node for node in self.cluster.all() if node != survivor]
        everybody = [self.cluster.address(node) for node in [gone[0], survivor]]
        with Client(everybody, lease_ms=60_000).attach() as stays, \
                Client([self.cluster.address(gone[1])], lease_ms=3000).attach() as leaves:
            for client in (stays, leaves):
                client.subscribe(b"q", credit=50)
                client.wait(lambda c=client: len(c.deliveries) == 50, "its deliveries")
            self.wait_all_the_same()
            self.lose(*gone)
            self.cluster.kill(survivor)
            done = self.recover(survivor, "--accept-loss", "--yes", "e2e")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.cluster.start(survivor)
            self.cluster.leader(among=[survivor])
            for delivery in list(stays.deliveries):
                number = stays.settle(delivery)
                self.assertEqual(stays.call(number), 0)
                self.assertEqual(stays.replies[number][2:], (1, 0), "settled, not stale")
            # The first has settled 50 and holds as many.
            harness.wait_for("the others to be ready again", lambda: self.ready(survivor) == 100, 40)
            leaves.drop()

    def ready(self, node):
        listing = self.cluster.holdfast("queue", "list", servers=self.cluster.address(node)).stdout.decode()
        return next(int(row["ready"]) for row in harness.table(listing, "QUEUE") if row["queue"] == "q")

    def test_the_survivor_serves_what_it_had(self):
        survivor = self.check_serves_alone("")
        self.cluster.signal(survivor, signal.SIGTERM)
        self.cluster.processes[survivor].wait(10)
        again = self.recover(survivor, "--accept-loss", "--yes", "e2e")
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertIn("the only voter", again.stdout)
        dump = subprocess.run([harness.HOLDFAST, "log", "dump", self.cluster.data(survivor)], capture_output=True, text=True,
                              check=True).stdout
        self.assertIn(f"bytes: forced recovery of node {survivor} at ", dump)

    def test_the_survivor_goes_on_from_a_checkpoint(self):
        survivor = self.check_serves_alone(SMALL)
        self.assertGreater(self.cluster.info(survivor)[7][0], 1)

    def test_nothing_is_changed_without_a_clear_yes(self):
        self.start_with_messages(count=50)
        done = self.recover(1, "--accept-loss", "--yes", "e2e")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"another process (pid {self.cluster.pid(1)}) uses", done.stderr)
        survivor = self.lose_majority()
        data = self.cluster.data(survivor)
        before = digest(data)
        for arguments, code, text in (([], 2, "nothing was changed: --accept-loss"),
                                      (["--accept-loss"], 1, "no terminal to ask on"),
                                      (["--accept-loss", "--yes", "other"], 1, "\"other\" is not the name")):
            done = self.recover(survivor, *arguments)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(text, done.stderr)
            self.assertIn("lost       whatever the other nodes had confirmed", done.stdout)
            self.assertEqual(digest(data), before, arguments)
        for other, text in ((self.cluster.path("nowhere"), "is not the data directory of a node"),
                            (self.cluster.directory, "is not the data directory of a node")):
            done = self.recover(survivor, "--accept-loss", "--yes", "e2e", data=other)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(text, done.stderr)
        self.assertFalse(os.path.exists(self.cluster.path("nowhere")))
        usage = subprocess.run([harness.HOLDFAST, "cluster", "recover", "--accept-loss"], capture_output=True, check=False)
        self.assertEqual(usage.returncode, 2)

    def test_nothing_is_changed_when_nobody_can_read_what_is_lost(self):
        self.start_with_messages(count=5)
        survivor = self.lose_majority()
        data = self.cluster.data(survivor)
        before = digest(data)
        command = f"exec {harness.HOLDFAST} cluster recover --data {data} --accept-loss --yes e2e"
        reader, nobody_reads = os.pipe()
        os.close(reader)
        for redirected in (">/dev/full", ">&-", "2>&-", f">&{nobody_reads}"):
            done = subprocess.run(["bash", "-c", f"{command} {redirected}"], stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, timeout=60, check=False, pass_fds=[nobody_reads])
            self.assertEqual(done.returncode, 1, (redirected, done.stderr))
            self.assertEqual(digest(data), before, redirected)
            if "2>" not in redirected:
                self.assertIn("nothing was changed", done.stderr)
        os.close(nobody_reads)

    def test_damage_is_found_before_anything_is_changed(self):
        self.start_with_messages(count=50)
        survivor = self.lose_majority()
        data = self.cluster.data(survivor)
        segment = sorted(os.listdir(os.path.join(data, "shard-0", "log")))[0]
        with open(os.path.join(data, "shard-0", "log", segment), "r+b") as f:
            f.seek(2048)
            byte = f.read(1)
            f.seek(2048)
            f.write(bytes([byte[0] ^ 0xff]))
        before = digest(data)
        done = self.recover(survivor, "--accept-loss", "--yes", "e2e")
        self.assertEqual(done.returncode, 1)
        self.assertIn(segment, done.stderr)
        self.assertEqual(digest(data), before)

    def damage_bodies(self, survivor, wanted):
        """A bit of each of these bodies, where they lie in the files of the store. How many there were."""
        found = 0
        for path in glob.glob(os.path.join(self.cluster.data(survivor), "shard-0", "state", "*.blob")):
            with open(path, "r+b") as f:
                content = f.read()
                for number in wanted:
                    at = content.find(self.lines[number].rstrip("\n").encode())
                    if at >= 0:
                        f.seek(at + 200)
                        f.write(bytes([content[at + 200] ^ 1]))
                        found += 1
        return found

    def browse(self, node, *arguments):
        return self.cluster.holdfast("browse", "q", "--lines", *arguments,
                                     servers=self.cluster.address(node)).stdout.decode()

    def test_damaged_messages_are_found_and_accepted_only_when_asked_for(self):
        """Without a word about it they would end the node later, which has nobody left who could repair it."""
        self.start_with_messages(count=300, config=SMALL)
        self.fill_log()
        survivor = self.lose_majority()
        data = self.cluster.data(survivor)
        damaged = [10, 11, 13, 200]
        self.assertEqual(self.damage_bodies(survivor, damaged), len(damaged))
        before = digest(data)
        for arguments, code in (([], 2), (["--accept-loss", "--yes", "e2e"], 1)):
            done = self.recover(survivor, *arguments)
            self.assertEqual(done.returncode, code, done.stderr)
            for where in ("positions 11 to 12", "position 14", "position 201"):
                self.assertIn(f"  damaged    {where} of queue q: ", done.stdout)
            self.assertEqual(done.stdout.count("damaged"), 3)
            self.assertEqual(digest(data), before, arguments)
        self.assertIn("nothing was changed", done.stderr)
        self.assertIn("--accept-damage", done.stderr)
        done = self.recover(survivor, "--accept-damage")
        self.assertEqual(done.returncode, 2, "the loss has to be accepted too")
        self.assertEqual(digest(data), before)
        done = self.recover(survivor, "--accept-loss", "--accept-damage", "--yes", "e2e")
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(os.path.join(data, "recoveries"), encoding="utf-8") as f:
            self.assertIn("; accepted: damage at 3 places, the first: positions 11 to 12 of queue q", f.read())
        dump = subprocess.run([harness.HOLDFAST, "log", "dump", data], capture_output=True, text=True, check=True).stdout
        self.assertIn("; accepted: damage at 3 places", dump)
        self.check_what_is_whole_can_be_read_and_the_rest_deleted(survivor, damaged)

    def check_what_is_whole_can_be_read_and_the_rest_deleted(self, survivor, damaged):
        self.cluster.start(survivor)
        self.cluster.leader(among=[survivor])
        servers = self.cluster.address(survivor)
        # What is browsed is read ahead; what is consumed is not.
        self.check_content(survivor, self.lines[:damaged[0]])
        self.assertEqual(self.browse(survivor, "--from", str(damaged[-1] + 2)), "".join(self.lines[damaged[-1] + 1:]))
        for _ in range(12):  # Checkpoints enough for RocksDB to merge its files.
            self.cluster.holdfast("bench", "publish", "--queue", "other", "--size", "5000", "--count", "300",
                                  servers=servers)
        self.cluster.holdfast("queue", "purge", "q", servers=servers)
        self.cluster.holdfast("publish", "q", stdin=b"new\n", servers=servers)
        self.assertEqual(self.browse(survivor), "new\n\n")
        self.cluster.holdfast("queue", "delete", "q", servers=servers)
        for _ in range(12):  # Checkpoints enough for RocksDB to merge its files.
            self.cluster.holdfast("bench", "publish", "--queue", "other", "--size", "5000", "--count", "300",
                                  servers=servers)
        self.cluster.signal(survivor, signal.SIGTERM)
        self.cluster.processes[survivor].wait(10)
        self.assertEqual(self.cluster.processes[survivor].returncode, 0)
        done = self.recover(survivor)
        self.assertNotIn("damaged", done.stdout)

    def test_a_store_without_its_beginning_is_damage(self):
        """With the file CURRENT gone, the files that come after it say that there was a store."""
        self.start_with_messages(count=50)
        survivor = self.lose_majority()
        state = os.path.join(self.cluster.data(survivor), "shard-0", "state")
        os.unlink(os.path.join(state, "CURRENT"))
        before = digest(self.cluster.data(survivor))
        done = self.recover(survivor, "--accept-loss", "--accept-damage", "--yes", "e2e")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("state/CURRENT: the file is missing", done.stderr)
        self.assertEqual(digest(self.cluster.data(survivor)), before)

    def on_a_terminal(self, survivor, answer):
        main, side = pty.openpty()
        with subprocess.Popen([harness.HOLDFAST, "cluster", "recover", "--accept-loss", "--data",
                               self.cluster.data(survivor)], stdin=side, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True) as process:
            os.close(side)
            os.write(main, answer)
            out, err = process.communicate(timeout=60)
            os.close(main)
            return process.returncode, out, err

    def test_the_question_on_a_terminal(self):
        self.start_with_messages(count=50)
        survivor = self.lose_majority()
        before = digest(self.cluster.data(survivor))
        code, _, err = self.on_a_terminal(survivor, b"yes\n")
        self.assertEqual(code, 1)
        self.assertIn("type the name of the cluster", err)
        self.assertEqual(digest(self.cluster.data(survivor)), before)
        code, out, err = self.on_a_terminal(survivor, b"e2e\n")
        self.assertEqual(code, 0, err)
        self.assertIn("the only voter", out)
        self.cluster.start(survivor)
        self.cluster.leader(among=[survivor])
        self.check_content(survivor, self.lines)

    def test_a_recovery_that_was_interrupted_is_finished(self):
        """When the log is changed already, and not all is written down."""
        self.start_with_messages(count=50)
        survivor = self.lose_majority()
        data = self.cluster.data(survivor)
        os.makedirs(os.path.join(data, "members.new", "x"))  # Where the list of members would be written.
        done = self.recover(survivor, "--accept-loss", "--yes", "e2e")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("run this again", done.stderr)
        self.cluster.start(survivor)
        self.cluster.processes[survivor].wait(20)
        self.assertIn("begun and not finished", self.cluster.log(survivor))
        shutil.rmtree(os.path.join(data, "members.new"))
        done = self.recover(survivor, "--accept-loss", "--yes", "e2e")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.cluster.start(survivor)
        self.cluster.leader(among=[survivor])
        self.check_content(survivor, self.lines)

    def test_it_may_be_killed_at_any_moment(self):
        self.start_with_messages(count=50)
        survivor = self.lose_majority()
        command = [harness.HOLDFASTD, "--recover", "--data", self.cluster.data(survivor), "--accept-loss", "--yes", "e2e"]
        kills, code = 0, None
        for number in range(100):
            with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT) as process:
                try:
                    code = process.wait(0.008 * number if number < 80 else None)
                except subprocess.TimeoutExpired:
                    process.kill()
                    kills += 1
                    continue
            break
        self.assertEqual(code, 0)
        with open(os.path.join(self.cluster.data(survivor), "recoveries"), encoding="utf-8") as f:
            begun = f.read().count("\nbegun ") - 1
        self.tell(f"killed {kills} times, {begun} times after it had begun to write")
        self.cluster.start(survivor)
        self.cluster.leader(among=[survivor])
        self.check_content(survivor, self.lines)

    def test_nodes_that_were_given_up_are_refused_and_stop(self):
        self.start_with_messages()
        survivor, _ = self.recover_survivor()
        gone = [node for node in self.cluster.all() if node != survivor]
        self.put_back(*gone)
        for node in gone:
            self.cluster.start(node)
        for node in gone:
            harness.wait_for(f"node {node} to stop", lambda n=node: not self.cluster.alive(n))
            self.assertIn("was given up", self.cluster.log(node))
        # For good, also when nobody is there to tell them.
        self.cluster.kill(survivor)
        for node in gone:
            self.cluster.start(node)
            self.cluster.processes[node].wait(20)
            self.assertNotEqual(self.cluster.processes[node].returncode, 0)
        self.cluster.start(survivor)
        self.cluster.leader(among=[survivor])
        self.check_content(survivor, self.lines)

    def start_joining(self, node, members):
        """A new node with an empty directory, which knows where the others are."""
        path = self.cluster.path(f"node-{node}", "config.yml")
        os.makedirs(self.cluster.data(node))
        lines = "".join(f"  - {{id: {i}, peer: {self.cluster.addresses[i - 1][0]}, "
                        f"client: {self.cluster.addresses[i - 1][1]}}}\n" for i in members)
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"cluster: e2e\nnode: {node}\njoin: true\ndata: \"{self.cluster.data(node)}\"\nmembers:\n{lines}\n")
        with open(self.cluster.path(f"node-{node}", "log"), "ab") as log:
            self.cluster.processes[node] = subprocess.Popen([harness.HOLDFASTD, "--config", path],
                                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                            preexec_fn=nodes.die_with_parent)

    def join_two(self, survivor):
        """Nodes 4 and 5, with votes."""
        used = {address for pair in self.cluster.addresses for address in pair}
        ports = [port for port in nodes.free_ports(4 + len(used)) if f"127.0.0.1:{port}" not in used]
        self.cluster.addresses += [(f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}"),
                                   (f"127.0.0.1:{ports[2]}", f"127.0.0.1:{ports[3]}")]
        servers = self.cluster.address(survivor)
        for node in (4, 5):
            self.start_joining(node, [survivor, node])
            peer = self.cluster.addresses[node - 1][0]
            self.cluster.holdfast("cluster", "add", str(node), "--peer", peer, servers=servers)
            self.cluster.holdfast("cluster", "promote", str(node), servers=servers)

    def test_new_nodes_join_the_survivor(self):
        self.start_with_messages()
        survivor, _ = self.recover_survivor()
        self.join_two(survivor)
        # The survivor is one of three again.
        self.cluster.kill(survivor)
        leader = self.cluster.leader(among=[4, 5])
        self.check_content(leader, self.lines)
        shutil.rmtree(self.cluster.data(survivor) + ".gone", ignore_errors=True)

    def test_given_up_stays_given_up_when_the_survivor_has_gone_too(self):
        """What the others had confirmed without the survivor is lost, and does not come back with one of them that an operator
        adds again when nobody is left who took part in the recovery."""
        self.start_with_messages()
        survivor = self.cluster.followers()[0]
        gone = [node for node in self.cluster.all() if node != survivor]
        self.cluster.kill(survivor)
        for number in range(20):
            self.cluster.holdfast("publish", "q", stdin=f"lost {number}".encode(), servers=self.cluster.hosts(*gone))
        self.lose(*gone)
        done = self.recover(survivor, "--accept-loss", "--yes", "e2e")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.cluster.start(survivor)
        self.cluster.leader(among=[survivor])
        self.join_two(survivor)
        servers = self.cluster.hosts(4, 5)
        self.cluster.holdfast("cluster", "remove", str(survivor), servers=servers)
        leader = self.cluster.leader(among=[4, 5])
        back = gone[0]
        self.put_back(back)
        self.cluster.start(back)
        self.cluster.holdfast("cluster", "add", str(back), "--peer", self.cluster.addresses[back - 1][0], servers=servers)
        # It knows the members of the old cluster, and no others.
        harness.wait_for("the node to be refused",
                         lambda: f"is not a member that node {back} knows" in self.cluster.log(leader))
        status = self.cluster.holdfast("cluster", "status", servers=servers).stdout.decode()
        row = next(row for row in harness.table(status, "NODE") if row["node"] == str(back))
        self.assertEqual(row["role"], "unreachable", status)
        self.cluster.holdfast("cluster", "remove", str(back), servers=servers)
        self.check_content(leader, self.lines)


if __name__ == "__main__":
    harness.main()
