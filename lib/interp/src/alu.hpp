// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <limits>
#include <type_traits>

/// What the arithmetic instructions compute (RFC 9669, 4.1 and 4.2), on 32 or 64 bits.
namespace skep::interp::alu {

template <std::unsigned_integral U>
using Signed = std::make_signed_t<U>;

template <class U>
constexpr U add(U a, U b) noexcept {
    return a + b;
}
template <class U>
constexpr U sub(U a, U b) noexcept {
    return a - b;
}
template <class U>
constexpr U mul(U a, U b) noexcept {
    return a * b;
}
template <class U>
constexpr U bit_or(U a, U b) noexcept {
    return a | b;
}
template <class U>
constexpr U bit_and(U a, U b) noexcept {
    return a & b;
}
template <class U>
constexpr U bit_xor(U a, U b) noexcept {
    return a ^ b;
}

/// Division by zero yields zero.
template <class U>
constexpr U div(U a, U b) noexcept {
    return b == 0 ? 0 : a / b;
}
/// A remainder by zero leaves the dividend.
template <class U>
constexpr U mod(U a, U b) noexcept {
    return b == 0 ? a : a % b;
}
/// Rounds towards zero; the smallest number by -1 is itself.
template <class U>
constexpr U sdiv(U a, U b) noexcept {
    if (b == 0)
        return 0;
    if (b == std::numeric_limits<U>::max())
        return U{0} - a;
    return static_cast<U>(static_cast<Signed<U>>(a) / static_cast<Signed<U>>(b));
}
/// Has the sign of the dividend.
template <class U>
constexpr U smod(U a, U b) noexcept {
    if (b == 0)
        return a;
    if (b == std::numeric_limits<U>::max())
        return 0;
    return static_cast<U>(static_cast<Signed<U>>(a) % static_cast<Signed<U>>(b));
}

/// Shifts use the low 5 or 6 bits of the count.
template <class U>
constexpr U lsh(U a, U b) noexcept {
    return a << (b & (sizeof(U) * 8 - 1));
}
template <class U>
constexpr U rsh(U a, U b) noexcept {
    return a >> (b & (sizeof(U) * 8 - 1));
}
template <class U>
constexpr U arsh(U a, U b) noexcept {
    return static_cast<U>(static_cast<Signed<U>>(a) >> (b & (sizeof(U) * 8 - 1)));
}

/// The low bits of `a`, as signed S, sign-extended to U.
template <class U, std::signed_integral S>
constexpr U sign_extend(U a) noexcept {
    return static_cast<U>(static_cast<Signed<U>>(static_cast<S>(a)));
}

/// The low bits of `a` in the byte order named; the rest is zero.
template <std::unsigned_integral T>
constexpr std::uint64_t to_le(std::uint64_t a) noexcept {
    const auto low = static_cast<T>(a);
    return std::endian::native == std::endian::little ? low : std::byteswap(low);
}
template <std::unsigned_integral T>
constexpr std::uint64_t to_be(std::uint64_t a) noexcept {
    const auto low = static_cast<T>(a);
    return std::endian::native == std::endian::little ? std::byteswap(low) : low;
}
template <std::unsigned_integral T>
constexpr std::uint64_t swap(std::uint64_t a) noexcept {
    return std::byteswap(static_cast<T>(a));
}

} // namespace skep::interp::alu
