// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "ir.hpp"
#include "target.hpp"

namespace skep::jit {

/// Counts uses and deletes what nobody uses.
void sweep(ir::Graph& graph);

/// Replaces short forward branches around cheap arithmetic by selections. Requires sweep(), and
/// leaves the graph as that does.
void convert_branches(ir::Graph& graph);

/// Puts nodes together that one machine instruction does: addresses, memory operands, tests.
/// Requires sweep().
void select(ir::Graph& graph, const Target& target);

} // namespace skep::jit
