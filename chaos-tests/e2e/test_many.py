"""Many of everything: ten thousand clients with sessions, ten thousand queues, a thousand consumers of one queue, a hundred
thousand messages that are out with consumers, a queue that is always busy beside a hundred that are not. Nothing is lost or
doubled, nobody waits long for the others, and the loss of the leader is a pause for all of them."""

import collections
import os
import socket
import struct
import subprocess
import time

import harness
import native
import nodes
import swarm
from client import hash_of_eight

CLIENTS, QUEUES = 10_000, 10_000
CONSUMERS, SHARED, SHARED_MESSAGES = 1_000, b"shared", 20_000
UNSETTLED, HELD, HOLDERS, LEASE_MS = 100_000, b"held", 1_000, 3_000
LEASE_SECONDS_MIN = LEASE_MS / 1000 * 0.9  # Log time leans towards the wall clock, by a tenth at the most.
BUSY, BUSY_SECONDS = "busy", 6
BATCH = 1_000
LARGE, LARGE_LEN, SLOW_CONSUMERS = b"large", 1 << 20, 40
LARGER, LARGER_LEN, SLOW_READERS, SLOW_SECONDS = b"larger", 15 << 20, 100, 4
SLOW_CONFIG = "client_memory_mib: 64\ncheckpoint_mib: 4\nsegment_mib: 4\nreserve_mib: 16\ncache_mib: 4"
SLOW_MIB = 200  # The clients' memory, three copies of the message while it is read, and what the allocator keeps.
OPEN_FILES = 16_384
IDLE_SECONDS = 2.0
PAUSE_SECONDS = 10.0


def queue_name(n):
    return b"many-%05d" % n


class Echo:
    """A member that publishes a number to a queue of its own, takes it, settles it, and goes on with the next."""

    def __init__(self, member, queue, pause=0.0):
        self.member, self.queue, self.pause = member, queue, pause
        self.value, self.sent, self.times, self.ends, self.due, self.going = 0, 0.0, [], [], 0.0, False
        member.declare(queue)
        member.subscribe(queue, credit=10)

    def turn(self, now):
        if self.going and self.due is not None and now >= self.due:
            self.due, self.sent, body = None, now, struct.pack("<Q", self.value)
            self.member.publish(self.queue, [body], [hash_of_eight(body)])

    def take(self, delivery):
        if delivery.id() != self.value or delivery.count != 0:
            raise AssertionError(f"message {delivery.id()}, delivered {delivery.count} times before, and not {self.value}")
        now = time.monotonic()
        self.times.append(now - self.sent)
        self.ends.append(now)
        self.member.settle(1, delivery.number, delivery.number)
        self.value += 1
        self.due = now + self.pause
        self.turn(now)

    def gap(self, since):
        return max(b - a for a, b in zip(self.ends, self.ends[1:]) if b >= since)


class Many(nodes.NodesTest):
    def begin(self, **options):
        self.start_nodes(**options)
        self.addresses = [self.cluster.address(node) for node in self.cluster.all()]
        self.leader = self.cluster.leader()
        self.swarm = swarm.Swarm()
        self.addCleanup(self.swarm.close)
        self.echoes = {}

    def living(self, measure):
        return {node: measure(node) for node in self.cluster.all() if self.cluster.alive(node)}

    def resident(self):
        return self.living(self.cluster.resident_mib)

    # Echoes

    def add_echoes(self, count, pause=0.0):
        """One message at a time, there and back, on a queue each, at all nodes."""
        for n, member in enumerate(self.swarm.add(count, self.addresses)):
            self.echoes[member] = Echo(member, b"echo-%d" % n, pause)
        self.swarm.run_attached()
        self.swarm.on_delivery = self.on_delivery
        self.swarm.on_turn = self.on_turn
        return list(self.echoes.values())

    def on_delivery(self, member, delivery):
        self.echoes[member].take(delivery)

    def on_turn(self):
        now = time.monotonic()
        for echo in self.echoes.values():
            echo.turn(now)

    def go(self, going=True):
        for echo in self.echoes.values():
            echo.going = going
        if not going:
            self.swarm.run(lambda: all(echo.due is not None for echo in self.echoes.values()), "the last messages")

    def echo_times(self, seconds):
        """How long messages took to get through meanwhile, in milliseconds: median and 99th percentile."""
        self.go()
        begin = {member: len(echo.times) for member, echo in self.echoes.items()}
        end = time.monotonic() + seconds
        self.swarm.run(lambda: time.monotonic() > end, "a while", seconds + 10)
        times = sorted(t for member, echo in self.echoes.items() for t in echo.times[begin[member]:])
        self.assertGreater(len(times), 0)
        return times[len(times) // 2] * 1000, times[len(times) * 99 // 100] * 1000

    # Messages

    def publish_numbers(self, queue, first, count):
        """The numbers from `first` on, each in a message, from a member of its own."""
        member = self.swarm.add(1, self.addresses)[0]
        member.declare(queue)
        for begin in range(first, first + count, BATCH):
            bodies = [struct.pack("<Q", n) for n in range(begin, min(begin + BATCH, first + count))]
            member.publish(queue, bodies, [hash_of_eight(body) for body in bodies])
        return member

    # The loss of the leader

    def kill_leader(self, ask):
        """All go on: those of the killed node elsewhere, the others without noticing. `ask(member)` submits a command for
        each, whose answer shows it. When all were attached again, and answered, in seconds after the kill."""
        crowd, gone = self.swarm, self.cluster.address(self.leader)
        homes = {member: member.address() for member in crowd.members}
        killed = time.monotonic()
        self.cluster.kill(self.leader)
        crowd.run(lambda: all(member.address() != gone for member in crowd.members), "their connections end")
        crowd.run_attached()
        attached = time.monotonic() - killed
        for member in crowd.members:
            if member not in self.echoes:
                ask(member)
        crowd.run_answered(member for member in crowd.members if member not in self.echoes)
        answered = time.monotonic() - killed
        self.assertEqual(crowd.goodbyes, [], "no session was lost")
        moved = [member for member, home in homes.items() if home != gone and member.address() != home]
        self.assertEqual(moved, [], "who was elsewhere lost no connection")
        self.assertEqual(crowd.errors, [])
        return killed, attached, answered

    def check_idle(self):
        """So many clients that ask for nothing cost next to nothing, and each is answered when it does."""
        crowd = self.swarm
        before, end = self.living(self.cpu_seconds), time.monotonic() + IDLE_SECONDS
        crowd.run(lambda: time.monotonic() > end, "a while")
        idle = max(now - before[node] for node, now in self.living(self.cpu_seconds).items()) / IDLE_SECONDS
        self.assertLess(idle, 0.25, "a node is busy with clients that want nothing")
        started, pongs = time.monotonic(), crowd.pongs
        for member in crowd.members:
            member.ping()
        crowd.run(lambda: crowd.pongs == pongs + len(crowd.members), "an answer to each PING")
        return idle, time.monotonic() - started

    def cpu_seconds(self, node):
        with open(f"/proc/{self.cluster.pid(node)}/stat", encoding="ascii") as f:
            cells = f.read().rsplit(")", 1)[1].split()
        return (int(cells[11]) + int(cells[12])) / os.sysconf("SC_CLK_TCK")

    def check_queue_pages(self):
        """The listing has each queue once, page after page, with its one message."""
        started = time.monotonic()
        rows = harness.table(self.cluster.holdfast("queue", "list").stdout.decode(), "QUEUE")
        seconds = time.monotonic() - started
        listed = collections.Counter((row["queue"], row["ready"]) for row in rows if row["queue"].startswith("many-"))
        self.assertEqual(listed, {(queue_name(n).decode(), "1"): 1 for n in range(QUEUES)})
        return seconds

    def test_ten_thousand_clients_and_queues(self):
        self.begin()
        crowd = self.swarm
        self.add_echoes(3)
        alone = self.echo_times(1.0)
        self.go(False)
        before = self.resident()
        clients = crowd.add(CLIENTS, self.addresses)
        attached = crowd.run_attached()
        after = self.resident()
        grown = max((after[node] - before[node]) for node in after) * 1024
        idle, pinged = self.check_idle()
        self.tell(f"{CLIENTS} clients attached in {attached:.1f} s; {grown:.0f} KiB more in a node that has a third of them, "
                  f"{grown / CLIENTS * 3:.1f} each; idle they cost {idle * 100:.1f} % of a processor; a PING of each is "
                  f"answered in {pinged:.1f} s")
        started = time.monotonic()
        for n, member in enumerate(clients):
            member.declare(queue_name(n % QUEUES))
        crowd.run_answered(clients)
        declared, body = time.monotonic(), bytes(8)
        for n, member in enumerate(clients):
            member.publish(queue_name(n % QUEUES), [body], [hash_of_eight(body)])
        crowd.run_answered(clients)
        published = time.monotonic()
        listed = self.check_queue_pages()
        full = self.resident()
        beside = self.echo_times(1.0)
        self.tell(f"{QUEUES} queues declared in {declared - started:.1f} s, a message to each in {published - declared:.1f} s, "
                  f"listed in {listed:.2f} s, {max(full[node] - after[node] for node in full):.0f} MiB; a message gets through "
                  f"in {beside[0]:.1f} ms (99 %: {beside[1]:.1f}), {alone[0]:.1f} ({alone[1]:.1f}) without all these")
        self.assertLess(beside[0], 10 * alone[0] + 20)
        killed, attached, answered = self.kill_leader(lambda member: member.declare(queue_name(0)))
        self.go(False)
        gaps = [echo.gap(killed) for echo in self.echoes.values()]
        self.assertLess(max(gaps), PAUSE_SECONDS)
        self.tell(f"leader killed: pauses of {min(gaps) * 1000:.0f} to {max(gaps) * 1000:.0f} ms, all {CLIENTS} attached after "
                  f"{attached:.1f} s and answered after {answered:.1f} s; now {max(self.resident().values()):.0f} MiB a node")

    def test_thousand_consumers_of_one_queue(self):
        self.begin()
        crowd, taken, shares = self.swarm, collections.Counter(), collections.Counter()

        def take(member, delivery):
            taken[delivery.id()] += 1
            shares[member, delivery.consumer] += 1
            self.assertEqual(delivery.count, 0)
            member.settle(delivery.consumer, delivery.number, delivery.number)
        crowd.on_delivery = take
        crowd.add(1, self.addresses)[0].declare(SHARED)
        crowd.run_attached()
        crowd.run_answered()
        several = CONSUMERS // 5  # Of these there are ten to a session.
        members = crowd.add(CONSUMERS - several, self.addresses) + crowd.add(several // 10, self.addresses)
        for n, member in enumerate(members):
            for consumer in range(1, 2 if n < CONSUMERS - several else 11):
                member.subscribe(SHARED, consumer, credit=2 * SHARED_MESSAGES // CONSUMERS)
        crowd.run_attached()
        crowd.run_answered()
        started = time.monotonic()
        self.publish_numbers(SHARED, 0, SHARED_MESSAGES)
        crowd.run(lambda: len(taken) == SHARED_MESSAGES, "all messages")
        seconds, mean = time.monotonic() - started, SHARED_MESSAGES // CONSUMERS
        self.assertEqual(len(shares), CONSUMERS)
        self.assertEqual(set(shares.values()), {mean}, "they take turns, and all had credit for more")
        self.tell(f"{SHARED_MESSAGES} messages to {CONSUMERS} consumers in {seconds:.1f} s, {mean} to each")
        self.publish_numbers(SHARED, SHARED_MESSAGES, SHARED_MESSAGES)
        crowd.run(lambda: len(taken) > SHARED_MESSAGES * 5 // 4, "some messages")
        _, _, answered = self.kill_leader(lambda member: member.declare(SHARED))
        crowd.run(lambda: len(taken) == 2 * SHARED_MESSAGES, "all messages")
        crowd.run_answered()
        self.assertEqual(set(taken.values()), {1}, "each once")
        self.assertEqual(crowd.errors, [])
        self.tell(f"leader killed in the midst of as many: all consumers are answered after {answered:.1f} s, each message came once")

    def test_hundred_thousand_unsettled_messages(self):
        self.begin()
        crowd, taken, returned, holder, closed = self.swarm, collections.Counter(), collections.Counter(), {}, []

        def take(member, delivery):
            if member in holders:
                taken[delivery.id()] += 1
                holder[delivery.id()] = member
                self.assertEqual(delivery.count, 0)
                return
            returned[delivery.id()] += 1
            self.assertEqual(delivery.count, 1, "marked as redelivered")
            if holder[delivery.id()] not in closing:
                self.assertGreater(time.monotonic() - ended, LEASE_SECONDS_MIN, "a lease is kept")
            if holder[delivery.id()] in closing:
                closed.append(time.monotonic() - ended)
        crowd.on_delivery, holders = take, set()
        before = self.resident()
        publisher = self.publish_numbers(HELD, 0, UNSETTLED)
        crowd.run_attached()
        crowd.run_answered()
        holders.update(crowd.add(HOLDERS, self.addresses, lease_ms=LEASE_MS))
        for member in holders:
            member.subscribe(HELD, credit=UNSETTLED // HOLDERS)
        held = crowd.run(lambda: len(taken) == UNSETTLED, "all messages")
        after = self.resident()
        _, _, answered = self.kill_leader(lambda member: member.declare(HELD))
        crowd.run_answered()
        self.assertEqual(set(taken.values()), {1}, "those who held them hold them, and nobody was sent one again")
        others = crowd.add(4, [self.cluster.address(node) for node in self.living(str)])
        for member in others:
            member.subscribe(HELD, credit=UNSETTLED // 2)
        crowd.run_attached()
        crowd.run_answered()
        self.assertEqual(len(returned), 0)
        closing, ended = set(list(holders)[::2]), time.monotonic()
        for member in holders:
            if member in closing:
                member.close_session()
            else:
                member.leave()
        crowd.run(lambda: len(returned) == UNSETTLED, "all messages, once more")
        expired = time.monotonic() - ended
        self.assertEqual(len(closed), UNSETTLED // 2)
        self.assertEqual(set(returned.values()), {1})
        for member in others:
            member.settle(1, 1, member.seen[1])
        publisher.declare(HELD)
        crowd.run_answered(others + [publisher])
        row = [r for r in harness.table(self.cluster.holdfast("queue", "list").stdout.decode(), "QUEUE")
               if r["queue"] == HELD.decode()][0]
        self.assertEqual((row["ready"], row["unsettled"]), ("0", "0"))
        self.assertEqual(crowd.errors, [])
        self.tell(f"{UNSETTLED} messages held by {HOLDERS} clients after {held:.1f} s, "
                  f"{max(after[node] - before[node] for node in after):.0f} MiB; leader killed: all are answered after "
                  f"{answered:.1f} s; half of the sessions closed: back after {max(closed):.1f} s; the others gone, with a lease of "
                  f"{LEASE_MS / 1000:.0f} s: after {expired:.1f} s")

    def test_quiet_queues_beside_a_busy_one(self):
        self.begin()
        cluster = self.cluster
        self.add_echoes(100, pause=0.2)
        alone = self.echo_times(2.0)
        cluster.holdfast("queue", "declare", BUSY)
        cluster.holdfast("bench", "publish", "--queue", BUSY, "--count", "200000", "--size", "256", "--keep")
        bench = subprocess.Popen([harness.HOLDFAST, "--servers", cluster.hosts(), "bench", "both", "--queue", BUSY, "--keep",
                                  "--spread", "--size", "256", "--seconds", str(BUSY_SECONDS)],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        try:
            beside = self.echo_times(BUSY_SECONDS / 2)
            killed, _, _ = self.kill_leader(lambda member: None)
            self.swarm.run(lambda: bench.poll() is not None, "the end of the load", 3 * BUSY_SECONDS)
        finally:
            bench.kill()
            said = bench.communicate()[0]
        self.go(False)
        gaps = [echo.gap(killed) for echo in self.echoes.values()]
        self.assertEqual(bench.returncode, 0, said)
        self.assertLess(beside[1], 2000)
        self.assertLess(max(gaps), PAUSE_SECONDS)
        self.tell(f"a message of a quiet queue takes {beside[0]:.1f} ms (99 %: {beside[1]:.1f}) beside a busy one, {alone[0]:.1f} "
                  f"({alone[1]:.1f}) alone; leader killed: pauses of up to {max(gaps) * 1000:.0f} ms")


    def slow_reader(self, node, *frames):
        """A connection that asks and takes nothing of the answers."""
        connection = native.Connection(self.cluster.address(node))
        self.addCleanup(connection.socket.close)
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.send(native.frame(native.HELLO, native.field(1, b"slow")) + b"".join(frames))

    def test_many_who_do_not_read_what_they_asked_for(self):
        """Some look at a large message, some consume; what they do not take is not kept for them in memory."""
        self.begin(config=SLOW_CONFIG)
        cluster = self.cluster
        node = cluster.followers(self.leader)[0]
        for queue in (LARGE, LARGER):
            cluster.holdfast("queue", "declare", queue.decode())
        cluster.holdfast("publish", LARGER.decode(), stdin=bytes(LARGER_LEN))
        path = cluster.path("lines")
        with open(path, "wb") as f:
            for _ in range(SLOW_CONSUMERS):
                f.write(b"x" * LARGE_LEN + b"\n")
        cluster.holdfast("publish", LARGE.decode(), "--lines", "--file", path)
        self.add_echoes(3, pause=0.02)
        alone = self.echo_times(1.0)
        before = cluster.resident_mib(node)
        look = native.field(1, 1) + native.field(2, 3) + native.field(4, LARGER) + native.field(6, 1)
        for _ in range(SLOW_READERS):
            self.slow_reader(node, native.frame(native.QUERY, look))
        members = self.swarm.add(SLOW_CONSUMERS, [cluster.address(node)], small_window=True)
        self.swarm.run_attached()
        for member in members:
            member.subscribe(LARGE, credit=10)
            self.swarm.poll.modify(member.socket, 0)  # Not read from here on.
        peak, end = 0.0, time.monotonic() + SLOW_SECONDS
        times = []
        while time.monotonic() < end:
            times.append(self.echo_times(0.2))
            peak = max(peak, cluster.resident_mib(node) - before)
        self.assertLess(peak, SLOW_MIB)
        self.assertLess(max(t[1] for t in times), 2000)
        self.assertTrue(all(cluster.alive(n) for n in cluster.all()))
        asked = (SLOW_READERS * LARGER_LEN + SLOW_CONSUMERS * LARGE_LEN) >> 20
        self.tell(f"{asked} MiB for clients that do not read: {peak:.0f} MiB more at the most; beside them a message takes up to "
                  f"{max(t[0] for t in times):.1f} ms (99 %: {max(t[1] for t in times):.1f}), {alone[0]:.1f} ({alone[1]:.1f}) alone")


if __name__ == "__main__":
    swarm.allow_open_files(OPEN_FILES)
    harness.main()
