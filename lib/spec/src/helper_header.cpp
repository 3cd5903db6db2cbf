// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cctype>
#include <set>
#include <utility>

#include "skep/spec/helper.hpp"

namespace skep::spec {
namespace {

bool is_word(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// Replaces whole words.
std::string replace_word(std::string text, std::string_view from, std::string_view to) {
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at)) {
        const std::size_t end = at + from.size();
        const bool whole =
            (at == 0 || !is_word(text[at - 1])) && (end == text.size() || !is_word(text[end]));
        if (whole)
            text.replace(at, from.size(), to);
        at += whole ? to.size() : from.size();
    }
    return text;
}

// Kernel-internal names in the signatures, and what BPF programs call the same thing.
std::string for_programs(std::string text) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kNames{
        {{"struct bpf_map", "void"},
         {"sk_buff", "__sk_buff"},
         {"sk_msg_buff", "sk_msg_md"},
         {"xdp_buff", "xdp_md"},
         {"u8", "__u8"},
         {"u16", "__u16"},
         {"u32", "__u32"},
         {"u64", "__u64"},
         {"s32", "__s32"},
         {"s64", "__s64"},
         {"size_t", "unsigned long"}}};
    for (const auto& [from, to] : kNames)
        text = replace_word(std::move(text), from, to);
    return text;
}

void collect_structs(std::string_view text, std::set<std::string>& names) {
    constexpr std::string_view kStruct = "struct ";
    for (std::size_t at = text.find(kStruct); at != std::string_view::npos;
         at = text.find(kStruct, at + 1)) {
        std::size_t end = at + kStruct.size();
        while (end < text.size() && is_word(text[end]))
            ++end;
        if (end > at + kStruct.size())
            names.emplace(text.substr(at, end - at));
    }
}

} // namespace

std::string helper_header() {
    std::set<std::string> structs;
    std::string functions;
    for (const HelperProto& helper : helpers()) {
        const std::string text = for_programs(std::string(helper.signature));
        collect_structs(text, structs);
        const std::string name = "bpf_" + std::string(helper.name);
        const std::size_t at = text.find(name + "(");
        functions += "static " + text.substr(0, at) + "(* const " + name + ")" +
                     text.substr(at + name.size()) + " = (void *) " + std::to_string(helper.id) +
                     ";\n";
    }
    std::string out =
        "/* The helpers of Linux 6.18, generated from skep's table. Needs the types of\n"
        " * linux/types.h or vmlinux.h. */\n#pragma once\n\n";
    for (const std::string& name : structs)
        out += name + ";\n";
    return out + "\n" + functions;
}

} // namespace skep::spec
