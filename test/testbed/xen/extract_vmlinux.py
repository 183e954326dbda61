#!/usr/bin/env python3
"""extract_vmlinux.py BZIMAGE OUT: the uncompressed ELF kernel of a bzImage, by its boot header (Linux's x86 boot protocol)."""
import gzip
import lzma
import struct
import sys


def payload(image):
    if image[0x1FE:0x200] != b"\x55\xaa" or image[0x202:0x206] != b"HdrS" and image[0x202:0x206][2:] == b"\0\0":
        sys.exit(f"{sys.argv[1]}: no bzImage")
    setup_sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    return image[start:start + length]


def main():
    with open(sys.argv[1], "rb") as file:
        packed = payload(file.read())
    if packed.startswith(b"\xfd7zXZ\0"):
        kernel = lzma.LZMADecompressor().decompress(packed)
    elif packed.startswith(b"\x1f\x8b"):
        kernel = gzip.decompress(packed[:-4])
    else:
        sys.exit(f"{sys.argv[1]}: compressed in a way that is not known here: {packed[:6]!r}")
    if not kernel.startswith(b"\x7fELF"):
        sys.exit(f"{sys.argv[1]}: what it unpacks to is no ELF file")
    with open(sys.argv[2], "wb") as file:
        file.write(kernel)


main()
