// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>

#include "flow.hpp"
#include "machine.hpp"
#include "skep/isa/encode.hpp"
#include "skep/spec/context.hpp"

namespace skep::interp {
namespace {

using isa::Format;
using isa::Insn;
using isa::Op;
using isa::OpInfo;

constexpr std::uint32_t kMapLookup = 1;
constexpr std::uint32_t kTailCallId = 12;

/// The handlers of the accesses of 1, 2, 4 and 8 bytes stand side by side.
Handler sized(Handler of_bytes, unsigned size) noexcept {
    const unsigned step = size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3;
    return static_cast<Handler>(std::to_underlying(of_bytes) + step);
}

/// Accesses that straddle two slots are rare: slow_load() and slow_store() do them.
bool in_one_slot(std::int32_t place, unsigned size) noexcept {
    return place >= 0 && static_cast<unsigned>(place) % 8 + size <= 8;
}

class Translator {
public:
    Translator(CodeImpl& code, const Binding& binding)
        : code_(code), program_(code.program()), binding_(binding),
          labels_(handler_labels(code.mode)), flow_(program_, code.zero_stack),
          checked_(code.mode != Mode::Unchecked), layout_(spec::find_context(program_.type)),
          first_slot_(program_.insns.size()) {}

    Result<void> translate();

private:
    void count();
    Result<void> translate_insn(const OpInfo& op, const Insn& insn);
    Slot& emit(Handler handler, const Insn& insn = {});
    void emit_checks(const OpInfo& op, const Insn& insn);
    void forget(unsigned reg);
    void emit_alu(const OpInfo& op, const Insn& insn);
    void emit_load(const OpInfo& op, const Insn& insn);
    bool emit_context_load(const OpInfo& op, const Insn& insn);
    void emit_store(const OpInfo& op, const Insn& insn);
    Result<void> emit_lddw(const OpInfo& op, const Insn& insn);
    void emit_constant(const Insn& insn, std::uint64_t value, const exec::Capability& cap);
    void emit_call(const Insn& insn);
    void emit_jump(Handler handler, const Insn& insn);
    void resolve();
    [[nodiscard]] const Fact& fact(unsigned reg) const noexcept { return state_->regs[reg]; }
    [[nodiscard]] std::int32_t executed() const noexcept {
        return static_cast<std::int32_t>(code_.counts[insn_] + 1);
    }

    struct Fixup {
        std::size_t slot;
        std::uint32_t target; ///< instruction
        bool function;        ///< an address; else a jump
    };

    CodeImpl& code_;
    const Program& program_;
    const Binding& binding_;
    const void* const* labels_;
    Flow flow_;
    bool checked_;
    const spec::ContextLayout* layout_;
    std::vector<std::uint32_t> first_slot_; ///< by instruction
    std::vector<Fixup> fixups_;
    const State* state_ = nullptr;
    std::uint32_t insn_ = 0;
};

Result<void> Translator::translate() {
    count();
    const auto& insns = program_.insns;
    code_.slots.reserve(insns.size() + insns.size() / 8);
    for (insn_ = 0; insn_ < insns.size();) {
        const OpInfo& op = *isa::classify(insns[insn_]);
        first_slot_[insn_] = static_cast<std::uint32_t>(code_.slots.size());
        state_ = &flow_.before(insn_);
        if (state_->reached)
            SKEP_TRY(translate_insn(op, insns[insn_]));
        else
            emit(Handler::Refuse);
        insn_ += op.slots();
    }
    resolve();
    return {};
}

void Translator::count() {
    code_.counts.resize(program_.insns.size());
    std::uint32_t so_far = 0;
    for (std::size_t i = 0; i < program_.insns.size(); ++i) {
        code_.counts[i] = so_far++;
        if (program_.insns[i].opcode == isa::kLddw)
            code_.counts[++i] = so_far;
    }
}

Slot& Translator::emit(Handler handler, const Insn& insn) {
    Slot slot;
    slot.handler = labels_[std::to_underlying(handler)];
    slot.dst = scaled(insn.dst);
    slot.src = scaled(insn.src);
    slot.off = insn.off;
    slot.imm = insn.imm;
    code_.slots.push_back(slot);
    code_.insns.push_back(insn_);
    return code_.slots.back();
}

void Translator::forget(unsigned reg) {
    if (checked_ && !fact(reg).is_number())
        emit(Handler::Forget, {.dst = static_cast<std::uint8_t>(reg & 0xf)});
}

/// Calls check by prototype; a local function may return without a value.
void Translator::emit_checks(const OpInfo& op, const Insn& insn) {
    if (!checked_ || op.reads.has(isa::kArgs))
        return;
    if (op.op == Op::Exit) {
        const Subprogram* owner = program_.subprogram_of(insn_);
        if (owner != nullptr && owner->start != 0)
            return;
    }
    const std::uint16_t reads = isa::registers(op.reads, insn);
    for (unsigned reg = 0; reg < isa::kRegisters; ++reg)
        if ((reads >> reg & 1) != 0 && fact(reg).may_be(kMayBeUnset))
            emit(Handler::CheckSet, {.dst = static_cast<std::uint8_t>(reg & 0xf)});
}

Result<void> Translator::translate_insn(const OpInfo& op, const Insn& insn) {
    const auto unsupported = [&](std::string message) {
        return fail(ErrorCode::Unsupported, std::move(message), {.instruction = insn_});
    };
    emit_checks(op, insn);
    switch (op.format) {
    case Format::AluImm:
    case Format::AluReg:
    case Format::Unary:
        emit_alu(op, insn);
        return {};
    case Format::AddrSpaceCast:
        return unsupported("addr_space_cast needs an arena, which skep does not have yet");
    case Format::JmpImm:
    case Format::JmpReg:
    case Format::Ja:
    case Format::Gotol:
        emit_jump(handler_of(op.op), insn);
        return {};
    case Format::CallLocal:
        emit_jump(handler_of(op.op), insn);
        code_.slots.back().imm = executed();
        return {};
    case Format::CallHelper:
        emit_call(insn);
        return {};
    case Format::CallKfunc:
        return unsupported("calls of kernel functions are not supported");
    case Format::Callx:
        return unsupported("indirect calls are not supported");
    case Format::Exit:
        emit(Handler::Exit).imm = executed();
        return {};
    case Format::Lddw:
    case Format::LddwMap:
    case Format::LddwMapValue:
    case Format::LddwBtfId:
    case Format::LddwFunc:
        return emit_lddw(op, insn);
    case Format::Ldx:
        emit_load(op, insn);
        return {};
    case Format::St:
    case Format::Stx:
        emit_store(op, insn);
        return {};
    case Format::LdAbs:
    case Format::LdInd:
        emit(handler_of(op.op), insn);
        // Out of the packet it returns: pc->imm is the offset there, so the count is kept apart.
        code_.slots.back().wide = static_cast<std::uint64_t>(executed());
        return {};
    }
    return unsupported("unknown instruction format");
}

void Translator::emit_alu(const OpInfo& op, const Insn& insn) {
    Handler handler = handler_of(op.op);
    if (checked_) {
        const bool dst_number = fact(insn.dst).is_number();
        const bool src_number = op.format != Format::AluReg || fact(insn.src).is_number();
        switch (op.op) {
        case Op::Mov64Imm:
            handler = dst_number ? Handler::Mov64Imm : Handler::Mov64ImmForget;
            break;
        case Op::Mov64Reg:
            handler = !src_number  ? Handler::Mov64RegCap
                      : dst_number ? Handler::Mov64Reg
                                   : Handler::Mov64RegForget;
            break;
        case Op::Add64Imm:
        case Op::Sub64Imm:
            break;
        case Op::Add64Reg:
            handler = src_number ? Handler::Add64Reg : Handler::Add64RegCap;
            break;
        case Op::Sub64Reg:
            handler = src_number ? Handler::Sub64Reg : Handler::Sub64RegCap;
            break;
        default:
            forget(insn.dst);
        }
    }
    emit(handler, insn);
}

bool Translator::emit_context_load(const OpInfo& op, const Insn& insn) {
    const unsigned size = op.access_size();
    if (layout_ == nullptr || !fact(insn.src).may_be(kMayBeContext) || insn.off < 0)
        return false;
    const auto place = static_cast<std::uint32_t>(insn.off);
    const spec::ContextField* field = spec::field_at(*layout_, place);
    if (field == nullptr || !field->readable)
        return false;
    if (field->kind != spec::FieldKind::Scalar) {
        if (size < 4 || size != field->size || place != field->offset)
            return false;
        emit(size == 4 ? Handler::LdxContextW : Handler::LdxContextDw, insn).imm =
            std::to_underlying(field->kind);
        return true;
    }
    const bool fits = size != 0 && place % size == 0 && size >= field->min_width &&
                      place + size <= std::uint32_t{field->offset} + field->size;
    if (!checked_ || !fits)
        return false;
    emit(sized(Handler::LdxFieldB, size), insn);
    return true;
}

void Translator::emit_load(const OpInfo& op, const Insn& insn) {
    const unsigned size = op.access_size();
    const bool plain =
        op.op == Op::LdxB || op.op == Op::LdxH || op.op == Op::LdxW || op.op == Op::LdxDw;
    if (plain && emit_context_load(op, insn))
        return;
    const std::int32_t place = stack_place(insn.off, size);
    if (!checked_ || !plain) {
        emit(handler_of(op.op), insn);
    } else if (insn.src == isa::kFramePointer && in_one_slot(place, size)) {
        const bool pointer =
            size == 8 && (state_->slots[static_cast<std::size_t>(place) / 8] & kAnyPointer) != 0;
        emit(pointer ? Handler::LdxStackDwCap : sized(Handler::LdxStackB, size), insn).wide =
            ((1ULL << size) - 1) << (place % 8);
    } else {
        // Through the stack or the context slow_load() may bring a pointer: it sets the capability.
        const bool keep = fact(insn.dst).is_number();
        emit(keep ? sized(Handler::LdxKeepB, size) : handler_of(op.op), insn);
    }
}

void Translator::emit_store(const OpInfo& op, const Insn& insn) {
    const unsigned size = op.access_size();
    const std::int32_t place = stack_place(insn.off, size);
    const bool immediate = op.format == Format::St;
    const bool plain = (op.opcode & isa::kModeMask) == isa::kMem;
    if (!checked_ || !plain || insn.dst != isa::kFramePointer || !in_one_slot(place, size)) {
        emit(handler_of(op.op), insn);
        return;
    }
    Handler handler = sized(immediate ? Handler::StStackB : Handler::StxStackB, size);
    if (!immediate && size == 8 && !fact(insn.src).is_number())
        handler = Handler::StxStackDwCap;
    emit(handler, insn).wide = ((1ULL << size) - 1) << (place % 8);
}

void Translator::emit_constant(const Insn& insn, std::uint64_t value, const exec::Capability& cap) {
    if (!checked_ || cap.kind == RegionKind::None) {
        forget(insn.dst);
        emit(Handler::LoadWide, {.dst = insn.dst}).wide = value;
        return;
    }
    const auto index = static_cast<std::int32_t>(code_.capabilities.size());
    code_.capabilities.push_back(cap);
    emit(Handler::LoadWideCap, {.dst = insn.dst, .imm = index}).wide = value;
}

Result<void> Translator::emit_lddw(const OpInfo& op, const Insn& insn) {
    const Insn& second = program_.insns[insn_ + 1];
    const Place here{.instruction = insn_};
    if (op.format == Format::Lddw) {
        emit_constant(insn, isa::lddw_value(insn, second), {});
        return {};
    }
    if (op.format == Format::LddwFunc) {
        const auto target = static_cast<std::uint32_t>(isa::target_of(insn, insn_));
        emit_constant(insn, 0, {.kind = RegionKind::Function});
        fixups_.push_back({code_.slots.size() - 1, target, true});
        return {};
    }
    if (op.format == Format::LddwBtfId) {
        const auto index = static_cast<std::size_t>(static_cast<std::uint32_t>(insn.imm));
        const ExternRef* ref = index < program_.externs.size() ? &program_.externs[index] : nullptr;
        if (ref == nullptr || !ref->weak || ref->kernel_type_id != 0)
            return fail(ErrorCode::Unsupported, "variables of the kernel are not supported", here);
        emit_constant(insn, 0, {}); // As libbpf does: a weak symbol that is not there is null.
        return {};
    }
    const auto index = static_cast<std::uint32_t>(insn.imm);
    if (index >= code_.maps.size())
        return fail(ErrorCode::Invalid,
                    "map " + std::to_string(index) + " is used, but the object has " +
                        std::to_string(code_.maps.size()) + " maps",
                    here);
    const exec::MapSlot& map = code_.maps[index];
    if (op.format == Format::LddwMap) {
        emit_constant(insn, reinterpret_cast<std::uint64_t>(map.map),
                      {.base = reinterpret_cast<std::uint64_t>(map.def),
                       .kind = RegionKind::Map,
                       .id = static_cast<std::uint16_t>(index)});
        return {};
    }
    const auto offset = static_cast<std::uint32_t>(second.imm);
    if (map.values == nullptr || offset >= map.direct_size)
        return fail(ErrorCode::Invalid,
                    "offset " + std::to_string(offset) + " of a map value, expected one below " +
                        std::to_string(map.values == nullptr ? 0 : map.direct_size),
                    here);
    const auto base = reinterpret_cast<std::uint64_t>(map.values);
    emit_constant(insn, base + offset,
                  {.base = base,
                   .size = map.direct_size,
                   .kind = RegionKind::MapValue,
                   .flags = write_flag(map.read_only),
                   .id = static_cast<std::uint16_t>(index)});
    return {};
}

void Translator::emit_call(const Insn& insn) {
    const auto id = static_cast<std::uint32_t>(insn.imm);
    auto site = std::make_unique<CallSite>();
    site->id = id;
    site->proto = spec::find_helper(id);
    Handler handler = Handler::CallHelper;
    if (id == kTailCallId)
        handler = Handler::TailCall;
    else
        site->function = binding_.helpers->functions[id];
    if (const std::uint32_t map = fact(1).map;
        id == kMapLookup && map != 0 && map <= code_.maps.size()) {
        const exec::MapSlot& slot = code_.maps[map - 1];
        const auto* def = static_cast<const spec::MapDef*>(slot.def);
        if (def != nullptr && def->kind == spec::MapKind::Array && slot.values != nullptr) {
            site->map = &slot;
            handler = Handler::LookupArray;
        }
    }
    Slot& call = emit(handler);
    call.imm = executed();
    call.call = site.get();
    code_.calls.push_back(std::move(site));
}

void Translator::emit_jump(Handler handler, const Insn& insn) {
    const auto target = static_cast<std::uint32_t>(isa::target_of(insn, insn_));
    emit(handler, insn);
    fixups_.push_back({code_.slots.size() - 1, target, false});
    code_.slots.back().jump = {
        .distance = 0, .delta = executed() - static_cast<std::int32_t>(code_.counts[target])};
}

void Translator::resolve() {
    for (const Fixup& fixup : fixups_) {
        Slot& slot = code_.slots[fixup.slot];
        const std::size_t target = first_slot_[fixup.target];
        if (!fixup.function) {
            const auto slots =
                static_cast<std::int64_t>(target) - static_cast<std::int64_t>(fixup.slot);
            slot.jump.distance =
                static_cast<std::int32_t>(slots * static_cast<std::int64_t>(sizeof(Slot)));
            continue;
        }
        slot.wide = reinterpret_cast<std::uint64_t>(&code_.slots[target]);
        if (checked_)
            code_.capabilities[static_cast<std::size_t>(slot.imm)].base = slot.wide;
    }
}

} // namespace

Result<void> translate(CodeImpl& code, const Binding& binding) {
    return Translator(code, binding).translate();
}

} // namespace skep::interp
