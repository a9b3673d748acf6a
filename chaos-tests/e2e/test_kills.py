"""No line is lost, doubled or out of place when nodes are killed or paused while a file goes through the cluster."""

import harness
import lines


class Kills(harness.ClusterTest):
    def all_files(self, interrupt):
        cluster = self.start_cluster()
        for name, path in harness.input_files(cluster.directory).items():
            lines.Round(cluster, name, path).run(lambda: interrupt(cluster))

    def test_lines_through_leader_kill(self):
        self.all_files(lines.kill_leader)

    def test_lines_through_kill_of_all(self):
        self.all_files(lines.kill_all)

    def test_lines_through_pause_of_leader(self):
        self.all_files(lines.pause_leader)


if __name__ == "__main__":
    harness.main()
