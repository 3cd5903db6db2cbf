// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>

#include "skep/base/check.hpp"
#include "skep/hooks/pcap.hpp"

/// Reads a capture to its end or first error, and touches every byte of every packet.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto reader = skep::hooks::CaptureReader::open(std::as_bytes(std::span(data, size)));
    if (!reader)
        return 0;
    skep::hooks::CapturedPacket packet;
    std::uint32_t sum = 0;
    for (auto more = reader->next(packet); more && *more; more = reader->next(packet)) {
        SKEP_CHECK(packet.interface < reader->interfaces().size());
        SKEP_CHECK(packet.data.size() <= skep::hooks::kMaxCapturedPacket);
        SKEP_CHECK(packet.offset < size);
        for (const std::byte byte : packet.data)
            sum += std::to_integer<std::uint32_t>(byte);
    }
    return sum == 0xffffffff ? 1 : 0; // Keeps the sum, and so the reads, alive.
}
