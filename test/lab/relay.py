"""A TCP relay that breaks connections: between two agents, for tests that cut streams."""
import selectors
import socket
import struct
import threading

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close answers with a reset


class Relay:
    """Relays 127.0.0.1:port to the target's port. cut() breaks one connection; a byte count breaks whichever carries the last byte."""

    def __init__(self, target):
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.other = {}  # each end of each connection, to its other end
        self.lock = threading.Lock()
        self.left = None  # bytes until a connection is cut
        self.cuts = 0
        threading.Thread(target=self.run, daemon=True).start()

    def cut(self, choose):
        """Breaks one connection that choose() picks of those that there are; False: there is none."""
        with self.lock:
            ends = list(self.other)
            if not ends:
                return False
            self.drop(choose(ends))
            return True

    def cut_after(self, count):
        with self.lock:
            self.left = count

    def run(self):
        while True:
            for key, _ in self.selector.select():
                with self.lock:
                    self.accept() if key.fileobj is self.listener else self.carry(key.fileobj)

    def accept(self):
        near, _ = self.listener.accept()
        try:
            far = socket.create_connection(("127.0.0.1", self.target), 5)
        except OSError:
            near.close()
            return
        for end, other in ((near, far), (far, near)):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.other[end] = other
            self.selector.register(end, selectors.EVENT_READ)

    def carry(self, end):
        if end not in self.other:  # dropped since
            return
        try:
            data = end.recv(1 << 16)
            if data and self.left is not None:
                self.left -= len(data)
                if self.left <= 0:
                    self.left = None
                    return self.drop(end)
            if data:
                self.heard(end, data)
                return self.other[end].sendall(data)
            self.selector.unregister(end)  # one direction has ended
            self.other[end].shutdown(socket.SHUT_WR)
            if self.other[end] not in self.selector.get_map():
                self.forget(end)
        except OSError:
            self.drop(end)

    def heard(self, end, data):
        """For those who listen."""

    def drop(self, end):
        self.cuts += 1
        for each in (end, self.other[end]):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.forget(end)

    def forget(self, end):
        for each in (end, self.other.pop(end)):
            if each in self.selector.get_map():
                self.selector.unregister(each)
            self.other.pop(each, None)
            each.close()
