// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "emit_basics.hpp"

#include <bit>

namespace skep::jit::a64 {
namespace {

/// Ones at the low end, or none.
constexpr bool is_mask(std::uint64_t number) noexcept {
    return (number & (number + 1)) == 0;
}

/// One run of ones anywhere.
constexpr bool is_run(std::uint64_t number) noexcept {
    return number != 0 && is_mask(number >> std::countr_zero(number));
}

} // namespace

bool fits_logical(std::uint64_t number, unsigned width) noexcept {
    unsigned bits = width * 8;
    const std::uint64_t all = ~std::uint64_t{0} >> (64 - bits);
    number &= all;
    if (number == 0 || number == all)
        return false;
    // The smallest part that repeats.
    while (bits > 2) {
        const unsigned half = bits / 2;
        const std::uint64_t low = ~std::uint64_t{0} >> (64 - half);
        if ((number >> half & low) != (number & low))
            break;
        number &= low;
        bits = half;
    }
    return is_run(number) || is_run(~number & ~std::uint64_t{0} >> (64 - bits));
}

void load_number(Assembler& as, const Gp& to, std::uint64_t number) {
    const bool narrow = number <= UINT32_MAX;
    const unsigned parts = narrow ? 2 : 4;
    const auto part = [&](unsigned i) { return number >> (16 * i) & 0xffff; };
    unsigned zeros = 0;
    unsigned ones = 0;
    for (unsigned i = 0; i < parts; ++i) {
        zeros += part(i) == 0 ? 1 : 0;
        ones += part(i) == 0xffff ? 1 : 0;
    }
    const Gp reg = narrow ? Gp(to.w()) : Gp(to.x());
    const bool one_move = zeros + 1 >= parts || ones + 1 >= parts;
    if (!one_move && fits_logical(number, narrow ? 4 : 8)) {
        if (narrow)
            as.orr(reg, asmjit::a64::wzr, number);
        else
            as.orr(reg, asmjit::a64::xzr, number);
        return;
    }
    const bool inverted = ones > zeros;
    const std::uint64_t filler = inverted ? 0xffff : 0;
    bool first = true;
    for (unsigned i = 0; i < parts; ++i) {
        const bool all_filler = (inverted ? ones : zeros) == parts;
        if (part(i) == filler && !(all_filler && i == 0))
            continue;
        if (!first)
            as.movk(reg, part(i), 16 * i);
        else if (inverted)
            as.movn(reg, ~part(i) & 0xffff, 16 * i);
        else
            as.movz(reg, part(i), 16 * i);
        first = false;
    }
}

void add_number(Assembler& as, Gp to, Gp from, std::int64_t number, const Gp& scratch) {
    const bool negative = number < 0;
    const std::uint64_t size = negative ? std::uint64_t{0} - static_cast<std::uint64_t>(number)
                                        : static_cast<std::uint64_t>(number);
    constexpr std::uint64_t kLow = 4095;
    if (size >= std::uint64_t{1} << 24) {
        load_number(as, scratch, static_cast<std::uint64_t>(number));
        as.add(to, from, scratch);
        return;
    }
    if (size == 0) {
        if (to.id() != from.id())
            as.mov(to, from);
        return;
    }
    const auto step = [&](const Gp& base, std::uint64_t part, unsigned shift) {
        if (negative)
            as.sub(to, base, part, shift);
        else
            as.add(to, base, part, shift);
    };
    if (size > kLow) {
        step(from, size >> 12, 12);
        from = to;
    }
    if ((size & kLow) != 0)
        step(from, size & kLow, 0);
}

} // namespace skep::jit::a64
