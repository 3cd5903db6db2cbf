#!/bin/sh
# skep: the eBPF system, in C++
# SPDX-License-Identifier: Apache-2.0
#
# Records examples/firewall/traffic.pcap: real programs talk across a veth pair between two network
# namespaces of our own. Needs root, ip, tcpdump, python3, curl. Nothing outside the namespaces is
# touched, and they are removed at the end.
#   10.9.0.1, fd09::1: the server     10.9.0.2, fd09::2: a good client
#   10.66.0.2, fd66::2: a bad client, which scans; VLAN 7: 10.7.0.0/24
set -eu
for tool in ip tcpdump python3 curl; do
    command -v "$tool" >/dev/null || { echo "record.sh: $tool is missing" >&2; exit 2; }
done
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/traffic.pcap}
a=skep-rec-$$-a
b=skep-rec-$$-b
work=$(mktemp -d)
pids=""
finish() {
    for pid in $pids; do kill "$pid" 2>/dev/null || :; done
    ip netns del "$a" 2>/dev/null || :
    ip netns del "$b" 2>/dev/null || :
    rm -rf "$work"
}
trap finish EXIT
in_a() { ip netns exec "$a" "$@"; }
in_b() { ip netns exec "$b" "$@"; }

ip netns add "$a"
ip netns add "$b"
ip -n "$a" link add veth0 type veth peer name veth0 netns "$b"
for ns in "$a" "$b"; do
    ip -n "$ns" link set lo up
    ip netns exec "$ns" sysctl -qw net.ipv6.conf.veth0.accept_dad=0
    ip -n "$ns" link set veth0 up
done
# One frame in the capture is one frame on a wire: no segmentation offload.
in_a python3 "$here/offload.py" veth0
in_b python3 "$here/offload.py" veth0
ip -n "$a" addr add 10.9.0.1/24 dev veth0
ip -n "$b" addr add 10.9.0.2/24 dev veth0
ip -n "$a" addr add fd09::1/64 dev veth0 nodad
ip -n "$b" addr add fd09::2/64 dev veth0 nodad
ip -n "$b" addr add 10.66.0.2/24 dev veth0
ip -n "$b" addr add fd66::2/64 dev veth0 nodad
ip -n "$a" route add 10.66.0.0/24 dev veth0
ip -n "$a" route add fd66::/64 dev veth0
if ip -n "$a" link add link veth0 name vlan7 type vlan id 7 2>/dev/null; then
    ip -n "$b" link add link veth0 name vlan7 type vlan id 7
    ip -n "$a" addr add 10.7.0.1/24 dev vlan7
    ip -n "$b" addr add 10.7.0.2/24 dev vlan7
    ip -n "$a" link set vlan7 up
    ip -n "$b" link set vlan7 up
    vlan=yes
else
    echo "no VLAN devices in this kernel: the capture has no tagged frames" >&2
    vlan=no
fi

mkdir "$work/www"
seq 1 900 >"$work/www/small.txt"
head -c 30000 /dev/urandom >"$work/www/large.bin"
(cd "$work/www" && exec ip netns exec "$a" python3 -m http.server --bind :: 8080) >/dev/null 2>&1 &
pids="$pids $!"
in_a python3 "$here/traffic.py" serve >/dev/null 2>&1 &
pids="$pids $!"
in_a tcpdump -i veth0 -s 160 -U -w "$work/out.pcap" 2>"$work/tcpdump.log" &
dump=$!
pids="$pids $dump"
sleep 2

for i in $(seq 1 25); do
    in_b curl -s -o /dev/null http://10.9.0.1:8080/small.txt
    in_b curl -s -o /dev/null "http://[fd09::1]:8080/small.txt"
done
for i in 1 2 3 4 5; do
    in_b curl -s -o /dev/null http://10.9.0.1:8080/large.bin
    in_b curl -s -o /dev/null "http://[fd09::1]:8080/large.bin"
    in_b curl -s -o /dev/null "http://10.9.0.1:8080/missing-$i"
done
[ "$vlan" = no ] || in_b curl -s -o /dev/null http://10.7.0.1:8080/small.txt
in_b python3 "$here/traffic.py" talk
in_b python3 "$here/traffic.py" scan
sleep 1
kill "$dump"
wait "$dump" 2>/dev/null || :
mv "$work/out.pcap" "$out"
echo "$out: $(tcpdump -nr "$out" 2>/dev/null | wc -l) packets, $(stat -c %s "$out") bytes"
