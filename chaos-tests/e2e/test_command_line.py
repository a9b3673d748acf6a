"""The command line's exit codes, help and output."""

import subprocess

import harness


class CommandLine(harness.ClusterTest):
    def run_plain(self, *arguments, program=harness.HOLDFAST):
        return subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60)

    def test_help(self):
        for arguments in ([], ["queue"], ["queue", "declare"], ["publish"], ["consume"], ["cluster"]):
            done = self.run_plain(*arguments, "--help")
            self.assertEqual(done.returncode, 0, f"{arguments}: {done.stderr}")
            self.assertIn("holdfast", done.stdout)
        done = self.run_plain("--help", program=harness.HOLDFASTD)
        self.assertEqual(done.returncode, 0)
        self.assertIn("--config", done.stdout)

    def test_usage(self):
        for arguments in ([], ["nonsense"], ["publish"], ["queue", "nonsense"], ["consume", "q", "--count", "many"],
                          ["--nonsense"]):
            done = self.run_plain(*arguments)
            self.assertEqual(done.returncode, 2, f"{arguments}: {done.stdout} {done.stderr}")
            self.assertTrue(done.stderr, f"{arguments}: says nothing")
        self.assertEqual(self.run_plain("--nonsense", program=harness.HOLDFASTD).returncode, 2)

    def test_version(self):
        for program in (harness.HOLDFAST, harness.HOLDFASTD):
            done = self.run_plain("version" if program == harness.HOLDFAST else "--version", program=program)
            self.assertEqual(done.returncode, 0)
            self.assertRegex(done.stdout, r"\d+\.\d+\.\d+")

    def test_nobody_there(self):
        # Port 1 of the loopback: nothing of ours listens there.
        done = self.run_plain("--servers", "127.0.0.1:1", "--timeout", "1", "queue", "list")
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertTrue(done.stderr)

    def test_a_day_of_work(self):
        cluster = self.start_cluster()
        cluster.holdfast("queue", "declare", "orders")
        cluster.holdfast("queue", "declare", "orders")
        cluster.holdfast("publish", "orders", "--lines", stdin="one\n\nthree\nlast without newline")
        self.assertEqual(cluster.ready("orders"), 4)
        done = cluster.holdfast("consume", "orders", "--lines", "--count", "2")
        self.assertEqual(done.stdout, "one\n\n")
        done = cluster.holdfast("consume", "orders", "--lines")
        self.assertEqual(done.stdout, "three\nlast without newline\n")
        self.assertEqual(cluster.ready("orders"), 0)
        for node in (1, 2, 3):
            self.assertIsNotNone(cluster.status(node), f"node {node} says nothing of itself")
        leading = [node for node in (1, 2, 3) if cluster.status(node)["role"] == "leader"]
        self.assertEqual(leading, [cluster.leader()])
        # Any node takes any client: those that do not lead say who does.
        for node in (1, 2, 3):
            cluster.holdfast("publish", "orders", stdin="through any", servers=cluster.address(node))
        self.assertEqual(cluster.ready("orders"), 3)
        cluster.holdfast("queue", "delete", "orders")
        self.assertIsNone(cluster.queue("orders"))

    def test_the_queue_is_deleted_while_it_is_consumed(self):
        cluster = self.start_cluster(nodes=1)
        cluster.holdfast("queue", "declare", "q")
        cluster.holdfast("publish", "q", stdin="first")
        reader = cluster.start_holdfast("consume", "q", "--lines", "--idle", "0", stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.assertEqual(reader.stdout.readline(), "first\n")
        cluster.holdfast("queue", "delete", "q")
        out, err = reader.communicate(timeout=30)
        self.assertEqual((reader.returncode, out), (1, ""), err)
        self.assertEqual(err, "holdfast: q: the queue has been deleted\n")

    def test_a_full_disk_of_the_reader(self):
        cluster = self.start_cluster(nodes=1)
        cluster.holdfast("queue", "declare", "q")
        cluster.holdfast("publish", "q", stdin="precious")
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run(cluster.command("consume", "q", "--count", "1"), stdin=subprocess.DEVNULL,
                                  stdout=full, stderr=subprocess.PIPE, timeout=60)
        self.assertEqual(done.returncode, 1, done.stderr)
        done = cluster.holdfast("consume", "q", "--count", "1")
        self.assertEqual(done.stdout, "precious", "what could not be written was not acknowledged")


if __name__ == "__main__":
    harness.main()
