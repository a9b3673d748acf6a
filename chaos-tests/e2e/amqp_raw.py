"""Just enough of AMQP 0-9-1, by hand, to speak it wrongly. Python's standard library alone."""

import socket
import struct

METHOD, HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
GREETING = b"AMQP\x00\x00\x09\x01"
BASIC = 60
# (class, method)
START, START_OK, TUNE, TUNE_OK, OPEN, OPEN_OK, CLOSE, CLOSE_OK = ((10, n) for n in (10, 11, 30, 31, 40, 41, 50, 51))
CHANNEL_OPEN, CHANNEL_OPEN_OK, CHANNEL_CLOSE, CHANNEL_CLOSE_OK = ((20, n) for n in (10, 11, 40, 41))
DECLARE, DECLARE_OK, CONSUME, CONSUME_OK, PUBLISH, DELIVER, ACK = (50, 10), (50, 11), (60, 20), (60, 21), (60, 40), (60, 60), (60, 80)
GET = (60, 70)
CONFIRM, CONFIRM_OK = (85, 10), (85, 11)


def short(text):
    text = text.encode() if isinstance(text, str) else text
    return struct.pack("B", len(text)) + text


def long(text):
    text = text.encode() if isinstance(text, str) else text
    return struct.pack(">I", len(text)) + text


def table(entries=b""):
    return long(entries)


def entry(name, kind, value):
    return short(name) + kind + value


def nested(depth):
    """A table within a table within... so deep."""
    entries = b""
    for _ in range(depth):
        entries = entry("t", b"F", table(entries))
    return table(entries)


def frame(kind, channel, payload, end=b"\xce"):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + end


def method(channel, which, arguments=b""):
    return frame(METHOD, channel, struct.pack(">HH", *which) + arguments)


def header(channel, size, flags=0, properties=b"", class_id=BASIC):
    return frame(HEADER, channel, struct.pack(">HHQH", class_id, 0, size, flags) + properties)


def body(channel, data):
    return frame(BODY, channel, data)


def declare(channel, queue="", flags=0, arguments=None):
    return method(channel, DECLARE, struct.pack(">H", 0) + short(queue) + bytes([flags]) + (arguments or table()))


def publish(channel, exchange, key, flags=0):
    return method(channel, PUBLISH, struct.pack(">H", 0) + short(exchange) + short(key) + bytes([flags]))


def message(channel, exchange, key, data):
    return publish(channel, exchange, key) + header(channel, len(data)) + (body(channel, data) if data else b"")


def consume(channel, queue, tag="", flags=0):
    return method(channel, CONSUME, struct.pack(">H", 0) + short(queue) + short(tag) + bytes([flags]) + table())


def start_ok(mechanism="PLAIN", response=b"\0guest\0guest", properties=None):
    return method(0, START_OK, (properties or table()) + short(mechanism) + long(response) + short("en_US"))


def tune_ok(channels=2047, frame_max=131072, heartbeat=0):
    return method(0, TUNE_OK, struct.pack(">HIH", channels, frame_max, heartbeat))


def open_vhost(vhost="/"):
    return method(0, OPEN, short(vhost) + short("") + b"\0")


def open_channel(channel):
    return method(channel, CHANNEL_OPEN, short(""))


class Closed(Exception):
    """The connection ended."""


class Connection:
    def __init__(self, address, timeout=15.0):
        self.socket = socket.create_connection(address, timeout=timeout)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def read(self, count):
        """So many bytes; fewer when the connection ends before."""
        while len(self.buffer) < count:
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionError:
                data = b""
            if not data:
                break
            self.buffer += data
        out, self.buffer = self.buffer[:count], self.buffer[count:]
        return out

    def receive(self):
        """(type, channel, payload) of the next frame; None: the connection has ended."""
        head = self.read(7)
        if len(head) < 7:
            return None
        if head[:4] == b"AMQP":
            self.read(1)
            return (b"AMQP", None, None)
        kind, channel, length = struct.unpack(">BHI", head)
        payload = self.read(length + 1)
        if len(payload) < length + 1:
            return None
        if payload[-1] != 0xCE:
            raise AssertionError("a frame without its end")
        return kind, channel, payload[:-1]

    def receive_method(self):
        """(channel, (class, method), arguments) of the next frame that is a method; None: the connection has ended."""
        while True:
            got = self.receive()
            if got is None:
                return None
            if got[0] == METHOD:
                return got[1], struct.unpack(">HH", got[2][:4]), got[2][4:]

    def expect(self, which):
        got = self.receive_method()
        if got is None:
            raise AssertionError(f"closed instead of {which}")
        if got[1] != which:
            raise AssertionError(f"{got} instead of {which}")
        return got

    def handshake(self, channels=2047, frame_max=131072, heartbeat=0):
        self.send(GREETING)
        self.expect(START)
        self.send(start_ok())
        self.expect(TUNE)
        self.send(tune_ok(channels, frame_max, heartbeat) + open_vhost())
        self.expect(OPEN_OK)
        return self

    def channel(self, number=1):
        self.send(open_channel(number))
        self.expect(CHANNEL_OPEN_OK)
        return self

    def closing(self):
        """(code, text, class, method) of Connection.Close, or of Channel.Close; None: closed without a word."""
        while True:
            got = self.receive_method()
            if got is None:
                return None
            if got[1] in (CLOSE, CHANNEL_CLOSE):
                code, length = struct.unpack(">HB", got[2][:3])
                return code, got[2][3:3 + length].decode(), *struct.unpack(">HH", got[2][3 + length:7 + length])

    def ended(self, seconds=15.0):
        """Whether the connection ends within so long."""
        self.socket.settimeout(seconds)
        try:
            while self.receive() is not None:
                pass
        except TimeoutError:
            return False
        return True
