// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "skep/btf/ext.hpp"

#include <fmt/core.h>

namespace skep::btf {
namespace {

constexpr std::uint16_t kMagic = 0xeb9f;

struct Subsection {
    const char* name;
    std::uint32_t min_record;
};

class ExtReader {
public:
    ExtReader(Bytes bytes, const Btf& btf) : bytes_(bytes), btf_(btf) {}

    Result<Ext> run() {
        ByteReader in(bytes_);
        const auto magic = SKEP_TRY(in.read<std::uint16_t>());
        if (magic != kMagic && std::byteswap(magic) != kMagic)
            return malformed(fmt::format(".BTF.ext magic is 0x{:04x}, expected 0xeb9f", magic));
        swapped_ = magic != kMagic;
        in = ByteReader(bytes_, swapped_);
        SKEP_TRY(in.seek(2));
        const auto version = SKEP_TRY(in.read<std::uint8_t>());
        if (version != 1)
            return fail(ErrorCode::Unsupported,
                        fmt::format(".BTF.ext version is {}, expected 1", version));
        SKEP_TRY(in.read<std::uint8_t>());
        header_size_ = SKEP_TRY(in.read<std::uint32_t>());
        if (header_size_ < 24 || header_size_ > bytes_.size())
            return malformed(fmt::format(".BTF.ext header length is {}, expected 24 to {}",
                                         header_size_, bytes_.size()));
        const auto func_off = SKEP_TRY(in.read<std::uint32_t>());
        const auto func_len = SKEP_TRY(in.read<std::uint32_t>());
        const auto line_off = SKEP_TRY(in.read<std::uint32_t>());
        const auto line_len = SKEP_TRY(in.read<std::uint32_t>());
        std::uint32_t core_off = 0;
        std::uint32_t core_len = 0;
        if (header_size_ >= 32) { // Compilers before clang 10 write no CO-RE relocations.
            core_off = SKEP_TRY(in.read<std::uint32_t>());
            core_len = SKEP_TRY(in.read<std::uint32_t>());
        }
        SKEP_TRY(section("func_info", func_off, func_len, 8, &ExtReader::function));
        SKEP_TRY(section("line_info", line_off, line_len, 16, &ExtReader::line));
        SKEP_TRY(section("core_relo", core_off, core_len, 16, &ExtReader::relocation));
        return std::move(ext_);
    }

private:
    using Handler = Result<void> (ExtReader::*)(std::string_view section, ByteReader& record);

    Result<void> section(const char* name, std::uint32_t offset, std::uint32_t size,
                         std::uint32_t min_record, Handler handler) {
        if (size == 0)
            return {};
        const std::uint64_t room = bytes_.size() - header_size_;
        if (!in_range(offset, size, room))
            return malformed(
                fmt::format(".BTF.ext {} {}+{} is outside the {} bytes after the header", name,
                            offset, size, room));
        ByteReader in(bytes_.subspan(header_size_ + offset, size), swapped_);
        const auto record_size = SKEP_TRY(in.read<std::uint32_t>());
        if (record_size < min_record || record_size % 4 != 0)
            return malformed(fmt::format(".BTF.ext {}: record size is {}, expected at least {}",
                                         name, record_size, min_record));
        while (!in.at_end()) {
            const auto section_name = SKEP_TRY(in.read<std::uint32_t>());
            const auto count = SKEP_TRY(in.read<std::uint32_t>());
            if (count > in.remaining() / record_size)
                return malformed(fmt::format(".BTF.ext {}: {} records of {} bytes, {} bytes left",
                                             name, count, record_size, in.remaining()));
            const std::string_view elf_section = btf_.string(section_name);
            if (elf_section.empty())
                return malformed(fmt::format(".BTF.ext {}: section name offset {} names nothing",
                                             name, section_name));
            for (std::uint32_t i = 0; i < count; ++i) {
                ByteReader record(SKEP_TRY(in.take(record_size)), swapped_);
                SKEP_TRY((this->*handler)(elf_section, record));
            }
        }
        return {};
    }

    Result<std::uint32_t> instruction(ByteReader& record, const char* what) {
        const auto offset = SKEP_TRY(record.read<std::uint32_t>());
        if (offset % 8 != 0)
            return malformed(
                fmt::format(".BTF.ext {}: offset {} is not that of an instruction", what, offset));
        return offset;
    }

    Result<std::uint32_t> type(ByteReader& record, const char* what) {
        const auto id = SKEP_TRY(record.read<std::uint32_t>());
        if (id >= btf_.size())
            return malformed(
                fmt::format(".BTF.ext {}: type {}, the last one is {}", what, id, btf_.size() - 1));
        return id;
    }

    Result<void> function(std::string_view section, ByteReader& record) {
        const auto offset = SKEP_TRY(instruction(record, "func_info"));
        const auto id = SKEP_TRY(type(record, "func_info"));
        if (btf_.kind(id) != Kind::Func)
            return malformed(fmt::format(".BTF.ext func_info: type {} is a {}, expected a func", id,
                                         kind_name(btf_.kind(id))));
        ext_.functions.push_back({section, offset, id});
        return {};
    }

    Result<void> line(std::string_view section, ByteReader& record) {
        const auto offset = SKEP_TRY(instruction(record, "line_info"));
        const auto file = SKEP_TRY(record.read<std::uint32_t>());
        const auto text = SKEP_TRY(record.read<std::uint32_t>());
        const auto position = SKEP_TRY(record.read<std::uint32_t>());
        ext_.lines.push_back({section, offset, btf_.string(file), btf_.string(text), position >> 10,
                              position & 0x3ff});
        return {};
    }

    Result<void> relocation(std::string_view section, ByteReader& record) {
        const auto offset = SKEP_TRY(instruction(record, "core_relo"));
        const auto id = SKEP_TRY(type(record, "core_relo"));
        const auto access = SKEP_TRY(record.read<std::uint32_t>());
        const auto kind = SKEP_TRY(record.read<std::uint32_t>());
        if (kind > static_cast<std::uint32_t>(CoreKind::TypeMatches))
            return fail(ErrorCode::Unsupported,
                        fmt::format(".BTF.ext core_relo: unknown kind {}", kind));
        ext_.relocations.push_back(
            {section, offset, id, btf_.string(access), static_cast<CoreKind>(kind)});
        return {};
    }

    Bytes bytes_;
    const Btf& btf_;
    bool swapped_ = false;
    std::uint32_t header_size_ = 0;
    Ext ext_;
};

} // namespace

Result<Ext> parse_ext(Bytes bytes, const Btf& btf) {
    return ExtReader(bytes, btf).run();
}

} // namespace skep::btf
