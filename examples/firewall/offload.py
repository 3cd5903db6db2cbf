# skep: the eBPF system, in C++
# SPDX-License-Identifier: Apache-2.0
"""offload.py INTERFACE: turns segmentation and checksum offload off (what ethtool -K does)."""
import array
import fcntl
import socket
import struct
import sys

SIOCETHTOOL = 0x8946
SET = {"rx checksum": 0x15, "tx checksum": 0x17, "tso": 0x1F, "gso": 0x24, "gro": 0x2C}

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    for name, command in SET.items():
        request = array.array("B", struct.pack("II", command, 0))
        address, _ = request.buffer_info()
        try:
            fcntl.ioctl(sock, SIOCETHTOOL, struct.pack("16sP", sys.argv[1].encode(), address))
        except OSError as error:
            print(f"{sys.argv[1]}: {name} stays on: {error}", file=sys.stderr)
