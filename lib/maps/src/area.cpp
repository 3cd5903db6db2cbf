// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "area.hpp"

#include <cerrno>
#include <cstring>
#include <string>
#include <sys/mman.h>

namespace skep::maps {

Area::~Area() {
    if (data_ != nullptr)
        munmap(data_, size_);
}

Result<Area> Area::create(std::uint64_t bytes) {
    const std::uint64_t size = round_up(bytes == 0 ? 1 : bytes, 4096);
    void* data = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED)
        return fail(ErrorCode::Limit,
                    "cannot reserve " + std::to_string(size) + " bytes: " + std::strerror(errno));
    Area area;
    area.data_ = static_cast<std::byte*>(data);
    area.size_ = size;
    return area;
}

} // namespace skep::maps
