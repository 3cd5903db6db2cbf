// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "skep/isa/assemble.hpp"
#include "skep/isa/opcodes.hpp"

namespace skep::isa {

/// What a statement turned out to be.
struct Matched {
    Insn insn;
    Insn second; ///< of a lddw
    unsigned slots = 1;
    std::string_view label; ///< if not empty: its distance goes into `off` or `imm`
    std::size_t label_position = 0;
    bool label_in_imm = false;
};

/// Why a statement is none of the rows: the attempts that got furthest.
struct Mismatch {
    std::size_t position = 0;
    std::vector<std::string> expected;
    std::string complaint; ///< the form is right but a value is not; replaces `expected`
    std::string hint;
};

/// Characters of names, numbers and mnemonics.
[[nodiscard]] bool is_word(char c) noexcept;

/// Reads one statement against the texts of the table. All views must outlive the matcher.
class Matcher {
public:
    Matcher(std::string_view statement, const AssembleOptions& options,
            const std::set<std::string_view>& labels) noexcept
        : statement_(statement), options_(options), labels_(labels) {}

    /// The first row whose text the statement, from `start` on, matches to its end. With `opcode`
    /// only rows of that opcode byte count.
    std::optional<Matched> match(std::size_t start, std::optional<std::uint8_t> opcode);

    /// Why match() gave nothing.
    [[nodiscard]] const Mismatch& mismatch() const noexcept { return mismatch_; }

private:
    struct Number {
        std::uint64_t magnitude = 0;
        bool negative = false;
        bool hex = false;
        std::size_t position = 0;
    };

    bool attempt(std::size_t start, std::optional<std::uint8_t> opcode);
    bool match_text(std::string_view text, Op op);
    bool match_raw(std::size_t start);
    bool literal(std::string_view token);
    bool placeholder(char which, Op op);

    bool reg(char letter, unsigned& number);
    bool operand_register(char letter, bool is_dst);
    bool number(Number& out);
    bool signed_number(std::int64_t& out, std::int64_t low, std::int64_t high);
    bool immediate(Op op, bool unsigned_too, bool hex_wraps);
    bool unsigned32(std::int32_t& out);
    bool wide_immediate();
    bool offset(std::int64_t& out, std::int64_t low, std::int64_t high);
    bool jump(bool in_imm);
    bool function_distance();
    bool label(bool in_imm);
    bool address_spaces();
    bool optional_tail(std::string_view intro, std::int32_t& out);
    bool map_name();
    bool helper();
    bool kfunc();
    bool callee(std::span<const Symbol> symbols, std::string_view what);

    void skip_space() noexcept;
    [[nodiscard]] char peek() noexcept;
    [[nodiscard]] std::string_view word_here() noexcept;
    [[nodiscard]] std::string hint_for(std::string_view word,
                                       std::initializer_list<std::span<const Symbol>> tables,
                                       bool labels_too = true) const;
    bool expected(std::string_view what); // Always false, as are the next two.
    bool expected_token(std::string_view token);
    bool complain(std::size_t position, std::string complaint, std::string hint = {});

    std::string_view statement_;
    const AssembleOptions& options_;
    const std::set<std::string_view>& labels_;
    std::size_t at_ = 0;
    Matched matched_;
    bool dst_known_ = false;
    bool src_known_ = false;
    bool explain_ = false;
    Mismatch mismatch_;
};

} // namespace skep::isa
