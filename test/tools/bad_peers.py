"""The other side of bad messages: raw bytes at an agent's socket, an agent that lies, a host that lies."""
import socket
import ssl
import struct
import threading


def varint(number):
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def text_field(number, content):
    """A length-delimited field of a message."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def message(content):
    """A frame: four bytes of length, big endian, and the content."""
    return struct.pack(">I", len(content)) + content


def fields(content):
    """The fields of a message: number to value, the last one where there are several."""
    out, at = {}, 0

    def number():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = content[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(content):
        tag = number()
        if tag & 7 == 0:
            out[tag >> 3] = number()
        else:
            size = number()
            out[tag >> 3] = content[at:at + size]
            at += size
    return out


def receive(connection, size):
    got = b""
    while len(got) < size:
        more = connection.recv(size - len(got))
        if not more:
            return None
        got += more
    return got


def receive_frame(connection):
    head = receive(connection, 4)
    return None if head is None else receive(connection, struct.unpack(">I", head)[0])


class LyingAgent:
    """A Unix socket that answers every call with the same bytes. Use as a context."""

    def __init__(self, path, answer):
        self.path = path
        self.answer = answer

    def __enter__(self):
        self.path.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()
        return self

    def __exit__(self, *failure):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                if receive_frame(connection) is not None:
                    connection.sendall(self.answer)

    @staticmethod
    def ask(path, sent):
        """Sends raw bytes to a true agent: the code and the message of the error that it answers."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            connection.connect(str(path))
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            frame = receive_frame(connection)
        error = fields(fields(frame or b"").get(1, b""))
        return error.get(1), error.get(2, b"").decode(errors="replace")


class LyingHost:
    """A host of the lab that is replaced, at its address and with its certificate, by one whose module
    answers every request with `answer`. Use as a context: afterwards the true one is back."""

    def __init__(self, lab, host):
        self.lab, self.host, self.answer = lab, host, b""

    def __enter__(self):
        self.lab.agents[self.host].stop()
        identity = self.lab.pki.identity(self.host)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.minimum_version = ssl.TLSVersion.TLSv1_3
        self.tls.load_cert_chain(identity["certificate"], identity["key"])
        self.tls.load_verify_locations(identity["ca"])
        self.tls.verify_mode = ssl.CERT_REQUIRED
        self.tls.set_alpn_protocols(["vmsec/1"])
        self.tls.num_tickets = 0
        self.listener = socket.create_server(("127.0.0.1", self.lab.ports[self.host]))
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()
        return self

    def __exit__(self, *failure):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()
        self.lab.agents[self.host].start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            try:
                with self.tls.wrap_socket(connection, server_side=True) as tls:
                    self.talk(tls)
            except (OSError, ssl.SSLError):
                pass  # the true host hung up

    def talk(self, tls):
        tls.sendall(message(b""))  # the certificate is accepted
        if receive_frame(tls) is None:
            return
        tls.sendall(message(b""))  # so is what the connection is for
        while receive_frame(tls) is not None:
            tls.sendall(message(text_field(2, self.answer)))
