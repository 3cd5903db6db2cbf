#!/usr/bin/env python3
# skep: the eBPF system, in C++
# SPDX-License-Identifier: Apache-2.0
"""Writes the BPF objects that programs carry in themselves (libbpf skeletons) into a folder.

usage: embedded_objects.py OUT PROGRAM...

An object is found by its ELF header (64 bits, little endian, EM_BPF) and ends where its section
headers do, as clang and libbpf's linker write it.
"""
import os
import struct
import sys

HEADER = b"\x7fELF\x02\x01\x01"
EM_BPF = 247


def objects(data):
    at = data.find(HEADER, 1)  # The program itself begins with one.
    while at >= 0:
        if len(data) >= at + 64 and struct.unpack_from("<H", data, at + 18)[0] == EM_BPF:
            shoff, = struct.unpack_from("<Q", data, at + 40)
            size, count = struct.unpack_from("<HH", data, at + 58)
            end = at + shoff + size * count
            if end <= len(data):
                yield data[at:end]
        at = data.find(HEADER, at + 1)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    out = sys.argv[1]
    os.makedirs(out, exist_ok=True)
    written = 0
    for path in sys.argv[2:]:
        with open(path, "rb") as file:
            data = file.read()
        for number, body in enumerate(objects(data)):
            suffix = f"-{number}" if number else ""
            with open(os.path.join(out, os.path.basename(path) + suffix + ".bpf.o"), "wb") as file:
                file.write(body)
            written += 1
    print(f"{written} objects in {out}")


if __name__ == "__main__":
    main()
