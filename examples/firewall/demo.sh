#!/bin/sh
# skep: the eBPF system, in C++
# SPDX-License-Identifier: Apache-2.0
#
# The main job on real input: compile the firewall, run it over a recorded capture, show what it did.
# SKEP: the tool (default: skep in PATH). Run by `./dev demo`.
set -eu
cd "$(dirname "$0")/../.."
skep=${SKEP:-skep}
out=${TMPDIR:-/tmp}/skep-demo.$$
trap 'rm -rf "$out"' EXIT
mkdir -p "$out"

step() { printf '\n\033[1m%s\033[0m\n' "$*" | if [ -t 1 ]; then cat; else sed 's/\x1b\[[0-9]*m//g'; fi; }

step "1. Compile examples/firewall/firewall.bpf.c"
"$skep" compile examples/firewall/firewall.bpf.c -o "$out/firewall.bpf.o"

step "2. Its maps"
"$skep" map list "$out/firewall.bpf.o"

step "3. Run it over examples/firewall/traffic.pcap: deny 10.66.0.0/16 and fd66::/16, clock from the capture"
"$skep" run "$out/firewall.bpf.o" --pcap examples/firewall/traffic.pcap \
    --map-set deny_v4:100000000a420000:01000000 \
    --map-set deny_v6:10000000fd660000000000000000000000000000:01000000 \
    --events 5 --map-dump --write-pcapng "$out/verdicts.pcapng"
printf '%s bytes of pcapng with a verdict on every packet\n' "$(wc -c <"$out/verdicts.pcapng")"

step "4. The same 20 times over, for speed"
"$skep" run "$out/firewall.bpf.o" --pcap examples/firewall/traffic.pcap --repeat 20 --events 0
