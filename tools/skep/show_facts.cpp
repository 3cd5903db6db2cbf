// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "show_facts.hpp"

#include <array>
#include <bit>
#include <fmt/format.h>

#include "skep/isa/insn.hpp"

namespace skep::tool {
namespace {

const char* name(Memory memory) {
    constexpr std::array kNames{"",       "mixed",    "context",   "stack",
                                "packet", "metadata", "map value", "other"};
    return kNames[static_cast<std::size_t>(memory)];
}

std::string range(const NumberFact& fact) {
    if (fact.is_constant())
        return fmt::format("{}", static_cast<std::int64_t>(fact.bits));
    if (fact.smin == INT64_MIN && fact.smax == INT64_MAX)
        return fact.unknown == UINT64_MAX ? "any" : fmt::format("any & {:#x}", fact.unknown);
    return fmt::format("{}..{}", fact.smin, fact.smax);
}

std::string place(const PointerFact& fact) {
    const std::string distance = fact.low == fact.high
                                     ? fmt::format("{:+}", fact.low)
                                     : fmt::format(" {:+}..{:+}", fact.low, fact.high);
    return fmt::format("{}{}{}{}", name(fact.memory), distance,
                       fact.alignment > 1 ? fmt::format(" aligned {}", fact.alignment) : "",
                       fact.non_null ? "" : " or null");
}

Json number_json(const NumberFact& fact) {
    return {{"umin", fact.umin},
            {"umax", fact.umax},
            {"smin", fact.smin},
            {"smax", fact.smax},
            {"unknown_bits", fact.unknown}};
}

Json pointer_json(const PointerFact& fact) {
    return {{"memory", name(fact.memory)},
            {"non_null", fact.non_null},
            {"map", fact.map},
            {"low", fact.low},
            {"high", fact.high},
            {"alignment", fact.alignment}};
}

} // namespace

std::string facts_text(const Disassembly& disassembly, const Program& program, const Facts& facts) {
    std::string text;
    for (std::uint32_t i = 0; i < program.insns.size(); i += disassembly.slots(i)) {
        const InsnFact& fact = facts.insns[i];
        std::vector<std::string> told;
        if (!fact.reached)
            told.emplace_back("never reached");
        if (fact.jumps != fact.falls_through)
            told.emplace_back(fact.jumps ? "always jumps" : "never jumps");
        if (fact.access.memory != Memory::None)
            told.push_back(place(fact.access));
        if (fact.dst.known)
            told.push_back("dst " + range(fact.dst));
        if (fact.src.known)
            told.push_back("src " + range(fact.src));
        if (fact.result.known)
            told.push_back("gives " + range(fact.result));
        if (fact.result_pointer.memory != Memory::None)
            told.push_back("gives " + place(fact.result_pointer));
        if (const auto* call = facts.call_at(i); call != nullptr && call->key)
            told.push_back(fmt::format("key {}", *call->key));
        if (fact.upper_unread)
            told.emplace_back("upper half unread");
        std::string line;
        for (const std::string& one : told)
            line += (line.empty() ? "" : "; ") + one;
        text += line.empty() ? fmt::format("{:5}: {}\n", i, disassembly.text(i))
                             : fmt::format("{:5}: {:<40} | {}\n", i, disassembly.text(i), line);
    }
    for (const FunctionFact& function : facts.functions)
        text +=
            fmt::format("  function at {}: {} bytes of stack, {} of 8 bytes must be in memory{}\n",
                        function.begin, function.stack_bytes, std::popcount(function.address_taken),
                        function.reads_unwritten ? ", zeroed" : "");
    return text;
}

Json facts_json(const Facts& facts) {
    Json insns = Json::array();
    for (std::size_t i = 0; i < facts.insns.size(); ++i) {
        const InsnFact& fact = facts.insns[i];
        Json row{{"insn", i}, {"reached", fact.reached}};
        if (fact.jumps || fact.falls_through) {
            row["jumps"] = fact.jumps;
            row["falls_through"] = fact.falls_through;
        }
        if (fact.dst.known)
            row["dst"] = number_json(fact.dst);
        if (fact.src.known)
            row["src"] = number_json(fact.src);
        if (fact.result.known)
            row["result"] = number_json(fact.result);
        if (fact.access.memory != Memory::None)
            row["access"] = pointer_json(fact.access);
        if (fact.result_pointer.memory != Memory::None)
            row["result_pointer"] = pointer_json(fact.result_pointer);
        if (const auto* call = facts.call_at(static_cast<std::uint32_t>(i))) {
            row["map"] = call->map;
            if (call->key)
                row["key"] = *call->key;
        }
        row["upper_unread"] = fact.upper_unread;
        insns.push_back(std::move(row));
    }
    Json functions = Json::array();
    for (const FunctionFact& function : facts.functions)
        functions.push_back({{"begin", function.begin},
                             {"reached", function.reached},
                             {"stack_bytes", function.stack_bytes},
                             {"address_taken", function.address_taken},
                             {"reads_unwritten", function.reads_unwritten}});
    return {{"insns", std::move(insns)}, {"functions", std::move(functions)}};
}

} // namespace skep::tool
