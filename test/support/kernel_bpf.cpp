// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "kernel_bpf.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace skep::test::kernel {
namespace {

constexpr std::size_t kLogBytes = std::size_t{16} << 20;

std::uint64_t address(const void* pointer) {
    return reinterpret_cast<std::uint64_t>(pointer);
}

int bpf(int command, bpf_attr& attr, std::size_t size = sizeof(bpf_attr)) {
    const long result = syscall(SYS_bpf, command, &attr, size);
    return result < 0 ? -errno : static_cast<int>(result);
}

bpf_attr blank() {
    bpf_attr attr;
    std::memset(&attr, 0, sizeof attr);
    return attr;
}

bpf_attr element(int fd, const void* key, const void* value, std::uint64_t flags) {
    bpf_attr attr = blank();
    attr.map_fd = static_cast<std::uint32_t>(fd);
    attr.key = address(key);
    attr.value = address(value);
    attr.flags = flags;
    return attr;
}

void copy_name(char* to, const std::string& name) {
    name.copy(to, BPF_OBJ_NAME_LEN - 1); // The rest of the attribute is zero already.
}

void take_log(std::vector<char>& buffer, std::string* log) {
    if (log != nullptr)
        *log = buffer.empty() ? "" : std::string(buffer.data());
}

} // namespace

bool available(std::string* why) {
    const int fd = map_create({.type = BPF_MAP_TYPE_LPM_TRIE,
                               .key_size = 8,
                               .value_size = 4,
                               .max_entries = 1,
                               .flags = BPF_F_NO_PREALLOC});
    if (fd >= 0) {
        close(fd);
        return true;
    }
    if (why != nullptr)
        *why = std::string("needs CAP_BPF (bpf(2): ") + std::strerror(-fd) + ")";
    return false;
}

std::uint32_t possible_cpus() {
    std::uint32_t last = 0;
    if (FILE* file = std::fopen("/sys/devices/system/cpu/possible", "re")) {
        std::uint32_t first = 0;
        const int found = std::fscanf(file, "%u-%u", &first, &last); // NOLINT(cert-err34-c): sysfs
        if (found == 1)
            last = first;
        std::fclose(file);
    }
    return last + 1;
}

int map_create(const MapAttr& in) {
    bpf_attr attr = blank();
    attr.map_type = in.type;
    attr.key_size = in.key_size;
    attr.value_size = in.value_size;
    attr.max_entries = in.max_entries;
    attr.map_flags = in.flags;
    attr.inner_map_fd = in.inner_map_fd < 0 ? 0 : static_cast<std::uint32_t>(in.inner_map_fd);
    attr.numa_node = in.numa_node;
    attr.map_extra = in.extra;
    copy_name(attr.map_name, in.name);
    if (in.btf_fd >= 0) {
        attr.btf_fd = static_cast<std::uint32_t>(in.btf_fd);
        attr.btf_key_type_id = in.btf_key_type;
        attr.btf_value_type_id = in.btf_value_type;
    }
    return bpf(BPF_MAP_CREATE, attr);
}

int map_lookup(int fd, const void* key, void* value, std::uint64_t flags) {
    bpf_attr attr = element(fd, key, value, flags);
    return bpf(BPF_MAP_LOOKUP_ELEM, attr);
}

int map_update(int fd, const void* key, const void* value, std::uint64_t flags) {
    bpf_attr attr = element(fd, key, value, flags);
    return bpf(BPF_MAP_UPDATE_ELEM, attr);
}

int map_delete(int fd, const void* key) {
    bpf_attr attr = element(fd, key, nullptr, 0);
    return bpf(BPF_MAP_DELETE_ELEM, attr);
}

int map_next_key(int fd, const void* key, void* next) {
    bpf_attr attr = element(fd, key, next, 0);
    return bpf(BPF_MAP_GET_NEXT_KEY, attr);
}

int map_lookup_and_delete(int fd, const void* key, void* value, std::uint64_t flags) {
    bpf_attr attr = element(fd, key, value, flags);
    return bpf(BPF_MAP_LOOKUP_AND_DELETE_ELEM, attr);
}

int map_freeze(int fd) {
    bpf_attr attr = blank();
    attr.map_fd = static_cast<std::uint32_t>(fd);
    return bpf(BPF_MAP_FREEZE, attr);
}

int prog_load(const ProgAttr& in, std::string* log) {
    std::vector<char> text;
    bpf_attr attr = blank();
    attr.prog_type = in.type;
    attr.expected_attach_type = in.expected_attach_type;
    attr.insns = address(in.insns.data());
    attr.insn_cnt = static_cast<std::uint32_t>(in.insns.size());
    attr.license = address(in.license.c_str());
    attr.prog_flags = in.flags;
    attr.attach_btf_id = in.attach_btf_id;
    copy_name(attr.prog_name, in.name);
    if (in.btf_fd >= 0) {
        attr.prog_btf_fd = static_cast<std::uint32_t>(in.btf_fd);
        attr.func_info = address(in.func_info.data());
        attr.func_info_rec_size = in.func_info_size;
        if (in.func_info_size != 0)
            attr.func_info_cnt =
                static_cast<std::uint32_t>(in.func_info.size() / in.func_info_size);
    }
    attr.fd_array = in.fds.empty() ? 0 : address(in.fds.data());
    if (log != nullptr && in.log_level != 0) {
        text.resize(kLogBytes);
        attr.log_level = in.log_level;
        attr.log_buf = address(text.data());
        attr.log_size = static_cast<std::uint32_t>(text.size());
    }
    const int result = bpf(BPF_PROG_LOAD, attr);
    take_log(text, log);
    return result;
}

int prog_test_run(int fd, TestRun& run) {
    run.data_out.assign(run.data_room, std::byte{0});
    run.ctx_out.assign(run.ctx_room, std::byte{0});
    bpf_attr attr = blank();
    attr.test.prog_fd = static_cast<std::uint32_t>(fd);
    attr.test.data_in = run.data_in.empty() ? 0 : address(run.data_in.data());
    attr.test.data_size_in = static_cast<std::uint32_t>(run.data_in.size());
    attr.test.data_out = run.data_room == 0 ? 0 : address(run.data_out.data());
    attr.test.data_size_out = run.data_room;
    attr.test.ctx_in = run.ctx_in.empty() ? 0 : address(run.ctx_in.data());
    attr.test.ctx_size_in = static_cast<std::uint32_t>(run.ctx_in.size());
    attr.test.ctx_out = run.ctx_room == 0 ? 0 : address(run.ctx_out.data());
    attr.test.ctx_size_out = run.ctx_room;
    attr.test.repeat = run.repeat;
    attr.test.flags = run.flags;
    attr.test.cpu = run.cpu;
    attr.test.batch_size = run.batch_size;
    const int result = bpf(BPF_PROG_TEST_RUN, attr);
    run.retval = attr.test.retval;
    run.duration_ns = attr.test.duration;
    run.data_out.resize(result < 0 ? 0 : std::min(attr.test.data_size_out, run.data_room));
    run.ctx_out.resize(result < 0 ? 0 : std::min(attr.test.ctx_size_out, run.ctx_room));
    return result;
}

int btf_load(std::span<const std::byte> btf, std::string* log) {
    std::vector<char> text;
    bpf_attr attr = blank();
    attr.btf = address(btf.data());
    attr.btf_size = static_cast<std::uint32_t>(btf.size());
    if (log != nullptr) {
        text.resize(kLogBytes);
        attr.btf_log_level = 1;
        attr.btf_log_buf = address(text.data());
        attr.btf_log_size = static_cast<std::uint32_t>(text.size());
    }
    const int result = bpf(BPF_BTF_LOAD, attr);
    take_log(text, log);
    return result;
}

} // namespace skep::test::kernel
