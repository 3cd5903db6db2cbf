// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
//
// Calls: of functions of the program, of helpers, and what of helpers is done without a call.
#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstddef>

#include "build.hpp"
#include "skep/isa/decode.hpp"
#include "skep/spec/helper.hpp"
#include "skep/spec/map_def.hpp"

namespace skep::jit {

using ir::Cond;
using ir::Node;
using ir::Op;
using ir::Ref;

namespace {

enum Helper : std::uint32_t {
    kMapLookup = 1,
    kMapUpdate = 2,
    kMapDelete = 3,
    kProcessorId = 8,
    kTailCall = 12,
    kNumaNode = 42,
};

/// No value is greater.
std::uint64_t greatest(const ir::Graph& graph, Ref ref) noexcept {
    const Node& node = graph.at(ref);
    switch (node.op) {
    case Op::Const:
        return static_cast<std::uint64_t>(node.imm);
    case Op::Zext8:
        return UINT8_MAX;
    case Op::Zext16:
    case Op::Swap16:
        return UINT16_MAX;
    case Op::Load:
        if (!node.has(ir::kSigned) && node.width <= 4)
            return (std::uint64_t{1} << (8 * node.width)) - 1;
        break;
    case Op::And:
        if (graph.at(node.b).op == Op::Const)
            return static_cast<std::uint64_t>(graph.at(node.b).imm);
        break;
    case Op::Shr:
        if (graph.at(node.b).op == Op::Const)
            return (node.width == 4 ? UINT32_MAX : UINT64_MAX) >>
                   static_cast<std::uint64_t>(graph.at(node.b).imm);
        break;
    default:
        break;
    }
    return node.has(ir::kUpperZero) ? UINT32_MAX : UINT64_MAX;
}

} // namespace

void Builder::end_call(Ref result) {
    if (result != 0 && graph_.at(result).home == ir::kNoHome)
        graph_.at(result).home = 0;
    vars_[0] = result;
    for (unsigned reg = 1; reg <= 5; ++reg)
        vars_[reg] = 0;
}

/// The 4 bytes to which r2 points, as a number.
Ref Builder::key_of(const CallFact& call) {
    if (call.key && !options_.test_facts)
        return make_.constant(static_cast<std::uint32_t>(*call.key));
    const Ref pointer = read(2);
    const Node& node = graph_.at(pointer);
    if (node.op == Op::Frame)
        if (const Ref held = recall(node.imm, 4); held != 0)
            return held;
    return make_.load(4, false, pointer, 0);
}

bool Builder::lookup_array(const exec::MapSlot& map, const CallFact& call) {
    const auto* def = static_cast<const spec::MapDef*>(map.def);
    const bool per_cpu = def->kind == spec::MapKind::PercpuArray && map.percpu_values != nullptr;
    if (!per_cpu && (def->kind != spec::MapKind::Array || map.values == nullptr))
        return false;
    const Ref index = key_of(call);
    Ref base =
        make_.constant(reinterpret_cast<std::uint64_t>(per_cpu ? map.percpu_values : map.values));
    if (per_cpu) {
        const Ref cpu = make_.load(4, false, run_, offsetof(exec::RunContext, cpu));
        base = make_.binary(Op::Add, 8, make_.by(Op::Mul, 8, cpu, map.cpu_stride), base);
    }
    const Ref offset = make_.by(Op::Mul, 8, index, map.stride);
    const Ref address = make_.binary(Op::Add, 8, offset, base);
    graph_.at(address).flags |= ir::kNonZero;
    Ref result = address;
    if (greatest(graph_, index) >= def->max_entries)
        result = make_.select(Cond::Ult, 4, index, make_.constant(def->max_entries), address,
                              make_.constant(0));
    end_call(result);
    return true;
}

/// Operations of a map that is known: without the helper's dispatch.
bool Builder::call_map(std::uint32_t helper, const CallFact& call) {
    if (call.map < 0 || static_cast<std::size_t>(call.map) >= plan_.binding->maps.size())
        return false;
    const exec::MapSlot& map = plan_.binding->maps[static_cast<std::size_t>(call.map)];
    if (helper == kMapLookup && map.def != nullptr && lookup_array(map, call))
        return true;
    const Ref cpu =
        helper == kMapDelete ? 0 : make_.load(4, false, run_, offsetof(exec::RunContext, cpu));
    Ref result = 0;
    if (helper == kMapLookup && map.ops.lookup != nullptr) {
        const std::array arguments{read(1), read(2), cpu};
        result = make_.call(reinterpret_cast<const void*>(map.ops.lookup), arguments, false);
    } else if (helper == kMapUpdate && map.ops.update != nullptr) {
        const std::array arguments{read(1), read(2), read(3), read(4), cpu};
        result = make_.call(reinterpret_cast<const void*>(map.ops.update), arguments, false);
    } else if (helper == kMapDelete && map.ops.erase != nullptr) {
        const std::array arguments{read(1), read(2)};
        result = make_.call(reinterpret_cast<const void*>(map.ops.erase), arguments, false);
    } else {
        return false;
    }
    forget_all();
    end_call(result);
    return true;
}

/// Helpers that only read the state of the run.
bool Builder::call_trivial(std::uint32_t helper) {
    const std::size_t offset = helper == kProcessorId ? offsetof(exec::RunContext, cpu)
                               : helper == kNumaNode  ? offsetof(exec::RunContext, numa_node)
                                                      : 0;
    if (offset == 0)
        return false;
    end_call(make_.load(4, false, run_, static_cast<std::int64_t>(offset)));
    return true;
}

void Builder::tail_call() {
    const std::array operands{read(1), read(2), read(3), run_};
    const auto place = static_cast<Ref>(graph_.pool.size());
    graph_.pool.insert(graph_.pool.end(), operands.begin(), operands.end());
    forget_all();
    make_.add({.op = Op::TailCall, .a = place, .b = operands.size()});
    end_call(make_.constant(static_cast<std::uint64_t>(-std::int64_t{ENOENT})));
}

Result<void> Builder::lift_call_helper(const Lift& /*row*/) {
    const auto id = static_cast<std::uint32_t>(insn_.imm);
    if (id == kTailCall) {
        tail_call();
        return {};
    }
    const CallFact* call = plan_.binding->facts->call_at(at_);
    const bool of_map = id == kMapLookup || id == kMapUpdate || id == kMapDelete;
    if ((of_map && call != nullptr && call_map(id, *call)) || call_trivial(id))
        return {};
    const exec::HelperTable* table = plan_.binding->helpers;
    const exec::HelperFn function =
        table != nullptr && id < exec::kMaxHelper ? table->functions[id] : nullptr;
    if (function == nullptr) {
        const spec::HelperProto* proto = spec::find_helper(id);
        const std::string name = proto == nullptr ? "" : " (bpf_" + std::string(proto->name) + ")";
        return fail(ErrorCode::NotFound,
                    "helper " + std::to_string(insn_.imm) + name + " is not available",
                    {.instruction = at_});
    }
    std::array<Ref, 6> arguments{};
    unsigned count = arguments_of(id);
    for (unsigned i = 0; i < count; ++i)
        arguments[i] = read(i + 1);
    arguments[count++] = run_;
    forget_all();
    const Ref result = make_.call(reinterpret_cast<const void*>(function),
                                  std::span(arguments).first(count), true);
    end_call(result);
    if (options_.test_facts)
        check(result, fact_->result);
    return {};
}

Result<void> Builder::lift_call_local(const Lift& /*row*/) {
    const auto target = static_cast<std::uint32_t>(isa::target_of(insn_, at_));
    const std::uint32_t callee = plan_.function_at(target);
    const unsigned count = plan_.functions[callee].arguments;
    const auto place = static_cast<Ref>(graph_.pool.size());
    for (unsigned i = 0; i < count; ++i)
        graph_.pool.push_back(read(i + 1));
    graph_.pool.push_back(run_);
    forget_all();
    end_call(make_.add({.op = Op::CallLocal,
                        .flags = ir::kPassRun,
                        .a = place,
                        .b = count + 1,
                        .imm = static_cast<std::int64_t>(callee)}));
    return {};
}

} // namespace skep::jit
