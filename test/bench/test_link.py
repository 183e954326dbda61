"""vmsec-link by its sockets. That it is as slow as asked can be seen on any machine; that it is no slower is the model's test."""
import hashlib
import os
import random
import socket
import subprocess
import threading
import time
import unittest

LINK = os.environ.get("VMSEC_LINK")


class Server:
    """Answers each connection by `serve`, in a thread of its own."""

    def __init__(self, serve):
        self.serve, self.socket = serve, socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        try:
            while True:
                connection, _ = self.socket.accept()
                threading.Thread(target=self._one, args=(connection,), daemon=True).start()
        except OSError:
            pass

    def _one(self, connection):
        with connection:
            self.serve(connection)


def echo(connection):
    while part := connection.recv(1 << 16):
        connection.sendall(part)


def digest(connection):
    """Answers what came, by its SHA-256, when the sender has ended."""
    whole = hashlib.sha256()
    while part := connection.recv(1 << 20):
        whole.update(part)
    connection.sendall(whole.digest())


@unittest.skipUnless(LINK, "SKIPPED: $VMSEC_LINK names no vmsec-link: ctest runs these")
class Link(unittest.TestCase):
    def link(self, serve, *options):
        server = Server(serve)
        self.addCleanup(server.socket.close)
        process = subprocess.Popen([LINK, "--listen", "127.0.0.1:0", "--to", server.address, *options], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.end, process)
        words = process.stdout.readline().split()
        self.assertEqual(words[:2], ["listening", "on"])
        host, _, port = words[2].rpartition(":")
        return process, (host, int(port))

    def end(self, process):
        process.terminate()
        out, _ = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 0)
        return out

    def send(self, address, data):
        with socket.create_connection(address, timeout=60) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            return connection.recv(64)

    def test_bytes_arrive_as_they_were_and_the_end_after_them(self):
        data = random.Random(1).randbytes(4 << 20)
        for options in ([], ["--delay", "2ms", "--jitter", "1ms"], ["--delay", "1ms", "--loss", "1%", "--rate", "1Gbit"]):
            with self.subTest(options):
                _, address = self.link(digest, *options)
                self.assertEqual(self.send(address, data), hashlib.sha256(data).digest())

    def test_the_rate_is_not_exceeded_by_many_connections_together(self):
        _, address = self.link(digest, "--rate", "100Mbit")
        data, start = bytes(4 << 20), time.monotonic()
        threads = [threading.Thread(target=self.send, args=(address, data)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # 16 MiB at 100 Mbit/s are 1.34 s; the bucket is 10 ms deep.
        self.assertGreater(time.monotonic() - start, 1.3)

    def test_an_answer_takes_a_round_trip_and_a_first_one_the_handshakes_too(self):
        _, address = self.link(echo, "--delay", "20ms")
        start = time.monotonic()  # the link begins with its handshakes when it is connected to
        with socket.create_connection(address, timeout=60) as connection:
            connection.sendall(b"x")
            connection.recv(1)
            self.assertGreater(time.monotonic() - start, 0.079)
            start = time.monotonic()
            connection.sendall(b"x")
            connection.recv(1)
            self.assertGreater(time.monotonic() - start, 0.039)

    def test_nobody_behind_the_link_is_told_at_once(self):
        closed = socket.create_server(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % closed.getsockname()[1]
        closed.close()
        process = subprocess.Popen([LINK, "--listen", "127.0.0.1:0", "--to", address], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.end, process)
        port = int(process.stdout.readline().rpartition(":")[2])
        with self.assertRaises(ConnectionResetError), socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.recv(1)

    def test_connections_reach_the_other_side_in_their_order(self):
        order = []
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)
        process = subprocess.Popen([LINK, "--listen", "127.0.0.1:0", "--to", "127.0.0.1:%d" % server.getsockname()[1], "--delay", "1ms"],
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end, process)
        port = int(process.stdout.readline().rpartition(":")[2])
        for number in range(8):
            connection = socket.create_connection(("127.0.0.1", port))
            self.addCleanup(connection.close)
            connection.sendall(bytes([number]))
        for _ in range(8):
            accepted, _ = server.accept()
            with accepted:
                order.append(accepted.recv(1)[0])
        self.assertEqual(order, list(range(8)))

    def test_what_it_carried_is_told_at_its_end(self):
        process, address = self.link(digest)
        self.send(address, bytes(1000))
        process.terminate()
        out, _ = process.communicate(timeout=30)
        self.assertIn('"bytes_forth": 1000, "bytes_back": 32', out)

    def test_wrong_options_are_refused_with_what_is_wanted(self):
        good = ["--listen", "127.0.0.1:0", "--to", "127.0.0.1:1"]
        for words, want in (([], "as many --listen as --to"), (good[:2], "as many --listen as --to"), ([*good, "--rate", "fast"], "--rate: \"fast\": want"),
                            ([*good, "--delay", "1h"], "--delay: \"1h\": want"), ([*good, "--loss", "50%"], "--loss: \"50%\": want"),
                            ([*good, "--jitter", "1ms"], "more than --delay"), ([*good, "--loss", "1%"], "needs a --delay"),
                            ([*good, "--speed", "1"], "unknown option"), ([*good, "--rate"], "a value is missing"),
                            (["--listen", "here:1", "--to", "127.0.0.1:1"], "want ADDRESS:PORT"), ([*good, "--connections", "0"], "at least 1")):
            with self.subTest(words):
                done = subprocess.run([LINK, *words], capture_output=True, text=True, timeout=60)
                self.assertEqual(done.returncode, 2)
                self.assertTrue(done.stderr.startswith("vmsec-link: "))
                self.assertIn(want, done.stderr)
