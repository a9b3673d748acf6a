"""Nodes as children of the test, each with its own directory, addresses and, where a test wants them, namespaces."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

import harness
import native

PR_SET_PDEATHSIG = 1
ROLE = {b"leader", b"follower", b"candidate"}


def enter_namespaces(*kinds):
    """Runs this program again in namespaces of its own ("mount", "net"): what it mounts or connects there is gone with
    it, and nobody else sees it. Ends the program where that is not allowed: the test cannot be made."""
    if os.environ.get("HOLDFAST_NAMESPACES"):
        return
    command = ["unshare", *(f"--{kind}" for kind in kinds)]
    if "mount" in kinds:
        command += ["--propagation", "private"]
    if os.geteuid() != 0:
        command += ["--user", "--map-root-user"]
    if subprocess.run([*command, "true"], check=False).returncode != 0:
        sys.exit(f"error: {' '.join(command)}: not allowed here, and this test needs it (root, or user namespaces)")
    os.environ["HOLDFAST_NAMESPACES"] = " ".join(kinds)
    os.execvp(command[0], [*command, sys.executable, *sys.argv])


def run(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def die_with_parent():
    """Whatever ends the test, its nodes end."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_ports(count):
    """Ports below those that the kernel gives to outgoing connections, so that a node finds its own free again."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as f:
        low = int(f.read().split()[0])
    top, held = low if low > 12000 else 32768, []
    try:
        port = 10000 + os.getpid() * 131 % (top - 10000)
        while len(held) < count:
            port = port + 1 if port + 1 < top else 10000
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.append(s)
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                held.pop().close()
        return [s.getsockname()[1] for s in held]
    finally:
        for s in held:
            s.close()


class Nodes:
    """A cluster. `addresses` gives for each node its (peer, client) addresses; `prefix` what its command begins with."""

    def __init__(self, count=3, config="", addresses=None, prefix=None):
        self.directory = tempfile.mkdtemp(prefix="holdfast-e2e-")
        self.count, self.config, self.processes = count, config, {}
        self.prefix = prefix or (lambda node: [])
        if addresses is None:
            ports = free_ports(2 * count)
            addresses = [(f"127.0.0.1:{ports[2 * i]}", f"127.0.0.1:{ports[2 * i + 1]}") for i in range(count)]
        self.addresses = addresses
        for node in self.all():
            os.makedirs(self.data(node))

    def all(self):
        return range(1, self.count + 1)

    def data(self, node):
        return os.path.join(self.directory, f"node-{node}", "data")

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def address(self, node):
        return self.addresses[node - 1][1]

    def hosts(self, *nodes):
        return ",".join(self.address(node) for node in nodes or self.all())

    def write_config(self, node):
        path = self.path(f"node-{node}", "config.yml")
        members = "".join(f"  - {{id: {i}, peer: {peer}, client: {client}}}\n"
                          for i, (peer, client) in enumerate(self.addresses, 1))
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"cluster: e2e\nnode: {node}\ndata: \"{self.data(node)}\"\nmembers:\n{members}{self.config}\n")
        return path

    def start(self, node):
        command = [*self.prefix(node), harness.HOLDFASTD, "--config", self.write_config(node)]
        with open(self.path(f"node-{node}", "log"), "ab") as log:
            self.processes[node] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                    preexec_fn=die_with_parent)

    def start_all(self):
        for node in self.all():
            self.start(node)
        return self.leader()

    def signal(self, node, number):
        self.processes[node].send_signal(number)

    def kill(self, node):
        self.processes[node].kill()
        self.processes[node].wait()

    def alive(self, node):
        return self.processes[node].poll() is None

    def pid(self, node):
        return self.processes[node].pid

    def resident_mib(self, node):
        with open(f"/proc/{self.pid(node)}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:")) / 1024

    def log(self, node):
        with open(self.path(f"node-{node}", "log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def show_logs(self, lines=40):
        for node in self.processes:
            tail = "\n".join(self.log(node).splitlines()[-lines:])
            print(f"--- node {node}: the end of its log\n{tail}", file=sys.stderr)

    def info(self, node, seconds=2.0):
        """What the node says of itself as the fields of ClusterInfo, or None when it does not answer."""
        try:
            with native.Connection(self.address(node), timeout=seconds) as connection:
                connection.hello()
                connection.send(native.frame(native.QUERY, native.field(1, 1)))
                while True:
                    got = connection.receive()
                    if got is None or got[0] == native.GOODBYE:
                        return None
                    if got[0] == native.QUERY_RESULT:
                        return native.fields(native.fields(got[1])[6][0])
        except (OSError, TypeError, KeyError):
            return None

    def leads(self, node):
        """The node's term when it takes itself for the leader, else 0."""
        info = self.info(node)
        return info.get(4, [0])[0] if info and info.get(3, [0])[0] == node else 0

    def find_leader(self, among=None):
        terms = {node: self.leads(node) for node in among or self.all() if self.alive(node)}
        best = max(terms, key=terms.get, default=0)
        return best if terms.get(best, 0) > 0 else 0

    def leader(self, seconds=30.0, among=None):
        return harness.wait_for("a leader", lambda: self.find_leader(among), seconds)

    def followers(self, leader=None):
        leader = leader or self.leader()
        return [node for node in self.all() if node != leader]

    def refusing(self, node):
        """Why the node says that new messages are refused; "" when they are not; None when it does not answer."""
        info = self.info(node)
        return None if info is None else info.get(15, [b""])[0].decode()

    def holdfast(self, *arguments, servers=None, check=True, stdin=None, timeout=60):
        done = subprocess.run([harness.HOLDFAST, "--servers", servers or self.hosts(), *arguments],
                              input=b"" if stdin is None else stdin, capture_output=True, timeout=timeout, check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"holdfast {arguments}: exit {done.returncode}\n{done.stdout!r}\n{done.stderr!r}")
        return done

    def close(self):
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


class NodesTest(unittest.TestCase):
    """A test with nodes of its own; a failure shows the ends of their logs."""

    cluster = None

    def start_nodes(self, *arguments, **options):
        self.cluster = Nodes(*arguments, **options)
        self.addCleanup(self.cluster.close)
        self.cluster.start_all()
        return self.cluster

    def tell(self, text):
        """A measured number, for people: it is in the test's output."""
        print(f"{self.id().split('.')[-1]}: {text}", file=sys.stderr, flush=True)
