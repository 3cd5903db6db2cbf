// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/isa/decode.hpp"

#include <algorithm>

#include "skep/isa/encode.hpp"

namespace skep::isa {
namespace {

// On disk the register nibbles follow the byte order too: dst is the low one in little endian.
Insn read_insn(const std::byte* from, std::endian order) {
    Insn insn;
    insn.opcode = std::to_integer<std::uint8_t>(from[0]);
    const auto registers = std::to_integer<unsigned>(from[1]);
    auto off = load<std::uint16_t>(from + 2);
    auto imm = load<std::uint32_t>(from + 4);
    if (order != std::endian::native) {
        off = std::byteswap(off);
        imm = std::byteswap(imm);
    }
    const bool big = order == std::endian::big;
    insn.dst = (big ? registers >> 4 : registers) & 0xfU;
    insn.src = (big ? registers : registers >> 4) & 0xfU;
    insn.off = static_cast<std::int16_t>(off);
    insn.imm = static_cast<std::int32_t>(imm);
    return insn;
}

} // namespace

Result<std::vector<Insn>> decode(Bytes bytes, std::endian order) {
    if (bytes.size() % sizeof(Insn) != 0)
        return malformed("code is " + std::to_string(bytes.size()) +
                         " bytes, expected a multiple of 8");
    std::vector<Insn> insns(bytes.size() / sizeof(Insn));
    for (std::size_t i = 0; i < insns.size(); ++i)
        insns[i] = read_insn(bytes.data() + i * sizeof(Insn), order);
    return insns;
}

std::vector<std::byte> to_bytes(std::span<const Insn> insns, std::endian order) {
    std::vector<std::byte> bytes(insns.size() * sizeof(Insn));
    const bool big = order == std::endian::big;
    for (std::size_t i = 0; i < insns.size(); ++i) {
        const Insn& insn = insns[i];
        std::byte* to = bytes.data() + i * sizeof(Insn);
        auto off = static_cast<std::uint16_t>(insn.off);
        auto imm = static_cast<std::uint32_t>(insn.imm);
        if (order != std::endian::native) {
            off = std::byteswap(off);
            imm = std::byteswap(imm);
        }
        const unsigned low = big ? insn.src : insn.dst;
        const unsigned high = big ? insn.dst : insn.src;
        to[0] = std::byte{insn.opcode};
        to[1] = static_cast<std::byte>(high << 4 | low);
        store(to + 2, off);
        store(to + 4, imm);
    }
    return bytes;
}

std::int64_t target_of(const Insn& insn, std::size_t index) noexcept {
    const OpInfo* row = classify(insn);
    if (row == nullptr)
        return -1;
    const auto next = static_cast<std::int64_t>(index) + 1;
    switch (row->format) {
    case Format::Ja:
    case Format::JmpImm:
    case Format::JmpReg:
        return next + insn.off;
    case Format::Gotol:
    case Format::CallLocal:
    case Format::LddwFunc:
        return next + insn.imm;
    default:
        return -1;
    }
}

std::vector<std::uint32_t> function_starts(std::span<const Insn> insns) {
    std::vector<std::uint32_t> starts{0};
    for (std::size_t i = 0; i < insns.size(); ++i) {
        const OpInfo* row = classify(insns[i]);
        if (row == nullptr)
            continue;
        if (row->op == Op::CallLocal || row->op == Op::LddwFunc) {
            const std::int64_t target = target_of(insns[i], i);
            if (target >= 0 && target < std::ssize(insns))
                starts.push_back(static_cast<std::uint32_t>(target));
        }
        i += row->slots() - 1;
    }
    std::ranges::sort(starts);
    const auto repeated = std::ranges::unique(starts);
    starts.erase(repeated.begin(), repeated.end());
    return starts;
}

} // namespace skep::isa
