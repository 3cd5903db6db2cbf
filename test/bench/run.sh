#!/bin/sh
# skep: the eBPF system, in C++
# SPDX-License-Identifier: Apache-2.0
#
# usage: run.sh BUILD_DIR OUT.json: every benchmark, from a release build. Called by ./dev bench.
set -eu
build=$1
json=$2
echo "== the suite: interpreters and compiler beside the kernel's JIT and clang"
"$build/bin/suite_bench" --json "$json" || [ $? = 77 ]
echo "== packets from a capture through small XDP programs (verified)"
for program in pass drop reflect; do
    "$build/bin/skep" run "$build/examples/verdicts.bpf.o" -p "$program" --pcap examples/firewall/traffic.pcap \
        --repeat 100 2>&1 >/dev/null | sed -n "s/^speed:/$program:/p"
done
if [ -d build/selftests ]; then
    echo "== opening and linking the largest selftest objects"
    # shellcheck disable=SC2012,SC2046  # names without blanks, by size
    "$build/bin/object_bench" $(ls -S build/selftests/progs-v3/*.o | head -n 4)
fi
echo "== the verifier beside the kernel's"
# The large programs of the kernel's selftests, where ./dev selftests has built them, and real ones.
objects=""
for name in pyperf180 pyperf600 pyperf600_nounroll pyperf_subprogs pyperf600_bpf_loop strobemeta strobemeta_nounroll1 \
    strobemeta_nounroll2 strobemeta_subprogs strobemeta_bpf_loop test_l4lb test_l4lb_noinline test_xdp_noinline test_xdp loop1 loop2 \
    loop4 loop5 loop6 test_verif_scale1 test_verif_scale2 test_verif_scale3 test_tc_tunnel test_tc_edt test_tc_bpf test_tc_neigh \
    test_tc_peer profiler1 profiler2 profiler3 bpf_flow test_sysctl_loop1 test_sysctl_loop2 xdping_kern test_tcp_hdr_options \
    test_cls_redirect test_seg6_loop test_xdp_loop test_xdp_vlan; do
    [ ! -e "build/selftests/progs-v3/$name.bpf.o" ] || objects="$objects build/selftests/progs-v3/$name.bpf.o"
done
for object in build/libbpf-tools/*.o /usr/lib/x86_64-linux-gnu/bpf/*.o "$build"/examples/*.o; do
    [ ! -e "$object" ] || objects="$objects $object"
done
# shellcheck disable=SC2086  # names without blanks
"$build/bin/verify_bench" $objects || [ $? = 77 ]
echo "== map operations in programs: one thread, two threads, scaling"
"$build/bin/map_ops_bench" --json "$json" || [ $? = 77 ]
echo "== map operations from C++"
"$build/bin/maps_bench" --small
echo "programs and map operations are in $json"
