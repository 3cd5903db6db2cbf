// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>

#include "contract.hpp"
#include "skep/program/control_flow.hpp"
#include "skep/spec/context.hpp"
#include "skep/spec/helper.hpp"
#include "skep/verifier/verifier.hpp"
#include "state.hpp"

namespace skep::verifier {

class Summary;

/// Kernel functions that are known.
enum class Kfunc : uint8_t { Unknown, IteratorNew, IteratorNext, IteratorDestroy };
[[nodiscard]] Kfunc kfunc_named(std::string_view name);

/// Is told of accesses to the stack.
struct StackWatcher {
    virtual ~StackWatcher() = default;
    /// [low, high) of the frame base.aux. `direct`: by r10 of that frame and a constant.
    virtual void stack(const State& state, const Val& base, i64 low, i64 high, bool reads,
                       bool direct) = 0;
};

/// The transfer functions with their obligations. Engine and checker use the same. Of each
/// function: false means that an obligation is not met, and finding() says which.
class Stepper {
public:
    Stepper(const Program& program, const ControlFlow& flow, std::span<const MapView> maps,
            Symbols& symbols);

    /// The state in which the program starts; nothing if its type is not supported.
    std::optional<State> initial();
    /// The state in which a global function starts, from its contract; nothing if it has none that
    /// can be kept. Exits are its exits from then on.
    std::optional<State> initial_of(u32 function);
    /// Functions that a timer calls, each with its map, by what was stepped through so far.
    [[nodiscard]] const std::map<u32, u32>& timer_callbacks() const { return timer_callbacks_; }
    /// The state in which such a function starts. Exits are its exits from then on.
    State initial_of_timer(u32 function);
    /// Everything but jumps, local calls and exits.
    bool step(State& state, u32 pc);
    /// Learns what holds where a conditional jump goes. False: it cannot go there.
    bool branch(State& state, u32 pc, bool taken);
    /// Whether the jump is taken, if that is certain at once.
    [[nodiscard]] std::optional<bool> decided(const State& state, u32 pc) const;
    /// Into the function that a local call names.
    bool enter(State& state, u32 pc);
    /// The contract of the function that begins at a slot, or nullptr: then calls enter it.
    [[nodiscard]] const Contract* contract_of(u32 function) const {
        return contracts_.find(function);
    }
    /// A legacy packet load may be in the function of a slot.
    bool may_return_early(u32 pc);
    bool call_by_contract(State& state, u32 pc, const Contract& contract);
    /// What the function that is called at `pc` gets from this caller, as the input of a summary
    /// (summary.hpp); nothing if it gets what summaries do not speak of. `live`: the registers that
    /// it reads.
    std::optional<State> project(const State& state, u32 pc, u32 live);
    /// The states behind the call.
    bool call_by_summary(const State& state, u32 pc, u32 live, const Summary& summary,
                         std::vector<State>& after);
    [[nodiscard]] bool is_tail_call(u32 pc) const;
    /// r0 becomes a number of which nothing is known.
    void return_anything(State& state);
    /// The instruction calls a helper that calls a function of the program, any number of times.
    [[nodiscard]] bool calls_back(u32 pc) const;
    /// Into that function, which begins at `target`. Requires that step() took the call.
    /// `possible`: there may be one more round.
    bool enter_callback(State& state, u32 pc, u32& target, bool& possible);
    /// Tells the rounds of bpf_loop apart where their number is known.
    void count_rounds(bool yes) { count_rounds_ = yes; }
    /// Takes no accesses that are not aligned, in packets as the kernel lays them out.
    void be_strict(bool yes) { strict_ = yes; }
    void watch(StackWatcher* watcher) { watcher_ = watcher; }
    [[nodiscard]] Kfunc kfunc_at(u32 pc) const;
    /// Which place on the stack the iterator in r1 has: a bit, shared by few.
    [[nodiscard]] static u64 iterator_bit(const State& state);
    /// Most rounds of the callback at an instruction, by what was stepped through so far.
    [[nodiscard]] u64 rounds_at(u32 pc) const;
    /// bpf_iter_num_next: one more number, or none. `possible`: the iterator may do that.
    bool next(State& state, u32 pc, bool more, bool& possible);
    /// At an exit. True with no frame left: the program ended as it may.
    bool leave(State& state, u32 pc);

    /// Bytes of stack that a function uses, by what was stepped through so far.
    [[nodiscard]] u32 stack_used(u32 function) const {
        const auto found = stack_used_.find(function);
        return found == stack_used_.end() ? 0 : found->second;
    }
    void forget_stacks() { stack_used_.clear(); }
    /// Sets the finding; false.
    bool fail(u32 pc, const char* code, std::string message);
    [[nodiscard]] const Finding& finding() const { return finding_; }
    /// The register that the next finding is about; -1: none.
    void about(int reg) { subject_ = reg; }
    [[nodiscard]] const MapView& map(u32 index) const { return maps_[index]; }
    /// The finding says that something is not known, not that it is wrong.
    [[nodiscard]] bool unsupported() const { return unsupported_; }

private:
    struct Access {
        u32 pc = 0;
        i64 size = 0; ///< most bytes
        bool write = false;
        bool helper = false;
        bool aligned = false; ///< must be, at any address
        bool packet = false;  ///< the helper takes packet memory
        Val length; ///< the size, where it is a number that is known by more than its most
    };
    struct Range {
        i64 low = 0;  ///< the first byte
        i64 high = 0; ///< behind the last
    };
    /// What an access may touch, from the start of the region.
    [[nodiscard]] Range range_of(const State& state, const Val& base, i64 off,
                                 const Access& access) const;

    /// Linux keeps locks and timers from programs that run where they are taken.
    [[nodiscard]] bool may_use(const MapView& map) const;
    bool special_field(State& state, u32 pc, const Val& val, SpecialField::Kind kind);
    bool lock(State& state, u32 pc, const Val& val, bool take);
    [[nodiscard]] static int subject_of(const isa::Insn& insn);
    bool unknown(u32 pc, std::string message);
    bool readable(const State& state, u32 pc, unsigned reg);

    bool push(State& state, u32 pc, Frame callee);
    static void pop(State& state);
    bool leave_callback(State& state, u32 pc);
    bool after_summary(const State& before, const Summary& summary, const State& exit, State& out);
    bool leave_contract(State& state, u32 pc, const Val& r0);
    bool call_kfunc(State& state, u32 pc);
    std::optional<Val> iterator_at(State& state, u32 pc, bool used);

    bool alu(State& state, u32 pc);
    bool pointer_alu(State& state, u32 pc, unsigned op, const Val& a, const Val& b, bool wide);
    Val scalar_alu(State& state, unsigned op, bool wide, bool is_signed, const Val& a,
                   const Val& b);
    Val named(State& state, const Node& node);
    Val fresh(State& state, const Fact& fact);
    Val extended(State& state, const Val& a, unsigned width, bool is_signed);

    bool load(State& state, u32 pc);
    bool store(State& state, u32 pc);
    bool atomic(State& state, u32 pc);
    bool load_immediate(State& state, u32 pc);
    bool load_packet(State& state, u32 pc);
    bool memory(State& state, const Val& base, i64 off, const Access& access);
    bool stack_range(State& state, const Val& base, i64 off, const Access& access, i64& low,
                     i64& high);
    bool context_load(State& state, u32 pc, const Val& base, Val& out);
    bool whole_pointers(State& state, u32 pc, u32 frame, i64 off, i64 size);
    Val stack_load(State& state, u32 frame, i64 off, i64 size, bool is_signed);
    void stack_store(State& state, u32 frame, i64 off, i64 size, const Val& val);
    void stack_touch(State& state, u32 frame, i64 low, i64 high, bool initialises);

    bool call(State& state, u32 pc);
    bool argument(State& state, u32 pc, const spec::HelperProto& proto, unsigned arg);
    bool result(State& state, u32 pc, const spec::HelperProto& proto);
    bool sized_memory(State& state, u32 pc, const spec::HelperProto& proto, unsigned arg);
    void forget_packet(State& state);
    void forget_instance(State& state, u32 instance);
    void set_null(State& state, u32 instance, bool null);
    void learn_packet(State& state, domain::Compare compare, const Val& a, const Val& b);
    bool learn_difference(State& state, bool wide, domain::Compare compare, const Val& a,
                          const Val& b);

    const Program& program_;
    const ControlFlow& flow_;
    /// Those of the object, then what is in maps of maps.
    std::vector<MapView> maps_;
    std::size_t object_maps_ = 0;
    std::unordered_map<u32, u32> inner_maps_; ///< by map of maps
    Symbols& symbols_;
    const spec::ContextLayout* layout_ = nullptr;
    Contracts contracts_;
    int subject_ = -1; ///< the register that a finding would be about
    std::map<u32, u32> timer_callbacks_;
    bool in_timer_ = false;              ///< of the function that is being verified
    const Contract* contract_ = nullptr; ///< of the global function that is being verified
    std::vector<Kfunc> kfuncs_;          ///< by extern
    std::unordered_map<u32, u32> stack_used_;
    std::unordered_map<u32, u64> rounds_;
    Finding finding_;
    bool unsupported_ = false;
    bool count_rounds_ = false;
    bool strict_ = false;
    StackWatcher* watcher_ = nullptr;
    std::optional<u32> map_; ///< of the call being checked
    i64 size_limit_ = 0;     ///< most bytes of its last sized memory
    std::optional<i64> constant_size_;
    u32 released_ = 0;
    u32 cast_owner_ = 0; ///< of the socket in r1
};

} // namespace skep::verifier
