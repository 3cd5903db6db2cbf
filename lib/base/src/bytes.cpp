// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/base/bytes.hpp"

namespace skep {

Result<Bytes> ByteReader::take(std::size_t size) {
    if (size > remaining())
        return malformed("ends early: " + std::to_string(size) + " bytes expected, " +
                             std::to_string(remaining()) + " left",
                         {.offset = static_cast<std::int64_t>(offset_)});
    const Bytes taken = bytes_.subspan(offset_, size);
    offset_ += size;
    return taken;
}

Result<void> ByteReader::seek(std::size_t offset) {
    if (offset > bytes_.size())
        return malformed("offset " + std::to_string(offset) + " is past the end (" +
                         std::to_string(bytes_.size()) + " bytes)");
    offset_ = offset;
    return {};
}

} // namespace skep
