# skep: the eBPF system, in C++
# SPDX-License-Identifier: Apache-2.0
"""traffic.py serve|talk|scan: the programs that talk in record.sh."""
import random
import select
import socket
import struct
import sys
import time

V4, V6 = socket.AF_INET, socket.AF_INET6
SERVER = {V4: "10.9.0.1", V6: "fd09::1"}
BAD = {V4: "10.66.0.2", V6: "fd66::2"}


def question(name, ident):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack(">6H", ident, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 1, 1)


def serve():
    udp = socket.socket(V6, socket.SOCK_DGRAM)
    udp.bind(("::", 53))
    tcp = socket.create_server(("::", 7), family=V6, dualstack_ipv6=True)
    while True:
        for ready in select.select([udp, tcp], [], [])[0]:
            if ready is udp:
                data, peer = udp.recvfrom(2048)
                head = data[:2] + struct.pack(">5H", 0x8180, 1, 1, 0, 0)
                record = struct.pack(">HHHIH4s", 0xC00C, 1, 1, 60, 4, bytes([192, 0, 2, 1]))
                udp.sendto(head + data[12:] + record, peer)
            else:
                with tcp.accept()[0] as peer:
                    while data := peer.recv(4096):
                        peer.sendall(data)


def talk():
    chance = random.Random(1)
    for i in range(300):
        family = V6 if i % 2 else V4
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.settimeout(1)
            sock.sendto(question(f"host{i}.example", i), (SERVER[family], 53))
            sock.recv(2048)
        time.sleep(0.002)
    for i in range(20):
        with socket.create_connection((SERVER[V6 if i % 2 else V4], 7)) as peer:
            for _ in range(5):
                data = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 1200)))
                peer.sendall(data)
                while len(data) > 0:
                    data = data[len(peer.recv(4096)):]
    # Fragments, and IPv6 extension headers (destination options), as a real stack sends them.
    for family in (V4, V6):
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.sendto(bytes(4000), (SERVER[family], 9))
    with socket.socket(V6, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, bytes([0, 0, 1, 4, 0, 0, 0, 0]))
        for i in range(20):
            sock.sendto(question(f"options{i}.example", i), (SERVER[V6], 53))


def scan():
    for family in (V4, V6):
        for port in range(1, 401):
            with socket.socket(family, socket.SOCK_STREAM) as sock:
                sock.settimeout(0.2)
                sock.bind((BAD[family], 0))
                sock.connect_ex((SERVER[family], port))
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.bind((BAD[family], 0))
            for port in range(1000, 1200):
                sock.sendto(b"probe", (SERVER[family], port))
    # Probes that no stack sends: all of FIN, PSH, URG; SYN with FIN; no flag at all.
    with socket.socket(V4, socket.SOCK_RAW, socket.IPPROTO_TCP) as sock:
        for i, flags in enumerate([0x29, 0x03, 0x00] * 30):
            sock.sendto(struct.pack(">HHIIBBHHH", 40000 + i, 80, 1, 0, 0x50, flags, 1024, 0, 0),
                        (SERVER[V4], 0))
    # A flood from a source that is on no list.
    with socket.socket(V4, socket.SOCK_DGRAM) as sock:
        for _ in range(400):
            sock.sendto(b"flood", (SERVER[V4], 9))


{"serve": serve, "talk": talk, "scan": scan}[sys.argv[1]]()
