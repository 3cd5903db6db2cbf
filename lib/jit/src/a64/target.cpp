// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "combine.hpp"
#include "registers.hpp"

#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

namespace skep::jit::a64 {
namespace {

using ir::Node;
using ir::Op;

bool is_exclusive(const Node& node) noexcept {
    return node.op >= Op::AtomicAdd && node.op <= Op::AtomicCmpxchg && !has_lse();
}

/// Loops of exclusive accesses have the new value in x13 and their success in x14.
RegisterSet destroys(const ir::Graph& /*graph*/, const Node& node) {
    return is_exclusive(node) ? bit(kX13) | bit(kX14) : 0;
}

unsigned late_operands(const ir::Graph& /*graph*/, const Node& node) {
    constexpr unsigned kAll = 7;
    return is_exclusive(node) ? kAll : 0;
}

consteval Target make() {
    Target target;
    target.least_offset = -256;
    target.greatest_offset = 4095;
    target.allocatable = bits(kX0, kX14) | kCalleeSaved;
    target.caller_saved = bits(kX0, kX14);
    target.order = {kX8, kX9, kX10, kX11, kX12, kX13, kX14, kX7,  kX6,  kX5,  kX4,  kX3, kX2,
                    kX1, kX0, kX23, kX24, kX25, kX26, kX27, kX28, kX19, kX20, kX21, kX22};
    target.order_count = 25;
    target.home = {kX0, kX0, kX1, kX2, kX3, kX4, kX19, kX20, kX21, kX22, kNoRegister};
    target.arguments = {kX0, kX1, kX2, kX3, kX4, kX5};
    target.result = kX0;
    target.destroys = destroys;
    target.late_operands = late_operands;
    target.combine = combine;
    return target;
}

constexpr Target kTarget = make();

} // namespace

const Target& target() noexcept {
    return kTarget;
}

bool has_lse() noexcept {
#if defined(__aarch64__)
    static const bool has = (::getauxval(AT_HWCAP) & HWCAP_ATOMICS) != 0;
    return has;
#else
    return false;
#endif
}

} // namespace skep::jit::a64
