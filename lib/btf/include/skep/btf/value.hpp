// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "skep/base/bytes.hpp"
#include "skep/base/result.hpp"
#include "skep/btf/btf.hpp"

namespace skep::btf {

/// Receives a value part by part, in the order of the type. Strings live during the call only.
class ValueVisitor {
public:
    virtual ~ValueVisitor() = default;
    virtual void begin_struct() = 0;                ///< or union: then member() before each value
    virtual void member(std::string_view name) = 0; ///< "" for an anonymous struct or union
    virtual void end_struct() = 0;
    virtual void begin_array() = 0;
    virtual void end_array() = 0;
    virtual void integer(std::int64_t value) = 0;
    virtual void natural(std::uint64_t value) = 0;
    /// Integers of more than 64 bits, and bit-fields of a type that is no integer.
    virtual void bits(std::uint64_t high, std::uint64_t low) = 0;
    virtual void boolean(bool value) = 0;
    virtual void character(char value) = 0;
    virtual void string(std::string_view value) = 0; ///< an array of char with a NUL
    virtual void floating(double value) = 0;
    virtual void pointer(std::uint64_t value) = 0;
    /// `name` is "" if no enumerator has the value.
    virtual void enumerator(std::string_view name, std::int64_t value) = 0;
    /// A thing without a value: void, a function, a forward declaration, a long double.
    virtual void opaque(Bytes bytes) = 0;
};

/// Walks over a value of the type in the host's byte order. Invalid if the bytes are fewer than the
/// type's size, or the type has none; Limit if the type has far more parts than the value has
/// bytes.
Result<void> visit_value(const Btf& btf, std::uint32_t id, Bytes bytes, ValueVisitor& visitor);

} // namespace skep::btf
