// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "vmlinux.hpp"

#include <unistd.h>

#include "skep/base/file.hpp"
#include "skep/btf/btf.hpp"
#include "skep/btf/dump_c.hpp"
#include "skep/object/object.hpp"
#include "skep/spec/helper.hpp"

namespace skep::tool {
namespace {

Result<std::shared_ptr<const btf::Btf>> read_btf(const std::filesystem::path& path) {
    const auto bytes = SKEP_TRY(read_file(path));
    const auto at_path = [&path](Error error) {
        error.place.file = path.string();
        return std::unexpected(std::move(error));
    };
    Bytes raw = bytes;
    if (as_text(raw).starts_with("\x7f"
                                 "ELF")) {
        auto section = object::btf_section(raw);
        if (!section)
            return at_path(std::move(section).error());
        raw = *section;
    }
    auto parsed = btf::Btf::parse(raw);
    if (!parsed)
        return at_path(std::move(parsed).error());
    return parsed;
}

} // namespace

std::string helper_definitions() {
    return spec::helper_header();
}

Result<std::string> vmlinux_header(const std::filesystem::path& btf) {
    const auto types = SKEP_TRY(read_btf(btf));
    return btf::dump_c(*types);
}

Result<std::shared_ptr<const btf::Btf>> target_btf(const std::string& btf) {
    if (btf == "none" || (btf.empty() && ::access(kKernelBtf, R_OK) != 0))
        return std::shared_ptr<const btf::Btf>();
    return read_btf(btf.empty() ? kKernelBtf : btf);
}

} // namespace skep::tool
