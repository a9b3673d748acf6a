"""Thousands of clients of the native protocol in one thread, on one epoll. Each keeps its session over the loss of its
node: it attaches at the next address, and sends again what has no answer."""

import collections
import os
import resource
import select
import socket
import struct
import time

import native
from client import ACCEPT, DECLARE, Delivery, publish_command, settle_command, subscribe_command
from native import field, fields, frame, varint

CLOSE_SESSION = 2
CONNECTING_MAX = 600  # At a time, below what the kernel keeps for a listener.
READ_LEN = 1 << 18
IDLE, CONNECTING, ATTACHED = range(3)
PAUSE_SECONDS = 0.1  # Between the loss of a connection and the next.


def allow_open_files(count):
    """Raises the limit of open files of this process, and of what it starts, as far as that is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))
            return
        except (ValueError, OSError) as e:
            raise AssertionError(f"this test needs {count} open files, and the hard limit is {hard}: ulimit -Hn") from e
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


class Member:
    """One client. `addresses`: where to go, in this order, over and over."""

    __slots__ = ("swarm", "addresses", "at", "socket", "buffer", "out", "key", "attempt", "session", "state", "lease_ms", "not_before",
                 "number", "unanswered", "seen", "closing", "small_window")

    def __init__(self, swarm, addresses, lease_ms, small_window):
        self.swarm, self.addresses, self.at, self.lease_ms = swarm, addresses, 0, lease_ms
        self.socket, self.buffer, self.out = None, b"", b""
        self.key, self.attempt, self.session, self.state, self.not_before = os.urandom(16), 0, 0, IDLE, 0.0
        self.number, self.unanswered, self.seen = 0, {}, {}
        self.closing, self.small_window = False, small_window

    def address(self):
        return self.addresses[self.at % len(self.addresses)]

    def change(self, state):
        self.swarm.states[self.state] -= 1
        self.swarm.states[state] += 1
        self.state = state

    def connect(self):
        self.change(CONNECTING)
        self.attempt += 1
        host, port = self.address().rsplit(":", 1)
        self.socket = socket.socket()
        self.socket.setblocking(False)
        if self.small_window:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        seen = sorted(self.seen.items())
        self.out = (frame(native.HELLO, field(1, b"swarm")) +
                    frame(native.ATTACH, field(1, self.key) + field(2, int(self.session != 0)) + field(4, self.lease_ms) +
                          field(5, b"".join(varint(c) for c, _ in seen)) +
                          field(6, b"".join(varint(n) for _, n in seen)) + field(7, self.attempt)))
        self.socket.connect_ex((host, int(port)))
        self.swarm.poll.register(self.socket, select.EPOLLIN | select.EPOLLOUT)
        self.swarm.by_fd[self.socket.fileno()] = self

    def drop(self):
        """Closes the connection without a word."""
        if self.socket is not None:
            self.swarm.poll.unregister(self.socket)
            del self.swarm.by_fd[self.socket.fileno()]
            self.socket.close()
            self.socket = None
        self.change(IDLE)

    def lost(self):
        self.drop()
        if not self.closing:
            self.at += 1
            self.not_before = time.monotonic() + PAUSE_SECONDS
            self.swarm.waiting.append(self)

    def leave(self):
        """Closes the connection and does not come back."""
        self.closing = True
        self.drop()

    def write(self, data):
        if not self.out:
            try:
                data = data[self.socket.send(data):]
            except BlockingIOError:
                pass
            except OSError:
                return  # Reading finds out.
            if data:
                self.swarm.poll.modify(self.socket, select.EPOLLIN | select.EPOLLOUT)
        self.out += data

    def writable(self):
        data, self.out = self.out, b""
        self.swarm.poll.modify(self.socket, select.EPOLLIN)
        self.write(data)

    def readable(self):
        try:
            data = self.socket.recv(READ_LEN)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.lost()
            return
        self.take_frames(self.buffer + data if self.buffer else data)

    def take_frames(self, data):
        at = 0
        while len(data) - at >= 16:
            kind, header_len, body_len = struct.unpack_from("<BII", data, at + 3)
            end = at + 16 + header_len + body_len
            if len(data) < end:
                break
            self.take(kind, data[at + 16:at + 16 + header_len], data[at + 16 + header_len:end])
            if self.socket is None:
                return
            at = end
        self.buffer = data[at:]

    def take(self, kind, header, body):
        if kind == native.REPLIES:
            for reply in fields(header)[1]:
                self.take_reply(fields(reply))
        elif kind == native.DELIVERIES:
            for message in fields(header)[1]:
                delivery = Delivery(message, body)
                length = fields(message).get(5, [0])[0]
                delivery.body, body = body[:length], body[length:]
                self.take_delivery(delivery)
        elif kind == native.ATTACHED:
            self.session = fields(header)[1][0]
            self.change(ATTACHED)
            for number in sorted(self.unanswered):
                self.send_command(number)
        elif kind == native.GOODBYE:
            found = fields(header)
            if not self.closing:
                self.swarm.goodbyes.append((self.address(), found.get(1, [0])[0], found.get(2, [b""])[0].decode()))
            self.lost()
        elif kind == native.PONG:
            self.swarm.pongs += 1

    def take_reply(self, found):
        asked = self.unanswered.pop(found[1][0], None)
        if asked is not None:
            self.swarm.replies += 1
            again = found.get(5, [0])[0]  # Repeated, or stale; of a declaration: consumers.
            if found.get(2, [0])[0] or (again and asked[0][0] != DECLARE << 3 | 2):
                self.swarm.errors.append((self.session, found))

    def take_delivery(self, delivery):
        if delivery.number != self.seen[delivery.consumer] + 1:
            raise AssertionError(f"delivery {delivery.number} after {self.seen[delivery.consumer]} of a consumer")
        self.seen[delivery.consumer] = delivery.number
        self.swarm.on_delivery(self, delivery)

    def send_command(self, number):
        command, body = self.unanswered[number]
        answered = next(iter(self.unanswered)) - 1
        self.write(frame(native.COMMAND, field(1, number) + field(2, answered) + field(3, command), body))

    def submit(self, command, body=b""):
        self.number += 1
        self.unanswered[self.number] = (command, body)
        if self.state == ATTACHED:
            self.send_command(self.number)
        return self.number

    def declare(self, queue):
        return self.submit(field(DECLARE, field(1, queue)))

    def publish(self, queue, bodies, hashes):
        return self.submit(publish_command(queue, hashes, [len(b) for b in bodies]), b"".join(bodies))

    def subscribe(self, queue, consumer=1, credit=100):
        self.seen.setdefault(consumer, 0)
        return self.submit(subscribe_command(queue, consumer, credit))

    def settle(self, consumer, first, last, outcome=ACCEPT):
        return self.submit(settle_command(consumer, first, last, outcome))

    def ping(self):
        self.write(frame(native.PING, field(1, 1)))

    def close_session(self):
        """Ends the session, and the connection when that is answered."""
        self.closing = True
        self.submit(field(CLOSE_SESSION, b""))


class Swarm:
    """Members, and the loop in which they live. on_delivery(member, delivery) and on_turn() are replaced by the test."""

    def __init__(self):
        self.poll, self.by_fd, self.members = select.epoll(), {}, []
        self.waiting, self.states = collections.deque(), [0, 0, 0]
        self.replies, self.pongs, self.errors, self.goodbyes = 0, 0, [], []
        self.on_delivery = lambda member, delivery: None
        self.on_turn = lambda: None

    def close(self):
        for member in list(self.by_fd.values()):
            member.leave()
        self.poll.close()

    def add(self, count, addresses, lease_ms=30_000, small_window=False):
        """New members, the n-th of which begins at the n-th address, and so on round."""
        added = []
        for n in range(count):
            turned = addresses[n % len(addresses):] + addresses[:n % len(addresses)]
            added.append(Member(self, turned, lease_ms, small_window))
        self.members += added
        self.states[IDLE] += count
        self.waiting.extend(added)
        return added

    def step(self, seconds=0.01):
        now = time.monotonic()
        while self.waiting and self.states[CONNECTING] < CONNECTING_MAX and self.waiting[0].not_before <= now:
            self.waiting.popleft().connect()
        for fd, event in self.poll.poll(seconds, 1024):
            member = self.by_fd.get(fd)
            if member is not None and event & select.EPOLLOUT:
                member.writable()
            if member is not None and event & ~select.EPOLLOUT:
                member.readable()
        self.on_turn()

    def run(self, condition, what, seconds=30.0):
        """Until the condition holds; the time that took, in seconds."""
        started = time.monotonic()
        while not condition():
            if time.monotonic() > started + seconds:
                raise AssertionError(f"{what}: not within {seconds:.0f} s")
            self.step()
        return time.monotonic() - started

    def run_attached(self, seconds=60.0):
        return self.run(lambda: self.states[ATTACHED] == len(self.members), "all are attached", seconds)

    def run_answered(self, members=None, seconds=60.0):
        busy = set(self.members if members is None else members)

        def answered():
            for member in list(busy):
                if member.unanswered:
                    return False
                busy.discard(member)
            return True
        return self.run(answered, "all is answered", seconds)
