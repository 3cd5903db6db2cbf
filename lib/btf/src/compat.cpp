// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/btf/compat.hpp"

#include <unordered_set>

namespace skep::btf {
namespace {

constexpr int kMaxLevel = 32;
// Nesting is bounded, but a graph of 32 levels with two edges each has 2^32 paths.
constexpr std::uint32_t kMaxSteps = 1'000'000;

bool is_enum(Kind kind) {
    return kind == Kind::Enum || kind == Kind::Enum64;
}

bool is_composite(Kind kind) {
    return kind == Kind::Struct || kind == Kind::Union;
}

bool same_kind(Kind a, Kind b) {
    return a == b || (is_enum(a) && is_enum(b));
}

std::unexpected<Error> too_deep() {
    return fail(ErrorCode::Limit, "types nest deeper than 32 levels: CO-RE does not compare them");
}

bool names_match(std::string_view local, std::string_view target) {
    if (target.empty())
        return local.empty();
    return essential_name(local) == essential_name(target);
}

class Comparison {
public:
    Comparison(const Btf& local, const Btf& target) : local_(local), target_(target) {}

    Result<bool> compatible(std::uint32_t a, std::uint32_t b, int level) {
        if (!same_kind(local_.kind(a), target_.kind(b)))
            return false;
        for (int depth = 0; depth < kMaxLevel; ++depth) {
            SKEP_TRY(step());
            a = local_.strip(a);
            b = target_.strip(b);
            const Type& x = local_.type(a);
            const Type& y = target_.type(b);
            if (!same_kind(x.kind, y.kind))
                return false;
            switch (x.kind) {
            case Kind::Void:
            case Kind::Struct:
            case Kind::Union:
            case Kind::Enum:
            case Kind::Enum64:
            case Kind::Fwd:
                return true;
            case Kind::Int:
                // Integers with an offset are bit-fields of compilers before the kind flag.
                return local_.integer(a).bit_offset == 0 && target_.integer(b).bit_offset == 0;
            case Kind::Ptr:
                break;
            case Kind::Array:
                a = local_.array(a).element;
                b = target_.array(b).element;
                continue;
            case Kind::FuncProto:
                if (x.vlen != y.vlen)
                    return false;
                for (std::uint32_t i = 0; i < x.vlen; ++i) {
                    if (level <= 0)
                        return too_deep();
                    const bool ok = SKEP_TRY(compatible(local_.strip(local_.parameter(a, i).type),
                                                        target_.strip(target_.parameter(b, i).type),
                                                        level - 1));
                    if (!ok)
                        return false;
                }
                break;
            default:
                return false;
            }
            a = x.size_or_type;
            b = y.size_or_type;
        }
        return too_deep();
    }

    Result<bool> match(std::uint32_t a, std::uint32_t b, bool behind_pointer, int level) {
        if (level <= 0)
            return too_deep();
        for (int depth = 0; depth < kMaxLevel; ++depth) {
            SKEP_TRY(step());
            a = local_.strip(a);
            b = target_.strip(b);
            const Type& x = local_.type(a);
            const Type& y = target_.type(b);
            if (!names_match(local_.name(a), target_.name(b)))
                return false;
            switch (x.kind) {
            case Kind::Void:
                return y.kind == Kind::Void;
            case Kind::Fwd:
                return forward_matches(x, y, behind_pointer);
            case Kind::Enum:
            case Kind::Enum64:
                return is_enum(y.kind) && enums_match(a, b);
            case Kind::Struct:
            case Kind::Union:
                if (behind_pointer)
                    return x.kind == y.kind ||
                           (y.kind == Kind::Fwd && (x.kind == Kind::Union) == y.kind_flag);
                if (x.kind != y.kind)
                    return false;
                return members_match(a, b, behind_pointer, level);
            case Kind::Int:
                return y.kind == Kind::Int && x.size_or_type == y.size_or_type &&
                       local_.integer(a).is_signed == target_.integer(b).is_signed;
            case Kind::Ptr:
                if (y.kind != Kind::Ptr)
                    return false;
                behind_pointer = true;
                break;
            case Kind::Array:
                if (y.kind != Kind::Array || local_.array(a).count != target_.array(b).count)
                    return false;
                a = local_.array(a).element;
                b = target_.array(b).element;
                continue;
            case Kind::FuncProto:
                if (y.kind != Kind::FuncProto || x.vlen != y.vlen)
                    return false;
                for (std::uint32_t i = 0; i < x.vlen; ++i) {
                    const bool ok =
                        SKEP_TRY(match(local_.parameter(a, i).type, target_.parameter(b, i).type,
                                       behind_pointer, level - 1));
                    if (!ok)
                        return false;
                }
                break;
            default:
                return false;
            }
            a = x.size_or_type;
            b = y.size_or_type;
        }
        return too_deep();
    }

private:
    Result<void> step() {
        if (++steps_ > kMaxSteps)
            return fail(ErrorCode::Limit, "comparing the types takes more than 1000000 steps");
        return {};
    }

    static bool forward_matches(const Type& x, const Type& y, bool behind_pointer) {
        if (y.kind == Kind::Fwd)
            return x.kind_flag == y.kind_flag;
        return behind_pointer && y.kind == (x.kind_flag ? Kind::Union : Kind::Struct);
    }

    bool enums_match(std::uint32_t a, std::uint32_t b) const {
        const Type& x = local_.type(a);
        const Type& y = target_.type(b);
        if (x.size_or_type != y.size_or_type || x.vlen > y.vlen)
            return false;
        std::unordered_set<std::string_view> names;
        for (std::uint32_t i = 0; i < y.vlen; ++i)
            names.insert(essential_name(target_.enumerator(b, i).name));
        for (std::uint32_t i = 0; i < x.vlen; ++i)
            if (!names.contains(essential_name(local_.enumerator(a, i).name)))
                return false;
        return true;
    }

    Result<bool> members_match(std::uint32_t a, std::uint32_t b, bool behind_pointer, int level) {
        const Type& x = local_.type(a);
        const Type& y = target_.type(b);
        if (x.vlen > y.vlen)
            return false;
        for (std::uint32_t i = 0; i < x.vlen; ++i) {
            const Member m = local_.member(a, i);
            bool matched = false;
            for (std::uint32_t j = 0; j < y.vlen && !matched; ++j) {
                SKEP_TRY(step());
                const Member n = target_.member(b, j);
                if (names_match(m.name, n.name))
                    matched = SKEP_TRY(match(m.type, n.type, behind_pointer, level - 1));
            }
            if (!matched)
                return false;
        }
        return true;
    }

    const Btf& local_;
    const Btf& target_;
    std::uint32_t steps_ = 0;
};

} // namespace

Result<bool> types_are_compatible(const Btf& local, std::uint32_t local_id, const Btf& target,
                                  std::uint32_t target_id) {
    return Comparison(local, target).compatible(local_id, target_id, kMaxLevel);
}

Result<bool> types_match(const Btf& local, std::uint32_t local_id, const Btf& target,
                         std::uint32_t target_id) {
    return Comparison(local, target).match(local_id, target_id, false, kMaxLevel);
}

bool fields_are_compatible(const Btf& local, std::uint32_t local_id, const Btf& target,
                           std::uint32_t target_id) noexcept {
    while (true) {
        local_id = local.strip(local_id);
        target_id = target.strip(target_id);
        const Kind a = local.kind(local_id);
        const Kind b = target.kind(target_id);
        if (is_composite(a) && is_composite(b))
            return true;
        if (!same_kind(a, b))
            return false;
        switch (a) {
        case Kind::Ptr:
        case Kind::Float:
            return true;
        case Kind::Fwd:
        case Kind::Enum:
        case Kind::Enum64: {
            const std::string_view x = essential_name(local.name(local_id));
            const std::string_view y = essential_name(target.name(target_id));
            return x.empty() || y.empty() || x == y;
        }
        case Kind::Int:
            return local.integer(local_id).bit_offset == 0 &&
                   target.integer(target_id).bit_offset == 0;
        case Kind::Array: // Ends: parse() refused arrays that contain themselves.
            local_id = local.array(local_id).element;
            target_id = target.array(target_id).element;
            break;
        default:
            return false;
        }
    }
}

} // namespace skep::btf
