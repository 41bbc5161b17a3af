"""HTTP/2 frames by hand, and a peer that sends what no library would."""

import asyncio
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD = struct.Struct(">HBBBI")  # length (24 bits as 16 + 8), type, flags, stream
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
ACK = END_STREAM = 0x1
END_HEADERS, PADDED, WITH_PRIORITY = 0x4, 0x8, 0x20
INITIAL_WINDOW_SIZE = 4


def frame(kind, flags, stream, payload=b""):
    return HEAD.pack(len(payload) >> 8, len(payload) & 0xFF, kind, flags, stream) + payload


def settings(**values):
    keys = {"initial_window_size": INITIAL_WINDOW_SIZE, "header_table_size": 1}
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", keys[key], value) for key, value in values.items()))


def window_update(stream, increment):
    return frame(WINDOW_UPDATE, 0, stream, increment.to_bytes(4, "big"))


def reset(stream, code=8):
    return frame(RST_STREAM, 0, stream, code.to_bytes(4, "big"))


def message(data):
    return len(data).to_bytes(5, "big") + data


def literal(name, value):
    """Encode a header field that neither side remembers; names and values shorter than 127 bytes."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def call_head(path, *more):
    """Encode the head of a call."""
    fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"t")]
    return b"".join(literal(*item) for item in [*fields, (b"content-type", b"application/grpc"), *more])


def call(stream, path, data=None, *, end=True):
    """Make the frames of a call with one message."""
    head = frame(HEADERS, END_HEADERS, stream, call_head(path))
    return head if data is None else head + frame(DATA, END_STREAM if end else 0, stream, message(data))


class Peer:
    """A connection that has said its preface, and reads frames as they come."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, address, **initial):
        peer = cls(*await asyncio.open_connection(*address.rsplit(":", 1)))
        peer.send(PREFACE, settings(**initial))
        while (await peer.read_frame())[:2] != (SETTINGS, 0):
            pass
        peer.send(frame(SETTINGS, ACK, 0))
        return peer

    def send(self, *parts):
        self.writer.write(b"".join(parts))

    async def send_all(self, *parts, timeout_s=5):
        """Send as much as the server takes within a time; return whether that was all."""
        self.send(*parts)
        try:
            await asyncio.wait_for(self.writer.drain(), timeout_s)
        except (TimeoutError, ConnectionError):
            return False
        return True

    async def read_frame(self):
        head = await asyncio.wait_for(self.reader.readexactly(HEAD.size), 5)
        high, low, kind, flags, stream = HEAD.unpack(head)
        return kind, flags, stream, await self.reader.readexactly(high << 8 | low)

    async def read_until(self, kind):
        while (found := await self.read_frame())[0] != kind:
            pass
        return found

    async def read_goaway(self):
        """Read up to the last word; return its error code, and whether the connection ended after it."""
        payload = (await self.read_until(GOAWAY))[3]
        try:
            rest = await asyncio.wait_for(self.reader.read(), 5)
        except ConnectionError:
            rest = b""
        return int.from_bytes(payload[4:8], "big"), rest == b""

    def close(self):
        self.writer.transport.abort()
