"""A client of the native protocol that survives its nodes, in Python, written from the protocol alone: what it sees of a
cluster owes nothing to the C library. It is not thread-safe; step() does its work."""

import os
import select
import struct
import time

import native
from native import field, fields, fixed64, frame, varint

ATTACH_SECONDS = 2.0
PING_SECONDS = 5.0
DECLARE, PUBLISH, SUBSCRIBE, SETTLE = 4, 6, 7, 9
NO_SPACE, UNAVAILABLE, SESSION_EXPIRED, DISPLACED = 12, 25, 18, 26
ACCEPT, RELEASE = 0, 2
MASK = 2**64 - 1
# Bytes 8 to 23 of XXH3's default secret, as two little-endian numbers.
SECRET_8, SECRET_16 = 0x1CAD21F72C81017C, 0xDB979083E96DD4DE


def rotate(value, bits):
    return (value << bits | value >> (64 - bits)) & MASK


def hash_of_eight(body):
    """XXH3-64 of eight bytes (XXH3_len_4to8_64b with seed 0, and rrmxmx)."""
    low, high = struct.unpack("<II", body)
    value = (high + (low << 32)) ^ SECRET_8 ^ SECRET_16
    value ^= rotate(value, 49) ^ rotate(value, 24)
    value = value * 0x9FB21C651E98DF25 & MASK
    value ^= (value >> 35) + 8
    value = value * 0x9FB21C651E98DF25 & MASK
    return value ^ value >> 28


def publish_command(queue, hashes, lens, producer=b"", sequence=0):
    return field(PUBLISH, field(1, queue) + field(2, b"".join(varint(n) for n in lens)) +
                 field(3, b"".join(struct.pack("<Q", h) for h in hashes)) + field(4, producer) + field(5, sequence))


def subscribe_command(queue, consumer, credit):
    return field(SUBSCRIBE, field(1, queue) + field(2, consumer) + field(3, credit))


def settle_command(consumer, first, last, outcome=ACCEPT):
    return field(SETTLE, field(1, consumer) + field(2, outcome) + field(3, varint(first)) + field(4, varint(last)))


class Ended(Exception):
    """The session is over: (error, detail)."""


class Delivery:
    def __init__(self, message, body):
        found = fields(message)
        self.consumer, self.number = found[1][0], found[2][0]
        self.position, self.count = found.get(3, [0])[0], found.get(4, [0])[0]
        self.hash, self.body = found.get(6, [0])[0], body

    def id(self):
        return struct.unpack("<Q", self.body)[0]


class Client:
    """`addresses`: where to go, in this order, over and over. Events that a person would call errors are in `events`."""

    delivery_type = Delivery
    hello = field(1, b"e2e")

    def __init__(self, addresses, lease_ms=10_000, small_window=False):
        self.addresses, self.lease_ms, self.small_window = list(addresses), lease_ms, small_window
        self.key, self.attempt, self.session, self.at = os.urandom(16), 0, None, -1
        self.number, self.unanswered, self.replies = 0, {}, {}
        self.seen, self.deliveries, self.events = {}, [], []
        self.connection, self.buffer, self.last_sent = None, b"", 0.0
        self.attachments = []

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.drop()

    def drop(self):
        if self.connection is not None:
            self.connection.socket.close()
        self.connection, self.buffer = None, b""

    def address(self):
        return self.addresses[self.at % len(self.addresses)]

    def attach_header(self):
        seen = sorted(self.seen.items())
        return (field(1, self.key) + field(2, int(self.session is not None)) + field(4, self.lease_ms) +
                field(5, b"".join(varint(c) for c, _ in seen)) + field(6, b"".join(varint(n) for _, n in seen)) +
                field(7, self.attempt))

    def attach_once(self):
        """One attempt at the next address; true when attached."""
        self.at += 1
        self.attempt += 1
        try:
            self.connection = native.Connection(self.address(), timeout=ATTACH_SECONDS)
            self.buffer = b""
            self.connection.socket.sendall(frame(native.HELLO, self.hello) +
                                           frame(native.ATTACH, self.attach_header()))
            while True:
                got = self.connection.receive()
                if got is None:
                    self.drop()
                    return False
                kind, header, _ = got
                if kind == native.GOODBYE:
                    self.said_goodbye(header)
                    return False
                if kind == native.ATTACHED:
                    self.session = fields(header)[1][0]
                    break
        except OSError:
            self.drop()
            return False
        self.attachments.append((time.monotonic(), self.address()))
        self.resend()
        return True

    def said_goodbye(self, header):
        found = fields(header)
        error, detail = found.get(1, [0])[0], found.get(2, [b""])[0].decode()
        self.events.append((time.monotonic(), self.address(), error, detail))
        self.drop()
        if error in (SESSION_EXPIRED, DISPLACED):
            raise Ended(error, detail)

    def attach(self, seconds=30.0):
        end = time.monotonic() + seconds
        while not self.attach_once():
            if time.monotonic() > end:
                raise AssertionError(f"not attached within {seconds} s: {self.events[-3:]}")
            time.sleep(0.02)
        return self

    def resend(self):
        for number in sorted(self.unanswered):
            self.send_command(number)

    def send(self, data):
        if self.connection is None:
            return
        try:
            self.connection.socket.sendall(data)
            self.last_sent = time.monotonic()
        except OSError:
            self.drop()

    def send_command(self, number):
        command, body = self.unanswered[number]
        answered = min(self.unanswered) - 1
        self.send(frame(native.COMMAND, field(1, number) + field(2, answered) + field(3, command), body))

    def submit(self, command, body=b""):
        self.number += 1
        self.unanswered[self.number] = (command, body)
        self.send_command(self.number)
        return self.number

    def publish_id(self, queue, value, producer=b"", sequence=0):
        body = struct.pack("<Q", value)
        return self.submit(publish_command(queue, [hash_of_eight(body)], [8], producer, sequence), body)

    def subscribe(self, queue, consumer=1, credit=100):
        self.seen.setdefault(consumer, 0)
        return self.submit(subscribe_command(queue, consumer, credit))

    def settle(self, delivery, outcome=ACCEPT):
        return self.submit(settle_command(delivery.consumer, delivery.number, delivery.number, outcome))

    def step(self, seconds=0.05, stay=False):
        """Reads what is there, for at most so long, and attaches again when the connection is gone (unless `stay`)."""
        if self.connection is None:
            if not stay:
                self.attach_once() or time.sleep(0.02)
            return
        if time.monotonic() - self.last_sent > PING_SECONDS:
            self.send(frame(native.PING, field(1, 1)))
            if self.connection is None:
                return
        readable, _, _ = select.select([self.connection.socket], [], [], seconds)
        if not readable:
            return
        try:
            data = self.connection.socket.recv(1 << 18)
        except OSError:
            data = b""
        if not data:
            self.drop()
            return
        self.buffer += data
        self.take_frames()

    def take_frames(self):
        while self.connection is not None and len(self.buffer) >= 16:
            _, _, kind, header_len, body_len, _ = struct.unpack("<2sBBIII", self.buffer[:16])
            end = 16 + header_len + body_len
            if len(self.buffer) < end:
                return
            header, body = self.buffer[16:16 + header_len], self.buffer[16 + header_len:end]
            self.buffer = self.buffer[end:]
            self.take(kind, header, body)

    def take(self, kind, header, body):
        if kind == native.REPLIES:
            for reply in fields(header).get(1, []):
                self.take_reply(fields(reply))
        elif kind == native.DELIVERIES:
            for message in fields(header).get(1, []):
                found = fields(message)
                start = found.get(9, [0])[0] + found.get(8, [0])[0]  # Trail and head come before the body.
                end = start + found.get(5, [0])[0]
                self.take_delivery(self.delivery_type(message, body[start:end]))
                body = body[end:]
        elif kind == native.GOODBYE:
            self.said_goodbye(header)

    def take_reply(self, found):
        number, error = found[1][0], found.get(2, [0])[0]
        if self.unanswered.pop(number, None) is not None:
            self.replies[number] = (error, found.get(3, [b""])[0].decode(), found.get(4, [0])[0], found.get(5, [0])[0])

    def take_delivery(self, delivery):
        if delivery.number != self.seen[delivery.consumer] + 1:
            raise AssertionError(f"delivery {delivery.number} after {self.seen[delivery.consumer]} of a consumer")
        self.seen[delivery.consumer] = delivery.number
        self.deliveries.append(delivery)

    def wait(self, condition, what, seconds=30.0):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"{what}: not within {seconds:.0f} s; {self.events[-3:]}")
            self.step()

    def call(self, number, seconds=30.0):
        """The error of the reply to a command."""
        self.wait(lambda: number in self.replies, f"the reply to command {number}", seconds)
        return self.replies[number][0]

    def declare(self, queue):
        return self.call(self.submit(field(DECLARE, field(1, queue))))
