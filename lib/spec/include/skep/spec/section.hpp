// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "skep/spec/program_type.hpp"

namespace skep::spec {

/// What libbpf reads from the name of a program's ELF section.
struct SectionDef {
    std::string_view name; ///< "xdp", "kprobe"
    ProgramType type = ProgramType::Unspec;
    std::uint32_t attach_type = 0; ///< enum bpf_attach_type
    bool target = false;           ///< "name/target" is allowed
    std::uint8_t flags = 0;        ///< SectionFlags
};

enum SectionFlags : std::uint8_t {
    kSleepable = 1, ///< the program may sleep
    kFrags = 2,     ///< XDP on packets of several buffers
    kAttachBtf = 4, ///< the target is a kernel function or type, by BTF
};

/// The row that a section name (without a leading '?') belongs to, or nullptr.
[[nodiscard]] const SectionDef* find_section(std::string_view section) noexcept;
/// Every name that find_section() knows, for "did you mean".
[[nodiscard]] std::vector<std::string> section_names();

} // namespace skep::spec
