"""Just enough of the native protocol, by hand, to speak it wrongly."""

import socket
import struct

HELLO, ATTACH, COMMAND, QUERY, PING = 1, 2, 3, 4, 5
WELCOME, ATTACHED, REPLIES, DELIVERIES, QUERY_RESULT, PONG, GOODBYE = 32, 33, 34, 35, 36, 37, 38
HEADER_LEN_MAX = 256 * 1024


def prefix(kind, header_len, body_len=0, magic=b"HF", version=1, reserved=0):
    return magic + struct.pack("<BBIII", version, kind, header_len, body_len, reserved)


def frame(kind, header=b"", body=b"", **wrong):
    return prefix(kind, len(header), len(body), **wrong) + header + body


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, value):
    """A protobuf field: bytes or an integer."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(message):
    """The fields of a message as {number: [values]}: integers, and bytes for what is longer."""
    found, at = {}, 0

    def read_varint():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = read_varint()
        if key & 7 == 1:
            at, value = at + 8, int.from_bytes(message[at:at + 8], "little")
        else:
            value = read_varint()
        if key & 7 == 2:
            at, value = at + value, message[at:at + value]
        found.setdefault(key >> 3, []).append(value)
    return found


def fixed64(number, value):
    return varint(number << 3 | 1) + struct.pack("<Q", value)


class Connection:
    def __init__(self, address, timeout=30.0):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=timeout)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.close()

    def send(self, data):
        """Sends; a peer that has closed already is what the caller will find out when it reads."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def read_exactly(self, count):
        data = b""
        while len(data) < count:
            try:
                more = self.socket.recv(count - len(data))
            except ConnectionResetError:
                more = b""
            if not more:
                return None
            data += more
        return data

    def receive(self):
        """The next frame as (type, header, body), or None when the node has closed the connection."""
        start = self.read_exactly(16)
        if start is None:
            return None
        _, _, kind, header_len, body_len, _ = struct.unpack("<2sBBIII", start)
        rest = self.read_exactly(header_len + body_len)
        return None if rest is None else (kind, rest[:header_len], rest[header_len:])

    def hello(self):
        self.send(frame(HELLO, field(1, b"e2e")))
        kind, header, _ = self.receive()
        if kind == GOODBYE:  # It has just begun to stop.
            raise ConnectionError("the node says goodbye")
        assert kind == WELCOME, kind
        return fields(header)

    def receive_goodbye(self):
        """(error, detail) of the GOODBYE that comes before the end; None when the connection ended without one."""
        said = None
        while True:
            got = self.receive()
            if got is None:
                return said
            if got[0] == GOODBYE:
                found = fields(got[1])
                said = (found.get(1, [0])[0], found.get(2, [b""])[0].decode())
