// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "order.hpp"

#include <algorithm>

namespace skep::verifier {
namespace {

/// Deeper nests are ordered as if they were one loop: that costs precision, not soundness.
constexpr std::uint32_t kMaxDepth = 32;

/// Tarjan's strongly connected components of some blocks, without recursion; `inside` says which
/// edges count. The last component is the first in topological order.
class Components {
public:
    struct Component {
        std::vector<std::uint32_t> blocks; ///< the block that was reached first is the last
        bool loop = false;
    };

    template <class Inside>
    Components(const ControlFlow& flow, const std::vector<std::uint32_t>& blocks, Inside inside)
        : first_(*std::ranges::min_element(blocks)),
          nodes_(*std::ranges::max_element(blocks) - first_ + 1) {
        for (const std::uint32_t block : blocks)
            if (node(block).index == 0)
                visit(flow, block, inside);
    }

    std::vector<Component> found;

private:
    struct Node {
        std::uint32_t index = 0; ///< 0: not reached
        std::uint32_t low = 0;
        bool on_stack = false;
        bool self = false;
    };

    Node& node(std::uint32_t block) { return nodes_[block - first_]; }

    void open(std::uint32_t block) {
        node(block) = {.index = ++count_, .low = count_, .on_stack = true};
        stack_.push_back(block);
    }

    template <class Inside>
    void visit(const ControlFlow& flow, std::uint32_t start, Inside inside) {
        std::vector<std::pair<std::uint32_t, std::size_t>> path{{start, 0}};
        open(start);
        while (!path.empty()) {
            auto& [block, next] = path.back();
            const auto& targets = flow.blocks[block].successors;
            if (next < targets.size()) {
                const std::uint32_t target = targets[next++];
                if (!inside(target))
                    continue;
                node(block).self |= target == block;
                if (node(target).index == 0) {
                    open(target);
                    path.emplace_back(target, 0);
                } else if (node(target).on_stack) {
                    node(block).low = std::min(node(block).low, node(target).index);
                }
                continue;
            }
            const std::uint32_t done = block;
            path.pop_back();
            if (!path.empty()) {
                Node& parent = node(path.back().first);
                parent.low = std::min(parent.low, node(done).low);
            }
            if (node(done).low == node(done).index)
                close(done);
        }
    }

    void close(std::uint32_t root) {
        Component component;
        std::uint32_t block = 0;
        do {
            block = stack_.back();
            stack_.pop_back();
            node(block).on_stack = false;
            component.blocks.push_back(block);
        } while (block != root);
        component.loop = component.blocks.size() > 1 || node(root).self;
        found.push_back(std::move(component));
    }

    std::uint32_t first_;
    std::vector<Node> nodes_;
    std::vector<std::uint32_t> stack_;
    std::uint32_t count_ = 0;
};

} // namespace

Order::Order(const ControlFlow& flow)
    : position_(flow.blocks.size(), 0), loop_(flow.blocks.size(), kNone),
      region_(flow.blocks.size(), 0) {
    for (std::uint32_t f = 0; f < flow.functions.size(); ++f) {
        const std::vector<std::uint32_t> blocks = flow.reverse_postorder(f);
        if (!straight(flow, blocks))
            arrange(flow, blocks, kNone, 1);
    }
}

/// Most functions have no loops: then there is nothing to arrange. Else false.
bool Order::straight(const ControlFlow& flow, const std::vector<std::uint32_t>& blocks) {
    const std::uint32_t first = next_;
    for (const std::uint32_t block : blocks)
        position_[block] = next_++;
    for (const std::uint32_t block : blocks)
        for (const std::uint32_t target : flow.blocks[block].successors)
            if (position_[target] <= position_[block]) {
                next_ = first;
                return false;
            }
    for (const std::uint32_t block : blocks)
        loop_[block] = kNone;
    return true;
}

void Order::arrange(const ControlFlow& flow, const std::vector<std::uint32_t>& blocks,
                    std::uint32_t around, std::uint32_t depth) {
    if (blocks.empty())
        return;
    const std::uint32_t region = ++regions_;
    for (const std::uint32_t block : blocks)
        region_[block] = region;
    const auto components = std::move(
        Components(flow, blocks, [&](std::uint32_t b) { return region_[b] == region; }).found);
    for (std::size_t i = components.size(); i-- > 0;) {
        auto inner = components[i].blocks;
        if (!components[i].loop) {
            loop_[inner[0]] = around;
            position_[inner[0]] = next_++;
            continue;
        }
        const auto index = static_cast<std::uint32_t>(loops_.size());
        loops_.push_back({.head = inner.back(), .around = around, .depth = depth});
        loop_[inner.back()] = index;
        position_[inner.back()] = next_++;
        inner.pop_back();
        std::ranges::reverse(inner);
        if (depth < kMaxDepth) {
            arrange(flow, inner, index, depth + 1);
            continue;
        }
        for (const std::uint32_t block : inner) {
            loop_[block] = index;
            position_[block] = next_++;
        }
    }
}

void Order::bound_by_contract(std::uint32_t block) {
    for (std::uint32_t index = loop_[block]; index != kNone; index = loops_[index].around)
        loops_[index].by_contract = true;
}

} // namespace skep::verifier
