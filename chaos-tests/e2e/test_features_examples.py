"""The lines of ops/cli/FEATURES.md do what they say; and every command says how it is used."""

import os
import re
import subprocess

import features
import harness

PAGE = os.path.join(harness.ROOT, "ops", "cli", "FEATURES.md")


def sections():
    """[(title, [(line, kind, words)])]: what is expected of a line is "gives" or "refused", or nothing."""
    found = []
    with open(PAGE, encoding="utf-8") as f:
        for line in f.read().splitlines():
            if line.startswith("## "):
                found.append((line[3:], []))
            elif line.startswith("    ") and found:
                said = re.search(r"\s+# (gives|refused:) (.*)$", line)
                text = line[4:said.start()] if said else line[4:]
                found[-1][1].append((text, said.group(1).rstrip(":") if said else "", said.group(2) if said else ""))
    return found


class Examples(features.FeaturesTest):
    def run_section(self, number, lines):
        environment = dict(os.environ, HOLDFAST_SERVERS=self.cluster.hosts(), HOLDFAST_VHOST=f"{self.vhost}.{number}",
                           PATH=f"{harness.BIN}:{os.environ['PATH']}")
        self.cluster.holdfast("vhost", "create", environment["HOLDFAST_VHOST"])
        for text, kind, words in lines:
            done = subprocess.run(["bash", "-c", text], env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, timeout=60, check=False)
            said = f"{text}\nexit {done.returncode}\n{done.stdout}{done.stderr}"
            if kind == "refused":
                self.assertEqual(done.returncode, 1, said)
                self.assertIn(words, done.stderr, said)
            else:
                self.assertEqual(done.returncode, 0, said)
                self.assertIn(words, done.stdout + done.stderr, said)

    def test_every_line(self):
        found = sections()
        self.assertGreater(sum(len(lines) for _, lines in found), 100)
        for number, (title, lines) in enumerate(found):
            with self.subTest(title):
                self.assertTrue(lines, "a section without an example")
                self.run_section(number, lines)

    def test_the_page_is_whole(self):
        """Its links lead somewhere, and the library's calls that it names exist."""
        with open(PAGE, encoding="utf-8") as f:
            page = f.read()
        titles = {title.lower().replace(" ", "-") for title, _ in sections()}
        self.assertEqual(set(re.findall(r"\(#([a-z-]+)\)", page)), titles)
        for path in re.findall(r"\]\(([^#)]+)\)", page):
            self.assertTrue(os.path.exists(os.path.join(os.path.dirname(PAGE), path)), path)
        with open(os.path.join(harness.ROOT, "rpc", "client", "hf.h"), encoding="utf-8") as f:
            header = f.read()
        for call in set(re.findall(r"\b(hf_[a-z_]+)\(", page)):
            self.assertRegex(header, rf"\b{call}\(", call)

    def test_every_command_has_help(self):
        """The help of the program names the commands; each says how it is used, with an example that it understands."""
        top = self.cluster.holdfast("--help").stdout
        for command in ("queue", "exchange", "bind", "unbind", "bindings", "publish", "consume", "browse", "redrive",
                        "replay", "message", "vhost", "limits", "cluster", "bench", "log", "consumers", "producer",
                        "prepared", "transact", "settle", "work", "producer"):
            self.assertIn(command, top)
            text = self.cluster.holdfast(command, "--help").stdout
            self.assertIn("Usage: holdfast", text, command)
            self.assertEqual(self.cluster.holdfast("help", command).stdout, text)
            self.assertIn("Example", text, command)


if __name__ == "__main__":
    features.main()
