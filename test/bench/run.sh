#!/bin/sh
# skep: the eBPF system, in C++
# SPDX-License-Identifier: Apache-2.0
#
# usage: run.sh BUILD_DIR OUT.json: every benchmark, from a release build. Called by ./dev bench.
set -eu
build=$1
json=$2
echo "== the interpreter beside the kernel's JIT"
"$build/bin/interp_bench" --json "$json" || [ $? = 77 ]
echo "== packets from a capture through small XDP programs (the checked interpreter)"
for program in pass drop reflect; do
    "$build/bin/skep" run "$build/examples/verdicts.bpf.o" -p "$program" --pcap examples/firewall/traffic.pcap \
        --repeat 100 2>&1 >/dev/null | sed -n "s/^speed:/$program:/p"
done
if [ -d build/selftests ]; then
    echo "== opening and linking the largest selftest objects"
    # shellcheck disable=SC2012,SC2046  # names without blanks, by size
    "$build/bin/object_bench" $(ls -S build/selftests/progs-v3/*.o | head -n 4)
fi
echo "== map operations"
"$build/bin/maps_bench" --small
echo "results of the first table: $json"
