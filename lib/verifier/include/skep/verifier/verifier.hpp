// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "skep/base/bytes.hpp"
#include "skep/program/facts.hpp"
#include "skep/program/program.hpp"
#include "skep/spec/map_def.hpp"
#include "skep/verifier/follower.hpp"

namespace skep::verifier {

enum class Outcome : std::uint8_t {
    Accepted,    ///< proved, and the checker agrees
    Rejected,    ///< an obligation could not be proved
    Unsupported, ///< uses what this verifier does not know; nothing is said about safety
};

/// Something that happened on the way to a finding.
struct Note {
    std::uint32_t insn = 0;
    int reg = -1;     ///< the register it is about; -1: none
    std::string text; ///< "is packet + 14 from here", "is tested: 34 bytes are there"
    /// "merge" or "widening" where ways met and what each knew was lost; else "".
    std::string kind{};
};

/// A conditional jump, or a call that can go two ways, on the way to a finding.
struct Decision {
    std::uint32_t insn = 0;
    bool taken = false; ///< the jump; of calls: the callback or the loop has one more round
};

/// An obligation that was not proved, or a feature that is not known.
struct Finding {
    std::string code;           ///< "V101"; stable
    std::uint32_t insn = 0;     ///< slot in the program
    std::string message;        ///< what was needed and what was known
    int reg = -1;               ///< the register that it is about; -1: none
    std::string kernel;         ///< what Linux's verifier would say, in its words; may be empty
    std::vector<Note> notes;    ///< where what was known was gained and lost, in this order
    std::vector<Decision> path; ///< one way on which it happens; empty: there are no decisions
    std::uint32_t folded = 0;   ///< findings that follow from this one and are not listed
};

/// What a code means, in a few words: "access to the packet not covered by a test".
[[nodiscard]] std::string_view title_of(std::string_view code) noexcept;

struct Title {
    std::string_view code;
    std::string_view title;
};
/// All codes, in their order.
[[nodiscard]] std::span<const Title> catalogue() noexcept;

/// A part of a map's value that loads and stores may not touch: it belongs to helpers.
struct SpecialField {
    enum class Kind : std::uint8_t { SpinLock, Timer, Other };
    Kind kind = Kind::Other; ///< Other: kernel pointers, lists, trees, ...: not known yet
    std::uint32_t offset = 0;
    std::uint32_t size = 0;
};

/// A map as the verifier sees it.
struct MapView {
    const spec::MapDef* def = nullptr;
    /// Contents that never change (frozen read-only data): loads from constant offsets are known.
    Bytes constants{};
    std::vector<SpecialField> special;       ///< of the value
    std::vector<SpecialField> inner_special; ///< the same of the maps in it
};

struct Options {
    std::uint64_t max_visits = 1'000'000; ///< instructions that may be walked
    std::uint64_t max_states = 200'000;   ///< states that may be kept
    bool strict_alignment = false;        ///< accesses to packets and memory must be aligned, too
    bool keep_certificate = false;        ///< for Report::certificate
    /// Of a program that is not accepted: all findings, with paths and notes. Costs as much again.
    bool explain = false;
    bool facts = false; ///< for Report::facts
    /// Functions that several places call are proved once for many calls if they have as many
    /// instructions, with those they call, times the places. 0: at their first call; for tests.
    std::uint64_t least_summary = 400;
};

struct Statistics {
    std::uint64_t visited = 0; ///< instructions walked
    std::uint64_t states = 0;  ///< states kept
    std::uint64_t checked = 0; ///< instructions that the checker walked
    /// Of an accepted program: no run takes more instructions; UINT64_MAX if that is too many to
    /// count. Each round of a loop that a contract bounds is counted as often as that allows.
    std::uint64_t worst_case = 0;
    std::uint64_t summaries = 0; ///< proofs of functions that several calls may go by
    bool path_mode = false;      ///< joined states did not suffice
};

struct Report {
    Outcome outcome = Outcome::Rejected;
    std::vector<Finding> findings; ///< empty if accepted
    Statistics statistics;
    /// Of an accepted program, if they were asked for.
    std::shared_ptr<const Facts> facts;
    /// Of an accepted program, if it was asked for. Refers to the program.
    std::shared_ptr<Certificate> certificate;
};

/// Proves that a program neither reads nor writes what is not its own, never reads a register that
/// was not written (of the stack it may, as in Linux: hosts must zero it), keeps the contracts of
/// helpers, gives back what it took, and ends. `maps` are the object's, by the index that the
/// program's instructions name. Any instructions are taken. Thread-safe.
[[nodiscard]] Report verify(const Program& program, std::span<const MapView> maps,
                            const Options& options = {});

} // namespace skep::verifier
