// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "../ir.hpp"

namespace skep::jit::a64 {

/// Folds into nodes what their instructions do with operands: shifts, extensions, products,
/// negations of bits. Requires select().
void combine(ir::Graph& graph);

} // namespace skep::jit::a64
