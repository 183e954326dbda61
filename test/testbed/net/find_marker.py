#!/usr/bin/env python3
"""find_marker.py - counts a guest's marker in what went over the wire.

Reads a pcap file, puts each TCP stream together by sequence numbers (retransmissions and overlaps are taken once, missing bytes
are gaps) and counts the marker in each direction of each stream, also where it lies across packets. Besides, the raw file is
searched, so that a marker in anything but TCP is found too.

  find_marker.py PCAP --marker TEXT [--stats PCAP.stats] [--min-bytes N] [--expect present|absent] [--json]

TEXT shorter than 64 bytes is padded with '.', as the flat guest does it. Exit: 0 the capture is complete (and as expected);
3 incomplete: dropped, truncated, fragmented or missing bytes, or fewer than --min-bytes of payload; 4 not as expected; 2 usage.
"""
import argparse
import json
import mmap
import socket
import struct
import sys

MARKER_SIZE = 64


class Direction:
    """One direction of a TCP connection: where its payload lies in the file."""

    def __init__(self):
        self.base = None         # sequence number of the stream's first byte
        self.from_start = False  # its SYN was seen
        self.latest = 0          # highest position seen, to unwrap 32-bit sequence numbers
        self.parts = []          # (position, offset in the file, length)
        self.acked = 0           # highest position that the peer acknowledged
        self.resent = 0

    def position(self, sequence):
        near = self.latest
        return near + ((sequence - self.base - near + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)

    def segment(self, sequence, syn, fin, offset, length):
        if syn:
            self.base, self.from_start = (sequence + 1) & 0xFFFFFFFF, True
            return
        if self.base is None:
            self.base = sequence
        where = self.position(sequence)
        self.latest = max(self.latest, where + length)
        if length:
            self.parts.append((where, offset, length))
        if fin:
            self.fin_at = where + length

    fin_at = None

    def scan(self, data, marker):
        """Returns (bytes, missing bytes, gaps, markers), in one pass and without copying the stream."""
        self.parts.sort()
        at, total, missing, gaps, found, tail = min(0, self.parts[0][0]) if self.parts else 0, 0, 0, 0, 0, b""
        for where, offset, length in self.parts:
            if where > at:
                missing, gaps, tail = missing + where - at, gaps + 1, b""
                at = where
            skip = at - where
            self.resent += min(skip, length)
            if skip >= length:
                continue
            begin, end = offset + skip, offset + length
            found += count(tail + data[begin:min(end, begin + len(marker) - 1)], marker)  # lies across the border
            found += count(data, marker, begin, end)
            tail = (tail + data[max(begin, end - len(marker) + 1):end])[-(len(marker) - 1):]
            total += end - begin
            at = where + length
        acked = self.acked - (1 if self.fin_at is not None and self.acked > self.fin_at else 0)
        if self.base is not None and acked > at:  # the peer has bytes that the capture has not
            missing, gaps = missing + acked - at, gaps + 1
        return total, missing, gaps, found


def count(data, marker, begin=0, end=None):
    found, end = 0, len(data) if end is None else end
    at = data.find(marker, begin, end)
    while at >= 0:
        found += 1
        at = data.find(marker, at + 1, end)
    return found


def read_packets(data):
    """Yields (offset, captured length, original length) of each packet."""
    orders = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\x3c\x4d": ">"}
    order = orders.get(data[:4])
    if order is None:
        raise ValueError("not a pcap file")
    if struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF != 1:
        raise ValueError("not a capture of Ethernet")
    header, at = struct.Struct(order + "8xII"), 24
    while at + 16 <= len(data):
        captured, original = header.unpack_from(data, at)
        if at + 16 + captured > len(data):
            yield at + 16, len(data) - at - 16, original
            return
        yield at + 16, captured, original
        at += 16 + captured


class Capture:
    def __init__(self, data):
        self.data, self.flows = data, {}
        self.packets = self.truncated = self.fragments = self.other = 0
        for offset, captured, original in read_packets(data):
            self.packets += 1
            if captured < original:
                self.truncated += 1
            else:
                self.packet(offset, offset + captured)

    def packet(self, at, end):
        data = self.data
        kind = data[at + 12] << 8 | data[at + 13]
        at += 14
        if kind == 0x0800:
            size, fragment = struct.unpack_from(">HxxH", data, at + 2)
            protocol, addresses, payload = data[at + 9], data[at + 12:at + 20], at + (data[at] & 15) * 4
            if fragment & 0x3FFF:
                self.fragments += 1
                return
            if size:  # 0: larger than the field can say (segmentation offload); then the packet goes to the end
                end = min(end, at + size)
        elif kind == 0x86DD:
            size, protocol = struct.unpack_from(">HB", data, at + 4)
            addresses, payload = data[at + 8:at + 40], at + 40
            if protocol == 44:
                self.fragments += 1
                return
            if size:
                end = min(end, payload + size)
        else:
            self.other += 1
            return
        if protocol != 6:
            self.other += 1
            return
        ports, sequence, ack, header, flags = struct.unpack_from(">4sIIBB", data, payload)
        half = len(addresses) // 2
        one, two = (addresses[:half], ports[:2]), (addresses[half:], ports[2:])
        begin = payload + (header >> 4) * 4
        key = (one, two)
        # A new SYN on the ports of an old connection begins another one.
        if flags & 2 and key in self.flows and self.flows[key][-1].from_start and \
                self.flows[key][-1].base != (sequence + 1) & 0xFFFFFFFF:
            self.flows[key].append(Direction())
            self.flows.setdefault((two, one), []).append(Direction()) if not flags & 16 else None
        mine = self.flows.setdefault(key, [Direction()])[-1]
        mine.segment(sequence, flags & 2, flags & 1, begin, max(0, end - begin))
        if flags & 16:
            peer = self.flows.setdefault((two, one), [Direction()])[-1]
            if peer.base is not None and not flags & 4:
                peer.acked = max(peer.acked, peer.position(ack))

    def streams(self, marker):
        for (one, two), directions in self.flows.items():
            for direction in directions:
                total, missing, gaps, found = direction.scan(self.data, marker)
                if total or missing:
                    yield {"from": name(one), "to": name(two), "bytes": total, "missing": missing, "gaps": gaps,
                           "resent": direction.resent, "from_start": direction.from_start, "markers": found}


def name(end):
    address, port = end
    return f"{socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)}:{port[0] << 8 | port[1]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pcap")
    parser.add_argument("--marker", required=True)
    parser.add_argument("--stats")
    parser.add_argument("--min-bytes", type=int, default=0)
    parser.add_argument("--expect", choices=["present", "absent"])
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    marker = args.marker.encode()[:MARKER_SIZE].ljust(MARKER_SIZE, b".")

    try:
        with open(args.pcap, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            capture = Capture(data)
            streams = list(capture.streams(marker))
            raw = count(data, marker)
        stats = dict(line.strip().split("=") for line in open(args.stats)) if args.stats else {}
    except (OSError, ValueError, struct.error) as problem:
        print(f"find_marker.py: {args.pcap}: {problem}", file=sys.stderr)
        return 2

    result = {
        "packets": capture.packets, "dropped": int(stats.get("dropped", 0)) + int(stats.get("interface_dropped", 0)),
        "truncated": capture.truncated, "fragments": capture.fragments, "not_tcp": capture.other,
        "bytes": sum(s["bytes"] for s in streams), "gaps": sum(s["gaps"] for s in streams),
        "missing": sum(s["missing"] for s in streams), "markers": sum(s["markers"] for s in streams), "markers_raw": raw,
        "streams": streams,
    }
    incomplete = [key for key in ("dropped", "truncated", "fragments", "gaps") if result[key]]
    if stats and int(stats.get("link_packets", 0)) > capture.packets:
        incomplete.append(f"packets (the link carried {stats['link_packets']})")
    if result["bytes"] < args.min_bytes:
        incomplete.append(f"bytes (at least {args.min_bytes} were sent)")
    found = result["markers"] + result["markers_raw"] > 0
    code = 3 if incomplete else 4 if args.expect and (args.expect == "present") != found else 0
    if args.json:
        print(json.dumps(result | {"incomplete": incomplete, "exit": code}))
        return code
    for s in streams:
        print(f"{s['from']} > {s['to']}: {s['bytes']} bytes, {s['gaps']} gaps ({s['missing']} bytes missing), "
              f"{s['resent']} resent, {s['markers']} markers{'' if s['from_start'] else ', began before the capture'}")
    for key in ("packets", "bytes", "dropped", "truncated", "fragments", "not_tcp", "gaps", "missing", "markers", "markers_raw"):
        print(f"{key}: {result[key]}")
    if incomplete:
        print("INCOMPLETE: " + ", ".join(incomplete))
    return code


if __name__ == "__main__":
    sys.exit(main())
