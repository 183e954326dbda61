"""Libvirt's RPC by hand: messages that a client of libvirt would send, and what comes back."""
import socket
import struct
import uuid

REMOTE, QEMU, ADMIN = 0x20008086, 0x20008087, 0x06900690
CALL, REPLY, CALL_WITH_FDS = 0, 1, 4
AUTH_LIST, CONNECT_OPEN, PREPARE, FINISH = 66, 1, 303, 306
LIVE, PEER2PEER, PAUSED = 1, 2, 32
UNDECODABLE = "Unable to decode"  # what libvirtd says of arguments that are not the procedure's


# ---- XDR ---------------------------------------------------------------------

def number(value):
    return struct.pack(">i" if value < 0 else ">I", value)


def long(value):
    return struct.pack(">Q", value)


def opaque(content):
    return number(len(content)) + content + bytes(-len(content) % 4)


def text(value):
    return opaque(value if isinstance(value, bytes) else value.encode())


def optional(value):
    return number(0) if value is None else number(1) + text(value)


def identity(value):
    return uuid.UUID(value).bytes


def domain(name, its_uuid):
    return text(name) + identity(its_uuid) + number(-1)


def parameters(values):
    """Typed parameters; all that we send are texts."""
    return number(len(values)) + b"".join(text(name) + number(7) + text(value) for name, value in values)


# ---- messages ------------------------------------------------------------------

def message(procedure, arguments=b"", program=REMOTE, kind=CALL, serial=7, version=1):
    body = struct.pack(">IIIIII", program, version, procedure, kind, serial, 0) + arguments
    return number(len(body) + 4) + body


def connect_open(name="qemu:///system", flags=0):
    return message(CONNECT_OPEN, optional(name) + number(flags), serial=2)


def prepare(xml, name, cookie=b"", flags=LIVE | PEER2PEER | PAUSED, uri="unix:///tmp/q.sock", more=(), serial=3):
    values = [("destination_xml", xml), ("destination_name", name), ("migrate_uri", uri), *more]
    return message(PREPARE, parameters(values) + opaque(cookie) + number(flags), serial=serial)


def finish(name, cookie=b"", flags=LIVE | PEER2PEER | PAUSED, cancelled=0):
    return message(FINISH, parameters([("destination_name", name)]) + opaque(cookie) + number(flags) + number(cancelled))


def cookie(name, its_uuid, more=""):
    """A source's cookie of host 1111..., with what else it may hold."""
    return (f"<qemu-migration><name>{name}</name><uuid>{its_uuid}</uuid><hostname>rogue</hostname>"
            f"<hostuuid>11111111-1111-4111-8111-111111111111</hostuuid><capabilities/>{more}</qemu-migration>").encode() + b"\0"


class Answer:
    """`done`, or an error's text; `text` is empty when the connection was closed instead."""

    def __init__(self, done, text=""):
        self.done = done
        self.text = text


class Link:
    """One end of a libvirt connection."""

    def __init__(self, end, seconds=30):
        self.socket = end
        self.socket.settimeout(seconds)

    @classmethod
    def to(cls, path):
        end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        end.connect(path)
        return cls(end)

    def open(self):
        """What every connection begins with."""
        for call in (message(AUTH_LIST, serial=1), connect_open()):
            answer = self.ask(call)
            if not answer.done:
                raise RuntimeError(f"open a libvirt connection: {answer.text or 'closed'}")
        return self

    def ask(self, call):
        """Sends a message; the next answer to it, events left out."""
        try:
            self.socket.sendall(call)
            while True:
                size = struct.unpack(">I", self._read(4))[0]
                body = self._read(size - 4)
                kind, status = struct.unpack(">I", body[12:16])[0], struct.unpack(">I", body[20:24])[0]
                if kind == REPLY:
                    return Answer(True) if status != 1 else Answer(False, self._error(body[24:]))
        except (EOFError, OSError):
            return Answer(False)

    def close(self):
        self.socket.close()

    @staticmethod
    def _error(body):
        present = struct.unpack(">I", body[8:12])[0]
        if not present:
            return "an error without a text"
        size = struct.unpack(">I", body[12:16])[0]
        return body[16:16 + size].decode(errors="replace")

    def _read(self, size):
        content = b""
        while len(content) < size:
            part = self.socket.recv(size - len(content))
            if not part:
                raise EOFError
            content += part
        return content
