// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "kernel_config.hpp"

#include <array>
#include <memory>
#include <string_view>
#include <sys/utsname.h>
#include <zlib.h>

namespace skep::tool {
namespace {

constexpr std::size_t kMaxConfig = std::size_t{4} << 20;

struct GzipCloser {
    void operator()(gzFile_s* file) const noexcept { gzclose(file); }
};

/// The file's text; zlib reads files that are not compressed too.
std::string read_gzip(const std::string& path) {
    const std::unique_ptr<gzFile_s, GzipCloser> file(gzopen(path.c_str(), "rb"));
    std::string text;
    std::array<char, 65536> chunk;
    while (file != nullptr && text.size() < kMaxConfig) {
        const int got = gzread(file.get(), chunk.data(), chunk.size());
        if (got <= 0)
            break;
        text.append(chunk.data(), static_cast<std::size_t>(got));
    }
    return text;
}

} // namespace

std::map<std::string, std::string> kernel_config() {
    std::string text = read_gzip("/proc/config.gz");
    if (utsname name{}; text.empty() && ::uname(&name) == 0)
        text = read_gzip(std::string("/boot/config-") + name.release);
    std::map<std::string, std::string> config;
    for (std::string_view rest = text; !rest.empty();) {
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
        const auto equals = line.find('=');
        if (line.starts_with("CONFIG_") && equals != std::string_view::npos)
            config.emplace(line.substr(0, equals), line.substr(equals + 1));
    }
    return config;
}

} // namespace skep::tool
