#include "ring.hpp"

#include <gtest/gtest.h>

namespace auren::gateway {
namespace {

EventPtr
EventAt(int64_t position, size_t bytes) {
	auto event = std::make_shared<Event>();
	event->position = position;
	event->text.assign(bytes, 'x');
	return event;
}

TEST(Ring, HasEverythingAfterItsFloor) {
	Ring ring;
	ring.Bound(3 * EventAt(1, 1000)->Bytes());
	ring.Restart(10);
	EXPECT_EQ(ring.Floor(), 10);
	for (const int64_t position : {12, 15, 16, 20, 21}) {
		ring.Push(EventAt(position, 1000));
	}
	EXPECT_EQ(ring.End() - ring.Begin(), 3U);
	EXPECT_EQ(ring.Floor(), 15);
	EXPECT_EQ(ring.At(ring.FirstAfter(15))->position, 16);
	EXPECT_EQ(ring.At(ring.FirstAfter(17))->position, 20);
	EXPECT_EQ(ring.FirstAfter(21), ring.End());
}

TEST(Ring, KeepsTheNewestEventHoweverLargeItIs) {
	Ring ring;
	ring.Bound(4096);
	ring.Restart(0);
	ring.Push(EventAt(1, 10));
	ring.Push(EventAt(2, 100000));
	EXPECT_EQ(ring.End() - ring.Begin(), 1U);
	EXPECT_EQ(ring.Floor(), 1);
	ring.Push(EventAt(3, 10));
	EXPECT_EQ(ring.Floor(), 2);
	EXPECT_LT(ring.Bytes(), 4096U);
}

TEST(Ring, NumbersGoOnAfterARestart) {
	Ring ring;
	ring.Bound(4096);
	ring.Restart(0);
	ring.Push(EventAt(1, 10));
	ring.Push(EventAt(2, 10));
	const auto end = ring.End();
	ring.Restart(100);
	EXPECT_EQ(ring.Begin(), end);
	EXPECT_EQ(ring.End(), end);
	EXPECT_EQ(ring.Bytes(), 0U);
}

TEST(Ring, ATighterBoundTakesTheOldest) {
	Ring ring;
	ring.Bound(1 << 20);
	ring.Restart(0);
	for (int64_t position = 1; position <= 100; position++) {
		ring.Push(EventAt(position, 1000));
	}
	ring.Bound(10 * EventAt(1, 1000)->Bytes());
	EXPECT_EQ(ring.Floor(), 90);
	EXPECT_EQ(ring.FirstAfter(90), ring.Begin());
}

} // namespace
} // namespace auren::gateway
