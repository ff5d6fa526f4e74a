#include <limits>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/metrics/delta_pack.hpp"
#include "expect_error.hpp"

namespace auren {
namespace {

using test::ExpectError;

std::string
Bytes(const DeltaPack &pack) {
	std::string bytes(pack.size(), '\0');
	pack.Write(&bytes[0]);
	return bytes;
}

TEST(DeltaPack, GivesBackWhatWasPutIn) {
	const std::int64_t least = std::numeric_limits<std::int64_t>::min();
	const std::int64_t most = std::numeric_limits<std::int64_t>::max();
	DeltaPack pack;
	EXPECT_TRUE(pack.empty());
	pack.Add(least, most, "one");
	pack.Add(-5, 7, "");
	pack.Add(3, -300000000, std::string("\0two", 4));
	pack.Add(3, 0, "three");
	pack.Add(most, least, std::string(300, 'x'));
	EXPECT_EQ(pack.first_series(), least);
	EXPECT_EQ(pack.last_series(), most);
	const std::string bytes = Bytes(pack);
	const DeltaPackReader reader(bytes);
	ASSERT_EQ(reader.count(), 5U);
	EXPECT_EQ(reader.At(0).series, least);
	EXPECT_EQ(reader.At(0).bucket, most);
	EXPECT_EQ(reader.At(0).summary, "one");
	EXPECT_EQ(reader.At(1).summary, "");
	EXPECT_EQ(reader.At(2).summary, std::string("\0two", 4));
	EXPECT_EQ(reader.At(2).bucket, -300000000);
	EXPECT_EQ(reader.At(3).summary, "three");
	EXPECT_EQ(reader.At(4).bucket, least);
	EXPECT_EQ(reader.At(4).summary, std::string(300, 'x'));
	pack.Clear();
	EXPECT_TRUE(pack.empty());
}

TEST(DeltaPack, FindsTheFirstOfASeries) {
	DeltaPack pack;
	for (const std::int64_t series : {-9, -9, -2, 0, 4, 4, 4, 8}) {
		pack.Add(series, 0, "s");
	}
	const std::string bytes = Bytes(pack);
	const DeltaPackReader reader(bytes);
	const std::vector<std::pair<std::int64_t, std::size_t>> expected = {{-10, 0}, {-9, 0}, {-8, 2}, {-2, 2}, {0, 3},
	                                                                    {1, 4},   {4, 4},  {5, 7},  {8, 7},  {9, 8}};
	for (const auto &[series, first] : expected) {
		EXPECT_EQ(reader.FirstOf(series), first) << series;
	}
}

TEST(DeltaPack, IsFullBeforeItsRowIsMovedOut) {
	DeltaPack pack;
	const std::string summary(12, 's');
	while (!pack.IsFullFor(summary.size())) {
		pack.Add(1, 2, summary);
	}
	EXPECT_LE(pack.size(), DeltaPack::kMostBytes);
	EXPECT_GT(pack.size() + DeltaPack::kHeadBytes + summary.size(), DeltaPack::kMostBytes);
	pack.Clear();
	EXPECT_FALSE(pack.IsFullFor(100000)) << "a summary that is too large by itself has a pack of its own";
}

TEST(DeltaPack, RefusesOtherBytes) {
	DeltaPack pack;
	pack.Add(1, 2, "first");
	pack.Add(1, 3, "second");
	const std::string bytes = Bytes(pack);
	for (std::size_t size = 0; size < bytes.size(); size++) {
		ExpectError("22P03", [&] {
			const DeltaPackReader reader(std::string_view(bytes).substr(0, size));
			(void)reader.At(1);
		});
	}
	std::string backwards = bytes;
	backwards[4 + 16] = 40; // the first one ends behind the second
	ExpectError("22P03", [&] { (void)DeltaPackReader(backwards).At(1); });
	ExpectError("22P03", [&] { (void)DeltaPackReader(backwards).At(0); });
}

TEST(DeltaPack, AllOfASeriesIsInItsLots) {
	for (const std::int64_t series : {std::numeric_limits<std::int64_t>::min(), std::int64_t{-1}, std::int64_t{0}, std::int64_t{1} << 61,
	                                  std::numeric_limits<std::int64_t>::max()}) {
		std::set<int> lots;
		for (const int lot : LotsOf(series)) {
			lots.insert(lot);
		}
		EXPECT_EQ(lots.size(), static_cast<std::size_t>(kLotSizes)) << "no lot has two sizes";
		for (const std::size_t deltas :
		     {std::size_t{1}, std::size_t{511}, std::size_t{512}, std::size_t{5000}, std::size_t{8192}, std::size_t{1000000}}) {
			EXPECT_EQ(lots.count(LotOf(series, deltas)), 1U) << series << " among " << deltas;
		}
	}
	// in the order of the series a lot is not left and entered again
	for (const std::size_t deltas : {std::size_t{300}, std::size_t{50000}}) {
		std::set<int> left;
		int lot = 0;
		for (int i = -1000; i < 1000; i++) {
			const int next = LotOf(static_cast<std::int64_t>(i) * (std::numeric_limits<std::int64_t>::max() / 1000), deltas);
			if (next != lot) {
				EXPECT_TRUE(left.insert(next).second);
				lot = next;
			}
		}
	}
}

} // namespace
} // namespace auren
