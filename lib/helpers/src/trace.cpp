// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Tracing on synthetic input: the stack is the one frame that the context's registers name, and
// what would change the traced task (override, signal) is refused with the kernel's error.
#include "helper.hpp"
#include "skep/maps/slots.hpp"
#include "skep/maps/storage.hpp"

namespace skep::helpers {
namespace {

constexpr std::uint64_t kCurrentCpu = 0xffffffff; // BPF_F_CURRENT_CPU
constexpr std::size_t kIpOffset = 128;            // of ip in struct pt_regs (x86-64)

std::uint64_t instruction_pointer(const exec::RunContext* run) noexcept {
    std::uint64_t ip = 0;
    const auto bytes = run->context->bytes();
    const bool registers = run->context->layout().type == spec::ProgramType::Kprobe ||
                           run->context->layout().type == spec::ProgramType::PerfEvent;
    if (registers && bytes.size() >= kIpOffset + 8)
        std::memcpy(&ip, bytes.data() + kIpOffset, sizeof ip);
    return ip;
}

// Where the map has a reader for the slot it gets the record, else the host does.
std::uint64_t output(std::uint64_t map, std::uint64_t flags, std::span<const std::byte> record,
                     exec::RunContext* run) noexcept {
    constexpr std::uint64_t kContextLength = std::uint64_t{0xfffff} << 32; // BPF_F_CTXLEN_MASK
    if ((flags & ~(kCurrentCpu | kContextLength)) != 0)
        return error(EINVAL);
    const std::uint64_t slot =
        (flags & kCurrentCpu) == kCurrentCpu ? run->cpu : flags & kCurrentCpu;
    maps::Map& target = map_at(map);
    if (slot >= target.def().max_entries || record.size() > 0xffff)
        return error(E2BIG);
    if (maps::PerfEventArrayMap* array = maps::PerfEventArrayMap::from(target); array != nullptr)
        if (const int sent = array->output(flags & kCurrentCpu, run->cpu, record); sent != -ENOENT)
            return result(sent);
    return result(run->host->perf_output(&target, static_cast<std::uint32_t>(slot), record));
}

SKEP_HELPER_FN(perf_event_output) {
    const std::uint64_t packet_bytes = r3 >> 32 & 0xfffff;
    const exec::Packet& packet = run->context->packet();
    if (packet_bytes > packet.size())
        return error(EFAULT);
    if (packet_bytes == 0)
        return output(r2, r3, span_at(r4, r5), run);
    // The record and, after it, the start of the packet.
    std::array<std::byte, 65536> joined;
    if (r5 + packet_bytes > joined.size())
        return error(E2BIG);
    std::memcpy(joined.data(), bytes_at(r4), r5);
    std::memcpy(joined.data() + r5, packet.data, packet_bytes);
    return output(r2, r3, {joined.data(), r5 + packet_bytes}, run);
}

SKEP_HELPER_FN(perf_event_read) {
    return error(ENOENT);
}
SKEP_HELPER_FN(perf_event_read_value) {
    std::memset(bytes_at(r3), 0, r4);
    return error(ENOENT);
}
SKEP_HELPER_FN(perf_prog_read_value) {
    std::memset(bytes_at(r2), 0, r3);
    return error(EINVAL);
}

SKEP_HELPER_FN(get_stackid) {
    maps::StackTraceMap* traces = maps::StackTraceMap::from(map_at(r2));
    const std::array frames{instruction_pointer(run)};
    constexpr std::uint64_t kSkipMask = 0xff;
    constexpr std::uint64_t kUser = 0x100;
    if (traces == nullptr || (r3 & ~(kSkipMask | kUser | 0x200 | 0x400)) != 0)
        return error(EINVAL);
    const bool skipped = (r3 & kSkipMask) != 0 || frames[0] == 0;
    return result(traces->record(std::span(frames).first(skipped ? 0 : 1), r3 & (0x200 | 0x400)));
}

std::uint64_t copy_stack(std::uint64_t to, std::uint64_t size, std::uint64_t flags,
                         const exec::RunContext* run) noexcept {
    std::memset(bytes_at(to), 0, size);
    if ((flags & ~std::uint64_t{0x9ff}) != 0 || size % 8 != 0)
        return error(EINVAL);
    const std::uint64_t ip = instruction_pointer(run);
    if (ip == 0 || size < 8 || (flags & 0xff) != 0)
        return 0;
    std::memcpy(bytes_at(to), &ip, sizeof ip);
    return sizeof ip;
}

SKEP_HELPER_FN(get_stack) {
    return copy_stack(r2, r3, r4, run);
}
SKEP_HELPER_FN(get_task_stack) {
    std::memset(bytes_at(r2), 0, r3);
    return error(EOPNOTSUPP);
}
SKEP_HELPER_FN(get_func_ip) {
    return instruction_pointer(run);
}
SKEP_HELPER_FN(get_attach_cookie) {
    return 0;
}

// fentry contexts: u64 arguments, then the return value; the host says how many by the size.
SKEP_HELPER_FN(get_func_arg_cnt) {
    return run->context->bytes().size() / 8;
}
SKEP_HELPER_FN(get_func_arg) {
    const std::uint64_t index = static_cast<std::uint32_t>(r2);
    if (index >= run->context->bytes().size() / 8)
        return error(EINVAL);
    std::memcpy(bytes_at(r3), run->context->bytes().data() + index * 8, 8);
    return 0;
}

SKEP_HELPER_FN(override_return) {
    return 0;
}
SKEP_HELPER_FN(send_signal) {
    return r1 > 64 ? error(EINVAL) : error(EPERM);
}
SKEP_HELPER_FN(get_branch_snapshot) {
    std::memset(bytes_at(r1), 0, r2);
    return r3 != 0 ? error(EINVAL) : error(ENOENT);
}
SKEP_HELPER_FN(read_branch_records) {
    if (r3 != 0)
        std::memset(bytes_at(r2), 0, r3);
    return (r4 & ~std::uint64_t{1}) != 0 ? error(EINVAL) : error(ENOENT);
}
SKEP_HELPER_FN(rc_report) {
    return 0;
}

constexpr Entry kEntries[] = {
    {"perf_event_output", perf_event_output},
    {"skb_output", perf_event_output},
    {"xdp_output", perf_event_output},
    {"perf_event_read", perf_event_read},
    {"perf_event_read_value", perf_event_read_value},
    {"perf_prog_read_value", perf_prog_read_value},
    {"get_stackid", get_stackid},
    {"get_stack", get_stack},
    {"get_task_stack", get_task_stack},
    {"get_func_ip", get_func_ip},
    {"get_attach_cookie", get_attach_cookie},
    {"get_func_arg_cnt", get_func_arg_cnt},
    {"get_func_arg", get_func_arg},
    {"override_return", override_return},
    {"send_signal", send_signal},
    {"send_signal_thread", send_signal},
    {"get_branch_snapshot", get_branch_snapshot},
    {"read_branch_records", read_branch_records},
    {"rc_repeat", rc_report},
    {"rc_keydown", rc_report},
    {"rc_pointer_rel", rc_report},
};

} // namespace

std::span<const Entry> trace_helpers() noexcept {
    return kEntries;
}

} // namespace skep::helpers
