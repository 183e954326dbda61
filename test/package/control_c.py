#!/usr/bin/env python3
"""Drives an agent by libvmsec's C API from Python, as a control plane in another language does.

    test/package/control_c.py PREFIX AGENT_SOCKET DOMAIN

It loads the installed libvmsec by ctypes, and has only protoc beside it to read what the messages say.
"""
import ctypes
import pathlib
import subprocess
import sys
import threading

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"


class Reply(ctypes.Structure):
    pass


Release = ctypes.CFUNCTYPE(None, ctypes.POINTER(Reply))
Reply._fields_ = [("size", ctypes.c_uint32), ("code", ctypes.c_uint32), ("data", ctypes.c_void_p), ("data_size", ctypes.c_size_t),
                  ("fds", ctypes.POINTER(ctypes.c_int32)), ("fd_count", ctypes.c_size_t), ("release", Release),
                  ("owner", ctypes.c_void_p)]


class Call(ctypes.Structure):
    _fields_ = [("size", ctypes.c_uint32), ("method", ctypes.c_uint32), ("handle", ctypes.c_uint64),
                ("interface_name", ctypes.c_char_p), ("interface_name_size", ctypes.c_size_t), ("data", ctypes.c_char_p),
                ("data_size", ctypes.c_size_t), ("fds", ctypes.POINTER(ctypes.c_int32)), ("fd_count", ctypes.c_size_t)]


class Failed(Exception):
    def __init__(self, code, text):
        super().__init__(f"{text} (code {code})")
        self.code, self.text = code, text


class Control:
    def __init__(self, library, socket):
        self.lib = ctypes.CDLL(str(library))
        self.lib.vmsec_control_error.restype = ctypes.c_size_t
        self.handle = ctypes.c_void_p()
        reply = Reply(size=ctypes.sizeof(Reply))
        self.lib.vmsec_control_connect(socket.encode(), ctypes.byref(self.handle), ctypes.byref(reply))
        self.take(reply)

    def take(self, reply):
        """The reply's bytes; it is released, whatever it says."""
        text = ctypes.create_string_buffer(512)
        failed = self.lib.vmsec_control_error(ctypes.byref(reply), text, len(text))
        code, data = reply.code, ctypes.string_at(reply.data, reply.data_size) if reply.data_size else b""
        reply.release(ctypes.byref(reply))
        if code != 0:
            assert failed == len(text.value), "the text of the error is cut"
            raise Failed(code, text.value.decode())
        return data

    def call(self, interface, method, message=b""):
        name = interface.encode()
        call = Call(size=ctypes.sizeof(Call), method=method, interface_name=name, interface_name_size=len(name), data=message,
                    data_size=len(message))
        reply = Reply(size=ctypes.sizeof(Reply))
        self.lib.vmsec_control_call(self.handle, ctypes.byref(call), ctypes.byref(reply))
        return self.take(reply)

    def close(self):
        self.lib.vmsec_control_close(self.handle)


def protoc(direction, message, data):
    done = subprocess.run(["protoc", f"--proto_path={PROTO}", f"--{direction}={message}", "vmsec/capability.proto"], input=data,
                          capture_output=True, check=True)
    return done.stdout


def refused(what, code, call):
    try:
        call()
    except Failed as failure:
        assert failure.code == code, f"{what}: {failure}"
        return failure.text
    raise AssertionError(f"{what}: it was answered")


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    prefix, socket, name = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    library = next(prefix.glob("lib*/**/libvmsec.so"))
    control = Control(library, socket)
    assert control.lib.vmsec_control_version() >> 16 == 1, "another major version of the C API"

    domains = protoc("decode", "vmsec.DomainList", control.call("vmsec.DomainControl", 1)).decode()
    assert f'name: "{name}"' in domains, domains
    uuid = next(line.split('"')[1] for line in domains.splitlines() if line.startswith("  domain: "))

    reference = protoc("encode", "vmsec.DomainRef", f'domain: "{uuid}"'.encode())
    control.call("vmsec.DomainControl", 3, reference)
    assert "state: DOMAIN_STATE_PAUSED" in protoc("decode", "vmsec.DomainInfo", control.call("vmsec.DomainControl", 2, reference)).decode()
    control.call("vmsec.DomainControl", 4, reference)

    stranger = protoc("encode", "vmsec.DomainRef", b'domain: "00000000-0000-4000-8000-000000000001"')
    refused("a stranger", 2, lambda: control.call("vmsec.DomainControl", 2, stranger))
    refused("no such interface", 2, lambda: control.call("vmsec.NoSuch", 1))
    refused("no Protobuf", 1, lambda: control.call("vmsec.DomainControl", 2, b"\xff\xff"))
    assert "reach vmsecd" in refused("no agent", 100, lambda: Control(library, socket + ".not"))

    # Several threads at once, as the header says.
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(control.call("vmsec.DomainControl", 2, reference))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8, f"{len(answers)} of 8 threads were answered"
    control.close()
    print(f"C API: {name} listed, paused and resumed from Python; errors have code and text")


main()
