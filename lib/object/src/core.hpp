// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "skep/btf/btf.hpp"
#include "skep/btf/ext.hpp"
#include "skep/isa/insn.hpp"

namespace skep::object {

/// What a CO-RE relocation comes to.
struct CoreValue {
    std::uint64_t local = 0;      ///< what the compiler wrote, by the object's own types
    std::uint64_t target = 0;     ///< what it must be
    bool poison = false;          ///< the target has no such type or field: running it is an error
    bool validate = true;         ///< the instruction must hold `local`
    std::uint32_t local_size = 0; ///< bytes of the field, for loads and stores; 0: no adjustment
    std::uint32_t target_size = 0;
    bool size_mismatch = false; ///< a load of the other width would not give the same value
    std::string what;           ///< "struct task_struct, field __state": for messages
};

/// Resolves CO-RE relocations of one object against the types of a target (libbpf's algorithm:
/// Documentation/bpf/libbpf and the "BPF CO-RE" reference). Keeps candidates by type.
class CoreResolver {
public:
    /// `local` may be null if there are no relocations to resolve; `target` may be null: then only
    /// relocations against local types resolve.
    CoreResolver(const btf::Btf* local, std::shared_ptr<const btf::Btf> target,
                 std::string target_name)
        : local_(local), target_(std::move(target)), target_name_(std::move(target_name)) {}

    Result<CoreValue> resolve(const btf::CoreRelocation& relocation);

private:
    struct Accessor {
        std::uint32_t type = 0; ///< the struct or union, or the element type of an array
        std::uint32_t index = 0;
        std::string_view name; ///< of the member; empty: an array index
    };
    struct Spec {
        std::uint32_t root = 0;
        std::vector<Accessor> path;     ///< named members and array indices
        std::vector<std::uint32_t> raw; ///< the access string
        std::uint64_t bit_offset = 0;
    };
    struct Field {
        std::uint64_t byte_offset = 0, byte_size = 0, bit_offset = 0, bit_size = 0;
        bool bitfield = false, is_signed = false;
        std::uint32_t type = 0;
    };

    Result<Spec> parse(const btf::CoreRelocation& relocation) const;
    Result<Spec> parse_field(Spec spec) const;
    [[nodiscard]] std::string describe(const btf::CoreRelocation& relocation,
                                       const Spec& spec) const;
    const std::vector<std::uint32_t>& candidates(std::uint32_t local_id);
    Result<std::optional<Spec>> match(const btf::CoreRelocation& relocation, const Spec& local,
                                      std::uint32_t candidate) const;
    bool match_member(const Accessor& local, std::uint32_t target_id, Spec& out,
                      std::uint32_t& next, int depth) const;
    Result<Field> field_of(const btf::Btf& btf, const Spec& spec) const;
    Result<void> evaluate(const btf::CoreRelocation& relocation, const btf::Btf& btf,
                          const Spec* spec, bool is_target, CoreValue& value) const;

    const btf::Btf* local_;
    std::shared_ptr<const btf::Btf> target_;
    std::string target_name_;
    std::unordered_map<std::uint32_t, std::vector<std::uint32_t>> candidates_;
};

/// Writes a value into the instruction(s) at `insns[i]`. A poisoned instruction becomes a call of a
/// helper that is not there (0xbad2310), as libbpf makes it.
Result<void> patch(std::vector<isa::Insn>& insns, std::size_t i, const CoreValue& value);

inline constexpr std::int32_t kPoisonedCall = 195896080; // 0xbad2310

} // namespace skep::object
