#include "core/seals/tally.hpp"

#include <gtest/gtest.h>

namespace auren {
namespace {

Digest
Filled(std::uint8_t byte) {
	Digest digest;
	digest.fill(byte);
	return digest;
}

TEST(Tally, CountsAndAddsWithCarry) {
	Tally tally;
	tally.Add(Filled(0xFF));
	Digest one = Filled(0);
	one.back() = 1;
	tally.Add(one);
	EXPECT_EQ(tally.events(), 2);
	EXPECT_EQ(tally.sum(), Filled(0)) << "the sum is taken modulo 2^256";
	Digest low = Filled(0);
	low.back() = 0xFF;
	Tally carried;
	carried.Add(low);
	carried.Add(one);
	Digest expected = Filled(0);
	expected[expected.size() - 2] = 1;
	EXPECT_EQ(carried.sum(), expected);
}

TEST(Tally, DoesNotDependOnTheOrder) {
	Hasher hasher;
	Tally forward, backward, halves, other;
	for (int i = 0; i < 100; i++) {
		forward.Add(hasher.Plain(std::to_string(i)));
		backward.Add(hasher.Plain(std::to_string(99 - i)));
		(i < 50 ? halves : other).Add(hasher.Plain(std::to_string(i)));
	}
	halves.Add(other);
	EXPECT_TRUE(forward == backward);
	EXPECT_TRUE(forward == halves);
}

TEST(Tally, DiffersWhereAnEventDiffersOrIsMissing) {
	Hasher hasher;
	Tally tally, changed, fewer;
	for (int i = 0; i < 10; i++) {
		tally.Add(hasher.Plain(std::to_string(i)));
		changed.Add(hasher.Plain(std::to_string(i == 7 ? 70 : i)));
		if (i != 7) {
			fewer.Add(hasher.Plain(std::to_string(i)));
		}
	}
	EXPECT_FALSE(tally == changed);
	EXPECT_FALSE(tally == fewer);
}

} // namespace
} // namespace auren
