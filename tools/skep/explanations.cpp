// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include "explanations.hpp"

#include <algorithm>
#include <array>

namespace skep::tool {
namespace {

constexpr std::array kExplanations{
    Explanation{
        "V100",
        "The bytes are no instruction of the language: an unknown opcode, a field that must\n"
        "be zero and is not, a jump out of the function, or a write to r10.\n",
        "Compile the program again: compilers do not make such instructions. In assembly,\n"
        "`skep disasm` shows what the bytes are.\n",
        "r10 += 8\n"},
    Explanation{
        "V101",
        "The packet ends at data_end, and nothing on the way here shows that the bytes which\n"
        "are accessed lie before it.\n",
        "Compare `pointer + size > data_end` before the access: with the same pointer, after\n"
        "its last change, and with all the bytes that are accessed. Calls that move the\n"
        "packet end what earlier tests have shown.\n",
        "struct ethhdr *eth = (void *)(long)ctx->data;\n"
        "return eth->h_proto; // no test of data_end\n"},
    Explanation{
        "V102",
        "Some value of the index, with the size of the access, lies outside of the map's\n"
        "value.\n",
        "Limit the index right before it is used, from both sides: `if (i >= N) return 0;`\n"
        "with an unsigned `i`, or `i &= N - 1` where N is a power of two.\n",
        "struct counters { __u32 slot[8]; } *v = bpf_map_lookup_elem(&map, &key);\n"
        "if (v)\n"
        "    v->slot[index]++; // index may be 8 or more\n"},
    Explanation{
        "V103",
        "A function's stack is 512 bytes below r10. The access, or the buffer that a call\n"
        "gets, is not within it.\n",
        "Limit the index to the array's size; move what is too big to a map with one element\n"
        "for each CPU.\n",
        "char text[16];\n"
        "text[bpf_get_prandom_u32()] = 0;\n"},
    Explanation{
        "V104",
        "Memory whose size is known by its call or its type (a record of a ring buffer, an\n"
        "argument of a global function) is accessed beyond that size.\n",
        "Ask for as much as is used, or use less. The finding says what the size is.\n",
        "__u64 *record = bpf_ringbuf_reserve(&events, 8, 0);\n"
        "if (record) {\n"
        "    record[1] = 1; // bytes 8 to 15 of 8\n"
        "    bpf_ringbuf_submit(record, 0);\n"
        "}\n"},
    Explanation{
        "V105",
        "A call gets memory with its size, and the size may be negative, zero where it must\n"
        "not be, or larger than the memory.\n",
        "Give the size an unsigned type and limit it right before the call:\n"
        "`if (n > sizeof(buffer)) n = sizeof(buffer);`, or `n &= 63` for powers of two.\n",
        "int n = header->length;\n"
        "bpf_probe_read_user(buffer, n, source);\n"},
    Explanation{
        "V106",
        "The address is not a multiple of the access's size. Stack slots, atomics and fields\n"
        "of the context must be aligned always; all else with --strict-alignment.\n",
        "Copy byte by byte with __builtin_memcpy, mark the structure as packed, or move the\n"
        "object to an aligned place.\n",
        "*(__u64 *)(buffer + 4) = 0; // buffer is aligned to 8 bytes\n"},
    Explanation{"V201",
                "The call that made the pointer may give NULL, and on some way nobody asked.\n",
                "Test the very result of the call, before arithmetic and before each use:\n"
                "`if (!v) return 0;`.\n",
                "__u64 *v = bpf_map_lookup_elem(&map, &key);\n"
                "*v += 1;\n"},
    Explanation{
        "V202",
        "What is used as an address is a number on some way here. Either it never was a\n"
        "pointer, or a call ended the pointer: calls that move the packet end all packet\n"
        "pointers, releases end what they release.\n",
        "Keep pointers in variables of their own. Read data and data_end again after calls\n"
        "such as bpf_skb_pull_data. Addresses of the kernel are read with bpf_probe_read_*.\n",
        "void *data = (void *)(long)ctx->data;\n"
        "bpf_xdp_adjust_head(ctx, 4);\n"
        "return *(__u8 *)data; // the packet may be elsewhere now\n"},
    Explanation{
        "V204",
        "Pointers can be moved by numbers that are bounded, and compared. All else on them\n"
        "(multiplication, bits, the sum of two pointers, moving the context) makes\n"
        "addresses that nobody can follow.\n",
        "Calculate with a number and add it to the pointer once, after its limits were\n"
        "tested.\n",
        "void *p = (void *)((long)data & ~7);\n"},
    Explanation{"V205",
                "An address of the kernel would get where others can read it: into a map, the\n"
                "packet, or the result.\n",
                "Store a number that means the same to you, or a copy of what is pointed to.\n",
                "*(void **)value = ctx;\n"},
    Explanation{"V301",
                "The register has no value on some way here: the variable was not set, or a call\n"
                "ended it (calls end r1 to r5).\n",
                "Set variables where they are declared. In assembly, keep what calls must not end\n"
                "in r6 to r9.\n",
                "int result;\n"
                "if (ctx->len > 100)\n"
                "    result = 1;\n"
                "return result;\n"},
    Explanation{
        "V401",
        "The program takes something (a socket, a record of a ring buffer, an iterator) and\n"
        "ends on some way without giving it back. The notes say where it was taken.\n",
        "Release on each way to the exit, the one for errors, too; submit or discard every\n"
        "record that was reserved.\n",
        "struct bpf_sock *sk = bpf_sk_lookup_tcp(ctx, &tuple, sizeof(tuple), -1, 0);\n"
        "return sk != 0;\n"},
    Explanation{
        "V402",
        "What is used or released is not the program's: it was released before, or it was\n"
        "never taken.\n",
        "Move the use before the release, and release each thing once. Only what a call gave\n"
        "to the program is released, not what is merely seen through it.\n",
        "bpf_sk_release(sk);\n"
        "bpf_sk_release(sk);\n"},
    Explanation{
        "V403",
        "Locks are taken one at a time, released in the same function on every way, and\n"
        "nothing is called in between.\n",
        "Prepare everything first; between bpf_spin_lock and bpf_spin_unlock only read and\n"
        "write the value.\n",
        "bpf_spin_lock(&v->lock);\n"
        "v->when = bpf_ktime_get_ns(); // a call\n"
        "bpf_spin_unlock(&v->lock);\n"},
    Explanation{
        "V501",
        "Every program must end. Nothing shows that this loop does: no number in it comes\n"
        "nearer to a bound in each round, and no contract limits the rounds.\n",
        "Count with one variable and compare it with a constant; or use bpf_for, bpf_loop or\n"
        "can_loop (may_goto), which limit the rounds themselves.\n",
        "while (bpf_get_prandom_u32())\n"
        "    ;\n"},
    Explanation{"V502",
                "The analysis gave up: the program has more ways and states than it may look at.\n"
                "This says nothing about safety. Findings beside this one say what the attempts\n"
                "lacked before; a note tells where ways met and what each knew was lost.\n",
                "Limit values right where they are used, so that it does not matter which way was\n"
                "taken. Make functions global (not static): they are verified once, not at each\n"
                "call. Put big loops into bpf_loop.\n",
                "many branches in sequence, each of which changes what a later access relies on\n"},
    Explanation{"V503",
                "Functions that call each other use more than 512 bytes of stack together, are\n"
                "nested more than 8 deep, or one calls itself.\n",
                "Move big variables to a map with one element for each CPU; write recursion as a\n"
                "loop.\n",
                "static __noinline int inner(void) { char b[400]; ... }\n"
                "int outer(void *ctx) { char a[400]; ... inner(); ... }\n"},
    Explanation{"V504", "No way leads to the instruction. The kernel refuses such programs, too.\n",
                "Remove it. Compilers remove dead code themselves with -O2.\n",
                "r0 = 0\n"
                "exit\n"
                "r0 = 1\n"
                "exit\n"},
    Explanation{"V601",
                "The function needs another kind of argument: a map, a pointer to memory, the\n"
                "context, or one that is not NULL.\n",
                "Compare the call with the function's declaration, argument by argument. The\n"
                "finding says which register it is and what that holds.\n",
                "__u32 key = 0;\n"
                "bpf_map_lookup_elem(&key, &map); // the other way round\n"},
    Explanation{"V602", "There is no such helper, or not for programs of this type and licence.\n",
                "Look for one that is: `bpf_probe_read_kernel` for `bpf_probe_read`, the skb_ and\n"
                "xdp_ helpers in programs of their types. SEC() sets the type; helpers that are\n"
                "GPL-only need `char _license[] SEC(\"license\") = \"GPL\";`.\n",
                "SEC(\"xdp\") int f(struct xdp_md *ctx) { return bpf_skb_load_bytes(...); }\n"},
    Explanation{"V603",
                "Whoever called the program takes only some results, and this exit may give\n"
                "another.\n",
                "Return constants that the hook knows; turn errors of calls into one of them.\n",
                "SEC(\"cgroup_skb/egress\") int f(struct __sk_buff *skb) { return 7; }\n"},
    Explanation{
        "V604",
        "The context has no field of this size at this offset for programs of this type, or\n"
        "it may not be written.\n",
        "Access fields by their names in the structure of the program's type, with their own\n"
        "size, and not through a pointer that was moved by a variable.\n",
        "*(__u64 *)&skb->mark = 0; // mark has 4 bytes\n"},
    Explanation{
        "V605", "An iterator is used before it is started, started twice, or used after its end.\n",
        "Start it once, ask for the next number until there is none, and destroy it on every\n"
        "way; the macro bpf_for does that.\n",
        "struct bpf_iter_num it;\n"
        "bpf_iter_num_next(&it); // no bpf_iter_num_new before\n"},
    Explanation{"V606",
                "The memory is not the program's to write: a map that is frozen or opened for\n"
                "reading, a constant, a field of a socket.\n",
                "Write to a copy, drop `const`, or call the function that changes it.\n",
                "const volatile int limit = 10;\n"
                "*(int *)&limit = 11;\n"},
    Explanation{
        "V607",
        "A function that others call does not keep what they rely on: a callback returns\n"
        "what its caller does not take, or a global function's arguments have types that no\n"
        "contract can be made of.\n",
        "Callbacks of bpf_loop return 0 (go on) or 1 (stop). Make functions with other\n"
        "arguments static.\n",
        "static long each(__u64 i, void *ctx) { return 2; }\n"
        "bpf_loop(10, each, &state, 0);\n"},
    Explanation{
        "V701",
        "The object lacks what the program needs: a map's definition, type information, or\n"
        "the target of a relocation.\n",
        "Compile with -g and link all parts of the program with bpftool gen object.\n",
        "extern int counter; // defined nowhere\n"},
    Explanation{
        "V900",
        "The program uses something that this verifier does not know yet, or the checker\n"
        "did not confirm what the engine found (then the message says \"internal\"). Nothing\n"
        "is said about safety.\n",
        "Report what is internal as a bug, with the object. For the rest, `docs/parity.md`\n"
        "lists what is not supported.\n",
        "a kernel function that is not known\n"},
};

} // namespace

const Explanation* explanation_of(std::string_view code) noexcept {
    const auto* found = std::ranges::find(kExplanations, code, &Explanation::code);
    return found == kExplanations.end() ? nullptr : found;
}

} // namespace skep::tool
