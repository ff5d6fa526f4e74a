#include "core/metrics/distinct.hpp"

#include <cstdlib>
#include <set>

#include <gtest/gtest.h>

#include "core/error.hpp"
#include "core/metrics/summary.hpp"

namespace auren {
namespace {

constexpr DistinctReadings::Place kPlace = {7, -3, 600000000};

DistinctReadings
SetOf(const std::vector<std::pair<std::uint32_t, double>> &members) {
	DistinctReadings set(kPlace);
	for (const auto &[offset, value] : members) {
		set.Put(offset, value);
	}
	set.Sort();
	return set;
}

TEST(DistinctReadings, TheSameMomentAndValueCountOnce) {
	const DistinctReadings set = SetOf({{5, 60}, {1, 60}, {5, 60}, {5, 61}, {9, 0.0}, {9, -0.0}});
	EXPECT_EQ(set.size(), 4u);
	const Summary summary = Summary::FromBytes(set.Bytes());
	EXPECT_EQ(summary.readings(), 4);
	EXPECT_EQ(*summary.Sum(), 181);
	EXPECT_EQ(*summary.Greatest(), 61);
}

TEST(DistinctReadings, BytesAreReadAsWritten) {
	const DistinctReadings set = SetOf({{299999999, 1e300}, {0, -1}});
	const DistinctReadings read = DistinctReadings::FromBytes(set.Bytes());
	EXPECT_EQ(read.Bytes(), set.Bytes());
	EXPECT_FALSE(read.place() < kPlace || kPlace < read.place());
	EXPECT_TRUE(DistinctReadings::IsSet(set.Bytes()));
	EXPECT_FALSE(DistinctReadings::IsSet(Summary().Bytes()));
	const std::string bytes = set.Bytes();
	for (std::size_t length = 0; length < bytes.size(); length++) {
		if (length != 21 && length != 33) {
			EXPECT_THROW(DistinctReadings::FromBytes(std::string_view(bytes).substr(0, length)), DomainError) << length;
		}
	}
}

TEST(DistinctReadings, MergeInAnyOrderAsOneSet) {
	std::srand(1);
	for (int run = 0; run < 300; run++) {
		std::set<std::pair<std::uint32_t, double>> all;
		DistinctReadings merged(kPlace);
		Summary counted; // what each part adds to a longer bucket, which knows no moments
		for (int part = 0; part < 6; part++) {
			std::vector<std::pair<std::uint32_t, double>> members;
			for (int i = std::rand() % 12; i > 0; i--) {
				members.emplace_back(std::rand() % 20, std::rand() % 3);
			}
			DistinctReadings added = SetOf(members);
			added.TakeOut(merged);
			counted.Merge(Summary::FromBytes(added.Bytes()));
			merged.Merge(SetOf(members));
			all.insert(members.begin(), members.end());
		}
		ASSERT_EQ(merged.size(), all.size());
		double sum = 0;
		for (const auto &[offset, value] : all) {
			sum += value;
		}
		const Summary summary = Summary::FromBytes(merged.Bytes());
		EXPECT_EQ(summary.Sum().value_or(0), sum);
		EXPECT_EQ(counted.readings(), summary.readings());
		EXPECT_EQ(counted.Sum().value_or(0), sum);
	}
}

} // namespace
} // namespace auren
