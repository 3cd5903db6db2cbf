// skep: the eBPF system, in C++
// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cerrno>
#include <linux/bpf.h>
#include <string>
#include <sys/mman.h>
#include <vector>

#include "maps_support.hpp"
#include "skep/maps/ringbuf.hpp"

namespace skep::maps::test {
namespace {

using spec::MapKind;

constexpr U32 kBusy = 1U << 31;
constexpr U32 kDiscarded = 1U << 30;

struct Ring : testing::Test {
    std::shared_ptr<Map> map = make({.name = "r", .kind = MapKind::Ringbuf, .max_entries = 4096});
    RingbufMap& ring = *RingbufMap::from(*map);

    std::vector<std::string> consume() {
        auto reader = RingbufReader::open(*map);
        std::vector<std::string> all;
        reader->consume(
            [](void* arg, std::span<const std::byte> record) {
                static_cast<std::vector<std::string>*>(arg)->emplace_back(as_text(record));
                return true;
            },
            &all);
        return all;
    }
};

TEST_F(Ring, records_arrive_in_order_of_reservation) {
    std::byte* first = ring.reserve(1);
    EXPECT_EQ(ring.output(as_bytes("two"), 0), 0);
    EXPECT_EQ(consume(), std::vector<std::string>{}) << "the first is still being written";
    *first = std::byte{'1'};
    RingbufMap::submit(first, 0);
    EXPECT_EQ(consume(), (std::vector<std::string>{"1", "two"}));
}

TEST_F(Ring, discarded_records_are_passed_over) {
    RingbufMap::discard(ring.reserve(100), 0);
    EXPECT_EQ(ring.output(as_bytes("x"), 0), 0);
    EXPECT_EQ(consume(), std::vector<std::string>{"x"});
}

TEST_F(Ring, header_has_the_kernels_layout) {
    std::byte* record = ring.reserve(5);
    EXPECT_EQ(load<U32>(record - 8), 5 | kBusy);
    EXPECT_EQ(load<U32>(record - 4), 3U) << "pages from the start: private, consumer, producer";
    EXPECT_EQ(&RingbufMap::of(record), &ring);
    RingbufMap::discard(record, 0);
    EXPECT_EQ(load<U32>(record - 8), 5 | kDiscarded);
    EXPECT_EQ(ring.query(BPF_RB_PROD_POS), 16U);
    EXPECT_EQ(ring.query(BPF_RB_RING_SIZE), 4096U);
    EXPECT_EQ(ring.query(BPF_RB_AVAIL_DATA), 16U);
    consume();
    EXPECT_EQ(ring.query(BPF_RB_CONS_POS), 16U);
    EXPECT_EQ(ring.query(99), 0U);
}

TEST_F(Ring, one_byte_of_the_buffer_always_stays_free) {
    EXPECT_EQ(ring.reserve(4096), nullptr);
    EXPECT_EQ(ring.reserve(4088), nullptr) << "4096 bytes with its header";
    std::byte* record = ring.reserve(4080);
    ASSERT_NE(record, nullptr);
    RingbufMap::submit(record, 0);
    EXPECT_EQ(ring.output(as_bytes("x"), 0), -EAGAIN);
    EXPECT_EQ(ring.reserve(U64{1} << 62), nullptr);
    EXPECT_EQ(ring.output(as_bytes("x"), 8), -EINVAL);
}

TEST_F(Ring, a_record_over_the_end_is_whole_in_the_second_mapping) {
    const std::string text(3000, 'a');
    const std::string next(3000, 'b');
    EXPECT_EQ(ring.output(as_bytes(text), 0), 0);
    EXPECT_EQ(consume(), std::vector<std::string>{text});
    EXPECT_EQ(ring.output(as_bytes(next), 0), 0);
    EXPECT_EQ(consume(), std::vector<std::string>{next});
}

TEST_F(Ring, wakes_only_a_consumer_that_has_caught_up) {
    EXPECT_EQ(ring.output(as_bytes("a"), 0), 0);
    EXPECT_EQ(ring.wakeups(), 1U);
    EXPECT_EQ(ring.output(as_bytes("b"), 0), 0);
    EXPECT_EQ(ring.wakeups(), 1U) << "the consumer has not taken the first yet";
    EXPECT_EQ(ring.output(as_bytes("c"), BPF_RB_FORCE_WAKEUP), 0);
    EXPECT_EQ(ring.wakeups(), 2U);
    consume();
    EXPECT_EQ(ring.output(as_bytes("d"), BPF_RB_NO_WAKEUP), 0);
    EXPECT_EQ(ring.wakeups(), 2U);
}

TEST_F(Ring, reader_waits_for_a_wake_up) {
    auto reader = RingbufReader::open(*map);
    ASSERT_TRUE(reader);
    EXPECT_FALSE(reader->wait(0));
    EXPECT_EQ(ring.output(as_bytes("a"), 0), 0);
    EXPECT_TRUE(reader->wait(1000));
}

TEST_F(Ring, can_be_read_through_its_descriptors_alone) {
    auto reader = RingbufReader::open(ring.consumer_fd(), ring.data_fd(), 4096);
    ASSERT_TRUE(reader) << reader.error().to_string();
    const std::string text(3000, 'a');
    for (int i = 0; i < 3; i++) { // The second record lies over the end of the buffer.
        ASSERT_EQ(ring.output(as_bytes(text), 0), 0);
        std::string got;
        EXPECT_EQ(reader->consume(
                      [](void* arg, std::span<const std::byte> record) {
                          static_cast<std::string*>(arg)->assign(as_text(record));
                          return true;
                      },
                      &got),
                  1U);
        EXPECT_EQ(got, text);
    }
    EXPECT_EQ(ring.query(BPF_RB_AVAIL_DATA), 0U) << "both sides share the consumer's position";
}

TEST_F(Ring, a_foreign_process_cannot_write_the_data) {
    EXPECT_EQ(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ring.data_fd(), 0),
              MAP_FAILED);
}

TEST(ringbuf_reader, refuses_other_maps) {
    const auto map = make({.name = "q", .kind = MapKind::Queue, .value_size = 4, .max_entries = 1});
    EXPECT_EQ(RingbufReader::open(*map).error().message, "map \"q\" is not a ring buffer");
}

struct UserRing : testing::Test {
    std::shared_ptr<Map> map =
        make({.name = "u", .kind = MapKind::UserRingbuf, .max_entries = 4096});
    UserRingbufMap& ring = *UserRingbufMap::from(*map);

    void send(U64 number) {
        std::byte* room = ring.reserve(8);
        ASSERT_NE(room, nullptr);
        store(room, number);
        ring.submit(room);
    }
    static std::uint64_t collect(void* arg, std::span<const std::byte> sample) {
        auto& all = *static_cast<std::vector<U64>*>(arg);
        all.push_back(load<U64>(sample.data()));
        return all.back() == 99 ? 1 : 0;
    }
    std::vector<U64> got;
};

TEST_F(UserRing, program_drains_what_user_space_sent) {
    send(1);
    ring.discard(ring.reserve(8));
    send(2);
    EXPECT_EQ(ring.drain(collect, &got, 0), 2);
    EXPECT_EQ(got, (std::vector<U64>{1, 2}));
    EXPECT_EQ(ring.wakeups(), 1U);
    EXPECT_EQ(ring.drain(collect, &got, 0), 0);
}

TEST_F(UserRing, callback_can_stop_the_drain) {
    send(99);
    send(3);
    EXPECT_EQ(ring.drain(collect, &got, BPF_RB_NO_WAKEUP), 1);
    EXPECT_EQ(ring.wakeups(), 0U);
    EXPECT_EQ(ring.drain(collect, &got, 0), 1);
}

TEST_F(UserRing, sample_that_claims_more_than_was_sent_is_refused) {
    std::byte* room = ring.reserve(8);
    store(room - 8, U32{4000});
    EXPECT_EQ(ring.drain(collect, &got, 0), -EINVAL);
    EXPECT_TRUE(got.empty());
    EXPECT_EQ(ring.drain(collect, &got, 8), -EINVAL);
}

} // namespace
} // namespace skep::maps::test
