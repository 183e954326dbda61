#!/usr/bin/env python3
"""Makes what bench_attestation measures with: an event log, a TPM that booted by it, and its quote, by tpm2-tools alone.

    bench/attestation/evidence.py FOLDER [--events 1000] [--banks sha1,sha256]

FOLDER gets log, ak.pub (TPM2B_PUBLIC), quote (TPMS_ATTEST), sig (TPMT_SIGNATURE), pcrs and nonce: the files that
tpm2_checkquote and tpm2_eventlog take. Needs swtpm and tpm2-tools; no root.
"""
import argparse
import hashlib
import os
import pathlib
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time

ALGORITHMS = {"sha1": 0x0004, "sha256": 0x000b, "sha384": 0x000c}
QUOTED = "0,1,2,3,4,5,6,7,8,9"
NO_ACTION, SEPARATOR, ACTION, POST_CODE, VARIABLE, IPL = 3, 4, 0x80000007, 1, 0x80000001, 13


def header(banks):
    spec = b"Spec ID Event03\0" + bytes(4) + b"\0\2\0\2" + struct.pack("<I", len(banks))
    for bank in banks:
        spec += struct.pack("<HH", ALGORITHMS[bank], hashlib.new(bank).digest_size)
    spec += b"\0"
    return struct.pack("<II20sI", 0, NO_ACTION, bytes(20), len(spec)) + spec


def event(pcr, kind, digests, data):
    out = struct.pack("<III", pcr, kind, len(digests))
    for bank, digest in digests.items():
        out += struct.pack("<H", ALGORITHMS[bank]) + digest
    return out + struct.pack("<I", len(data)) + data


def variable(name, value):
    """UEFI_VARIABLE_DATA, of the EFI's global variables."""
    guid = bytes.fromhex("61dfe48bca93d211aa0d00e098032b8c")
    return guid + struct.pack("<QQ", len(name), len(value)) + name.encode("utf-16-le") + value


def firmware(rng):
    for i in range(8):
        yield 0, POST_CODE, f"POST CODE {i:02} of the firmware's volume {rng.getrandbits(64):016x}".encode()
    for name in ("SecureBoot", "PK", "KEK", "db", "dbx"):
        yield 7, VARIABLE, variable(name, rng.randbytes(1 if name == "SecureBoot" else 48))
    for pcr in (1, 2, 3, 6):
        yield pcr, POST_CODE, f"configuration {pcr} {rng.getrandbits(128):032x}".encode()
    yield 4, ACTION, b"Calling EFI Application from Boot Option"
    for pcr in range(8):
        yield pcr, SEPARATOR, bytes(4)


def boot(events, rng):
    """PCR, type, data and what was hashed: firmware's events, then those of GRUB, which measures each command and file."""
    count = 1  # the header
    for pcr, kind, data in firmware(rng):
        yield pcr, kind, data, data
        count += 1
    for i in range(events - count):
        if i % 5 == 0:
            yield 9, IPL, f"(hd0,gpt2)/boot/grub/x86_64-efi/module-{rng.getrandbits(64):016x}.mod\0".encode(), rng.randbytes(64)
        else:
            command = f"menuentry_id_option --id {rng.getrandbits(96):024x}".encode()
            yield 8, IPL, b"grub_cmd: " + command + b"\0", command


def write_log(path, events, banks, seed):
    log, extends = header(banks), []
    for pcr, kind, data, measured in boot(events, random.Random(seed)):
        digests = {bank: hashlib.new(bank, measured).digest() for bank in banks}
        log += event(pcr, kind, digests, data)
        extends.append(f"{pcr}:" + ",".join(f"{bank}={digest.hex()}" for bank, digest in digests.items()))
    path.write_bytes(log)
    return extends


class Swtpm:
    """One of its own, in a folder of its own, for as long as it is needed."""

    def __init__(self, folder):
        self.sock = folder / "sock"
        state = folder / "state"
        state.mkdir()
        self.process = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={state}", "--server", f"type=unixio,path={self.sock}", "--ctrl",
             f"type=unixio,path={self.sock}.ctrl", "--flags", "not-need-init,startup-clear", "--log", f"file={folder}/log"])

    def __enter__(self):
        deadline = time.monotonic() + 30
        while not self.listens():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("evidence.py: swtpm does not start")
            time.sleep(0.02)
        return self

    def listens(self):
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self.sock))
            return True
        except OSError:
            return False

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def tool(self, name, *arguments):
        environment = dict(os.environ, TPM2TOOLS_TCTI=f"swtpm:path={self.sock}")
        done = subprocess.run([f"tpm2_{name}", *map(str, arguments)], env=environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"evidence.py: tpm2_{name}: {done.stderr.strip()}")


def quote(tpm, folder, work, nonce):
    tpm.tool("createek", "-G", "ecc", "-c", work / "ek.ctx", "-u", work / "ek.pub")
    tpm.tool("flushcontext", "-t")
    tpm.tool("createak", "-C", work / "ek.ctx", "-c", work / "ak.ctx", "-G", "ecc", "-g", "sha256", "-s", "ecdsa", "-f", "tss",
             "-u", folder / "ak.pub", "-n", work / "ak.name")
    tpm.tool("flushcontext", "-t")
    tpm.tool("quote", "-c", work / "ak.ctx", "-l", f"sha256:{QUOTED}", "-q", nonce, "-m", folder / "quote", "-s",
             folder / "sig", "-o", folder / "pcrs", "-F", "serialized", "-g", "sha256")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--events", type=int, default=1000, help="the log's header too (default %(default)s)")
    parser.add_argument("--banks", type=lambda text: text.split(","), default=["sha1", "sha256"])
    parser.add_argument("--seed", type=int, default=1, help="of the log's content (default %(default)s)")
    options = parser.parse_args()
    if not set(options.banks) <= set(ALGORITHMS) or "sha256" not in options.banks:
        parser.error(f"--banks: of {', '.join(ALGORITHMS)}, sha256 among them")
    if options.events < 30:
        parser.error("--events: 30 at least")
    options.folder.mkdir(parents=True, exist_ok=True)
    extends = write_log(options.folder / "log", options.events, options.banks, options.seed)
    nonce = hashlib.sha256(b"bench_attestation %d" % options.seed).hexdigest()
    (options.folder / "nonce").write_text(nonce)
    with tempfile.TemporaryDirectory(prefix="vmsec-evidence-") as name:
        work = pathlib.Path(name)
        with Swtpm(work) as tpm:
            for i in range(0, len(extends), 100):
                tpm.tool("pcrextend", *extends[i:i + 100])
            quote(tpm, options.folder, work, nonce)
    print(f"{options.folder}: {options.events} events, {(options.folder / 'log').stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
